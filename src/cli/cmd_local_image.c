/* firesteel local image: the images that pods of the embedded cluster run from, besides the machine's own file system. */
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/local.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cluster/podrt/imageprune.h"
#include "codec/ktime.h"
#include "codec/quantity.h"
#include "oci/archive.h"
#include "oci/registry.h"

static void put_image(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct oci_record *r) {
        char used[KTIME_SIZE];
        ktime_format(r->used_ms, used);
        mjson_set_str(doc, o, "name", r->name);
        mjson_set_str(doc, o, "digest", r->digest);
        mjson_set_str(doc, o, "manifest", r->manifest);
        mjson_set_str(doc, o, "source", r->source);
        mjson_set_int(doc, o, "sizeBytes", r->size);
        mjson_set_str(doc, o, "lastUsed", used);
}

/* The images named (all when names is NULL), in the format asked for. */
static void print_images(const struct oci_records *all, const struct strv *names, enum output_format format) {
        static const struct grid_column columns[] = {{"NAME", .shrink = true}, {"DIGEST"}, {"SIZE", .right = true}, {"SOURCE"},
                                                     {"USED", .right = true},  {0}};
        AUTO(grid) struct grid *t = grid_new(columns);
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        yyjson_mut_doc_set_root(doc, list);
        vec_foreach(r, &all->list) {
                char size[16], age[40];
                if (names && !strv_has(names, r->name))
                        continue;
                if (format == OUTPUT_NAME)
                        puts(r->name);
                put_image(doc, yyjson_mut_arr_add_obj(doc, list), r);
                bytes_human(r->size, size);
                local_age(r->used_ms, age);
                grid_cell(t, r->name);
                grid_cellf(t, "%.12s", oci_digest_hex(r->digest));
                grid_cell(t, size);
                grid_cell(t, r->source);
                grid_cell(t, age);
        }
        if (format == OUTPUT_JSON || format == OUTPUT_YAML)
                output_mut_doc(list, format, stdout);
        else if (format == OUTPUT_TABLE && grid_rows(t) > 0)
                grid_print(t, stdout);
}

static int show(const struct oci_store *s, const struct strv *names, enum output_format format, struct err *err) {
        AUTO(oci_records) struct oci_records all = {0};
        int r = oci_store_list(s, &all, err);
        if (r < 0)
                return r;
        print_images(&all, names, format);
        if (format == OUTPUT_TABLE && !all.list.len)
                log_info(
                        "there are no images; \"firesteel local image pull NAME\" or \"load FILE\" brings one (pods also pull by themselves)");
        return EXIT_OK;
}

/* ---- ls ---- */

static int run_ls(struct cmd_ctx *ctx, struct err *err) {
        AUTO(oci_store) struct oci_store s = {0};
        int r = oci_store_open(NULL, &s, err);
        return r < 0 ? r : show(&s, NULL, output_format_of(option_str(&ctx->o, "output")), err);
}

static const struct cmd cmd_ls = {
        .name = "ls",
        .summary = "List the images in the cache",
        .options = (const struct option[]){CMD_OPTION_OUTPUT, {0}},
        .run = run_ls,
};

/* ---- pull ---- */

struct pulling {
        struct progress *progress;
        int64_t drawn_ms;
};

static void on_pull_progress(void *arg, size_t layers_done, size_t layers, int64_t bytes_done, int64_t bytes) {
        struct pulling *p = arg;
        int64_t now = clock_mono_ms();
        if (now - p->drawn_ms < 50 && bytes_done < bytes)
                return;
        p->drawn_ms = now;
        char done[16], total[16];
        bytes_human(bytes_done, done);
        bytes_human(bytes, total);
        progress_bar(p->progress, bytes_done, bytes, "%s of %s, %zu of %zu parts", done, total, layers_done, layers);
}

static int pull_one(const struct cmd_ctx *ctx, const struct oci_store *s, const char *text, const struct oci_logins *logins,
                    struct strv *names, struct err *err) {
        AUTO(oci_reference) struct oci_reference name = {0};
        AUTO(strv) struct strv insecure = {0};
        struct oci_pull_result result = {0};
        const char *const *list;
        size_t count = option_list(&ctx->o, "insecure-registry", &list);
        for (size_t i = 0; i < count; i++)
                strv_add(&insecure, list[i]);
        int r = oci_reference_parse(text, &name, err);
        if (r < 0)
                return r;
        AUTO(progress) struct progress *p =
                progress_new(option_on(&ctx->o, "quiet") || output_format_of(option_str(&ctx->o, "output")) != OUTPUT_TABLE);
        struct pulling pulling = {.progress = p};
        progress_step(p, "Pulling %s", name.name);
        if (name.transport == OCI_REGISTRY) {
                const struct oci_pull_options o = {.logins = logins, .insecure = &insecure, .progress = on_pull_progress, .arg = &pulling};
                r = oci_pull(&o, s, &name, &result, err);
        } else {
                r = oci_import(s, &name, err);
        }
        if (r < 0) {
                progress_hide(p);
                return r;
        }
        char fetched[16];
        bytes_human(result.fetched, fetched);
        progress_done(p, "Pulled %s (%s over the network)", name.name, fetched);
        strv_add(names, name.name);
        return 0;
}

