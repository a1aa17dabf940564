/* Rules for single values that many kinds share: names, numbers, addresses, int-or-percent. Each adds what is wrong with the value at
 * `path`, in the words of Kubernetes 1.34 (pkg/apis/core/validation, apimachinery/pkg/util/validation), and returns whether it is good.
 * NULL texts are "". They know nothing of the object: rules for a member of one, which may be absent, are in rules.h. */
#ifndef FIRESTEEL_CLUSTER_KINDS_VALUE_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_VALUE_RULES_H

#include "kobj/invalid.h"
#include "kobj/names.h"

/* A list for value_supported and its like. */
#define SUPPORTED(...) ((const char *const[]){__VA_ARGS__, NULL})

bool value_name(name_check_fn *check, const char *value, const char *path, struct invalid *bad);
bool value_name_joined(name_check_fn *check, const char *value, const char *path, struct invalid *bad); /* all that is wrong as one item */
bool value_supported(const char *value, const char *path, const char *const *supported,
                     struct invalid *bad); /* `supported` ends with a NULL */
bool value_port(int64_t port, const char *path, struct invalid *bad);
bool value_nonnegative(int64_t value, const char *path, struct invalid *bad);
void value_too_many(size_t count, size_t max, const char *path, struct invalid *bad);

/* Of an IntOrString (NULL is 0): not negative, or a percentage in digits. */
bool value_int_or_percent(yyjson_val *value, const char *path, struct invalid *bad);
bool value_at_most_all(yyjson_val *value, const char *path, struct invalid *bad); /* no more than 100% */

enum ip_family { IP_NONE, IP_V4, IP_V6 };
/* As Go's ParseIPSloppy: leading zeros are forgiven, an IPv4-mapped address is IPv4, zones are not known. */
enum ip_family value_ip_parse(const char *text, unsigned char bytes[16]);
bool value_ip(const char *ip, const char *path, struct invalid *bad);           /* "legacy" fields: whatever can be parsed */
bool value_ip_canonical(const char *ip, const char *path, struct invalid *bad); /* newer ones: as Go would write it */
bool value_ip_not_special(const char *ip, const char *path, struct invalid *bad);
bool value_cidr(const char *cidr, const char *path, struct invalid *bad);
void value_prefixed_path(const char *text, const char *path, struct invalid *bad); /* DOMAIN/NAME */
bool value_fqdn(const char *name, const char *path, struct invalid *bad);

#endif
