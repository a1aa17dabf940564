/* WebSocket (RFC 6455) over an upgraded stream, both sides. Messages are reassembled up to max_message;
 * pings are answered; close handshakes are done. Loop thread only. */
#ifndef FIRESTEEL_NET_WS_H
#define FIRESTEEL_NET_WS_H

#include "net/http_client.h"
#include "net/http_server.h"

struct ws;
struct ws_events {
        void (*on_message)(void *arg, bool is_text, struct sv message);
        /* The peer closed (code 1000 or its own) or the connection broke (code 1006); once, nothing after it. */
        void (*on_close)(void *arg, int code, struct sv reason);
        void (*on_drain)(void *arg); /* may be NULL */
        void *arg;
};

/* Is this request a WebSocket upgrade? */
bool ws_is_upgrade(const struct http_request *request);
/* Answers 101 choosing `protocol` (one the client offered, or NULL); NULL after a 400 when the handshake is bad. */
struct ws *ws_accept(struct http_exchange *x, const char *protocol, size_t max_message);
/* Does the client offer this subprotocol? */
bool ws_offers(const struct http_request *request, const char *protocol);

/* The client side: done gets the socket and the chosen subprotocol, or the error (with the HTTP status and body
 * of a refusal in it). Extra headers (Authorization) are borrowed. */
void ws_connect(struct http_client *c, const char *url, const struct http_headers *headers, const char *const *protocols, size_t max_message,
                void (*done)(void *arg, struct ws *w, const char *protocol, const struct err *err), void *arg);

void ws_set_events(struct ws *w, const struct ws_events *ev);
void ws_send(struct ws *w, bool is_text, struct sv message);
size_t ws_pending(const struct ws *w);
void ws_pause(struct ws *w, bool paused);
void ws_close(struct ws *w, int code, struct sv reason); /* handshake, then freed; no callback after it */
void ws_free(struct ws *w);

#endif
