/*
 * Files beside streams.  Bytes are gathered in memory and written in batches
 * by a thread of nginx's pool, which alone touches the disk; one batch is
 * under way at a time.  A file lives for itself: it outlives its request, and
 * no request ever waits for it.  When the disk is too slow or fails the file
 * is given up with a line in the log.
 *
 * The bytes are in a file of another name in the same directory until all of
 * them are there, so that under its own name it is whole, always.  Threads
 * must never touch anything but the members that are theirs.
 */

#include "ngx_llm_stream_file.h"


#define NGX_LLM_STREAM_FILE_BATCH  4096
#define NGX_LLM_STREAM_FILE_WAIT   (1024 * 1024)    /* bytes for the disk */

#define NGX_LLM_STREAM_FILE_ROOM                                            \
    (sizeof(NGX_LLM_STREAM_FILE_TEMP) + NGX_INT64_LEN + NGX_INT32_LEN)


typedef enum {
    ngx_llm_stream_file_open = 0,
    ngx_llm_stream_file_keep,
    ngx_llm_stream_file_drop
} ngx_llm_stream_file_end_e;


struct ngx_llm_stream_file_s {
    ngx_queue_t                 queue;
    ngx_llm_stream_file_t     **owner;      /* NULL: it has let go */
    ngx_log_t                  *log;
    ngx_thread_pool_t          *pool;
    llm_alloc_t                 alloc;
    llm_block_t                 next;       /* to be written */
    ngx_llm_stream_file_end_e   end;
    ngx_uint_t                  busy;
    ngx_str_t                   path;

    /* of the thread, while busy */
    llm_block_t                 block;      /* is written */
    ngx_llm_stream_file_end_e   last;       /* what follows */
    ngx_fd_t                    fd;
    u_char                     *temp;       /* its name */
    u_char                     *temp_name;  /* the last part of it */
    const char                 *failed;     /* what did, with err */
    ngx_err_t                   err;
    ngx_uint_t                  closed;     /* nothing is left to do */
    volatile ngx_uint_t         worked;

#if (NGX_THREADS)
    ngx_thread_task_t           task;
#endif
};


static void ngx_llm_stream_file_give_up(ngx_llm_stream_file_t *file);
static void ngx_llm_stream_file_start(ngx_llm_stream_file_t *file);
#if (NGX_THREADS)
static void ngx_llm_stream_file_done_handler(ngx_event_t *ev);
#endif
static void ngx_llm_stream_file_done(ngx_llm_stream_file_t *file);
static void ngx_llm_stream_file_free(ngx_llm_stream_file_t *file);
static void ngx_llm_stream_file_work(void *data, ngx_log_t *log);
static ngx_int_t ngx_llm_stream_file_open_temp(ngx_llm_stream_file_t *file);
static ngx_int_t ngx_llm_stream_file_write(ngx_llm_stream_file_t *file);
static void ngx_llm_stream_file_rename(ngx_llm_stream_file_t *file);
static void ngx_llm_stream_file_remove(ngx_llm_stream_file_t *file);


/* All of this worker's that are not done. */
static ngx_queue_t  ngx_llm_stream_files;


ngx_llm_stream_file_t *
ngx_llm_stream_file_create(ngx_str_t *path, ngx_thread_pool_t *pool,
    ngx_log_t *log, ngx_llm_stream_file_t **owner)
{
    u_char                 *p;
    ngx_llm_stream_file_t  *file;

    file = ngx_calloc(sizeof(ngx_llm_stream_file_t) + 2 * (path->len + 1)
                      + NGX_LLM_STREAM_FILE_ROOM, log);
    if (file == NULL) {
        return NULL;
    }

    file->owner = owner;
    file->log = log;
    file->pool = pool;
    file->alloc.resize = ngx_llm_stream_resize;
    file->alloc.ctx = log;
    file->fd = NGX_INVALID_FILE;

    file->path.data = (u_char *) (file + 1);
    file->path.len = path->len;
    p = ngx_cpymem(file->path.data, path->data, path->len);
    *p++ = '\0';

    file->temp = p;
    p = ngx_cpymem(p, path->data, path->len);

    while (p > file->temp && p[-1] != '/') {
        p--;
    }

    file->temp_name = p;

#if (NGX_THREADS)
    file->task.handler = ngx_llm_stream_file_work;
    file->task.ctx = file;
    file->task.event.handler = ngx_llm_stream_file_done_handler;
    file->task.event.data = file;
    file->task.event.log = log;
#endif

    if (ngx_llm_stream_files.next == NULL) {
        ngx_queue_init(&ngx_llm_stream_files);
    }

    ngx_queue_insert_tail(&ngx_llm_stream_files, &file->queue);

    return file;
}


