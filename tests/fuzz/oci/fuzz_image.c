/* The documents of images: the first byte chooses which. */
#include "oci/auth.h"
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_reference(struct sv text) {
        AUTO(free) char *copy = sv_dup(text);
        AUTO(oci_reference) struct oci_reference r = {0}, again = {0};
        if (oci_reference_parse(copy, &r, NULL) < 0)
                return;
        /* A full name means the same when it is read again. */
        if (oci_reference_parse(r.name, &again, NULL) < 0 || !streq(r.name, again.name))
                abort();
}

static void as_manifest(struct sv text) {
        enum oci_manifest_kind kind;
        AUTO(oci_manifest) struct oci_manifest m = {0};
        AUTO(oci_descriptor) struct oci_descriptor a = {0}, b = {0};
        (void)!oci_manifest_kind(text, NULL, &kind, NULL);
        if (oci_manifest_parse(text, &m, NULL) == 0)
                vec_foreach(d, &m.layers) if (!oci_digest_is_valid(d->digest) || d->size < 0) abort();
        (void)!oci_index_choose(text, (struct oci_platform){"linux", "amd64", NULL}, &a, NULL);
        (void)!oci_index_find_tag(text, "x", &b, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (!size)
                return 0;
        struct sv text = sv_new((const char *)data + 1, size - 1);
        AUTO(oci_config) struct oci_config c = {0};
        AUTO(oci_logins) struct oci_logins l = {0};
        AUTO(oci_challenge) struct oci_challenge challenge = {0};
        AUTO(free) char *copy = sv_dup(text);
        switch (data[0]) {
        case 'r': as_reference(text); break;
        case 'm': as_manifest(text); break;
        case 'c': (void)!oci_config_parse(text, &c, NULL); break;
        case 'l':
                if (oci_logins_parse(text, &l, NULL) == 0)
                        (void)oci_logins_find(&l, "quay.io", "a/b");
                break;
        case 'w': (void)!oci_challenge_parse(copy, &challenge); break;
        case 's': (void)oci_signal_parse(copy); break;
        default: break;
        }
        return 0;
}
