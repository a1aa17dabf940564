/* A list of what is wrong with an object, field by field, and the 422 answer made of it (apimachinery's field.ErrorList).
 *
 *     AUTO(invalid) struct invalid bad = {0};
 *     invalid_value(&bad, "spec.restartPolicy", "\"x\"", "must be ...");
 *     return invalid_err(&bad, "", "Pod", name, err);          // 0 when nothing was added
 */
#ifndef FIRESTEEL_KOBJ_INVALID_H
#define FIRESTEEL_KOBJ_INVALID_H

#include "base/vec.h"
#include "codec/json.h"

enum invalid_type {
        INVALID_REQUIRED,      /* "Required value" */
        INVALID_VALUE,         /* "Invalid value" */
        INVALID_NOT_SUPPORTED, /* "Unsupported value" */
        INVALID_FORBIDDEN,     /* "Forbidden" */
        INVALID_DUPLICATE,     /* "Duplicate value" */
        INVALID_NOT_FOUND,     /* "Not found" */
        INVALID_TOO_LONG,      /* "Too long" */
        INVALID_TOO_MANY,      /* "Too many" */
        INVALID_TYPE,          /* "Invalid value", reason FieldValueTypeInvalid */
        INVALID_INTERNAL,      /* "Internal error" */
};

struct invalid_item {
        char *field;
        enum invalid_type type;
        char *message; /* without the field: `Invalid value: "x": must be ...` */
};

struct invalid {
        struct invalid_item *items;
        size_t len, cap;
};

void invalid_done(struct invalid *list);
DEFINE_AUTO_VALUE(invalid, struct invalid, invalid_done)
/* `value` is the bad value as the message shows it (strings with their quotes, see invalid_quote), or NULL for none. */
void invalid_add(struct invalid *list, const char *field, enum invalid_type type, const char *value, const char *fmt, ...) PRINTF(5, 6);
/* The same with a string value that is quoted here. */
void invalid_string(struct invalid *list, const char *field, const char *value, const char *fmt, ...) PRINTF(4, 5);
/* The same with a number. */
void invalid_int(struct invalid *list, const char *field, int64_t value, const char *fmt, ...) PRINTF(4, 5);
void invalid_required(struct invalid *list, const char *field, const char *fmt, ...) PRINTF(3, 4);
void invalid_forbidden(struct invalid *list, const char *field, const char *fmt, ...) PRINTF(3, 4);
/* A string that was there before, or of something that is nowhere; quoted here. */
void invalid_duplicate(struct invalid *list, const char *field, const char *value);
void invalid_not_found(struct invalid *list, const char *field, const char *value);
/* Unsupported value: "x": supported values: "a", "b". `supported` ends with a NULL. */
void invalid_not_supported(struct invalid *list, const char *field, const char *value, const char *const *supported);
/* An item whose message is complete, as another list had it. */
void invalid_add_text(struct invalid *list, const char *field, enum invalid_type type, const char *message);
/* Each message of a name check (names.h) as one item. */
void invalid_names(struct invalid *list, const char *field, const char *value, const struct strv *messages);
/* Go's %q, for messages; owned by the caller. */
char *invalid_quote(const char *value);
/* 0 when the list is empty; else -EINVAL with HTTP 422, reason Invalid, the message `KIND "NAME" is invalid: ...` and details. */
MUST_USE int invalid_err(const struct invalid *list, const char *group, const char *kind, const char *name, struct err *err);

#endif
