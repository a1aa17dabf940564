/* Keys and certificates of an instance: DIR/pki. The authority and the keys stay; the server's certificate is made at every start. */
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/rand.h"
#include "cluster/apiserver.h"
#include "cluster/instance.h"
#include "net/tls.h"

enum { CA_DAYS = 3650, CERT_DAYS = 825, CA_RENEW_DAYS = 60, PEM_MAX = 64 * 1024 };

void instance_pki_done(struct instance_pki *p) {
        char *all[] = {p->ca_cert, p->ca_key, p->server_cert, p->server_key, p->token_key, p->admin_token};
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                free(all[i]);
        *p = (struct instance_pki){0};
}

/* NULL in *ret when there is no such file. */
static int read_pem(const struct instance *i, const char *name, char **ret, struct err *err) {
        AUTO(free) char *path = xasprintf("%s/pki/%s", i->dir, name);
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(err) struct err why = ERR_INIT;
        int r = fs_read(path, PEM_MAX, &text, &why);
        if (r == -ENOENT || (r >= 0 && text.len == 0))
                return 0;
        if (r < 0)
                return err_move(err, &why);
        *ret = str_take(&text);
        return 0;
}

static int write_pem(const struct instance *i, const char *name, const char *text, struct err *err) {
        AUTO(free) char *path = xasprintf("%s/pki/%s", i->dir, name);
        return fs_write_atomic(path, sv_of(text), 0600, err);
}

static bool needs_renewal(const char *cert) {
        int64_t expires_s;
        return tls_cert_expiry(sv_of(cert), &expires_s, NULL) < 0 || expires_s < clock_now_ms() / 1000 + CA_RENEW_DAYS * 86400LL;
}

static int load_ca(const struct instance *i, struct instance_pki *p, struct err *err) {
        int r = read_pem(i, "ca.crt", &p->ca_cert, err);
        if (r >= 0)
                r = read_pem(i, "ca.key", &p->ca_key, err);
        if (r < 0 || (p->ca_cert && p->ca_key && !needs_renewal(p->ca_cert)))
                return r;
        free(TAKE(p->ca_cert));
        free(TAKE(p->ca_key));
        r = tls_make_ca("firesteel-ca", CA_DAYS, &p->ca_cert, &p->ca_key, err);
        if (r >= 0)
                r = write_pem(i, "ca.key", p->ca_key, err);
        if (r >= 0)
                r = write_pem(i, "ca.crt", p->ca_cert, err);
        if (r < 0)
                return r;
        /* For clients that want a certificate; the kubeconfig has the token, which every client takes. */
        AUTO(free) char *cert = NULL;
        AUTO(free) char *key = NULL;
        static const char *const masters[] = {"system:masters", NULL};
        const struct tls_cert_request admin = {
                .common_name = "kubernetes-admin", .organizations = masters, .days = CERT_DAYS, .is_client = true};
        r = tls_make_cert(sv_of(p->ca_cert), sv_of(p->ca_key), &admin, &cert, &key, err);
        if (r >= 0)
                r = write_pem(i, "admin.key", key, err);
        if (r >= 0)
                r = write_pem(i, "admin.crt", cert, err);
        return r;
}

static int load_token_key(const struct instance *i, struct instance_pki *p, struct err *err) {
        int r = read_pem(i, "sa.key", &p->token_key, err);
        if (r < 0 || p->token_key)
                return r;
        r = apiserver_make_token_key(&p->token_key, err);
        return r < 0 ? r : write_pem(i, "sa.key", p->token_key, err);
}

static int load_admin_token(const struct instance *i, struct instance_pki *p, struct err *err) {
        int r = read_pem(i, "admin.token", &p->admin_token, err);
        if (r < 0 || p->admin_token)
                return r;
        char token[49];
        rand_hex(token, 48);
        p->admin_token = xstrdup(token);
        return write_pem(i, "admin.token", token, err);
}

static int make_server_cert(const char *bind, const char *service_address, struct instance_pki *p, struct err *err) {
        const char *ips[] = {"127.0.0.1", service_address, streq(bind, "127.0.0.1") ? NULL : bind, NULL};
        static const char *const names[] = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                                            "kubernetes.default.svc.cluster.local", NULL};
        const struct tls_cert_request server = {
                .common_name = "kube-apiserver", .dns_names = names, .ip_addresses = ips, .days = CERT_DAYS, .is_server = true};
        return tls_make_cert(sv_of(p->ca_cert), sv_of(p->ca_key), &server, &p->server_cert, &p->server_key, err);
}

int instance_load_pki(const struct instance *i, const char *bind, const char *service_address, struct instance_pki *ret, struct err *err) {
        AUTO(instance_pki) struct instance_pki p = {0};
        AUTO(free) char *dir = instance_path(i, "pki");
        int r = fs_mkdirs(dir, 0700, err);
        if (r >= 0)
                r = load_ca(i, &p, err);
        if (r >= 0)
                r = load_token_key(i, &p, err);
        if (r >= 0)
                r = load_admin_token(i, &p, err);
        if (r >= 0)
                r = make_server_cert(bind, service_address, &p, err);
        if (r < 0)
                return err_wrap(err, r, "keys of instance \"%s\"", i->name);
        *ret = p;
        p = (struct instance_pki){0};
        return 0;
}

int instance_client_pki(const struct instance *i, struct instance_pki *ret, struct err *err) {
        AUTO(instance_pki) struct instance_pki p = {0};
        int r = read_pem(i, "ca.crt", &p.ca_cert, err);
        if (r >= 0)
                r = read_pem(i, "admin.token", &p.admin_token, err);
        if (r < 0)
                return r;
        if (!p.ca_cert || !p.admin_token)
                return err_set(err, -ENOENT, "instance \"%s\" has no keys yet: it never ran", i->name);
        *ret = p;
        p = (struct instance_pki){0};
        return 0;
}
