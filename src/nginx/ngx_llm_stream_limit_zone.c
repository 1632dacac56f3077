/*
 * The shared memory of token-rate limits: a bucket for each key, and a record
 * for each reservation, by the worker that made it.  A reservation fills the
 * bucket at once, and what is in it flows off at the rate; at its end the
 * difference to what was used is put right.  All under the zone's mutex.
 *
 * A worker may be killed at any time: those that live settle what it had
 * reserved with what it had counted.
 */

#include "ngx_llm_stream_limit.h"


#define NGX_LLM_STREAM_LIMIT_SWEEP   1000       /* ms */
#define NGX_LLM_STREAM_LIMIT_EVICT   32         /* keys for one reservation */
#define NGX_LLM_STREAM_LIMIT_OUTPUT  512        /* tokens, of a new model */


static void ngx_llm_stream_limit_insert_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_llm_stream_limit_record_t *ngx_llm_stream_limit_new_record(
    ngx_llm_stream_limit_zone_t *zone, ngx_llm_stream_limit_node_t *node);
static int64_t ngx_llm_stream_limit_units(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_ask_t *ask);
static ngx_llm_stream_limit_node_t *ngx_llm_stream_limit_lookup(
    ngx_llm_stream_limit_zone_t *zone, ngx_str_t *key);
static ngx_llm_stream_limit_node_t *ngx_llm_stream_limit_new_node(
    ngx_llm_stream_limit_zone_t *zone, ngx_str_t *key);
static void *ngx_llm_stream_limit_alloc(ngx_llm_stream_limit_zone_t *zone,
    size_t size, size_t len);
static void ngx_llm_stream_limit_expire(ngx_llm_stream_limit_zone_t *zone);
static void ngx_llm_stream_limit_delete(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_node_t *node);
static int64_t ngx_llm_stream_limit_level(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_node_t *node);
static void ngx_llm_stream_limit_tell(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_ask_t *ask, int64_t level, int64_t units);
static void ngx_llm_stream_limit_settle_locked(
    ngx_llm_stream_limit_zone_t *zone, ngx_llm_stream_limit_record_t *record);
static ngx_llm_stream_limit_owner_t *ngx_llm_stream_limit_owner(
    ngx_llm_stream_limit_zone_t *zone, ngx_str_t *key);
static ngx_uint_t ngx_llm_stream_limit_sweep_locked(
    ngx_llm_stream_limit_zone_t *zone);
static void ngx_llm_stream_limit_watch_handler(ngx_event_t *ev);


/* of this process */
static ngx_event_t       ngx_llm_stream_limit_timer;
static ngx_connection_t  ngx_llm_stream_limit_dumb;


/*
 * Runs in the master at start and reload.  `data` is the zone of the
 * configuration before: buckets and reservations go on, at the new rate.
 */

