/* firesteel version: its own and that of everything linked into it. */
#include <llhttp.h>
#include <lz4.h>
#include <openssl/crypto.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sqlite3.h>
#include <uv.h>
#include <xxhash.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

#include "cli/cmd.h"
#include "cli/output.h"

static void linked(yyjson_mut_doc *doc, yyjson_mut_val *libraries) {
        int major, minor, patch;
        yaml_get_version(&major, &minor, &patch);
        AUTO(free) char *yaml = xasprintf("%d.%d.%d", major, minor, patch);
        AUTO(free) char *llhttp = xasprintf("%d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
        unsigned xx = XXH_versionNumber();
        AUTO(free) char *xxhash = xasprintf("%u.%u.%u", xx / 10000, xx / 100 % 100, xx % 100);
        char pcre2[64] = "";
        pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
        pcre2[strcspn(pcre2, " ")] = 0;
        AUTO(free) char *yyjson = xasprintf("%u.%u.%u", yyjson_version() >> 16, yyjson_version() >> 8 & 255, yyjson_version() & 255);
        const struct {
                const char *name, *version;
        } all[] = {
                {"yyjson", yyjson},
                {"llhttp", llhttp},
                {"libyaml", yaml},
                {"libuv", uv_version_string()},
                {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
                {"sqlite", sqlite3_libversion()},
                {"zlib", zlibVersion()},
                {"zstd", ZSTD_versionString()},
                {"lz4", LZ4_versionString()},
                {"xxhash", xxhash},
                {"pcre2", pcre2},
        };
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                mjson_set_str(doc, libraries, all[i].name, all[i].version);
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        enum output_format format = output_format_of(option_str(&ctx->o, "output"));
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "version", FIRESTEEL_VERSION);
        mjson_set_str(doc, root, "compiler", __VERSION__);
        yyjson_mut_val *libraries = mjson_obj(doc, root, "libraries");
        linked(doc, libraries);
        if (format == OUTPUT_JSON || format == OUTPUT_YAML) {
                output_mut_doc(root, format, stdout);
                return EXIT_OK;
        }
        printf("firesteel %s\n", FIRESTEEL_VERSION);
        if (format == OUTPUT_NAME)
                return EXIT_OK;
        size_t i, max;
        yyjson_mut_val *key, *value;
        yyjson_mut_obj_foreach(libraries, i, max, key, value) printf("  %-8s %s\n", yyjson_mut_get_str(key), yyjson_mut_get_str(value));
        return EXIT_OK;
}

const struct cmd cmd_version = {
        .name = "version",
        .summary = "Show the version and those of the linked libraries",
        .options = (const struct option[]){CMD_OPTION_OUTPUT, {0}},
        .run = run,
};
