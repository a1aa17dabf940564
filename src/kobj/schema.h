/* What the fields of built-in kinds are: their JSON types, how lists merge, and their protobuf numbers.
 *
 * One const table, generated from the published Go types of Kubernetes 1.34 (tools/make-schema says how), serves four users:
 * strategic merge patch (merge keys), server-side apply (list types), protobuf decoding (field numbers) and strict or typed
 * decoding of JSON bodies (unknown fields, wrong types). Custom resources have no rows: their schema is the CRD's OpenAPI
 * document. `struct schema` is a cursor that hides which of the two it stands on; it is passed by value, owns nothing, and
 * SCHEMA_NONE knows nothing (maps are granular, lists are atomic). */
#ifndef FIRESTEEL_KOBJ_SCHEMA_H
#define FIRESTEEL_KOBJ_SCHEMA_H

#include "codec/json.h"

enum schema_kind {
        SCHEMA_ANY, /* RawExtension, JSON, or unknown */
        SCHEMA_STRING,
        SCHEMA_BOOL,
        SCHEMA_INT32,
        SCHEMA_INT64,
        SCHEMA_DOUBLE,
        SCHEMA_BYTES, /* base64 text in JSON */
        SCHEMA_QUANTITY,
        SCHEMA_TIME,
        SCHEMA_MICRO_TIME,
        SCHEMA_DURATION,
        SCHEMA_INT_OR_STRING,
        SCHEMA_FIELDS_V1, /* managedFields' fieldsV1: JSON in a bytes field */
        SCHEMA_RAW,       /* runtime.RawExtension */
        SCHEMA_JSON,      /* apiextensions JSON: raw bytes in field 1 */
        SCHEMA_ITEMS,     /* a list of strings that protobuf wraps in a message (ExtraValue) */
        SCHEMA_OBJECT,    /* a message with fields of its own */
};

enum schema_flags {
        SCHEMA_F_LIST = 1 << 0,         /* [] of the kind */
        SCHEMA_F_MAP = 1 << 1,          /* map[string] of the kind */
        SCHEMA_F_INLINE = 1 << 2,       /* the fields of the message are members of the parent object */
        SCHEMA_F_MERGE = 1 << 3,        /* patchStrategy=merge */
        SCHEMA_F_REPLACE = 1 << 4,      /* patchStrategy=replace */
        SCHEMA_F_RETAIN_KEYS = 1 << 5,  /* patchStrategy=retainKeys */
        SCHEMA_F_LIST_SET = 1 << 6,     /* listType=set */
        SCHEMA_F_LIST_MAP = 1 << 7,     /* listType=map: `keys` */
        SCHEMA_F_ATOMIC = 1 << 8,       /* listType=atomic, mapType=atomic or structType=atomic */
        SCHEMA_F_OMITEMPTY = 1 << 9,    /* a zero value is left out of JSON */
        SCHEMA_F_POINTER = 1 << 10,     /* optional with presence: a zero value that was sent stays */
        SCHEMA_F_NAMED = 1 << 11,       /* `named` is the list's or map's own name, not that of its elements */
};

struct schema_field {
        const char *name;      /* JSON name; "" for inline messages */
        const char *merge_key; /* patchMergeKey, or NULL */
        const char *keys;      /* listMapKey names separated by blanks, or NULL */
        const char *fallback;  /* +default of a string, or NULL */
        const char *named;     /* Go's name of the type, as in messages, where it is not a plain one: `v1.PullPolicy`; or NULL */
        uint16_t number;       /* protobuf field number */
        uint16_t type;         /* index into schema_types[] when kind is SCHEMA_OBJECT */
        uint16_t flags;
        uint8_t kind;
};

struct schema_type {
        const char *name;    /* Go's, as in messages: `Container`, `ObjectMeta` */
        const char *package; /* Go's, as in messages: `v1` */
        const struct schema_field *fields;
        uint16_t len;
        bool atomic; /* structType=atomic */
};

struct schema {
        const struct schema_type *type;   /* built-in object, or NULL */
        const struct schema_field *field; /* how this value is a member of its parent; NULL at the root and in lists */
        yyjson_val *openapi;              /* CRD schema of this value, or NULL */
        bool crd_root;                    /* the custom resource itself: metadata is built in */
        bool element;                     /* stands on an element of the list or map described by `field` */
};

#define SCHEMA_NONE ((struct schema){0})

/* The root of a built-in kind; SCHEMA_NONE when there is none. */
struct schema schema_of_kind(const char *group, const char *version, const char *kind);
/* The root of a custom resource: spec.versions[].schema.openAPIV3Schema; metadata is the built-in ObjectMeta. */
struct schema schema_of_crd(yyjson_val *openapi_v3_schema);
struct schema schema_of_type(const char *name); /* by Go name: "ObjectMeta", "PodSpec" */
static inline bool schema_known(struct schema s) { return s.type || s.field || s.openapi; }
/* The member `key` of an object or map. */
struct schema schema_member(struct schema s, const char *key);
/* An element of a list. */
struct schema schema_element(struct schema s);
enum schema_kind schema_kind(struct schema s);
bool schema_is_list(struct schema s);

/* Finds `name` among the fields of the type, those of inlined messages included. */
const struct schema_field *schema_find_field(const struct schema_type *type, const char *name);

/* Server-side apply's view. */
enum schema_list { SCHEMA_LIST_ATOMIC, SCHEMA_LIST_SET, SCHEMA_LIST_MAP };
enum schema_list schema_list_type(struct schema s);
bool schema_is_atomic(struct schema s); /* objects and maps that are owned as a whole */
/* The i-th listMapKey, copied into `ret`; false when there are no more. */
bool schema_list_key(struct schema s, size_t i, char ret[128]);
/* The default of a list key that an element leaves out (protocol of ports: TCP), or NULL. */
char *schema_key_default(struct schema s, const char *key);

extern const struct schema_type schema_types[];

#endif
