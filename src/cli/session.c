#include "cli/session.h"

#include <signal.h>

void session_done(struct session *s) {
        if (s->on_interrupt)
                sigwatch_free(s->on_interrupt);
        if (s->on_terminate)
                sigwatch_free(s->on_terminate);
        kube_client_free(s->client);
        if (s->loop)
                loop_free(s->loop);
        kube_access_done(&s->access);
        free(s->namespace_);
        *s = (struct session){0};
}

static void on_interrupt(void *arg) {
        struct session *s = arg;
        if (s->interrupted) /* a second time: the user means it */
                _exit(EXIT_INTERRUPTED);
        s->interrupted = true;
        loop_stop(s->loop);
}

int session_open(struct session *s, const struct cmd_ctx *ctx, struct err *err) {
        AUTO(kubeconfig) struct kubeconfig k = {0};
        int r = kubeconfig_load(option_str(&ctx->o, "kubeconfig"), &k, err);
        if (r < 0)
                return r;
        const char *namespace_ = option_str(&ctx->o, "namespace");
        struct kube_access_options o = {.context = option_str(&ctx->o, "context"), .namespace_ = namespace_};
        r = kube_access_of(&k, &o, &s->access, err);
        return r < 0 ? r : session_connect(s, err);
}

void session_listen(struct session *s) {
        s->loop = loop_new();
        s->on_interrupt = sigwatch_new(s->loop, SIGINT, on_interrupt, s);
        s->on_terminate = sigwatch_new(s->loop, SIGTERM, on_interrupt, s);
}

int session_connect(struct session *s, struct err *err) {
        session_listen(s);
        int r = kube_client_new(s->loop, &(struct kube_client_options){.access = &s->access}, &s->client, err);
        if (r < 0)
                return r;
        s->namespace_ = xstrdup(kube_client_namespace(s->client));
        return 0;
}

void session_split_name(const struct session *s, const char *text, bool all, char **ret_namespace, char **ret_name) {
        const char *colon = strchr(text, ':');
        if (colon) {
                *ret_namespace = xstrndup(text, (size_t)(colon - text));
                *ret_name = xstrdup(colon + 1);
        } else {
                *ret_namespace = all ? NULL : xstrdup(s->namespace_);
                *ret_name = xstrdup(text);
        }
}
