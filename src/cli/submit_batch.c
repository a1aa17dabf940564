#include "cli/submit_batch.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/exit.h"
#include "cli/output.h"
#include "cli/session.h"
#include "submit/batch.h"

struct batching {
        bool as_json, names_only, quiet;
        bool has_header;
};

static void print_json(const struct batch_result *r) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        mjson_set_int(doc, root, "line", (int64_t)r->line);
        mjson_set_str(doc, root, "submissionId", r->err ? NULL : r->submission_id);
        mjson_set_str(doc, root, "namespace", r->namespace_);
        mjson_set_str(doc, root, "driverPod", r->err ? NULL : r->pod);
        mjson_set_str(doc, root, "applicationId", r->err ? NULL : r->app_id);
        mjson_set_str(doc, root, "applicationName", r->app_name);
        mjson_set_str(doc, root, "error", r->err ? err_message(r->err) : NULL);
        mjson_set_str(doc, root, "hint", r->err ? r->err->hint : NULL);
        size_t len;
        AUTO(free) char *text = mjson_write(root, false, &len);
        fwrite(text, 1, len, stdout);
        putchar('\n');
}

/* Results are printed as they come, so the columns have fixed widths. */
static void print_row(struct batching *b, const struct batch_result *r) {
        if (!b->has_header)
                printf("%-6s  %-38s  %s\n", "LINE", "APPLICATION", "DRIVER POD OR ERROR");
        b->has_header = true;
        AUTO(free) char *text = xstrdup(r->err ? err_message(r->err) : r->submission_id);
        for (char *c = text; (c = strpbrk(c, "\r\n"));)
                *c = ' ';
        printf("%-6zu  %-38s  %s%s\n", r->line, r->err ? "-" : r->app_id, r->err ? "failed: " : "", text);
}

static void on_result(void *arg, const struct batch_result *r) {
        struct batching *b = arg;
        if (b->as_json) {
                print_json(r);
        } else if (!b->names_only) {
                print_row(b, r);
        } else {
                if (!r->err)
                        printf("%s\n", r->submission_id);
                else
                        fprintf(stderr, "line %zu: %s\n", r->line, err_message(r->err));
        }
        if (r->err && r->err->hint && !b->as_json)
                fprintf(stderr, "line %zu: hint: %s\n", r->line, r->err->hint);
        if (terminal_of(1)->is_tty)
                fflush(stdout);
}

static void on_warning(void *arg, size_t line, const char *text) {
        struct batching *b = arg;
        if (!b->quiet)
                fprintf(stderr, "line %zu: warning: %s\n", line, text);
}

/* The options of the command line hold for every line that does not say otherwise. */
static void common_words(const struct options *o, struct strv *ret) {
        for (int i = 0; i < SUBMIT_ARGS; i++) {
                const char *name = submit_options[i].name + 2, *const *values;
                if (i == SUBMIT_KILL || i == SUBMIT_STATUS || i == SUBMIT_HELP || i == SUBMIT_VERSION || i == SUBMIT_USAGE_ERROR ||
                    !option_given(o, name))
                        continue;
                size_t count = i == SUBMIT_CONF ? option_list(o, name, &values) : 1;
                for (size_t j = 0; j < count; j++) {
                        strv_add(ret, submit_options[i].name);
                        if (submit_options[i].value)
                                strv_add(ret, i == SUBMIT_CONF ? values[j] : option_str(o, name));
                }
        }
}

/* 0, or the exit code of a wrong command line. */
static int check(struct cmd_ctx *ctx) {
        static const char *const others[] = {"follow", "timeout", "exit-code", "dry-run", "driver-proxy", "driver-address"};
        const struct options *o = &ctx->o;
        if (o->args.len)
                return cmd_usage_error(ctx, "--batch reads its jobs from a file, %s has no place here (options hold for every line)",
                                       o->args.items[0]);
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
                if (option_given(o, others[i]))
                        return cmd_usage_error(ctx, "--%s has no meaning with --batch, which does not wait", others[i]);
        const char *format = option_str(o, "output");
        if (format && streq(format, "yaml"))
                return cmd_usage_error(ctx, "--batch prints a table, -o json (one document a line) or -o name");
        return 0;
}

int submit_batch_run(struct cmd_ctx *ctx, const struct submit_job_options *o, struct err *err) {
        const char *path = option_str(&ctx->o, "batch"), *format = option_str(&ctx->o, "output");
        int wrong = check(ctx);
        if (wrong)
                return wrong;
        AUTO(fd) int file = streq(path, "-") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 && !streq(path, "-"))
                return err_errno(err, -errno, "%s", path);
        AUTO(strv) struct strv common = {0};
        AUTO(session) struct session s = {0};
        struct batching b = {.as_json = format && streq(format, "json"),
                             .names_only = format && streq(format, "name"),
                             .quiet = option_on(&ctx->o, "quiet")};
        struct batch_counts counts = {0};
        common_words(&ctx->o, &common);
        session_listen(&s);
        int64_t began_ms = clock_mono_ms();
        int r = batch_run(
                &(struct batch_options){
                        .loop = s.loop,
                        .fd = file < 0 ? 0 : file,
                        .common = &common,
                        .job = *o,
                        .in_flight = (int)option_int(&ctx->o, "parallel"),
                        .fail_fast = option_on(&ctx->o, "fail-fast"),
                        .interrupted = &s.interrupted,
                        .on_result = on_result,
                        .on_warning = on_warning,
                        .arg = &b,
                },
                &counts, err);
        fflush(stdout);
        double seconds = (double)(clock_mono_ms() - began_ms) / 1000;
        if (!b.quiet)
                fprintf(stderr, "%zu submitted, %zu failed in %.2f s%s%s\n", counts.submitted, counts.failed, seconds,
                        counts.stopped ? "; the lines after these were left out" : "", s.interrupted ? " (interrupted)" : "");
        if (r < 0)
                return r;
        return s.interrupted ? EXIT_INTERRUPTED : counts.failed ? EXIT_FAILED : EXIT_OK;
}
