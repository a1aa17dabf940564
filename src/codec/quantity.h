/* Kubernetes resource quantities (apimachinery resource.Quantity): exact, in nano units.
 *
 * Grammar: <signed decimal><suffix>, suffix one of n u m "" k M G T P E Ki Mi Gi Ti Pi Ei or e/E exponent.
 * Canonical form: the largest suffix of the same family that leaves no fraction (0.2 -> 200m, 1024Mi -> 1Gi,
 * 1.5Gi -> 1536Mi); values finer than nano are rounded up.
 */
#ifndef FIRESTEEL_CODEC_QUANTITY_H
#define FIRESTEEL_CODEC_QUANTITY_H

#include "base/err.h"
#include "base/str.h"

enum quantity_format { QUANTITY_DECIMAL, QUANTITY_BINARY, QUANTITY_EXPONENT };

struct quantity {
        __int128 nano;
        enum quantity_format format;
};

/* -EINVAL with Kubernetes' own message text on bad input. */
MUST_USE int quantity_parse(struct sv text, struct quantity *ret, struct err *err);
/* Canonical text into `out`. */
void quantity_format(struct quantity q, char out[64]);
/* Whole units and thousandths, rounded up as Kubernetes' Value() and MilliValue() are; saturating. */
int64_t quantity_value(struct quantity q);
int64_t quantity_milli(struct quantity q);
int quantity_cmp(struct quantity a, struct quantity b);
struct quantity quantity_add(struct quantity a, struct quantity b); /* format of a, unless a is zero */
struct quantity quantity_sub(struct quantity a, struct quantity b);

#endif
