#include "kobj/names.h"

#include <ctype.h>

/* The regular expressions are part of Kubernetes' messages; matching is by hand. */
#define LABEL_RE "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define UNDERSCORE_RE "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
#define QUALIFIED_RE "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
#define QUALIFIED_RULE                                                                                                                     \
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"                  \
        " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '" QUALIFIED_RE "')"

static size_t say(struct strv *ret, const char *message) {
        if (ret)
                strv_add(ret, message);
        return 1;
}

static size_t too_long(struct strv *ret, const char *what, size_t max) {
        if (ret)
                strv_addf(ret, "%smust be no more than %zu characters", what, max);
        return 1;
}

static bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
static bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

static bool is_label(struct sv v) {
        if (!v.len || !is_lower_alnum(v.data[0]) || !is_lower_alnum(v.data[v.len - 1]))
                return false;
        for (size_t i = 0; i < v.len; i++)
                if (!is_lower_alnum(v.data[i]) && v.data[i] != '-')
                        return false;
        return true;
}

static bool is_subdomain(struct sv v) {
        if (!v.data)
                return false;
        struct sv part;
        while (sv_split(&v, '.', &part))
                if (!is_label(part))
                        return false;
        return true;
}

static bool is_qualified_part(struct sv v) {
        if (!v.len || !is_alnum(v.data[0]) || !is_alnum(v.data[v.len - 1]))
                return false;
        for (size_t i = 0; i < v.len; i++)
                if (!is_alnum(v.data[i]) && !strchr("-_.", v.data[i]))
                        return false;
        return memchr(v.data, '\0', v.len) == NULL;
}

/* Names that would walk up a path when they become files. */
static size_t check_dots(struct sv v, struct strv *ret) {
        if (sv_eq(v, SV(".")))
                return say(ret, "must not be '.'");
        if (sv_eq(v, SV("..")))
                return say(ret, "must not be '..'");
        return sv_starts(v, SV("..")) ? say(ret, "must not start with '..'") : 0;
}

size_t name_check_dns1123_label(struct sv v, struct strv *ret) {
        size_t n = v.len > NAME_LABEL_MAX ? too_long(ret, "", NAME_LABEL_MAX) : 0;
        if (is_label(v))
                return n;
        if (is_subdomain(v))
                return n + say(ret, "must not contain dots");
        return n +
               say(ret,
                   "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
                   "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '" LABEL_RE "')");
}

size_t name_check_dns1123_subdomain(struct sv v, struct strv *ret) {
        size_t n = v.len > NAME_SUBDOMAIN_MAX ? too_long(ret, "", NAME_SUBDOMAIN_MAX) : 0;
        if (is_subdomain(v))
                return n;
        return n +
               say(ret,
                   "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
                   "with an alphanumeric character (e.g. 'example.com', regex used for validation is '" LABEL_RE "(\\." LABEL_RE ")*')");
}

size_t name_check_wildcard_subdomain(struct sv v, struct strv *ret) {
        if (sv_starts(v, SV("*.")) && is_subdomain((struct sv){v.data + 2, v.len - 2}))
                return 0;
        return say(
                ret,
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case "
                "alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for "
                "validation is '\\*\\." LABEL_RE "(\\." LABEL_RE ")*')");
}

/* One part of a subdomain that may have underscores: one before it, and any number inside. */
static bool is_underscore_part(struct sv v) {
        if (v.len && v.data[0] == '_')
                v = sv_new(v.data + 1, v.len - 1);
        if (!v.len || !is_lower_alnum(v.data[0]) || !is_lower_alnum(v.data[v.len - 1]))
                return false;
        for (size_t i = 0; i < v.len; i++)
                if (!is_lower_alnum(v.data[i]) && v.data[i] != '-' && v.data[i] != '_')
                        return false;
        return true;
}

size_t name_check_dns1123_subdomain_underscore(struct sv v, struct strv *ret) {
        size_t n = v.len > NAME_SUBDOMAIN_MAX ? too_long(ret, "", NAME_SUBDOMAIN_MAX) : 0;
        struct sv rest = v, part;
        bool good = v.len > 0;
        while (good && sv_split(&rest, '.', &part))
                good = is_underscore_part(part);
        if (good)
                return n;
        return n +
               say(ret,
                   "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end "
                   "with an alphanumeric character (e.g. 'example.com', regex used for validation is '" UNDERSCORE_RE "(\\." UNDERSCORE_RE
                   ")*')");
}

size_t name_check_dns1035_label(struct sv v, struct strv *ret) {
        size_t n = v.len > NAME_LABEL_MAX ? too_long(ret, "", NAME_LABEL_MAX) : 0;
        if (is_label(v) && !isdigit((unsigned char)v.data[0]))
                return n;
        return n +
               say(ret,
                   "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end "
                   "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
                   "'[a-z]([-a-z0-9]*[a-z0-9])?')");
}

static size_t check_prefix_part(struct sv prefix, struct strv *ret) {
        if (!prefix.len)
                return say(ret, "prefix part must be non-empty");
        AUTO(strv) struct strv messages = {0};
        name_check_dns1123_subdomain(prefix, &messages);
        for (size_t i = 0; i < messages.len && ret; i++)
                strv_addf(ret, "prefix part %s", messages.items[i]);
        return messages.len;
}

