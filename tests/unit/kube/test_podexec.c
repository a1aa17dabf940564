#include "fake_api.h"

#include "kube/podexec.h"

/* A server that runs the "command": echoes standard input in capitals to both outputs, then ends with the status of the test. */
struct seen {
        struct str out, err;
        struct podexec *exec;
        bool done;
        int exit_code;
        struct err why;
};

static const char *status;
static struct str resized;

static void serve_message(void *arg, bool is_text, struct sv message) {
        struct fake_api *api = arg;
        struct ws *w = api->arg;
        unsigned char channel = (unsigned char)message.data[0];
        if (channel == 4) {
                str_append(&resized, message.data + 1, message.len - 1);
        } else if (channel == 0) {
                char text[64];
                assert_true(message.len <= sizeof text);
                for (size_t i = 0; i < message.len; i++)
                        text[i] = message.data[i] >= 'a' && message.data[i] <= 'z' ? (char)(message.data[i] - 32) : message.data[i];
                text[0] = 1;
                ws_send(w, false, sv_new(text, message.len));
                text[0] = 2;
                ws_send(w, false, sv_new(text, message.len));
        } else if (channel == 255) {
                assert_int_equal(message.data[1], 0);
                AUTO(free) char *last = xasprintf("%c%s", 3, status);
                ws_send(w, false, sv_of(last));
                ws_close(w, 1000, SV_NULL);
        }
}
static void serve_close(void *arg, int code, struct sv reason) {}

static void serve(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        assert_true(ws_offers(request, "v5.channel.k8s.io"));
        struct ws *w = ws_accept(x, "v5.channel.k8s.io", 1024);
        api->arg = w;
        ws_set_events(w, &(struct ws_events){.on_message = serve_message, .on_close = serve_close, .arg = api});
}

static void on_ready(void *arg) {
        struct seen *s = arg;
        podexec_resize(s->exec, 80, 24);
        podexec_write(s->exec, SV("hello"));
        podexec_close_stdin(s->exec);
}
static void on_output(void *arg, bool is_stderr, struct sv data) {
        struct seen *s = arg;
        str_append_sv(is_stderr ? &s->err : &s->out, data);
}
static void on_exit_code(void *arg, int exit_code, const struct err *err) {
        struct seen *s = arg;
        s->done = true;
        s->exit_code = exit_code;
        if (err)
                err_copy(&s->why, err);
}

static void run(struct fake_api *api, struct seen *s) {
        static const char *const argv[] = {"sh", "-c", "echo a&b", NULL};
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        s->exec = podexec_start(c, &(struct podexec_options){
                .namespace_ = "n", .pod = "p", .container = "c", .argv = argv, .has_stdin = true,
                .on_ready = on_ready, .on_output = on_output, .on_exit = on_exit_code, .arg = s,
        });
        loop_run_until(api->loop, &s->done);
        podexec_free(s->exec);
}

static void seen_done(struct seen *s) {
        str_done(&s->out);
        str_done(&s->err);
        err_done(&s->why);
}

static void runs_a_command_with_its_input_and_outputs(void **state) {
        struct fake_api *api = *state;
        api->handler = serve;
        status = "{\"metadata\":{},\"status\":\"Success\"}";
        struct seen s = {0};
        run(api, &s);
        assert_int_equal(s.exit_code, 0);
        assert_string_equal(str_cstr(&s.out), "HELLO");
        assert_string_equal(str_cstr(&s.err), "HELLO");
        assert_string_equal(str_cstr(&resized), "{\"Width\":80,\"Height\":24}");
        assert_string_equal(api->requests.items[0],
                            "GET /api/v1/namespaces/n/pods/p/exec?command=sh&command=-c&command=echo%20a%26b&container=c&stdin=true"
                            "&stdout=true&stderr=true");
        str_done(&resized);
        seen_done(&s);
}

static void tells_the_exit_code(void **state) {
        struct fake_api *api = *state;
        api->handler = serve;
        status =
                "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"42\"}]}}";
        struct seen s = {0};
        run(api, &s);
        assert_int_equal(s.exit_code, 42);
        assert_int_equal(s.why.code, 0);
        str_done(&resized);
        seen_done(&s);
}

static void tells_why_a_command_cannot_run(void **state) {
        struct fake_api *api = *state;
        api->handler = serve;
        status = "{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"no such file\",\"code\":500}";
        struct seen s = {0};
        run(api, &s);
        assert_int_equal(s.exit_code, -1);
        assert_string_equal(err_message(&s.why), "no such file");
        str_done(&resized);
        seen_done(&s);
}

static void refuse(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        answer(x, 403, STATUS(403, "Forbidden", "may not exec"));
}

static void a_refusal_is_the_servers_own_words(void **state) {
        struct fake_api *api = *state;
        api->handler = refuse;
        struct seen s = {0};
        run(api, &s);
        assert_string_equal(err_message(&s.why), "may not exec");
        assert_int_equal(s.why.http_status, 403);
        seen_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(runs_a_command_with_its_input_and_outputs),
                with_api(tells_the_exit_code),
                with_api(tells_why_a_command_cannot_run),
                with_api(a_refusal_is_the_servers_own_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
