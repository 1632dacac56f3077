/*
 * The table of providers: what llm_stream's first argument can be.  A row is
 * a dialect with the paths, the credential's header and the quirks of one
 * provider or server; every dialect with an upstream half is a row of its
 * own name.
 */

#ifndef LLM_PROVIDER_H
#define LLM_PROVIDER_H

#include "llm_dialect.h"


typedef struct {
    llm_slice_t           name;
    const llm_dialect_t  *dialect;

    /* used when the URL has no path; "{model}" stands for the model, escaped
     * for a path */
    llm_slice_t           path;         /* for a stream */
    llm_slice_t           answer_path;  /* for one answer; absent: path */
    llm_slice_t           array_path;   /* for an ARRAY stream, or absent */

    llm_slice_t           auth_header;  /* absent: takes no credential */
    llm_slice_t           auth_prefix;
    llm_slice_t           header;       /* one that must be there */
    llm_slice_t           header_value;

    unsigned              quirks;       /* LLM_QUIRK_* */
    const llm_rename_t   *renames;      /* ended by an absent one, or NULL */
} llm_provider_t;

const llm_provider_t *llm_provider_find(const llm_u8 *name, size_t n);

/* Row i, or NULL past the last. */
const llm_provider_t *llm_provider_at(size_t i);


#endif /* LLM_PROVIDER_H */
