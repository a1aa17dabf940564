#include "cluster/rbac.h"

#include "base/log.h"
#include "cluster/admission.h"
#include "cluster/edit.h"
#include "kobj/meta.h"
#include "kobj/selector.h"

#define ROLES "roles.rbac.authorization.k8s.io"
#define CLUSTER_ROLES "clusterroles.rbac.authorization.k8s.io"
#define ROLE_BINDINGS "rolebindings.rbac.authorization.k8s.io"
#define CLUSTER_ROLE_BINDINGS "clusterrolebindings.rbac.authorization.k8s.io"

static bool lists(yyjson_val *list, const char *value) {
        EACH(item, i, list) {
                const char *s = yyjson_get_str(item);
                if (s && (streq(s, "*") || streq(s, value)))
                        return true;
        }
        return false;
}

static bool lists_resource(yyjson_val *list, const char *resource, const char *subresource) {
        AUTO(free) char *full = subresource ? xasprintf("%s/%s", resource, subresource) : xstrdup(resource);
        AUTO(free) char *any = subresource ? xasprintf("*/%s", subresource) : NULL;
        EACH(item, i, list) {
                const char *s = yyjson_get_str(item);
                if (s && (streq(s, "*") || streq(s, full) || (any && streq(s, any))))
                        return true;
        }
        return false;
}

static bool lists_path(yyjson_val *list, const char *path) {
        EACH(item, i, list) {
                const char *s = yyjson_get_str(item);
                size_t n = s ? strlen(s) : 0;
                if (s && (streq(s, "*") || streq(s, path) || (n && s[n - 1] == '*' && strncmp(s, path, n - 1) == 0)))
                        return true;
        }
        return false;
}

static bool lists_name(yyjson_val *list, const char *name) {
        if (yyjson_arr_size(list) == 0)
                return true;
        EACH(item, i, list) if (streq_null(yyjson_get_str(item), name)) return true;
        return false;
}

static bool rule_allows(yyjson_val *rule, const struct access *a) {
        if (!lists(yyjson_obj_get(rule, "verbs"), a->verb))
                return false;
        if (a->path)
                return lists_path(yyjson_obj_get(rule, "nonResourceURLs"), a->path);
        return lists(yyjson_obj_get(rule, "apiGroups"), a->group) &&
               lists_resource(yyjson_obj_get(rule, "resources"), a->resource, a->subresource) &&
               lists_name(yyjson_obj_get(rule, "resourceNames"), a->name ? a->name : "");
}

/* The subject of the binding that the user is, or NULL. */
static yyjson_val *find_subject(yyjson_val *subjects, const struct user *user, const char *binding_ns) {
        EACH(subject, i, subjects) {
                const char *kind = json_get_str(subject, "kind"), *name = json_get_str(subject, "name"),
                           *ns = json_get_str(subject, "namespace");
                if (!kind || !name)
                        continue;
                if (streq(kind, "User") && streq(name, user->name))
                        return subject;
                if (streq(kind, "Group") && strv_has(&user->groups, name))
                        return subject;
                if (streq(kind, "ServiceAccount")) {
                        AUTO(free) char *full = xasprintf("system:serviceaccount:%s:%s", ns && *ns ? ns : binding_ns, name);
                        if (streq(full, user->name))
                                return subject;
                }
        }
        return NULL;
}

static struct object *role_of(struct apiserver *s, yyjson_val *binding, const char *ns) {
        const char *kind = json_str_at(binding, "/roleRef/kind"), *name = json_str_at(binding, "/roleRef/name");
        bool namespaced = kind && streq(kind, "Role");
        if (!kind || !name)
                return NULL;
        return collection_find(registry_by_id(&s->registry, namespaced ? ROLES : CLUSTER_ROLES)->objects, namespaced ? ns : "", name);
}

/* What a binding gives: one rule of its role, or (rule NULL) a role that does not exist. */
struct grant {
        yyjson_val *rule, *binding, *subject;
        const char *ns; /* NULL: a ClusterRoleBinding */
};
typedef void (*grant_fn)(void *arg, const struct grant *g);

static void each_binding(struct apiserver *s, struct collection *bindings, const char *ns, const struct user *user, grant_fn fn,
                         void *arg) {
        size_t end, at = collection_range(bindings, ns, &end);
        for (; at < end; at++) {
                yyjson_val *binding = object_root(bindings->items[at]);
                struct grant g = {.binding = binding, .ns = ns};
                struct object *role;
                g.subject = find_subject(yyjson_obj_get(binding, "subjects"), user, ns ? ns : "");
                if (!g.subject)
                        continue;
                role = role_of(s, binding, ns ? ns : "");
                if (!role)
                        fn(arg, &g);
                EACH(rule, i, role ? object_at(role, "/rules") : NULL) {
                        g.rule = rule;
                        fn(arg, &g);
                }
        }
}

