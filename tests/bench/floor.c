/* The floor under a batch of submissions: the same requests, made beforehand, sent by a client that does nothing else.
 *
 *     floor HOST PORT plain|tls CONNECTIONS FILE
 *
 * FILE: for each request a line with the group's number and the request's length, then the request as it goes over the wire. The requests
 * of a group go in order over one connection, as those of a submission do. Where a request holds the placeholder, the uid of the group's
 * last POST answer takes its place. Prints requests and seconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { UID_LEN = 36, ANSWER_MAX = 1 << 20, CONNECTIONS_MAX = 256 };
static const char placeholder[UID_LEN + 1] = "UIDUIDUI-UIDU-IDUI-DUID-UIDUIDUIDUID";

struct request {
        long group;
        size_t len;
        char *text;
};

static struct request *requests;
static size_t count, next_group;
static const char *host, *port;
static SSL_CTX *tls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what) {
        perror(what);
        exit(1);
}

struct connection {
        int fd;
        SSL *ssl;
        char answer[ANSWER_MAX + 1];
};

static void open_connection(struct connection *c) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)strtol(port, NULL, 10))};
        inet_pton(AF_INET, host, &to.sin_addr);
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                die("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (!tls)
                return;
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1)
                die("TLS");
}

static void send_all(struct connection *c, const char *data, size_t len) {
        while (len) {
                ssize_t n = c->ssl ? SSL_write(c->ssl, data, (int)len) : write(c->fd, data, len);
                if (n <= 0)
                        die("sending");
                data += n;
                len -= (size_t)n;
        }
}

/* Reads one answer whole, which says its length; returns its status. */
static int read_answer(struct connection *c) {
        size_t have = 0, want = 0;
        while (!want || have < want) {
                ssize_t n = c->ssl ? SSL_read(c->ssl, c->answer + have, (int)(ANSWER_MAX - have))
                                   : read(c->fd, c->answer + have, ANSWER_MAX - have);
                if (n <= 0)
                        die("reading");
                have += (size_t)n;
                c->answer[have] = 0;
                char *end = strstr(c->answer, "\r\n\r\n"), *length = strcasestr(c->answer, "content-length:");
                if (!want && end) {
                        if (!length || length > end)
                                die("an answer without a length");
                        want = (size_t)(end + 4 - c->answer) + strtoul(length + strlen("content-length:"), NULL, 10);
                }
        }
        return (int)strtol(c->answer + strlen("HTTP/1.1 "), NULL, 10);
}

static void do_request(struct connection *c, struct request *r, char uid[UID_LEN]) {
        char *hole = *uid ? memmem(r->text, r->len, placeholder, UID_LEN) : NULL;
        if (hole)
                memcpy(hole, uid, UID_LEN);
        send_all(c, r->text, r->len);
        int status = read_answer(c);
        if (status / 100 != 2) {
                fprintf(stderr, "status %d for:\n%.*s\n%s\n", status, (int)(r->len < 2000 ? r->len : 2000), r->text, c->answer);
                exit(1);
        }
        char *at = strncmp(r->text, "POST", 4) == 0 ? strstr(c->answer, "\"uid\":") : NULL;
        at = at ? strchr(at + 6, '"') : NULL;
        if (at && strlen(at + 1) >= UID_LEN)
                memcpy(uid, at + 1, UID_LEN);
}

static void *work(void *arg) {
        struct connection *c = malloc(sizeof(*c));
        *c = (struct connection){0};
        open_connection(c);
        for (;;) {
                pthread_mutex_lock(&lock);
                size_t i = next_group, end = i;
                while (end < count && requests[end].group == requests[i].group)
                        end++;
                next_group = end;
                pthread_mutex_unlock(&lock);
                if (i >= count)
                        break;
                char uid[UID_LEN] = "";
                for (; i < end; i++)
                        do_request(c, &requests[i], uid);
        }
        close(c->fd);
        free(c);
        return arg;
}

static void load(const char *path) {
        FILE *f = fopen(path, "r");
        long group;
        size_t len, room = 0;
        if (!f)
                die(path);
        while (fscanf(f, "%ld %zu", &group, &len) == 2 && fgetc(f) == '\n') {
                if (count == room && !(requests = realloc(requests, (room = room ? 2 * room : 1024) * sizeof(*requests))))
                        die("memory");
                struct request *r = &requests[count++];
                *r = (struct request){group, len, malloc(len + 1)};
                if (!r->text || fread(r->text, 1, len, f) != len)
                        die(path);
                r->text[len] = 0;
        }
        fclose(f);
}

int main(int argc, char **argv) {
        if (argc != 6)
                return 2;
        host = argv[1];
        port = argv[2];
        long connections = strtol(argv[4], NULL, 10);
        pthread_t threads[CONNECTIONS_MAX];
        struct timespec began, ended;
        if (connections < 1 || connections > CONNECTIONS_MAX)
                return 2;
        if (strcmp(argv[3], "tls") == 0)
                tls = SSL_CTX_new(TLS_client_method());
        load(argv[5]);
        clock_gettime(CLOCK_MONOTONIC, &began);
        for (long i = 0; i < connections; i++)
                if (pthread_create(&threads[i], NULL, work, NULL) != 0)
                        die("thread");
        for (long i = 0; i < connections; i++)
                pthread_join(threads[i], NULL);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        printf("%zu %.6f\n", count, (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
        return 0;
}
