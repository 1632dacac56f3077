/*
 * llm-mock: a mock LLM provider.  Command line, listeners, signals, the
 * event loop.  One line on stdout when it is ready, errors on stderr, no
 * other output; it ends on SIGTERM and SIGINT and, with --parent-pipe, when
 * its standard input ends.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <event2/listener.h>

#include "mock_answer.h"
#include "mock_control.h"
#include "mock_fault.h"
#include "mock_script.h"
#include "mock_tls.h"


#define MOCK_BACKLOG  4096

typedef struct {
    const char  *address;
    const char  *port;
    const char  *tls_port;
    const char  *cert;
    const char  *key;
    int          parent_pipe;
} mock_main_t;


int64_t
mock_now_ns(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


int64_t
mock_now(void)
{
    return mock_now_ns() / 1000;
}


static void
mock_main_quit(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;

    (void) event_base_loopbreak(arg);
}


static void
mock_main_stdin(evutil_socket_t fd, short what, void *arg)
{
    char     skip[512];
    ssize_t  n;

    (void) what;
    n = read(fd, skip, sizeof(skip));

    if (n <= 0) {
        (void) event_base_loopbreak(arg);
    }
}


static void
mock_main_accept(struct evconnlistener *l, evutil_socket_t fd,
    struct sockaddr *sa, int len, void *arg)
{
    (void) l;
    (void) sa;
    (void) len;

    mock_conn_accept(arg, fd, 0);
}


static void
mock_main_accept_tls(struct evconnlistener *l, evutil_socket_t fd,
    struct sockaddr *sa, int len, void *arg)
{
    (void) l;
    (void) sa;
    (void) len;

    mock_conn_accept(arg, fd, 1);
}


/* *port: the port that was asked for, then the one that is listened on. */
static struct evconnlistener *
mock_main_listen(mock_t *mock, const char *address, int *port,
    evconnlistener_cb cb)
{
    int                       len;
    char                      text[128];
    const char               *open, *close;
    struct sockaddr_storage   ss;
    struct evconnlistener    *l;
    socklen_t                 size;

    open = strchr(address, ':') && address[0] != '[' ? "[" : "";
    close = *open ? "]" : "";
    len = sizeof(ss);
    (void) snprintf(text, sizeof(text), "%s%s%s:%d", open, address, close,
                    *port);

    /* port 0 is not accepted by the parser: it is set afterwards */
    if (*port == 0) {
        (void) snprintf(text, sizeof(text), "%s%s%s:1", open, address,
                        close);
    }

    memset(&ss, 0, sizeof(ss));

    if (evutil_parse_sockaddr_port(text, (struct sockaddr *) &ss, &len)
        != 0)
    {
        fprintf(stderr, "llm-mock: bad address or port: %s\n", text);
        return NULL;
    }

    if (ss.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *) &ss)->sin6_port = htons((uint16_t) *port);
    } else {
        ((struct sockaddr_in *) &ss)->sin_port = htons((uint16_t) *port);
    }

    l = evconnlistener_new_bind(mock->base, cb, mock,
                                LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE
                                | LEV_OPT_CLOSE_ON_EXEC, MOCK_BACKLOG,
                                (struct sockaddr *) &ss, len);
    size = sizeof(ss);

    if (l == NULL
        || getsockname(evconnlistener_get_fd(l), (struct sockaddr *) &ss,
                       &size) != 0)
    {
        fprintf(stderr, "llm-mock: cannot listen on %s port %d\n", address,
                *port);
        return NULL;
    }

    *port = ntohs(ss.ss_family == AF_INET6
                  ? ((struct sockaddr_in6 *) &ss)->sin6_port
                  : ((struct sockaddr_in *) &ss)->sin_port);

    return l;
}


static int
mock_main_file(mock_buf_t *b, const char *path)
{
    if (mock_buf_file(b, path, (size_t) 64 << 20) != 0) {
        fprintf(stderr, "llm-mock: cannot read %s\n", path);
        return -1;
    }

    return 0;
}


