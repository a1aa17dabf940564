/* Times and durations; a time that parses prints to one that parses to the same microsecond. */
#include "codec/ktime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int64_t us, again, ms;
        char text[KTIME_SIZE];
        struct sv v = sv_new((const char *)data, size);
        if (duration_parse(v, &ms))
                duration_human(ms, text);
        if (!ktime_parse(v, &us))
                return 0;
        ktime_format_micro(us, text);
        if (us >= -62135596800000000 && us < 253402300800000000 && (!ktime_parse(sv_of(text), &again) || again != us))
                abort();
        return 0;
}
