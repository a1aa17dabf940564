#include "submit/job.h"

#include "base/clock.h"
#include "base/rand.h"
#include "codec/quantity.h"
#include "submit/check.h"
#include "submit/gather.h"
#include "submit/submit.h"

void submit_job_init(struct submit_job *job) {
        *job = (struct submit_job){0};
        submission_inputs_init(&job->in);
        submit_args_init(&job->args, SPARK_4_1);
        spark_conf_init(&job->conf, spark_version_newest());
}

void submit_job_done(struct submit_job *job) {
        submission_free(job->s);
        submission_app_done(&job->app);
        spark_conf_done(&job->conf);
        submit_args_done(&job->args);
        submission_inputs_done(&job->in);
        strv_done(&job->warnings);
}

static void copy_inputs(struct submission_inputs *to, const struct submission_inputs *from) {
        map_foreach(e, &from->env) map_set(&to->env, e->key, xstrdup(e->value));
        to->cwd = xstrdup(from->cwd);
        to->user = xstrdup(from->user);
}

int submit_job_begin(struct submit_job *job, const struct submit_job_options *o, const struct submission_inputs *seen, struct err *err) {
        int r = 0;
        if (seen)
                copy_inputs(&job->in, seen);
        else if ((r = gather_base(&job->in, err)) >= 0)
                r = gather_spark_env(&job->in, err);
        if (r >= 0)
                r = gather_version(&job->in, o->spark_version, &job->version, &job->version_known, err);
        job->args.line = job->version.line;
        return r;
}

/* --namespace and --context are the keys of that meaning. */
static int take_cluster_options(struct submit_job *job, const struct submit_job_options *o, struct err *err) {
        const struct {
                const char *option, *value, *key;
        } keys[] = {{"namespace", o->namespace_, "spark.kubernetes.namespace"}, {"context", o->context, "spark.kubernetes.context"}};
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                const char *value = keys[i].value, *set = map_get(&job->args.properties, keys[i].key);
                if (value && set && !streq(value, set))
                        return err_set(err, -EINVAL, "--%s %s and %s=%s contradict each other", keys[i].option, value, keys[i].key, set);
                if (value)
                        map_set(&job->args.properties, keys[i].key, xstrdup(value));
        }
        return 0;
}

/* Keys that this release does not know are most often misspelt. */
static int check_keys(struct submit_job *job, bool strict, struct err *err) {
        map_foreach(e, &job->args.properties) {
                if (spark_key_in(job->version.line, e->key) || spark_key_has_prefix(e->key) ||
                    (!strict && !str_starts(e->key, "spark.kubernetes.")))
                        continue;
                AUTO(free) char *nearest = spark_key_nearest(job->version.line, e->key);
                const struct spark_key *elsewhere = spark_key_find(e->key);
                AUTO(free) char *what = elsewhere ? xasprintf("%s is not a key of Spark %s", e->key, job->version.number)
                                                  : xasprintf("%s is not a key that Spark knows%s%s%s", e->key,
                                                              nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
                if (strict)
                        return err_set(err, -EINVAL, "%s", what);
                strv_add(&job->warnings, what);
        }
        return 0;
}

/* Spark passes these on as they are: the driver's the API server refuses, the executors' the driver finds out about, minutes later. */
static int check_quantities(const struct submit_job *job, struct err *err) {
        static const char *const keys[] = {"spark.kubernetes.driver.request.cores", "spark.kubernetes.driver.limit.cores",
                                           "spark.kubernetes.executor.request.cores", "spark.kubernetes.executor.limit.cores"};
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                const char *text = map_get(&job->args.properties, keys[i]);
                struct quantity q;
                if (!text || strstr(text, "${") /* a reference: the driver's is looked at in the pod */ ||
                    (quantity_parse(sv_of(text), &q, NULL) >= 0 && quantity_milli(q) >= 0))
                        continue;
                err_set(err, -EINVAL, "%s is \"%s\", which is no quantity of processors", keys[i], text);
                err_hint(err, "write 2, 0.5 or 500m");
                return -EINVAL;
        }
        return 0;
}

