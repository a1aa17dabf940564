/* For tests of documents: JSON that must be good, and what rules say of it. */
#ifndef FIRESTEEL_TESTS_TEST_JSON_H
#define FIRESTEEL_TESTS_TEST_JSON_H

#include "kobj/invalid.h"
#include "unit/test.h"

static inline yyjson_doc *parse(const char *text) {
        yyjson_doc *doc = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (json_parse(sv_of(text), &doc, &err) < 0)
                fail_msg("%s: %s", text, err_message(&err));
        return doc;
}

/* One line an item, "FIELD: MESSAGE"; the caller's. */
static inline char *lines(const struct invalid *bad) {
        AUTO(str) struct str out = STR_INIT(0);
        vec_foreach(item, bad) str_appendf(&out, "%s%s: %s", out.len ? "\n" : "", item->field, item->message);
        return str_take(&out);
}

#endif
