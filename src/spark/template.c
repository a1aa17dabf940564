#include "spark/template.h"

#include <ctype.h>
#include <math.h>
#include <yaml.h>

#include "spark/conf.h"
#include "spark/juri.h"
#include "spark/podmodel.h"
#include "spark/text.h"

int template_text(const struct submission_inputs *in, const char *name, bool strict, struct str *ret, struct err *err) {
        struct juri u;
        if (!juri_parse(name, &u))
                return err_set(err, -EINVAL,
                               "pod template '%s' is not a path or URI that Spark can read: write blanks and the like as %%20", name);
        if (u.scheme.data && !sv_eqs(u.scheme, "file") && !sv_eqs(u.scheme, "local")) {
                err_set(err, -ENOTSUP, "pod template %s: cannot read from a %.*s: place", name, SV_ARG(u.scheme));
                err_hint(err, "fetch it first and name the local file");
                return -ENOTSUP;
        }
        AUTO(free) char *path = juri_path(name);
        return inputs_text(in, path, "pod template", strict, ret, err);
}

/* --- YAML --- */

struct loader {
        yaml_parser_t parser;
        yyjson_mut_doc *doc;
        struct map anchors; /* name -> yyjson_mut_val * */
        size_t nodes;
        struct err *err;
};

static int yaml_error(struct loader *l, const yaml_mark_t *mark, const char *what) {
        return err_set(l->err, -EINVAL, "line %zu column %zu: %s", mark->line + 1, mark->column + 1, what);
}

static int next_event(struct loader *l, yaml_event_t *ret) {
        if (yaml_parser_parse(&l->parser, ret))
                return 0;
        const char *problem = l->parser.problem ? l->parser.problem : "it is not YAML";
        return yaml_error(l, &l->parser.problem_mark, problem);
}

/* An integer or a float in YAML 1.2's JSON-like spelling. */
static yyjson_mut_val *number_scalar(struct loader *l, const char *text) {
        const char *p = text + (*text == '-');
        if (!isdigit((unsigned char)*p) || (*p == '0' && isdigit((unsigned char)p[1])))
                return NULL;
        size_t digits = strspn(p, "0123456789");
        int64_t n;
        if (!p[digits])
                return java_parse_long(text, &n) ? yyjson_mut_sint(l->doc, n) : yyjson_mut_rawcpy(l->doc, text);
        if (strspn(p, "0123456789.eE+-") != strlen(p))
                return NULL;
        char *end;
        double d = strtod(text, &end);
        if (*end)
                return NULL;
        return isfinite(d) ? yyjson_mut_real(l->doc, d) : yyjson_mut_str(l->doc, d < 0 ? "-Infinity" : "Infinity");
}

/* YAML 1.2's JSON schema, which is stricter than most: `~`, `True` and `yes` are texts. */
static yyjson_mut_val *plain_scalar(struct loader *l, const char *text, size_t len) {
        if (len == 0 || streq(text, "null"))
                return yyjson_mut_null(l->doc);
        if (streq(text, "true") || streq(text, "false"))
                return yyjson_mut_bool(l->doc, text[0] == 't');
        if (streq(text, ".inf") || streq(text, "-.inf"))
                return yyjson_mut_str(l->doc, text[0] == '-' ? "-Infinity" : "Infinity");
        if (streq(text, ".nan"))
                return yyjson_mut_str(l->doc, "NaN");
        return number_scalar(l, text);
}

static yyjson_mut_val *scalar(struct loader *l, const yaml_event_t *e) {
        const char *text = (const char *)e->data.scalar.value;
        size_t len = e->data.scalar.length;
        if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
            !(e->data.scalar.tag && streq((const char *)e->data.scalar.tag, "tag:yaml.org,2002:str"))) {
                yyjson_mut_val *value = plain_scalar(l, text, len);
                if (value)
                        return value;
        }
        return yyjson_mut_strncpy(l->doc, text, len);
}

static int node(struct loader *l, const yaml_event_t *e, int depth, yyjson_mut_val **ret);

static void remember(struct loader *l, const yaml_char_t *anchor, yyjson_mut_val *value) {
        if (anchor)
                map_set(&l->anchors, (const char *)anchor, value);
}

