#include "cli/progress.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/output.h"

struct progress {
        bool quiet, live; /* live: the line is rewritten */
        bool shown;       /* something of ours is on the line */
        char *step;       /* NULL: between steps */
        int64_t began_ms, drawn_ms;
        int wheel;
};

struct progress *progress_new(bool quiet) {
        struct progress *p = NEW(struct progress);
        p->quiet = quiet;
        const char *term = getenv("TERM");
        p->live = !quiet && terminal_of(2)->is_tty && !(term && streq(term, "dumb"));
        return p;
}

void progress_free(struct progress *p) {
        if (!p)
                return;
        progress_hide(p);
        free(p->step);
        free(p);
}

void progress_hide(struct progress *p) {
        if (p->shown) {
                fputs("\r\033[K", stderr);
                fflush(stderr);
        }
        p->shown = false;
        p->drawn_ms = 0;
}

static void draw(struct progress *p, const char *bar, const char *detail) {
        static const char *const wheel[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
        if (!p->live || !p->step)
                return;
        int64_t now = clock_mono_ms();
        if (p->shown && now - p->drawn_ms < 50)
                return;
        AUTO(str) struct str s = STR_INIT(0);
        str_appendf(&s, "%s %s", p->step, bar);
        if (detail && *detail)
                str_appendf(&s, "%s%s", *bar ? " " : "  ", detail);
        /* One line: what does not fit is cut, or the terminal would wrap and the rewriting break. */
        int width = terminal_of(2)->width;
        size_t room = width > 20 ? (size_t)width - 14 : 60, kept = 0, cut = 0;
        for (; cut < s.len; cut++)
                if (((unsigned char)s.data[cut] & 0xc0) != 0x80 && kept++ == room)
                        break;
        str_truncate(&s, cut);
        fprintf(stderr, "\r\033[K%s%s%s %s %s%.1f s%s", style_begin(2, STYLE_CYAN), wheel[p->wheel++ % (int)ARRAY_LEN(wheel)], style_end(2),
                str_cstr(&s), style_begin(2, STYLE_DIM), (double)(now - p->began_ms) / 1000, style_end(2));
        fflush(stderr);
        p->shown = true;
        p->drawn_ms = now;
}

void progress_step(struct progress *p, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        progress_hide(p);
        free(p->step);
        p->step = xvasprintf(fmt, ap);
        va_end(ap);
        p->began_ms = clock_mono_ms();
        draw(p, "", NULL);
}

void progress_update(struct progress *p, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *detail = xvasprintf(fmt, ap);
        va_end(ap);
        draw(p, "", detail);
}

void progress_bar(struct progress *p, int64_t done, int64_t total, const char *fmt, ...) {
        enum { CELLS = 24 };
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *detail = xvasprintf(fmt, ap);
        va_end(ap);
        AUTO(str) struct str bar = STR_INIT(0);
        int full = total > 0 ? (int)(done * CELLS / total) : 0;
        for (int i = 0; i < CELLS; i++)
                str_append_s(&bar, i < full ? "━" : "╌");
        draw(p, str_cstr(&bar), detail);
}

/* The line that stays: a mark, what was done, how long it took. */
static void finish(struct progress *p, enum style style, const char *mark, const char *fmt, va_list ap) {
        int64_t took = clock_mono_ms() - p->began_ms;
        AUTO(free) char *text = fmt ? xvasprintf(fmt, ap) : xstrdup(p->step ? p->step : "");
        progress_hide(p);
        fflush(stdout); /* both may lead to one file */
        fprintf(stderr, "%s%s%s %s", style_begin(2, style), mark, style_end(2), text);
        if (p->step && took < 1000)
                fprintf(stderr, "  %s%lld ms%s", style_begin(2, STYLE_DIM), (long long)took, style_end(2));
        else if (p->step)
                fprintf(stderr, "  %s%.1f s%s", style_begin(2, STYLE_DIM), (double)took / 1000, style_end(2));
        fputc('\n', stderr);
        free(p->step);
        p->step = NULL;
}

void progress_done(struct progress *p, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        if (!p->quiet)
                finish(p, STYLE_GREEN, "✓", fmt, ap);
        va_end(ap);
}

void progress_fail(struct progress *p, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        finish(p, STYLE_RED, "✗", fmt, ap);
        va_end(ap);
}
