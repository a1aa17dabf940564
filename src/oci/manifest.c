#include "oci/manifest.h"

#include <signal.h>
#include <sys/utsname.h>

#include "codec/json.h"
#include "codec/ktime.h"

void oci_descriptor_done(struct oci_descriptor *d) {
        free(d->media_type);
        free(d->digest);
        *d = (struct oci_descriptor){0};
}

void oci_manifest_done(struct oci_manifest *m) {
        oci_descriptor_done(&m->config);
        vec_foreach(d, &m->layers) oci_descriptor_done(d);
        vec_done(&m->layers);
        *m = (struct oci_manifest){0};
}

void oci_config_done(struct oci_config *c) {
        free(c->os);
        free(c->architecture);
        free(c->working_dir);
        free(c->user);
        free(c->stop_signal);
        strv_done(&c->env);
        strv_done(&c->entrypoint);
        strv_done(&c->command);
        strv_done(&c->exposed_ports);
        strv_done(&c->diff_ids);
        *c = (struct oci_config){0};
}

struct oci_platform oci_platform_here(void) {
        static const struct {
                const char *machine, *architecture, *variant;
        } names[] = {{"x86_64", "amd64", NULL},    {"aarch64", "arm64", "v8"}, {"armv7l", "arm", "v7"},
                     {"armv6l", "arm", "v6"},      {"i686", "386", NULL},      {"i386", "386", NULL},
                     {"ppc64le", "ppc64le", NULL}, {"s390x", "s390x", NULL},   {"riscv64", "riscv64", NULL}};
        static struct utsname u;
        struct oci_platform p = {.os = "linux", .architecture = "amd64"};
        if (uname(&u) == 0) {
                p.architecture = u.machine;
                for (size_t i = 0; i < ARRAY_LEN(names); i++)
                        if (streq(u.machine, names[i].machine))
                                p = (struct oci_platform){"linux", names[i].architecture, names[i].variant};
        }
        return p;
}

static int parse_document(struct sv text, const char *what, yyjson_doc **ret, struct err *err) {
        int r = json_parse(text, ret, err);
        if (r < 0)
                return err_wrap(err, r, "%s", what);
        if (!yyjson_is_obj(yyjson_doc_get_root(*ret))) {
                yyjson_doc_free(TAKE(*ret));
                return err_set(err, -EINVAL, "%s is not a JSON object", what);
        }
        return 0;
}

int oci_manifest_kind(struct sv text, const char *media_type, enum oci_manifest_kind *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = parse_document(text, "manifest", &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc);
        const char *own = json_get_str(root, "mediaType");
        /* What the document says of itself counts more than what a server says about it. */
        const char *type = own ? own : media_type ? media_type : "";
        if (json_get_int(root, "schemaVersion", 2) == 1)
                return err_set(err, -ENOTSUP,
                               "the image is in Docker's schema 1, which registries gave up; push it again with a newer tool");
        bool has_manifests = yyjson_is_arr(yyjson_obj_get(root, "manifests")), has_layers = yyjson_is_arr(yyjson_obj_get(root, "layers"));
        if (streq(type, OCI_TYPE_INDEX) || streq(type, OCI_TYPE_DOCKER_LIST) || (has_manifests && !has_layers))
                *ret = OCI_KIND_INDEX;
        else if (streq(type, OCI_TYPE_MANIFEST) || streq(type, OCI_TYPE_DOCKER_MANIFEST) || (has_layers && !has_manifests))
                *ret = OCI_KIND_MANIFEST;
        else
                return err_set(err, -EINVAL, "neither an image manifest nor an index (media type \"%s\")", type);
        return 0;
}