static size_t count_nodes(yyjson_mut_val *v) {
        size_t n = 1, i, max;
        yyjson_mut_val *key, *item;
        if (yyjson_mut_is_arr(v)) {
                yyjson_mut_arr_foreach(v, i, max, item) n += count_nodes(item);
        } else if (yyjson_mut_is_obj(v)) {
                yyjson_mut_obj_foreach(v, i, max, key, item) n += count_nodes(item);
        }
        return n;
}

static int alias(struct loader *l, const yaml_event_t *e, yyjson_mut_val **ret) {
        yyjson_mut_val *target = map_get(&l->anchors, (const char *)e->data.alias.anchor);
        if (!target)
                return yaml_error(l, &e->start_mark, "found undefined alias");
        l->nodes += count_nodes(target);
        if (l->nodes > TEMPLATE_MAX_NODES)
                return yaml_error(l, &e->start_mark, "too many nodes once aliases are expanded");
        *ret = yyjson_mut_val_mut_copy(l->doc, target);
        return 0;
}

static int sequence(struct loader *l, const yaml_event_t *start, int depth, yyjson_mut_val **ret) {
        yyjson_mut_val *list = yyjson_mut_arr(l->doc);
        for (;;) {
                yaml_event_t e;
                int r = next_event(l, &e);
                if (r < 0)
                        return r;
                bool end = e.type == YAML_SEQUENCE_END_EVENT;
                yyjson_mut_val *item = NULL;
                if (!end)
                        r = node(l, &e, depth + 1, &item);
                yaml_event_delete(&e);
                if (r < 0)
                        return r;
                if (end)
                        break;
                yyjson_mut_arr_append(list, item);
        }
        remember(l, start->data.sequence_start.anchor, list);
        *ret = list;
        return 0;
}

/* Keys are text, whatever they look like. */
static int mapping_key(struct loader *l, const yaml_event_t *e, yyjson_mut_val *object, yyjson_mut_val **ret) {
        if (e->type != YAML_SCALAR_EVENT)
                return yaml_error(l, &e->start_mark, "a key must be a plain text");
        *ret = yyjson_mut_strncpy(l->doc, (const char *)e->data.scalar.value, e->data.scalar.length);
        if (yyjson_mut_obj_getn(object, yyjson_mut_get_str(*ret), yyjson_mut_get_len(*ret))) {
                AUTO(free) char *what = xasprintf("found duplicate key %s", yyjson_mut_get_str(*ret));
                return yaml_error(l, &e->start_mark, what);
        }
        return 0;
}

static int mapping(struct loader *l, const yaml_event_t *start, int depth, yyjson_mut_val **ret) {
        yyjson_mut_val *object = yyjson_mut_obj(l->doc), *key = NULL;
        for (;;) {
                yaml_event_t e;
                int r = next_event(l, &e);
                if (r < 0)
                        return r;
                bool end = e.type == YAML_MAPPING_END_EVENT;
                yyjson_mut_val *value = NULL;
                if (!end)
                        r = key ? node(l, &e, depth + 1, &value) : mapping_key(l, &e, object, &key);
                yaml_event_delete(&e);
                if (r < 0)
                        return r;
                if (end)
                        break;
                if (value) {
                        yyjson_mut_obj_add(object, key, value);
                        key = NULL;
                }
        }
        remember(l, start->data.mapping_start.anchor, object);
        *ret = object;
        return 0;
}

static int node(struct loader *l, const yaml_event_t *e, int depth, yyjson_mut_val **ret) {
        if (depth > TEMPLATE_MAX_DEPTH)
                return yaml_error(l, &e->start_mark, "nested too deeply");
        if (++l->nodes > TEMPLATE_MAX_NODES)
                return yaml_error(l, &e->start_mark, "too many nodes");
        switch (e->type) {
        case YAML_SCALAR_EVENT:
                *ret = scalar(l, e);
                remember(l, e->data.scalar.anchor, *ret);
                return 0;
        case YAML_ALIAS_EVENT:
                return alias(l, e, ret);
        case YAML_SEQUENCE_START_EVENT:
                return sequence(l, e, depth, ret);
        case YAML_MAPPING_START_EVENT:
                return mapping(l, e, depth, ret);
        default:
                return yaml_error(l, &e->start_mark, "unexpected end");
        }
}

