/*
 * libevent's own HTTP server: one event loop per process, one process per worker, one listener.
 *
 * cc -O2 -o evhttp evhttp.c -levent
 * evhttp --listen 127.0.0.1:PORT [--workers N]
 *
 * The routes of the scenarios: / /plaintext /json /echo /bytes/N /cpu/MICROS /wait/MICROS
 * /sleep/MICROS. /cpu is the arithmetic of the models, timed in the same way; /sleep blocks the
 * loop, which is what a blocking call does in this model.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096, WORKERS_MAX = 1024, PATTERN_BYTES = 16 << 10 };
static const long long BYTES_MAX = 64 << 20, MICROS_MAX = 60000000;

static struct event_base *base;
static char pattern[PATTERN_BYTES];
static double rounds_per_us;

static void die(const char *what)
{
    fprintf(stderr, "error: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A chain of multiplications, each of which needs the one before. */
static void work(uint64_t rounds)
{
    volatile uint64_t seed = 1;
    uint64_t state = seed;
    while (rounds-- > 0)
        state = state * 6364136223846793005u + 1442695040888963407u;
    seed = state;
}

static void calibrate(void)
{
    enum { ROUNDS = 200000, SAMPLES = 24 };
    uint64_t fastest = UINT64_MAX;
    for (int sample = 0; sample < SAMPLES; sample++) {
        uint64_t start = now_ns();
        work(ROUNDS);
        uint64_t took = now_ns() - start;
        fastest = took < fastest ? took : fastest;
    }
    rounds_per_us = ROUNDS / (fastest / 1000.0);
}

static void reply(struct evhttp_request *request, const char *type, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    if (!body) {
        evhttp_send_error(request, 503, NULL);
        return;
    }
    evbuffer_add_reference(body, text, strlen(text), NULL, NULL);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
    evhttp_send_reply(request, 200, NULL, body);
    evbuffer_free(body);
}

static void plaintext(struct evhttp_request *request, void *unused)
{
    (void)unused;
    reply(request, "text/plain", "Hello, World!");
}

static void json(struct evhttp_request *request, void *unused)
{
    (void)unused;
    reply(request, "application/json", "{\"message\":\"Hello, World!\"}");
}

static void echo(struct evhttp_request *request, void *unused)
{
    (void)unused;
    struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
    evhttp_add_header(fields, "Content-Type", "application/octet-stream");
    evhttp_send_reply(request, 200, NULL, evhttp_request_get_input_buffer(request));
}

static void bytes(struct evhttp_request *request, long long left)
{
    struct evbuffer *body = evbuffer_new();
    if (!body) {
        evhttp_send_error(request, 503, NULL);
        return;
    }
    while (left > 0) {
        size_t piece = left < PATTERN_BYTES ? (size_t)left : PATTERN_BYTES;
        evbuffer_add_reference(body, pattern, piece, NULL, NULL);
        left -= (long long)piece;
    }
    struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
    evhttp_add_header(fields, "Content-Type", "application/octet-stream");
    evhttp_send_reply(request, 200, NULL, body);
    evbuffer_free(body);
}

/* A reply that is due later, unless the client goes first and takes the request with it. */
struct waiting {
    struct evhttp_request *request;
    struct event *timer;
};

static void waited(evutil_socket_t socket, short events, void *argument)
{
    struct waiting *waiting = argument;
    (void)socket, (void)events;
    evhttp_connection_set_closecb(evhttp_request_get_connection(waiting->request), NULL, NULL);
    reply(waiting->request, "text/plain", "done\n");
    event_free(waiting->timer);
    free(waiting);
}

static void gone(struct evhttp_connection *connection, void *argument)
{
    struct waiting *waiting = argument;
    (void)connection;
    event_free(waiting->timer);
    free(waiting);
}

static void wait_for(struct evhttp_request *request, long long micros)
{
    struct timeval time = {micros / 1000000, micros % 1000000};
    struct waiting *waiting = malloc(sizeof *waiting);
    struct event *timer = waiting ? evtimer_new(base, waited, waiting) : NULL;
    if (!timer || evtimer_add(timer, &time) != 0) {
        if (timer)
            event_free(timer);
        free(waiting);
        evhttp_send_error(request, 503, NULL);
        return;
    }
    *waiting = (struct waiting){request, timer};
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), gone, waiting);
}