static int
mock_main_script(mock_t *mock, const char *path)
{
    int         rc;
    mock_buf_t  err;

    memset(&err, 0, sizeof(err));

    if (mock_main_file(&mock->script, path) != 0) {
        return -1;
    }

    rc = mock_script_check(&mock->script, &err);
    if (rc != 0) {
        fprintf(stderr, "llm-mock: %s: %s\n", path, mock_buf_cstr(&err));
    }

    mock->scripted = 1;
    mock_buf_free(&err);

    return rc;
}


static int
mock_main_text(mock_t *mock, const char *path)
{
    if (mock_main_file(&mock->text, path) != 0) {
        return -1;
    }

    mock->started.text = MOCK_TEXT_FILE;

    return 0;
}


static int
mock_main_option(mock_t *mock, const char *key, const char *value)
{
    int         rc;
    mock_buf_t  err;

    memset(&err, 0, sizeof(err));

    if (strcmp(key, "set") == 0) {
        rc = mock_options_parse(&mock->started, value, strlen(value), &err);
    } else {
        rc = mock_options_set(&mock->started, key, strlen(key), value,
                              strlen(value), &err);
    }

    if (rc != 0) {
        fprintf(stderr, "llm-mock: %s\n", mock_buf_cstr(&err));
    }

    mock_buf_free(&err);

    return rc;
}


/* One "--key value". */
static int
mock_main_argument(mock_t *mock, mock_main_t *m, const char *key,
    const char *value)
{
    size_t  i;

    const struct {
        const char   *name;
        const char  **to;
    } rows[] = {
        { "address", &m->address },
        { "port", &m->port },
        { "tls-port", &m->tls_port },
        { "cert", &m->cert },
        { "key", &m->key },
        { "script-dir", &mock->script_dir },
        { "replay-dir", &mock->replay_dir },
        { "require-key", &mock->require_key }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(key, rows[i].name) == 0) {
            *rows[i].to = value;
            return 0;
        }
    }

    if (strcmp(key, "script") == 0) {
        return mock_main_script(mock, value);
    }

    if (strcmp(key, "text") == 0) {
        return mock_main_text(mock, value);
    }

    return mock_main_option(mock, key, value);
}


static int
mock_main_arguments(mock_t *mock, mock_main_t *m, int argc, char **argv)
{
    int  i;

    for (i = 1; i < argc; i++) {

        if (strcmp(argv[i], "--parent-pipe") == 0) {
            m->parent_pipe = 1;
            continue;
        }

        if (strncmp(argv[i], "--", 2) != 0 || i + 1 == argc) {
            fprintf(stderr, "llm-mock: what is \"%s\"?\nusage: llm-mock "
                    "[--address A] [--port N] [--tls-port N --cert FILE "
                    "--key FILE]\n    [--script-dir D] [--replay-dir D] "
                    "[--text FILE] [--script FILE]\n    [--require-key K] "
                    "[--parent-pipe] [--set OPTIONS] [--OPTION VALUE]...\n",
                    argv[i]);
            return -1;
        }

        if (mock_main_argument(mock, m, argv[i] + 2, argv[i + 1]) != 0) {
            return -1;
        }

        i++;
    }

    if (mock->started.fault[0]
        && mock_fault_find(mock->started.fault) == NULL)
    {
        fprintf(stderr, "llm-mock: unknown fault \"%s\"\n",
                mock->started.fault);
        return -1;
    }

    /* echo and tools bring their own number of tokens unless the request
     * says one: what is said here is a default, not a wish */
    mock_options_forget_tokens(&mock->started);
    mock->defaults = mock->started;

    return 0;
}


/* The event loop and its timer; 0, or -1. */
static int
mock_main_loop(mock_t *mock)
{
    struct rlimit  limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    (void) signal(SIGPIPE, SIG_IGN);

    mock->base = event_base_new();

    if (mock->base == NULL
        || mock_timers_open(&mock->timers, mock->base) != 0)
    {
        return -1;
    }

    evtimer_assign(&mock->kick, mock->base, mock_control_on_kick, mock);
    evtimer_assign(&mock->reap, mock->base, mock_conn_reap, mock);

    return 0;
}


