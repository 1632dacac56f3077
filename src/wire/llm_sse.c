/*
 * The server-sent events framer.  It owns the block that is cut between two
 * inputs, nothing else.  It must never look ahead after a CR, never search a
 * byte twice for a line end, and give the same events however the bytes were
 * cut.
 *
 * A block is read where it lies in the input; places in it are offsets from
 * its first byte, so that it can move to `carry` when the input ends inside
 * it or when a comment is taken out of its middle.
 */

#include "llm_sse.h"
#include "llm_swar.h"


/* s->pending: what the input ended in */
#define LLM_SSE_BOM      0x1    /* perhaps a byte order mark */
#define LLM_SSE_LF       0x2    /* a CR: the LF after it belongs to it */
#define LLM_SSE_COMMENT  0x4
#define LLM_SSE_LINE     0x8    /* another line, its beginning is in carry */

/* memory above this is given back after the event that needed it */
#define LLM_SSE_KEEP     65536


static const llm_u8  llm_sse_bom[3] = { 0xef, 0xbb, 0xbf };


void
llm_sse_init(llm_sse_t *s, const llm_alloc_t *a, size_t max)
{
    memset(s, 0, sizeof(llm_sse_t));

    s->alloc = *a;
    s->max = max;
    s->reconnection = -1;
    s->retry = -1;
    s->pending = LLM_SSE_BOM;
}


void
llm_sse_free(llm_sse_t *s)
{
    llm_block_free(&s->carry, &s->alloc);
    llm_block_free(&s->joined, &s->alloc);
    llm_block_free(&s->last_id, &s->alloc);
}


static const llm_u8 *
llm_sse_find(const llm_u8 *p, const llm_u8 *end, int c)
{
    const llm_u8  *found;

    if (p == end) {
        return end;
    }

    found = memchr(p, c, (size_t) (end - p));

    return found != NULL ? found : end;
}


void
llm_sse_feed(llm_sse_t *s, const llm_u8 *p, size_t n)
{
    s->p = p;
    s->end = n != 0 ? p + n : p;
    s->block = p;
    s->lf = llm_sse_find(p, s->end, '\n');
    s->cr = llm_sse_find(p, s->end, '\r');
}


/* The end of the line that starts at s->p, or s->end. */
static inline const llm_u8 *
llm_sse_eol(llm_sse_t *s)
{
    /* both are kept: a flood of one must not search for the other again */

    if (s->lf < s->p) {
        s->lf = llm_sse_find(s->p, s->end, '\n');
    }

    if (s->cr < s->p) {
        s->cr = llm_sse_find(s->p, s->end, '\r');
    }

    return s->lf < s->cr ? s->lf : s->cr;
}


/* Goes behind the line end at eol. */
static inline void
llm_sse_pass(llm_sse_t *s, const llm_u8 *eol)
{
    s->p = eol + 1;

    if (*eol == '\n') {
        return;
    }

    if (s->p == s->end) {
        s->pending |= LLM_SSE_LF;

    } else if (*s->p == '\n') {
        s->p++;
    }
}


/* Starts a new block at s->p. */
static inline void
llm_sse_reset(llm_sse_t *s)
{
    s->block = s->p;
    s->size = 0;
    s->data_lines = 0;
    s->type_n = 0;
    s->retry = -1;
    s->has_id = 0;
    s->has_cr = 0;
    s->gathered = 0;
    s->handed = 0;
    s->carry.n = 0;

    llm_block_trim(&s->carry, &s->alloc, LLM_SSE_KEEP);
    llm_block_trim(&s->joined, &s->alloc, LLM_SSE_KEEP);
}


/* Moves the block's lines, which end at s->p, to carry. */
static llm_rc_t
llm_sse_gather(llm_sse_t *s)
{
    if (s->gathered || s->block == s->p) {
        return LLM_OK;
    }

    s->gathered = 1;

    return llm_block_append(&s->carry, &s->alloc, s->block,
                            (size_t) (s->p - s->block));
}


/*
 * Whether a line of n bytes may still be part of the block.  Its end counts
 * as one byte, because CRLF may be cut in two.
 */
static inline int
llm_sse_fits(llm_sse_t *s, size_t n)
{
    return n < s->max - s->size;
}


/* Adds the input up to `to` to the line that begins at s->line in carry. */
static llm_rc_t
llm_sse_extend(llm_sse_t *s, const llm_u8 *to)
{
    size_t         n;
    const llm_u8  *p;

    p = s->p;
    n = (size_t) (to - p);
    s->p = to;

    if (!llm_sse_fits(s, s->carry.n - s->line + n)) {
        return LLM_TOO_BIG;
    }

    return llm_block_append(&s->carry, &s->alloc, p, n);
}