static int documents(struct loader *l, yyjson_mut_val **ret) {
        yyjson_mut_val *first = NULL;
        for (bool done = false; !done;) {
                yaml_event_t e;
                int r = next_event(l, &e);
                if (r < 0)
                        return r;
                yyjson_mut_val *root = NULL;
                done = e.type == YAML_STREAM_END_EVENT;
                bool is_node = e.type == YAML_SCALAR_EVENT || e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_MAPPING_START_EVENT ||
                               e.type == YAML_ALIAS_EVENT;
                if (is_node && first)
                        r = yaml_error(l, &e.start_mark, "a template is one document");
                else if (is_node)
                        r = node(l, &e, 0, &root);
                yaml_event_delete(&e);
                if (r < 0)
                        return r;
                if (root && !yyjson_mut_is_null(root)) /* empty documents do not count */
                        first = root;
        }
        *ret = first;
        return 0;
}

int template_parse(enum spark_line line, struct sv text, yyjson_mut_doc *doc, yyjson_mut_val **ret, struct err *err) {
        if (!sv_is_utf8(text))
                return err_set(err, -EILSEQ, "it is not UTF-8 text");
        struct loader l = {.doc = doc, .anchors = MAP_INIT(NULL), .err = err};
        if (!yaml_parser_initialize(&l.parser))
                return err_set(err, -ENOMEM, "libyaml does not start");
        yaml_parser_set_input_string(&l.parser, (const unsigned char *)(text.data ? text.data : ""), text.len);
        yyjson_mut_val *root = NULL;
        int r = documents(&l, &root);
        yaml_parser_delete(&l.parser);
        map_done(&l.anchors);
        if (r < 0)
                return r;
        if (!yyjson_mut_is_obj(root))
                return err_set(err, -EINVAL, "it is not a Pod but %s",
                               root && !yyjson_mut_is_null(root) ? "a plain value or a list" : "empty");
        r = podmodel_apply(line, doc, root, err);
        if (r < 0)
                return r;
        *ret = root;
        return 0;
}

static bool has_name(yyjson_mut_val *container, const char *name) { return streq_null(mjson_get_str(container, "name"), name); }

/* Takes the driver's container out of the list. */
static yyjson_mut_val *take_container(yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *wanted, struct strv *warnings) {
        yyjson_mut_val *list = yyjson_mut_obj_get(spec, "containers"), *item;
        size_t i, n, at = 0, matches = 0;
        yyjson_mut_arr_foreach(list, i, n, item) {
                if (wanted && has_name(item, wanted)) {
                        at = i;
                        matches++;
                }
        }
        if (wanted && matches != 1) {
                strv_addf(warnings, "specified container %s not found on pod template, falling back to taking the first container", wanted);
                at = 0;
        }
        yyjson_mut_val *found = yyjson_mut_is_arr(list) ? yyjson_mut_arr_remove(list, at) : NULL;
        if (yyjson_mut_arr_size(list) == 0)
                mjson_remove(spec, "containers");
        return found ? found : yyjson_mut_obj(doc);
}

int template_load(enum spark_line line, const struct submission_inputs *in, const char *name, const char *container, yyjson_mut_doc *doc,
                  yyjson_mut_val **ret_pod, yyjson_mut_val **ret_container, struct strv *warnings, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        int r = template_text(in, name, false, &text, err);
        if (r < 0)
                return r;
        yyjson_mut_val *pod;
        r = template_parse(line, str_sv(&text), doc, &pod, err);
        if (r < 0)
                return err_wrap(err, r, "%s", name);
        yyjson_mut_val *spec = yyjson_mut_obj_get(pod, "spec");
        if (!spec)
                return err_set(err, -EINVAL, "%s: it has no spec", name);
        mjson_set_str(doc, pod, "apiVersion", "v1"); /* whatever it was; the kind stays, and is the server's to refuse */
        if (!yyjson_mut_obj_get(pod, "kind"))
                mjson_set_str(doc, pod, "kind", "Pod");
        *ret_container = take_container(doc, spec, container, warnings);
        *ret_pod = pod;
        return 0;
}
