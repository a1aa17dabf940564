#include "base/err.h"

void err_done(struct err *err) {
        free(err->message);
        free(err->reason);
        free(err->details);
        free(err->hint);
        *err = ERR_INIT;
}

void err_clear(struct err *err) {
        if (err)
                err_done(err);
}

static void set_message(struct err *err, int code, char *message) {
        err_done(err);
        err->code = code;
        err->message = message;
}

int err_set(struct err *err, int code, const char *fmt, ...) {
        if (err) {
                va_list ap;
                va_start(ap, fmt);
                set_message(err, code, xvasprintf(fmt, ap));
                va_end(ap);
        }
        return code;
}

int err_errno(struct err *err, int code, const char *fmt, ...) {
        if (err) {
                va_list ap;
                va_start(ap, fmt);
                AUTO(free) char *text = xvasprintf(fmt, ap);
                va_end(ap);
                set_message(err, code, xasprintf("%s: %s", text, strerror(-code)));
        }
        return code;
}

int err_wrap(struct err *err, int code, const char *fmt, ...) {
        if (err) {
                va_list ap;
                va_start(ap, fmt);
                AUTO(free) char *text = xvasprintf(fmt, ap);
                va_end(ap);
                char *message = xasprintf("%s: %s", text, err->message ? err->message : strerror(-code));
                free(err->message);
                err->message = message;
                err->code = code;
        }
        return code;
}

int err_http(struct err *err, int code, int status, const char *reason, const char *fmt, ...) {
        if (err) {
                va_list ap;
                va_start(ap, fmt);
                set_message(err, code, xvasprintf(fmt, ap));
                va_end(ap);
                err->http_status = status;
                err->reason = xstrdup_null(reason);
        }
        return code;
}

void err_hint(struct err *err, const char *fmt, ...) {
        if (!err)
                return;
        va_list ap;
        va_start(ap, fmt);
        char *hint = xvasprintf(fmt, ap);
        va_end(ap);
        free(err->hint);
        err->hint = hint;
}

int err_move(struct err *dst, struct err *src) {
        int code = src->code;
        if (dst) {
                err_done(dst);
                *dst = *src;
                *src = ERR_INIT;
        } else {
                err_done(src);
        }
        return code;
}

void err_copy(struct err *dst, const struct err *src) {
        struct err copy = {
                .code = src->code,
                .http_status = src->http_status,
                .message = xstrdup_null(src->message),
                .reason = xstrdup_null(src->reason),
                .details = xstrdup_null(src->details),
                .hint = xstrdup_null(src->hint),
        };
        err_done(dst);
        *dst = copy;
}

const char *err_message(const struct err *err) {
        return err->message ? err->message : strerror(-err->code);
}
