/*
 * What is asked for the tables of requests: a body without something, and
 * the same with it.
 */

#ifndef TABLES_PROBES_H
#define TABLES_PROBES_H

#include "tables.h"


typedef struct {
    const char           *group;
    const char           *what;
    const llm_dialect_t  *from;
    const char           *base;
    const char           *body;
    const char           *mark;     /* of the value that is looked for */
} table_probe_t;

/* Row i, or NULL past the last. */
const table_probe_t *tables_probe(size_t i);


#endif /* TABLES_PROBES_H */