static void each_grant(struct apiserver *s, const struct user *user, const char *ns, grant_fn fn, void *arg) {
        each_binding(s, registry_by_id(&s->registry, CLUSTER_ROLE_BINDINGS)->objects, NULL, user, fn, arg);
        if (ns && *ns)
                each_binding(s, registry_by_id(&s->registry, ROLE_BINDINGS)->objects, ns, user, fn, arg);
}

struct rule_call {
        void (*fn)(void *arg, yyjson_val *rule);
        void *arg;
};

static void call_rule(void *arg, const struct grant *g) {
        struct rule_call *c = arg;
        if (g->rule)
                c->fn(c->arg, g->rule);
}

void rbac_each_rule(struct apiserver *s, const struct user *user, const char *ns, void (*fn)(void *arg, yyjson_val *rule), void *arg) {
        struct rule_call call = {fn, arg};
        each_grant(s, user, ns, call_rule, &call);
}

struct search {
        const struct access *access;
        bool found;
        char **reason; /* NULL: not asked for */
        struct strv missing;
};

static void explain_grant(struct search *search, const struct grant *g) {
        const char *kind = json_get_str(g->subject, "kind"), *name = json_get_str(g->subject, "name"),
                   *ns = json_get_str(g->subject, "namespace");
        AUTO(free) char *who = streq(kind, "ServiceAccount") ? xasprintf("ServiceAccount \"%s/%s\"", name,
                                                                         ns && *ns ? ns
                                                                         : g->ns   ? g->ns
                                                                                   : "")
                                                             : xasprintf("%s \"%s\"", kind, name);
        AUTO(free) char *binding = g->ns ? xasprintf("RoleBinding \"%s/%s\"", meta_name(g->binding), g->ns)
                                         : xasprintf("ClusterRoleBinding \"%s\"", meta_name(g->binding));
        *search->reason = xasprintf("RBAC: allowed by %s of %s \"%s\" to %s", binding, json_str_at(g->binding, "/roleRef/kind"),
                                    json_str_at(g->binding, "/roleRef/name"), who);
}

static void try_grant(void *arg, const struct grant *g) {
        struct search *search = arg;
        if (search->found)
                return;
        if (!g->rule) {
                if (search->reason)
                        strv_addf(&search->missing, "%s.rbac.authorization.k8s.io \"%s\" not found",
                                  streq(json_str_at(g->binding, "/roleRef/kind"), "Role") ? "role" : "clusterrole",
                                  json_str_at(g->binding, "/roleRef/name"));
                return;
        }
        search->found = rule_allows(g->rule, search->access);
        if (search->found && search->reason)
                explain_grant(search, g);
}

bool rbac_explain(struct apiserver *s, const struct user *user, const struct access *access, char **ret_reason) {
        struct search search = {.access = access, .reason = ret_reason};
        if (ret_reason)
                *ret_reason = NULL;
        if (strv_has(&user->groups, "system:masters"))
                return true;
        each_grant(s, user, access->path ? "" : access->ns, try_grant, &search);
        if (!search.found && search.missing.len) {
                AUTO(free) char *all = strv_join(&search.missing, ", ");
                *ret_reason = xasprintf(search.missing.len > 1 ? "RBAC: [%s]" : "RBAC: %s", all);
        }
        strv_done(&search.missing);
        return search.found;
}

bool rbac_allows(struct apiserver *s, const struct user *user, const struct access *access) {
        return rbac_explain(s, user, access, NULL);
}

int rbac_check(struct apiserver *s, const struct user *user, const struct access *a, struct err *err) {
        AUTO(free) char *what = NULL, *where = NULL, *head = NULL, *reason = NULL, *why = NULL;

        if (rbac_explain(s, user, a, &reason))
                return 0;
        why = reason ? xasprintf(": %s", reason) : xstrdup("");
        if (a->path) {
                err_http(err, -EACCES, 403, "Forbidden", "forbidden: User \"%s\" cannot %s path \"%s\"%s", user->name, a->verb, a->path,
                         why);
                status_details(err, NULL, NULL, NULL, NULL);
                return -EACCES;
        }
        what = a->subresource ? xasprintf("%s/%s", a->resource, a->subresource) : xstrdup(a->resource);
        where = *a->ns ? xasprintf("in the namespace \"%s\"", a->ns) : xstrdup("at the cluster scope");
        head = *a->group ? xasprintf("%s.%s", a->resource, a->group) : xstrdup(a->resource);
        if (a->name && *a->name)
                err_http(err, -EACCES, 403, "Forbidden",
                         "%s \"%s\" is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s%s", head, a->name,
                         user->name, a->verb, what, a->group, where, why);
        else
                err_http(err, -EACCES, 403, "Forbidden", "%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s%s",
                         head, user->name, a->verb, what, a->group, where, why);
        status_details(err, a->name, a->group, a->resource, NULL);
        return -EACCES;
}

