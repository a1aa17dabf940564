#include "cluster/kinds/value_rules.h"

#include <arpa/inet.h>
#include <ctype.h>

static const char *text_of(const char *s) { return s ? s : ""; }

bool value_name(name_check_fn *check, const char *value, const char *path, struct invalid *bad) {
        AUTO(strv) struct strv why = {0};
        check(sv_of(text_of(value)), &why);
        invalid_names(bad, path, text_of(value), &why);
        return why.len == 0;
}

bool value_name_joined(name_check_fn *check, const char *value, const char *path, struct invalid *bad) {
        AUTO(strv) struct strv why = {0};
        check(sv_of(text_of(value)), &why);
        AUTO(free) char *joined = strv_join(&why, ",");
        if (why.len)
                invalid_string(bad, path, text_of(value), "%s", joined);
        return why.len == 0;
}

bool value_supported(const char *value, const char *path, const char *const *supported, struct invalid *bad) {
        if (str_is_one_of(text_of(value), supported))
                return true;
        invalid_not_supported(bad, path, text_of(value), supported);
        return false;
}

static bool refuse_number(int64_t value, const char *path, const char *why, struct invalid *bad) {
        invalid_int(bad, path, value, "%s", why);
        return false;
}

bool value_port(int64_t port, const char *path, struct invalid *bad) {
        return (port >= 1 && port <= 65535) || refuse_number(port, path, "must be between 1 and 65535, inclusive", bad);
}

bool value_nonnegative(int64_t value, const char *path, struct invalid *bad) {
        return value >= 0 || refuse_number(value, path, "must be greater than or equal to 0", bad);
}

void value_too_many(size_t count, size_t max, const char *path, struct invalid *bad) {
        AUTO(free) char *text = xasprintf("%zu", count);
        if (count > max)
                invalid_add(bad, path, INVALID_TOO_MANY, text, "must have at most %zu items", max);
}

/* Digits and a percent sign. */
static bool is_percent(const char *text) {
        size_t digits = strspn(text, "0123456789");
        return digits && streq(text + digits, "%");
}

bool value_int_or_percent(yyjson_val *value, const char *path, struct invalid *bad) {
        const char *text = yyjson_get_str(value);
        if (!text)
                return value_nonnegative(yyjson_get_sint(value), path, bad);
        if (is_percent(text))
                return true;
        invalid_string(
                bad, path, text,
                "a valid percent string must be a numeric string followed by an ending '%%' (e.g. '1%%',  or '93%%', regex used for validation is "
                "'[0-9]+%%')");
        return false;
}

bool value_at_most_all(yyjson_val *value, const char *path, struct invalid *bad) {
        const char *text = yyjson_get_str(value);
        if (!text || !is_percent(text) || strtoull(text, NULL, 10) <= 100)
                return true;
        invalid_string(bad, path, text, "must not be greater than 100%%");
        return false;
}

/* Addresses. */

static bool parse_v4(const char *text, unsigned char bytes[4]) {
        for (int part = 0; part < 4; part++) {
                unsigned n = 0;
                if (!isdigit((unsigned char)*text))
                        return false;
                while (isdigit((unsigned char)*text))
                        if ((n = n * 10 + (unsigned)(*text++ - '0')) > 255)
                                return false;
                if (part < 3 && *text++ != '.')
                        return false;
                bytes[part] = (unsigned char)n;
        }
        return *text == '\0';
}

enum ip_family value_ip_parse(const char *text, unsigned char bytes[16]) {
        static const unsigned char mapped[12] = {[10] = 0xff, 0xff};
        memcpy(bytes, mapped, sizeof(mapped));
        if (!text)
                return IP_NONE;
        if (parse_v4(text, bytes + 12))
                return IP_V4;
        if (inet_pton(AF_INET6, text, bytes) != 1)
                return IP_NONE;
        return memcmp(bytes, mapped, sizeof(mapped)) == 0 ? IP_V4 : IP_V6;
}

