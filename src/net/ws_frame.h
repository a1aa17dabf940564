/* WebSocket frames as bytes: reassembles messages out of what was read, in pieces of any size, and makes frames.
 * No I/O. The reader holds a partly received message, bounded by max_message, and nothing else. Source: RFC 6455, section 5. */
#ifndef FIRESTEEL_NET_WS_FRAME_H
#define FIRESTEEL_NET_WS_FRAME_H

#include "base/str.h"

enum ws_opcode {
        WS_CONTINUATION = 0,
        WS_TEXT = 1,
        WS_BINARY = 2,
        WS_CLOSE = 8,
        WS_PING = 9,
        WS_PONG = 10,
};

enum {
        WS_NORMAL = 1000,
        WS_PROTOCOL_ERROR = 1002,
        WS_NO_STATUS = 1005,
        WS_ABNORMAL = 1006,
        WS_INVALID_DATA = 1007,
        WS_TOO_BIG = 1009,
        WS_MAX_CONTROL = 125,
        WS_MAX_HEADER = 14,
};

struct ws_reader {
        bool expects_mask; /* the server's side */
        unsigned char header[WS_MAX_HEADER];
        unsigned char header_len, header_need;
        bool in_payload, fin;
        unsigned char opcode;  /* of the current frame */
        unsigned char message; /* opcode of the message being reassembled; 0 = none */
        unsigned char mask[4];
        uint64_t done, length; /* of the current frame's payload */
        struct str data;       /* of the message */
        struct str control;    /* of a control frame, which may come between its fragments */
};

struct ws_message {
        enum ws_opcode opcode;
        struct sv data; /* valid until the next call */
};

void ws_reader_init(struct ws_reader *r, bool expects_mask, size_t max_message);
void ws_reader_done(struct ws_reader *r);
/* Eats bytes of `data` (cut off its front) up to the end of one message. 1: there is a message; 0: more bytes are needed;
 * negative: the close code with which the connection must end. */
MUST_USE int ws_reader_next(struct ws_reader *r, struct sv *data, struct ws_message *ret);

/* The header of an unfragmented frame; mask NULL on the server's side. Returns its length. */
size_t ws_make_header(enum ws_opcode opcode, uint64_t length, const unsigned char *mask, unsigned char ret[WS_MAX_HEADER]);
void ws_apply_mask(const unsigned char mask[4], uint64_t offset, char *data, size_t len);
/* May a peer send this code in a close frame? */
bool ws_is_close_code(int code);

#endif
