/* The API server with its controllers, without nodes, over TLS on loopback: what the conformance tests and other people's clients talk to.
 *
 *     apiserver DIR [PORT]      writes DIR/kubeconfig, keeps DIR/cluster.db, prints "ready PORT", serves until SIGTERM
 */
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/apiserver.h"
#include "cluster/controllers.h"
#include "codec/base64.h"

static int write_kubeconfig(const char *dir, int port, const char *ca, const char *cert, const char *key, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0), ca64 = STR_INIT(0), cert64 = STR_INIT(0), key64 = STR_INIT(0);
        AUTO(free) char *path = fs_join(dir, "kubeconfig");
        base64_encode(sv_of(ca), &ca64);
        base64_encode(sv_of(cert), &cert64);
        base64_encode(sv_of(key), &key64);
        str_appendf(&text,
                    "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
                    "clusters: [{name: c, cluster: {server: \"https://127.0.0.1:%d\", certificate-authority-data: %s}}]\n"
                    "users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]\n",
                    port, str_cstr(&ca64), str_cstr(&cert64), str_cstr(&key64));
        return fs_write(path, str_sv(&text), 0600, err);
}

static void stop(void *arg) { loop_stop(arg); }

static int serve(const char *dir, int want_port, struct err *err) {
        AUTO(loop) struct loop *l = loop_new();
        AUTO(apiserver) struct apiserver *api = NULL;
        AUTO(http_server) struct http_server *http = NULL;
        AUTO(tls_context) struct tls_context *tls = NULL;
        AUTO(free) char *ca = NULL, *ca_key = NULL, *cert = NULL, *key = NULL, *user = NULL, *user_key = NULL,
                        *db = fs_join(dir, "cluster.db");
        static const char *const names[] = {"localhost", NULL}, *const ips[] = {"127.0.0.1", NULL},
                                 *const masters[] = {"system:masters", NULL};
        int64_t start = clock_mono_us();
        int port, r;

        r = tls_make_ca("test", 30, &ca, &ca_key, err);
        if (r == 0)
                r = tls_make_cert(
                        sv_of(ca), sv_of(ca_key),
                        &(struct tls_cert_request){
                                .common_name = "apiserver", .dns_names = names, .ip_addresses = ips, .days = 30, .is_server = true},
                        &cert, &key, err);
        if (r == 0)
                r = tls_make_cert(sv_of(ca), sv_of(ca_key),
                                  &(struct tls_cert_request){
                                          .common_name = "kubernetes-admin", .organizations = masters, .days = 30, .is_client = true},
                                  &user, &user_key, err);
        if (r == 0)
                r = apiserver_new(l, &(struct apiserver_options){.database = db, .ca_cert_pem = sv_of(ca)}, &api, err);
        if (r == 0)
                r = tls_server_new(&(struct tls_server_options){.cert_pem = sv_of(cert), .key_pem = sv_of(key), .client_ca_pem = sv_of(ca)},
                                   &tls, err);
        if (r < 0)
                return r;
        http = http_server_new(l, &(struct http_server_options){.tls = tls, .handler = apiserver_handle, .arg = api});
        r = http_server_listen(http, "127.0.0.1", want_port, &port, err);
        if (r == 0)
                r = write_kubeconfig(dir, port, ca, user, user_key, err);
        if (r < 0)
                return r;
        printf("ready %d after %.1f ms\n", port, (double)(clock_mono_us() - start) / 1000);
        fflush(stdout);
        struct controllers *controllers = controllers_new(api, &(struct controllers_options){0});
        struct sigwatch *term = sigwatch_new(l, SIGTERM, stop, l), *interrupt = sigwatch_new(l, SIGINT, stop, l);
        loop_run(l);
        sigwatch_free(term);
        sigwatch_free(interrupt);
        controllers_free(controllers);
        return 0;
}

int main(int argc, char **argv) {
        AUTO(err) struct err err = ERR_INIT;
        int64_t port = 0;
        if (argc < 2 || argc > 3 || (argc == 3 && !sv_to_int64(sv_of(argv[2]), &port))) {
                fprintf(stderr, "usage: apiserver DIR [PORT]\n");
                return 2;
        }
        log_init_from_env();
        if (serve(argv[1], (int)port, &err) < 0) {
                log_err(&err);
                return 1;
        }
        return 0;
}
