/*
 * Reading a stream of the openai-responses dialect as its official SDKs do:
 * every event must fit those before it, or the test fails.
 */

#ifndef UNIT_RESPONSES_H
#define UNIT_RESPONSES_H

#include "unit_support.h"


#define RESPONSES_ITEMS  16
#define RESPONSES_PARTS  4

/* What a reader of the stream has put together of it. */
typedef struct {
    json_t         *added[RESPONSES_ITEMS];
    json_t         *done[RESPONSES_ITEMS];
    unit_out_t      text[RESPONSES_ITEMS][RESPONSES_PARTS];
    unsigned        parts[RESPONSES_ITEMS];
    unsigned        part_open[RESPONSES_ITEMS];
    unsigned        items;
    unsigned        events;
    json_t         *id;             /* of the response */
    json_t         *last;           /* the last event */
    char            order[4096];
} responses_reader_t;


/* Reads a whole stream, whose bytes are changed; the events live in *keep. */
void responses_read(responses_reader_t *r, char *stream, json_t **keep);
void responses_close(responses_reader_t *r, json_t *keep);

/* The response object at the end repeats the items as they were closed. */
void responses_check_output(responses_reader_t *r);

/* A member that is a string, or "(none)". */
const char *responses_str(const json_t *o, const char *name);


#endif /* UNIT_RESPONSES_H */
