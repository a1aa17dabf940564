/* Placeholder filled in below. */
#include "history/history-internal.h"

void page_list(const struct page_request *p, struct str *out) { str_append_s(out, p->h->conf->title); }
void page_app(const struct log_record *r, const char *key, const char *tab, const struct rest_query *q, const struct appmodel *m,
              const struct history_conf *conf, const struct redaction *redaction, const char *prefix, int64_t now_ms, struct str *out) {
        str_append_s(out, key);
}
