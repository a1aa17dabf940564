/* Cron schedules as Kubernetes and the Spark operator take them (robfig/cron, standard parser): five fields minute hour day-of-month month
 * day-of-week with lists, ranges, steps and names; @yearly @annually @monthly @weekly @daily @midnight @hourly; @every DURATION. Times are
 * UTC, or shifted by the caller. */
#ifndef FIRESTEEL_CODEC_CRON_H
#define FIRESTEEL_CODEC_CRON_H

#include "base/err.h"
#include "base/str.h"

struct cron {
        uint64_t minutes, hours, days, months, weekdays; /* bit n: the value n */
        bool any_day, any_weekday;                       /* `*`: only the other of the two counts */
        int64_t every_s;                                 /* @every; else 0 */
};

/* -EINVAL with robfig/cron's text. */
MUST_USE int cron_parse(struct sv text, struct cron *ret, struct err *err);
/* The first time after `after_s` (seconds since 1970, UTC); -1 when there is none within five years. */
int64_t cron_next(const struct cron *c, int64_t after_s);

#endif
