/*
 * Statistics.  It owns the records of streams and the kept requests.  A
 * record lives as long as its stream is open, and after that until 256 newer
 * ones have ended.  It must never touch a connection.
 */

#include <stdlib.h>
#include <string.h>

#include "mock.h"
#include "mock_control.h"
#include "mock_http.h"


static mock_record_t **
mock_stats_slot(mock_stats_t *s, const char *id)
{
    uint32_t  h;

    for (h = 2166136261u; *id; id++) {
        h = (h ^ (unsigned char) *id) * 16777619u;
    }

    return &s->hash[h % MOCK_STATS_HASH];
}


static void
mock_stats_drop(mock_stats_t *s, mock_record_t *r)
{
    mock_record_t  **p;

    for (p = mock_stats_slot(s, r->id); *p != r; p = &(*p)->hash_next) {
        continue;
    }

    *p = r->hash_next;

    if (r->newer) {
        r->newer->older = r->older;
    } else {
        s->newest = r->older;
    }

    if (r->older) {
        r->older->newer = r->newer;
    } else {
        s->oldest = r->newer;
    }

    free(r);
}


mock_record_t *
mock_stats_open(mock_t *mock, const char *id, const char *method,
    const char *path, uint64_t connection)
{
    mock_buf_t       name;
    mock_stats_t    *s;
    mock_record_t   *r, **slot;

    s = &mock->stats;
    r = mock_zalloc(sizeof(*r));

    if (*id) {
        strncpy(r->id, id, sizeof(r->id) - 1);

    } else {
        memset(&name, 0, sizeof(name));
        mock_buf_lit(&name, "s");
        mock_buf_uint(&name, ++s->names);
        strncpy(r->id, mock_buf_cstr(&name), sizeof(r->id) - 1);
        mock_buf_free(&name);
    }

    strncpy(r->method, method, sizeof(r->method) - 1);
    strncpy(r->path, path, sizeof(r->path) - 1);
    r->connection = connection;
    r->started = mock_now();

    slot = mock_stats_slot(s, r->id);
    r->hash_next = *slot;
    *slot = r;

    r->older = s->newest;

    if (s->newest) {
        s->newest->newer = r;
    } else {
        s->oldest = r;
    }

    s->newest = r;
    s->requests++;
    s->open++;
    mock_control_kick(mock);

    return r;
}


static void
mock_stats_trim(mock_stats_t *s, uint64_t keep)
{
    mock_record_t  *r, *newer;

    for (r = s->oldest; r && s->ended > keep; r = newer) {
        newer = r->newer;

        if (r->end != MOCK_END_OPEN) {
            mock_stats_drop(s, r);
            s->ended--;
        }
    }
}


void
mock_stats_end(mock_t *mock, mock_record_t *r, mock_end_t end)
{
    mock_stats_t  *s;

    s = &mock->stats;

    r->end = end;
    r->ended = mock_now();
    r->answer = NULL;

    switch (end) {
    case MOCK_END_COMPLETE:
        s->complete++;
        break;
    case MOCK_END_ABORTED:
        s->aborts++;
        r->abort_at = r->ended;
        break;
    default:
        s->faults++;
        break;
    }

    s->open--;
    s->ended++;
    mock_stats_trim(s, MOCK_STATS_STREAMS);
    mock_control_kick(mock);
}


mock_record_t *
mock_stats_find(mock_t *mock, const char *id)
{
    mock_record_t  *r;

    for (r = *mock_stats_slot(&mock->stats, id); r; r = r->hash_next) {
        if (strcmp(r->id, id) == 0) {
            return r;
        }
    }

    return NULL;
}


void
mock_stats_keep(mock_t *mock, mock_request_t *r)
{
    mock_request_t  **slot;

    mock_http_seal(r, MOCK_STATS_BODY);

    slot = &mock->stats.last[mock->stats.nlast++ % MOCK_STATS_REQUESTS];

    if (*slot) {
        mock_http_free(*slot);
    }

    *slot = r;
}


static void
mock_stats_time(mock_buf_t *b, const char *name, int64_t us)
{
    if (us == 0) {
        mock_buf_fmt(b, ",\"%s\":null", name);
        return;
    }

    mock_buf_fmt(b, ",\"%s\":%lld.%06lld", name, (long long) (us / 1000000),
                 (long long) (us % 1000000));
}


