/*
 * llm_stream_padding: how much an event of the client's stream is padded,
 * and the random bytes for it.  The padding itself is llm_pad.c.
 */

#include "ngx_llm_stream.h"

#include <openssl/rand.h>


#define NGX_LLM_STREAM_RANDOM  1024     /* bytes fetched at once */


static void ngx_llm_stream_random(void *data, llm_u8 *p, size_t n);


/* Of the worker: what a stream uses up, none other gets. */

static u_char      ngx_llm_stream_pool[NGX_LLM_STREAM_RANDOM];
static size_t      ngx_llm_stream_left;


/* What providers that pad do, or more. */

static llm_pad_conf_t  ngx_llm_stream_lost = {
    0, 32, 1, ngx_llm_stream_random, NULL
};


/* llm_stream_padding auto | off | bucket=64|128|256 | random=<bytes> */

char *
ngx_llm_stream_set_padding(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_int_t        n;
    ngx_str_t       *value;
    llm_pad_conf_t  *pad;

    if (llcf->padding != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        llcf->padding = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "auto") == 0) {
        llcf->padding = &ngx_llm_stream_lost;
        return NGX_CONF_OK;
    }

    pad = ngx_pcalloc(cf->pool, sizeof(llm_pad_conf_t));
    if (pad == NULL) {
        return NGX_CONF_ERROR;
    }

    pad->bytes = ngx_llm_stream_random;
    llcf->padding = pad;

    if (ngx_strncmp(value[1].data, "bucket=", 7) == 0) {
        n = ngx_atoi(value[1].data + 7, value[1].len - 7);

        if (n != 64 && n != 128 && n != 256) {
            return "has a bucket that is not 64, 128 or 256";
        }

        pad->bucket = n;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[1].data, "random=", 7) == 0) {
        n = ngx_atoi(value[1].data + 7, value[1].len - 7);

        if (n == NGX_ERROR || n == 0 || n > LLM_PAD_MAX) {
            return "has a number of random bytes that is not between 1 and "
                   "1024";
        }

        pad->random = n;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\"", &value[1]);

    return NGX_CONF_ERROR;
}


void
ngx_llm_stream_merge_padding(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->padding, prev->padding,
                             &ngx_llm_stream_lost);
}


/* llm_pad_conf_t.bytes */

static void
ngx_llm_stream_random(void *data, llm_u8 *p, size_t n)
{
    size_t  k;

    while (n) {

        if (ngx_llm_stream_left == 0) {

            if (RAND_bytes(ngx_llm_stream_pool, NGX_LLM_STREAM_RANDOM) != 1) {
                ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                              "RAND_bytes() failed");
                ngx_memzero(ngx_llm_stream_pool, NGX_LLM_STREAM_RANDOM);
            }

            ngx_llm_stream_left = NGX_LLM_STREAM_RANDOM;
        }

        k = ngx_min(n, ngx_llm_stream_left);

        ngx_memcpy(p, ngx_llm_stream_pool + NGX_LLM_STREAM_RANDOM
                      - ngx_llm_stream_left, k);

        ngx_llm_stream_left -= k;
        p += k;
        n -= k;
    }
}
