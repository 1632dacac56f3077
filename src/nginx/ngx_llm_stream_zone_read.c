/*
 * What the metrics' zone says: sums over all processes, those that have ended
 * too.  It must never write to the zone, and never lock.
 */

#include "ngx_llm_stream_zone.h"


ngx_uint_t
ngx_llm_stream_zone_series(ngx_llm_stream_zone_t *zone)
{
    ngx_uint_t  n;

    n = zone->sh->n;
    ngx_memory_barrier();

    return n;
}


void
ngx_llm_stream_zone_read(ngx_llm_stream_zone_t *zone, ngx_uint_t i,
    ngx_llm_stream_series_t *labels, llm_counts_t *counts, int64_t *open)
{
    u_char                  *p;
    ngx_str_t               *s;
    ngx_uint_t               n, others;
    ngx_llm_stream_row_t    *row;
    ngx_llm_stream_slot_t   *slot;
    ngx_llm_stream_block_t  *block;

    ngx_str_t  *label[4];

    label[0] = &labels->server;
    label[1] = &labels->location;
    label[2] = &labels->upstream;
    label[3] = &labels->model;

    row = zone->sh->rows[i];
    p = row->data;

    for (n = 0; n < 4; n++) {
        s = label[n];
        s->data = p;
        s->len = row->len[n];
        p += s->len;
    }

    s = &labels->model;
    others = s->len == 5 && ngx_memcmp(s->data, "other", 5) == 0;

    ngx_memzero(counts, sizeof(llm_counts_t));
    *open = others ? 0 : -1;

    for (n = 0; n < NGX_LLM_STREAM_SLOTS; n++) {

        slot = &zone->sh->slots[n];
        block = slot->blocks ? slot->blocks[i] : NULL;

        if (block == NULL) {
            continue;
        }

        llm_counts_merge(counts, &block->counts);

        if (others && block->open && slot->owner.pid
            && !ngx_llm_stream_owner_is_dead(&slot->owner))
        {
            *open += block->open;
        }
    }
}


uint64_t
ngx_llm_stream_zone_lost(ngx_llm_stream_zone_t *zone)
{
    return zone->sh->lost;
}


ngx_msec_t
ngx_llm_stream_zone_age(ngx_llm_stream_zone_t *zone)
{
    return ngx_current_msec - zone->sh->made;
}
