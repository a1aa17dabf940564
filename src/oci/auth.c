#include "oci/auth.h"

#include <stdio.h>

#include "base/fs.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "event/loop.h"

void oci_login_done(struct oci_login *l) {
        free(l->pattern);
        free(l->user);
        free(l->password);
        free(l->identity_token);
        free(l->registry_token);
        free(l->helper);
        *l = (struct oci_login){0};
}

void oci_logins_done(struct oci_logins *l) {
        vec_foreach(x, &l->list) oci_login_done(x);
        vec_done(&l->list);
}

void oci_challenge_done(struct oci_challenge *c) {
        free(c->realm);
        free(c->service);
        free(c->scope);
        *c = (struct oci_challenge){0};
}

/* ---- documents ---- */

/* "https://index.docker.io/v1/" is "docker.io". */
static char *pattern_of(const char *key) {
        struct sv v = sv_of(key);
        static const char *const schemes[] = {"https://", "http://"}, *const ends[] = {"/v1/", "/v2/", "/v1", "/v2", "/"};
        for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
                if (sv_starts(v, sv_of(schemes[i])))
                        v = sv_new(v.data + strlen(schemes[i]), v.len - strlen(schemes[i]));
        for (size_t i = 0; i < ARRAY_LEN(ends); i++)
                if (sv_ends(v, sv_of(ends[i]))) {
                        v.len -= strlen(ends[i]);
                        break;
                }
        static const char *const hubs[] = {"index.docker.io", "registry-1.docker.io"};
        for (size_t i = 0; i < ARRAY_LEN(hubs); i++)
                if (sv_eqs(v, hubs[i]))
                        return xstrdup("docker.io");
        return sv_dup(v);
}

static int add_entry(const char *key, yyjson_val *v, struct oci_logins *ret, struct err *err) {
        const char *auth = json_get_str(v, "auth"), *user = json_get_str(v, "username"), *password = json_get_str(v, "password");
        const char *identity = json_get_str(v, "identitytoken"), *token = json_get_str(v, "registrytoken");
        AUTO(str) struct str both = STR_INIT(OCI_MAX_AUTH_BYTES);
        if (auth && *auth) {
                if (base64_decode(sv_of(auth), &both) < 0 || sv_find_char(str_sv(&both), ':') < 0)
                        return err_set(err, -EINVAL, "the \"auth\" of \"%s\" is not the base64 of USER:PASSWORD", key);
                ssize_t colon = sv_find_char(str_sv(&both), ':');
                both.data[colon] = '\0';
                user = both.data;
                password = both.data + colon + 1;
        }
        if (!user && !identity && !token)
                return 0; /* what `docker login` leaves when a credential store has it */
        struct oci_login *l = vec_push(&ret->list);
        *l = (struct oci_login){.pattern = pattern_of(key),
                                .user = xstrdup_null(user),
                                .password = xstrdup_null(password),
                                .identity_token = identity && *identity ? xstrdup(identity) : NULL,
                                .registry_token = token && *token ? xstrdup(token) : NULL};
        return 0;
}

static bool helper_is_a_name(const char *name) {
        return name && *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] == '\0';
}

static int parse(struct sv text, bool with_helpers, struct oci_logins *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = json_parse(text, &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc), *auths = yyjson_obj_get(root, "auths"), *key, *v;
        size_t i, max;
        if (!yyjson_is_obj(root))
                return err_set(err, -EINVAL, "not a JSON object");
        bool is_config = auths || yyjson_obj_get(root, "credHelpers") || yyjson_obj_get(root, "credsStore");
        yyjson_obj_foreach(is_config ? auths : root, i, max, key, v) {
                if (!yyjson_is_obj(v))
                        continue;
                if ((r = add_entry(yyjson_get_str(key), v, ret, err)) < 0)
                        return r;
        }
        if (!with_helpers)
                return 0;
        yyjson_obj_foreach(yyjson_obj_get(root, "credHelpers"), i, max, key, v) if (helper_is_a_name(yyjson_get_str(v)))
            *vec_push(&ret->list) = (struct oci_login){.pattern = pattern_of(yyjson_get_str(key)), .helper = xstrdup(yyjson_get_str(v))};
        const char *all = json_get_str(root, "credsStore");
        if (helper_is_a_name(all))
                *vec_push(&ret->list) = (struct oci_login){.pattern = xstrdup("*"), .helper = xstrdup(all)};
        return 0;
}

/* Secrets come from the cluster's users and must not choose programs of the machine: their helpers are passed over. */
int oci_logins_parse(struct sv text, struct oci_logins *ret, struct err *err) { return parse(text, false, ret, err); }

int oci_logins_from_docker(struct oci_logins *ret, struct err *err) {
        const char *dir = getenv("DOCKER_CONFIG");
        AUTO(free) char *path = dir && *dir ? fs_join(dir, "config.json") : fs_absolute("~/.docker/config.json");
        AUTO(str) struct str text = STR_INIT(OCI_MAX_AUTH_BYTES);
        if (access(path, R_OK) < 0)
                return 0;
        int r = fs_read(path, OCI_MAX_AUTH_BYTES, &text, err);
        if (r < 0)
                return r;
        r = parse(str_sv(&text), true, ret, err);
        return r < 0 ? err_wrap(err, r, "%s", path) : 0;
}

/* ---- matching ---- */