/* Port as a number, -1: none. */
static int
mock_main_port(const char *text)
{
    long   n;
    char  *end;

    n = strtol(text, &end, 10);

    return *text && *end == '\0' && n >= 0 && n < 65536 ? (int) n : -1;
}


static int
mock_main_listeners(mock_t *mock, const mock_main_t *m,
    struct evconnlistener **plain, struct evconnlistener **tls)
{
    int  port, tls_port;

    port = mock_main_port(m->port);
    tls_port = m->tls_port ? mock_main_port(m->tls_port) : 0;

    if (port < 0 || tls_port < 0) {
        fputs("llm-mock: bad port\n", stderr);
        return -1;
    }

    *plain = mock_main_listen(mock, m->address, &port, mock_main_accept);
    if (*plain == NULL) {
        return -1;
    }

    if (m->tls_port) {
        if (m->cert == NULL || m->key == NULL) {
            fputs("llm-mock: --tls-port needs --cert and --key\n", stderr);
            return -1;
        }

        mock->ssl = mock_tls_context(m->cert, m->key);
        if (mock->ssl == NULL) {
            return -1;
        }

        *tls = mock_main_listen(mock, m->address, &tls_port,
                                mock_main_accept_tls);
        if (*tls == NULL) {
            return -1;
        }
    }

    printf("listening http=%d tls=%d\n", port, tls_port);
    (void) fflush(stdout);

    return 0;
}


static void
mock_main_run(mock_t *mock, const mock_main_t *m)
{
    struct event  term, interrupt, input;

    evsignal_assign(&term, mock->base, SIGTERM, mock_main_quit, mock->base);
    evsignal_assign(&interrupt, mock->base, SIGINT, mock_main_quit,
                    mock->base);
    event_assign(&input, mock->base, STDIN_FILENO, EV_READ | EV_PERSIST,
                 mock_main_stdin, mock->base);
    evsignal_add(&term, NULL);
    evsignal_add(&interrupt, NULL);

    if (m->parent_pipe && event_add(&input, NULL) != 0) {
        /* a file or /dev/null cannot be watched: it has ended already */
        fputs("llm-mock: --parent-pipe needs a pipe\n", stderr);
        return;
    }

    (void) event_base_dispatch(mock->base);

    event_del(&term);
    event_del(&interrupt);
    event_del(&input);
}


static void
mock_main_free(mock_t *mock)
{
    while (mock->conns) {
        if (mock->conns->answer) {
            mock_answer_end(mock->conns->answer, MOCK_END_ABORTED);
        }

        mock_conn_close(mock->conns, MOCK_CLOSE_FIN);
    }

    /* lets the bufferevents go for good */
    (void) event_base_loop(mock->base, EVLOOP_NONBLOCK);
    mock_conn_reap(-1, 0, mock);
    mock_timers_close(&mock->timers);
    event_del(&mock->kick);
    event_del(&mock->reap);

    mock_stats_free(mock);
    mock_blob_forget(mock);
    mock_buf_free(&mock->text);
    mock_buf_free(&mock->script);
    SSL_CTX_free(mock->ssl);
    event_base_free(mock->base);
    libevent_global_shutdown();
}


int
main(int argc, char **argv)
{
    int                     rc;
    static mock_t           mock;
    mock_main_t             m;
    struct evconnlistener  *plain, *tls;

    memset(&m, 0, sizeof(m));
    m.address = "127.0.0.1";
    m.port = "0";
    plain = NULL;
    tls = NULL;

    mock_options_init(&mock.started);

    if (mock_main_loop(&mock) != 0) {
        fputs("llm-mock: no event loop\n", stderr);
        return 1;
    }

    rc = mock_main_arguments(&mock, &m, argc, argv);

    if (rc == 0) {
        rc = mock_main_listeners(&mock, &m, &plain, &tls);
    }

    if (rc == 0) {
        mock_main_run(&mock, &m);
    }

    if (plain) {
        evconnlistener_free(plain);
    }

    if (tls) {
        evconnlistener_free(tls);
    }

    mock_main_free(&mock);

    return rc == 0 ? 0 : 1;
}
