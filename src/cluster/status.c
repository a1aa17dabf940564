#include "cluster/status.h"

#include "cluster/registry.h"
#include "codec/json.h"

static void member(struct str *out, const char *key, const char *value) {
        if (!value || !*value)
                return;
        if (out->len && out->data[out->len - 1] != '{')
                str_append_c(out, ',');
        json_append_quoted(out, sv_of(key));
        str_append_c(out, ':');
        json_append_quoted(out, sv_of(value));
}

static void details_text(struct str *out, const char *name, const char *group, const char *kind, const char *uid) {
        str_append_c(out, '{');
        member(out, "name", name);
        member(out, "group", group);
        member(out, "kind", kind);
        member(out, "uid", uid);
        str_append_c(out, '}');
}

void status_details(struct err *err, const char *name, const char *group, const char *kind, const char *uid) {
        AUTO(str) struct str out = STR_INIT(0);
        if (!err)
                return;
        details_text(&out, name, group, kind, uid);
        free(err->details);
        err->details = str_take(&out);
}

int status_not_found(struct err *err, const struct resource *r, const char *name) {
        err_http(err, -ENOENT, 404, "NotFound", "%s \"%s\" not found", r->id, name);
        status_details(err, name, r->group, r->plural, NULL);
        return -ENOENT;
}

int status_already_exists(struct err *err, const struct resource *r, const char *name) {
        err_http(err, -EEXIST, 409, "AlreadyExists", "%s \"%s\" already exists", r->id, name);
        status_details(err, name, r->group, r->plural, NULL);
        return -EEXIST;
}

int status_conflict(struct err *err, const struct resource *r, const char *name, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *why = xvasprintf(fmt, ap);
        va_end(ap);
        err_http(err, -ESTALE, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": %s", r->id, name, why);
        status_details(err, name, r->group, r->plural, NULL);
        return -ESTALE;
}

int status_modified(struct err *err, const struct resource *r, const char *name) {
        return status_conflict(err, r, name, "the object has been modified; please apply your changes to the latest version and try again");
}

int status_forbidden(struct err *err, const struct resource *r, const char *name, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *why = xvasprintf(fmt, ap);
        va_end(ap);
        if (name && *name)
                err_http(err, -EACCES, 403, "Forbidden", "%s \"%s\" is forbidden: %s", r->id, name, why);
        else
                err_http(err, -EACCES, 403, "Forbidden", "%s is forbidden: %s", r->id, why);
        status_details(err, name, r->group, r->plural, NULL);
        return -EACCES;
}

int status_bad_request(struct err *err, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *why = xvasprintf(fmt, ap);
        va_end(ap);
        return err_http(err, -EINVAL, 400, "BadRequest", "%s", why);
}

int status_internal(struct err *err, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *why = xvasprintf(fmt, ap);
        va_end(ap);
        return err_http(err, -EIO, 500, NULL, "%s", why);
}

int status_no_resource(struct err *err) {
        err_http(err, -ENOENT, 404, "NotFound", "the server could not find the requested resource");
        status_details(err, NULL, NULL, NULL, NULL);
        return -ENOENT;
}

int status_no_method(struct err *err) {
        err_http(err, -ENOTSUP, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        status_details(err, NULL, NULL, NULL, NULL);
        return -ENOTSUP;
}

int status_media_type(struct err *err, const char *accepted) {
        return err_http(err, -EINVAL, 415, "UnsupportedMediaType",
                        "the body of the request was in an unknown format - accepted media types include: %s", accepted);
}

void status_write(const struct err *err, struct str *out) {
        str_append_s(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
        json_append_quoted(out, sv_of(err_message(err)));
        member(out, "reason", err->reason);
        if (err->details) {
                str_append_s(out, ",\"details\":");
                str_append_s(out, err->details);
        }
        str_appendf(out, ",\"code\":%d}\n", status_code(err));
}

void status_write_success(const char *name, const char *group, const char *kind, const char *uid, int code, struct str *out) {
        str_append_s(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\"");
        if (kind) {
                str_append_s(out, ",\"details\":");
                details_text(out, name, group, kind, uid);
        }
        if (code)
                str_appendf(out, ",\"code\":%d", code);
        str_append_s(out, "}\n");
}