/* Part by part, `*` standing for any letters of one part. */
static bool part_matches(struct sv pattern, struct sv text) {
        ssize_t star = sv_find_char(pattern, '*');
        if (star < 0)
                return sv_ieq(pattern, text);
        struct sv head = sv_new(pattern.data, (size_t)star), tail = sv_new(pattern.data + star + 1, pattern.len - (size_t)star - 1);
        if (text.len < head.len || !sv_ieq(sv_new(text.data, head.len), head))
                return false;
        for (size_t skip = head.len; skip <= text.len; skip++)
                if (part_matches(tail, sv_new(text.data + skip, text.len - skip)))
                        return true;
        return false;
}

static bool host_matches(struct sv pattern, struct sv host) {
        struct sv p, h;
        bool more_p, more_h;
        do {
                more_p = sv_split(&pattern, '.', &p);
                more_h = sv_split(&host, '.', &h);
                if (more_p != more_h)
                        return false;
                if (more_p && !part_matches(p, h))
                        return false;
        } while (more_p);
        return true;
}

/* How many characters of path it matches beyond the host; -1: not at all. */
static ssize_t match(const struct oci_login *l, const char *registry, const char *repository) {
        struct sv pattern = sv_of(l->pattern), path = SV_NULL;
        if (sv_eqs(pattern, "*"))
                return 0;
        ssize_t slash = sv_find_char(pattern, '/');
        if (slash >= 0) {
                path = sv_new(pattern.data + slash + 1, pattern.len - (size_t)slash - 1);
                pattern.len = (size_t)slash;
        }
        if (!host_matches(pattern, sv_of(registry)))
                return -1;
        if (!path.len)
                return 1;
        if (!sv_starts(sv_of(repository), path) || (repository[path.len] != '/' && repository[path.len] != '\0'))
                return -1;
        return 1 + (ssize_t)path.len;
}

const struct oci_login *oci_logins_find(const struct oci_logins *l, const char *registry, const char *repository) {
        const struct oci_login *best = NULL;
        ssize_t best_length = -1;
        vec_foreach(login, &l->list) {
                ssize_t length = match(login, registry, repository);
                if (length > best_length) {
                        best = login;
                        best_length = length;
                }
        }
        return best;
}

int oci_login_ask_helper(const char *helper, const char *registry, struct oci_login *ret, struct err *err) {
        AUTO(free) char *program = xasprintf("docker-credential-%s", helper);
        const char *const argv[] = {program, "get", NULL};
        const char *server = streq(registry, "docker.io") ? "https://index.docker.io/v1/" : registry;
        const struct child_spec spec = {.argv = argv, .stdin_text = sv_of(server), .max_output = 64 << 10};
        AUTO(str) struct str out = STR_INIT(64 << 10);
        AUTO(json) yyjson_doc *doc = NULL;
        int code = 0, r = child_run(&spec, &code, &out, NULL, err);
        if (r < 0)
                return err_wrap(err, r, "%s", program);
        if (code != 0)
                return err_set(err, -ENOENT, "%s has no credentials for %s (exit code %d)", program, server, code);
        if ((r = json_parse(str_sv(&out), &doc, NULL)) < 0)
                return err_set(err, r, "%s did not answer with JSON", program);
        const char *user = json_get_str(yyjson_doc_get_root(doc), "Username"), *secret = json_get_str(yyjson_doc_get_root(doc), "Secret");
        if (!user || !secret)
                return err_set(err, -EINVAL, "%s answered without Username and Secret", program);
        *ret = (struct oci_login){.pattern = xstrdup(registry)};
        if (streq(user, "<token>")) {
                ret->identity_token = xstrdup(secret);
        } else {
                ret->user = xstrdup(user);
                ret->password = xstrdup(secret);
        }
        return 0;
}

/* ---- challenges ---- */

static void skip_blanks(const char **p) {
        while (**p == ' ' || **p == '\t' || **p == ',')
                (*p)++;
}

/* key=value or key="value"; false at the end. */
static bool parameter(const char **at, struct str *key, struct str *value) {
        skip_blanks(at);
        str_clear(key);
        str_clear(value);
        while (**at && **at != '=' && **at != ' ' && **at != ',')
                str_append_c(key, *(*at)++);
        if (**at != '=')
                return false;
        (*at)++;
        if (**at == '"') {
                for ((*at)++; **at && **at != '"'; (*at)++) {
                        if (**at == '\\' && (*at)[1])
                                (*at)++;
                        str_append_c(value, **at);
                }
                if (**at == '"')
                        (*at)++;
        } else {
                while (**at && **at != ',' && **at != ' ')
                        str_append_c(value, *(*at)++);
        }
        return key->len > 0;
}

bool oci_challenge_parse(const char *header, struct oci_challenge *ret) {
        AUTO(oci_challenge) struct oci_challenge c = {0};
        AUTO(str) struct str key = STR_INIT(256);
        AUTO(str) struct str value = STR_INIT(8192);
        const char *p = header;
        skip_blanks(&p);
        size_t word = strcspn(p, " \t");
        if (sv_ieq(sv_new(p, word), SV("Bearer")))
                c.is_bearer = true;
        else if (!sv_ieq(sv_new(p, word), SV("Basic")))
                return false;
        p += word;
        while (parameter(&p, &key, &value)) {
                char **slot = sv_ieq(str_sv(&key), SV("realm"))     ? &c.realm
                              : sv_ieq(str_sv(&key), SV("service")) ? &c.service
                              : sv_ieq(str_sv(&key), SV("scope"))   ? &c.scope
                                                                    : NULL;
                if (slot && !*slot)
                        *slot = xstrdup(str_cstr(&value));
        }
        if (c.is_bearer && !c.realm)
                return false;
        *ret = c;
        c = (struct oci_challenge){0};
        return true;
}
