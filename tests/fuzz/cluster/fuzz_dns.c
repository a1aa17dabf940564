/* Questions of pods, and answers of resolvers to what a name stands for: the first byte is the question's length. */
#include "cluster/podrt/dnsalias.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t len = size ? data[0] : 0;
        if (len + 1 > size)
                return 0;
        struct sv question = sv_new((const char *)data + 1, len), resolved = sv_new((const char *)data + 1 + len, size - 1 - len);
        struct dns_query q, again;
        AUTO(str) struct str out = STR_INIT(DNS_MAX_PACKET), query = STR_INIT(DNS_MAX_PACKET);
        if (!dns_parse(question, &q))
                return 0;
        /* A name that was read can be asked for. */
        if (q.name[0] && dnsalias_query(&q, q.name, &query) && !str_overflowed(&query) &&
            (!dns_parse(str_sv(&query), &again) || strcmp(q.name, again.name) != 0))
                abort();
        if (dnsalias_translate(question, &q, "db.example.com", resolved, &out) && out.len > DNS_MAX_PACKET)
                abort();
        return 0;
}
