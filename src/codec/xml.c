#include "codec/xml.h"

#include <ctype.h>

struct parser {
        const char *start, *at, *end;
        struct arena *arena;
        struct err *err;
        size_t elements;
};

static int bad(const struct parser *p, const char *what) {
        size_t line = 1, column = 1;
        for (const char *c = p->start; c < p->at; c++) {
                column = *c == '\n' ? 1 : column + 1;
                line += *c == '\n';
        }
        return err_set(p->err, -EINVAL, "XML, line %zu column %zu: %s", line, column, what);
}

static bool looking_at(const struct parser *p, const char *text) {
        size_t n = strlen(text);
        return (size_t)(p->end - p->at) >= n && memcmp(p->at, text, n) == 0;
}

static bool is_name_char(char c) {
        return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

static void skip_blanks(struct parser *p) {
        while (p->at < p->end && isspace((unsigned char)*p->at))
                p->at++;
}

/* Up to and with `mark`. */
static int skip_past(struct parser *p, const char *mark) {
        ssize_t at = sv_find(sv_new(p->at, (size_t)(p->end - p->at)), sv_of(mark));
        if (at < 0)
                return bad(p, "the text ends in a comment or declaration");
        p->at += at + (ssize_t)strlen(mark);
        return 0;
}

static int take_name(struct parser *p, struct sv *ret) {
        const char *start = p->at;
        while (p->at < p->end && is_name_char(*p->at))
                p->at++;
        if (p->at == start || isdigit((unsigned char)*start) || strchr("-.:", *start) || p->at[-1] == ':')
                return bad(p, "a name is expected");
        *ret = sv_new(start, (size_t)(p->at - start));
        return 0;
}

static struct sv local_name(struct sv name) {
        ssize_t colon = sv_rfind_char(name, ':');
        return colon < 0 ? name : sv_new(name.data + colon + 1, name.len - (size_t)colon - 1);
}

static int hex_digit(char c) {
        return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* S3 writes control characters of keys as references, which XML 1.0 forbids: all but NUL are taken. */
static bool take_number(struct sv digits, bool is_hex, uint32_t *ret) {
        uint32_t n = 0;
        for (size_t i = 0; i < digits.len; i++) {
                int d = hex_digit(digits.data[i]);
                if (d < 0 || (!is_hex && d > 9))
                        return false;
                n = n * (is_hex ? 16 : 10) + (uint32_t)d;
                if (n > 0x10ffff)
                        return false;
        }
        *ret = n;
        return digits.len > 0 && n > 0 && !(n >= 0xd800 && n < 0xe000);
}

static int take_reference(struct parser *p, struct str *out) {
        static const struct {
                const char *name;
                char c;
        } named[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
        struct sv rest = sv_new(p->at + 1, (size_t)(p->end - p->at - 1));
        ssize_t semicolon = sv_find_char(rest.len > 12 ? sv_new(rest.data, 12) : rest, ';');
        if (semicolon < 0)
                return bad(p, "'&' begins no reference");
        struct sv name = sv_new(rest.data, (size_t)semicolon);
        uint32_t number;
        bool is_hex = name.len > 2 && name.data[0] == '#' && name.data[1] == 'x';
        if (name.len > 1 && name.data[0] == '#') {
                size_t skip = is_hex ? 2 : 1;
                if (!take_number(sv_new(name.data + skip, name.len - skip), is_hex, &number))
                        return bad(p, "a character reference that is none");
                str_append_utf8(out, number);
                p->at += semicolon + 2;
                return 0;
        }
        for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
                if (sv_eqs(name, named[i].name)) {
                        str_append_c(out, named[i].c);
                        p->at += semicolon + 2;
                        return 0;
                }
        }
        return bad(p, "an entity that is not defined");
}

static int skip_attributes(struct parser *p) {
        for (;;) {
                const char *before = p->at;
                skip_blanks(p);
                if (p->at >= p->end || *p->at == '>' || *p->at == '/' || *p->at == '?')
                        return 0;
                if (p->at == before)
                        return bad(p, "a blank is expected before an attribute");
                struct sv name;
                int r = take_name(p, &name);
                if (r < 0)
                        return r;
                skip_blanks(p);
                if (p->at >= p->end || *p->at != '=')
                        return bad(p, "'=' is expected after an attribute's name");
                p->at++;
                skip_blanks(p);
                if (p->at >= p->end || (*p->at != '"' && *p->at != '\''))
                        return bad(p, "an attribute's value must be quoted");
                char quote = *p->at++;
                while (p->at < p->end && *p->at != quote && *p->at != '<')
                        p->at++;
                if (p->at >= p->end || *p->at != quote)
                        return bad(p, "an attribute's value does not end");
                p->at++;
        }
}

/* Comments and processing instructions, between elements. */
static int skip_misc(struct parser *p) {
        for (;;) {
                skip_blanks(p);
                int r = 0;
                if (looking_at(p, "<?"))
                        r = skip_past(p, "?>");
                else if (looking_at(p, "<!--"))
                        r = skip_past(p, "-->");
                else
                        return looking_at(p, "<!") ? bad(p, "document types are not taken") : 0;
                if (r < 0)
                        return r;
        }
}

static int parse_element(struct parser *p, int depth, struct xml_node **ret);

static int take_end_tag(struct parser *p, struct sv name) {
        struct sv end;
        p->at += 2;
        int r = take_name(p, &end);
        if (r < 0)
                return r;
        skip_blanks(p);
        if (!sv_eq(end, name))
                return bad(p, "the end tag is another element's");
        if (p->at >= p->end || *p->at != '>')
                return bad(p, "'>' is expected");
        p->at++;
        return 0;
}

static int take_cdata(struct parser *p, struct str *text) {
        p->at += 9;
        const char *start = p->at;
        int r = skip_past(p, "]]>");
        if (r < 0)
                return r;
        struct sv data = sv_new(start, (size_t)(p->at - start) - 3);
        if (sv_find_char(data, '\0') >= 0)
                return bad(p, "a NUL is no character");
        str_append_sv(text, data);
        return 0;
}

static int parse_content(struct parser *p, int depth, struct sv name, struct xml_node *node) {
        AUTO(str) struct str text = STR_INIT(0);
        struct xml_node **tail = &node->first;
        for (;;) {
                int r = 0;
                if (p->at >= p->end)
                        return bad(p, "the text ends within an element");
                if (looking_at(p, "</")) {
                        r = take_end_tag(p, name);
                        if (r == 0 && text.len)
                                node->text = arena_sv(p->arena, str_sv(&text));
                        return r;
                }
                if (looking_at(p, "<![CDATA[")) {
                        r = take_cdata(p, &text);
                } else if (looking_at(p, "<!--")) {
                        r = skip_past(p, "-->");
                } else if (looking_at(p, "<?")) {
                        r = skip_past(p, "?>");
                } else if (*p->at == '<') {
                        r = parse_element(p, depth + 1, tail);
                        if (r == 0)
                                tail = &(*tail)->next;
                } else if (*p->at == '&') {
                        r = take_reference(p, &text);
                } else if (*p->at == '\0') {
                        r = bad(p, "a NUL is no character");
                } else {
                        str_append_c(&text, *p->at++);
                }
                if (r < 0)
                        return r;
        }
}

static int parse_element(struct parser *p, int depth, struct xml_node **ret) {
        if (depth > XML_MAX_DEPTH)
                return bad(p, "elements are nested too deeply");
        if (++p->elements > XML_MAX_ELEMENTS)
                return bad(p, "there are too many elements");
        struct sv name;
        p->at++;
        int r = take_name(p, &name);
        if (r == 0)
                r = skip_attributes(p);
        if (r < 0)
                return r;
        struct xml_node *node = arena_alloc(p->arena, sizeof *node);
        node->name = sv_of(arena_sv(p->arena, local_name(name)));
        node->text = "";
        if (looking_at(p, "/>")) {
                p->at += 2;
        } else if (p->at < p->end && *p->at == '>') {
                p->at++;
                r = parse_content(p, depth, name, node);
                if (r < 0)
                        return r;
        } else {
                return bad(p, "'>' is expected");
        }
        *ret = node;
        return 0;
}

int xml_parse(struct sv text, struct arena *a, struct xml_node **ret, struct err *err) {
        struct parser p = {.start = text.data, .at = text.data, .end = text.data + text.len, .arena = a, .err = err};
        if (looking_at(&p, "\xef\xbb\xbf"))
                p.at += 3;
        int r = skip_misc(&p);
        if (r < 0)
                return r;
        if (p.at >= p.end || *p.at != '<')
                return bad(&p, "an element is expected");
        struct xml_node *root = NULL;
        r = parse_element(&p, 1, &root);
        if (r == 0)
                r = skip_misc(&p);
        if (r < 0)
                return r;
        if (p.at < p.end)
                return bad(&p, "there is text after the last element");
        *ret = root;
        return 0;
}

const struct xml_node *xml_next(const struct xml_node *parent, const struct xml_node *after, const char *name) {
        const struct xml_node *c = after ? after->next : parent ? parent->first : NULL;
        while (c && !sv_eqs(c->name, name))
                c = c->next;
        return c;
}

const char *xml_text(const struct xml_node *parent, const char *name) {
        const struct xml_node *c = xml_child(parent, name);
        return c ? c->text : NULL;
}

void xml_append_escaped(struct str *out, struct sv text) {
        for (size_t i = 0; i < text.len; i++) {
                switch (text.data[i]) {
                case '&':
                        str_append_s(out, "&amp;");
                        break;
                case '<':
                        str_append_s(out, "&lt;");
                        break;
                case '>':
                        str_append_s(out, "&gt;");
                        break;
                case '"':
                        str_append_s(out, "&quot;");
                        break;
                case '\'':
                        str_append_s(out, "&apos;");
                        break;
                default:
                        str_append_c(out, text.data[i]);
                }
        }
}
