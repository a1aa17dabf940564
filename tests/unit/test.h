/* What every unit test includes: cmocka with its prerequisites, and helpers for text. */
#ifndef FIRESTEEL_TESTS_TEST_H
#define FIRESTEEL_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

#define TEST(name) static void name(void **state UNUSED)

static inline void assert_contains_(const char *text, const char *part, const char *file, int line) {
        if (!text || !strstr(text, part)) {
                print_error("\"%s\" does not contain \"%s\"\n", text ? text : "(null)", part);
                _fail(file, line);
        }
}
#define assert_contains(text, part) assert_contains_((text), (part), __FILE__, __LINE__)

#endif
