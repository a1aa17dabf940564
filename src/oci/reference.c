#include "oci/reference.h"

#include "codec/sha256.h"

enum { NAME_MAX_BYTES = 255, TAG_MAX_BYTES = 128, PATH_MAX_BYTES = 4000 };

static const struct {
        const char *prefix;
        enum oci_transport transport;
} files[] = {{"oci:", OCI_LAYOUT}, {"oci-archive:", OCI_ARCHIVE}, {"docker-archive:", OCI_DOCKER_ARCHIVE}};

void oci_reference_done(struct oci_reference *r) {
        free(r->registry);
        free(r->repository);
        free(r->path);
        free(r->tag);
        free(r->digest);
        free(r->name);
        *r = (struct oci_reference){0};
}

bool oci_reference_is_file(const char *text) {
        for (size_t i = 0; i < ARRAY_LEN(files); i++)
                if (str_starts(text, files[i].prefix) && text[strlen(files[i].prefix)] == '/')
                        return true;
        return false;
}

bool oci_digest_is_valid(const char *digest) {
        if (!digest || !str_starts(digest, "sha256:"))
                return false;
        const char *hex = oci_digest_hex(digest);
        return strspn(hex, "0123456789abcdef") == 64 && !hex[64];
}

void oci_digest_of(struct sv data, char ret[OCI_DIGEST_SIZE]) {
        memcpy(ret, "sha256:", 7);
        sha256_hex(data, ret + 7);
}

static bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
static bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

/* [a-z0-9]+ joined by one dot, one or two underscores, or any number of dashes. */
static bool component_is_valid(struct sv c) {
        if (!c.len || !is_lower_alnum(c.data[0]) || !is_lower_alnum(c.data[c.len - 1]))
                return false;
        for (size_t i = 0; i < c.len;) {
                if (is_lower_alnum(c.data[i])) {
                        i++;
                        continue;
                }
                size_t run = i;
                while (c.data[run] == c.data[i])
                        run++;
                size_t len = run - i;
                if (!is_lower_alnum(c.data[run]) || (c.data[i] == '.' && len > 1) || (c.data[i] == '_' && len > 2) ||
                    !strchr("._-", c.data[i]))
                        return false;
                i = run;
        }
        return true;
}

static bool repository_is_valid(struct sv text) {
        struct sv part;
        if (!text.len)
                return false;
        while (sv_split(&text, '/', &part))
                if (!component_is_valid(part))
                        return false;
        return true;
}

/* host[:port], the host a name, an address or [IPv6]. */
static bool registry_is_valid(struct sv text) {
        ssize_t colon = sv_rfind_char(text, ':');
        if (text.len && text.data[0] == '[') {
                ssize_t end = sv_find_char(text, ']');
                for (ssize_t i = 1; i < end; i++)
                        if (!strchr("0123456789abcdefABCDEF:", text.data[i]))
                                return false;
                if (end < 2 || ((size_t)end + 1 < text.len && text.data[end + 1] != ':'))
                        return false;
                colon = (size_t)end + 1 < text.len ? end + 1 : -1;
        } else {
                size_t len = colon < 0 ? text.len : (size_t)colon;
                for (size_t i = 0; i < len; i++)
                        if (!is_alnum(text.data[i]) && !((text.data[i] == '.' || text.data[i] == '-') && i > 0 && i + 1 < len))
                                return false;
                if (!len)
                        return false;
        }
        int64_t port;
        return colon < 0 || (sv_to_int64(sv_new(text.data + colon + 1, text.len - (size_t)colon - 1), &port) && port > 0 && port < 65536);
}

static bool tag_is_valid(struct sv tag) {
        if (!tag.len || tag.len > TAG_MAX_BYTES || !(is_alnum(tag.data[0]) || tag.data[0] == '_'))
                return false;
        for (size_t i = 1; i < tag.len; i++)
                if (!is_alnum(tag.data[i]) && !strchr("_.-", tag.data[i]))
                        return false;
        return true;
}

