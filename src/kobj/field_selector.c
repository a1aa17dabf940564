#include <stdio.h>

#include "kobj/invalid.h"
#include "kobj/selector.h"

/* Which fields may be selected on. `text` is the refusal; its %s is the field (quoted for those that quote it). */
static const struct {
        const char *group, *kind;
        const char *fields[14];
        const char *text;
        bool quoted;
} kinds[] = {
        {"",
         "Pod",
         {"metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
          "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName", "spec.host"}},
        {"", "Node", {"metadata.name", "spec.unschedulable"}},
        {"", "Namespace", {"metadata.name", "status.phase"}},
        {"", "Secret", {"metadata.name", "metadata.namespace", "type"}},
        {"", "Service", {"metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"}},
        {"", "ReplicationController", {"metadata.name", "metadata.namespace", "status.replicas"}},
        {"",
         "Event",
         {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion",
          "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
          "metadata.namespace", "metadata.name"}},
        {"events.k8s.io",
         "Event",
         {"regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion", "regarding.resourceVersion",
          "regarding.fieldPath", "reason", "reportingController", "type", "metadata.namespace", "metadata.name"}},
        {"certificates.k8s.io", "CertificateSigningRequest", {"metadata.name", "spec.signerName"}},
        {"batch", "Job", {"metadata.name", "metadata.namespace", "status.successful"}, "field label %s not supported for Job", true},
};

void field_selector_done(struct field_selector *s) {
        vec_foreach(t, s) {
                free(t->field);
                free(t->value);
        }
        vec_done(s);
}

static int bad(struct err *err, const char *fmt, ...) PRINTF(2, 3);
static int bad(struct err *err, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        return err_http(err, -EINVAL, 400, "BadRequest", "%s", text);
}

/* Splits at commas that no backslash escapes; the parts keep their backslashes. */
static void split_terms(struct sv text, struct strv *ret) {
        size_t from = 0;
        bool escaped = false;
        for (size_t i = 0; i < text.len; i++) {
                if (escaped) {
                        escaped = false;
                } else if (text.data[i] == '\\') {
                        escaped = true;
                } else if (text.data[i] == ',') {
                        strv_add_n(ret, text.data + from, i - from);
                        from = i + 1;
                }
        }
        if (text.len)
                strv_add_n(ret, text.data + from, text.len - from);
        strv_sort(ret);
}

static int unescape(const char *text, char **ret, struct err *err) {
        AUTO(str) struct str out = STR_INIT(0);
        for (const char *p = text; *p; p++) {
                if (*p == ',' || *p == '=')
                        return bad(err, "invalid field selector: unescaped character in value: %d", *p);
                if (*p == '\\') {
                        p++;
                        if (*p != '\\' && *p != ',' && *p != '=')
                                return bad(err, "invalid field selector: invalid escape sequence: \\%.1s", p);
                }
                str_append_c(&out, *p);
        }
        *ret = str_take(&out);
        return 0;
}

static int add_term(struct field_selector *s, const char *part, struct sv whole, struct err *err) {
        const char *op = part;
        while (*op && *op != '=' && !(op[0] == '!' && op[1] == '='))
                op++;
        if (!*op)
                return bad(err, "invalid selector: '%.*s'; can't understand '%s'", SV_ARG(whole), part);
        bool negate = *op == '!';
        char *value = NULL;
        int r = unescape(op + (negate || op[1] == '=' ? 2 : 1), &value, err);
        if (r < 0)
                return r;
        *vec_push(s) = (struct field_term){.field = xstrndup(part, (size_t)(op - part)), .value = value, .negate = negate};
        return 0;
}

int field_selector_parse(struct sv text, struct field_selector *ret, struct err *err) {
        AUTO(strv) struct strv parts = {0};
        AUTO(field_selector) struct field_selector s = {0};
        split_terms(text, &parts);
        for (size_t i = 0; i < parts.len; i++) {
                if (!*parts.items[i])
                        continue;
                int r = add_term(&s, parts.items[i], text, err);
                if (r < 0)
                        return r;
        }
        *ret = s;
        s = (struct field_selector){0};
        return 0;
}

static bool has_field(const char *const *fields, size_t max, const char *field) {
        for (size_t i = 0; i < max && fields[i]; i++)
                if (streq(fields[i], field))
                        return true;
        return false;
}

