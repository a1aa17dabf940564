/* The event loop: libuv behind the handful of calls this program needs.
 *
 * One loop, one thread. Callbacks run on the loop's thread and must not block: work that parses more than
 * 64 KiB, touches a disk or waits goes to loop_work(). loop_post() is the only call that other threads
 * may make. A handle lives until its x_free(), which may be called from its own callback.
 * Servers keep one loop for ever; commands make one, run it until their answer is there, and free it.
 */
#ifndef FIRESTEEL_EVENT_LOOP_H
#define FIRESTEEL_EVENT_LOOP_H

#include "base/err.h"
#include "base/str.h"

struct loop;
struct timer;
struct sigwatch;

struct loop *loop_new(void);
/* Runs pending close callbacks, then frees; every handle must have been freed before. */
void loop_free(struct loop *l);
DEFINE_AUTO_PTR(loop, struct loop, loop_free)
/* Runs until loop_stop() or until nothing is left to wait for. Not from a callback of the same loop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Runs until *done becomes true (set by a callback): how a command waits for one answer. loop_stop() ends it too:
 * whoever stops loops looks at *done. */
void loop_run_until(struct loop *l, const bool *done);
/* From any thread: runs fn(arg) on the loop's thread, in the order of posting. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* Runs work(arg) on a worker thread, then done(arg) on the loop's. */
void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* The uv_loop_t, for the modules of net/ and for podrt. */
struct uv_loop_s *loop_uv(struct loop *l);
int64_t loop_now_ms(struct loop *l); /* monotonic; the time at which this turn of the loop began */
/* A buffer of LOOP_SCRATCH bytes that all who read on this loop share: idle connections then cost none. What is in it is
 * gone when the callback that it was handed to returns. */
enum { LOOP_SCRATCH = 64 * 1024 };
char *loop_scratch(struct loop *l);

/* Fires once after delay_ms, then every repeat_ms when that is not 0. */
struct timer *timer_new(struct loop *l, int64_t delay_ms, int64_t repeat_ms, void (*fn)(void *arg), void *arg);
void timer_again(struct timer *t, int64_t delay_ms, int64_t repeat_ms); /* re-arm */
void timer_free(struct timer *t);

struct sigwatch *sigwatch_new(struct loop *l, int signal_number, void (*fn)(void *arg), void *arg);
void sigwatch_free(struct sigwatch *s);

/* Readability of a descriptor that the caller owns (pidfd, inotify, pipe) and closes only after fdwatch_free().
 * NULL when the kernel cannot poll it (a plain file). */
struct fdwatch;
struct fdwatch *fdwatch_new(struct loop *l, int fd, void (*fn)(void *arg), void *arg);
void fdwatch_free(struct fdwatch *w);

/* A child process in a session of its own (but with inherit_stdio it stays in ours). Output is collected up to max_output
 * bytes each, what comes after is read and dropped; done is called once, after exit and EOF, and the child is freed
 * when it returns. */
struct child_spec {
        const char *const *argv; /* NULL-terminated; argv[0] is searched in PATH */
        const char *const *env;  /* NULL-terminated; NULL = inherited */
        const char *cwd;         /* NULL = inherited */
        struct sv stdin_text;    /* written, then closed */
        size_t max_output;       /* 0 = 1 MiB */
        bool inherit_stdio;      /* the child shares our terminal; nothing is collected */
        bool inherit_stdin;      /* it may ask the user; it then stays in our session */
        bool inherit_stderr;     /* what it says is seen at once, not collected */
};
struct child_result {
        int exit_code; /* 128 + signal when killed */
        int signal;
        struct sv out, err; /* valid during the callback */
};
struct child;
MUST_USE int child_start(struct loop *l, const struct child_spec *spec, void (*done)(void *arg, const struct child_result *result),
                         void *arg, struct child **ret, struct err *err);
/* To the child and all that it started (its process group); with inherit_stdio to the child alone. */
void child_kill(struct child *c, int signal_number);
int child_pid(const struct child *c);
/* Blocking convenience for workers and commands (its own private loop). Outputs may be NULL. An exit code other than 0
 * is not an error of this call. */
MUST_USE int child_run(const struct child_spec *spec, int *ret_exit_code, struct str *ret_out, struct str *ret_err, struct err *err);

#endif
