#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "event/loop.h"

enum { THREADS = 4, POSTS = 5000 };

struct counter {
        struct loop *loop;
        int number;
        int last[THREADS];
        bool done;
        pthread_t loop_thread;
        bool wrong_thread;
};

struct message {
        struct counter *c;
        int thread, value;
};

static void receive(void *arg) {
        struct message *m = arg;
        struct counter *c = m->c;
        c->wrong_thread |= !pthread_equal(pthread_self(), c->loop_thread);
        if (m->value != c->last[m->thread] + 1)
                c->wrong_thread = true; /* out of order */
        c->last[m->thread] = m->value;
        c->done = ++c->number == THREADS * POSTS;
        free(m);
}

struct sender {
        struct counter *c;
        int thread;
};

static void *send_all(void *arg) {
        struct sender *s = arg;
        for (int i = 1; i <= POSTS; i++) {
                struct message *m = xmalloc(sizeof *m);
                *m = (struct message){s->c, s->thread, i};
                loop_post(s->c->loop, receive, m);
        }
        return NULL;
}

static void posts_of_many_threads_run_in_order_on_the_loops_thread(void **state) {
        struct counter c = {.loop = loop_new(), .loop_thread = pthread_self()};
        pthread_t threads[THREADS];
        struct sender senders[THREADS];
        for (int i = 0; i < THREADS; i++) {
                senders[i] = (struct sender){&c, i};
                pthread_create(&threads[i], NULL, send_all, &senders[i]);
        }
        loop_run_until(c.loop, &c.done);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(c.number, THREADS * POSTS);
        assert_false(c.wrong_thread);
        loop_free(c.loop);
}

struct job {
        struct counter *c;
        int input, output;
        bool on_other_thread;
};

static void square(void *arg) {
        struct job *j = arg;
        j->output = j->input * j->input;
        j->on_other_thread = !pthread_equal(pthread_self(), j->c->loop_thread);
}

static void add_up(void *arg) {
        struct job *j = arg;
        assert_true(j->on_other_thread);
        j->c->number += j->output;
}

static void work_comes_back_to_the_loop(void **state) {
        struct counter c = {.loop = loop_new(), .loop_thread = pthread_self()};
        struct job jobs[100];
        for (int i = 0; i < 100; i++) {
                jobs[i] = (struct job){.c = &c, .input = i};
                loop_work(c.loop, square, add_up, &jobs[i]);
        }
        loop_run(c.loop);
        assert_int_equal(c.number, 328350);
        loop_free(c.loop);
}

static void count(void *arg) { ((struct counter *)arg)->number++; }

static void freeing_waits_for_workers_and_posts(void **state) {
        struct counter c = {.loop = loop_new(), .loop_thread = pthread_self()};
        struct job job = {.c = &c, .input = 3};
        loop_work(c.loop, square, add_up, &job);
        loop_post(c.loop, count, &c);
        loop_free(c.loop);
        assert_int_equal(c.number, 10);
}

static void runs_posts_though_nothing_else_is_there(void **state) {
        struct counter c = {.loop = loop_new()};
        loop_post(c.loop, count, &c);
        loop_run(c.loop);
        assert_int_equal(c.number, 1);
        loop_free(c.loop);
}

static struct timer *self_freeing;

static void free_self(void *arg) {
        count(arg);
        timer_free(TAKE(self_freeing));
}

static void timers_may_free_themselves(void **state) {
        struct counter c = {.loop = loop_new()};
        self_freeing = timer_new(c.loop, 1, 1, free_self, &c);
        loop_run(c.loop);
        assert_int_equal(c.number, 1);
        loop_free(c.loop);
}

static void three_times(void *arg) {
        struct counter *c = arg;
        if (++c->number == 3)
                c->done = true;
}

static void timers_repeat(void **state) {
        struct counter c = {.loop = loop_new()};
        struct timer *t = timer_new(c.loop, 1, 1, three_times, &c);
        int64_t before = loop_now_ms(c.loop);
        loop_run_until(c.loop, &c.done);
        assert_int_equal(c.number, 3);
        assert_true(loop_now_ms(c.loop) - before >= 3);
        timer_free(t);
        loop_free(c.loop);
}

static void stop(void *arg) { loop_stop(((struct counter *)arg)->loop); }

static void stopping_ends_waiting(void **state) {
        struct counter c = {.loop = loop_new()};
        struct timer *t = timer_new(c.loop, 1, 0, stop, &c);
        loop_run_until(c.loop, &c.done);
        assert_false(c.done);
        timer_free(t);
        loop_free(c.loop);
}

static void stop_on_signal(void *arg) {
        count(arg);
        stop(arg);
}

static void signals_arrive_on_the_loop(void **state) {
        struct counter c = {.loop = loop_new()};
        struct sigwatch *w = sigwatch_new(c.loop, SIGUSR1, stop_on_signal, &c);
        raise(SIGUSR1);
        loop_run_until(c.loop, &c.done);
        assert_int_equal(c.number, 1);
        sigwatch_free(w);
        loop_free(c.loop);
}

static void sees_readable_descriptors_and_refuses_files(void **state) {
        struct counter c = {.loop = loop_new()};
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        struct fdwatch *w = fdwatch_new(c.loop, fds[0], stop_on_signal, &c);
        assert_int_equal(write(fds[1], "x", 1), 1);
        loop_run(c.loop);
        assert_int_equal(c.number, 1);
        fdwatch_free(w);
        FILE *f = tmpfile();
        assert_null(fdwatch_new(c.loop, fileno(f), count, &c));
        fclose(f);
        loop_free(c.loop);
        close(fds[0]);
        close(fds[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(posts_of_many_threads_run_in_order_on_the_loops_thread),
                cmocka_unit_test(work_comes_back_to_the_loop),
                cmocka_unit_test(freeing_waits_for_workers_and_posts),
                cmocka_unit_test(runs_posts_though_nothing_else_is_there),
                cmocka_unit_test(timers_may_free_themselves),
                cmocka_unit_test(timers_repeat),
                cmocka_unit_test(stopping_ends_waiting),
                cmocka_unit_test(signals_arrive_on_the_loop),
                cmocka_unit_test(sees_readable_descriptors_and_refuses_files),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