/* The routes that end in a number, and everything that is none. */
static void numbered(struct evhttp_request *request, void *unused)
{
    (void)unused;
    char route[8], *end;
    int at = 0;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    if (!path || sscanf(path, "/%7[a-z]/%n", route, &at) != 1 || at == 0) {
        evhttp_send_error(request, 404, NULL);
        return;
    }
    errno = 0;
    long long number = strtoll(path + at, &end, 10);
    int bad = errno || end == path + at || *end || number < 0;
    long long max = strcmp(route, "bytes") == 0 ? BYTES_MAX : MICROS_MAX;
    if (bad || number > max) {
        evhttp_send_error(request, 400, NULL);
    } else if (strcmp(route, "bytes") == 0) {
        bytes(request, number);
    } else if (strcmp(route, "cpu") == 0) {
        work((uint64_t)(number * rounds_per_us));
        reply(request, "text/plain", "done\n");
    } else if (strcmp(route, "sleep") == 0) {
        struct timespec time = {number / 1000000, number % 1000000 * 1000};
        while (nanosleep(&time, &time) == -1 && errno == EINTR)
            ;
        reply(request, "text/plain", "done\n");
    } else if (strcmp(route, "wait") == 0) {
        wait_for(request, number);
    } else {
        evhttp_send_error(request, 404, NULL);
    }
}

/* Accepted sockets inherit TCP_NODELAY from the listener on Linux. */
static int listen_on(const char *text)
{
    char host[64];
    unsigned port;
    struct sockaddr_in addr = {.sin_family = AF_INET};
    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || port > 65535 ||
        inet_pton(AF_INET, host, &addr.sin_addr) != 1) {
        fprintf(stderr, "error: --listen %s: not an IPv4 address and a port\n", text);
        exit(2);
    }
    addr.sin_port = htons((uint16_t)port);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener == -1 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        bind(listener, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(listener, BACKLOG) != 0)
        die(text);
    socklen_t size = sizeof addr;
    if (getsockname(listener, (struct sockaddr *)&addr, &size) != 0)
        die(text);
    printf("listening on %s:%u\n", host, ntohs(addr.sin_port));
    fflush(stdout);
    return listener;
}

static void serve(int listener)
{
    base = event_base_new();
    struct evhttp *http = base ? evhttp_new(base) : NULL;
    if (!http || evhttp_accept_socket(http, listener) != 0)
        die("libevent");
    evhttp_set_max_body_size(http, 1 << 20);
    evhttp_set_cb(http, "/", plaintext, NULL);
    evhttp_set_cb(http, "/plaintext", plaintext, NULL);
    evhttp_set_cb(http, "/json", json, NULL);
    evhttp_set_cb(http, "/echo", echo, NULL);
    evhttp_set_gencb(http, numbered, NULL);
    event_base_dispatch(base);
}

int main(int count, char **words)
{
    const char *addr = "127.0.0.1:8080";
    long workers = 1;
    for (int at = 1; at < count; at += 2) {
        if (at + 1 < count && strcmp(words[at], "--listen") == 0) {
            addr = words[at + 1];
        } else if (at + 1 < count && strcmp(words[at], "--workers") == 0) {
            workers = strtol(words[at + 1], NULL, 10);
        } else {
            fprintf(stderr, "usage: evhttp [--listen IP:PORT] [--workers N]\n");
            return 2;
        }
    }
    if (workers < 1 || workers > WORKERS_MAX) {
        fprintf(stderr, "error: --workers must be 1 to %d\n", WORKERS_MAX);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (int at = 0; at < PATTERN_BYTES; at++)
        pattern[at] = (char)('a' + at % 26);
    calibrate();
    int listener = listen_on(addr);
    for (long worker = 1; worker < workers; worker++) {
        pid_t parent = getpid(), child = fork();
        if (child == -1)
            die("fork");
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                return 1;
            break;
        }
    }
    serve(listener);
    return 0;
}
