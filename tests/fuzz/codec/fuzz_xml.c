/* What parses has text that can be escaped and parsed again. */
#include "codec/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct xml_node *n) {
        if (!n->text || !n->name.len)
                abort();
        AUTO(str) struct str again = STR_INIT(0);
        str_append_s(&again, "<a>");
        xml_append_escaped(&again, sv_of(n->text));
        str_append_s(&again, "</a>");
        AUTO(arena) struct arena a = {0};
        struct xml_node *root;
        if (xml_parse(str_sv(&again), &a, &root, NULL) < 0 || strcmp(root->text, n->text) != 0)
                abort();
        for (const struct xml_node *c = n->first; c; c = c->next)
                check(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size > 20000)
                return 0;
        AUTO(arena) struct arena a = {0};
        struct xml_node *root;
        if (xml_parse(sv_new((const char *)data, size), &a, &root, NULL) == 0)
                check(root);
        return 0;
}
