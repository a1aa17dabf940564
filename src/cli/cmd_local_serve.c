/* firesteel local serve: the server itself, in the foreground. `up` starts it in the background and listens on --report-fd:
 * one line an event, "step TEXT", "ready PORT", "error TEXT", "hint TEXT". */
#include <fcntl.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/local.h"
#include "cluster/server.h"
#include "kube/kubeconfig_edit.h"

struct serve {
        const struct instance *instance;
        int report_fd; /* -1: nobody listens */
};

static void report(const struct serve *s, const char *word, const char *text) {
        if (s->report_fd < 0)
                return;
        AUTO(str) struct str line = STR_INIT(0);
        str_appendf(&line, "%s ", word);
        for (const char *p = text; *p; p++)
                str_append_c(&line, *p == '\n' ? ' ' : *p);
        str_append_c(&line, '\n');
        /* Whoever waited may have gone away; the server goes on all the same. */
        if (fs_write_all(s->report_fd, line.data, line.len) < 0)
                log_debug("nobody waits for the start any more");
}

static void on_step(void *arg, const char *what) {
        log_info("%s", what);
        report(arg, "step", what);
}

static int on_ready(void *arg, const struct instance_server *server, const struct instance_pki *pki, struct err *err) {
        struct serve *s = arg;
        AUTO(free) char *name = local_context_name(s->instance);
        AUTO(free) char *url = xasprintf("https://%s:%d", server->bind, server->port);
        AUTO(free) char *file = instance_path(s->instance, "kubeconfig");
        AUTO(free) char *text = kubeconfig_text(&(struct kubeconfig_entry){
                .name = name, .server = url, .ca_pem = sv_of(pki->ca_cert), .token = pki->admin_token, .make_current = true});
        int r = fs_write_atomic(file, sv_of(text), 0600, err);
        if (r < 0)
                return r;
        log_info("serving instance \"%s\" at %s", s->instance->name, url);
        AUTO(free) char *port = xasprintf("%d", server->port);
        report(s, "ready", port);
        if (s->report_fd >= 0)
                close(s->report_fd);
        s->report_fd = -1;
        return 0;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(instance) struct instance i = {0};
        AUTO(instance_settings) struct instance_settings settings = {0};
        struct serve s = {.instance = &i, .report_fd = (int)option_int(&ctx->o, "report-fd")};
        if (s.report_fd <= 2)
                s.report_fd = -1;
        else
                fcntl(s.report_fd, F_SETFD, FD_CLOEXEC);
        log_set_timestamps(1);
        int r = local_open(ctx, &i, err);
        if (r >= 0)
                r = instance_prepare(&i, err);
        if (r >= 0)
                r = instance_load_settings(&i, &settings, err);
        if (r >= 0)
                r = local_apply_options(ctx, &settings, err);
        if (r >= 0)
                r = server_run(&i, &settings, &(struct server_events){on_step, on_ready, &s}, err);
        if (r < 0) {
                report(&s, "error", err_message(err));
                if (err->hint)
                        report(&s, "hint", err->hint);
        }
        return r < 0 ? r : EXIT_OK;
}

const struct cmd cmd_local_serve = {
        .name = "serve",
        .summary = "Run the server of an instance in the foreground",
        .options = (const struct option[]){LOCAL_OPTION_NAME,
                                           LOCAL_OPTIONS_SERVER,
                                           {"report-fd", 0, OPTION_INT, "FD", "descriptor that hears about the start", .hidden = true},
                                           {0}},
        .hidden = true,
        .run = run,
};
