#include "cluster/podrt/imageprune.h"

#include <unistd.h>

#include "base/log.h"
#include "cluster/podrt/userns.h"
#include "codec/json.h"

/* As root of a user namespace: what no name leads to goes; names were dealt with before. */
static int prune_there(void *arg, struct str *answer, struct err *err) {
        const struct oci_store *s = arg;
        AUTO(oci_prune_result) struct oci_prune_result result = {0};
        int r = oci_store_prune(s, &(struct oci_prune_options){0}, true, &result, err);
        if (r == 0)
                str_appendf(answer, "{\"blobs\":%zu,\"layers\":%zu,\"stuck\":%zu,\"bytes\":%lld}", result.blobs, result.layers,
                            result.stuck, (long long)result.bytes);
        return r;
}

int image_prune(const struct oci_store *s, const struct oci_prune_options *o, struct oci_prune_result *ret, struct err *err) {
        AUTO(str) struct str answer = STR_INIT(USERNS_MAX_ANSWER);
        AUTO(err) struct err why = ERR_INIT;
        AUTO(json) yyjson_doc *doc = NULL;
        struct oci_prune_result result = {0};
        int r = oci_store_prune(s, o, true, &result, err);
        if (r < 0)
                return r;
        if (result.stuck && geteuid() != 0) {
                r = userns_run(prune_there, (void *)(uintptr_t)s, &answer, &why);
                if (r == 0)
                        r = json_parse(str_sv(&answer), &doc, &why);
                if (r < 0) {
                        log_debug("pruning in a user namespace: %s", err_message(&why));
                } else {
                        yyjson_val *root = yyjson_doc_get_root(doc);
                        result.blobs += (size_t)json_get_int(root, "blobs", 0);
                        result.layers += (size_t)json_get_int(root, "layers", 0);
                        result.bytes += json_get_int(root, "bytes", 0);
                        result.stuck = (size_t)json_get_int(root, "stuck", 0);
                }
        }
        *ret = result;
        return 0;
}
