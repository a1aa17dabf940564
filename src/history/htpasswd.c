#include "history/htpasswd.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/map.h"
#include "codec/base64.h"

enum { MAX_FILE = 16 << 20, MD5_SIZE = 16, SHA1_SIZE = 20, MAX_PASSWORD = 1024 };

struct htpasswd {
        char *path;
        pthread_mutex_t lock; /* of what follows */
        struct map users;     /* name -> hash */
        struct stat seen;
        bool broken;
        uint64_t generation;
};

/* ---- hashes ---- */

static bool same(const char *a, const char *b) { return strlen(a) == strlen(b) && CRYPTO_memcmp(a, b, strlen(a)) == 0; }

static void md5_add(EVP_MD_CTX *c, const void *data, size_t len) {
        if (EVP_DigestUpdate(c, data, len) != 1)
                abort(); /* out of memory */
}

static EVP_MD_CTX *md5_new(void) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        if (!c || EVP_DigestInit_ex(c, EVP_md5(), NULL) != 1)
                abort();
        return c;
}

static void md5_end(EVP_MD_CTX *c, uint8_t ret[MD5_SIZE]) {
        if (EVP_DigestFinal_ex(c, ret, NULL) != 1)
                abort();
        EVP_MD_CTX_free(c);
}

/* Sixty-four letters for six bits each, the lowest first. */
static char *apr1_letters(char *to, uint32_t v, size_t n) {
        static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for (; n-- > 0; v >>= 6)
                *to++ = letters[v & 63];
        return to;
}

/* Poul-Henning Kamp's MD5-crypt with Apache's magic (apr_md5_encode()). */
static void apr1(const char *password, struct sv salt, char ret[23]) {
        static const char magic[] = "$apr1$";
        size_t len = strlen(password);
        uint8_t sum[MD5_SIZE];
        EVP_MD_CTX *c = md5_new();
        md5_add(c, password, len);
        md5_add(c, salt.data, salt.len);
        md5_add(c, password, len);
        md5_end(c, sum);
        c = md5_new();
        md5_add(c, password, len);
        md5_add(c, magic, sizeof(magic) - 1);
        md5_add(c, salt.data, salt.len);
        for (size_t left = len; left > 0; left -= left < MD5_SIZE ? left : MD5_SIZE)
                md5_add(c, sum, left < MD5_SIZE ? left : MD5_SIZE);
        for (size_t bits = len; bits; bits >>= 1)
                md5_add(c, bits & 1 ? "" : password, 1);
        md5_end(c, sum);
        for (int i = 0; i < 1000; i++) {
                c = md5_new();
                md5_add(c, i & 1 ? password : (const char *)sum, i & 1 ? len : MD5_SIZE);
                if (i % 3)
                        md5_add(c, salt.data, salt.len);
                if (i % 7)
                        md5_add(c, password, len);
                md5_add(c, i & 1 ? (const char *)sum : password, i & 1 ? MD5_SIZE : len);
                md5_end(c, sum);
        }
        for (int i = 0; i < 5; i++)
                ret = apr1_letters(ret, (uint32_t)sum[i] << 16 | (uint32_t)sum[i + 6] << 8 | sum[i == 4 ? 5 : i + 12], 4);
        *apr1_letters(ret, sum[11], 2) = 0;
}

static bool apr1_matches(const char *hash, const char *password) {
        const char *salt = hash + 6, *end = strchr(salt, '$');
        char text[23];
        if (!end)
                return false;
        apr1(password, sv_new(salt, (size_t)(end - salt) < 8 ? (size_t)(end - salt) : 8), text);
        return same(end + 1, text);
}

static bool sha_matches(const char *hash, const char *password) {
        uint8_t sum[SHA1_SIZE];
        AUTO(str) struct str text = STR_INIT(0);
        if (EVP_Digest(password, strlen(password), sum, NULL, EVP_sha1(), NULL) != 1)
                return false;
        base64_encode(sv_new((const char *)sum, sizeof(sum)), &text);
        return same(hash + 5, str_cstr(&text));
}

static bool crypt_matches(const char *hash, const char *password) {
        AUTO(free) struct crypt_data *work = xcalloc(1, sizeof(*work));
        const char *text = crypt_rn(password, hash, work, sizeof(*work)); /* NULL for what is no hash */
        bool ok = text && same(text, hash);
        OPENSSL_cleanse(work, sizeof(*work));
        return ok;
}

