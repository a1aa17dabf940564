/* What a webhook answers, and a webhook's rules of any shape: a configuration, a newline, the answer. */
#include "cluster/webhook_review.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct resource pods = {.group = (char *)"",
                               .version = (char *)"v1",
                               .plural = (char *)"pods",
                               .kind = (char *)"Pod",
                               .api_version = (char *)"v1",
                               .id = (char *)"pods"};

static void ask(struct sv text) {
        AUTO(json) yyjson_doc *webhook = NULL, *object = NULL;
        AUTO(str) struct str review = STR_INIT(0);
        if (json_parse(text, &webhook, NULL) < 0 ||
            json_parse(SV("{\"metadata\":{\"name\":\"x\",\"labels\":{\"a\":\"b\"}}}"), &object, NULL) < 0)
                return;
        struct webhook_subject u = {.res = &pods, .ns = "n", .name = "x", .object = yyjson_doc_get_root(object), .manager = "m"};
        const struct resource *as = webhook_wants(yyjson_doc_get_root(webhook), &u);
        if (as)
                webhook_review_write(yyjson_doc_get_root(webhook), &u, as, "u", &review);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct sv rest = sv_new((const char *)data, size), webhook;
        AUTO(webhook_answer) struct webhook_answer a = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (!sv_split(&rest, '\n', &webhook))
                return 0;
        ask(webhook);
        if (webhook_answer_parse(rest.data ? rest : SV(""), "u", true, &a, &err) == 0 && !a.allowed)
                webhook_refusal("w", &a, &err);
        return 0;
}
