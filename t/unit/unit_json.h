/*
 * Using the JSON scanner in a test: verdicts, and the document as jansson
 * would hold it.
 */

#ifndef UNIT_JSON_H
#define UNIT_JSON_H

#include "unit_support.h"
#include "llm_json.h"


/*
 * Scans a whole document, token by token, and checks on the way that each
 * token lies inside it.  LLM_OK: valid, else the scanner's error.
 */
llm_rc_t json_verdict(const llm_u8 *p, size_t n, unsigned max_depth);

/* The document as a jansson value (numbers as reals), NULL if not valid. */
json_t *json_build(const llm_u8 *p, size_t n);


#endif /* UNIT_JSON_H */
