/* Allocation that aborts when memory runs out, and scope-bound clean-up.
 *
 * Small allocations whose size this program chooses never fail: they abort. Anything whose size a
 * peer chooses goes through `struct str` with a stated maximum (str.h).
 *
 * AUTO(x) declares a variable that is cleaned up at the end of its scope by x_cleanup_():
 *
 *     AUTO(free) char *path = xasprintf("%s/db", dir);
 *     AUTO(str) struct str body = STR_INIT(0);
 *
 * TAKE(p) hands a pointer over and leaves NULL behind, TAKE_FD(fd) the same for a descriptor.
 */
#ifndef FIRESTEEL_BASE_MEM_H
#define FIRESTEEL_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Being cleaned up is a use (clang thinks otherwise). */
#define AUTO(kind) __attribute__((cleanup(kind##_cleanup_), unused))
/* Defines kind##_cleanup_ for a pointer type whose destructor takes NULL. */
#define DEFINE_AUTO_PTR(kind, type, destructor)                                                    \
        static inline void kind##_cleanup_(type **p) {                                             \
                if (*p)                                                                            \
                        destructor(*p);                                                            \
        }
/* Defines kind##_cleanup_ for a value type. */
#define DEFINE_AUTO_VALUE(kind, type, destructor)                                                  \
        static inline void kind##_cleanup_(type *p) { destructor(p); }

#define TAKE(p)                                                                                    \
        ({                                                                                         \
                __typeof__(p) taken_ = (p);                                                        \
                (p) = NULL;                                                                        \
                taken_;                                                                            \
        })
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int taken_ = (fd);                                                                 \
                (fd) = -1;                                                                         \
                taken_;                                                                            \
        })

static inline void free_cleanup_(void *p) { free(*(void **)p); }
static inline void fd_cleanup_(int *fd) {
        if (*fd >= 0)
                close(*fd);
}

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull, nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull, nonnull));
char *xasprintf(const char *fmt, ...) PRINTF(1, 2) __attribute__((returns_nonnull));
char *xvasprintf(const char *fmt, va_list ap) PRINTF(1, 0) __attribute__((returns_nonnull));
/* strdup that passes NULL through. */
static inline char *xstrdup_null(const char *s) { return s ? xstrdup(s) : NULL; }

#define NEW(type) ((type *)xcalloc(1, sizeof(type)))

static inline int streq(const char *a, const char *b) { return strcmp(a, b) == 0; }
/* Equality that takes NULL on either side; two NULLs are equal. */
static inline int streq_null(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}

#endif
