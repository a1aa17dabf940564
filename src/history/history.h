/* The Spark History Server: Spark's REST API and a page of its own over a store of event logs.
 *
 * One loop thread owns everything: the listing (replaced as a whole by each scan), the models in use (least recently used
 * ones go), the loads under way. Workers scan, load and render; they get counted references to immutable listings, records
 * and models, and hand back results. Requests for a model that is being loaded wait for that one load.
 */
#ifndef FIRESTEEL_HISTORY_HISTORY_H
#define FIRESTEEL_HISTORY_HISTORY_H

#include "event/loop.h"
#include "history/conf.h"

struct history;

struct history_options {
        struct history_conf *conf; /* borrowed */
        const char *bind;          /* addresses, comma-separated */
        int listen_fd;             /* > 2: a listening socket to use instead; taken over. Its visitors wait for the first scan */
        const char *user_header;   /* the header in which a trusted proxy says who asks; NULL: nobody is known */
        const char *group_header;
        const struct strv *trusted; /* addresses whose headers count, besides loopback's */
        bool access_log;            /* a JSON line a request on standard output */
        bool dry_run;               /* the cleaner says what it would remove, and removes nothing */
};

/* Opens the store, loads the kept listing, binds. The first scan begins with the loop. */
MUST_USE int history_start(struct loop *l, const struct history_options *o, struct history **ret, struct err *err);
int history_port(const struct history *h);
void history_stop(struct history *h, void (*done)(void *arg), void *arg);
void history_free(struct history *h);

#endif
