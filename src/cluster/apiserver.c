#include "base/log.h"
#include "cluster/addresses.h"
#include "cluster/bootstrap.h"
#include "cluster/crd/crd.h"
#include "cluster/server-internal.h"
#include "cluster/token.h"

/* Everything that must agree with memory at any moment hangs on this. */
static void follow(void *arg, struct collection *c, struct object *now, struct object *before) {
        struct apiserver *s = arg;
        const struct resource *res = (now ? now : before)->resource;
        (void)c;
        if (res->hooks->applied)
                res->hooks->applied(s, now, before);
}

static int load(struct apiserver *s, struct err *err) {
        struct resource *crds = registry_by_id(&s->registry, "customresourcedefinitions.apiextensions.k8s.io");
        size_t builtin = s->registry.all.len;

        for (size_t i = 0; i < builtin; i++) {
                struct resource *res = s->registry.all.items[i];
                int r = res->objects && res->storage == res ? store_load(s->store, res->objects, res, err) : 0;
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < crds->objects->len; i++)
                crd_follow(s, crds->objects->items[i], NULL);
        for (size_t i = 0; i < registry_by_id(&s->registry, "services")->objects->len; i++)
                addresses_follow(s->addresses, registry_by_id(&s->registry, "services")->objects->items[i], NULL);
        return 0;
}

int apiserver_new(struct loop *l, const struct apiserver_options *o, struct apiserver **ret, struct err *err) {
        struct apiserver *s = NEW(struct apiserver);
        int r;

        s->loop = l;
        s->stats.started_ms = clock_now_ms();
        s->ca_cert_pem = o->ca_cert_pem.len ? sv_dup(o->ca_cert_pem) : NULL;
        s->admin_token = xstrdup_null(o->admin_token);
        s->service_cidr = xstrdup(o->service_cidr ? o->service_cidr : "10.96.0.0/16");
        s->advertise_address = xstrdup(o->advertise_address ? o->advertise_address : "127.0.0.1");
        s->advertise_port = o->advertise_port ? o->advertise_port : 443;
        s->allow_anonymous_admin = o->allow_anonymous_admin;
        r = addresses_new(s->service_cidr, &s->addresses, err);
        if (r == 0)
                r = tokens_new(o->token_key_pem, o->issuer, &s->tokens, err);
        if (r == 0)
                r = store_new(l, o->database, o->watch_history, &s->store, err);
        if (r == 0) {
                registry_init(&s->registry, s->store);
                r = load(s, err);
        }
        if (r < 0) {
                apiserver_free(s);
                return r;
        }
        store_observe(s->store, follow, s);
        s->is_ready = true;
        s->self = api_new(s, "kube-apiserver");
        r = bootstrap(s, err);
        if (r < 0) {
                apiserver_free(s);
                return err_wrap(err, r, "preparing the cluster's own objects");
        }
        s->crds = crd_controller_new(s);
        s->accounts = accounts_new(s);
        *ret = s;
        return 0;
}

void apiserver_free(struct apiserver *s) {
        if (!s)
                return;
        sessions_end(s);
        timer_free(s->send_watches);
        crd_controller_free(s->crds);
        accounts_free(s->accounts);
        api_free(s->self);
        registry_done(&s->registry);
        store_free(s->store);
        tokens_free(s->tokens);
        addresses_free(s->addresses);
        discovery_cache_free(s->discovery);
        free(s->ca_cert_pem);
        free(s->admin_token);
        free(s->service_cidr);
        free(s->advertise_address);
        free(s);
}

void apiserver_set_pod_backend(struct apiserver *s, const struct pod_backend *backend) {
        s->backend = backend;
        s->registry.revision++; /* metrics.k8s.io appears in discovery */
}

void apiserver_set_connect(struct apiserver *s, apiserver_connect_fn *connect, void *arg) {
        s->connect = connect;
        s->connect_arg = arg;
}

int apiserver_make_token_key(char **ret_pem, struct err *err) { return tokens_make_key(ret_pem, err); }

struct durable_call {
        void (*done)(void *arg);
        void *arg;
};

static void durable(void *arg, const struct err *err) {
        struct durable_call *call = arg;
        (void)err;
        call->done(call->arg);
        free(call);
}

void apiserver_when_durable(struct apiserver *s, void (*done)(void *arg), void *arg) {
        struct durable_call *call = NEW(struct durable_call);
        *call = (struct durable_call){done, arg};
        store_when_durable(s->store, store_revision(s->store), durable, call);
}
