#include "cluster/authn.h"

#include <openssl/crypto.h>
#include <strings.h>

#include "cluster/rbac.h"
#include "cluster/token.h"

void user_done(struct user *u) {
        free(u->name);
        free(u->uid);
        strv_done(&u->groups);
        map_done(&u->extra);
}

static int unauthorized(struct err *err) { return err_http(err, -EACCES, 401, "Unauthorized", "Unauthorized"); }

static bool token_is(struct sv token, const char *secret) {
        return secret && token.len == strlen(secret) && CRYPTO_memcmp(token.data, secret, token.len) == 0;
}

/* A token is good as long as what it was issued for is there. */
static bool subject_exists(struct apiserver *s, const struct token_claims *c) {
        struct object *account = collection_find(registry_by_id(&s->registry, "serviceaccounts")->objects, c->ns, c->account);
        struct object *bound;

        if (!account || (c->account_uid && !streq(account->uid, c->account_uid)))
                return false;
        if (c->pod) {
                bound = collection_find(registry_by_id(&s->registry, "pods")->objects, c->ns, c->pod);
                if (!bound || (c->pod_uid && !streq(bound->uid, c->pod_uid)))
                        return false;
        }
        if (c->secret) {
                bound = collection_find(registry_by_id(&s->registry, "secrets")->objects, c->ns, c->secret);
                if (!bound || (c->secret_uid && !streq(bound->uid, c->secret_uid)))
                        return false;
        }
        return true;
}

static void set_extra(struct user *u, const char *key, const char *value) {
        if (value)
                map_set(&u->extra, key, xstrdup(value));
}

int authenticate_token(struct apiserver *s, struct sv token, const struct strv *audiences, struct user *ret, struct strv *ret_audiences,
                       struct err *err) {
        AUTO(token_claims) struct token_claims c = {0};
        AUTO(free) char *id = NULL;
        bool matched = false;

        ret->extra = MAP_INIT(free);
        if (token_is(token, s->admin_token)) {
                ret->name = xstrdup("kubernetes-admin");
                strv_add(&ret->groups, "system:masters");
                strv_add(&ret->groups, "system:authenticated");
                return 0;
        }
        if (tokens_verify(s->tokens, token, clock_now_ms() / 1000, &c, NULL) < 0 || !subject_exists(s, &c))
                return unauthorized(err);
        for (size_t i = 0; i < c.audiences.len; i++)
                if (audiences ? strv_has(audiences, c.audiences.items[i]) : streq(c.audiences.items[i], tokens_issuer(s->tokens))) {
                        matched = true;
                        if (ret_audiences)
                                strv_add(ret_audiences, c.audiences.items[i]);
                }
        if (!matched)
                return unauthorized(err);
        ret->name = xasprintf("system:serviceaccount:%s:%s", c.ns, c.account);
        ret->uid = xstrdup_null(c.account_uid);
        strv_add(&ret->groups, "system:serviceaccounts");
        strv_addf(&ret->groups, "system:serviceaccounts:%s", c.ns);
        strv_add(&ret->groups, "system:authenticated");
        id = xasprintf("JTI=%s", c.id ? c.id : "");
        set_extra(ret, "authentication.kubernetes.io/credential-id", id);
        set_extra(ret, "authentication.kubernetes.io/pod-name", c.pod);
        set_extra(ret, "authentication.kubernetes.io/pod-uid", c.pod_uid);
        return 0;
}

static int may_impersonate(struct apiserver *s, const struct user *u, const char *resource, const char *group, const char *ns,
                           const char *name, struct err *err) {
        struct access a = {.verb = "impersonate", .group = group, .resource = resource, .ns = ns, .name = name};
        return rbac_check(s, u, &a, err);
}

/* Whatever else is asked for needs a user. */
static int check_no_user(const struct http_request *request, struct err *err) {
        vec_foreach(h, &request->headers.list) {
                struct sv name = sv_of(h->name);
                if (name.len >= 12 && sv_ieq(sv_new(name.data, 12), SV("Impersonate-")) && !sv_ieq(name, SV("Impersonate-User")))
                        return err_http(err, -EINVAL, 500, "InternalError",
                                        "Internal error occurred: requested %s without impersonating a user", h->name);
        }
        return 0;
}