static int run_pull(struct cmd_ctx *ctx, struct err *err) {
        AUTO(oci_store) struct oci_store s = {0};
        AUTO(oci_logins) struct oci_logins logins = {0};
        AUTO(strv) struct strv names = {0};
        int r = oci_store_open(NULL, &s, err);
        if (r == 0)
                r = oci_logins_from_docker(&logins, err);
        for (size_t i = 0; i < ctx->o.args.len && r == 0; i++)
                r = pull_one(ctx, &s, ctx->o.args.items[i], &logins, &names, err);
        if (r == -EINVAL) {
                log_err(err);
                return EXIT_USAGE;
        }
        if (r == -ENOENT) {
                log_err(err);
                return EXIT_NOT_FOUND;
        }
        return r < 0 ? r : show(&s, &names, output_format_of(option_str(&ctx->o, "output")), err);
}

static const struct cmd cmd_pull = {
        .name = "pull",
        .summary = "Fetch images from registries into the cache",
        .args = "IMAGE...",
        .min_args = 1,
        .max_args = -1,
        .description = "Pods pull what they need by themselves; this does it beforehand. Credentials are those of \"docker login\" "
                       "(~/.docker/config.json, credential helpers too). Plain HTTP is spoken only with registries on loopback addresses.",
        .options = (const struct option[]){{"insecure-registry", 0, OPTION_LIST, "HOST[:PORT]", "a registry that speaks plain HTTP"},
                                           {"quiet", 'q', OPTION_SWITCH, NULL, "show no progress"},
                                           CMD_OPTION_OUTPUT,
                                           {0}},
        .examples = (const struct cmd_example[]){{"Spark's own image", "firesteel local image pull docker.io/apache/spark:4.1.1"},
                                                 {"Pinned by digest", "firesteel local image pull quay.io/team/app@sha256:..."},
                                                 {0}},
        .run = run_pull,
};

/* ---- load ---- */

static int run_load(struct cmd_ctx *ctx, struct err *err) {
        AUTO(oci_store) struct oci_store s = {0};
        AUTO(oci_loads) struct oci_loads loads = {0};
        AUTO(strv) struct strv names = {0};
        const char *tag = option_str(&ctx->o, "tag"), *path = ctx->o.args.items[0];
        int r = oci_store_open(NULL, &s, err);
        if (r == 0)
                r = oci_load(&s, path, tag, &loads, err);
        if (r == -EINVAL || r == -ENOENT) {
                log_err(err);
                return r == -EINVAL ? EXIT_USAGE : EXIT_NOT_FOUND;
        }
        if (r < 0)
                return r;
        vec_foreach(l, &loads.list) {
                strv_add(&names, l->name);
                if (output_format_of(option_str(&ctx->o, "output")) == OUTPUT_TABLE)
                        log_info("loaded %s", l->name);
        }
        return show(&s, &names, output_format_of(option_str(&ctx->o, "output")), err);
}

static const struct cmd cmd_load = {
        .name = "load",
        .summary = "Bring images from a file or directory into the cache",
        .args = "FILE|DIR",
        .min_args = 1,
        .max_args = 1,
        .args_complete = "file",
        .description =
                "Takes what \"docker save\", \"podman save\", skopeo, buildah or buildkit write: a docker archive, an OCI layout or a tar of one, "
                "also compressed. Pods then find the image under its name; imagePullPolicy must be IfNotPresent or Never (a tag other than "
                "\"latest\" makes it so).",
        .options =
                (const struct option[]){{"tag", 't', OPTION_STRING, "NAME", "the name, for an image that has none or should have another"},
                                        CMD_OPTION_OUTPUT,
                                        {0}},
        .examples =
                (const struct cmd_example[]){{NULL, "docker save my/spark:1 | gzip > spark.tgz && firesteel local image load spark.tgz"},
                                             {0}},
        .run = run_load,
};

/* ---- rm ---- */

static void tell_stuck(const struct oci_store *s, const struct oci_prune_result *result) {
        if (result->stuck)
                log_warn(
                        "%zu unpacked layers below %s/layers could not be removed: files in them belong to other users (remove them as root)",
                        result->stuck, s->dir);
}

