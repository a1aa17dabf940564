#include "submit/logcause.h"

#include <ctype.h>

#include "base/str.h"

#define TRACEBACK "Traceback (most recent call last):"
#define MAIN_THREAD "Exception in thread \"main\""
#define CAUSED_BY "Caused by: "

enum { NONE = -1 };

static struct sv line_at(const struct strv *log, size_t i) { return sv_of(log->items[i]); }

/* A line with which log4j begins a record, of Spark's own layouts: 26/11/23 08:35:33 WARN ..., 2026-11-23T08:35:33 ..., {"ts": ... */
static bool is_record(struct sv line) {
        size_t digits = 0;
        while (digits < line.len && isdigit((unsigned char)line.data[digits]))
                digits++;
        bool is_dated = (digits == 2 || digits == 4) && line.len > digits + 3 && (line.data[digits] == '/' || line.data[digits] == '-') &&
                        isdigit((unsigned char)line.data[digits + 1]) && line.data[digits + 3] == line.data[digits];
        return is_dated || sv_starts(line, SV("{\""));
}

static bool has(struct sv line, const char *part) { return sv_find(line, sv_of(part)) >= 0; }

/* "ValueError: text", "a.b.SomeError": a name without blanks at the line's beginning, then a colon or nothing. */
static bool is_exception(struct sv line) {
        size_t n = 0;
        while (n < line.len && (isalnum((unsigned char)line.data[n]) || line.data[n] == '_' || line.data[n] == '.' || line.data[n] == '$'))
                n++;
        return n > 2 && isalpha((unsigned char)line.data[0]) &&
               (n == line.len || (line.data[n] == ':' && (n + 1 == line.len || line.data[n + 1] == ' ')));
}

/* The end of a traceback that begins at `i`: the first line that names an exception of Python. What other threads log may stand in between,
 * with Java's exceptions and their frames. */
static ssize_t exception_of(const struct strv *log, size_t i) {
        for (size_t j = i + 1; j < log->len; j++)
                if (is_exception(line_at(log, j)) && !(j + 1 < log->len && str_starts(log->items[j + 1], "\tat ")))
                        return (ssize_t)j;
        return NONE;
}

/* Java's exceptions that wrap a Python worker's end in its traceback: then the worker's own says what happened. */
static ssize_t past_traceback(const struct strv *log, ssize_t i) {
        if (i == NONE || !sv_ends(sv_trim(line_at(log, (size_t)i)), SV(TRACEBACK)))
                return i;
        ssize_t inner = exception_of(log, (size_t)i);
        return inner == NONE ? i : inner;
}

/* From an exception's line on to the next record: the innermost cause. */
static ssize_t innermost(const struct strv *log, ssize_t from) {
        ssize_t found = from;
        for (size_t i = (size_t)from + 1; i < log->len && !is_record(line_at(log, i)) && !str_starts(log->items[i], TRACEBACK); i++) {
                struct sv line = line_at(log, i);
                bool is_wrapped = found == from && sv_starts(line, SV(": ")); /* Py4J: what the call ended with */
                if (is_wrapped || sv_starts(line, SV(CAUSED_BY)))
                        found = (ssize_t)i;
        }
        return past_traceback(log, found);
}

/* Python says so of errors that end nothing: in a thread, in a finalizer, at the very end. */
static bool is_side_effect(const struct strv *log, size_t i) {
        return i > 0 && (str_starts(log->items[i - 1], "Exception in thread ") || str_starts(log->items[i - 1], "Exception ignored in") ||
                         str_starts(log->items[i - 1], "Error in atexit."));
}

static ssize_t own_end(const struct strv *log) {
        for (size_t i = log->len; i-- > 0;) {
                if (str_starts(log->items[i], MAIN_THREAD) && !strstr(log->items[i], "SparkUserAppException"))
                        return innermost(log, (ssize_t)i);
                if (!str_starts(log->items[i], TRACEBACK) || is_side_effect(log, i))
                        continue;
                ssize_t end = exception_of(log, i);
                if (end != NONE)
                        return sv_starts(line_at(log, (size_t)end), SV("py4j.")) ? innermost(log, end) : end;
        }
        return NONE;
}

static bool is_error(struct sv line) {
        return !sv_starts(line, SV("\tat ")) && !sv_starts(line, SV("    at ")) &&
               (has(line, "Exception") || has(line, "Error:") || has(line, CAUSED_BY) || has(line, "can't open file"));
}

static bool is_shutdown(struct sv record) {
        return has(record, " ShutdownHookManager: ") || has(record, "Invoking stop() from shutdown hook");
}

/* A cause belongs to the exception above it and is nearer to the truth; lines about it that loggers add later are not. */
static ssize_t logged(const struct strv *log, bool also_shutdown) {
        ssize_t found = NONE;
        bool is_skipped = false;
        for (size_t i = 0; i < log->len; i++) {
                struct sv line = sv_trim(line_at(log, i));
                if (is_record(line))
                        is_skipped = is_skipped || is_shutdown(line);
                if ((is_skipped && !also_shutdown) || !is_error(line_at(log, i)))
                        continue;
                if (found == NONE || sv_starts(line, SV(CAUSED_BY)) || !str_starts(log->items[found], CAUSED_BY) ||
                    sv_starts(line, SV("Exception in thread")))
                        found = (ssize_t)i;
        }
        return past_traceback(log, found);
}

char *log_cause(const struct strv *log) {
        ssize_t found = own_end(log);
        if (found == NONE)
                found = logged(log, false);
        if (found == NONE)
                found = logged(log, true);
        if (found == NONE)
                return NULL;
        struct sv text = sv_trim(line_at(log, (size_t)found));
        if (sv_starts(text, SV(": ")))
                text = sv_trim(sv_new(text.data + 1, text.len - 1));
        return text.len > LOGCAUSE_MAX ? xasprintf("%.*s...", LOGCAUSE_MAX, text.data) : sv_dup(text);
}
