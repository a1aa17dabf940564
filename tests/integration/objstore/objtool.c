/* objstore from the command line, for tests. fs.s3a.* keys come from the environment: "." is "__" there (fs__s3a__endpoint). */
#include <stdio.h>

#include "base/fs.h"
#include "objstore/objstore.h"

static const char *conf(void *arg, const char *key) {
        AUTO(str) struct str name = STR_INIT(0);
        for (const char *c = key; *c; c++)
                str_append_s(&name, *c == '.' ? "__" : (char[]){*c, '\0'});
        return getenv(str_cstr(&name));
}

static int do_list(struct objstore *s, char **argv, bool is_recursive, struct err *err) {
        AUTO(free) char *token = NULL;
        int pages = 0;
        do {
                AUTO(objstore_page) struct objstore_page page = {0};
                struct objstore_list q = {
                        .url = argv[0], .is_recursive = is_recursive, .token = token, .max = argv[1] ? strtoul(argv[1], NULL, 10) : 0};
                int r = objstore_list_wait(s, &q, &page, err);
                if (r < 0)
                        return r;
                vec_foreach(e, &page.entries)
                        printf("%s %lld %s %d\n", e->url, (long long)e->size, e->etag ? e->etag : "-", e->mtime_ms > 0);
                pages++;
                free(token);
                token = TAKE(page.next);
        } while (token);
        printf("pages %d\n", pages);
        return 0;
}

static int do_stat(struct objstore *s, char **argv, struct err *err) {
        AUTO(objstore_entry) struct objstore_entry e = {0};
        int r = objstore_stat_wait(s, argv[0], &e, err);
        if (r == 0)
                printf("%s %lld %s %lld\n", e.url, (long long)e.size, e.etag ? e.etag : "-", (long long)e.mtime_ms);
        return r;
}

static int do_read(struct objstore *s, char **argv, struct err *err) {
        AUTO(str) struct str data = STR_INIT(0);
        int r = objstore_read_wait(s, argv[0], strtoll(argv[1], NULL, 10), strtoul(argv[2], NULL, 10), NULL, &data, err);
        if (r == 0)
                fwrite(str_cstr(&data), 1, data.len, stdout);
        return r;
}

static void progress(void *arg, int64_t sent, int64_t total) { printf("%lld/%lld\n", (long long)sent, (long long)total); }

static int run(struct objstore *s, const char *verb, char **argv, struct err *err) {
        if (streq(verb, "ls") || streq(verb, "lsr"))
                return do_list(s, argv, streq(verb, "lsr"), err);
        if (streq(verb, "stat"))
                return do_stat(s, argv, err);
        if (streq(verb, "read"))
                return do_read(s, argv, err);
        if (streq(verb, "put"))
                return objstore_put_wait(s, argv[0], sv_of(argv[1]), "text/plain", err);
        if (streq(verb, "upload"))
                return objstore_upload_wait(s, argv[0], argv[1], progress, NULL, err);
        if (streq(verb, "rm"))
                return objstore_delete_wait(s, argv[0], err);
        return err_set(err, -EINVAL, "unknown verb %s", verb);
}

int main(int argc, char **argv) {
        if (argc < 3)
                return 2;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(loop) struct loop *l = loop_new();
        AUTO(tls_context) struct tls_context *tls = NULL;
        const char *ca = getenv("CA_FILE");
        if (ca) {
                AUTO(str) struct str pem = STR_INIT(0);
                struct tls_client_options to = {0};
                if (fs_read(ca, 1 << 20, &pem, &err) < 0 || (to.ca_pem = str_sv(&pem), tls_client_new(&to, &tls, &err)) < 0) {
                        fprintf(stderr, "%s\n", err_message(&err));
                        return 1;
                }
        }
        struct objstore_options o = {.conf = conf, .tls = tls};
        struct objstore *s = objstore_new(l, &o);
        int r = run(s, argv[1], argv + 2, &err);
        objstore_free(s);
        if (r < 0)
                fprintf(stderr, "%s %s\n%s\n", strerror(-r), err_message(&err), err.hint ? err.hint : "");
        return r < 0;
}
