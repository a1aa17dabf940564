#include "cluster/crd/structural_format.h"

#include <arpa/inet.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/ktime.h"

int regex_matches(const char *pattern, const char *text, char why[256]) {
        int code, r;
        PCRE2_SIZE at;
        pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
        pcre2_match_data *data;
        if (!re) {
                PCRE2_UCHAR message[200];
                pcre2_get_error_message(code, message, sizeof(message));
                if (why)
                        snprintf(why, 256, "%s at offset %zu", (const char *)message, (size_t)at);
                return -1;
        }
        data = pcre2_match_data_create_from_pattern(re, NULL);
        r = pcre2_match(re, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, 0, data, NULL);
        pcre2_match_data_free(data);
        pcre2_code_free(re);
        return r >= 0;
}

static bool is_date_time(const char *text) {
        int64_t ignored;
        return ktime_parse(sv_of(text), &ignored);
}

static bool is_date(const char *text) {
        AUTO(free) char *whole = xasprintf("%sT00:00:00Z", text);
        return strlen(text) == strlen("2026-01-01") && is_date_time(whole);
}

static bool is_address(const char *text, int family) {
        unsigned char address[sizeof(struct in6_addr)];
        return inet_pton(family, text, address) == 1;
}

static bool is_ipv4(const char *text) { return is_address(text, AF_INET); }
static bool is_ipv6(const char *text) { return is_address(text, AF_INET6); }

static bool is_cidr(const char *text) {
        const char *slash = strchr(text, '/');
        int64_t bits;
        if (!slash || !sv_to_int64(sv_of(slash + 1), &bits) || bits < 0)
                return false;
        AUTO(free) char *address = xstrndup(text, (size_t)(slash - text));
        return (is_ipv4(address) && bits <= 32) || (is_ipv6(address) && bits <= 128);
}

static bool is_base64(const char *text) {
        AUTO(str) struct str out = STR_INIT(0);
        return base64_decode(sv_of(text), &out) >= 0;
}

#define HEX4 "[0-9a-fA-F]{4}"
#define LABEL "[\\p{L}\\p{S}0-9]([-\\p{L}\\p{S}0-9]{0,62}[\\p{L}\\p{S}0-9])?"

static const struct {
        const char *format, *pattern;
        bool (*check)(const char *text);
} formats[] = {
        {"bsonobjectid", "^[0-9a-fA-F]{24}$", NULL},
        {"byte", NULL, is_base64},
        {"cidr", NULL, is_cidr},
        {"creditcard",
         "^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\\d{3})\\d{11})$",
         NULL},
        {"date", NULL, is_date},
        {"date-time", NULL, is_date_time},
        {"datetime", NULL, is_date_time},
        {"duration",
         "^([-+]?(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\xc2\xb5s|ms|s|m|h))+|0|([0-9]+ *(ns|nanos?|nanoseconds?|\xc2\xb5s|us|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?"
         "|h|hrs?|hours?|d|days?|w|wks?|weeks?) *)+)$",
         NULL},
        {"email", "^([^<>@]*<[^\\s<>@]+@[^\\s<>@]+>|[^\\s<>@]+@[^\\s<>@]+)$", NULL},
        {"hexcolor", "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$", NULL},
        {"hostname", "^(?=.{1,255}$)" LABEL "(\\." LABEL ")*\\.?$", NULL},
        {"ipv4", NULL, is_ipv4},
        {"ipv6", NULL, is_ipv6},
        {"mac", "^([0-9a-fA-F]{2}([:-]))([0-9a-fA-F]{2}\\2){4}[0-9a-fA-F]{2}$|^(" HEX4 "\\.){2}" HEX4 "$", NULL},
        {"rgbcolor",
         "^rgb\\( *(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9]) *, *(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9]) *, *(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9]) *\\)$",
         NULL},
        {"ssn", "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$", NULL},
        {"uri", "^([a-zA-Z][a-zA-Z0-9+.-]*:[^\\s]+|/[^\\s]*)$", NULL},
        {"uuid", "^[0-9a-fA-F]{8}-?" HEX4 "-?" HEX4 "-?" HEX4 "-?[0-9a-fA-F]{12}$", NULL},
        {"uuid3", "^[0-9a-fA-F]{8}-?" HEX4 "-?3[0-9a-fA-F]{3}-?" HEX4 "-?[0-9a-fA-F]{12}$", NULL},
        {"uuid4", "^[0-9a-fA-F]{8}-?" HEX4 "-?4[0-9a-fA-F]{3}-?[89abAB][0-9a-fA-F]{3}-?[0-9a-fA-F]{12}$", NULL},
        {"uuid5", "^[0-9a-fA-F]{8}-?" HEX4 "-?5[0-9a-fA-F]{3}-?[89abAB][0-9a-fA-F]{3}-?[0-9a-fA-F]{12}$", NULL},
};

bool format_matches(const char *format, const char *text) {
        for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
                if (streq(formats[i].format, format))
                        return formats[i].check ? formats[i].check(text) : regex_matches(formats[i].pattern, text, NULL) == 1;
        }
        return true;
}
