/* HTTPS_PROXY, HTTP_PROXY and NO_PROXY as Go's programs read them: what kubectl would do, we do. */
#ifndef FIRESTEEL_NET_PROXY_ENV_H
#define FIRESTEEL_NET_PROXY_ENV_H

#include "base/err.h"

/* The proxy for that URL, or NULL; caller frees. Loopback addresses and `localhost` are never proxied. */
MUST_USE int proxy_env_for(const char *url, char **ret, struct err *err);
/* Does a NO_PROXY list cover host and port? */
int proxy_env_excludes(const char *no_proxy, const char *host, int port);

#endif