/* Impersonate-Uid and Impersonate-Extra-KEY. */
static int impersonate_details(struct apiserver *s, const struct http_request *request, const struct user *u, struct user *other,
                               struct err *err) {
        static const char extra[] = "Impersonate-Extra-";
        const size_t n = sizeof(extra) - 1;
        int r = 0;
        vec_foreach(h, &request->headers.list) {
                struct sv name = sv_of(h->name);
                if (r == 0 && sv_ieq(name, SV("Impersonate-Uid"))) {
                        r = may_impersonate(s, u, "uids", "authentication.k8s.io", "", h->value, err);
                        free(other->uid);
                        other->uid = xstrdup(h->value);
                } else if (r == 0 && name.len > n && sv_ieq(sv_new(name.data, n), sv_of(extra))) {
                        AUTO(free) char *key = xstrdup(h->name + n), *resource = NULL;
                        for (char *p = key; *p; p++)
                                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
                        resource = xasprintf("userextras/%s", key);
                        r = may_impersonate(s, u, resource, "authentication.k8s.io", "", h->value, err);
                        map_set(&other->extra, key, xstrdup(h->value));
                }
        }
        return r;
}

static int impersonate(struct apiserver *s, const struct http_request *request, struct user *u, struct err *err) {
        const char *name = http_headers_get(&request->headers, "Impersonate-User"), *account = "system:serviceaccount:";
        AUTO(user) struct user other = {.extra = MAP_INIT(free)};
        int r = 0;

        if (!name || !*name)
                return check_no_user(request, err);
        if (str_starts(name, account)) {
                struct sv rest = sv_of(name + strlen(account)), ns = SV_NULL, who = SV_NULL;
                AUTO(free) char *ns_text = NULL, *who_text = NULL;
                sv_split(&rest, ':', &ns);
                sv_split(&rest, ':', &who);
                ns_text = sv_dup(ns);
                who_text = sv_dup(who);
                r = may_impersonate(s, u, "serviceaccounts", "", ns_text, who_text, err);
                strv_add(&other.groups, "system:serviceaccounts");
                strv_addf(&other.groups, "system:serviceaccounts:%s", ns_text);
        } else {
                r = may_impersonate(s, u, "users", "", "", name, err);
        }
        other.name = xstrdup(name);
        vec_foreach(h, &request->headers.list) {
                if (r < 0 || !sv_ieq(sv_of(h->name), SV("Impersonate-Group")))
                        continue;
                r = may_impersonate(s, u, "groups", "", "", h->value, err);
                strv_add(&other.groups, h->value);
        }
        if (r == 0)
                r = impersonate_details(s, request, u, &other, err);
        if (r < 0)
                return r;
        if (!streq(name, "system:anonymous"))
                strv_add(&other.groups, "system:authenticated");
        user_done(u);
        *u = other;
        other = (struct user){0};
        return 0;
}

int authenticate(struct apiserver *s, const struct http_request *request, struct user *ret, struct err *err) {
        const char *header = http_headers_get(&request->headers, "Authorization");
        int r;

        ret->extra = MAP_INIT(free);
        if (request->peer_common_name) {
                ret->name = xstrdup(request->peer_common_name);
                for (size_t i = 0; request->peer_organizations && request->peer_organizations[i]; i++)
                        strv_add(&ret->groups, request->peer_organizations[i]);
                strv_add(&ret->groups, "system:authenticated");
        } else if (header && strncasecmp(header, "Bearer ", 7) == 0 && sv_trim(sv_of(header + 7)).len) {
                r = authenticate_token(s, sv_trim(sv_of(header + 7)), NULL, ret, NULL, err);
                if (r < 0)
                        return r;
        } else if (s->allow_anonymous_admin) {
                ret->name = xstrdup("kubernetes-admin");
                strv_add(&ret->groups, "system:masters");
                strv_add(&ret->groups, "system:authenticated");
        } else {
                ret->name = xstrdup("system:anonymous");
                strv_add(&ret->groups, "system:unauthenticated");
        }
        return impersonate(s, request, ret, err);
}