ngx_int_t
ngx_llm_stream_limit_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_llm_stream_limit_zone_t *before = data;

    ngx_slab_pool_t              *shpool;
    ngx_llm_stream_limit_zone_t  *zone;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    zone->shpool = shpool;

    if (before) {
        if (zone->key.value.len != before->key.value.len
            || ngx_strncmp(zone->key.value.data, before->key.value.data,
                           zone->key.value.len)
               != 0)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "llm_stream_limit_zone \"%V\" uses the \"%V\" key "
                          "while previously it used the \"%V\" key",
                          &shm_zone->shm.name, &zone->key.value,
                          &before->key.value);
            return NGX_ERROR;
        }

        zone->sh = before->sh;
        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        zone->sh = shpool->data;
        return NGX_OK;
    }

    zone->sh = ngx_slab_calloc(shpool, sizeof(ngx_llm_stream_limit_shared_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    shpool->data = zone->sh;
    shpool->log_nomem = 0;

    ngx_rbtree_init(&zone->sh->rbtree, &zone->sh->sentinel,
                    ngx_llm_stream_limit_insert_value);
    ngx_queue_init(&zone->sh->idle);
    ngx_queue_init(&zone->sh->owners);

    return NGX_OK;
}


static void
ngx_llm_stream_limit_insert_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t            **p;
    ngx_llm_stream_limit_node_t   *n, *t;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            n = (ngx_llm_stream_limit_node_t *) &node->color;
            t = (ngx_llm_stream_limit_node_t *) &temp->color;

            p = (ngx_memn2cmp(n->data, t->data, n->len, t->len) < 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/*
 * NGX_OK: reserved, ask->record is to be released; NGX_BUSY: no room,
 * ask->wait says when there will be; NGX_ERROR: no memory.  A reservation is
 * never more than the bucket holds, so that a full one has room for any.
 */

ngx_int_t
ngx_llm_stream_limit_reserve(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_ask_t *ask)
{
    int64_t                         level, units;
    ngx_int_t                       rc;
    ngx_uint_t                      foreign;
    ngx_llm_stream_limit_node_t    *node;
    ngx_llm_stream_limit_owner_t   *owner;
    ngx_llm_stream_limit_record_t  *record;

    ngx_shmtx_lock(&zone->shpool->mutex);

    foreign = ngx_llm_stream_limit_sweep_locked(zone);
    ngx_llm_stream_limit_expire(zone);

    rc = NGX_ERROR;
    owner = ngx_llm_stream_limit_owner(zone, &ask->key);
    node = owner ? ngx_llm_stream_limit_lookup(zone, &ask->key) : NULL;

    if (node == NULL) {
        goto done;
    }

    units = ngx_llm_stream_limit_units(zone, ask);
    level = ngx_llm_stream_limit_level(zone, node);

    if (level + units > (int64_t) ask->burst * NGX_LLM_STREAM_LIMIT_UNIT) {
        ngx_llm_stream_limit_tell(zone, ask, level, units);
        rc = NGX_BUSY;
        goto done;
    }

    record = ngx_llm_stream_limit_new_record(zone, node);
    if (record == NULL) {
        goto done;
    }

    record->units = units;
    record->most = 2 * (int64_t) ask->burst * NGX_LLM_STREAM_LIMIT_UNIT;
    ngx_queue_insert_tail(&owner->records, &record->queue);

    node->level = level + units;
    ngx_llm_stream_limit_tell(zone, ask, node->level, 0);

    ask->record = record;
    rc = NGX_OK;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (foreign) {
        ngx_llm_stream_limit_watch();
    }

    return rc;
}


/* The node is not to be evicted while it has one, nor for it. */

static ngx_llm_stream_limit_record_t *
ngx_llm_stream_limit_new_record(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_node_t *node)
{
    ngx_llm_stream_limit_record_t  *record;

    if (node->taken++ == 0) {
        ngx_queue_remove(&node->u.queue);
        node->u.with.debt = node->level;
        node->u.with.gone = 0;
    }

    record = ngx_llm_stream_limit_alloc(zone,
                                        sizeof(ngx_llm_stream_limit_record_t),
                                        node->len);
    if (record == NULL) {
        if (--node->taken == 0) {
            ngx_queue_insert_head(&zone->sh->idle, &node->u.queue);
        }

        return NULL;
    }

    record->node = node;
    record->start = ngx_current_msec;
    record->used = 0;

    return record;
}


/* What the request may come to, as far as the model is known. */

static int64_t
ngx_llm_stream_limit_units(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_ask_t *ask)
{
    int64_t                        in, out;
    ngx_llm_stream_limit_model_t  *m;

    m = ngx_llm_stream_limit_find_model(&zone->sh->models, &ask->model);

    ask->ratio_in = m ? m->input : NGX_LLM_STREAM_LIMIT_ONE;
    ask->ratio_out = m ? m->output : NGX_LLM_STREAM_LIMIT_ONE;

    in = (int64_t) (ask->input * ask->ratio_in / NGX_LLM_STREAM_LIMIT_ONE
                    + 999) / 1000;
    out = ask->output;

    if (out < 0) {
        out = (m ? m->mean : NGX_LLM_STREAM_LIMIT_OUTPUT) * ask->choices;
    }

    in = ngx_min(in, NGX_LLM_STREAM_TOKENS_MAX);
    out = ngx_min(out, NGX_LLM_STREAM_TOKENS_MAX);

    return ngx_min(in + out, (int64_t) ask->burst)
           * NGX_LLM_STREAM_LIMIT_UNIT;
}


/* For the client: how the bucket is, and when it will have room for so many
 * units. */

static void
ngx_llm_stream_limit_tell(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_ask_t *ask, int64_t level, int64_t units)
{
    int64_t  left;

    left = (int64_t) ask->burst * NGX_LLM_STREAM_LIMIT_UNIT - level;

    ask->remaining = left > 0 ? left / NGX_LLM_STREAM_LIMIT_UNIT : 0;
    ask->reset = (level + zone->rate - 1) / zone->rate;
    ask->wait = units > left ? (units - left + zone->rate - 1) / zone->rate
                             : 0;
}


/* The node becomes the latest even if the request will be refused: else who is
 * in debt and asks again would be forgotten first, with the debt. */

static ngx_llm_stream_limit_node_t *
ngx_llm_stream_limit_lookup(ngx_llm_stream_limit_zone_t *zone,
    ngx_str_t *key)
{
    uint32_t                      hash;
    ngx_int_t                     rc;
    ngx_rbtree_node_t            *node, *sentinel;
    ngx_llm_stream_limit_node_t  *n;

    hash = ngx_crc32_short(key->data, key->len);

    node = zone->sh->rbtree.root;
    sentinel = zone->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (hash != node->key) {
            node = (hash < node->key) ? node->left : node->right;
            continue;
        }

        n = (ngx_llm_stream_limit_node_t *) &node->color;

        rc = ngx_memn2cmp(key->data, n->data, key->len, (size_t) n->len);

        if (rc == 0) {

            if (n->taken == 0) {
                ngx_queue_remove(&n->u.queue);
                ngx_queue_insert_head(&zone->sh->idle, &n->u.queue);
            }

            return n;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return ngx_llm_stream_limit_new_node(zone, key);
}


static ngx_llm_stream_limit_node_t *
ngx_llm_stream_limit_new_node(ngx_llm_stream_limit_zone_t *zone,
    ngx_str_t *key)
{
    ngx_rbtree_node_t            *node;
    ngx_llm_stream_limit_node_t  *n;

    node = ngx_llm_stream_limit_alloc(zone, 0, key->len);
    if (node == NULL) {
        return NULL;
    }

    node->key = ngx_crc32_short(key->data, key->len);

    n = (ngx_llm_stream_limit_node_t *) &node->color;
    n->len = (u_short) key->len;
    n->taken = 0;
    n->level = 0;
    n->last = ngx_current_msec;
    ngx_memcpy(n->data, key->data, key->len);

    ngx_rbtree_insert(&zone->sh->rbtree, node);
    ngx_queue_insert_head(&zone->sh->idle, &n->u.queue);

    return n;
}


/*
 * At the expense of the keys not asked for the longest; NULL: all are in use,
 * or too many would have to go.  Nothing is smaller than the node of a key of
 * len bytes: memory of another size is on other pages, and a page is given
 * back only when all of it is free.
 */

static void *
ngx_llm_stream_limit_alloc(ngx_llm_stream_limit_zone_t *zone, size_t size,
    size_t len)
{
    void                         *p;
    ngx_uint_t                    i;
    ngx_queue_t                  *q;
    ngx_llm_stream_limit_node_t  *node;

    size = ngx_max(size, offsetof(ngx_rbtree_node_t, color)
                         + offsetof(ngx_llm_stream_limit_node_t, data) + len);

    for (i = 0; i < NGX_LLM_STREAM_LIMIT_EVICT; i++) {

        p = ngx_slab_alloc_locked(zone->shpool, size);

        if (p || ngx_queue_empty(&zone->sh->idle)) {
            return p;
        }

        q = ngx_queue_last(&zone->sh->idle);
        node = ngx_queue_data(q, ngx_llm_stream_limit_node_t, u.queue);

        ngx_llm_stream_limit_delete(zone, node);
    }

    return ngx_slab_alloc_locked(zone->shpool, size);
}


/* Forgets a key or two whose buckets are full: nothing is lost. */

static void
ngx_llm_stream_limit_expire(ngx_llm_stream_limit_zone_t *zone)
{
    ngx_uint_t                    i;
    ngx_queue_t                  *q;
    ngx_llm_stream_limit_node_t  *node;

    for (i = 0; i < 2 && !ngx_queue_empty(&zone->sh->idle); i++) {

        q = ngx_queue_last(&zone->sh->idle);
        node = ngx_queue_data(q, ngx_llm_stream_limit_node_t, u.queue);

        if (ngx_llm_stream_limit_level(zone, node) > 0) {
            return;
        }

        ngx_llm_stream_limit_delete(zone, node);
    }
}


static void
ngx_llm_stream_limit_delete(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_node_t *node)
{
    ngx_rbtree_node_t  *n;

    n = (ngx_rbtree_node_t *)
            ((u_char *) node - offsetof(ngx_rbtree_node_t, color));

    ngx_queue_remove(&node->u.queue);
    ngx_rbtree_delete(&zone->sh->rbtree, n);
    ngx_slab_free_locked(zone->shpool, n);
}


/* Lets flow off what has since the last time: what is settled first, then of
 * the reservations. */

static int64_t
ngx_llm_stream_limit_level(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_node_t *node)
{
    int64_t         off, debt;
    ngx_msec_int_t  ms;

    ms = (ngx_msec_int_t) (ngx_current_msec - node->last);

    if (ms < -60000) {
        ms = 1;

    } else if (ms <= 0) {
        /* a worker may be behind another by the time of a loop */
        return node->level;
    }

    off = (ms > node->level / zone->rate) ? node->level : zone->rate * ms;

    node->last = ngx_current_msec;
    node->level -= off;

    if (node->taken) {
        debt = ngx_min(off, node->u.with.debt);
        node->u.with.debt -= debt;
        node->u.with.gone += off - debt;
    }

    return node->level;
}


/* The end of a reservation: record->used was used of it. */

void
ngx_llm_stream_limit_release(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_record_t *record,
    ngx_llm_stream_limit_lesson_t *lesson)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_llm_stream_limit_settle_locked(zone, record);

    if (lesson) {
        ngx_llm_stream_limit_learn(&zone->sh->models, lesson);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/*
 * What was not used goes back, but not what of it has flowed off since: that
 * room was there for others.  What flowed off is counted for one reservation
 * only, however many there were at the time.  What was used beyond is debt, up
 * to one bucket of it.
 */

static void
ngx_llm_stream_limit_settle_locked(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_record_t *record)
{
    int64_t                       used, gone, cost;
    ngx_msec_int_t                ms;
    ngx_llm_stream_limit_node_t  *node;

    node = record->node;

    used = (int64_t) ngx_min(record->used,
                             (uint64_t) 2 * NGX_LLM_STREAM_TOKENS_MAX * 1000);
    used *= NGX_LLM_STREAM_LIMIT_UNIT / 1000;

    (void) ngx_llm_stream_limit_level(zone, node);

    ms = (ngx_msec_int_t) (ngx_current_msec - record->start);
    gone = (ms > record->units / zone->rate)
           ? record->units : zone->rate * ngx_max(ms, 0);
    gone = ngx_min(gone, node->u.with.gone);

    cost = ngx_max(used, gone);

    if (cost > record->units) {
        used = node->level + cost - record->units;
        cost = record->units - node->level;
        node->level = ngx_max(node->level, ngx_min(used, record->most));
        cost += node->level;

    } else {
        node->level -= record->units - cost;
        node->level = ngx_max(node->level, 0);
    }

    node->u.with.gone -= gone;
    node->u.with.debt = ngx_min(node->u.with.debt + cost - gone,
                                node->level);

    if (--node->taken == 0) {
        ngx_queue_insert_head(&zone->sh->idle, &node->u.queue);
    }

    ngx_queue_remove(&record->queue);
    ngx_slab_free_locked(zone->shpool, record);
}


/* This process among the owners. */

static ngx_llm_stream_limit_owner_t *
ngx_llm_stream_limit_owner(ngx_llm_stream_limit_zone_t *zone,
    ngx_str_t *key)
{
    ngx_queue_t                   *q;
    ngx_llm_stream_limit_owner_t  *owner;

    for (q = ngx_queue_head(&zone->sh->owners);
         q != ngx_queue_sentinel(&zone->sh->owners);
         q = ngx_queue_next(q))
    {
        owner = ngx_queue_data(q, ngx_llm_stream_limit_owner_t, queue);

        if (ngx_llm_stream_owner_is_self(&owner->process)) {
            return owner;
        }
    }

    owner = ngx_llm_stream_limit_alloc(zone,
                                       sizeof(ngx_llm_stream_limit_owner_t),
                                       key->len);
    if (owner == NULL) {
        return NULL;
    }

    owner->process = *ngx_llm_stream_owner_self();
    ngx_queue_init(&owner->records);
    ngx_queue_insert_tail(&zone->sh->owners, &owner->queue);

    return owner;
}


/* Settles for workers that are gone.  1: others live and have reservations,
 * so there may be something to do later. */

ngx_uint_t
ngx_llm_stream_limit_sweep(ngx_llm_stream_limit_zone_t *zone)
{
    ngx_uint_t  foreign;

    ngx_shmtx_lock(&zone->shpool->mutex);

    zone->begun = 0;
    foreign = ngx_llm_stream_limit_sweep_locked(zone);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return foreign;
}


/* At most once a second, unless that is to be forgotten. */

static ngx_uint_t
ngx_llm_stream_limit_sweep_locked(ngx_llm_stream_limit_zone_t *zone)
{
    ngx_uint_t                      foreign;
    ngx_queue_t                    *q, *next;
    ngx_llm_stream_limit_owner_t   *owner;

    if (zone->begun
        && ngx_current_msec - zone->swept < NGX_LLM_STREAM_LIMIT_SWEEP)
    {
        return 0;
    }

    zone->begun = 1;
    zone->swept = ngx_current_msec;
    foreign = 0;

    for (q = ngx_queue_head(&zone->sh->owners);
         q != ngx_queue_sentinel(&zone->sh->owners);
         q = next)
    {
        next = ngx_queue_next(q);
        owner = ngx_queue_data(q, ngx_llm_stream_limit_owner_t, queue);

        if (!ngx_llm_stream_owner_is_dead(&owner->process)) {
            foreign |= (owner->process.pid != ngx_pid
                        && !ngx_queue_empty(&owner->records));
            continue;
        }

        while (!ngx_queue_empty(&owner->records)) {
            ngx_llm_stream_limit_settle_locked(zone,
                ngx_queue_data(ngx_queue_head(&owner->records),
                               ngx_llm_stream_limit_record_t, queue));
        }

        ngx_queue_remove(&owner->queue);
        ngx_slab_free_locked(zone->shpool, owner);
    }

    return foreign;
}


/*
 * Runs once when a worker starts: the one before it may have been killed.
 * NGX_ERROR: the worker does not start.
 */

ngx_int_t
ngx_llm_stream_limit_init_process(ngx_cycle_t *cycle)
{
    if (!ngx_llm_stream_owner_begin()) {
        /* a single process, after a reload */
        return NGX_OK;
    }

    ngx_llm_stream_limit_dumb.fd = (ngx_socket_t) -1;

    ngx_memzero(&ngx_llm_stream_limit_timer, sizeof(ngx_event_t));
    ngx_llm_stream_limit_timer.handler = ngx_llm_stream_limit_watch_handler;
    ngx_llm_stream_limit_timer.data = &ngx_llm_stream_limit_dumb;
    ngx_llm_stream_limit_timer.log = cycle->log;
    ngx_llm_stream_limit_timer.cancelable = 1;

    ngx_llm_stream_limit_watch_handler(&ngx_llm_stream_limit_timer);

    return NGX_OK;
}


/* Others have reservations and may die: look again in a while. */

void
ngx_llm_stream_limit_watch(void)
{
    if (!ngx_llm_stream_limit_timer.timer_set) {
        ngx_add_timer(&ngx_llm_stream_limit_timer,
                      NGX_LLM_STREAM_LIMIT_SWEEP);
    }
}


static void
ngx_llm_stream_limit_watch_handler(ngx_event_t *ev)
{
    ngx_uint_t                    i, foreign;
    ngx_shm_zone_t              **zone;
    ngx_llm_stream_main_conf_t   *lmcf;

    lmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_llm_stream_module);

    if (lmcf == NULL || lmcf->limit_zones == NULL) {
        return;
    }

    zone = lmcf->limit_zones->elts;
    foreign = 0;

    for (i = 0; i < lmcf->limit_zones->nelts; i++) {
        foreign |= ngx_llm_stream_limit_sweep(zone[i]->data);
    }

    if (foreign) {
        ngx_llm_stream_limit_watch();
    }
}