static int parse_descriptor(yyjson_val *v, const char *what, struct oci_descriptor *ret, struct err *err) {
        const char *digest = json_get_str(v, "digest"), *type = json_get_str(v, "mediaType");
        int64_t size = json_get_int(v, "size", -1);
        if (!oci_digest_is_valid(digest))
                return err_set(err, -EINVAL, "%s: \"%s\" is not a sha256 digest", what, digest ? digest : "");
        if (size < 0 || size > OCI_MAX_LAYER_BYTES)
                return err_set(err, -EINVAL, "%s: a size of %lld bytes (at most 64 GiB is accepted)", what, (long long)size);
        *ret = (struct oci_descriptor){.media_type = xstrdup(type ? type : ""), .digest = xstrdup(digest), .size = size};
        return 0;
}

int oci_manifest_parse(struct sv text, struct oci_manifest *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(oci_manifest) struct oci_manifest m = {0};
        int r = parse_document(text, "image manifest", &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc), *layers = yyjson_obj_get(root, "layers"), *v;
        size_t i, max;
        if ((r = parse_descriptor(yyjson_obj_get(root, "config"), "image manifest, config", &m.config, err)) < 0)
                return r;
        if (m.config.size > OCI_MAX_CONFIG_BYTES)
                return err_set(err, -EFBIG, "image manifest: a configuration of %lld bytes (at most %d are read)", (long long)m.config.size,
                               OCI_MAX_CONFIG_BYTES);
        if (yyjson_arr_size(layers) > OCI_MAX_LAYERS)
                return err_set(err, -EFBIG, "image manifest: %zu layers (at most %d can be mounted)", yyjson_arr_size(layers),
                               OCI_MAX_LAYERS);
        yyjson_arr_foreach(layers, i, max, v) {
                struct oci_descriptor d = {0};
                if ((r = parse_descriptor(v, "image manifest, layer", &d, err)) < 0)
                        return r;
                *vec_push(&m.layers) = d;
        }
        *ret = m;
        m = (struct oci_manifest){0};
        return 0;
}

static bool matches(yyjson_val *platform, const struct oci_platform *want, bool exact) {
        const char *os = json_get_str(platform, "os"), *arch = json_get_str(platform, "architecture"),
                   *variant = json_get_str(platform, "variant");
        if (!os || !arch || !streq(os, want->os) || !streq(arch, want->architecture))
                return false;
        return !exact || streq_null(variant, want->variant) || (!variant && want->variant && streq(want->variant, "v8"));
}

int oci_index_choose(struct sv text, struct oci_platform platform, struct oci_descriptor *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = parse_document(text, "image index", &doc, err);
        if (r < 0)
                return r;
        yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "manifests"), *v;
        size_t i, max;
        for (int exact = 1; exact >= 0; exact--)
                yyjson_arr_foreach(list, i, max, v) if (matches(yyjson_obj_get(v, "platform"), &platform, exact)) return parse_descriptor(
                    v, "image index, manifest", ret, err);
        /* Tools that build for one machine only may leave the platform out. */
        if (yyjson_arr_size(list) == 1 && !yyjson_obj_get(yyjson_arr_get_first(list), "platform"))
                return parse_descriptor(yyjson_arr_get_first(list), "image index, manifest", ret, err);
        AUTO(str) struct str have = STR_INIT(2048);
        yyjson_arr_foreach(list, i, max, v) {
                const char *os = json_str_at(v, "/platform/os"), *arch = json_str_at(v, "/platform/architecture"),
                           *variant = json_str_at(v, "/platform/variant");
                if (os && !streq(os, "unknown"))
                        str_appendf(&have, "%s%s/%s%s%s", have.len ? ", " : "", os, arch ? arch : "?", variant ? "/" : "",
                                    variant ? variant : "");
        }
        return err_set(err, -ENOENT, "no match for platform %s/%s in manifest (there is: %s)", platform.os, platform.architecture,
                       have.len ? str_cstr(&have) : "nothing");
}