ngx_int_t
ngx_llm_stream_file_add(ngx_llm_stream_file_t *file, const u_char *p,
    size_t n)
{
    if (llm_block_append(&file->next, &file->alloc, p, n) != LLM_OK) {
        ngx_llm_stream_file_give_up(file);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_llm_stream_file_flush(ngx_llm_stream_file_t *file)
{
    if (!file->busy) {

        if (file->next.n >= NGX_LLM_STREAM_FILE_BATCH) {
            ngx_llm_stream_file_start(file);
        }

        return;
    }

    if (file->next.n > NGX_LLM_STREAM_FILE_WAIT) {
        ngx_log_error(NGX_LOG_ERR, file->log, 0,
                      "llm_stream gives up storing to \"%V\": "
                      "the disk is slower than the stream", &file->path);

        ngx_llm_stream_file_give_up(file);
    }
}


void
ngx_llm_stream_file_end(ngx_llm_stream_file_t *file, ngx_uint_t whole)
{
    file->owner = NULL;
    file->end = whole ? ngx_llm_stream_file_keep : ngx_llm_stream_file_drop;

    if (file->busy) {
        return;
    }

    if (!whole && file->fd == NGX_INVALID_FILE) {
        ngx_llm_stream_file_free(file);
        return;
    }

    ngx_llm_stream_file_start(file);
}


static void
ngx_llm_stream_file_give_up(ngx_llm_stream_file_t *file)
{
    *file->owner = NULL;

    ngx_llm_stream_file_end(file, 0);
}


/* Writes what there is and does what end says.  The file may be gone when it
 * returns. */

static void
ngx_llm_stream_file_start(ngx_llm_stream_file_t *file)
{
    llm_block_t  block;

    block = file->block;
    file->block = file->next;
    file->next = block;
    file->next.n = 0;

    file->last = file->end;

#if (NGX_THREADS)

    if (file->pool) {
        file->busy = 1;
        file->worked = 0;

        if (ngx_thread_task_post(file->pool, &file->task) == NGX_OK) {
            return;
        }

        /* too many wait: said by the pool.  To write here would block. */

        file->task.event.active = 0;
        file->last = ngx_llm_stream_file_drop;
    }

#endif

    ngx_llm_stream_file_work(file, file->log);
    ngx_llm_stream_file_done(file);
}


#if (NGX_THREADS)

/* Runs from the event loop after a thread has done its work. */

static void
ngx_llm_stream_file_done_handler(ngx_event_t *ev)
{
    ngx_llm_stream_file_done(ev->data);
}

#endif


static void
ngx_llm_stream_file_done(ngx_llm_stream_file_t *file)
{
    file->busy = 0;

    if (file->failed) {
        ngx_log_error(NGX_LOG_ERR, file->log, file->err,
                      "llm_stream cannot store an answer: "
                      "%s \"%V\" failed", file->failed, &file->path);
    }

    if (file->closed) {
        ngx_llm_stream_file_free(file);
        return;
    }

    if (file->end != ngx_llm_stream_file_open
        || file->next.n >= NGX_LLM_STREAM_FILE_BATCH)
    {
        ngx_llm_stream_file_start(file);
    }
}


static void
ngx_llm_stream_file_free(ngx_llm_stream_file_t *file)
{
    if (file->owner) {
        *file->owner = NULL;
    }

    ngx_queue_remove(&file->queue);

    llm_block_free(&file->next, &file->alloc);
    llm_block_free(&file->block, &file->alloc);
    ngx_free(file);
}


/*
 * The threads were waited for, but what they have done was not taken note of.
 * What is whole gets its name, the rest goes.
 */

void
ngx_llm_stream_file_exit(void)
{
    ngx_queue_t            *q, *next;
    ngx_llm_stream_file_t  *file;

    if (ngx_llm_stream_files.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&ngx_llm_stream_files);
         q != ngx_queue_sentinel(&ngx_llm_stream_files);
         q = next)
    {
        next = ngx_queue_next(q);
        file = ngx_queue_data(q, ngx_llm_stream_file_t, queue);

        if (file->busy && !file->worked) {
            /* only if a pool that was too full could not be waited for */
            continue;
        }

        file->pool = NULL;

        if (file->end == ngx_llm_stream_file_open) {
            file->end = ngx_llm_stream_file_drop;
        }

        if (file->busy) {
            ngx_llm_stream_file_done(file);

        } else {
            ngx_llm_stream_file_start(file);
        }
    }
}


/* Runs in a thread, or in the worker where there is none.  Logs nothing: a
 * log has one writer. */

static void
ngx_llm_stream_file_work(void *data, ngx_log_t *log)
{
    ngx_llm_stream_file_t  *file = data;

    if (file->last == ngx_llm_stream_file_drop) {
        ngx_llm_stream_file_remove(file);

    } else if (ngx_llm_stream_file_write(file) != NGX_OK) {
        file->err = ngx_errno;
        ngx_llm_stream_file_remove(file);

    } else if (file->last == ngx_llm_stream_file_keep) {
        ngx_llm_stream_file_rename(file);
    }

    ngx_memory_barrier();

    file->worked = 1;
}


/* For the owner alone, new, and beside where it will be. */

static ngx_int_t
ngx_llm_stream_file_open_temp(ngx_llm_stream_file_t *file)
{
    uint32_t    n;
    ngx_err_t   err;
    ngx_uint_t  made;

    made = 0;
    n = (uint32_t) ngx_next_temp_number(0);

    for ( ;; ) {
        (void) ngx_sprintf(file->temp_name, NGX_LLM_STREAM_FILE_TEMP
                           "%P.%010uD%Z", ngx_pid, n);

        file->fd = ngx_open_tempfile(file->temp, 1, NGX_FILE_OWNER_ACCESS);

        if (file->fd != NGX_INVALID_FILE) {
            return NGX_OK;
        }

        err = ngx_errno;

        if (err == NGX_EEXIST_FILE) {
            n = (uint32_t) ngx_next_temp_number(1);
            continue;
        }

        if (err != NGX_ENOPATH || made) {
            file->failed = ngx_open_tempfile_n;
            return NGX_ERROR;
        }

        err = ngx_create_full_path(file->temp, 0700);

        if (err) {
            ngx_set_errno(err);
            file->failed = ngx_create_dir_n;
            return NGX_ERROR;
        }

        made = 1;
    }
}


static ngx_int_t
ngx_llm_stream_file_write(ngx_llm_stream_file_t *file)
{
    size_t   done;
    ssize_t  n;

    if (file->fd == NGX_INVALID_FILE
        && ngx_llm_stream_file_open_temp(file) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (done = 0; done < file->block.n; done += n) {
        n = ngx_write_fd(file->fd, file->block.p + done,
                         file->block.n - done);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            n = 0;
            continue;
        }

        if (n <= 0) {
            file->failed = ngx_write_fd_n;
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* A disk over a network may say only now that it is full. */

static void
ngx_llm_stream_file_rename(ngx_llm_stream_file_t *file)
{
    ngx_fd_t  fd;

    fd = file->fd;
    file->fd = NGX_INVALID_FILE;

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        file->failed = ngx_close_file_n;

    } else if (ngx_rename_file(file->temp, file->path.data)
               == NGX_FILE_ERROR)
    {
        file->failed = ngx_rename_file_n;
    }

    if (file->failed) {
        file->err = ngx_errno;
        (void) ngx_delete_file(file->temp);
    }

    file->closed = 1;
}


static void
ngx_llm_stream_file_remove(ngx_llm_stream_file_t *file)
{
    if (file->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(file->fd);
        (void) ngx_delete_file(file->temp);
        file->fd = NGX_INVALID_FILE;
    }

    file->closed = 1;
}
