#include "submit/compat.h"

#include "kobj/meta.h"
#include "kube/verbs.h"
#include "submit/podstate.h"

struct target {
        char *namespace_; /* NULL: the submission id names none, nor does the kubeconfig */
        char *name;
        bool is_glob;
};

static void target_done(struct target *t) {
        free(t->namespace_);
        free(t->name);
}
DEFINE_AUTO_VALUE(target, struct target, target_done)

static void say(const struct compat_options *o, const char *fmt, ...) PRINTF(2, 3);
static void say(const struct compat_options *o, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        o->say(o->arg, text);
}

static void parse_target(const struct compat_options *o, struct target *ret) {
        const char *colon = strchr(o->submission_id, ':');
        if (colon && colon != o->submission_id)
                ret->namespace_ = xstrndup(o->submission_id, (size_t)(colon - o->submission_id));
        else
                ret->namespace_ = colon ? NULL : xstrdup_null(o->namespace_);
        ret->name = xstrdup(colon ? colon + 1 : o->submission_id);
        size_t len = strlen(ret->name);
        ret->is_glob = len > 0 && ret->name[len - 1] == '*';
        if (ret->is_glob)
                ret->name[len - 1] = '\0';
}

static int no_namespace(struct err *err) {
        return err_set(err, -EINVAL, "namespace not specified for an operation requiring one and no default was found in the Config.");
}

static int no_name(struct err *err) { return err_set(err, -EINVAL, "Name must be provided."); }

/* The drivers whose names begin so, in the server's order. */
static int list_matching(const struct compat_options *o, const struct target *t, yyjson_doc **ret, struct err *err) {
        struct kube_list_options list = {.label_selector = "spark-role=driver", .limit = -1};
        return kube_list(o->client, &KUBE_PODS, t->namespace_, &list, ret, err);
}

static bool matches(yyjson_val *pod, const struct target *t) {
        const char *name = meta_name(pod);
        return name && str_starts(name, t->name) && streq_null(meta_label(pod, "spark-role"), "driver");
}

static int each_matching(const struct compat_options *o, const struct target *t,
                         int (*act)(const struct compat_options *o, yyjson_val *pod, int64_t grace, struct err *err), int64_t grace,
                         struct err *err) {
        AUTO(json) yyjson_doc *list = NULL;
        int r = list_matching(o, t, &list, err);
        if (r < 0)
                return r;
        yyjson_val *items = yyjson_obj_get(yyjson_doc_get_root(list), "items"), *pod;
        size_t i, n, found = 0;
        yyjson_arr_foreach(items, i, n, pod) {
                if (!matches(pod, t))
                        continue;
                found++;
                r = act(o, pod, grace, err);
                if (r < 0)
                        return r;
        }
        if (found == 0)
                say(o, "No applications found.");
        return 0;
}

static int parse_grace(const struct compat_options *o, int64_t *ret, struct err *err) {
        *ret = -1;
        if (o->grace_period && !sv_to_int64(sv_trim(sv_of(o->grace_period)), ret))
                return err_set(err, -EINVAL, "spark.kubernetes.appKillPodDeletionGracePeriod should be long, but was %s", o->grace_period);
        return 0;
}

/* Like the original's client: a pod that is gone is no error. */
static int delete_pod(const struct compat_options *o, const char *namespace_, const char *name, int64_t grace, struct err *err) {
        AUTO(err) struct err why = ERR_INIT;
        AUTO(kube_request) struct kube_request q = {0};
        kube_make_delete(o->client, &KUBE_PODS, namespace_, name, &(struct kube_delete_options){.grace_seconds = grace}, &q);
        AUTO(kube_reply) struct kube_reply reply = {0};
        int r = kube_call_wait(o->client, &q, &reply, &why);
        if (r >= 0 || why.http_status == 404)
                return 0;
        return err_move(err, &why);
}

static int kill_listed(const struct compat_options *o, yyjson_val *pod, int64_t grace, struct err *err) {
        say(o, "Deleting driver pod: %s.", meta_name(pod));
        return delete_pod(o, meta_namespace(pod), meta_name(pod), grace, err);
}

static int kill_one(const struct compat_options *o, const struct target *t, int64_t grace, struct err *err) {
        if (!*t->name)
                return no_name(err);
        if (o->is_35) /* a 3.5 without a namespace asks for one that no server has, and is told 404 */
                return delete_pod(o, t->namespace_, t->name, grace, err);
        if (!t->namespace_)
                return no_namespace(err);
        AUTO(err) struct err why = ERR_INIT;
        int r = kube_get(o->client, &KUBE_PODS, t->namespace_, t->name, NULL, &why);
        if (r < 0 && why.http_status == 404) {
                say(o, "Application not found.");
                return 0;
        }
        if (r < 0)
                return err_move(err, &why);
        return delete_pod(o, t->namespace_, t->name, grace, err);
}

int compat_kill(const struct compat_options *o, struct err *err) {
        int64_t grace;
        int r = parse_grace(o, &grace, err);
        if (r < 0)
                return r;
        AUTO(target) struct target t = {0};
        parse_target(o, &t);
        say(o, "Submitting a request to kill submission %s in %s. Grace period in secs: %s", o->submission_id, o->master,
            o->grace_period ? o->grace_period : "not set.");
        return t.is_glob ? each_matching(o, &t, kill_listed, grace, err) : kill_one(o, &t, grace, err);
}

static void say_status(const struct compat_options *o, yyjson_val *pod) {
        AUTO(str) struct str text = STR_INIT(0);
        podstate_format(pod, &text);
        say(o, "Application status (driver): %s", str_cstr(&text));
}

static int status_listed(const struct compat_options *o, yyjson_val *pod, int64_t grace, struct err *err) {
        say_status(o, pod);
        return 0;
}

int compat_status(const struct compat_options *o, struct err *err) {
        AUTO(target) struct target t = {0};
        parse_target(o, &t);
        say(o, "Submitting a request for the status of submission %s in %s.", o->submission_id, o->master);
        if (t.is_glob)
                return each_matching(o, &t, status_listed, -1, err);
        if (!t.namespace_)
                return no_namespace(err);
        if (!*t.name)
                return no_name(err);
        AUTO(json) yyjson_doc *pod = NULL;
        AUTO(err) struct err why = ERR_INIT;
        int r = kube_get(o->client, &KUBE_PODS, t.namespace_, t.name, &pod, &why);
        if (r < 0 && why.http_status != 404)
                return err_move(err, &why);
        if (r < 0)
                say(o, "Application not found.");
        else
                say_status(o, yyjson_doc_get_root(pod));
        return 0;
}
