/* firesteel local down and reset: end an instance; end it and forget it. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/local.h"
#include "cli/progress.h"
#include "cluster/leftovers.h"
#include "kube/kubeconfig_edit.h"

enum { SETTLE_MS = 10000 };

static void turn(void *p) { progress_update(p, "ending pods"); }

int local_stop(const struct instance *i, int64_t timeout_ms, bool quiet, bool *ret_was_running, struct err *err) {
        AUTO(instance_server) struct instance_server s = {0};
        AUTO(progress) struct progress *p = progress_new(quiet);
        int state;
        /* One that is starting, or was just killed and is still being taken apart. */
        for (int64_t until = clock_mono_ms() + SETTLE_MS; (state = instance_running(i, &s, err)) == 2 && clock_mono_ms() < until;)
                poll(NULL, 0, 20);
        if (state < 0)
                return state;
        if (state == 2)
                return err_set(err, -EBUSY, "instance \"%s\" is just starting; try again in a moment", i->name);
        *ret_was_running = state == 1;
        if (state == 1) {
                progress_step(p, "Stopping instance \"%s\"", i->name);
                if (kill(s.pid, SIGTERM) < 0 && errno != ESRCH)
                        return err_errno(err, -errno, "ending the server, process %d", (int)s.pid);
                if (!local_wait_exit(s.pid, timeout_ms, turn, p)) {
                        /* A second signal: no more grace for pods. */
                        kill(s.pid, SIGTERM);
                        if (!local_wait_exit(s.pid, 10000, turn, p)) {
                                log_warn("the server, process %d, does not end: killing it", (int)s.pid);
                                kill(s.pid, SIGKILL);
                                if (!local_wait_exit(s.pid, 10000, NULL, NULL))
                                        return err_set(err, -EBUSY, "the server, process %d, cannot be killed", (int)s.pid);
                        }
                }
        }
        int r = leftovers_end(i, err);
        if (r < 0)
                return r;
        instance_remove_server(i);
        if (state == 1)
                progress_done(p, "Instance \"%s\" is stopped", i->name);
        else if (r > 0)
                log_info("ended %d process%s that a killed server had left", r, r == 1 ? "" : "es");
        return 0;
}

/* Takes the cluster out of the kubeconfig that `up --merge` put it into. */
static int unmerge(const struct instance *i, struct err *err) {
        AUTO(instance_settings) struct instance_settings settings = {0};
        int r = instance_load_settings(i, &settings, err);
        if (r < 0 || !settings.merged_into)
                return r;
        AUTO(free) char *name = local_context_name(i);
        r = kubeconfig_remove(settings.merged_into, name, err);
        if (r < 0)
                return err_wrap(err, r, "removing the cluster from %s", settings.merged_into);
        free(TAKE(settings.merged_into));
        return instance_save_settings(i, &settings, err);
}

static int run_down(struct cmd_ctx *ctx, struct err *err) {
        AUTO(instance) struct instance i = {0};
        AUTO(fd) int command_lock = -1;
        int r = local_open(ctx, &i, err);
        if (r < 0)
                return r;
        if (!instance_exists(&i))
                return local_not_running(&i);
        bool was_running = false, quiet = option_on(&ctx->o, "quiet");
        r = instance_lock_command(&i, &command_lock, err);
        if (r == -ENOENT)
                return local_not_running(&i);
        if (r >= 0)
                r = local_stop(&i, option_int(&ctx->o, "timeout"), quiet, &was_running, err);
        if (r >= 0)
                r = unmerge(&i, err);
        if (r < 0)
                return r;
        if (!was_running && !quiet)
                log_info("instance \"%s\" was not running", i.name);
        return EXIT_OK;
}

const struct cmd cmd_local_down = {
        .name = "down",
        .summary = "Stop an instance: its pods, its network, its server",
        .description =
                "Pods get their termination grace. Objects stay and are there again after the next \"up\"; pods that nothing restarts "
                "are then Failed. Not running is success.",
        .options = (const struct option[]){LOCAL_OPTION_NAME,
                                           {"timeout", 0, OPTION_DURATION, "TIME", "after this long pods get no more grace", "40s"},
                                           {"quiet", 'q', OPTION_SWITCH, NULL, "print nothing but errors"},
                                           {0}},
        .run = run_down,
};

static bool confirmed(const struct instance *i) {
        fprintf(stderr, "Remove instance \"%s\" with all its objects, logs and volumes (%s)? [y/N] ", i->name, i->dir);
        char answer[16] = "";
        return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int run_reset(struct cmd_ctx *ctx, struct err *err) {
        AUTO(instance) struct instance i = {0};
        AUTO(fd) int command_lock = -1;
        int r = local_open(ctx, &i, err);
        if (r < 0)
                return r;
        if (!instance_exists(&i))
                return local_not_running(&i);
        if (!option_on(&ctx->o, "yes")) {
                if (!isatty(0))
                        return cmd_usage_error(ctx, "this removes all of instance \"%s\"; without a terminal to ask on it wants --yes",
                                               i.name);
                if (!confirmed(&i)) {
                        log_info("nothing was removed");
                        return EXIT_FAILED;
                }
        }
        bool was_running = false;
        r = instance_lock_command(&i, &command_lock, err);
        if (r == -ENOENT)
                return local_not_running(&i);
        if (r >= 0)
                r = local_stop(&i, 10000, false, &was_running, err);
        if (r >= 0) {
                AUTO(err) struct err e = ERR_INIT;
                if (unmerge(&i, &e) < 0) /* a broken settings file must not keep the rest from being removed */
                        log_warn("%s", err_message(&e));
                r = leftovers_remove(&i, err);
        }
        if (r < 0)
                return r;
        log_info("instance \"%s\" is removed", i.name);
        return EXIT_OK;
}

const struct cmd cmd_local_reset = {
        .name = "reset",
        .summary = "Stop an instance and remove everything it has",
        .options = (const struct option[]){LOCAL_OPTION_NAME, {"yes", 'y', OPTION_SWITCH, NULL, "do not ask"}, {0}},
        .run = run_reset,
};