void
mock_stats_record(mock_buf_t *b, const mock_record_t *r)
{
    static const char  *ends[] = { "open", "complete", "aborted", "fault" };

    mock_buf_lit(b, "{\"id\":\"");
    mock_buf_json(b, r->id, strlen(r->id));
    mock_buf_lit(b, "\",\"method\":\"");
    mock_buf_json(b, r->method, strlen(r->method));
    mock_buf_lit(b, "\",\"path\":\"");
    mock_buf_json(b, r->path, strlen(r->path));
    mock_buf_lit(b, "\"");
    mock_stats_time(b, "started", r->started);
    mock_stats_time(b, "first_sent", r->first_sent);
    mock_stats_time(b, "ended", r->ended);
    mock_stats_time(b, "abort_at", r->abort_at);
    mock_buf_fmt(b, ",\"end\":\"%s\",\"events\":%llu,\"bytes\":%llu,"
                 "\"body\":%llu,\"acks\":%llu,\"connection\":%llu}",
                 ends[r->end],
                 (unsigned long long) r->events,
                 (unsigned long long) r->bytes,
                 (unsigned long long) r->body,
                 (unsigned long long) r->acks,
                 (unsigned long long) r->connection);
}


void
mock_stats_counters(mock_t *mock, mock_buf_t *b)
{
    mock_stats_t  *s;

    s = &mock->stats;

    mock_buf_fmt(b, "\"requests\":%llu,\"open\":%llu,\"connections\":%llu,"
                 "\"open_connections\":%llu,\"events_sent\":%llu,"
                 "\"bytes_sent\":%llu,\"body_sent\":%llu,"
                 "\"complete\":%llu,\"aborts\":%llu,\"faults\":%llu",
                 (unsigned long long) s->requests,
                 (unsigned long long) s->open,
                 (unsigned long long) s->connections,
                 (unsigned long long) s->open_connections,
                 (unsigned long long) s->events_sent,
                 (unsigned long long) s->bytes_sent,
                 (unsigned long long) s->body_sent,
                 (unsigned long long) s->complete,
                 (unsigned long long) s->aborts,
                 (unsigned long long) s->faults);
    mock_buf_lit(b, ",\"identity\":");
    mock_token_json(&mock->tokens, b);
    mock_stats_time(b, "now", mock_now());
}


void
mock_stats_json(mock_t *mock, mock_buf_t *b)
{
    unsigned              n;
    const mock_record_t  *r, *first;

    first = NULL;

    for (r = mock->stats.newest, n = 0; r && n < MOCK_STATS_STREAMS; n++) {
        first = r;
        r = r->older;
    }

    mock_buf_lit(b, "{");
    mock_stats_counters(mock, b);
    mock_buf_lit(b, ",\"streams\":[");

    for (r = first; r; r = r->newer) {
        if (r != first) {
            mock_buf_lit(b, ",");
        }

        mock_stats_record(b, r);
    }

    mock_buf_lit(b, "]}\n");
}


void
mock_stats_requests(mock_t *mock, mock_buf_t *b, uint64_t n)
{
    uint64_t       i, kept;
    mock_stats_t  *s;

    s = &mock->stats;
    kept = s->nlast < MOCK_STATS_REQUESTS ? s->nlast : MOCK_STATS_REQUESTS;

    if (n > kept) {
        n = kept;
    }

    mock_buf_lit(b, "[");

    for (i = s->nlast - n; i < s->nlast; i++) {
        if (i != s->nlast - n) {
            mock_buf_lit(b, ",");
        }

        mock_http_json(s->last[i % MOCK_STATS_REQUESTS], b);
    }

    mock_buf_lit(b, "]\n");
}


void
mock_stats_reset(mock_t *mock)
{
    unsigned       i;
    mock_stats_t  *s;

    s = &mock->stats;
    mock_stats_trim(s, 0);

    for (i = 0; i < MOCK_STATS_REQUESTS; i++) {
        if (s->last[i]) {
            mock_http_free(s->last[i]);
            s->last[i] = NULL;
        }
    }

    s->nlast = 0;
    s->requests = 0;
    s->connections = 0;
    s->events_sent = 0;
    s->bytes_sent = 0;
    s->body_sent = 0;
    s->complete = 0;
    s->aborts = 0;
    s->faults = 0;
    mock_token_reset(&mock->tokens);
    mock_control_kick(mock);
}


void
mock_stats_free(mock_t *mock)
{
    mock_stats_reset(mock);
}
