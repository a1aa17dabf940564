/* WebSocket (RFC 6455) over an upgraded stream, both sides. Messages are reassembled up to max_message (0 = 16 MiB;
 * larger ones end the connection with code 1009); pings are answered; close handshakes are done; text that is not UTF-8
 * ends the connection with 1007. No extensions. Loop thread only.
 * A socket lives until ws_close() or ws_free(), also after on_close. */
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

struct ws_connecting;
/* The client side (http, https, ws and wss URLs): done gets the socket and the chosen subprotocol (NULL when none), or the error
 * (with the HTTP status of a refusal in it, and its body as `details` when that is JSON). Extra headers (Authorization) are borrowed. done
 * is called once and never from within; the client must live until then, or ws_connect_cancel() be called before. */
struct ws_connecting *ws_connect(struct http_client *c, const char *url, const struct http_headers *headers, const char *const *protocols,
                                 size_t max_message, void (*done)(void *arg, struct ws *w, const char *protocol, const struct err *err),
                                 void *arg);
void ws_connect_cancel(struct ws_connecting *c);

/* A socket over a stream whose handshake was made elsewhere; takes the stream. */
struct ws *ws_new(struct loop *l, struct stream *s, bool is_client, size_t max_message);
void ws_set_events(struct ws *w, const struct ws_events *ev);
void ws_send(struct ws *w, bool is_text, struct sv message);
size_t ws_pending(const struct ws *w);
void ws_pause(struct ws *w, bool paused);
void ws_close(struct ws *w, int code, struct sv reason); /* handshake, then freed; no callback after it */
void ws_free(struct ws *w); /* no callback after it; a close frame already sent still gets through */
/* Keep-alive through proxies; the answer is not reported. */
void ws_ping(struct ws *w);

#endif