/*
 * Takes one more line of data.  The first stays where it is; from the second
 * on all are joined with LF in a block of their own.
 */
static llm_rc_t
llm_sse_data(llm_sse_t *s, const llm_u8 *block, size_t off, size_t n)
{
    llm_rc_t  rc;

    if (s->data_lines++ == 0) {
        s->data_off = off;
        s->data_n = n;
        return LLM_OK;
    }

    if (s->data_lines == 2) {
        s->joined.n = 0;

        rc = llm_block_append(&s->joined, &s->alloc, block + s->data_off,
                              s->data_n);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    rc = llm_block_append(&s->joined, &s->alloc, "\n", 1);
    if (rc != LLM_OK) {
        return rc;
    }

    return llm_block_append(&s->joined, &s->alloc, block + off, n);
}


/* ASCII digits only; a number too large for int64_t becomes its largest. */
static void
llm_sse_retry(llm_sse_t *s, const llm_u8 *p, size_t n)
{
    size_t   i;
    int64_t  v;

    v = 0;

    for (i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return;
        }

        v = v > (INT64_MAX - 9) / 10 ? INT64_MAX : v * 10 + (p[i] - '0');
    }

    if (n != 0) {
        s->retry = v;
        s->reconnection = v;
    }
}


/* Whether the line's field is this one; *v is then the value's offset. */
static inline int
llm_sse_is(const llm_u8 *line, size_t n, const char *name, size_t len,
    size_t *v)
{
    if (n < len || memcmp(line, name, len) != 0) {
        return 0;
    }

    if (n > len) {
        if (line[len] != ':') {
            return 0;
        }

        len++;
        len += n > len && line[len] == ' ';
    }

    *v = len;

    return 1;
}


/*
 * A field line, without its end, off bytes behind the block's start.  A name
 * that is not known is part of the event's raw bytes and no more.
 */
static llm_rc_t
llm_sse_field(llm_sse_t *s, const llm_u8 *line, size_t n, size_t off)
{
    size_t  v;

    if (!llm_sse_fits(s, n)) {
        return LLM_TOO_BIG;
    }

    s->size += n + 1;

    if (llm_sse_is(line, n, "data", 4, &v)) {
        return llm_sse_data(s, line - off, off + v, n - v);
    }

    if (llm_sse_is(line, n, "event", 5, &v)) {
        s->type_off = off + v;
        s->type_n = n - v;

    } else if (llm_sse_is(line, n, "id", 2, &v)) {

        if (n == v || memchr(line + v, '\0', n - v) == NULL) {
            s->id_off = off + v;
            s->id_n = n - v;
            s->has_id = 1;
        }

    } else if (llm_sse_is(line, n, "retry", 5, &v)) {
        llm_sse_retry(s, line + v, n - v);

    } else if (s->error_lines && llm_sse_is(line, n, "error", 5, &v)) {
        s->type_off = off;
        s->type_n = 5;

        return llm_sse_data(s, line - off, off + v, n - v);
    }

    return LLM_OK;
}


/* A field line that lies in the input from s->p to eol. */
static inline llm_rc_t
llm_sse_line_input(llm_sse_t *s, const llm_u8 *eol)
{
    llm_rc_t  rc;

    rc = llm_sse_field(s, s->p, (size_t) (eol - s->p),
                       (size_t) (s->p - s->block));

    s->has_cr |= *eol == '\r';
    llm_sse_pass(s, eol);

    return rc;
}


/* A field line that begins at s->line in carry and ends at eol. */
static llm_rc_t
llm_sse_line_carry(llm_sse_t *s, const llm_u8 *eol)
{
    llm_rc_t  rc;

    rc = llm_sse_extend(s, eol);
    if (rc != LLM_OK) {
        return rc;
    }

    rc = llm_sse_field(s, s->carry.p + s->line, s->carry.n - s->line,
                       s->line);
    if (rc != LLM_OK) {
        return rc;
    }

    s->has_cr |= *eol == '\r';
    llm_sse_pass(s, eol);

    return llm_block_append(&s->carry, &s->alloc, eol,
                            (size_t) (s->p - eol));
}


/* A comment from s->p to eol: never stored, so it parts the block. */
static llm_rc_t
llm_sse_comment(llm_sse_t *s, const llm_u8 *eol)
{
    llm_rc_t  rc;

    rc = llm_sse_gather(s);
    if (rc != LLM_OK) {
        return rc;
    }

    if (eol == s->end) {
        s->pending |= LLM_SSE_COMMENT;
        s->p = s->end;

    } else {
        s->comments++;
        llm_sse_pass(s, eol);
    }

    s->block = s->p;

    return LLM_OK;
}


