/* Command-line options from a const table.
 *
 * The same table is the parser's, the help's, the manual's and the shell completion's. Long names are exact (`--conf`
 * is never taken for an abbreviation of anything), values come as `--name VALUE` or `--name=VALUE`, short ones as `-n VALUE`,
 * `-nVALUE` or `-n=VALUE`; short switches may be bundled (`-fq`). `--` ends the options. A switch takes `=true` and `=false`.
 *
 * Life cycle: option_parse() fills a zeroed struct options; the strings in it point into argv, which must outlive it.
 * Asking for an option that the table does not have is a bug and aborts.
 */
#ifndef FIRESTEEL_CLI_OPTION_H
#define FIRESTEEL_CLI_OPTION_H

#include "base/err.h"
#include "base/vec.h"

enum option_type {
        OPTION_SWITCH,   /* no value */
        OPTION_STRING,   /* the last one given counts */
        OPTION_INT,      /* decimal number between min and max */
        OPTION_CHOICE,   /* one of choices */
        OPTION_LIST,     /* repeatable; values are kept in order */
        OPTION_DURATION, /* 30s, 5m, 1h30m; a bare number is seconds */
};

struct option {
        const char *name; /* without dashes; NULL ends the table */
        char letter;      /* short form, or 0 */
        enum option_type type;
        const char *value;          /* what the value is called in the help: "PORT" */
        const char *help;           /* one sentence, no full stop */
        const char *otherwise;      /* the default: used when not given, and shown; or NULL */
        const char *const *choices; /* OPTION_CHOICE, NULL-terminated */
        int64_t min, max;           /* OPTION_INT; max 0 = no limit */
        const char *complete;       /* how shells complete the value: "file", "dir", "instance"; or NULL */
        bool hidden;                /* works, but is in no help */
};

struct option_value {
        int count;                 /* times given */
        bool on;                   /* switches */
        const char *text;          /* the last value */
        int64_t number;            /* OPTION_INT: the number; OPTION_DURATION: milliseconds */
        VEC(const char *) list;    /* OPTION_LIST: every value */
};

struct options {
        const struct option *table;
        struct option_value *values; /* parallel to the table */
        VEC(char *) args;            /* positional arguments, NULL-terminated once parsed */
        bool help;                   /* -h or --help was met; nothing after it was read */
};

void options_done(struct options *o);
DEFINE_AUTO_VALUE(options, struct options, options_done)

/* Parses argv (without the command's name). stop_at_positional: the first positional argument and all after it are left alone,
 * as what follows an application file is the application's. -EINVAL with a message for the user. */
MUST_USE int option_parse(const struct option *table, int argc, char **argv, bool stop_at_positional, struct options *ret, struct err *err);

bool option_given(const struct options *o, const char *name);
bool option_on(const struct options *o, const char *name);
const char *option_str(const struct options *o, const char *name); /* the default, or NULL, when not given */
int64_t option_int(const struct options *o, const char *name);     /* OPTION_DURATION: milliseconds; 0 without default */
size_t option_list(const struct options *o, const char *name, const char *const **ret); /* the count */

/* The nearest of NULL-terminated names when it is near enough to be what was meant, else NULL. */
const char *option_did_you_mean(const char *given, const char *const *names);

#endif
