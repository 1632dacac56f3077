/*
 * The flow of one answer: upstream bytes -> framer -> decoder -> events ->
 * stages -> encoder -> output.  It owns the order of things and the honesty
 * of the ending: what was seen, whether the upstream really finished, and
 * what the client is told if not.  It knows nothing of sockets, HTTP or
 * nginx; one flow serves one upstream answer and is then freed.
 */

#ifndef LLM_FLOW_H
#define LLM_FLOW_H

#include "llm_dialect.h"
#include "llm_pad.h"
#include "llm_stage.h"
#include "llm_stage_measure.h"


typedef struct {
    const llm_dialect_t  *upstream;
    const llm_dialect_t  *client;
    llm_framing_t         framing;      /* of the upstream's stream */
    unsigned              answer_in;    /* the upstream sends one JSON answer,
                                           not a stream */
    unsigned              answer_out;   /* the client gets one answer */
    unsigned              array_out;    /* the client's stream is a JSON
                                           array, not its dialect's framing */
    unsigned              hide_usage;   /* same dialect: withhold a chunk that
                                           holds nothing but usage (we asked
                                           for it, the client did not) */
    unsigned              usage;        /* the client asked for usage */
    unsigned              secret;       /* the key is not the client's: what
                                           the upstream says of a bad one is
                                           not for it (it quotes the key) */
    size_t                max_event;    /* bytes */
    size_t                max_response; /* bytes that may be gathered */
    unsigned              max_depth;
    int64_t               now;          /* seconds since 1970 */
    int64_t               unique;       /* another one for each answer */
    llm_slice_t           model;        /* that was asked: for answers that
                                           do not say theirs */
    llm_alloc_t           alloc;

    /*
     * Stages, in order; they and what they point to outlive the flow.  With
     * one that does not only observe, events go to the encoder even with one
     * dialect on both sides.
     */
    const llm_stage_conf_t  *stages;
    unsigned              nstages;
    unsigned              choices;      /* that were asked for, 0: one */
    int64_t               input;        /* tokens of the request, estimated,
                                           for usage when a stage cuts; -1 */

    const llm_pad_conf_t *pad;          /* of a stream's events; NULL: none */

    /*
     * Optional: takes bytes that lie in the input of llm_flow_feed() without
     * a copy; they stay valid as long as that input.  NULL: copied to out, as
     * with padding.
     */
    llm_rc_t            (*pass)(void *ctx, const llm_u8 *p, size_t n);
    void                 *pass_ctx;
} llm_flow_conf_t;

typedef enum {
    LLM_EOF_FRAMED = 0,     /* last chunk, or all of Content-Length */
    LLM_EOF_CLOSED,         /* close-delimited body, orderly close */
    LLM_EOF_BROKEN          /* reset, cut inside the framing */
} llm_eof_t;

typedef struct {
    llm_flow_conf_t       conf;
    llm_out_t            *out;          /* the caller's, or pad's */

    /* readable by the caller */
    llm_measure_t         measure;
    uint64_t              frames;       /* events framed, comments excluded */
    uint64_t              invalid;      /* frames passed although not valid
                                           JSON */
    uint64_t              repaired;     /* frames whose UTF-8 was repaired */
    unsigned              done;         /* terminator seen or success written:
                                           nothing more will be written */
    unsigned              finish;       /* every choice seen has finished */
    llm_fault_t           fault;        /* set with LLM_FAILED */
    llm_error_t           error;        /* with LLM_FAULT_UPSTREAM_ERROR: what
                                           it said; slices live in `said` */
    llm_block_t           said;

    /* private */
    llm_framer_t          framer;
    llm_decoder_t         decoder;
    llm_encoder_t         encoder;
    void                (*encode)(llm_encoder_t *e, void *state,
                                  const llm_event_t *ev);
    void                 *state;        /* the encoder's */
    llm_pad_t             pad;
    llm_out_t            *padded;       /* the caller's, behind pad */
    llm_answer_t          answer;       /* gathered, when answer_out */
    llm_block_t           body;         /* a JSON answer, as it comes in */
    llm_block_t           fixed;        /* a frame with its UTF-8 repaired */
    int64_t               now_ms;
    llm_stage_chain_t     stages;       /* first == NULL: none */
    llm_stage_t           last;         /* of them: to the encoder */
    uint64_t              seen[2];      /* choices, one bit each */
    uint64_t              finished[2];
    llm_slice_t           data;         /* of the frame that is decoded */
    const llm_framed_t   *event;       /* its block, if it has one */
    size_t                said_block;   /* bytes of the block in `said`, its
                                           data follows */
    const llm_u8         *run;          /* blocks of the input that go out
                                           untouched, not yet handed on */
    size_t                run_n;
    unsigned              same;         /* one dialect on both sides */
    unsigned              passing;      /* and events go out as they came */
    unsigned              any;          /* a byte came */
    unsigned              odd;          /* it began like no event stream */
    unsigned              beyond;       /* a choice that is not tracked */
    unsigned              said_usage;   /* by the frame that is decoded */
    unsigned              closed;       /* nothing more may be written */
} llm_flow_t;


