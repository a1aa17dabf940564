/* Rules for names, label keys and values, and other short texts, with Kubernetes' own messages.
 *
 * Each check appends its messages to `ret` (which may be NULL when only the answer matters) and returns how many there are: 0 is valid.
 * Rules: k8s.io/apimachinery/pkg/util/validation and pkg/api/validation, 1.34. */
#ifndef FIRESTEEL_KOBJ_NAMES_H
#define FIRESTEEL_KOBJ_NAMES_H

#include "base/vec.h"
#include "base/str.h"

enum {
        NAME_LABEL_MAX = 63,      /* DNS-1123 and DNS-1035 labels */
        NAME_SUBDOMAIN_MAX = 253, /* DNS-1123 subdomains */
        NAME_GENERATED_SUFFIX = 5,
        ANNOTATIONS_MAX_BYTES = 256 * 1024, /* keys and values together */
};

size_t name_check_dns1123_label(struct sv v, struct strv *ret);
size_t name_check_dns1123_subdomain(struct sv v, struct strv *ret);
size_t name_check_wildcard_subdomain(struct sv v, struct strv *ret); /* "*.example.com" */
size_t name_check_dns1123_subdomain_underscore(struct sv v, struct strv *ret); /* search paths of DNS */
size_t name_check_dns1035_label(struct sv v, struct strv *ret);
size_t name_check_qualified(struct sv v, struct strv *ret);    /* label and annotation keys, finalizers, extended resources */
size_t name_check_label_value(struct sv v, struct strv *ret);
size_t name_check_config_key(struct sv v, struct strv *ret);   /* keys of ConfigMap and Secret data */
size_t name_check_env_var(struct sv v, struct strv *ret);      /* EnvVar.name */
size_t name_check_c_identifier(struct sv v, struct strv *ret);
size_t name_check_http_header(struct sv v, struct strv *ret);
size_t name_check_port_name(struct sv v, struct strv *ret);    /* IANA service name */
size_t name_check_path_segment(struct sv v, struct strv *ret); /* RBAC objects: "." ".." "/" "%" are refused */

/* What the first argument of a kind's name must be; used by tables of kinds. `prefix` relaxes the end, as for generateName. */
typedef size_t name_check_fn(struct sv v, struct strv *ret);
/* generateName's result: prefix cut to 58 characters plus `suffix`, owned by the caller. */
char *name_generate(const char *prefix, const char *suffix);
/* Messages for a generateName prefix: one trailing '-' is forgiven, as the suffix follows. */
size_t name_check_prefix(name_check_fn *check, struct sv prefix, struct strv *ret);

#endif
