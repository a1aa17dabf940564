/* A line split as a POSIX shell splits it into words: blanks separate, '...' is literal, in "..." a backslash escapes only $ ` " \,
 * elsewhere it escapes whatever follows, # at a word's beginning starts a comment. Nothing is expanded or run. */
#ifndef FIRESTEEL_CODEC_WORDS_H
#define FIRESTEEL_CODEC_WORDS_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

/* Appends the words to *ret. -EINVAL with the column for a quote that is not closed or a backslash at the end. */
MUST_USE int words_split(struct sv line, struct strv *ret, struct err *err);

#endif