size_t name_check_qualified(struct sv v, struct strv *ret) {
        ssize_t slash = sv_find_char(v, '/');
        if (slash != sv_rfind_char(v, '/'))
                return say(ret,
                           "a qualified name " QUALIFIED_RULE " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
        struct sv name = slash < 0 ? v : sv_new(v.data + slash + 1, v.len - (size_t)slash - 1);
        size_t n = slash < 0 ? 0 : check_prefix_part(sv_new(v.data, (size_t)slash), ret);
        if (!name.len)
                n += say(ret, "name part must be non-empty");
        else if (name.len > NAME_LABEL_MAX)
                n += too_long(ret, "name part ", NAME_LABEL_MAX);
        return is_qualified_part(name) ? n : n + say(ret, "name part " QUALIFIED_RULE);
}

size_t name_check_label_value(struct sv v, struct strv *ret) {
        size_t n = v.len > NAME_LABEL_MAX ? too_long(ret, "", NAME_LABEL_MAX) : 0;
        if (!v.len || is_qualified_part(v))
                return n;
        return n +
               say(ret,
                   "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
                   "an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                   "'(" QUALIFIED_RE ")?')");
}

size_t name_check_config_key(struct sv v, struct strv *ret) {
        size_t n = v.len > NAME_SUBDOMAIN_MAX ? too_long(ret, "", NAME_SUBDOMAIN_MAX) : 0;
        bool good = v.len > 0;
        for (size_t i = 0; i < v.len; i++)
                good = good && v.data[i] && (is_alnum(v.data[i]) || strchr("-._", v.data[i]));
        if (!good)
                n += say(
                        ret,
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
                        "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
        return n + check_dots(v, ret);
}

size_t name_check_env_var(struct sv v, struct strv *ret) {
        if (!v.len)
                return say(ret, "environment variable name must be non-empty");
        for (size_t i = 0; i < v.len; i++)
                if (v.data[i] < 0x20 || v.data[i] > 0x7e || v.data[i] == '=')
                        return say(ret, "a valid environment variable name must consist only of printable ASCII characters other than '='");
        return 0;
}

size_t name_check_c_identifier(struct sv v, struct strv *ret) {
        bool good = v.len > 0 && !isdigit((unsigned char)v.data[0]);
        for (size_t i = 0; i < v.len; i++)
                good = good && (is_alnum(v.data[i]) || v.data[i] == '_');
        return good ? 0
                    : say(ret,
                          "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or "
                          "'_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')");
}

size_t name_check_http_header(struct sv v, struct strv *ret) {
        bool good = v.len > 0;
        for (size_t i = 0; i < v.len; i++)
                good = good && (is_alnum(v.data[i]) || v.data[i] == '-');
        return good ? 0
                    : say(ret,
                          "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is "
                          "'[-A-Za-z0-9]+')");
}

size_t name_check_port_name(struct sv v, struct strv *ret) {
        size_t n = v.len > 15 ? too_long(ret, "", 15) : 0;
        bool charset = v.len > 0, letter = false;
        for (size_t i = 0; i < v.len; i++) {
                charset = charset && (is_lower_alnum(v.data[i]) || v.data[i] == '-');
                letter = letter || (v.data[i] >= 'a' && v.data[i] <= 'z');
        }
        if (!charset)
                n += say(ret, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
        if (!letter)
                n += say(ret, "must contain at least one letter (a-z)");
        if (sv_find(v, SV("--")) >= 0)
                n += say(ret, "must not contain consecutive hyphens");
        if (v.len && (v.data[0] == '-' || v.data[v.len - 1] == '-'))
                n += say(ret, "must not begin or end with a hyphen");
        return n;
}

static size_t check_path_characters(struct sv v, struct strv *ret) {
        size_t n = sv_find_char(v, '/') >= 0 ? say(ret, "may not contain '/'") : 0;
        return sv_find_char(v, '%') >= 0 ? n + say(ret, "may not contain '%'") : n;
}

size_t name_check_path_segment(struct sv v, struct strv *ret) {
        if (sv_eq(v, SV(".")))
                return say(ret, "may not be '.'");
        return sv_eq(v, SV("..")) ? say(ret, "may not be '..'") : check_path_characters(v, ret);
}

char *name_generate(const char *prefix, const char *suffix) {
        return xasprintf("%.*s%s", NAME_LABEL_MAX - NAME_GENERATED_SUFFIX, prefix, suffix);
}

size_t name_check_prefix(name_check_fn *check, struct sv prefix, struct strv *ret) {
        if (check == name_check_path_segment)
                return check_path_characters(prefix, ret);
        if (prefix.len < 2 || prefix.data[prefix.len - 1] != '-')
                return check(prefix, ret);
        /* What the real server does: the last two characters become one that is always allowed. */
        AUTO(free) char *masked = xasprintf("%.*sa", (int)prefix.len - 2, prefix.data);
        return check(sv_of(masked), ret);
}
