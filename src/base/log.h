/* The program's own log: lines on standard error. Layers below the faces use log_debug() only; what
 * went wrong travels upwards in `struct err` and is printed once, by the face.
 * Thread-safe. FIRESTEEL_LOG=error|warn|info|debug sets the level, FIRESTEEL_LOG_FORMAT=json the form. */
#ifndef FIRESTEEL_BASE_LOG_H
#define FIRESTEEL_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_init_from_env(void);
void log_set_level(enum log_level level);
enum log_level log_level(void);
/* Times in front of the lines: on for servers, off for commands. */
void log_set_timestamps(int on);
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
        do {                                                                                       \
                if (log_level() >= LOG_DEBUG)                                                      \
                        log_line(LOG_DEBUG, __VA_ARGS__);                                          \
        } while (0)
/* "firesteel: MESSAGE" and, when there is one, "  hint: HINT". */
void log_err(const struct err *err);

#endif
