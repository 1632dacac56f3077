/*
 * What an encoder writes is what its decoder reads: events, as a stream or as
 * one answer, mean the same when they come back, in every dialect that has
 * both halves, however the bytes are cut; as far as the dialect can say it.
 *
 * The first byte of the input chooses the dialect, the next ones the form and
 * the cut, the rest is a list of events (fuzz_events.h).
 */

#include "fuzz_events.h"
#include "fuzz_said.h"


#define MAX_SIZE  4096
#define HEADER    5
#define NONE      LLM_FINISH_NONE
#define STOP      LLM_FINISH_STOP
#define LENGTH    LLM_FINISH_LENGTH
#define CALLS     LLM_FINISH_TOOL_CALLS
#define FILTER    LLM_FINISH_CONTENT_FILTER
#define FAILED    LLM_FINISH_ERROR
#define OTHER     LLM_FINISH_OTHER

/* the flags of the second byte */
#define ANSWER    1
#define ARRAY     2
#define ERROR     4
#define NO_USAGE  8

/* How a dialect's events come back. */
typedef struct {
    const llm_dialect_t  *dialect;
    unsigned              says;
    unsigned              answer;   /* what one answer says else: toggled */
    fuzz_finishes_t       finishes; /* by finish reason */
    unsigned              fails;    /* bits of reasons that are an error */
    unsigned              in_order; /* calls are never interleaved */
} codec_t;

typedef struct {
    llm_encoder_t   gather;
    llm_answer_t    answer;
    unsigned        choices;    /* the dialect has several */
    unsigned        starts;
    unsigned        calls[FUZZ_CHOICES];
    unsigned        ended;
    unsigned        errors;
    llm_block_t     message;
} heard_t;

#define USAGE  (SAYS_INPUT | SAYS_OUTPUT | SAYS_CACHED)