static const struct kind {
        const char *prefix;
        bool (*matches)(const char *hash, const char *password);
} kinds[] = {
        {"$apr1$", apr1_matches}, {"{SHA}", sha_matches},   {"$2y$", crypt_matches}, {"$2a$", crypt_matches},
        {"$2b$", crypt_matches},  {"$5$", crypt_matches},   {"$6$", crypt_matches},  {"$y$", crypt_matches},
};

static const struct kind *kind_of(const char *hash) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (str_starts(hash, kinds[i].prefix))
                        return &kinds[i];
        return NULL;
}

bool htpasswd_matches(const char *hash, const char *password) {
        const struct kind *k = kind_of(hash);
        return k && strlen(password) <= MAX_PASSWORD && k->matches(hash, password);
}

/* ---- the file ---- */

static int parse(const char *path, struct sv text, struct map *ret, struct err *err) {
        struct sv line;
        for (size_t number = 1; sv_split(&text, '\n', &line); number++) {
                line = sv_trim(line);
                if (line.len == 0 || line.data[0] == '#')
                        continue;
                ssize_t colon = sv_find_char(line, ':');
                AUTO(free) char *hash = xstrndup(line.data + colon + 1, colon < 0 ? 0 : line.len - (size_t)colon - 1);
                if (colon <= 0)
                        return err_set(err, -EINVAL, "%s, line %zu: it is not USER:HASH", path, number);
                if (!kind_of(hash))
                        return err_set(
                                err, -EINVAL,
                                "%s, line %zu: unknown kind of hash; known are bcrypt (htpasswd -B), $5$, $6$, $y$, $apr1$ and {SHA}", path,
                                number);
                map_set_n(ret, line.data, (size_t)colon, TAKE(hash));
        }
        return 0;
}

static int load(struct htpasswd *h, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(map) struct map users = MAP_INIT(free);
        struct stat st;
        if (stat(h->path, &st) < 0)
                return err_errno(err, -errno, "%s", h->path);
        h->seen = st;
        h->generation++;
        int r = fs_read(h->path, MAX_FILE, &text, err);
        r = r < 0 ? r : parse(h->path, str_sv(&text), &users, err);
        if (r < 0)
                return r;
        map_done(&h->users);
        h->users = users;
        users = MAP_INIT(free);
        return 0;
}

static bool is_seen(const struct htpasswd *h) {
        struct stat st;
        return stat(h->path, &st) == 0 && st.st_ino == h->seen.st_ino && st.st_size == h->seen.st_size &&
               st.st_mtim.tv_sec == h->seen.st_mtim.tv_sec && st.st_mtim.tv_nsec == h->seen.st_mtim.tv_nsec;
}

/* With the lock held. */
static void refresh(struct htpasswd *h) {
        AUTO(err) struct err err = ERR_INIT;
        if (is_seen(h))
                return;
        int r = load(h, &err);
        if (r < 0 && !h->broken)
                log_warn("nobody is let in: %s", err_message(&err));
        if (r < 0)
                map_clear(&h->users);
        h->generation += r < 0 && !h->broken;
        h->broken = r < 0;
}

int htpasswd_open(const char *path, struct htpasswd **ret, struct err *err) {
        AUTO(htpasswd) struct htpasswd *h = NEW(struct htpasswd);
        h->path = xstrdup(path);
        h->users = MAP_INIT(free);
        pthread_mutex_init(&h->lock, NULL);
        int r = load(h, err);
        if (r < 0)
                return r;
        *ret = TAKE(h);
        return 0;
}

void htpasswd_free(struct htpasswd *h) {
        if (!h)
                return;
        map_done(&h->users);
        pthread_mutex_destroy(&h->lock);
        free(h->path);
        free(h);
}

uint64_t htpasswd_generation(struct htpasswd *h) {
        pthread_mutex_lock(&h->lock);
        refresh(h);
        uint64_t g = h->generation;
        pthread_mutex_unlock(&h->lock);
        return g;
}

bool htpasswd_check(struct htpasswd *h, const char *user, const char *password) {
        pthread_mutex_lock(&h->lock);
        refresh(h);
        AUTO(free) char *hash = xstrdup_null(map_get(&h->users, user));
        pthread_mutex_unlock(&h->lock);
        return hash && htpasswd_matches(hash, password);
}
