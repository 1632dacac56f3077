/*
 * llm-relay: its arguments, the listening socket, the loop, and the line of
 * JSON that says what it did.  When it is ready it prints one line,
 * "listening http=PORT"; it ends on SIGTERM and SIGINT and, with
 * --parent-pipe, when its standard input ends.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_json.h"
#include "relay.h"


#define RELAY_MS       1000000.0
#define RELAY_BACKLOG  4096

relay_t  relay;


static const char  relay_usage[] =
    "usage: llm-relay --to HOST:PORT [options]\n\n"
    "A proxy that passes bytes on, or does to the events of the answers\n"
    "exactly what it is told.  EVERY n: each n-th event.  An event is a chunk\n"
    "with a stamp of llm-mock (text=stamp).\n\n"
    "  --listen PORT       on 127.0.0.1; 0 is a free port (0)\n"
    "  --to HOST:PORT      the server; HOST is an IPv4 address\n"
    "  --delay MS          later by MS, all of an answer\n"
    "  --stall EVERY:MS    an event, and what comes behind it, later by MS\n"
    "  --drop EVERY        an event is left out\n"
    "  --duplicate EVERY   an event comes twice\n"
    "  --swap EVERY        an event comes after the next one\n"
    "  --corrupt EVERY     a byte of an event's stamp is another\n"
    "  --parent-pipe       ends when standard input does\n"
    "  --help\n";


static int
relay_bad(const char *name, const char *value)
{
    fprintf(stderr, "llm-relay: bad value of %s: \"%s\"\n", name, value);

    return -1;
}


static int
relay_milliseconds(const char *text, int64_t *ns)
{
    char    *end;
    double   v;

    v = strtod(text, &end);

    if (end == text || *end || !(v >= 0 && v <= 3600000)) {
        return -1;
    }

    *ns = (int64_t) (v * RELAY_MS);

    return 0;
}


/* A number from min to max, which ends at `stop`; what is behind that. */
static const char *
relay_number(const char *text, int stop, uint64_t min, uint64_t max,
    uint64_t *v)
{
    char  *end;

    if (*text < '0' || *text > '9') {
        return NULL;
    }

    errno = 0;
    *v = strtoull(text, &end, 10);

    if (errno || *end != stop || *v < min || *v > max) {
        return NULL;
    }

    return end + (stop != '\0');
}


static int
relay_address(const char *text, struct sockaddr_in *to)
{
    char         host[INET_ADDRSTRLEN];
    size_t       n;
    uint64_t     port;

    n = strcspn(text, ":");

    if (text[n] == '\0' || n >= sizeof(host)
        || relay_number(text + n + 1, '\0', 1, 65535, &port) == NULL)
    {
        return -1;
    }

    memcpy(host, text, n);
    host[n] = '\0';
    to->sin_family = AF_INET;
    to->sin_port = htons((in_port_t) port);

    return inet_pton(AF_INET, host, &to->sin_addr) == 1 ? 0 : -1;
}


static int
relay_option(relay_options_t *o, const char *name, const char *value)
{
    size_t       i;
    uint64_t     port;
    const char  *rest;

    const struct {
        const char  *name;
        uint64_t    *every;
    } lies[] = {
        { "--drop", &o->drop },
        { "--duplicate", &o->duplicate },
        { "--swap", &o->swap },
        { "--corrupt", &o->corrupt }
    };

    for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        if (strcmp(name, lies[i].name) == 0) {
            return relay_number(value, '\0', 1, UINT64_MAX, lies[i].every)
                   ? 0 : relay_bad(name, value);
        }
    }

    if (strcmp(name, "--to") == 0) {
        return relay_address(value, &o->to) == 0 ? 0 : relay_bad(name, value);
    }

    if (strcmp(name, "--delay") == 0) {
        return relay_milliseconds(value, &o->delay) == 0
               ? 0 : relay_bad(name, value);
    }

    if (strcmp(name, "--stall") == 0) {
        rest = relay_number(value, ':', 1, UINT64_MAX, &o->stall);
        return rest && relay_milliseconds(rest, &o->stall_for) == 0
               ? 0 : relay_bad(name, value);
    }

    if (strcmp(name, "--listen") == 0) {
        rest = relay_number(value, '\0', 0, 65535, &port);
        o->port = (in_port_t) port;
        return rest ? 0 : relay_bad(name, value);
    }

    fprintf(stderr, "llm-relay: what is \"%s\"?\n%s", name, relay_usage);

    return -1;
}