static const codec_t  codecs[] = {

    { &llm_dialect_openai,
      SAYS_ID | SAYS_MODEL | SAYS_CREATED | SAYS_CHOICES | SAYS_REASONING
      | SAYS_REFUSAL | SAYS_SIGNATURE | SAYS_WITHHELD | SAYS_CALLS
      | SAYS_CALL_ID | SAYS_CALL_SIGN | SAYS_LOGPROBS | SAYS_BYTES
      | SAYS_REFUSED | SAYS_WORD | SAYS_URL | SAYS_TITLE | SAYS_RANGE
      | USAGE | SAYS_THOUGHT | SAYS_TOTAL | SAYS_WRITTEN, 0,
      { NONE, STOP, LENGTH, CALLS, FILTER, FAILED, OTHER }, 0, 0 },

    { &llm_dialect_completions,
      SAYS_ID | SAYS_MODEL | SAYS_CREATED | SAYS_CHOICES | SAYS_LOGPROBS
      | SAYS_JOINED | SAYS_WORD | USAGE | SAYS_THOUGHT | SAYS_TOTAL
      | SAYS_WRITTEN, 0,
      { NONE, STOP, LENGTH, CALLS, FILTER, FAILED, OTHER }, 0, 0 },

    /* a call's signature is for requests only, a failure is an error, a
     * reason that it does not know is an end */

    { &llm_dialect_responses,
      SAYS_ID | SAYS_MODEL | SAYS_CREATED | SAYS_REASONING | SAYS_REFUSAL
      | SAYS_SIGNATURE | SAYS_WITHHELD | SAYS_CALLS | SAYS_CALL_ID
      | SAYS_SEALED | SAYS_LOGPROBS | SAYS_BYTES | SAYS_URL | SAYS_TITLE
      | SAYS_RANGE | USAGE | SAYS_THOUGHT | SAYS_TOTAL | SAYS_WRITTEN
      | SAYS_DERIVED, 0,
      { STOP, STOP, LENGTH, STOP, FILTER, FAILED, STOP },
      1u << FAILED, 0 },

    { &llm_dialect_anthropic,
      SAYS_ID | SAYS_MODEL | SAYS_REASONING | SAYS_SIGNATURE | SAYS_WITHHELD
      | SAYS_CALLS | SAYS_CALL_ID | SAYS_STOP | SAYS_WORD | SAYS_URL
      | SAYS_TITLE | SAYS_CITED | USAGE | SAYS_THOUGHT | SAYS_WRITTEN
      | SAYS_ENDED, 0,
      { STOP, STOP, LENGTH, CALLS, FILTER, FAILED, OTHER }, 1u << FAILED, 0 },

    { &llm_dialect_gemini,
      SAYS_ID | SAYS_MODEL | SAYS_CHOICES | SAYS_REASONING | SAYS_SIGNATURE
      | SAYS_CALLS | SAYS_CALL_ID | SAYS_CALL_SIGN | SAYS_LOGPROBS
      | SAYS_JOINED | SAYS_URL | SAYS_TITLE | SAYS_CITED | USAGE
      | SAYS_THOUGHT | SAYS_TOTAL | SAYS_DERIVED, 0,
      { STOP, STOP, LENGTH, CALLS, FILTER, FAILED, FAILED }, 0, 0 },

    { &llm_dialect_ollama,
      SAYS_MODEL | SAYS_REASONING | SAYS_CALLS | SAYS_CALL_ID | SAYS_LOGPROBS
      | SAYS_JOINED | SAYS_BYTES | SAYS_WORD | USAGE | SAYS_DERIVED, 0,
      { STOP, STOP, LENGTH, STOP, FILTER, FAILED, OTHER }, 0, 0 },

    { &llm_dialect_generate,
      SAYS_MODEL | SAYS_REASONING | SAYS_LOGPROBS | SAYS_JOINED | SAYS_BYTES
      | SAYS_WORD | USAGE | SAYS_DERIVED, 0,
      { STOP, STOP, LENGTH, STOP, FILTER, FAILED, OTHER }, 0, 0 },

    /* it has no finish reasons; the id comes when a stream is over */

    { &llm_dialect_flowise,
      SAYS_REASONING | SAYS_CALLS | SAYS_CALL_ID | SAYS_URL | SAYS_TITLE
      | SAYS_CITED | USAGE | SAYS_THOUGHT | SAYS_TOTAL | SAYS_WRITTEN
      | SAYS_DERIVED, SAYS_ID,
      { STOP, STOP, STOP, STOP, STOP, STOP, STOP }, 0, 0 },

    /* what is filtered is an error; calls follow each other */

    { &llm_dialect_cohere,
      SAYS_ID | SAYS_REASONING | SAYS_CALLS | SAYS_CALL_ID | SAYS_URL
      | SAYS_TITLE | SAYS_CITED | SAYS_RANGE | USAGE, 0,
      { STOP, STOP, LENGTH, CALLS, FAILED, FAILED, STOP },
      1u << FAILED | 1u << FILTER, 1 }
};


static void
encoder_init(llm_encoder_t *e, const uint8_t *header, const codec_t *c)
{
    memset(e, 0, sizeof(llm_encoder_t));

    e->alloc = fuzz_alloc;
    e->max_response = 1 << 24;
    e->usage = !(header[1] & NO_USAGE);
    e->array = c->dialect->array && (header[1] & ARRAY)
               && !(header[1] & ANSWER);
    e->now = 1700000000;
    e->unique = 17;
}


static void
heard_init(heard_t *h, const uint8_t *header, const codec_t *c)
{
    memset(h, 0, sizeof(heard_t));
    encoder_init(&h->gather, header, c);
    h->choices = c->dialect->choices;
    llm_answer_init(&h->answer);
}


static void
heard_free(heard_t *h)
{
    llm_answer_free(&h->gather, &h->answer);
    llm_block_free(&h->message, &fuzz_alloc);
}


