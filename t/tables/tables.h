/*
 * The tables of docs/dialects.md that are made by asking the wire library
 * itself: what the documentation says is what the code does.  Printed as
 * Markdown, each between the marks that the document has.
 */

#ifndef TABLES_H
#define TABLES_H

#include <jansson.h>
#include <stdio.h>

#include "llm_dialect.h"
#include "llm_provider.h"


#define TABLES_MAX   256
#define TABLES_TEXT  65536

/* A value in a JSON document: "choices[].delta.content". */
typedef struct {
    char         path[256];
    char         value[512];
} table_leaf_t;

typedef struct {
    table_leaf_t  leaf[TABLES_MAX];
    size_t        n;
} table_leaves_t;

/* Text that an encoder wrote. */
typedef struct {
    llm_out_t     out;
    char          text[TABLES_TEXT];
} table_text_t;

extern const llm_alloc_t  tables_alloc;

/* Adds the leaves of a document to the list; the caller keeps it. */
void tables_walk(table_leaves_t *to, const json_t *json);

/* Ends the program with what is wrong. */
void tables_die(const char *what, const char *more);

/* Opens a text: what is written through .out lands in it, and is ended by
 * tables_text_end(). */
void tables_text(table_text_t *text);
const char *tables_text_end(table_text_t *text);

/* The name of a row, as a C string of a static buffer. */
const char *tables_name(const llm_slice_t *name);

llm_slice_t tables_slice(const char *s);

/* The marks around a table. */
void tables_open(const char *name);
void tables_close(void);

/* A line of dashes for n columns. */
void tables_rule(size_t n);

/* Whether a client can speak a dialect, and whether a provider can. */
int tables_is_client(const llm_dialect_t *d);
int tables_is_upstream(const llm_dialect_t *d);

void tables_providers(void);
void tables_requests(void);
void tables_answers(void);
void tables_finishes(void);
void tables_errors(void);


#endif /* TABLES_H */
