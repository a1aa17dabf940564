#include "cluster/controllers/index_set.h"

#include "base/str.h"

void index_set_done(struct index_set *s) { vec_done(s); }

/* The first range that ends at `index` or after it. */
static size_t find(const struct index_set *s, int64_t index) {
        size_t low = 0, high = s->len;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (s->items[middle].last >= index)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

static void add_range(struct index_set *s, int64_t first, int64_t last) {
        size_t from = find(s, first - 1), to = from;
        for (; to < s->len && s->items[to].first <= last + 1; to++) {
                if (s->items[to].first < first)
                        first = s->items[to].first;
                if (s->items[to].last > last)
                        last = s->items[to].last;
        }
        if (to == from) {
                (void)vec_push(s);
                memmove(&s->items[from + 1], &s->items[from], (s->len - 1 - from) * sizeof(*s->items));
        } else {
                memmove(&s->items[from + 1], &s->items[to], (s->len - to) * sizeof(*s->items));
                s->len -= to - from - 1;
        }
        s->items[from] = (struct index_range){first, last};
}

void index_set_add(struct index_set *s, int64_t index) { add_range(s, index, index); }

void index_set_add_all(struct index_set *s, const struct index_set *more) { vec_foreach(r, more) add_range(s, r->first, r->last); }

void index_set_parse(struct index_set *s, const char *text, int64_t limit) {
        struct sv rest = sv_of(text), part;
        while (text && sv_split(&rest, ',', &part)) {
                int64_t first, last;
                ssize_t dash = sv_find_char(part, '-');
                struct sv from = dash < 0 ? part : sv_new(part.data, (size_t)dash),
                          to = dash < 0 ? part : sv_new(part.data + dash + 1, part.len - (size_t)dash - 1);
                if (!sv_to_int64(from, &first) || !sv_to_int64(to, &last) || first < 0)
                        continue;
                if (last >= limit)
                        last = limit - 1;
                if (first <= last)
                        add_range(s, first, last);
        }
}

bool index_set_has(const struct index_set *s, int64_t index) {
        size_t at = find(s, index);
        return at < s->len && s->items[at].first <= index;
}

int64_t index_set_total(const struct index_set *s) {
        int64_t total = 0;
        vec_foreach(r, s) total += r->last - r->first + 1;
        return total;
}

int64_t index_set_common(const struct index_set *a, const struct index_set *b) {
        int64_t total = 0;
        for (size_t i = 0, k = 0; i < a->len && k < b->len;) {
                struct index_range x = a->items[i], y = b->items[k];
                int64_t first = x.first > y.first ? x.first : y.first, last = x.last < y.last ? x.last : y.last;
                if (first <= last)
                        total += last - first + 1;
                if (x.last <= y.last)
                        i++;
                if (y.last <= x.last)
                        k++;
        }
        return total;
}

char *index_set_text(const struct index_set *s) {
        AUTO(str) struct str out = STR_INIT(0);
        vec_foreach(r, s) {
                str_appendf(&out, "%s%lld", out.len ? "," : "", (long long)r->first);
                if (r->last > r->first)
                        str_appendf(&out, "%c%lld", r->last > r->first + 1 ? '-' : ',', (long long)r->last);
        }
        return str_take(&out);
}
