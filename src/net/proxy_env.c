#include "net/proxy_env.h"

#include <arpa/inet.h>
#include <stdbool.h>

#include "base/str.h"
#include "codec/uri.h"

struct address {
        int family; /* 0: not an address */
        unsigned char bytes[16];
};

static struct address parse_address(const char *text) {
        struct address a = {0};
        if (inet_pton(AF_INET, text, a.bytes) == 1)
                a.family = AF_INET;
        else if (inet_pton(AF_INET6, text, a.bytes) == 1)
                a.family = AF_INET6;
        return a;
}

static bool is_loopback(const char *host) {
        struct address a = parse_address(host);
        static const unsigned char six[16] = {[15] = 1};
        return sv_ieq(sv_of(host), SV("localhost")) || (a.family == AF_INET && a.bytes[0] == 127) ||
               (a.family == AF_INET6 && memcmp(a.bytes, six, 16) == 0);
}

static bool in_network(const struct address *a, struct sv network) {
        ssize_t slash = sv_find_char(network, '/');
        int64_t bits;
        if (!a->family || slash < 0 || !sv_to_int64(sv_new(network.data + slash + 1, network.len - (size_t)slash - 1), &bits))
                return false;
        AUTO(free) char *base_text = xstrndup(network.data, (size_t)slash);
        struct address base = parse_address(base_text);
        if (base.family != a->family || bits < 0 || bits > (base.family == AF_INET ? 32 : 128))
                return false;
        for (int i = 0; i < bits; i++) {
                int mask = 0x80 >> (i % 8);
                if ((base.bytes[i / 8] & mask) != (a->bytes[i / 8] & mask))
                        return false;
        }
        return true;
}

/* One entry of NO_PROXY: *, a network, an address or a domain (with its sub-domains), each with an optional port. */
static bool entry_covers(struct sv entry, const char *host, const struct address *address, int port) {
        if (sv_eqs(entry, "*"))
                return true;
        if (sv_find_char(entry, '/') >= 0)
                return in_network(address, entry);
        AUTO(free) char *text = sv_dup(entry);
        char *name = text;
        struct address literal = parse_address(text);
        if (!literal.family) {
                char *colon = strrchr(text, ':');
                int64_t wanted;
                if (colon && sv_to_int64(sv_of(colon + 1), &wanted)) {
                        if (wanted != port)
                                return false;
                        *colon = '\0';
                }
                size_t len = strlen(name);
                if (name[0] == '[' && len > 1 && name[len - 1] == ']') {
                        name[len - 1] = '\0';
                        name++;
                }
                literal = parse_address(name);
        }
        if (literal.family)
                return address->family == literal.family && memcmp(address->bytes, literal.bytes, literal.family == AF_INET ? 4 : 16) == 0;
        bool sub_domains_only = name[0] == '.' || str_starts(name, "*.");
        if (str_starts(name, "*."))
                name++;
        if (name[0] == '.')
                name++;
        size_t len = strlen(name), host_len = strlen(host);
        if (len == 0)
                return false;
        if (!sub_domains_only && sv_ieq(sv_of(host), sv_of(name)))
                return true;
        return host_len > len && host[host_len - len - 1] == '.' && sv_ieq(sv_of(host + host_len - len), sv_of(name));
}

int proxy_env_excludes(const char *no_proxy, const char *host, int port) {
        struct address address = parse_address(host);
        struct sv rest = sv_of(no_proxy), part;
        while (sv_split(&rest, ',', &part)) {
                part = sv_trim(part);
                if (part.len > 0 && entry_covers(part, host, &address, port))
                        return 1;
        }
        return 0;
}

static const char *env_either(const char *upper, const char *lower) {
        const char *value = getenv(upper);
        if (!value || !*value)
                value = getenv(lower);
        return value && *value ? value : NULL;
}

int proxy_env_for(const char *url, char **ret, struct err *err) {
        AUTO(uri) struct uri u = {0};
        int r = uri_parse(url, &u, err);
        if (r < 0)
                return r;
        bool is_tls = streq_null(u.scheme, "https") || streq_null(u.scheme, "wss");
        const char *proxy = is_tls ? env_either("HTTPS_PROXY", "https_proxy") : env_either("HTTP_PROXY", "http_proxy");
        const char *no_proxy = env_either("NO_PROXY", "no_proxy");
        int port = u.port ? u.port : is_tls ? 443 : 80;
        if (!proxy || !u.host || is_loopback(u.host) || (no_proxy && proxy_env_excludes(no_proxy, u.host, port))) {
                *ret = NULL;
                return 0;
        }
        *ret = strstr(proxy, "://") ? xstrdup(proxy) : xasprintf("http://%s", proxy);
        return 0;
}
