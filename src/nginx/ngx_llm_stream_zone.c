/*
 * The shared memory of metrics: series, and who counts where.  It must never
 * count, and never lock for something that is there already.
 *
 * Nothing in it is ever freed or moved.  A series is written before its number
 * is, a block is zeroed before it is linked; so readers need no lock.
 */

#include "ngx_llm_stream_zone.h"

#include "llm_utf8.h"


static ngx_int_t ngx_llm_stream_zone_create(ngx_shm_zone_t *shm_zone,
    ngx_llm_stream_zone_t *zone);
static void ngx_llm_stream_zone_begin(ngx_llm_stream_place_t *place);
static size_t ngx_llm_stream_zone_label(ngx_llm_stream_row_t *row,
    ngx_uint_t i, size_t at, ngx_str_t *s);
static ngx_int_t ngx_llm_stream_zone_find(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_row_t *row, ngx_uint_t *at);
static ngx_int_t ngx_llm_stream_zone_add(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_row_t *row, ngx_uint_t max);
static ngx_llm_stream_slot_t *ngx_llm_stream_zone_claim(
    ngx_llm_stream_zone_t *zone);
static ngx_llm_stream_slot_t *ngx_llm_stream_zone_vacant(
    ngx_llm_stream_zone_t *zone);


/*
 * Runs in the master at start and reload.  `data` is the zone of the
 * configuration before: all counts go on, and locations that are new come
 * after those that were.
 */

