#include "net/http.h"

#include <strings.h>

void http_headers_done(struct http_headers *h) {
        vec_foreach(e, &h->list) {
                free(e->name);
                free(e->value);
        }
        vec_done(&h->list);
}

void http_headers_add(struct http_headers *h, const char *name, const char *value) {
        *vec_push(&h->list) = (struct http_header){.name = xstrdup(name), .value = xstrdup(value)};
}

void http_headers_addf(struct http_headers *h, const char *name, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        char *value = xvasprintf(fmt, ap);
        va_end(ap);
        *vec_push(&h->list) = (struct http_header){.name = xstrdup(name), .value = value};
}

const char *http_headers_get(const struct http_headers *h, const char *name) {
        vec_foreach(e, &h->list) {
                if (strcasecmp(e->name, name) == 0)
                        return e->value;
        }
        return NULL;
}

bool http_headers_has_token(const struct http_headers *h, const char *name, const char *token) {
        vec_foreach(e, &h->list) {
                if (strcasecmp(e->name, name) != 0)
                        continue;
                struct sv rest = sv_of(e->value), part;
                while (sv_split(&rest, ',', &part)) {
                        if (sv_ieq(sv_trim(part), sv_of(token)))
                                return true;
                }
        }
        return false;
}

static const struct {
        int status;
        const char *text;
} statuses[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Request Entity Too Large"},
        {414, "Request URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Requested Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Entity"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
};

const char *http_status_text(int status) {
        for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
                if (statuses[i].status == status)
                        return statuses[i].text;
        }
        return "Unknown";
}
