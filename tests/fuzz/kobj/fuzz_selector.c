/* Any text: a label selector that is accepted is written and read back as the same text; field selectors only must not fail badly. */
#include "kobj/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(selector) struct selector s = {0}, again = {0};
        AUTO(field_selector) struct field_selector f = {0};
        AUTO(err) struct err err = ERR_INIT;
        struct sv text = sv_new((const char *)data, size);
        if (field_selector_parse(text, &f, NULL) == 0)
                field_selector_matches(&f, NULL);
        if (selector_parse(text, &s, &err) < 0)
                return 0;
        selector_matches(&s, NULL);
        AUTO(free) char *first = selector_format(&s);
        if (selector_parse(sv_of(first), &again, NULL) < 0)
                abort();
        AUTO(free) char *second = selector_format(&again);
        if (!streq(first, second))
                abort();
        return 0;
}
