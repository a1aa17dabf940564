#include "base/mem.h"

#include <stdio.h>

static void *or_die(void *p) {
        if (!p) {
                static const char text[] = "firesteel: out of memory\n";
                ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
                (void)n;
                abort();
        }
        return p;
}

void *xmalloc(size_t size) { return or_die(malloc(size ? size : 1)); }
void *xcalloc(size_t count, size_t size) { return or_die(calloc(count ? count : 1, size ? size : 1)); }
void *xrealloc(void *p, size_t size) { return or_die(realloc(p, size ? size : 1)); }
char *xstrdup(const char *s) { return or_die(strdup(s)); }
char *xstrndup(const char *s, size_t n) { return or_die(strndup(s, n)); }

char *xvasprintf(const char *fmt, va_list ap) {
        char *p = NULL;
        if (vasprintf(&p, fmt, ap) < 0)
                p = NULL;
        return or_die(p);
}

char *xasprintf(const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        char *p = xvasprintf(fmt, ap);
        va_end(ap);
        return p;
}
