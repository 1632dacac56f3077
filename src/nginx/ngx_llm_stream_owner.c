/*
 * Owners of things in shared memory.  It must never signal a process.
 */

#include "ngx_llm_stream_owner.h"


static ngx_llm_stream_owner_t  ngx_llm_stream_self;


ngx_uint_t
ngx_llm_stream_owner_begin(void)
{
    ngx_time_t  *tp;

    if (ngx_llm_stream_self.pid == ngx_pid) {
        return 0;
    }

    tp = ngx_timeofday();

    ngx_llm_stream_self.pid = ngx_pid;
    ngx_llm_stream_self.born = (ngx_msec_t) tp->sec * 1000 + tp->msec;

    return 1;
}


ngx_llm_stream_owner_t *
ngx_llm_stream_owner_self(void)
{
    return &ngx_llm_stream_self;
}


ngx_uint_t
ngx_llm_stream_owner_is_self(ngx_llm_stream_owner_t *owner)
{
    return owner->pid == ngx_llm_stream_self.pid
           && owner->born == ngx_llm_stream_self.born;
}


/* Whose number is ours now has died before us. */

ngx_uint_t
ngx_llm_stream_owner_is_dead(ngx_llm_stream_owner_t *owner)
{
    if (owner->pid == ngx_pid) {
        return owner->born != ngx_llm_stream_self.born;
    }

    return kill(owner->pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}