/* Nobody grants what they do not have. */

/* What the user lacks: one for a group and resource, with the verbs; rules about names and URLs stand alone. */
struct lack {
        char *group, *resource;
        struct strv verbs;
};

struct coverage {
        const struct op *op;
        VEC(struct lack) lacks;
        struct strv others; /* as text */
};

static void coverage_done(struct coverage *c) {
        vec_foreach(l, &c->lacks) {
                free(l->group);
                free(l->resource);
                strv_done(&l->verbs);
        }
        vec_done(&c->lacks);
        strv_done(&c->others);
}

static void add_lack(struct coverage *c, const char *group, const char *resource, const char *verb) {
        vec_foreach(l, &c->lacks) {
                if (!streq(l->group, group) || !streq(l->resource, resource))
                        continue;
                if (!strv_has(&l->verbs, verb))
                        strv_add(&l->verbs, verb);
                return;
        }
        struct lack *l = vec_push(&c->lacks);
        *l = (struct lack){.group = xstrdup(group), .resource = xstrdup(resource)};
        strv_add(&l->verbs, verb);
}

static void check_resource(struct coverage *c, const char *verb, const char *group, const char *resource, yyjson_val *names) {
        AUTO(free) char *plural = xstrdup(resource);
        char *slash = strchr(plural, '/');
        struct access a = {.verb = verb, .group = group, .resource = plural, .ns = c->op->ns};
        if (slash) {
                *slash = '\0';
                a.subresource = slash + 1;
        }
        if (yyjson_arr_size(names) == 0) {
                if (!rbac_allows(c->op->s, c->op->user, &a))
                        add_lack(c, group, resource, verb);
                return;
        }
        EACH(name, n, names) {
                a.name = yyjson_get_str(name);
                if (!rbac_allows(c->op->s, c->op->user, &a))
                        strv_addf(&c->others, "{APIGroups:[\"%s\"], Resources:[\"%s\"], ResourceNames:[\"%s\"], Verbs:[\"%s\"]}", group,
                                  resource, a.name, verb);
        }
}

static void check_rules(struct coverage *c, yyjson_val *rules) {
        EACH(rule, i, rules) {
                EACH(group, g, yyjson_obj_get(rule, "apiGroups"))
                EACH(resource, m, yyjson_obj_get(rule, "resources")) EACH(verb, v, yyjson_obj_get(rule, "verbs")) check_resource(
                        c, yyjson_get_str(verb), yyjson_get_str(group), yyjson_get_str(resource), yyjson_obj_get(rule, "resourceNames"));
                EACH(path, k, yyjson_obj_get(rule, "nonResourceURLs")) EACH(verb, v, yyjson_obj_get(rule, "verbs")) {
                        struct access a = {.verb = yyjson_get_str(verb), .path = yyjson_get_str(path)};
                        if (!rbac_allows(c->op->s, c->op->user, &a))
                                strv_addf(&c->others, "{NonResourceURLs:[\"%s\"], Verbs:[\"%s\"]}", a.path, a.verb);
                }
        }
}

/* A line for each, sorted; NULL when nothing is lacking. */
static char *describe_lacks(const struct coverage *c) {
        AUTO(strv) struct strv lines = {0};
        vec_foreach(l, &c->lacks) {
                AUTO(free) char *verbs = strv_join(&l->verbs, "\" \"");
                strv_addf(&lines, "{APIGroups:[\"%s\"], Resources:[\"%s\"], Verbs:[\"%s\"]}", l->group, l->resource, verbs);
        }
        for (size_t i = 0; i < c->others.len; i++)
                strv_add(&lines, c->others.items[i]);
        strv_sort(&lines);
        return lines.len ? strv_join(&lines, "\n") : NULL;
}

