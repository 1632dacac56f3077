/*
 * Writes one JSON document to a file, member by member.  It puts commas and
 * escapes; what the document says is not known here.
 */

#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include <stdint.h>
#include <stdio.h>

#include "bench_hist.h"
#include "llm_wire.h"


typedef struct {
    llm_out_t     out;
    FILE         *file;
    unsigned      comma;            /* the next value needs one */
    llm_u8        buf[4096];
} bench_json_t;


/* j must stay where it is. */
void bench_json_open(bench_json_t *j, FILE *file);

/* 0, or -1: something could not be written. */
int bench_json_close(bench_json_t *j);

/*
 * key: the member's name, or NULL within an array and for the document.
 * What of a string or a name is no UTF-8 becomes U+FFFD.  open: "{" or "[",
 * close: "}" or "]".
 */
void bench_json_begin(bench_json_t *j, const char *key, const char *open);
void bench_json_end(bench_json_t *j, const char *close);

/* value NULL: null. */
void bench_json_string(bench_json_t *j, const char *key, const char *value);

void bench_json_uint(bench_json_t *j, const char *key, uint64_t value);

/* What is no finite number becomes null. */
void bench_json_number(bench_json_t *j, const char *key, double value);

void bench_json_null(bench_json_t *j, const char *key);

/* A distribution: {count, mean, min, max, p50 ..., hist}, in a unit of
 * `scale` of what was counted; null what there is not. */
void bench_json_hist(bench_json_t *j, const char *key, const bench_hist_t *h,
    double scale);
void bench_json_flag(bench_json_t *j, const char *key, int value);


#endif /* BENCH_JSON_H */