/* Checks that an event is a legal one. */
static llm_rc_t
heard_emit(void *ctx, const llm_event_t *ev)
{
    heard_t  *h;

    h = ctx;

    FUZZ_CHECK(!h->ended && !h->errors);

    switch (ev->type) {

    case LLM_EV_START:
        FUZZ_CHECK(h->starts++ == 0);
        break;

    case LLM_EV_ERROR:
        h->errors = 1;
        FUZZ_CHECK(llm_gather(&h->gather, &h->message, &h->answer.total,
                              &ev->error->message, 0) == LLM_OK);
        return LLM_FAILED;

    case LLM_EV_END:
        h->ended = 1;
        break;

    case LLM_EV_PING: case LLM_EV_META: case LLM_EV_USAGE:
        break;

    default:
        FUZZ_CHECK(h->starts == 1);
        FUZZ_CHECK(ev->choice == 0 || (h->choices
                                       && ev->choice < FUZZ_CHOICES));
        break;
    }

    if (ev->type == LLM_EV_TOOL_CALL) {
        FUZZ_CHECK(ev->tool_index <= h->calls[ev->choice]);
        h->calls[ev->choice] += ev->tool_index == h->calls[ev->choice];
    }

    llm_answer_event(&h->gather, &h->answer, ev);
    FUZZ_CHECK(h->gather.rc == LLM_OK);

    return LLM_OK;
}


/* The bytes that an encoder makes of the events. */
static void
write_stream(fuzz_out_t *o, const uint8_t *header, const codec_t *c,
    const fuzz_events_t *l)
{
    void           *state;
    unsigned        i;
    llm_event_t     last;
    llm_encoder_t   e;

    fuzz_out_init(o);
    encoder_init(&e, header, c);
    e.out = &o->out;

    state = calloc(1, c->dialect->stream_size + 1);
    FUZZ_CHECK(state != NULL);

    for (i = 0; i < l->n; i++) {
        c->dialect->encode(&e, state, &l->ev[i]);
    }

    memset(&last, 0, sizeof(llm_event_t));
    last.type = header[1] & ERROR ? LLM_EV_ERROR : LLM_EV_END;
    last.created = -1;
    last.error = &l->error;
    c->dialect->encode(&e, state, &last);

    FUZZ_CHECK(e.rc == LLM_OK);

    if (c->dialect->stream_drop != NULL) {
        c->dialect->stream_drop(&e, state);
    }

    free(state);
    fuzz_out_end(o);
}


/* 0: it cannot be said, nothing was written. */
static int
write_answer(fuzz_out_t *o, const uint8_t *header, const codec_t *c,
    const llm_answer_t *a)
{
    llm_encoder_t  e;

    fuzz_out_init(o);
    encoder_init(&e, header, c);
    e.out = &o->out;

    c->dialect->write_answer(&e, a);
    fuzz_out_end(o);

    FUZZ_CHECK(e.rc == LLM_OK || (e.rc == LLM_INVALID && o->block.n == 0));

    return e.rc == LLM_OK;
}


static void
decoder_init(llm_decoder_t *d, const codec_t *c, heard_t *h)
{
    memset(d, 0, sizeof(llm_decoder_t));

    d->emit = heard_emit;
    d->ctx = h;
    d->alloc = fuzz_alloc;

    if (c->dialect->decode_size != 0) {
        d->state = calloc(1, c->dialect->decode_size);
        FUZZ_CHECK(d->state != NULL);
    }
}


static void
decoder_free(llm_decoder_t *d, const codec_t *c)
{
    if (c->dialect->decode_drop != NULL) {
        c->dialect->decode_drop(d);
    }

    llm_block_free(&d->scratch, &d->alloc);
    free(d->state);
}


