/*
 * llm_stream_redact: its rules, as configured, the counters of a request, and
 * what is logged of them: names and numbers, never a byte that matched.
 */

#include "ngx_llm_stream.h"

#include "llm_stage_redact.h"
#include "llm_utf8.h"


struct ngx_llm_stream_redact_s {
    llm_redact_t                redact;
};

/* Of a request; in its pool, and made anew by each attempt. */
struct ngx_llm_stream_redacted_s {
    llm_stage_redact_conf_t     conf;
    unsigned                    gave_up;
    uint64_t                    counts[1];
};

typedef struct {
    llm_redact_rule_t           rule;
    ngx_str_t                   name;
    ngx_str_t                   words;
    ngx_str_t                   regex;
    ngx_str_t                   with;
    ngx_str_t                   action;
    ngx_str_t                   in;
    ngx_str_t                   max;
} ngx_llm_stream_redact_args_t;


static ngx_llm_stream_redact_t *ngx_llm_stream_redact_create(ngx_conf_t *cf);
static void ngx_llm_stream_redact_cleanup(void *data);
static ngx_int_t ngx_llm_stream_redact_split(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args);
static char *ngx_llm_stream_redact_rule(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact);
static char *ngx_llm_stream_redact_name(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact);
static ngx_int_t ngx_llm_stream_redact_word(ngx_conf_t *cf,
    ngx_conf_enum_t *list, ngx_str_t *s, const char *what);
static char *ngx_llm_stream_redact_action(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args);
static char *ngx_llm_stream_redact_in(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args);
static char *ngx_llm_stream_redact_max(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args);
static char *ngx_llm_stream_redact_regex(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact);
static char *ngx_llm_stream_redact_words(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact);
static ngx_int_t ngx_llm_stream_redact_read(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *text);


