/*
 * An independent reader of the Anthropic dialect, on jansson: what an SDK
 * would make of a stream.  It must never use the library that is tested.
 */

#ifndef UNIT_ANTHROPIC_H
#define UNIT_ANTHROPIC_H

#include "unit_support.h"


/*
 * Reads a stream to the message that it adds up to:
 *
 *   id, model, content [blocks with their deltas joined, the input of a call
 *   as the text "json" beside "input"], stop_reason, stop_sequence,
 *   stop_details, usage, error, events (names, a space between them),
 *   ended (message_stop was there)
 *
 * strict: fails the test for anything that Anthropic itself would not send
 * (order of events, indexes, kinds of deltas, missing members, event: lines
 * that are missing or differ from the type).  The caller drops it.
 */
json_t *anthropic_read(const char *what, const void *p, size_t n,
    unsigned strict);

/* The same of one answer. */
json_t *anthropic_answer(const void *p, size_t n);

/* All blocks of a type with the strings `member` joined; to be freed. */
char *anthropic_join(json_t *message, const char *type, const char *member);


#endif /* UNIT_ANTHROPIC_H */