bool value_ip(const char *ip, const char *path, struct invalid *bad) {
        unsigned char bytes[16];
        if (value_ip_parse(ip, bytes) != IP_NONE)
                return true;
        invalid_string(bad, path, text_of(ip), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        return false;
}

bool value_ip_canonical(const char *ip, const char *path, struct invalid *bad) {
        unsigned char bytes[16];
        char canonical[INET6_ADDRSTRLEN];
        enum ip_family family = value_ip_parse(ip, bytes);
        if (family == IP_NONE)
                return value_ip(ip, path, bad);
        size_t before = bad->len;
        if (family == IP_V4 && !strchr(ip, ':') && inet_pton(AF_INET, ip, &(struct in_addr){0}) != 1)
                invalid_string(bad, path, ip, "must not have leading 0s");
        else if (family == IP_V4 && strchr(ip, ':'))
                invalid_string(bad, path, ip, "must not be an IPv4-mapped IPv6 address");
        else if (inet_ntop(family == IP_V4 ? AF_INET : AF_INET6, family == IP_V4 ? bytes + 12 : bytes, canonical, sizeof(canonical)) &&
                 !streq(canonical, ip))
                invalid_string(bad, path, ip, "must be in canonical form (\"%s\")", canonical);
        return bad->len == before;
}

bool value_ip_not_special(const char *ip, const char *path, struct invalid *bad) {
        unsigned char b[16];
        enum ip_family family = value_ip_parse(ip, b);
        const unsigned char *v4 = b + 12;
        bool is_v4 = family == IP_V4;
        size_t zeros = 0;
        const char *why = NULL;
        while (zeros < 16 && b[zeros] == 0)
                zeros++;
        if (family == IP_NONE)
                why = "must be a valid IP address";
        else if (is_v4 ? !(v4[0] | v4[1] | v4[2] | v4[3]) : zeros == 16)
                why = "may not be unspecified (0.0.0.0)";
        else if (is_v4 ? v4[0] == 127 : zeros == 15 && b[15] == 1)
                why = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
        else if (is_v4 ? v4[0] == 169 && v4[1] == 254 : b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
                why = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
        else if (is_v4 ? v4[0] == 224 && v4[1] == 0 && v4[2] == 0 : b[0] == 0xff && (b[1] & 0x0f) == 0x02)
                why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
        if (why)
                invalid_string(bad, path, text_of(ip), "%s", why);
        return !why;
}

bool value_cidr(const char *cidr, const char *path, struct invalid *bad) {
        const char *slash = cidr ? strchr(cidr, '/') : NULL;
        unsigned char bytes[16];
        if (slash) {
                AUTO(free) char *address = xstrndup(cidr, (size_t)(slash - cidr));
                enum ip_family family = value_ip_parse(address, bytes);
                size_t digits = strspn(slash + 1, "0123456789");
                unsigned long bits = strtoul(slash + 1, NULL, 10);
                if (family != IP_NONE && digits && digits < 9 && !slash[1 + digits] && bits <= (strchr(address, ':') ? 128 : 32))
                        return true;
        }
        invalid_string(bad, path, text_of(cidr), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        return false;
}

bool value_fqdn(const char *name, const char *path, struct invalid *bad) {
        AUTO(strv) struct strv labels = {0};
        AUTO(free) char *bare = xstrdup(text_of(name));
        bool good = true;
        if (!*bare) {
                invalid_required(bad, path, NULL);
                return false;
        }
        if (str_ends(bare, "."))
                bare[strlen(bare) - 1] = '\0';
        if (!value_name_joined(name_check_dns1123_subdomain, bare, path, bad))
                return false;
        strv_split(&labels, bare, '.');
        if (labels.len < 2) {
                invalid_string(bad, path, bare, "should be a domain with at least two segments separated by dots");
                return false;
        }
        for (size_t i = 0; i < labels.len; i++)
                good &= value_name_joined(name_check_dns1123_label, labels.items[i], path, bad);
        return good;
}

void value_prefixed_path(const char *text, const char *path, struct invalid *bad) {
        const char *slash = text ? strchr(text, '/') : NULL;
        AUTO(free) char *domain = slash ? xasprintf("%.*s", (int)(slash - text), text) : NULL;
        if (!text || !*text)
                invalid_required(bad, path, NULL);
        else if (!slash || slash == text || !slash[1])
                invalid_string(bad, path, text, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        else
                value_name(name_check_dns1123_subdomain, domain, path, bad);
}
