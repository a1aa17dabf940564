/* Two JSON documents in one input, separated by a newline. */
#ifndef FIRESTEEL_FUZZ_PAIR_H
#define FIRESTEEL_FUZZ_PAIR_H

#include "codec/json.h"

static inline bool read_pair(const uint8_t *data, size_t size, yyjson_doc **a, yyjson_doc **b) {
        const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
        if (!line)
                return false;
        size_t n = (size_t)(line - data);
        return json_parse(sv_new((const char *)data, n), a, NULL) == 0 &&
               json_parse(sv_new((const char *)line + 1, size - n - 1), b, NULL) == 0;
}

#endif
