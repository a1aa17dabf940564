/* The dictionary of SPDY/3's header compression: words with a 32-bit length in front, then text as it stands (section 2.6.10.1
 * of the draft). Spelled out so that it can be read; the test knows its length and Adler-32. */
#include <pthread.h>

#include "net/spdy.h"

static const char *const words[] = {
        "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding", "accept-language",
        "accept-ranges", "age", "allow", "authorization", "cache-control", "connection", "content-base", "content-encoding",
        "content-language", "content-length", "content-location", "content-md5", "content-range", "content-type", "date", "etag",
        "expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
        "last-modified", "location", "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer",
        "retry-after", "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning",
        "www-authenticate", "method", "get", "status", "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive",
        "origin",
};

static const char tail[] =
        "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
        "203 Non-Authoritative Information"
        "204 No Content"
        "301 Moved Permanently"
        "400 Bad Request"
        "401 Unauthorized"
        "403 Forbidden"
        "404 Not Found"
        "500 Internal Server Error"
        "501 Not Implemented"
        "503 Service Unavailable"
        "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec"
        " 00:00:00"
        " Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
        "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public"
        "privatemax-age=gzip,deflate,sdch"
        "charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static char text[1423];
static size_t length;

static void put(const char *s, size_t len) {
        if (length + len > sizeof text)
                abort();
        memcpy(text + length, s, len);
        length += len;
}

static void build(void) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
                size_t len = strlen(words[i]);
                const char prefix[4] = {0, 0, 0, (char)len};
                put(prefix, sizeof prefix);
                put(words[i], len);
        }
        put(tail, sizeof tail - 1);
}

struct sv spdy_dictionary(void) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, build);
        return sv_new(text, length);
}