/* Decodes one frame, or one answer, that lies in memory of its own. */
static llm_rc_t
read_frame(llm_decoder_t *d, llm_rc_t (*decode)(llm_decoder_t *d,
    llm_frame_t *frame), const llm_slice_t *data, const llm_slice_t *type)
{
    unsigned     check;
    llm_u8      *p, *t;
    llm_rc_t     rc;
    llm_frame_t  frame;

    check = llm_utf8_check(data->p, data->n);
    FUZZ_CHECK(!(check & LLM_UTF8_INVALID));
    FUZZ_CHECK(!(check & LLM_UTF8_LINESEP));

    p = fuzz_copy(data->p, data->n);
    t = fuzz_copy(type->p, type->n);

    memset(&frame, 0, sizeof(llm_frame_t));
    frame.data.p = p;
    frame.data.n = data->n;
    frame.max_depth = 128;

    if (type->p != NULL) {
        frame.type.p = t;
        frame.type.n = type->n;
    }

    rc = decode(d, &frame);

    free(p);
    free(t);

    if (rc != LLM_OK && rc != LLM_DONE && rc != LLM_FAILED) {
        fprintf(stderr, "not to be decoded (%d): %.*s\n", rc, (int) data->n,
                (char *) data->p);
        abort();
    }

    return rc;
}


/* Reads the frames there are; LLM_AGAIN for more. */
static llm_rc_t
read_frames(llm_framer_t *f, llm_decoder_t *d, const codec_t *c, llm_rc_t rc)
{
    llm_rc_t      next;
    llm_framed_t  framed;

    while ((next = llm_framer_next(f, &framed)) == LLM_OK) {

        if (rc == LLM_DONE) {

            /* nothing behind the end but what nobody needs to read */

            FUZZ_CHECK(framed.data.n == 6
                       && memcmp(framed.data.p, "[DONE]", 6) == 0);
            continue;
        }

        if (rc == LLM_FAILED) {

            /* after an error: not read */

            continue;
        }

        rc = read_frame(d, c->dialect->decode, &framed.data, &framed.type);
    }

    FUZZ_CHECK(next == LLM_AGAIN || next == LLM_DONE);

    return rc;
}


/* The stream in pieces of `step` bytes, the first of `first`. */
static void
read_stream(heard_t *h, const uint8_t *header, const codec_t *c,
    const llm_block_t *bytes, size_t first, size_t step)
{
    llm_rc_t       rc;
    llm_framed_t   framed;
    llm_framer_t   f;
    llm_decoder_t  d;
    fuzz_pieces_t  pieces;

    heard_init(h, header, c);
    decoder_init(&d, c, h);

    llm_framer_init(&f, h->gather.array ? LLM_FRAMING_ARRAY
                                        : c->dialect->framing,
                    &fuzz_alloc, 1 << 24);

    memset(&pieces, 0, sizeof(fuzz_pieces_t));
    pieces.p = bytes->p;
    pieces.n = bytes->n;
    pieces.first = first;
    pieces.step = step;

    rc = LLM_OK;

    while (fuzz_piece(&pieces)) {
        llm_framer_feed(&f, pieces.in, pieces.k);
        rc = read_frames(&f, &d, c, rc);
    }

    FUZZ_CHECK(llm_framer_finish(&f, &framed) == LLM_DONE);
    FUZZ_CHECK(!llm_framer_cut(&f));
    FUZZ_CHECK((rc == LLM_DONE) == (h->ended != 0));
    FUZZ_CHECK((rc == LLM_FAILED) == (h->errors != 0));

    llm_framer_free(&f);
    decoder_free(&d, c);
}


static void
read_answer(heard_t *h, const uint8_t *header, const codec_t *c,
    const llm_block_t *bytes)
{
    llm_rc_t       rc;
    llm_slice_t    data, type;
    llm_decoder_t  d;

    heard_init(h, header, c);
    decoder_init(&d, c, h);

    data.p = bytes->p;
    data.n = bytes->n;
    type = llm_slice_null;

    rc = read_frame(&d, c->dialect->decode_answer, &data, &type);
    FUZZ_CHECK(rc == LLM_DONE || rc == LLM_FAILED);
    FUZZ_CHECK((rc == LLM_DONE) == (h->ended != 0));

    decoder_free(&d, c);
}


