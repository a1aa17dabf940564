/* What commands print: the terminal's properties, tables, documents.
 *
 * Colour only on a terminal and without NO_COLOR (or with FORCE_COLOR); width from COLUMNS, then the terminal, then none.
 * A table fits the width by shortening its shrinkable columns, never by wrapping; when standard output is no terminal
 * nothing is shortened.
 */
#ifndef FIRESTEEL_CLI_OUTPUT_H
#define FIRESTEEL_CLI_OUTPUT_H

#include <stdio.h>

#include "base/str.h"
#include "base/vec.h"
#include "codec/json.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME };
/* The value of CMD_OPTION_OUTPUT, which the option parser has checked. */
enum output_format output_format_of(const char *name);

struct terminal {
        bool is_tty;
        bool colour;
        int width; /* columns; 0 = unlimited */
};
/* Of standard output (fd 1) or standard error (fd 2); looked up once. */
const struct terminal *terminal_of(int fd);

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_GREEN, STYLE_YELLOW, STYLE_BLUE, STYLE_CYAN };
/* Escape sequence that begins a style, or "" without colour; style_end() ends it. */
const char *style_begin(int fd, enum style style);
const char *style_end(int fd);

struct grid_column {
        const char *title;
        bool right;  /* numbers */
        bool shrink; /* may be cut to fit the terminal */
};
struct grid;
/* columns: ended by a NULL title; must outlive the table. */
struct grid *grid_new(const struct grid_column *columns);
void grid_free(struct grid *t);
DEFINE_AUTO_PTR(grid, struct grid, grid_free)
/* Adds a cell to the current row; the row is full after as many cells as there are columns. NULL prints as `-`. */
void grid_cell(struct grid *t, const char *text);
void grid_cell_style(struct grid *t, enum style style, const char *text);
void grid_cellf(struct grid *t, const char *fmt, ...) PRINTF(2, 3);
size_t grid_rows(const struct grid *t);
/* Prints the rows and forgets them. The heading comes with the first ones only, so that a list can go on. */
void grid_print(struct grid *t, FILE *out);

/* A document in the format asked for (JSON or YAML). */
void output_doc(yyjson_val *root, enum output_format format, FILE *out);
void output_mut_doc(yyjson_mut_val *root, enum output_format format, FILE *out);

/* Columns that the text takes on a terminal (UTF-8, one column a character, escape sequences none). */
size_t text_width(const char *text);
/* 1234567 -> "1.2 MB". */
void bytes_human(int64_t bytes, char ret[16]);

#endif
