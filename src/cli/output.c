#include "cli/output.h"

#include <sys/ioctl.h>

#include "codec/yaml.h"

enum output_format output_format_of(const char *name) {
        if (streq(name, "json"))
                return OUTPUT_JSON;
        if (streq(name, "yaml"))
                return OUTPUT_YAML;
        if (streq(name, "name"))
                return OUTPUT_NAME;
        return OUTPUT_TABLE;
}

static struct terminal look_up(int fd) {
        struct terminal t = {.is_tty = isatty(fd)};
        const char *no = getenv("NO_COLOR"), *force = getenv("FORCE_COLOR"), *term = getenv("TERM"), *columns = getenv("COLUMNS");
        t.colour = t.is_tty && !(term && streq(term, "dumb"));
        if (force && *force && !streq(force, "0"))
                t.colour = true;
        if (no && *no)
                t.colour = false;
        int64_t width = 0;
        struct winsize size;
        if (columns && sv_to_int64(sv_of(columns), &width) && width > 0 && width < 10000)
                t.width = (int)width;
        else if (t.is_tty && ioctl(fd, TIOCGWINSZ, &size) == 0)
                t.width = size.ws_col;
        return t;
}

const struct terminal *terminal_of(int fd) {
        static struct terminal known[3];
        static bool looked[3];
        int i = fd == 2 ? 2 : 1;
        if (!looked[i]) {
                known[i] = look_up(i);
                looked[i] = true;
        }
        return &known[i];
}

const char *style_begin(int fd, enum style style) {
        static const char *const codes[] = {
                [STYLE_PLAIN] = "",          [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",   [STYLE_RED] = "\033[31m",
                [STYLE_GREEN] = "\033[32m",  [STYLE_YELLOW] = "\033[33m", [STYLE_BLUE] = "\033[34m", [STYLE_CYAN] = "\033[36m",
        };
        return terminal_of(fd)->colour ? codes[style] : "";
}

const char *style_end(int fd) { return terminal_of(fd)->colour ? "\033[0m" : ""; }

size_t text_width(const char *text) {
        size_t width = 0;
        for (const char *p = text; *p; p++) {
                if (p[0] == '\033' && p[1] == '[') {
                        while (*p && *p != 'm')
                                p++;
                        if (!*p)
                                break;
                } else if (((unsigned char)*p & 0xc0) != 0x80) {
                        width++;
                }
        }
        return width;
}

void bytes_human(int64_t bytes, char ret[16]) {
        static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
        double value = (double)bytes;
        size_t unit = 0;
        while (value >= 999.5 && unit + 1 < ARRAY_LEN(units)) {
                value /= 1000;
                unit++;
        }
        snprintf(ret, 16, value < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

struct cell {
        char *text;
        enum style style;
};

struct grid {
        const struct grid_column *columns;
        size_t width; /* columns in the table */
        VEC(struct cell) cells;
        size_t *widths; /* of the columns when rows were printed last; NULL before */
};

struct grid *grid_new(const struct grid_column *columns) {
        struct grid *t = NEW(struct grid);
        t->columns = columns;
        while (columns[t->width].title)
                t->width++;
        return t;
}

void grid_free(struct grid *t) {
        if (!t)
                return;
        vec_foreach(c, &t->cells) free(c->text);
        vec_done(&t->cells);
        free(t->widths);
        free(t);
}

void grid_cell_style(struct grid *t, enum style style, const char *text) {
        /* A cell is one line whatever it came from; control characters would move the cursor. */
        char *copy = xstrdup(text && *text ? text : "-");
        for (char *p = copy; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 127)
                        *p = ' ';
        *vec_push(&t->cells) = (struct cell){copy, style};
}

void grid_cell(struct grid *t, const char *text) { grid_cell_style(t, STYLE_PLAIN, text); }

void grid_cellf(struct grid *t, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        grid_cell(t, text);
}

size_t grid_rows(const struct grid *t) { return t->cells.len / t->width; }

/* Takes what is too much from the widest shrinkable column, again and again, down to 8 columns each. */
static void fit(const struct grid *t, size_t *widths, int limit) {
        size_t total = 0;
        for (size_t i = 0; i < t->width; i++)
                total += widths[i] + (i + 1 < t->width ? 3 : 0);
        while (limit > 0 && total > (size_t)limit) {
                size_t widest = t->width;
                for (size_t i = 0; i < t->width; i++)
                        if (t->columns[i].shrink && widths[i] > 8 && (widest == t->width || widths[i] > widths[widest]))
                                widest = i;
                if (widest == t->width)
                        return;
                widths[widest]--;
                total--;
        }
}

static void print_cell(const char *text, enum style style, size_t width, bool right, bool last, bool coloured, FILE *out) {
        AUTO(str) struct str s = STR_INIT(0);
        size_t wide = text_width(text);
        if (wide > width) {
                size_t kept = 0;
                for (const char *p = text; *p; p++) {
                        if (((unsigned char)*p & 0xc0) != 0x80 && kept++ == width - 1)
                                break;
                        str_append_c(&s, *p);
                }
                str_append_s(&s, "…");
                wide = width;
        } else {
                str_append_s(&s, text);
        }
        int pad = (int)(width - wide);
        const char *begin = coloured && style != STYLE_PLAIN ? style_begin(1, style) : "";
        fprintf(out, "%*s%s%s%s%*s", right ? pad : 0, "", begin, str_cstr(&s), *begin ? style_end(1) : "", right || last ? 0 : pad, "");
        fputs(last ? "\n" : "   ", out);
}

/* Wide enough for the cells, and no narrower than before. */
static size_t *measure(const struct grid *t) {
        size_t *widths = xcalloc(t->width, sizeof(*widths));
        for (size_t i = 0; i < t->width; i++)
                widths[i] = t->widths ? t->widths[i] : text_width(t->columns[i].title);
        for (size_t i = 0; i < t->cells.len; i++) {
                size_t wide = text_width(t->cells.items[i].text);
                if (wide > widths[i % t->width])
                        widths[i % t->width] = wide;
        }
        fit(t, widths, terminal_of(1)->width);
        return widths;
}

void grid_print(struct grid *t, FILE *out) {
        bool colour = terminal_of(1)->colour;
        size_t *widths = measure(t);
        for (size_t i = 0; i < t->width && !t->widths; i++)
                print_cell(t->columns[i].title, STYLE_BOLD, widths[i], t->columns[i].right, i + 1 == t->width, colour, out);
        for (size_t i = 0; i < t->cells.len; i++) {
                struct cell *c = &t->cells.items[i];
                size_t column = i % t->width;
                print_cell(c->text, c->style, widths[column], t->columns[column].right, column + 1 == t->width, colour, out);
                free(c->text);
        }
        t->cells.len = 0;
        free(t->widths);
        t->widths = widths;
}

void output_doc(yyjson_val *root, enum output_format format, FILE *out) {
        if (format == OUTPUT_YAML) {
                AUTO(str) struct str s = STR_INIT(0);
                yaml_write(root, &s);
                fwrite(str_cstr(&s), 1, s.len, out);
                return;
        }
        AUTO(free) char *text = json_write(root, true, NULL);
        fprintf(out, "%s\n", text);
}

void output_mut_doc(yyjson_mut_val *root, enum output_format format, FILE *out) {
        AUTO(json) yyjson_doc *doc = mjson_freeze(root);
        output_doc(yyjson_doc_get_root(doc), format, out);
}
