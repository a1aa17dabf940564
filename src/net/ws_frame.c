#include "net/ws_frame.h"

void ws_reader_init(struct ws_reader *r, bool expects_mask, size_t max_message) {
        *r = (struct ws_reader){.expects_mask = expects_mask, .header_need = 2};
        r->data = STR_INIT(max_message);
        r->control = STR_INIT(WS_MAX_CONTROL);
}

void ws_reader_done(struct ws_reader *r) {
        str_done(&r->data);
        str_done(&r->control);
}

void ws_apply_mask(const unsigned char mask[4], uint64_t offset, char *data, size_t len) {
        size_t i = 0;
        for (; i < len && (offset + i) % 4 != 0; i++)
                data[i] ^= (char)mask[(offset + i) % 4];
        uint32_t word;
        memcpy(&word, mask, 4);
        for (; i + 4 <= len; i += 4) {
                uint32_t part;
                memcpy(&part, data + i, 4);
                part ^= word;
                memcpy(data + i, &part, 4);
        }
        for (; i < len; i++)
                data[i] ^= (char)mask[(offset + i) % 4];
}

static bool is_control(unsigned char opcode) { return opcode >= WS_CLOSE; }

/* The first two bytes decide how long the header is, and most of what can be wrong. */
static int check_start(struct ws_reader *r) {
        unsigned char a = r->header[0], b = r->header[1];
        unsigned char opcode = a & 0x0f, length = b & 0x7f;
        bool fin = a & 0x80, masked = b & 0x80;
        if ((a & 0x70) || masked != r->expects_mask)
                return -WS_PROTOCOL_ERROR;
        if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
                return -WS_PROTOCOL_ERROR;
        if (is_control(opcode) && (!fin || length > WS_MAX_CONTROL))
                return -WS_PROTOCOL_ERROR;
        if (!is_control(opcode) && (opcode == WS_CONTINUATION) != (r->message != 0))
                return -WS_PROTOCOL_ERROR;
        r->fin = fin;
        r->opcode = opcode;
        r->header_need = (unsigned char)(2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (masked ? 4 : 0));
        return 0;
}

static int check_header(struct ws_reader *r) {
        unsigned char length = r->header[1] & 0x7f;
        size_t bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
        r->length = bytes ? 0 : length;
        for (size_t i = 0; i < bytes; i++)
                r->length = r->length << 8 | r->header[2 + i];
        if ((bytes == 2 && r->length < 126) || (bytes == 8 && (r->length < 65536 || r->length >> 63)))
                return -WS_PROTOCOL_ERROR;
        if (r->expects_mask)
                memcpy(r->mask, r->header + 2 + bytes, 4);
        if (!is_control(r->opcode)) {
                if (r->length > r->data.max || r->data.len > r->data.max - r->length)
                        return -WS_TOO_BIG;
                if (r->opcode != WS_CONTINUATION)
                        r->message = r->opcode;
        }
        r->done = 0;
        r->in_payload = true;
        return 0;
}

static int read_header(struct ws_reader *r, struct sv *data) {
        while (r->header_len < r->header_need && data->len) {
                r->header[r->header_len++] = (unsigned char)*data->data++;
                data->len--;
                if (r->header_len == 2) {
                        int code = check_start(r);
                        if (code < 0)
                                return code;
                }
        }
        return r->header_len == r->header_need ? check_header(r) : 0;
}

static void read_payload(struct ws_reader *r, struct sv *data) {
        struct str *to = is_control(r->opcode) ? &r->control : &r->data;
        uint64_t missing = r->length - r->done;
        size_t n = data->len < missing ? data->len : (size_t)missing;
        if (r->done == 0 && r->length > n && r->length <= 1024 * 1024)
                str_reserve(to, (size_t)r->length); /* small enough to trust the announcement */
        str_append(to, data->data, n);
        if (r->expects_mask && n)
                ws_apply_mask(r->mask, r->done, to->data + to->len - n, n);
        r->done += n;
        *data = sv_new(data->data + n, data->len - n);
}

static int finish_close(struct sv body) {
        if (body.len == 1)
                return -WS_PROTOCOL_ERROR;
        if (body.len >= 2) {
                int code = (unsigned char)body.data[0] << 8 | (unsigned char)body.data[1];
                if (!ws_is_close_code(code))
                        return -WS_PROTOCOL_ERROR;
                if (!sv_is_utf8(sv_new(body.data + 2, body.len - 2)))
                        return -WS_INVALID_DATA;
        }
        return 1;
}

/* The frame is complete. 1 when a message is, too. */
static int finish_frame(struct ws_reader *r, struct ws_message *ret) {
        r->in_payload = false;
        r->header_len = 0;
        r->header_need = 2;
        if (is_control(r->opcode)) {
                *ret = (struct ws_message){.opcode = r->opcode, .data = str_sv(&r->control)};
                return r->opcode == WS_CLOSE ? finish_close(ret->data) : 1;
        }
        if (!r->fin)
                return 0;
        *ret = (struct ws_message){.opcode = r->message, .data = str_sv(&r->data)};
        r->message = 0;
        return ret->opcode == WS_TEXT && !sv_is_utf8(ret->data) ? -WS_INVALID_DATA : 1;
}

int ws_reader_next(struct ws_reader *r, struct sv *data, struct ws_message *ret) {
        /* What the last call returned was used by now. Large buffers are not kept for an idle time. */
        if (!r->in_payload)
                str_clear(&r->control);
        if (!r->message && r->data.len)
                str_done(&r->data);
        while (data->len) {
                if (!r->in_payload) {
                        int code = read_header(r, data);
                        if (code < 0)
                                return code;
                        if (!r->in_payload)
                                return 0;
                }
                read_payload(r, data);
                if (r->done < r->length)
                        return 0;
                int code = finish_frame(r, ret);
                if (code != 0)
                        return code;
        }
        return 0;
}

size_t ws_make_header(enum ws_opcode opcode, uint64_t length, const unsigned char *mask, unsigned char ret[WS_MAX_HEADER]) {
        size_t bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
        ret[0] = (unsigned char)(0x80 | opcode);
        ret[1] = (unsigned char)((mask ? 0x80 : 0) | (bytes == 0 ? length : bytes == 2 ? 126 : 127));
        for (size_t i = 0; i < bytes; i++)
                ret[2 + i] = (unsigned char)(length >> (8 * (bytes - 1 - i)));
        if (mask)
                memcpy(ret + 2 + bytes, mask, 4);
        return 2 + bytes + (mask ? 4 : 0);
}

bool ws_is_close_code(int code) {
        return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
