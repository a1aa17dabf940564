/* Numbers as the JVM writes them, where Spark puts them into texts: Double.toString, String.format with %.1f,
 * NumberFormat, and Spark's own sizes and durations. */
#ifndef FIRESTEEL_SPARK_JFORMAT_H
#define FIRESTEEL_SPARK_JFORMAT_H

#include "base/str.h"

/* Double.toString: "1.0", "0.05", "1.0E7", "NaN", "Infinity". */
void jformat_double(struct str *s, double v);
/* String.format("%.<decimals>f"): the shortest decimal form of the number, rounded half up. */
void jformat_fixed(struct str *s, double v, int decimals);
/* NumberFormat.getIntegerInstance(US): 1,234,567. */
void jformat_grouped(struct str *s, int64_t v);
/* NumberFormat.getNumberInstance(US) of tenths: 12.3, 1,234. */
void jformat_tenths(struct str *s, int64_t tenths);
/* Utils.bytesToString: "1.5 KiB"; a unit begins at twice its size. */
void jformat_bytes(struct str *s, int64_t bytes);
/* Utils.msDurationToString: "35 ms", "1.2 s", "3.0 m", "1.25 h". */
void jformat_duration(struct str *s, int64_t ms);
/* UIUtils.formatDuration: "35 ms", "0.2 s", "12 s", "1.5 min", "1.2 h". */
void jformat_ui_duration(struct str *s, int64_t ms);
/* Double.parseDouble; false where it would throw. */
bool jformat_parse_double(struct sv text, double *ret);

#endif
