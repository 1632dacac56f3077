/*
 * What the unit tests of src/wire share.  It must never know what is being
 * tested.
 */

#define _POSIX_C_SOURCE  200809L

#include <dirent.h>
#include <time.h>

#include "unit_support.h"


/* cuts of one random run */
#define UNIT_CUTS  128


static uint64_t  unit_state;


static void *
unit_resize(void *ctx, void *p, size_t old, size_t n)
{
    size_t        *block, *from;
    unit_alloc_t  *u;

    u = ctx;
    from = NULL;

    if (p != NULL) {
        from = (size_t *) p - 2;
        assert_int_equal(*from, old);

    } else {
        assert_int_equal(old, 0);
        assert_int_not_equal(n, 0);
    }

    block = NULL;

    if (n != 0) {

        if (++u->calls == u->fail_at) {
            return NULL;
        }

        block = malloc(2 * sizeof(size_t) + n);
        assert_non_null(block);

        *block = n;
        memset(block + 2, 0xa5, n);

        if (from != NULL) {
            memcpy(block + 2, p, old < n ? old : n);
        }

        u->live++;
        u->bytes += n;

        if (u->bytes > u->peak) {
            u->peak = u->bytes;
        }
    }

    if (from != NULL) {
        u->live--;
        u->bytes -= old;
        memset(from, 0x5a, 2 * sizeof(size_t) + old);
        free(from);
    }

    return block != NULL ? block + 2 : NULL;
}


llm_alloc_t
unit_alloc(unit_alloc_t *u)
{
    llm_alloc_t  a;

    memset(u, 0, sizeof(unit_alloc_t));

    a.resize = unit_resize;
    a.ctx = u;

    return a;
}


static llm_rc_t
unit_out_more(llm_out_t *out)
{
    size_t       step;
    unit_out_t  *o;

    o = out->ctx;
    o->n = out->pos != NULL ? (size_t) (out->pos - o->p) : 0;
    o->grown++;

    step = o->step != 0 ? o->step : 65536;

    if (o->limit != 0 && step > o->limit - o->n) {
        step = o->limit - o->n;
    }

    if (step == 0) {
        return LLM_NOMEM;
    }

    if (o->n + step + 1 > o->cap) {
        o->cap = (o->n + step + 1) * 2;
        o->p = realloc(o->p, o->cap);
        assert_non_null(o->p);
    }

    out->pos = o->p + o->n;
    out->end = out->pos + step;

    return LLM_OK;
}


void
unit_out_init(unit_out_t *o, size_t step, size_t limit)
{
    memset(o, 0, sizeof(unit_out_t));

    o->step = step;
    o->limit = limit;
    o->out.more = unit_out_more;
    o->out.ctx = o;

    o->cap = 1;
    o->p = malloc(1);
    assert_non_null(o->p);

    o->out.pos = o->p;
    o->out.end = o->p;
}


void
unit_out_end(unit_out_t *o)
{
    o->n = (size_t) (o->out.pos - o->p);
    o->p[o->n] = '\0';
}


void
unit_out_free(unit_out_t *o)
{
    free(o->p);
    o->p = NULL;
}


char *
unit_path(const char *name)
{
    char        *path;
    size_t       n;
    const char  *root;

    root = getenv("LLM_ROOT");
    root = root != NULL ? root : ".";

    n = strlen(root) + strlen(name) + 2;

    path = malloc(n);
    assert_non_null(path);

    (void) snprintf(path, n, "%s/%s", root, name);

    return path;
}


llm_u8 *
unit_read(const char *path, size_t *n)
{
    FILE    *f;
    long     size;
    llm_u8  *p;

    f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("cannot open %s", path);
    }

    assert_int_equal(fseek(f, 0, SEEK_END), 0);

    size = ftell(f);
    assert_true(size >= 0);
    rewind(f);

    p = malloc((size_t) size + 1);
    assert_non_null(p);

    *n = fread(p, 1, (size_t) size, f);
    assert_int_equal(*n, size);
    p[*n] = '\0';

    fclose(f);

    return p;
}


static int
unit_compare(const void *a, const void *b)
{
    return strcmp(*(char * const *) a, *(char * const *) b);
}


size_t
unit_each(const char *folder, const char *ext,
    void (*f)(const char *path, const char *name))
{
    DIR            *dir;
    char          **names, *path, *file;
    size_t          i, n, len, tail;
    struct dirent  *entry;

    n = 0;
    names = NULL;
    tail = strlen(ext);

    path = unit_path(folder);

    dir = opendir(path);
    if (dir == NULL) {
        fail_msg("cannot open folder %s", path);
    }

    while ((entry = readdir(dir)) != NULL) {
        len = strlen(entry->d_name);

        if (entry->d_name[0] == '.' || len < tail
            || strcmp(entry->d_name + len - tail, ext) != 0)
        {
            continue;
        }

        names = realloc(names, (n + 1) * sizeof(char *));
        assert_non_null(names);

        names[n] = strdup(entry->d_name);
        assert_non_null(names[n++]);
    }

    closedir(dir);

    if (n == 0) {
        fail_msg("no %s file in %s", ext, path);
    }

    qsort(names, n, sizeof(char *), unit_compare);

    for (i = 0; i < n; i++) {
        len = strlen(path) + strlen(names[i]) + 2;

        file = malloc(len);
        assert_non_null(file);

        (void) snprintf(file, len, "%s/%s", path, names[i]);
        f(file, names[i]);

        free(file);
        free(names[i]);
    }

    free(names);
    free(path);

    return n;
}