#define ngx_llm_stream_redact_param(name)                                   \
    { ngx_string(#name "="), offsetof(ngx_llm_stream_redact_args_t, name) }


static struct {
    ngx_str_t                   name;
    size_t                      offset;

} ngx_llm_stream_redact_params[] = {
    ngx_llm_stream_redact_param(name),
    ngx_llm_stream_redact_param(words),
    ngx_llm_stream_redact_param(regex),
    ngx_llm_stream_redact_param(with),
    ngx_llm_stream_redact_param(action),
    ngx_llm_stream_redact_param(in),
    ngx_llm_stream_redact_param(max),
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_llm_stream_redact_actions[] = {
    { ngx_string("mask"), LLM_REDACT_MASK },
    { ngx_string("block"), LLM_REDACT_BLOCK },
    { ngx_string("log"), LLM_REDACT_LOG },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_llm_stream_redact_kinds[] = {
    { ngx_string("content"), LLM_REDACT_CONTENT },
    { ngx_string("reasoning"), LLM_REDACT_REASONING },
    { ngx_string("tool_args"), LLM_REDACT_TOOL_ARGS },
    { ngx_null_string, 0 }
};


/* llm_stream_redact name=NAME words=FILE | regex=PATTERN [with=TEXT]
 *     [action=mask|block|log] [in=content,reasoning,tool_args] [max=NUMBER]
 * llm_stream_redact off */

char *
ngx_llm_stream_set_redact(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t                     *value;
    ngx_llm_stream_redact_args_t   args;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {

        if (llcf->redact_set) {
            return "is duplicate";
        }

        llcf->redact_set = 1;

        return NGX_CONF_OK;
    }

    if (llcf->redact_set && llcf->redact == NULL) {
        return "is \"off\" already";
    }

    llcf->redact_set = 1;

    if (llcf->redact == NULL) {
        llcf->redact = ngx_llm_stream_redact_create(cf);

        if (llcf->redact == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_memzero(&args, sizeof(ngx_llm_stream_redact_args_t));

    if (ngx_llm_stream_redact_split(cf, &args) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_llm_stream_redact_rule(cf, &args, &llcf->redact->redact);
}


static char *
ngx_llm_stream_redact_rule(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact)
{
    char  *rv;

    if ((args->words.data == NULL) == (args->regex.data == NULL)) {
        return "takes one of \"words=\" and \"regex=\"";
    }

    rv = ngx_llm_stream_redact_name(cf, args, redact);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_llm_stream_redact_action(cf, args);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_llm_stream_redact_in(cf, args);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_llm_stream_redact_max(cf, args);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return args->regex.data
           ? ngx_llm_stream_redact_regex(cf, args, redact)
           : ngx_llm_stream_redact_words(cf, args, redact);
}


/* Rules of a level take the place of all that are inherited. */

void
ngx_llm_stream_merge_redact(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    if (!conf->redact_set) {
        conf->redact = prev->redact;
        conf->redact_set = prev->redact_set;
    }
}


static ngx_llm_stream_redact_t *
ngx_llm_stream_redact_create(ngx_conf_t *cf)
{
    llm_alloc_t               alloc;
    ngx_pool_cleanup_t       *cln;
    ngx_llm_stream_redact_t  *redact;

    redact = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_redact_t));
    if (redact == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    alloc.resize = ngx_llm_stream_resize;
    alloc.ctx = cf->cycle->log;
    llm_redact_init(&redact->redact, &alloc);

    cln->handler = ngx_llm_stream_redact_cleanup;
    cln->data = redact;

    return redact;
}


/* Runs when the configuration is dropped: what PCRE2 compiled to machine code
 * lies in no pool. */

static void
ngx_llm_stream_redact_cleanup(void *data)
{
    ngx_llm_stream_redact_t *redact = data;

    llm_redact_free(&redact->redact);
}


static ngx_int_t
ngx_llm_stream_redact_split(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args)
{
    ngx_str_t   *value, *arg, *name;
    ngx_uint_t   i, n;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (n = 0; ngx_llm_stream_redact_params[n].name.len; n++) {
            name = &ngx_llm_stream_redact_params[n].name;

            if (ngx_strncmp(value[i].data, name->data, name->len) == 0) {
                break;
            }
        }

        name = &ngx_llm_stream_redact_params[n].name;

        if (name->len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_ERROR;
        }

        arg = (ngx_str_t *) (void *)
                  ((u_char *) args + ngx_llm_stream_redact_params[n].offset);

        if (arg->data) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
            return NGX_ERROR;
        }

        arg->data = value[i].data + name->len;
        arg->len = value[i].len - name->len;
    }

    return NGX_OK;
}


/* It is what the log says. */

static char *
ngx_llm_stream_redact_name(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact)
{
    u_char              c;
    size_t              i;
    llm_redact_rule_t  *rule;

    if (args->name.data == NULL) {
        return "needs \"name=\"";
    }

    for (i = 0; i < args->name.len; i++) {
        c = args->name.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
              || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.'))
        {
            break;
        }
    }

    if (i != args->name.len || i == 0 || i > 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid name \"%V\"",
                           &args->name);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < llm_redact_nrules(redact); i++) {
        rule = &llm_redact_rules(redact)[i];

        if (rule->name.n == args->name.len
            && ngx_memcmp(rule->name.p, args->name.data, args->name.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate name \"%V\"",
                               &args->name);
            return NGX_CONF_ERROR;
        }
    }

    args->rule.name.p = args->name.data;
    args->rule.name.n = args->name.len;

    return NGX_CONF_OK;
}


/* The value of a list that s is; NGX_ERROR: it is none. */

static ngx_int_t
ngx_llm_stream_redact_word(ngx_conf_t *cf, ngx_conf_enum_t *list,
    ngx_str_t *s, const char *what)
{
    ngx_conf_enum_t  *e;

    for (e = list; e->name.len; e++) {
        if (e->name.len == s->len
            && ngx_strncmp(e->name.data, s->data, s->len) == 0)
        {
            return e->value;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" of \"%s\"",
                       s, what);

    return NGX_ERROR;
}


static char *
ngx_llm_stream_redact_action(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args)
{
    ngx_int_t           n;
    llm_redact_rule_t  *rule;

    rule = &args->rule;
    n = LLM_REDACT_MASK;

    if (args->action.data) {
        n = ngx_llm_stream_redact_word(cf, ngx_llm_stream_redact_actions,
                                       &args->action, "action=");
        if (n == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }
    }

    rule->action = n;
    rule->with = rule->action == LLM_REDACT_BLOCK
                 ? llm_slice("This answer was blocked.") : llm_slice("***");

    if (args->with.data == NULL) {
        return NGX_CONF_OK;
    }

    if (rule->action == LLM_REDACT_LOG) {
        return "has no use for \"with=\" with \"action=log\"";
    }

    if (rule->action == LLM_REDACT_BLOCK && args->with.len == 0) {
        return "has an empty \"with=\" with \"action=block\"";
    }

    if (llm_utf8_check(args->with.data, args->with.len) & LLM_UTF8_INVALID) {
        return "has a \"with=\" that is not UTF-8";
    }

    rule->with.p = args->with.data;
    rule->with.n = args->with.len;

    return NGX_CONF_OK;
}


static char *
ngx_llm_stream_redact_in(ngx_conf_t *cf, ngx_llm_stream_redact_args_t *args)
{
    u_char     *p, *end;
    ngx_int_t   kind;
    ngx_str_t   word;

    if (args->in.data == NULL) {
        args->rule.in = LLM_REDACT_CONTENT;
        return NGX_CONF_OK;
    }

    end = args->in.data + args->in.len;

    for (word.data = args->in.data; word.data <= end; word.data = p + 1) {
        p = ngx_strlchr(word.data, end, ',');
        p = p ? p : end;
        word.len = p - word.data;

        kind = ngx_llm_stream_redact_word(cf, ngx_llm_stream_redact_kinds,
                                          &word, "in=");
        if (kind == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        args->rule.in |= kind;
    }

    return NGX_CONF_OK;
}


static char *
ngx_llm_stream_redact_max(ngx_conf_t *cf, ngx_llm_stream_redact_args_t *args)
{
    ngx_int_t  n;

    if (args->max.data == NULL) {
        return NGX_CONF_OK;
    }

    n = ngx_atoi(args->max.data, args->max.len);

    if (n == NGX_ERROR || n < 1 || n > LLM_REDACT_LIMIT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"max=\", "
                           "it must be between 1 and %d",
                           &args->max, LLM_REDACT_LIMIT);
        return NGX_CONF_ERROR;
    }

    args->rule.max = n;

    return NGX_CONF_OK;
}


static char *
ngx_llm_stream_redact_regex(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact)
{
    llm_rc_t          rc;
    llm_redact_why_t  why;

    if (llm_utf8_check(args->regex.data, args->regex.len) & LLM_UTF8_INVALID) {
        return "has a \"regex=\" that is not UTF-8";
    }

    rc = llm_redact_regex(redact, &args->rule, args->regex.data,
                          args->regex.len, &why);

    if (rc == LLM_OK) {
        return NGX_CONF_OK;
    }

    if (rc == LLM_NOMEM) {
        return "has no memory for it";
    }

    if (why.at < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "regex \"%V\" %s",
                           &args->regex, why.text);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid regex \"%V\": %s at offset %l",
                           &args->regex, why.text, why.at);
    }

    return NGX_CONF_ERROR;
}


static char *
ngx_llm_stream_redact_words(ngx_conf_t *cf,
    ngx_llm_stream_redact_args_t *args, llm_redact_t *redact)
{
    llm_rc_t          rc;
    ngx_str_t         text;
    llm_redact_why_t  why;

    if (args->words.len == 0) {
        return "has an empty \"words=\"";
    }

    if (ngx_llm_stream_redact_read(cf, &args->words, &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rc = llm_redact_words(redact, &args->rule, text.data, text.len, &why);

    ngx_pfree(cf->temp_pool, text.data);

    if (rc == LLM_OK) {
        return NGX_CONF_OK;
    }

    if (rc == LLM_NOMEM) {
        return "has no memory for it";
    }

    if (why.at < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "words file \"%V\" %s",
                           &args->words, why.text);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "line %l of words file \"%V\" %s",
                           why.at, &args->words, why.text);
    }

    return NGX_CONF_ERROR;
}


/* The whole file; the path is made absolute. */

static ngx_int_t
ngx_llm_stream_redact_read(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *text)
{
    ssize_t   n;
    ngx_fd_t  fd;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    text->len = 0;
    text->data = ngx_palloc(cf->temp_pool, LLM_REDACT_FILE + 1);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    do {
        n = ngx_read_fd(fd, text->data + text->len,
                        LLM_REDACT_FILE + 1 - text->len);
        text->len += n > 0 ? n : 0;
    } while (n > 0 && text->len <= LLM_REDACT_FILE);

    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", path);

    } else if (n > 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "words file \"%V\" is larger than %dk", path,
                           LLM_REDACT_FILE / 1024);
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    return n == 0 ? NGX_OK : NGX_ERROR;
}


/* Of the row in ngx_llm_stream_stages.c. */

ngx_int_t
ngx_llm_stream_redact_stage(ngx_llm_stream_ctx_t *ctx, llm_stage_conf_t *conf)
{
    size_t                      n;
    llm_redact_t               *redact;
    ngx_llm_stream_redacted_t  *redacted;

    if (ctx->conf->redact == NULL) {
        return NGX_DECLINED;
    }

    redact = &ctx->conf->redact->redact;
    redacted = ctx->redacted;
    n = sizeof(ngx_llm_stream_redacted_t)
        + llm_redact_nrules(redact) * sizeof(uint64_t);

    if (redacted == NULL) {
        redacted = ngx_palloc(ctx->request->pool, n);
        if (redacted == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memzero(redacted, n);

    redacted->conf.redact = redact;
    redacted->conf.counts = redacted->counts;
    redacted->conf.gave_up = &redacted->gave_up;

    ctx->redacted = redacted;
    conf->conf = &redacted->conf;
    conf->observes = llm_stage_redact_observes(redact);

    return NGX_OK;
}


/* Runs once, when the request has ended. */

void
ngx_llm_stream_redact_log(ngx_llm_stream_ctx_t *ctx)
{
    size_t                      i;
    u_char                     *p, *last, text[NGX_MAX_ERROR_STR / 2];
    ngx_log_t                  *log;
    llm_redact_rule_t          *rules;
    ngx_llm_stream_redacted_t  *redacted;

    redacted = ctx->redacted;

    if (redacted == NULL) {
        return;
    }

    log = ctx->request->connection->log;
    rules = llm_redact_rules(redacted->conf.redact);
    p = text;
    last = text + sizeof(text);

    for (i = 0; i < llm_redact_nrules(redacted->conf.redact); i++) {
        if (redacted->counts[i]) {
            p = ngx_slprintf(p, last, "%s%*s %uL", p == text ? "" : ", ",
                             rules[i].name.n, rules[i].name.p,
                             redacted->counts[i]);
        }
    }

    if (p != text) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "llm_stream redacted: %*s",
                      (size_t) (p - text), text);
    }

    if (redacted->gave_up) {
        i = redacted->gave_up - 1;
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "llm_stream redact: rule \"%*s\" took too long",
                      rules[i].name.n, rules[i].name.p);
    }
}


/* Matches so far. */

int64_t
ngx_llm_stream_redact_count(ngx_llm_stream_ctx_t *ctx)
{
    size_t                      i;
    int64_t                     n;
    ngx_llm_stream_redacted_t  *redacted;

    redacted = ctx->redacted;

    if (redacted == NULL) {
        return -1;
    }

    n = 0;

    for (i = 0; i < llm_redact_nrules(redacted->conf.redact); i++) {
        n += redacted->counts[i];
    }

    return n;
}
