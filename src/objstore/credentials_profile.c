/* ~/.aws/credentials and ~/.aws/config: sections of `key = value`, with nested settings indented below a key, which we skip. */
#include "base/fs.h"
#include "objstore/credentials.h"

enum { MAX_FILE = 1024 * 1024 };

const char *aws_env_get(const struct aws_env *env, const char *name) {
        const char *v = env->get(env->arg, name);
        return v && *v ? v : NULL;
}

static void free_profile(void *p) {
        struct map *m = p;
        map_done(m);
        free(m);
}

static char *file_path(const struct aws_env *env, const char *variable, const char *name) {
        const char *given = aws_env_get(env, variable);
        if (given)
                return fs_absolute(given);
        const char *home = aws_env_get(env, "HOME");
        return home ? xasprintf("%s/.aws/%s", home, name) : NULL;
}

static struct map *section(struct aws_profiles *p, struct sv name) {
        AUTO(free) char *key = sv_dup(name);
        struct map *m = map_get(&p->profiles, key);
        if (!m) {
                m = NEW(struct map);
                *m = MAP_INIT(free);
                map_set(&p->profiles, key, m);
        }
        return m;
}

/* "[default]", "[profile dev]" in config, "[dev]" in credentials; other kinds of sections (sso-session) are not profiles. */
static struct map *parse_section(struct aws_profiles *p, struct sv line, bool is_config) {
        ssize_t end = sv_find_char(line, ']');
        if (end < 0)
                return NULL;
        struct sv name = sv_trim(sv_new(line.data + 1, (size_t)end - 1));
        if (is_config && sv_starts(name, SV("profile ")))
                return section(p, sv_trim(sv_new(name.data + 8, name.len - 8)));
        if (is_config && !sv_eqs(name, "default"))
                return NULL;
        return section(p, name);
}

static void parse_file(struct aws_profiles *p, struct sv text, bool is_config) {
        struct map *current = NULL;
        struct sv rest = text, line;
        while (sv_split(&rest, '\n', &line)) {
                if (line.len && (line.data[0] == ' ' || line.data[0] == '\t'))
                        continue;
                line = sv_trim(line);
                if (!line.len || line.data[0] == '#' || line.data[0] == ';')
                        continue;
                if (line.data[0] == '[') {
                        current = parse_section(p, line, is_config);
                        continue;
                }
                ssize_t eq = sv_find_char(line, '=');
                if (!current || eq <= 0)
                        continue;
                AUTO(free) char *key = sv_dup(sv_trim(sv_new(line.data, (size_t)eq)));
                struct sv value = sv_trim(sv_new(line.data + eq + 1, line.len - (size_t)eq - 1));
                if (!is_config || !map_get(current, key)) /* credentials were read first and win */
                        map_set(current, key, sv_dup(value));
        }
}

int aws_profiles_load(const struct aws_env *env, struct aws_profiles *ret, struct err *err) {
        AUTO(aws_profiles) struct aws_profiles p = {.profiles = MAP_INIT(free_profile)};
        p.credentials_path = file_path(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
        p.config_path = file_path(env, "AWS_CONFIG_FILE", "config");
        const char *const paths[] = {p.credentials_path, p.config_path};
        for (int i = 0; i < 2; i++) {
                AUTO(str) struct str text = STR_INIT(0);
                if (!paths[i] || !fs_exists(paths[i]))
                        continue;
                int r = fs_read(paths[i], MAX_FILE, &text, err);
                if (r < 0)
                        return r;
                parse_file(&p, str_sv(&text), i == 1);
        }
        *ret = p;
        p = (struct aws_profiles){.profiles = MAP_INIT(free_profile)};
        return 0;
}

void aws_profiles_done(struct aws_profiles *p) {
        map_done(&p->profiles);
        free(p->credentials_path);
        free(p->config_path);
}

bool aws_profile_exists(const struct aws_profiles *p, const char *profile) { return map_get(&p->profiles, profile) != NULL; }

const char *aws_profile_get(const struct aws_profiles *p, const char *profile, const char *key) {
        const struct map *m = map_get(&p->profiles, profile);
        const char *v = m ? map_get(m, key) : NULL;
        return v && *v ? v : NULL;
}

const char *aws_profile_name(const struct aws_env *env) {
        const char *name = aws_env_get(env, "AWS_PROFILE");
        if (!name)
                name = aws_env_get(env, "AWS_DEFAULT_PROFILE");
        return name ? name : "default";
}

char *aws_region(const struct aws_env *env) {
        const char *region = aws_env_get(env, "AWS_REGION");
        if (!region)
                region = aws_env_get(env, "AWS_DEFAULT_REGION");
        if (region)
                return xstrdup(region);
        AUTO(aws_profiles) struct aws_profiles p = {0};
        if (aws_profiles_load(env, &p, NULL) < 0)
                return NULL;
        return xstrdup_null(aws_profile_get(&p, aws_profile_name(env), "region"));
}
