/* A request of any shape against a server in memory, over a connection as clients make it: "METHOD TARGET TYPE", a newline, the body.
 * Nothing a client sends may bring the server down or make it forget to answer. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "cluster/apiserver.h"
#include "net/http_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
        struct loop *loop;
        struct apiserver *api;
        struct http_server *http;
        int port;
        int fd;
        bool done;
} world;

static void start(void) {
        world.loop = loop_new();
        if (apiserver_new(world.loop, &(struct apiserver_options){.allow_anonymous_admin = true, .watch_history = 256}, &world.api, NULL) <
            0)
                abort();
        world.http = http_server_new(world.loop,
                                     &(struct http_server_options){.handler = apiserver_handle, .arg = world.api, .max_body = 1024 * 1024});
        if (http_server_listen(world.http, "127.0.0.1", 0, &world.port, NULL) < 0)
                abort();
}

static int dial(void) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)world.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                abort();
        return fd;
}

/* The head of an answer is enough: a watch has no end. */
static void readable(void *arg) {
        char buffer[65536];
        (void)arg;
        if (read(world.fd, buffer, sizeof(buffer)) >= 0)
                world.done = true;
}

static void late(void *arg) {
        (void)arg;
        abort(); /* no answer */
}

static bool is_token(struct sv v) {
        for (size_t i = 0; i < v.len; i++)
                if (v.data[i] <= ' ' || v.data[i] >= 127)
                        return false;
        return v.len > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(str) struct str request = STR_INIT(0);
        struct sv rest = sv_new((const char *)data, size), line, method, target, type;
        struct fdwatch *watch;
        struct timer *timer;

        if (!world.loop)
                start();
        if (size > 65536 || !sv_split(&rest, '\n', &line) || !sv_split(&line, ' ', &method) || !sv_split(&line, ' ', &target) ||
            !sv_split(&line, ' ', &type) || !is_token(method) || !is_token(target) || target.data[0] != '/' || !is_token(type))
                return 0;
        str_appendf(&request, "%.*s %.*s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %.*s\r\nContent-Length: %zu\r\n\r\n",
                    SV_ARG(method), SV_ARG(target), SV_ARG(type), rest.len);
        str_append_sv(&request, rest);
        world.fd = dial();
        if (write(world.fd, request.data, request.len) < 0)
                abort();
        world.done = false;
        watch = fdwatch_new(world.loop, world.fd, readable, NULL);
        timer = timer_new(world.loop, 20000, 0, late, NULL);
        loop_run_until(world.loop, &world.done);
        timer_free(timer);
        fdwatch_free(watch);
        close(world.fd);
        return 0;
}
