/*
 * The measuring stage.  It must never change an event, nor keep a slice.
 */

#include "llm_stage_measure.h"
#include "llm_encode.h"
#include "llm_json.h"
#include "llm_utf8.h"


/* bytes that one character can have as an escaped slice: a pair of \uXXXX */
#define LLM_MEASURE_ESCAPED  12


void
llm_measure_init(llm_measure_t *m)
{
    memset(m, 0, sizeof(llm_measure_t));

    m->usage = llm_usage_none;
}


/*
 * Copies the first characters of s, unescaped, to dst, which has room for
 * size bytes; control bytes are left out.  Returns the length.
 */
static unsigned
llm_measure_word(llm_u8 *dst, unsigned size, const llm_slice_t *s)
{
    size_t         i, n;
    unsigned       len;
    llm_slice_t    first;
    const llm_u8  *p;
    llm_u8         buf[LLM_MEASURE_MODEL * LLM_MEASURE_ESCAPED];

    first = llm_slice_first(s, size);
    p = first.p;
    n = first.n;

    if (first.escaped) {
        n = llm_json_unescape(buf, first.p, n);
        p = buf;
    }

    len = 0;

    for (i = 0; i < n; i++) {

        if (p[i] < 0x20 || p[i] == 0x7f) {
            continue;
        }

        if (len == size) {
            break;
        }

        dst[len++] = p[i];
    }

    /* what was cut off must not leave half a character */

    if (i < n && (p[i] & 0xc0) == 0x80) {
        while (len != 0 && (dst[len - 1] & 0xc0) == 0x80) {
            len--;
        }

        if (len != 0) {
            len--;
        }
    }

    return len;
}


static void
llm_measure_live(llm_measure_t *m, uint64_t chars, int64_t now)
{
    llm_counts_t  *live;

    live = m->live;

    live->n[LLM_COUNT_CHUNKS]++;
    live->n[LLM_COUNT_CHARS] += chars;

    llm_hist_add(&live->hist[LLM_HIST_CHUNK_SIZE], LLM_HIST_CHUNK_SIZE,
                 (int64_t) chars);

    if (m->chunks != 0) {
        llm_hist_add(&live->hist[LLM_HIST_ITL], LLM_HIST_ITL, now - m->last);
    }
}


static inline void
llm_measure_chunk(llm_measure_t *m, uint64_t chars, int64_t now)
{
    if (m->live != NULL) {
        llm_measure_live(m, chars, now);
    }

    if (m->chunks++ == 0) {
        m->first = now;
    }

    m->last = now;
    m->chars += chars;
}


void
llm_measure(llm_measure_t *m, const llm_event_t *ev, int64_t now)
{
    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
        if (ev->text.n == 0) {
            return;
        }

        llm_measure_chunk(m, ev->text.escaped
                             ? llm_json_chars(ev->text.p, ev->text.n)
                             : llm_utf8_count(ev->text.p, ev->text.n), now);
        break;

    case LLM_EV_TOOL_CALL:
        if (ev->id.n != 0 || ev->name.n != 0 || ev->text.n != 0) {
            llm_measure_chunk(m, 0, now);
        }

        break;

    case LLM_EV_USAGE:
        llm_usage_merge(&m->usage, ev->usage);
        m->has_usage = 1;
        break;

    case LLM_EV_FINISH:
        m->nfinish = llm_measure_word(m->finish, LLM_MEASURE_WORD,
                                      &ev->text);
        break;

    case LLM_EV_START:
        if (ev->model.n != 0) {
            m->nmodel = llm_measure_word(m->model, LLM_MEASURE_MODEL,
                                         &ev->model);
        }

        break;

    default:
        break;
    }
}
