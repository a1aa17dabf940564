/* Base64: standard with padding, and the URL alphabet without (JWT). Bounded by the input. */
#ifndef FIRESTEEL_CODEC_BASE64_H
#define FIRESTEEL_CODEC_BASE64_H

#include "base/str.h"

void base64_encode(struct sv data, struct str *out);
void base64url_encode(struct sv data, struct str *out);
/* Either alphabet, padding optional, line breaks skipped; -EINVAL on anything else. */
MUST_USE int base64_decode(struct sv text, struct str *out);

#endif