static int run_rm(struct cmd_ctx *ctx, struct err *err) {
        AUTO(oci_store) struct oci_store s = {0};
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        enum output_format format = output_format_of(option_str(&ctx->o, "output"));
        int code = EXIT_OK, r = oci_store_open(NULL, &s, err);
        yyjson_mut_doc_set_root(doc, list);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ctx->o.args.len; i++) {
                AUTO(oci_reference) struct oci_reference name = {0};
                AUTO(err) struct err why = ERR_INIT;
                r = oci_reference_parse(ctx->o.args.items[i], &name, &why);
                if (r == 0)
                        r = oci_store_untag(&s, name.name, &why);
                if (r < 0) {
                        log_err(&why);
                        code = r == -ENOENT ? EXIT_NOT_FOUND : r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
                        continue;
                }
                mjson_add_str(doc, list, name.name);
                if (format == OUTPUT_TABLE || format == OUTPUT_NAME)
                        puts(name.name);
        }
        if (format == OUTPUT_JSON || format == OUTPUT_YAML)
                output_mut_doc(list, format, stdout);
        struct oci_prune_result gone = {0};
        r = image_prune(&s, &(struct oci_prune_options){0}, &gone, err);
        if (r == 0)
                tell_stuck(&s, &gone);
        oci_prune_result_done(&gone);
        return r < 0 ? r : code;
}

static const struct cmd cmd_rm = {
        .name = "rm",
        .summary = "Remove images from the cache",
        .args = "IMAGE...",
        .min_args = 1,
        .max_args = -1,
        .description = "Layers that pods still use, or other images share, stay until they are needed no more.",
        .options = (const struct option[]){CMD_OPTION_OUTPUT, {0}},
        .run = run_rm,
};

/* ---- prune ---- */

static int run_prune(struct cmd_ctx *ctx, struct err *err) {
        AUTO(oci_store) struct oci_store s = {0};
        AUTO(oci_prune_result) struct oci_prune_result result = {0};
        struct oci_prune_options o = {.all = option_on(&ctx->o, "all")};
        const char *keep = option_str(&ctx->o, "keep");
        if (keep) {
                struct quantity q;
                if (quantity_parse(sv_of(keep), &q, NULL) < 0 || quantity_value(q) < 0)
                        return cmd_usage_error(ctx, "--keep: \"%s\" is not a quantity such as 5Gi", keep);
                o.all = true;
                o.keep_bytes = quantity_value(q);
        }
        int r = oci_store_open(NULL, &s, err);
        if (r == 0)
                r = image_prune(&s, &o, &result, err);
        if (r < 0)
                return r;
        tell_stuck(&s, &result);
        enum output_format format = output_format_of(option_str(&ctx->o, "output"));
        if (format == OUTPUT_JSON || format == OUTPUT_YAML) {
                AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
                yyjson_mut_val *root = yyjson_mut_obj(doc);
                yyjson_mut_doc_set_root(doc, root);
                yyjson_mut_val *images = mjson_arr(doc, root, "images");
                for (size_t i = 0; i < result.images.len; i++)
                        mjson_add_str(doc, images, result.images.items[i]);
                mjson_set_int(doc, root, "blobs", (int64_t)result.blobs);
                mjson_set_int(doc, root, "layers", (int64_t)result.layers);
                mjson_set_int(doc, root, "freedBytes", result.bytes);
                output_mut_doc(root, format, stdout);
                return EXIT_OK;
        }
        for (size_t i = 0; i < result.images.len; i++)
                puts(result.images.items[i]);
        char freed[16];
        bytes_human(result.bytes, freed);
        log_info("removed %zu images, %zu blobs, %zu unpacked layers: %s", result.images.len, result.blobs, result.layers, freed);
        return EXIT_OK;
}

static const struct cmd cmd_prune = {
        .name = "prune",
        .summary = "Remove what no image and no pod needs",
        .description = "Servers do it by themselves when the file system is more than 85 % full, until it is at 80 %.",
        .options =
                (const struct option[]){{"all", 'a', OPTION_SWITCH, NULL, "also images that no pod uses"},
                                        {"keep", 0, OPTION_STRING, "QUANTITY", "as --all, the longest unused first, until so much is left"},
                                        CMD_OPTION_OUTPUT,
                                        {0}},
        .run = run_prune,
};

static const struct cmd *const subs[] = {&cmd_ls, &cmd_pull, &cmd_load, &cmd_rm, &cmd_prune, NULL};

const struct cmd cmd_local_image = {
        .name = "image",
        .summary = "Images in the cache: ls, pull, load, rm, prune",
        .description =
                "Images from registries and files, kept under ~/.cache/firesteel/images and shared by all instances. Names such as apache/spark and "
                "busybox that lead to the machine's own file system need none of this; an image of such a name in the cache comes first.",
        .subs = subs,
};