/* Whether the answer that is intended can be said only as an error. */
static int
must_fail(const uint8_t *header, const codec_t *c, const llm_answer_t *a)
{
    const llm_choice_t  *choice;

    choice = llm_answer_choice(a, 0);

    return (!(header[1] & ANSWER) && (header[1] & ERROR))
           || (c->fails & 1u << choice->finish);
}


static void
compare(const uint8_t *header, const codec_t *c, const llm_answer_t *intended,
    const fuzz_events_t *l, const heard_t *h)
{
    unsigned     says;
    llm_block_t  meant, heard;

    memset(&meant, 0, sizeof(llm_block_t));
    memset(&heard, 0, sizeof(llm_block_t));

    if (must_fail(header, c, intended)) {
        FUZZ_CHECK(h->errors == 1 && !h->ended);

        if (header[1] & ERROR && !(header[1] & ANSWER)
            && !(c->fails & 1u << llm_answer_choice(intended, 0)->finish))
        {
            said_inside(&meant, l->error.message.p, l->error.message.n);
            said_inside(&heard, h->message.p, h->message.n);
        }

    } else {
        FUZZ_CHECK(h->errors == 0);

        says = c->says ^ (header[1] & ANSWER ? c->answer : 0);
        says &= header[1] & NO_USAGE ? ~(unsigned) SAYS_USAGE : ~0u;

        said_answer(&meant, intended, intended, says, c->finishes);
        said_answer(&heard, &h->answer, intended, says, NULL);
    }

    if (meant.n != heard.n || (meant.n != 0
                               && memcmp(meant.p, heard.p, meant.n) != 0))
    {
        fprintf(stderr, "%.*s, meant:\n%.*s\nheard:\n%.*s\n",
                (int) c->dialect->name.n, (char *) c->dialect->name.p,
                (int) meant.n, (char *) meant.p,
                (int) heard.n, (char *) heard.p);
        abort();
    }

    llm_block_free(&meant, &fuzz_alloc);
    llm_block_free(&heard, &fuzz_alloc);
}


static void
check_stream(const uint8_t *header, const codec_t *c, const fuzz_events_t *l,
    const llm_answer_t *intended)
{
    size_t      n;
    heard_t     h;
    unsigned    i;
    fuzz_out_t  o;

    write_stream(&o, header, c, l);
    n = o.block.n;

    for (i = 0; i < 3; i++) {
        read_stream(&h, header, c, &o.block,
                    i == 0 ? n : (header[2] | (size_t) header[3] << 8)
                                 % (n + 1),
                    i == 2 ? 1 + (size_t) header[4] : n);

        compare(header, c, intended, l, &h);
        heard_free(&h);
    }

    fuzz_out_free(&o);
}


static void
check_answer(const uint8_t *header, const codec_t *c, const fuzz_events_t *l,
    const llm_answer_t *intended)
{
    heard_t     h;
    fuzz_out_t  o;

    if (write_answer(&o, header, c, intended)) {
        read_answer(&h, header, c, &o.block);
        compare(header, c, intended, l, &h);
        heard_free(&h);

    } else {
        FUZZ_CHECK(must_fail(header, c, intended));
    }

    fuzz_out_free(&o);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned        i;
    heard_t         intended;
    fuzz_events_t   l;
    const codec_t  *c;

    if (size < HEADER || size > MAX_SIZE) {
        return 0;
    }

    c = &codecs[data[0] % (sizeof(codecs) / sizeof(codecs[0]))];
    fuzz_events_read(&l, data + HEADER, size - HEADER, c->in_order);

    heard_init(&intended, data, c);

    for (i = 0; i < l.n; i++) {
        llm_answer_event(&intended.gather, &intended.answer, &l.ev[i]);
    }

    FUZZ_CHECK(intended.gather.rc == LLM_OK);

    if (data[1] & ANSWER) {
        check_answer(data, c, &l, &intended.answer);

    } else {
        check_stream(data, c, &l, &intended.answer);
    }

    heard_free(&intended);
    fuzz_events_free(&l);

    return 0;
}