/* LLM_OK or LLM_NOMEM.  All of *f is initialised; llm_flow_free() is to be
 * called in both cases. */
llm_rc_t llm_flow_init(llm_flow_t *f, const llm_flow_conf_t *conf,
    llm_out_t *out);
void llm_flow_free(llm_flow_t *f);

/*
 * Next n bytes of the upstream's body (transfer coding removed); now_ms: a
 * monotonic clock.  LLM_OK: go on.  LLM_DONE: the upstream's terminator was
 * seen and the client's written; further bytes are ignored.  LLM_FAILED:
 * f->fault is set, events before the fault were written, nothing of the fault
 * itself was: the caller goes on with llm_flow_fail(), or, while nothing was
 * sent, with an HTTP status and llm_flow_error_body().
 */
llm_rc_t llm_flow_feed(llm_flow_t *f, const llm_u8 *p, size_t n,
    int64_t now_ms);

/*
 * The upstream ended.  LLM_DONE: it had finished (terminator seen before; or
 * the end was not BROKEN and every choice had its finish reason, then the
 * client's terminator is written now; or a JSON answer is whole).
 * LLM_FAILED: f->fault, as above (TRUNCATED, EMPTY when nothing at all came,
 * INVALID_STREAM when bytes but no event came that could have begun one).
 */
llm_rc_t llm_flow_eof(llm_flow_t *f, llm_eof_t how);

/*
 * When the time that llm_flow_due() said has come: what the stages held for
 * no longer than that is written.  LLM_OK, LLM_DONE, LLM_FAILED as above.
 */
llm_rc_t llm_flow_tick(llm_flow_t *f, int64_t now_ms);

/* By the clock of llm_flow_feed(), ms; -1: no stage waits for a time. */
int64_t llm_flow_due(const llm_flow_t *f);

/*
 * Ends the client's stream with an error event in its dialect and never a
 * terminator.  fault: LLM_FAULT_NONE for f->fault.  An upstream's own error
 * event goes out as it came when both dialects are the same.  What stages
 * hold goes before it.  For a dialect without error events (text), or for one
 * JSON answer, LLM_AGAIN says that the end must be unclean.
 */
llm_rc_t llm_flow_fail(llm_flow_t *f, llm_fault_t fault);

/* Writes the body of the HTTP error for f->fault in the client's dialect
 * (the upstream's own JSON when both dialects are the same). */
void llm_flow_error_body(llm_flow_t *f, llm_out_t *out);

/* An error of a provider in the words and with the status that a client of
 * another dialect knows; the class is err's. */
void llm_flow_carry_error(const llm_dialect_t *upstream, llm_error_t *err);

/* The HTTP status for f->fault: the upstream's own (400..599) when it said
 * one (a number, or a code or type that maps to one), else the fault's. */
int llm_flow_status(const llm_flow_t *f);


#endif /* LLM_FLOW_H */
