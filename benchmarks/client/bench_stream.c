/*
 * One request: it owns the stream's decoder and its stamps, and fills in its
 * record.  It must never read the clock while bytes come: an event has the
 * time of the read that it came with.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_memory.h"
#include "bench_stream.h"
#include "bench_tally.h"


#define BENCH_GAPS  64


static void
bench_stream_stamp(bench_stream_t *s, const bench_stamp_t *stamp)
{
    int64_t         delay;
    bench_tally_t  *t;

    t = s->common->tally;
    delay = s->now - stamp->sent;

    bench_hist_record(&t->event_delay, delay);
    bench_hist_record(&t->emit_lag, stamp->lag);

    if (stamp->seq == 1) {
        bench_hist_record(&t->first_delay, delay);
    }
}


static void
bench_stream_text(void *ctx, const llm_u8 *p, size_t n)
{
    const llm_u8    *end;
    bench_stamp_t    stamp;
    bench_stream_t  *s;

    s = ctx;
    end = p + n;

    while (bench_stamps_next(&s->stamps, &p, end, &stamp)) {
        bench_stream_stamp(s, &stamp);
        s->piece_stamps++;
    }
}


bench_stream_t *
bench_stream_open(bench_common_t *c, const llm_dialect_t *dialect,
    size_t body)
{
    bench_stream_t  *s;

    s = bench_alloc_zero(1, sizeof(bench_stream_t));

    s->common = c;
    s->body = bench_alloc(body + 1);

    bench_decode_init(&s->decode, dialect,
                      c->options->stamps != 0 ? bench_stream_text : NULL, s);

    return s;
}


void
bench_stream_free(bench_stream_t *s)
{
    bench_decode_free(&s->decode);
    free(s->body);
    free(s);
}


void
bench_stream_begin(bench_stream_t *s, bench_record_t *r)
{
    s->record = r;
    s->status = 0;
    s->read = 0;
    s->read_bytes = 0;
    s->read_events = 0;
    s->room = 0;
    s->common->counts->open++;

    bench_decode_begin(&s->decode);
    bench_stamps_begin(&s->stamps, s->common->options->stamps);
}


void
bench_stream_status(bench_stream_t *s, unsigned status)
{
    s->status = status;
}


/* A read is over: another one began, or the stream ended. */
static void
bench_stream_read_over(bench_stream_t *s)
{
    bench_tally_t  *t;

    if (s->read_events != 0) {
        t = s->common->tally;
        t->reads++;
        bench_hist_record(&t->read_bytes, (int64_t) s->read_bytes);
    }

    s->read_bytes = 0;
    s->read_events = 0;
}


static void
bench_stream_gap(bench_stream_t *s, int64_t gap)
{
    bench_record_t  *r;

    r = s->record;

    bench_hist_record(&s->common->tally->itl, gap);

    if (!s->common->options->save_detailed) {
        return;
    }

    if (r->events > s->room) {
        s->room = s->room == 0 ? BENCH_GAPS : s->room * 2;
        r->gaps = bench_resize(r->gaps, s->room * sizeof(int64_t));
    }

    r->gaps[r->events - 1] = gap;
}


/* One event with content. */
static void
bench_stream_event(bench_stream_t *s)
{
    bench_record_t  *r;

    r = s->record;

    if (r->first_content == 0) {
        r->first_content = s->now;
        s->common->counts->content++;

    } else {
        bench_stream_gap(s, s->now - r->last_content);
    }

    r->last_content = s->now;
    r->events++;
    s->read_events++;
    s->common->tally->events++;
    s->common->counts->events++;
}


static void
bench_stream_frame(bench_stream_t *s)
{
    uint64_t         i, events, tokens;
    bench_common_t  *c;

    c = s->common;

    if (s->record->first_event == 0) {
        s->record->first_event = s->now;
    }

    if (!s->decode.content) {
        return;
    }

    /* plain text has no events but for what stamps tell: where it is cut is
     * not ours to say */

    events = 1;
    tokens = c->options->stamps != 0 ? s->piece_stamps : 1;

    if (s->decode.decode == NULL && c->options->stamps != 0) {
        events = s->piece_stamps;
    }

    if (s->decode.decode != NULL) {
        bench_hist_record(&c->tally->event_bytes, (int64_t) s->decode.bytes);
    }

    for (i = 0; i < events; i++) {
        bench_stream_event(s);
    }

    c->counts->tokens += tokens;
    bench_tally_second(c->tally, s->now, tokens);
}


int
bench_stream_data(bench_stream_t *s, const char *p, size_t n, uint64_t read,
    int64_t now, int64_t woke)
{
    int  rc;

    if (read != s->read) {
        bench_stream_read_over(s);
        s->read = read;
        s->now = now;
        bench_hist_record(&s->common->tally->client_lag, now - woke);
    }

    s->read_bytes += n;
    s->record->bytes += n;
    s->common->tally->bytes += n;

    if (s->status != 200) {
        return 0;
    }

    bench_decode_feed(&s->decode, (const llm_u8 *) p, n);

    do {
        s->piece_stamps = 0;
        rc = bench_decode_next(&s->decode);

        if (rc == 1) {
            bench_stream_frame(s);
        }

    } while (rc == 1);

    return rc;
}


/* What was wrong with it; NULL: it is complete. */
static const char *
bench_stream_verdict(bench_stream_t *s, const char *error, char *buf,
    size_t n)
{
    if (s->status != 0 && s->status != 200) {
        (void) snprintf(buf, n, "HTTP %u", s->status);
        return buf;
    }

    if (s->decode.wrong[0] != '\0') {
        return s->decode.wrong;
    }

    if (error != NULL) {
        return error;
    }

    return bench_decode_finish(&s->decode) ? NULL : s->decode.wrong;
}


static void
bench_stream_stamps_over(bench_stream_t *s)
{
    bench_tally_t  *t;

    t = s->common->tally;

    bench_stamps_end(&s->stamps);

    /* without an answer nothing was lost on the way, and what we left we did
     * not wait for */

    if (s->status == 200 && s->record->end != BENCH_ABORTED) {
        t->lost += s->stamps.lost;
        t->corrupted += s->stamps.corrupted;
    }

    t->duplicated += s->stamps.duplicated;
    t->reordered += s->stamps.reordered;
    t->tokens += s->stamps.count;
}


static void
bench_stream_close(bench_stream_t *s)
{
    bench_record_t  *r;
    bench_common_t  *c;

    c = s->common;
    r = s->record;

    bench_stream_read_over(s);

    r->ended = bench_now();
    r->input_tokens = s->decode.usage.input;
    r->output_tokens = s->decode.usage.output >= 0 ? s->decode.usage.output
                                                   : (int64_t) r->events;

    if (c->options->stamps != 0) {
        bench_stream_stamps_over(s);

    } else {
        c->tally->tokens += (uint64_t) r->output_tokens;
    }

    bench_tally_request(c->tally, c->options, r);
    bench_decode_end(&s->decode);

    c->counts->open--;
    c->counts->ended++;
    c->ended(c->ctx, s);
}


void
bench_stream_end(bench_stream_t *s, const char *error)
{
    char         buf[BENCH_WORDS];
    const char  *what;

    what = bench_stream_verdict(s, error, buf, sizeof(buf));

    if (what != NULL) {
        s->record->end = BENCH_FAILED;
        s->record->error = bench_tally_error(s->common->tally, what);

    } else {
        s->record->end = BENCH_COMPLETE;
    }

    bench_stream_close(s);
}


void
bench_stream_abort(bench_stream_t *s)
{
    s->record->end = BENCH_ABORTED;

    bench_stream_close(s);
}
