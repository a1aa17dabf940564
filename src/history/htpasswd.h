/* Users and their passwords in a file of lines "user:hash", as htpasswd(1) and openssl-passwd(1) write it. Known are bcrypt ($2y$, $2a$,
 * $2b$), SHA-crypt ($5$, $6$), yescrypt ($y$), Apache's MD5 ($apr1$) and {SHA}. Blank lines and comments (#) are passed over.
 *
 * The file is read again when it has changed. Safe between threads: checking takes as long as the hash is made to take, so it is for
 * workers. */
#ifndef FIRESTEEL_HISTORY_HTPASSWD_H
#define FIRESTEEL_HISTORY_HTPASSWD_H

#include "base/err.h"
#include "base/str.h"

struct htpasswd;

/* -EINVAL names the line. */
MUST_USE int htpasswd_open(const char *path, struct htpasswd **ret, struct err *err);
void htpasswd_free(struct htpasswd *h);
DEFINE_AUTO_PTR(htpasswd, struct htpasswd, htpasswd_free)
/* Is it that user's password? A file that cannot be read any more, or has become malformed, lets nobody in (and says so once). */
bool htpasswd_check(struct htpasswd *h, const char *user, const char *password);
/* Changes whenever the file does: what was checked under another one must be checked again. */
uint64_t htpasswd_generation(struct htpasswd *h);

/* Does the password have that hash? */
bool htpasswd_matches(const char *hash, const char *password);

#endif