/* A line other than a comment starts at s->p and ends at eol. */
static inline llm_rc_t
llm_sse_line(llm_sse_t *s, const llm_u8 *eol)
{
    llm_rc_t  rc;

    if (eol != s->end && !s->gathered) {
        return llm_sse_line_input(s, eol);
    }

    rc = llm_sse_gather(s);
    if (rc != LLM_OK) {
        return rc;
    }

    s->gathered = 1;
    s->line = s->carry.n;

    if (eol != s->end) {
        return llm_sse_line_carry(s, eol);
    }

    s->pending |= LLM_SSE_LINE;

    return llm_sse_extend(s, eol);
}


static inline void
llm_sse_slice(llm_slice_t *to, const llm_u8 *p, size_t n)
{
    to->p = p;
    to->n = n;
    to->escaped = 0;
}


/* The event of a block that lies at p and has n bytes. */
static void
llm_sse_fill(llm_sse_t *s, llm_sse_event_t *ev, const llm_u8 *p, size_t n)
{
    llm_sse_slice(&ev->raw, p, n);

    if (s->data_lines == 1) {
        llm_sse_slice(&ev->data, p + s->data_off, s->data_n);

    } else {
        llm_sse_slice(&ev->data, s->joined.p, s->joined.n);
    }

    llm_sse_slice(&ev->type, s->type_n != 0 ? p + s->type_off : NULL,
                  s->type_n);
    llm_sse_slice(&ev->id, s->last_id.n != 0 ? s->last_id.p : NULL,
                  s->last_id.n);

    ev->retry = s->retry;
    ev->cr = s->has_cr;
    ev->in_input = 0;

    s->handed = 1;
}


/*
 * A blank line, with its end at eol.  LLM_OK: *ev is an event; LLM_AGAIN:
 * the block had no data.
 */
