#include "cluster/podrt/crilog.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "codec/ktime.h"

int crilog_open(const char *path, int64_t max_bytes, int max_files, struct crilog *ret, struct err *err) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        struct stat st = {0};
        if (fstat(fd, &st) < 0) {
                int r = -errno;
                close(fd);
                return err_errno(err, r, "%s", path);
        }
        *ret = (struct crilog){.path = xstrdup(path), .fd = fd, .size = st.st_size, .max_bytes = max_bytes, .max_files = max_files};
        return 0;
}

void crilog_close(struct crilog *l) {
        if (l->fd >= 0)
                close(l->fd);
        l->fd = -1;
        free(TAKE(l->path));
        str_done(&l->pending[0]);
        str_done(&l->pending[1]);
}

static int rotate(struct crilog *l) {
        for (int n = l->max_files; n > 0; n--) {
                AUTO(free) char *from = n == 1 ? xstrdup(l->path) : xasprintf("%s.%d", l->path, n - 1);
                AUTO(free) char *to = xasprintf("%s.%d", l->path, n);
                if (rename(from, to) < 0 && errno != ENOENT)
                        return -errno;
        }
        int fd = open(l->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0)
                return -errno;
        close(l->fd);
        l->fd = fd;
        l->size = 0;
        return 0;
}

static void append_line(struct str *out, const char *time, enum crilog_stream stream, char tag, struct sv text) {
        str_appendf(out, "%s %s %c ", time, stream == CRILOG_STDOUT ? "stdout" : "stderr", tag);
        str_append_sv(out, text);
        str_append_c(out, '\n');
}

/* Nanoseconds, as every reader of such logs expects; the clock here gives microseconds. */
static void format_time(int64_t now_us, char ret[KTIME_SIZE + 4]) {
        char micro[KTIME_SIZE];
        ktime_format_micro(now_us, micro);
        size_t len = strlen(micro);
        snprintf(ret, KTIME_SIZE + 4, "%.*s000Z", (int)(len - 1), micro);
}

static int put_out(struct crilog *l, const struct str *out) {
        if (!out->len)
                return 0;
        if (l->max_bytes > 0 && l->max_files > 0 && l->size > 0 && l->size + (int64_t)out->len > l->max_bytes) {
                int r = rotate(l);
                if (r < 0)
                        return r;
        }
        int r = fs_write_all(l->fd, out->data, out->len);
        if (r == 0)
                l->size += (int64_t)out->len;
        return r;
}

int crilog_write(struct crilog *l, enum crilog_stream stream, struct sv data, int64_t now_us) {
        AUTO(str) struct str out = STR_INIT(0);
        struct str *pending = &l->pending[stream];
        char time[KTIME_SIZE + 4];
        format_time(now_us, time);
        while (data.len) {
                ssize_t newline = sv_find_char(data, '\n');
                size_t take = newline < 0 ? data.len : (size_t)newline;
                size_t room = CRILOG_MAX_LINE - pending->len;
                bool is_cut = take > room;
                if (is_cut)
                        take = room;
                str_append(pending, data.data, take);
                data.data += take;
                data.len -= take;
                if (is_cut) {
                        append_line(&out, time, stream, 'P', str_sv(pending));
                        str_clear(pending);
                } else if (newline >= 0) {
                        append_line(&out, time, stream, 'F', str_sv(pending));
                        str_clear(pending);
                        data.data++;
                        data.len--;
                }
        }
        return put_out(l, &out);
}

void crilog_flush(struct crilog *l, int64_t now_us) {
        AUTO(str) struct str out = STR_INIT(0);
        char time[KTIME_SIZE + 4];
        format_time(now_us, time);
        for (int s = 0; s < 2; s++)
                if (l->pending[s].len) {
                        append_line(&out, time, (enum crilog_stream)s, 'P', str_sv(&l->pending[s]));
                        str_clear(&l->pending[s]);
                }
        (void)put_out(l, &out);
}

bool crilog_parse(struct sv line, struct crilog_line *ret) {
        struct crilog_line l = {0};
        ssize_t at = sv_find_char(line, ' ');
        if (at <= 0)
                return false;
        l.time_text = sv_new(line.data, (size_t)at);
        if (!ktime_parse(l.time_text, &l.time_us))
                return false;
        struct sv rest = sv_new(line.data + at + 1, line.len - (size_t)at - 1);
        if (sv_starts(rest, SV("stdout ")))
                l.stream = CRILOG_STDOUT;
        else if (sv_starts(rest, SV("stderr ")))
                l.stream = CRILOG_STDERR;
        else
                return false;
        rest = sv_new(rest.data + 7, rest.len - 7);
        /* Tags may be followed by others after a colon. */
        if (rest.len < 1 || (rest.data[0] != 'F' && rest.data[0] != 'P'))
                return false;
        l.is_partial = rest.data[0] == 'P';
        at = sv_find_char(rest, ' ');
        if (at < 0 || (at > 1 && rest.data[1] != ':'))
                return false;
        l.text = sv_new(rest.data + at + 1, rest.len - (size_t)at - 1);
        *ret = l;
        return true;
}