int oci_index_find_tag(struct sv text, const char *tag, struct oci_descriptor *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = parse_document(text, "index.json", &doc, err);
        if (r < 0)
                return r;
        yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "manifests"), *v;
        AUTO(str) struct str have = STR_INIT(2048);
        size_t i, max, count = yyjson_arr_size(list);
        yyjson_arr_foreach(list, i, max, v) {
                const char *name = json_str_at(v, "/annotations/org.opencontainers.image.ref.name");
                /* Some tools write the whole name there. */
                const char *colon = name ? strrchr(name, ':') : NULL;
                if (tag ? name && (streq(name, tag) || (colon && streq(colon + 1, tag))) : count == 1)
                        return parse_descriptor(v, "index.json, manifest", ret, err);
                str_appendf(&have, "%s%s", have.len ? ", " : "", name ? name : "(without a tag)");
        }
        if (!tag)
                return err_set(err, -ENOENT, "%s (%s)", count ? "several images are in it: name one by its tag" : "no image is in it",
                               have.len ? str_cstr(&have) : "index.json is empty");
        return err_set(err, -ENOENT, "no image with the tag \"%s\" is in it (there is: %s)", tag, have.len ? str_cstr(&have) : "nothing");
}

static void add_strings(struct strv *ret, yyjson_val *list) {
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(list, i, max, v) if (yyjson_is_str(v)) strv_add(ret, yyjson_get_str(v));
}

static char *text_of(yyjson_val *object, const char *key) {
        const char *text = json_get_str(object, key);
        return xstrdup(text ? text : "");
}

int oci_config_parse(struct sv text, struct oci_config *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(oci_config) struct oci_config c = {0};
        int r = parse_document(text, "image configuration", &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc), *config = yyjson_obj_get(root, "config"), *key, *v;
        size_t i, max;
        c.os = text_of(root, "os");
        c.architecture = text_of(root, "architecture");
        add_strings(&c.env, yyjson_obj_get(config, "Env"));
        add_strings(&c.entrypoint, yyjson_obj_get(config, "Entrypoint"));
        add_strings(&c.command, yyjson_obj_get(config, "Cmd"));
        c.working_dir = text_of(config, "WorkingDir");
        c.user = text_of(config, "User");
        c.stop_signal = text_of(config, "StopSignal");
        yyjson_obj_foreach(yyjson_obj_get(config, "ExposedPorts"), i, max, key, v) strv_add(&c.exposed_ports, yyjson_get_str(key));
        const char *created = json_get_str(root, "created");
        if (created)
                (void)!ktime_parse(sv_of(created), &c.created_us);
        yyjson_arr_foreach(json_at(root, "/rootfs/diff_ids"), i, max, v) {
                if (!oci_digest_is_valid(yyjson_get_str(v)))
                        return err_set(err, -EINVAL, "image configuration: rootfs.diff_ids[%zu] is not a sha256 digest", i);
                strv_add(&c.diff_ids, yyjson_get_str(v));
        }
        if (c.diff_ids.len > OCI_MAX_LAYERS)
                return err_set(err, -EFBIG, "image configuration: %zu layers (at most %d can be mounted)", c.diff_ids.len, OCI_MAX_LAYERS);
        *ret = c;
        c = (struct oci_config){0};
        return 0;
}

int oci_signal_parse(const char *text) {
        int64_t n;
        if (sv_to_int64(sv_of(text), &n))
                return n > 0 && n <= SIGRTMAX ? (int)n : 0;
        const char *name = str_starts(text, "SIG") ? text + 3 : text;
        if (str_starts(name, "RTMIN"))
                return !name[5]                                                                                   ? SIGRTMIN
                       : name[5] == '+' && sv_to_int64(sv_of(name + 6), &n) && n >= 0 && SIGRTMIN + n <= SIGRTMAX ? SIGRTMIN + (int)n
                                                                                                                  : 0;
        if (str_starts(name, "RTMAX"))
                return !name[5]                                                                                   ? SIGRTMAX
                       : name[5] == '-' && sv_to_int64(sv_of(name + 6), &n) && n >= 0 && SIGRTMAX - n >= SIGRTMIN ? SIGRTMAX - (int)n
                                                                                                                  : 0;
        for (int i = 1; i < SIGRTMIN; i++) {
                const char *known = sigabbrev_np(i);
                if (known && streq(known, name))
                        return i;
        }
        return 0;
}