static int invalid(const char *text, const char *why, struct err *err) {
        return err_set(err, -EINVAL, "couldn't parse image name \"%s\": invalid reference format%s%s", text, why ? ": " : "",
                       why ? why : "");
}

static int parse_file(const char *text, size_t prefix, enum oci_transport transport, struct oci_reference *ret, struct err *err) {
        struct sv path = sv_of(text + prefix), tag = SV_NULL;
        ssize_t colon = sv_rfind_char(path, ':'), slash = sv_rfind_char(path, '/');
        if (path.len > PATH_MAX_BYTES)
                return invalid(text, "the path is too long", err);
        if (path.data[0] != '/')
                return invalid(text, "the path must be absolute", err);
        if (colon > slash) {
                tag = sv_new(path.data + colon + 1, path.len - (size_t)colon - 1);
                path.len = (size_t)colon;
        }
        if (tag.data && !tag.len)
                return invalid(text, "the tag is empty", err);
        *ret = (struct oci_reference){
                .transport = transport, .path = sv_dup(path), .tag = tag.data ? sv_dup(tag) : NULL, .name = xstrdup(text)};
        return 0;
}

static void complete(struct oci_reference *r) {
        r->name = r->digest ? xasprintf("%s/%s@%s", r->registry, r->repository, r->digest)
                            : xasprintf("%s/%s:%s", r->registry, r->repository, r->tag);
}

int oci_reference_parse(const char *text, struct oci_reference *ret, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(files); i++)
                if (str_starts(text, files[i].prefix) && (text[strlen(files[i].prefix)] == '/' || text[strlen(files[i].prefix)] == '.'))
                        return parse_file(text, strlen(files[i].prefix), files[i].transport, ret, err);
        AUTO(oci_reference) struct oci_reference r = {.transport = OCI_REGISTRY};
        struct sv rest = sv_of(text);
        ssize_t at = sv_find_char(rest, '@');
        if (at >= 0) {
                r.digest = xstrdup(text + at + 1);
                if (!oci_digest_is_valid(r.digest))
                        return invalid(text, "a digest is \"sha256:\" and 64 hexadecimal digits", err);
                rest.len = (size_t)at;
        }
        ssize_t colon = sv_rfind_char(rest, ':'), slash = sv_rfind_char(rest, '/');
        if (colon > slash) {
                struct sv tag = sv_new(rest.data + colon + 1, rest.len - (size_t)colon - 1);
                if (!tag_is_valid(tag))
                        return invalid(text, NULL, err);
                r.tag = sv_dup(tag);
                rest.len = (size_t)colon;
        }
        ssize_t first = sv_find_char(rest, '/');
        struct sv head = sv_new(rest.data, first < 0 ? 0 : (size_t)first);
        if (first >= 0 && (sv_find_char(head, '.') >= 0 || sv_find_char(head, ':') >= 0 || sv_eqs(head, "localhost"))) {
                if (!registry_is_valid(head))
                        return invalid(text, NULL, err);
                r.registry = sv_dup(head);
                rest = sv_new(rest.data + first + 1, rest.len - (size_t)first - 1);
                if (streq(r.registry, "index.docker.io") || streq(r.registry, "registry-1.docker.io")) {
                        free(r.registry);
                        r.registry = xstrdup("docker.io");
                }
        } else {
                r.registry = xstrdup("docker.io");
        }
        if (rest.len > NAME_MAX_BYTES || !repository_is_valid(rest)) {
                for (size_t i = 0; i < rest.len; i++)
                        if (rest.data[i] >= 'A' && rest.data[i] <= 'Z')
                                return invalid(text, "repository name must be lowercase", err);
                return invalid(text, NULL, err);
        }
        bool is_official = streq(r.registry, "docker.io") && sv_find_char(rest, '/') < 0;
        r.repository = is_official ? xasprintf("library/%.*s", SV_ARG(rest)) : sv_dup(rest);
        if (!r.tag && !r.digest)
                r.tag = xstrdup("latest");
        complete(&r);
        *ret = r;
        r = (struct oci_reference){0};
        return 0;
}