size_t
unit_each_recorded(const char *folder, const char *ext,
    void (*f)(const char *path, const char *name))
{
    DIR   *dir;
    char  *path, name[256];

    snprintf(name, sizeof(name), "../shared/recorded/%s", folder);

    path = unit_path(name);
    dir = opendir(path);

    if (dir == NULL) {
        printf("skip: no %s\n", name);
        free(path);
        return 0;
    }

    closedir(dir);
    free(path);

    return unit_each(name, ext, f);
}


/* Whether p is a backslash, a u, and a surrogate of the half given. */
static int
unit_half(const llm_u8 *p, const llm_u8 *end, unsigned low)
{
    unsigned long  v;
    char           digits[5];

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u'
        || strspn((const char *) p + 2, "0123456789abcdefABCDEF") < 4)
    {
        return 0;
    }

    memcpy(digits, p + 2, 4);
    digits[4] = '\0';
    v = strtoul(digits, NULL, 16);

    return low ? v >= 0xdc00 && v <= 0xdfff : v >= 0xd800 && v <= 0xdbff;
}


/* jansson refuses lone surrogates: they become \ufffd, of the same length. */
static void
unit_surrogates(llm_u8 *p, const llm_u8 *end)
{
    while (p < end && (p = memchr(p, '\\', (size_t) (end - p))) != NULL) {

        if (unit_half(p, end, 0) && unit_half(p + 6, end, 1)) {
            p += 12;

        } else if (unit_half(p, end, 0) || unit_half(p, end, 1)) {
            memcpy(p + 2, "fffd", 4);
            p += 6;

        } else {
            p += 2;
        }
    }
}


json_t *
unit_parse(const llm_u8 *p, size_t n, json_error_t *error)
{
    json_t  *root;
    llm_u8  *copy;

    copy = malloc(n + 1);
    assert_non_null(copy);

    memcpy(copy, p, n);
    copy[n] = '\0';
    unit_surrogates(copy, copy + n);

    root = json_loadb((char *) copy, n, JSON_ALLOW_NUL | JSON_DECODE_ANY
                                        | JSON_DECODE_INT_AS_REAL, error);
    free(copy);

    return root;
}


json_t *
unit_json(const char *path)
{
    size_t         n;
    json_t        *root;
    llm_u8        *p;
    json_error_t   error;

    p = unit_read(path, &n);

    root = unit_parse(p, n, &error);
    if (root == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }

    free(p);

    return root;
}


llm_u8 *
unit_copy(const void *p, size_t n)
{
    llm_u8  *copy;

    copy = malloc(n != 0 ? n : 1);
    assert_non_null(copy);

    if (n != 0) {
        memcpy(copy, p, n);
    }

    return copy;
}


llm_u8 *
unit_base64(const char *s, size_t *n)
{
    llm_u8      *p;
    uint32_t     bits;
    unsigned     have;
    const char  *at;

    static const char  digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789+/";

    p = malloc(strlen(s) + 1);
    assert_non_null(p);

    bits = 0;
    have = 0;

    for (*n = 0; *s != '\0' && *s != '='; s++) {
        at = strchr(digits, *s);
        assert_non_null(at);

        bits = bits << 6 | (uint32_t) (at - digits);
        have += 6;

        if (have >= 8) {
            have -= 8;
            p[(*n)++] = (llm_u8) (bits >> have);
        }
    }

    return p;
}


uint64_t
unit_seed(void)
{
    const char  *s;

    s = getenv("LLM_SEED");

    unit_state = s != NULL ? strtoull(s, NULL, 0) : (uint64_t) time(NULL);
    printf("# seed: LLM_SEED=%llu\n", (unsigned long long) unit_state);
    fflush(stdout);

    /* neighbouring seeds must not start alike, 0 must not stay 0 */

    unit_state = unit_state * UINT64_C(0x9e3779b97f4a7c15) + 1;

    return unit_state;
}


uint32_t
unit_random(uint32_t below)
{
    /* xorshift64* */

    unit_state ^= unit_state >> 12;
    unit_state ^= unit_state << 25;
    unit_state ^= unit_state >> 27;

    return (uint32_t) ((unit_state * UINT64_C(0x2545f4914f6cdd1d)) >> 32)
           % below;
}


size_t
unit_random_cuts(size_t n, size_t *cuts, size_t max)
{
    size_t  i, k, at;

    if (n < 2) {
        return 0;
    }

    k = unit_random((uint32_t) max) + 1;
    at = 0;

    for (i = 0; i < k; i++) {
        at += 1 + unit_random((uint32_t) (2 * n / (k + 1) + 1));

        if (at >= n) {
            break;
        }

        cuts[i] = at;
    }

    return i;
}


void
unit_all_cuts(const char *name, size_t n, unit_cut_pt f, void *ctx)
{
    char     what[160];
    size_t   i, k, *cuts;

    cuts = malloc((n + UNIT_CUTS) * sizeof(size_t));
    assert_non_null(cuts);

    for (i = 0; i + 1 < n; i++) {
        cuts[i] = i + 1;
    }

    (void) snprintf(what, sizeof(what), "%s, byte by byte", name);
    f(ctx, what, cuts, i);

    for (i = 0; n <= 300 && i <= n; i++) {
        (void) snprintf(what, sizeof(what), "%s, cut at %zu", name, i);
        f(ctx, what, &i, 1);
    }

    for (i = 0; i < 100; i++) {
        k = unit_random_cuts(n, cuts, UNIT_CUTS);
        (void) snprintf(what, sizeof(what), "%s, random cuts %zu", name, i);
        f(ctx, what, cuts, k);
    }

    free(cuts);
}
