/* WebSocket frames in pieces: whatever the cut, the same messages come out and the same error. */
#include "net/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_MESSAGE = 5000 };

static int read_all(const uint8_t *data, size_t size, bool masked, size_t piece, struct str *out) {
        struct ws_reader r;
        ws_reader_init(&r, masked, MAX_MESSAGE);
        int code = 0;
        for (size_t at = 0; at < size && code >= 0; at += piece) {
                struct sv part = sv_new((const char *)data + at, size - at < piece ? size - at : piece);
                struct ws_message m;
                while ((code = ws_reader_next(&r, &part, &m)) > 0) {
                        if (m.data.len > MAX_MESSAGE || (m.opcode == WS_TEXT && !sv_is_utf8(m.data)))
                                abort();
                        str_appendf(out, "%d %zu ", (int)m.opcode, m.data.len);
                        str_append_sv(out, m.data);
                }
        }
        ws_reader_done(&r);
        return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < 2 || size > 100000)
                return 0;
        AUTO(str) struct str whole = STR_INIT(0);
        AUTO(str) struct str cut = STR_INIT(0);
        int a = read_all(data + 1, size - 1, data[0] & 1, size, &whole);
        int b = read_all(data + 1, size - 1, data[0] & 1, 1 + data[0] / 2, &cut);
        if (a != b || !sv_eq(str_sv(&whole), str_sv(&cut)))
                abort();
        return 0;
}
