#include "cluster/podrt/dnsalias.h"

#include <arpa/inet.h>

enum { HEADER = 12, TYPE_CNAME = 5, CLASS_IN = 1, TTL_S = 5, RECORD = 10, LABEL_MAX = 63, NAME_MAX_BYTES = 255, POINTER_MAX = 0x3fff };

static unsigned u16(const unsigned char *p) { return (unsigned)p[0] << 8 | p[1]; }

static void put16(struct str *s, unsigned v) {
        const char b[2] = {(char)(v >> 8), (char)v};
        str_append(s, b, 2);
}

/* A final dot is fine. */
static bool put_name(struct str *s, const char *name) {
        struct sv rest = sv_of(name), label;
        size_t before = s->len;
        if (rest.len && rest.data[rest.len - 1] == '.')
                rest.len--;
        if (!rest.len)
                return false;
        while (sv_split(&rest, '.', &label)) {
                if (!label.len || label.len > LABEL_MAX)
                        return false;
                str_append_c(s, (char)label.len);
                str_append_sv(s, label);
        }
        str_append_c(s, 0);
        return s->len - before <= NAME_MAX_BYTES;
}

bool dnsalias_query(const struct dns_query *q, const char *name, struct str *ret) {
        put16(ret, q->id);
        put16(ret, 0x0100); /* recursion desired */
        put16(ret, 1);
        put16(ret, 0);
        put16(ret, 0);
        put16(ret, 0);
        if (!put_name(ret, name))
                return false;
        put16(ret, q->type);
        put16(ret, CLASS_IN);
        return true;
}

/* An answer that is being made: its addresses belong to the name in the alias. */
struct making {
        struct str *out;
        size_t start;
        unsigned owner, records;
};

static bool begin(struct making *m, struct sv question, const struct dns_query *q, int rcode, const char *name) {
        m->start = m->out->len;
        put16(m->out, q->id);
        put16(m->out, 0x8400 | (q->flags & 0x0100) | 0x0080 | (unsigned)rcode);
        put16(m->out, 1);
        put16(m->out, 0); /* filled in at the end */
        put16(m->out, 0);
        put16(m->out, 0);
        str_append(m->out, question.data + HEADER, q->question_len);
        put16(m->out, 0xc000 | HEADER);
        put16(m->out, TYPE_CNAME);
        put16(m->out, CLASS_IN);
        put16(m->out, 0);
        put16(m->out, TTL_S);
        size_t length_at = m->out->len;
        put16(m->out, 0);
        m->owner = (unsigned)(m->out->len - m->start);
        if (!put_name(m->out, name) || str_overflowed(m->out) || m->owner > POINTER_MAX)
                return false;
        m->out->data[length_at + 1] = (char)(m->out->len - length_at - 2);
        m->records = 1;
        return true;
}

static void add(struct making *m, unsigned type, const void *address, size_t len) {
        if (m->out->len - m->start + RECORD + 2 + len > DNS_MAX_PACKET)
                return;
        put16(m->out, 0xc000 | m->owner);
        put16(m->out, type);
        put16(m->out, CLASS_IN);
        put16(m->out, 0);
        put16(m->out, TTL_S);
        put16(m->out, (unsigned)len);
        str_append(m->out, address, len);
        m->records++;
}

static void finish(struct making *m) {
        m->out->data[m->start + 6] = (char)(m->records >> 8);
        m->out->data[m->start + 7] = (char)m->records;
}

bool dnsalias_answer(struct sv question, const struct dns_query *q, const char *name, const struct strv *addresses, struct str *ret) {
        struct making m = {.out = ret};
        if (!begin(&m, question, q, 0, name))
                return false;
        for (size_t i = 0; q->type == DNS_A && i < addresses->len; i++) {
                unsigned char ip[4];
                if (inet_pton(AF_INET, addresses->items[i], ip) == 1)
                        add(&m, DNS_A, ip, sizeof ip);
        }
        finish(&m);
        return true;
}

/* Over a name, which may end in a pointer. */
static bool skip_name(struct sv packet, size_t *at) {
        const unsigned char *p = (const unsigned char *)packet.data;
        while (*at < packet.len) {
                unsigned len = p[*at];
                if (len >= 0xc0) {
                        *at += 2;
                        return *at <= packet.len;
                }
                *at += 1 + (size_t)len;
                if (len == 0)
                        return true;
                if (len > LABEL_MAX)
                        return false;
        }
        return false;
}

bool dnsalias_translate(struct sv question, const struct dns_query *q, const char *name, struct sv resolved, struct str *ret) {
        const unsigned char *p = (const unsigned char *)resolved.data;
        struct making m = {.out = ret};
        size_t at = HEADER;
        if (resolved.len < HEADER || !(p[2] & 0x80) || !begin(&m, question, q, p[3] & 15, name))
                return false;
        for (unsigned n = u16(p + 4); n > 0; n--) {
                if (!skip_name(resolved, &at) || (at += 4) > resolved.len)
                        return false;
        }
        for (unsigned n = u16(p + 6); n > 0; n--) {
                if (!skip_name(resolved, &at) || at + RECORD > resolved.len)
                        return false;
                unsigned type = u16(p + at);
                size_t len = u16(p + at + 8), wanted = q->type == DNS_A ? 4 : 16;
                at += RECORD;
                if (at + len > resolved.len)
                        return false;
                if (type == q->type && (type == DNS_A || type == DNS_AAAA) && len == wanted)
                        add(&m, type, p + at, len);
                at += len;
        }
        finish(&m);
        return true;
}
