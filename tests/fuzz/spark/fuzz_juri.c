/* Any text as a path or URI: the result is a URI that resolves to itself. */
#include "spark/juri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(submission_inputs) struct submission_inputs in;
        submission_inputs_init(&in);
        in.cwd = xstrdup("/home/u");
        AUTO(free) char *text = xstrndup((const char *)data, size);
        AUTO(free) char *uri = juri_resolve(&in, text);
        AUTO(free) char *again = juri_resolve(&in, uri);
        AUTO(free) char *globbed = NULL;
        if (!streq(uri, again))
                abort();
        int r = juri_resolve_globs(&in, text, &globbed, NULL);
        (void)r;
        return 0;
}
