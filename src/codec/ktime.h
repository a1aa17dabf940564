/* Times as text: Kubernetes' RFC 3339 (metav1.Time, MicroTime), HTTP dates, durations. Pure arithmetic on
 * UTC; the process's time zone plays no part. */
#ifndef FIRESTEEL_CODEC_KTIME_H
#define FIRESTEEL_CODEC_KTIME_H

#include "base/str.h"

enum { KTIME_SIZE = 40 };

void ktime_format(int64_t ms, char ret[KTIME_SIZE]);       /* 2026-01-02T03:04:05Z */
void ktime_format_micro(int64_t us, char ret[KTIME_SIZE]); /* 2026-01-02T03:04:05.000006Z */
/* RFC 3339 with fraction and offset; false on anything else. */
bool ktime_parse(struct sv text, int64_t *ret_us);
void http_date_format(int64_t ms, char ret[KTIME_SIZE]); /* Fri, 02 Jan 2026 03:04:05 GMT */
/* Go's time.ParseDuration: "1h30m", "1.5s", "300ms", "-2m". */
bool duration_parse(struct sv text, int64_t *ret_ms);
/* kubectl's ages: 12s, 3m20s, 5h, 3d4h, 2y10d. */
void duration_human(int64_t ms, char ret[KTIME_SIZE]);

/* Civil calendar. */
int64_t ktime_from_civil(int year, int month, int day, int hour, int minute, int second); /* seconds since 1970 */
void ktime_to_civil(int64_t seconds, int *year, int *month, int *day, int *hour, int *minute, int *second, int *weekday);

#endif