int check_escalation(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err) {
        bool is_binding = str_ends(op->res->plural, "bindings");
        struct access special = {
                .group = op->res->group, .resource = op->res->plural, .ns = op->ns, .name = meta_name(object), .verb = "escalate"};
        struct coverage c = {.op = op};
        AUTO(str) struct str groups = STR_INIT(0);
        struct object *role;
        int r = 0;
        (void)what;

        if (!op->user || strv_has(&op->user->groups, "system:masters"))
                return 0;
        if (old && json_equal(yyjson_obj_get(object, "rules"), object_at(old, "/rules")) &&
            json_equal(yyjson_obj_get(object, "roleRef"), object_at(old, "/roleRef")) &&
            json_equal(yyjson_obj_get(object, "subjects"), object_at(old, "/subjects")))
                return 0;
        if (is_binding) {
                const char *kind = json_str_at(object, "/roleRef/kind");
                special.verb = "bind";
                special.resource = kind && streq(kind, "Role") ? "roles" : "clusterroles";
                special.name = json_str_at(object, "/roleRef/name");
        }
        if (rbac_allows(op->s, op->user, &special))
                return 0;
        role = is_binding ? role_of(op->s, object, op->ns) : NULL;
        if (is_binding && !role)
                r = status_not_found(err, op->res, special.name);
        else
                check_rules(&c, is_binding ? object_at(role, "/rules") : yyjson_obj_get(object, "rules"));
        AUTO(free) char *lacks = describe_lacks(&c);
        if (lacks) {
                for (size_t i = 0; i < op->user->groups.len; i++)
                        str_appendf(&groups, "%s\"%s\"", i ? " " : "", op->user->groups.items[i]);
                r = status_forbidden(err, op->res, meta_name(object),
                                     "user \"%s\" (groups=[%s]) is attempting to grant RBAC permissions not currently held:\n%s",
                                     op->user->name, str_cstr(&groups), lacks);
        }
        coverage_done(&c);
        return r;
}

/* Aggregated roles. */

static void append_rules(yyjson_mut_doc *doc, yyjson_mut_val *rules, yyjson_val *more) {
        EACH(rule, i, more) {
                bool known = false;
                AUTO(mjson) yyjson_mut_doc *copy = json_thaw(rule);
                yyjson_mut_val *have;
                size_t k, n;
                yyjson_mut_arr_foreach(rules, k, n, have) known |= yyjson_mut_equals(have, yyjson_mut_doc_get_root(copy));
                if (!known)
                        yyjson_mut_arr_append(rules, yyjson_val_mut_copy(doc, rule));
        }
}

static void aggregate_one(struct apiserver *s, struct api *as, struct object *role) {
        struct collection *all = registry_by_id(&s->registry, CLUSTER_ROLES)->objects;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        AUTO(free) char *text = NULL;
        AUTO(json) yyjson_doc *frozen = NULL;
        AUTO(err) struct err why = ERR_INIT;
        yyjson_mut_val *root = yyjson_mut_obj(doc), *rules = yyjson_mut_arr(doc);

        EACH(term, i, object_at(role, "/aggregationRule/clusterRoleSelectors")) {
                AUTO(selector) struct selector sel = {0};
                if (selector_from_object(term, &sel, &why) < 0)
                        continue; /* it was validated; a selector that does not parse selects nothing */
                for (size_t k = 0; k < all->len; k++)
                        if (all->items[k] != role && object_matches(all->items[k], &sel))
                                append_rules(doc, rules, object_at(all->items[k], "/rules"));
        }
        mjson_set_str(doc, root, "kind", "ClusterRole");
        mjson_set_str(doc, root, "apiVersion", "rbac.authorization.k8s.io/v1");
        mjson_set_str(doc, mjson_obj(doc, root, "metadata"), "name", role->name);
        mjson_set(doc, root, "rules", rules);
        frozen = mjson_freeze(root);
        if (json_equal(yyjson_obj_get(yyjson_doc_get_root(frozen), "rules"), object_at(role, "/rules")))
                return;
        err_clear(&why);
        text = mjson_write(root, false, NULL);
        if (api_patch(as, CLUSTER_ROLES, NULL, role->name, NULL, API_PATCH_APPLY, sv_of(text), NULL, &why) < 0)
                log_debug("aggregating cluster role %s: %s", role->name, err_message(&why));
}

void rbac_aggregate(struct apiserver *s) {
        struct collection *all = registry_by_id(&s->registry, CLUSTER_ROLES)->objects;
        AUTO(object_list) struct object_list list = {0};
        AUTO(api) struct api *as = api_new(s, "clusterrole-aggregation-controller");
        for (size_t i = 0; i < all->len; i++)
                if (object_at(all->items[i], "/aggregationRule"))
                        object_list_add(&list, all->items[i]);
        for (size_t i = 0; i < list.len; i++)
                aggregate_one(s, as, list.items[i]);
}
