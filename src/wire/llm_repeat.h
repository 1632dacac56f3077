/*
 * Frames that repeat.  The chunks of a completion differ in little but their
 * text: id, model, time and shape stay.  Once one such frame was decoded and
 * found to say nothing but one piece of text, the next is compared with it
 * instead of being scanned: the same bytes before the text, a valid JSON
 * string, the same bytes behind it.  A frame that matches is the same valid
 * document with another string in it, so this is exact, not a guess; one that
 * does not is decoded the long way.
 *
 * Providers pad their chunks against traffic analysis with a member of
 * random length ("obfuscation", "p"); one such string may differ too.
 */

#ifndef LLM_REPEAT_H
#define LLM_REPEAT_H

#include "llm_event.h"


#define LLM_REPEAT_MAX     768  /* bytes of a frame without its text */
#define LLM_REPEAT_MISSES  8    /* frames learned in vain before only one of
                                   so many is */

typedef struct {
    llm_event_type_t  type;
    unsigned          choice;
    unsigned          head;     /* bytes before the text; 0: nothing learned */
    unsigned          tail;     /* bytes behind it, up to the padding if any */
    unsigned          end;      /* bytes behind the padding */
    unsigned          missed;   /* frames to learn since one repeated */
    llm_u8            bytes[LLM_REPEAT_MAX];    /* head, tail, end */
} llm_repeat_t;


/*
 * Learns from a frame that was decoded whole and whose only event was ev,
 * a TEXT or REASONING with ev->text a slice of the frame's data.
 */
void llm_repeat_learn(llm_repeat_t *r, const llm_slice_t *data,
    const llm_event_t *ev);

/* 1: the frame repeats; *text is its text, the inside of a JSON string. */
int llm_repeat_match(llm_repeat_t *r, const llm_slice_t *data,
    llm_slice_t *text);

/* What such frames are made of: the closing quote of the JSON string whose
 * inside begins at p, or NULL when it is none. */
const llm_u8 *llm_repeat_text(const llm_u8 *p, const llm_u8 *end);


#endif /* LLM_REPEAT_H */