static llm_rc_t
llm_sse_blank(llm_sse_t *s, llm_sse_event_t *ev, const llm_u8 *eol)
{
    size_t         n;
    llm_rc_t       rc;
    const llm_u8  *block;

    block = s->block;
    n = (size_t) (s->p - block);

    if (s->gathered) {
        block = s->carry.p;
        n = s->carry.n;
    }

    if (s->has_id) {
        s->last_id.n = 0;

        rc = llm_block_append(&s->last_id, &s->alloc, block + s->id_off,
                              s->id_n);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    llm_sse_pass(s, eol);

    if (s->data_lines == 0) {
        llm_sse_reset(s);
        return LLM_AGAIN;
    }

    llm_sse_fill(s, ev, block, n);
    ev->in_input = !s->gathered && !s->has_cr && *eol == '\n';

    return LLM_OK;
}


/* Goes over a byte order mark at the start of the stream. */
static llm_rc_t
llm_sse_start(llm_sse_t *s)
{
    while (s->p != s->end && s->bom < 3 && *s->p == llm_sse_bom[s->bom]) {
        s->p++;
        s->bom++;
    }

    if (s->bom < 3 && s->p == s->end) {
        return LLM_AGAIN;
    }

    s->pending = 0;
    s->block = s->p;

    if (s->bom == 3 || s->bom == 0) {
        return LLM_OK;
    }

    /* it was none: its bytes begin the first line */

    s->gathered = 1;
    s->line = 0;
    s->pending = LLM_SSE_LINE;

    return llm_block_append(&s->carry, &s->alloc, llm_sse_bom, s->bom);
}


/* Ends what the last input left open; LLM_AGAIN when it stays open. */
static llm_rc_t
llm_sse_resume(llm_sse_t *s)
{
    llm_rc_t       rc;
    const llm_u8  *eol;

    if (s->pending & LLM_SSE_BOM) {
        rc = llm_sse_start(s);
        if (rc != LLM_OK || s->pending == 0) {
            return rc;
        }
    }

    if (s->p == s->end) {
        return LLM_AGAIN;
    }

    if (s->pending & LLM_SSE_LF) {
        s->p += *s->p == '\n';
        s->block = s->p;
        s->pending = 0;
        return LLM_OK;
    }

    eol = llm_sse_eol(s);

    if (s->pending & LLM_SSE_COMMENT) {
        s->pending = 0;
        return llm_sse_comment(s, eol);
    }

    if (eol == s->end) {
        rc = llm_sse_extend(s, eol);
        return rc != LLM_OK ? rc : LLM_AGAIN;
    }

    s->pending = 0;

    return llm_sse_line_carry(s, eol);
}


/*
 * What nearly every provider sends: one line of data and a blank line, whole
 * in the input.  Returns 0 when it is anything else; nothing has changed
 * then.  The block is empty so far.
 */
static inline int
llm_sse_simple(llm_sse_t *s, llm_sse_event_t *ev)
{
    size_t         v;
    const llm_u8  *p, *eol;

    p = s->p;
    eol = llm_sse_eol(s);

    if (s->end - eol < 2 || eol[0] != '\n' || eol[1] != '\n'
        || eol - p < 6 || memcmp(p, "data:", 5) != 0
        || !llm_sse_fits(s, (size_t) (eol - p)))
    {
        return 0;
    }

    v = p[5] == ' ' ? 6 : 5;

    llm_sse_slice(&ev->raw, p, (size_t) (eol + 1 - p));
    llm_sse_slice(&ev->data, p + v, (size_t) (eol - p) - v);
    llm_sse_slice(&ev->type, NULL, 0);
    llm_sse_slice(&ev->id, s->last_id.n != 0 ? s->last_id.p : NULL,
                  s->last_id.n);

    ev->retry = -1;
    ev->cr = 0;
    ev->in_input = 1;

    s->p = eol + 2;
    s->block = eol + 2;

    return 1;
}


/* The same for any line: goes on until an event or the input is complete. */
static llm_noinline llm_rc_t
llm_sse_scan(llm_sse_t *s, llm_sse_event_t *ev)
{
    llm_rc_t       rc;
    const llm_u8  *eol;

    rc = s->pending ? llm_sse_resume(s) : LLM_OK;

    while (rc == LLM_OK && s->p != s->end) {
        eol = llm_sse_eol(s);

        if (eol == s->p) {
            rc = llm_sse_blank(s, ev, eol);

            if (rc == LLM_OK) {
                return LLM_OK;
            }

            if (rc == LLM_AGAIN) {
                rc = LLM_OK;
            }

        } else if (*s->p == ':') {
            rc = llm_sse_comment(s, eol);

        } else {
            rc = llm_sse_line(s, eol);
        }
    }

    if (rc == LLM_OK) {
        rc = llm_sse_gather(s);
    }

    if (rc == LLM_OK || rc == LLM_AGAIN) {
        return LLM_AGAIN;
    }

    s->failed = rc;
    s->p = s->end;

    return rc;
}


llm_rc_t
llm_sse_next(llm_sse_t *s, llm_sse_event_t *ev)
{
    if (s->failed) {
        return s->failed;
    }

    if (s->handed) {
        llm_sse_reset(s);
    }

    if (!s->pending && !s->gathered && s->block == s->p) {

        if (s->p == s->end) {
            return LLM_AGAIN;
        }

        if (llm_sse_simple(s, ev)) {
            return LLM_OK;
        }
    }

    return llm_sse_scan(s, ev);
}


llm_rc_t
llm_sse_finish(llm_sse_t *s, llm_sse_event_t *ev)
{
    size_t    v;
    llm_rc_t  rc;

    if (s->failed) {
        return s->failed;
    }

    if (s->handed) {
        llm_sse_reset(s);
    }

    rc = LLM_OK;

    if ((s->pending & LLM_SSE_LINE)
        && llm_sse_is(s->carry.p + s->line, s->carry.n - s->line, "data", 4,
                      &v))
    {
        rc = llm_sse_field(s, s->carry.p + s->line, s->carry.n - s->line,
                           s->line);
        if (rc == LLM_OK) {
            rc = llm_block_append(&s->carry, &s->alloc, "\n", 1);
        }

    } else if (s->pending & LLM_SSE_LINE) {

        /* a name or a value that may have been cut: not counted */

        s->carry.n = s->line;
    }

    s->pending = 0;

    if (rc != LLM_OK) {
        s->failed = rc;
        return rc;
    }

    if (s->data_lines == 0) {
        llm_sse_reset(s);
        return LLM_DONE;
    }

    llm_sse_fill(s, ev, s->carry.p, s->carry.n);

    /* the block's own id, which without a blank line is not committed */

    if (s->has_id) {
        llm_sse_slice(&ev->id, s->id_n != 0 ? s->carry.p + s->id_off : NULL,
                      s->id_n);
    }

    return LLM_OK;
}


void
llm_sse_write_raw(llm_out_t *out, const llm_sse_event_t *ev)
{
    const llm_u8  *p, *end, *cr;

    p = ev->raw.p;
    end = p + ev->raw.n;

    while (ev->cr && (cr = memchr(p, '\r', (size_t) (end - p))) != NULL) {
        llm_out(out, p, (size_t) (cr - p));
        llm_out_lit(out, "\n");

        p = cr + 1;

        if (p != end && *p == '\n') {
            p++;
        }
    }

    llm_out(out, p, (size_t) (end - p));
    llm_out_lit(out, "\n");
}