int submit_job_finish(struct submit_job *job, const struct submit_job_options *o, struct err *err) {
        struct submit_args *a = &job->args;
        int r = take_cluster_options(job, o, err);
        if (r >= 0)
                r = gather_properties(&job->in, a, err);
        if (r >= 0 && !a->values[SUBMIT_DEPLOY_MODE] && !map_has(&a->properties, "spark.submit.deployMode"))
                r = submit_args_set(a, SUBMIT_DEPLOY_MODE, "cluster", err);
        if (r >= 0)
                r = submit_args_finish(a, &job->in.env, err);
        for (size_t i = 0; i < a->warnings.len; i++)
                strv_add(&job->warnings, a->warnings.items[i]);
        if (r < 0)
                return r;
        if (!job->version_known)
                gather_version_of_image(a, &job->version);
        a->line = job->version.line;
        r = check_quantities(job, err);
        return r < 0 ? r : check_keys(job, o->strict, err);
}

int submit_job_access(const struct submit_job *job, const struct submit_job_options *o, struct kube_access *ret, struct err *err) {
        AUTO(kubeconfig) struct kubeconfig k = {0};
        const char *master = job->args.values[SUBMIT_MASTER];
        if (master && str_starts(master, "k8s://")) {
                AUTO(free) char *full = NULL;
                int r = spark_k8s_master(job->version.line, master, &full, err);
                if (r < 0)
                        return r;
                AUTO(spark_conf) struct spark_conf conf;
                spark_conf_init(&conf, job->version);
                map_foreach(e, &job->args.properties) conf_set(&conf, e->key, e->value);
                return submit_access(&conf, full, ret, err);
        }
        if (master) {
                err_set(err, -EINVAL, "cannot submit to master %s", master);
                err_hint(err, "firesteel submits to k8s:// masters; leave --master out to use the kubeconfig's cluster");
                return -EINVAL;
        }
        int r = kubeconfig_load(o->kubeconfig, &k, err);
        if (r < 0)
                return r;
        struct kube_access_options where = {.context = map_get(&job->args.properties, "spark.kubernetes.context"),
                                            .namespace_ = map_get(&job->args.properties, "spark.kubernetes.namespace")};
        return kube_access_of(&k, &where, ret, err);
}

char *submit_job_access_key(const struct submit_job *job) {
        AUTO(str) struct str key = STR_INIT(0);
        str_append_s(&key, job->args.values[SUBMIT_MASTER] ? job->args.values[SUBMIT_MASTER] : "");
        map_foreach(e, &job->args.properties) {
                if (streq(e->key, "spark.kubernetes.context") || streq(e->key, "spark.kubernetes.trust.certificates") ||
                    str_starts(e->key, "spark.kubernetes.authenticate.submission.") ||
                    (!job->args.values[SUBMIT_MASTER] && streq(e->key, "spark.kubernetes.namespace")))
                        str_appendf(&key, "\n%s=%s", e->key, (const char *)e->value);
        }
        return str_take(&key);
}

int submit_job_aim(struct submit_job *job, const struct kube_access *access, struct err *err) {
        if (job->args.values[SUBMIT_MASTER])
                return 0;
        AUTO(free) char *url = xasprintf("k8s://%s", access->server);
        if (access->namespace_ && !map_has(&job->args.properties, "spark.kubernetes.namespace"))
                map_set(&job->args.properties, "spark.kubernetes.namespace", xstrdup(access->namespace_));
        return submit_args_set(&job->args, SUBMIT_MASTER, url, err);
}

int submit_job_build(struct submit_job *job, struct err *err) {
        AUTO(input_wants) struct input_wants wants = {0};
        if (!submit_args_is_k8s_cluster(&job->args)) {
                err_set(err, -EINVAL, "cannot submit in %s mode", job->args.values[SUBMIT_DEPLOY_MODE]);
                err_hint(err, "the modes are cluster and client");
                return -EINVAL;
        }
        submission_wants(&job->args, &job->in, &wants);
        int r = gather_wants(&job->in, &wants, err);
        job->conf.version = job->version;
        if (r >= 0)
                r = submission_prepare(&job->args, &job->in, &job->conf, &job->app, err);
        if (r < 0)
                return r;
        struct submission_request q = {.conf = &job->conf, .app = &job->app, .in = &job->in, .ids = {.now_ms = clock_now_ms()}};
        rand_bytes(q.ids.seed, sizeof(q.ids.seed));
        r = submission_waiting(&job->conf, &job->wait, &job->interval_ms, err);
        if (r >= 0)
                r = submission_build(&q, &job->s, err);
        for (size_t i = 0; r >= 0 && i < job->s->warnings.len; i++)
                strv_add(&job->warnings, job->s->warnings.items[i]);
        if (r >= 0)
                check_secrets(&job->conf, job->s->namespace_, &job->warnings);
        return r < 0 ? r : check_objects(job->s, err);
}
