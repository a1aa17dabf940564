/* Time. Pure layers take the time as an argument; only what is above them asks here. */
#ifndef FIRESTEEL_BASE_CLOCK_H
#define FIRESTEEL_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void);  /* since 1970, UTC */
int64_t clock_now_us(void);  /* since 1970, UTC */
int64_t clock_mono_ms(void); /* never goes back */
int64_t clock_mono_us(void);

#endif
