/* `format` of strings in custom resources' schemas: the formats that the real server checks. Others are taken as remarks. */
#ifndef FIRESTEEL_CLUSTER_CRD_STRUCTURAL_FORMAT_H
#define FIRESTEEL_CLUSTER_CRD_STRUCTURAL_FORMAT_H

#include <stdbool.h>

/* True when the text has the format, or the format is none that is checked. */
bool format_matches(const char *format, const char *text);
/* 1, 0, or -1 when the pattern cannot be compiled (Go's syntax is nearly a subset of PCRE2's). `why` (may be NULL) then gets the reason. */
int regex_matches(const char *pattern, const char *text, char why[256]);

#endif
