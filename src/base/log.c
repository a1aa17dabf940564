#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/str.h"

static _Atomic int current_level = LOG_INFO;
static _Atomic int with_timestamps, as_json;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level) { current_level = level; }
enum log_level log_level(void) { return (enum log_level)current_level; }
void log_set_timestamps(int on) { with_timestamps = on; }

void log_init_from_env(void) {
        const char *level = getenv("FIRESTEEL_LOG");
        for (size_t i = 0; level && i < ARRAY_LEN(level_names); i++)
                if (streq(level, level_names[i]))
                        current_level = (int)i;
        const char *format = getenv("FIRESTEEL_LOG_FORMAT");
        as_json = format && streq(format, "json");
}

static void append_json_string(struct str *s, const char *text) {
        str_append_c(s, '"');
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p == '"' || *p == '\\')
                        str_appendf(s, "\\%c", *p);
                else if (*p < 0x20)
                        str_appendf(s, "\\u%04x", *p);
                else
                        str_append_c(s, (char)*p);
        }
        str_append_c(s, '"');
}

void log_line(enum log_level level, const char *fmt, ...) {
        if ((int)level > current_level)
                return;
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);

        AUTO(str) struct str line = STR_INIT(0);
        char when[40] = "";
        if (with_timestamps || as_json) {
                struct timespec now;
                struct tm tm;
                clock_gettime(CLOCK_REALTIME, &now);
                gmtime_r(&now.tv_sec, &tm);
                size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
                snprintf(when + n, sizeof when - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
        }
        if (as_json) {
                str_appendf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", when, level_names[level]);
                append_json_string(&line, text);
                str_append_s(&line, "}\n");
        } else if (with_timestamps) {
                str_appendf(&line, "%s %-5s %s\n", when, level_names[level], text);
        } else if (level == LOG_INFO) {
                str_appendf(&line, "%s\n", text);
        } else {
                str_appendf(&line, "firesteel: %s%s\n", level == LOG_ERROR ? "" : level == LOG_WARN ? "warning: " : "debug: ", text);
        }
        ssize_t n = write(STDERR_FILENO, line.data, line.len);
        (void)n; /* nowhere left to say it */
}

void log_err(const struct err *err) {
        log_error("%s", err_message(err));
        if (err->hint)
                log_info("  hint: %s", err->hint);
}