/* 0: go on; 1: help was asked for; -1: a mistake. */
static int
relay_arguments(relay_options_t *o, int argc, char **argv)
{
    int  i;

    for (i = 1; i < argc; i++) {

        if (strcmp(argv[i], "--help") == 0) {
            fputs(relay_usage, stdout);
            return 1;
        }

        if (strcmp(argv[i], "--parent-pipe") == 0) {
            o->parent_pipe = 1;
            continue;
        }

        if (i + 1 == argc) {
            fprintf(stderr, "llm-relay: %s: unknown, or without a value\n%s",
                    argv[i], relay_usage);
            return -1;
        }

        if (relay_option(o, argv[i], argv[i + 1]) != 0) {
            return -1;
        }

        i++;
    }

    if (o->to.sin_family == 0) {
        fprintf(stderr, "llm-relay: no --to\n%s", relay_usage);
        return -1;
    }

    o->cuts = o->delay || o->stall || o->drop || o->duplicate || o->swap
              || o->corrupt;

    return 0;
}


static int
relay_failed(const char *what)
{
    fprintf(stderr, "llm-relay: %s: %s\n", what, strerror(errno));

    return -1;
}


static void
relay_accept(bench_watch_t *w, uint32_t events)
{
    int  fd;

    (void) events;

    while ((fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC))
           != -1)
    {
        relay_pair_open(fd);
    }

    /* a measurement without some of its clients is none */
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        (void) relay_failed("accept()");
        exit(1);
    }
}


static void
relay_input(bench_watch_t *w, uint32_t events)
{
    char  b[64];

    (void) events;

    if (read(w->fd, b, sizeof(b)) <= 0) {
        relay.loop.signal = SIGTERM;
    }
}


static int
relay_listen(void)
{
    int                 fd, on;
    socklen_t           n;
    struct sockaddr_in  at;

    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(relay.options.port);
    n = sizeof(at);
    on = 1;

    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0
        || bind(fd, (struct sockaddr *) &at, n) != 0
        || listen(fd, RELAY_BACKLOG) != 0
        || getsockname(fd, (struct sockaddr *) &at, &n) != 0)
    {
        return relay_failed("listen()");
    }

    relay.listen = bench_watch_open(&relay.loop, fd, EPOLLIN, relay_accept,
                                    NULL);
    if (relay.listen == NULL) {
        return relay_failed("epoll_ctl()");
    }

    printf("listening http=%u\n", ntohs(at.sin_port));

    return fflush(stdout) == 0 ? 0 : relay_failed("standard output");
}


static int
relay_start(void)
{
    struct rlimit  limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    if (bench_loop_open(&relay.loop) != 0) {
        return -1;
    }

    if (relay.options.parent_pipe) {
        relay.input = bench_watch_open(&relay.loop, STDIN_FILENO, EPOLLIN,
                                       relay_input, NULL);
        if (relay.input == NULL) {
            return relay_failed("--parent-pipe needs a pipe");
        }
    }

    return relay_listen();
}


static void
relay_stop(void)
{
    relay_pair_close_all();
    mock_heap_free(&relay.waiting);
    (void) close(relay.listen->fd);
    bench_watch_close(&relay.loop, relay.listen);

    if (relay.input) {
        bench_watch_close(&relay.loop, relay.input);
    }

    bench_loop_close(&relay.loop);
}


static int
relay_tell(const relay_counts_t *c)
{
    bench_json_t  j;

    bench_json_open(&j, stdout);
    bench_json_begin(&j, NULL, "{");
    bench_json_uint(&j, "connections", c->connections);
    bench_json_uint(&j, "broken", c->broken);
    bench_json_uint(&j, "unread", c->unread);
    bench_json_uint(&j, "chunks", c->chunks);
    bench_json_uint(&j, "events", c->events);
    bench_json_uint(&j, "dropped", c->dropped);
    bench_json_uint(&j, "duplicated", c->duplicated);
    bench_json_uint(&j, "swapped", c->swapped);
    bench_json_uint(&j, "corrupted", c->corrupted);
    bench_json_uint(&j, "stalled", c->stalled);
    bench_json_hist(&j, "delay_us", &c->delay, 1000);
    bench_json_end(&j, "}");

    return bench_json_close(&j);
}


int
main(int argc, char **argv)
{
    int                rc;
    mock_heap_item_t  *first;

    rc = relay_arguments(&relay.options, argc, argv);

    if (rc != 0) {
        return rc == 1 ? 0 : 2;
    }

    if (relay_start() != 0) {
        return 1;
    }

    while (relay.loop.signal == 0 && rc == 0) {
        first = mock_heap_first(&relay.waiting);
        rc = bench_loop_round(&relay.loop, first ? first->at : 0);
        relay_pair_flush_due(relay.loop.woke);
        relay_pair_reap();
    }

    relay_stop();

    if (relay_tell(&relay.counts) != 0) {
        return 1;
    }

    return rc == 0 ? 0 : 1;
}