ngx_int_t
ngx_llm_stream_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_llm_stream_zone_t *before = data;

    ngx_uint_t                i;
    ngx_llm_stream_zone_t    *zone;
    ngx_llm_stream_place_t  **place;

    zone = shm_zone->data;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (before) {
        zone->sh = before->sh;

    } else if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;

    } else if (ngx_llm_stream_zone_create(shm_zone, zone) != NGX_OK) {
        return NGX_ERROR;
    }

    place = zone->locations.elts;

    for (i = 0; i < zone->locations.nelts; i++) {

        ngx_llm_stream_zone_begin(place[i]);

        place[i]->series = ngx_llm_stream_zone_add(zone, &place[i]->row,
                                                   NGX_LLM_STREAM_SERIES);

        if (place[i]->series == -1) {
            ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                          "llm_stream_zone \"%V\" has no room for location "
                          "\"%V\", it is not counted", &zone->name,
                          &place[i]->labels.location);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_zone_create(ngx_shm_zone_t *shm_zone,
    ngx_llm_stream_zone_t *zone)
{
    zone->sh = ngx_slab_calloc(zone->shpool,
                               sizeof(ngx_llm_stream_zone_shared_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->sh;
    zone->shpool->log_nomem = 0;

    zone->sh->made = ngx_current_msec;

    return NGX_OK;
}


/* The row of the location, as that of "other". */

static void
ngx_llm_stream_zone_begin(ngx_llm_stream_place_t *place)
{
    size_t                    n;
    ngx_llm_stream_series_t  *labels;

    labels = &place->labels;

    n = ngx_llm_stream_zone_label(&place->row, 0, 0, &labels->server);
    n = ngx_llm_stream_zone_label(&place->row, 1, n, &labels->location);
    n = ngx_llm_stream_zone_label(&place->row, 2, n, &labels->upstream);

    (void) ngx_llm_stream_zone_label(&place->row, 3, n, &labels->model);
}


static size_t
ngx_llm_stream_zone_label(ngx_llm_stream_row_t *row, ngx_uint_t i, size_t at,
    ngx_str_t *s)
{
    size_t  n;

    n = llm_utf8_label(row->data + at, NGX_LLM_STREAM_LABEL, s->data, s->len);
    row->len[i] = (u_char) n;

    return at + n;
}


#define ngx_llm_stream_zone_row_size(row)                                   \
    (offsetof(ngx_llm_stream_row_t, data) + (row)->len[0] + (row)->len[1]   \
     + (row)->len[2] + (row)->len[3])


/*
 * The series of a model at a location; -1: there is none, and it was not to be
 * added, or there is no room for it.
 */

ngx_int_t
ngx_llm_stream_zone_model(ngx_llm_stream_place_t *place, ngx_str_t *model,
    ngx_uint_t add)
{
    size_t                 at;
    ngx_int_t              series;
    ngx_uint_t             i;
    ngx_llm_stream_row_t  *row;

    row = &place->row;
    at = row->len[0] + row->len[1] + row->len[2];

    (void) ngx_llm_stream_zone_label(row, 3, at, model);

    series = ngx_llm_stream_zone_find(place->zone, row, &i);

    if (series == -1 && add) {
        series = ngx_llm_stream_zone_add(place->zone, row,
                                         NGX_LLM_STREAM_SERIES
                                         - NGX_LLM_STREAM_SPARE);
    }

    return series;
}


/* The series of the row, -1: there is none; *at: its place in the index. */

static ngx_int_t
ngx_llm_stream_zone_find(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_row_t *row, ngx_uint_t *at)
{
    size_t                 size;
    ngx_uint_t             i, n;
    ngx_llm_stream_row_t  *other;

    size = ngx_llm_stream_zone_row_size(row);

    i = ngx_murmur_hash2((u_char *) row, size);

    /* it is never full */

    for ( ;; i++) {

        i &= NGX_LLM_STREAM_HASH - 1;

        n = zone->sh->index[i];
        ngx_memory_barrier();

        if (n == 0) {
            *at = i;
            return -1;
        }

        other = zone->sh->rows[n - 1];

        if (ngx_llm_stream_zone_row_size(other) == size
            && ngx_memcmp(other, row, size) == 0)
        {
            *at = i;
            return n - 1;
        }
    }
}


/* The series of the row, a new one if there are less than max; -1: no room. */

static ngx_int_t
ngx_llm_stream_zone_add(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_row_t *row, ngx_uint_t max)
{
    size_t                         size;
    ngx_int_t                      series;
    ngx_uint_t                     at;
    ngx_llm_stream_row_t          *new;
    ngx_llm_stream_zone_shared_t  *sh;

    sh = zone->sh;
    size = ngx_llm_stream_zone_row_size(row);

    ngx_shmtx_lock(&zone->shpool->mutex);

    series = ngx_llm_stream_zone_find(zone, row, &at);

    if (series == -1 && sh->n < max) {

        new = ngx_slab_alloc_locked(zone->shpool, size);

        if (new) {
            ngx_memcpy(new, row, size);

            series = sh->n;
            sh->rows[series] = new;

            ngx_memory_barrier();
            sh->n = series + 1;
            sh->index[at] = (uint16_t) (series + 1);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return series;
}


/* Where this process counts a series; NULL: no room. */

ngx_llm_stream_block_t *
ngx_llm_stream_zone_block(ngx_llm_stream_zone_t *zone, ngx_int_t series)
{
    ngx_llm_stream_block_t  *block;

    if (series == -1) {
        return NULL;
    }

    if (zone->slot == NULL) {
        zone->slot = ngx_llm_stream_zone_claim(zone);

        if (zone->slot == NULL) {
            return NULL;
        }
    }

    block = zone->slot->blocks[series];

    if (block == NULL) {
        block = ngx_slab_calloc(zone->shpool,
                                sizeof(ngx_llm_stream_block_t));
        ngx_memory_barrier();
        zone->slot->blocks[series] = block;
    }

    return block;
}


/*
 * A slot for this process: its own, if it had one before a reload, else one
 * that nobody has any more, whose counts it goes on with.
 */

static ngx_llm_stream_slot_t *
ngx_llm_stream_zone_claim(ngx_llm_stream_zone_t *zone)
{
    ngx_uint_t                i;
    ngx_llm_stream_slot_t    *slot;
    ngx_llm_stream_block_t  **blocks;

    ngx_shmtx_lock(&zone->shpool->mutex);

    slot = ngx_llm_stream_zone_vacant(zone);

    if (slot == NULL || ngx_llm_stream_owner_is_self(&slot->owner)) {
        goto done;
    }

    if (slot->blocks == NULL) {
        blocks = ngx_slab_calloc_locked(zone->shpool,
                                        NGX_LLM_STREAM_SERIES
                                        * sizeof(ngx_llm_stream_block_t *));
        if (blocks == NULL) {
            slot = NULL;
            goto done;
        }

        ngx_memory_barrier();
        slot->blocks = blocks;
    }

    for (i = 0; i < NGX_LLM_STREAM_SERIES; i++) {
        if (slot->blocks[i]) {
            slot->blocks[i]->open = 0;
        }
    }

    ngx_memory_barrier();
    slot->owner = *ngx_llm_stream_owner_self();

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return slot;
}


static ngx_llm_stream_slot_t *
ngx_llm_stream_zone_vacant(ngx_llm_stream_zone_t *zone)
{
    ngx_uint_t              i;
    ngx_llm_stream_slot_t  *slot, *vacant;

    vacant = NULL;

    for (i = 0; i < NGX_LLM_STREAM_SLOTS; i++) {

        slot = &zone->sh->slots[i];

        if (ngx_llm_stream_owner_is_self(&slot->owner)) {
            return slot;
        }

        if (vacant == NULL
            && (slot->owner.pid == 0
                || ngx_llm_stream_owner_is_dead(&slot->owner)))
        {
            vacant = slot;
        }
    }

    return vacant;
}


/* A request that cannot be counted. */

void
ngx_llm_stream_zone_lose(ngx_llm_stream_zone_t *zone, ngx_log_t *log)
{
    (void) ngx_atomic_fetch_add(&zone->sh->lost, 1);

    if (zone->full) {
        return;
    }

    zone->full = 1;

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "llm_stream_zone \"%V\" is full, requests are not counted",
                  &zone->name);
}


/* Runs when a worker exits: another one goes on with its slot. */

void
ngx_llm_stream_zone_exit(ngx_cycle_t *cycle)
{
    ngx_llm_stream_main_conf_t  *lmcf;

    lmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_llm_stream_module);

    if (lmcf == NULL || lmcf->zone == NULL || lmcf->zone->slot == NULL) {
        return;
    }

    ngx_memory_barrier();
    lmcf->zone->slot->owner.pid = 0;
    lmcf->zone->slot = NULL;
}