static int refuse(size_t row, const char *field, const struct strv *selectable, struct err *err) {
        AUTO(free) char *quoted = invalid_quote(field);
        if (row < ARRAY_LEN(kinds))
                return bad(err, kinds[row].text ? kinds[row].text : "field label not supported: %s", kinds[row].quoted ? quoted : field);
        if (selectable && selectable->len)
                return bad(err, "field label not supported: %s", field);
        return bad(err, "%s is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", quoted);
}

int field_selector_check(const struct field_selector *s, const char *group, const char *kind, const struct strv *selectable,
                         struct err *err) {
        static const char *const common[] = {"metadata.name", "metadata.namespace"};
        size_t row = 0;
        while (row < ARRAY_LEN(kinds) && (!streq(kinds[row].group, group) || !streq(kinds[row].kind, kind)))
                row++;
        vec_foreach(t, s) {
                bool known = row < ARRAY_LEN(kinds) ? has_field(kinds[row].fields, ARRAY_LEN(kinds[row].fields), t->field)
                                                    : has_field(common, ARRAY_LEN(common), t->field);
                if (!known && !(selectable && strv_has(selectable, t->field)))
                        return refuse(row, t->field, selectable, err);
        }
        return 0;
}

/* Fields whose place in the object is not their name, and the value of those whose zero is not written. */
static const struct {
        const char *field, *path, *fallback, *absent;
} aliases[] = {
        {"spec.host", "spec.nodeName", NULL, ""},
        {"spec.hostNetwork", "spec.hostNetwork", NULL, "false"},
        {"spec.unschedulable", "spec.unschedulable", NULL, "false"},
        {"status.successful", "status.succeeded", NULL, "0"},
        {"status.replicas", "status.replicas", NULL, "0"},
        {"source", "source.component", "reportingComponent", ""},
        {"reportingController", "reportingController", "reportingComponent", ""},
        {"regarding.kind", "regarding.kind", "involvedObject.kind", ""},
        {"regarding.namespace", "regarding.namespace", "involvedObject.namespace", ""},
        {"regarding.name", "regarding.name", "involvedObject.name", ""},
        {"regarding.uid", "regarding.uid", "involvedObject.uid", ""},
        {"regarding.apiVersion", "regarding.apiVersion", "involvedObject.apiVersion", ""},
        {"regarding.resourceVersion", "regarding.resourceVersion", "involvedObject.resourceVersion", ""},
        {"regarding.fieldPath", "regarding.fieldPath", "involvedObject.fieldPath", ""},
};

static yyjson_val *value_at(yyjson_val *object, const char *path) {
        struct sv rest = sv_of(path), part;
        while (object && sv_split(&rest, '.', &part))
                object = yyjson_obj_getn(object, part.data, part.len);
        return object;
}

static bool value_is(yyjson_val *v, const char *absent, const char *want) {
        char number[32];
        if (yyjson_is_str(v))
                return streq(yyjson_get_str(v), want);
        if (yyjson_is_bool(v))
                return streq(yyjson_get_bool(v) ? "true" : "false", want);
        if (yyjson_is_int(v)) {
                snprintf(number, sizeof(number), "%lld", (long long)yyjson_get_sint(v));
                return streq(number, want);
        }
        return streq(absent, want);
}

static bool term_matches(const struct field_term *t, yyjson_val *object) {
        for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
                if (!streq(aliases[i].field, t->field))
                        continue;
                yyjson_val *v = value_at(object, aliases[i].path);
                if ((!v || yyjson_equals_str(v, "")) && aliases[i].fallback)
                        v = value_at(object, aliases[i].fallback);
                return value_is(v, aliases[i].absent, t->value) != t->negate;
        }
        return value_is(value_at(object, t->field), "", t->value) != t->negate;
}

bool field_selector_matches(const struct field_selector *s, yyjson_val *object) {
        vec_foreach(t, s) {
                if (!term_matches(t, object))
                        return false;
        }
        return true;
}

const char *field_selector_exact(const struct field_selector *s, const char *field) {
        vec_foreach(t, s) {
                if (!t->negate && streq(t->field, field))
                        return t->value;
        }
        return NULL;
}
