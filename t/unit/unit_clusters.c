/*
 * Reads the texts of t/vectors/clusters.
 */

#include "unit_clusters.h"


/* One record behind its name: 1F, a cluster, 1F, ..., up to 1E. */
static const llm_u8 *
clusters_read(clusters_t *t, const llm_u8 *p, const llm_u8 *end)
{
    size_t  n;

    for (n = 0; p[n] != 0x1f; n++) {
        assert_true(n + 1 < sizeof(t->name));
        t->name[n] = (char) p[n];
    }

    t->name[n] = '\0';
    t->n = 0;

    for (p += n; p < end && *p != 0x1e; p++) {

        if (*p == 0x1f) {
            t->border[t->n] = 1;

        } else {
            t->p[t->n++] = *p;
            t->border[t->n] = 0;
        }
    }

    t->border[t->n] = 1;
    t->p[t->n] = '\0';

    assert_true(p < end);

    return p + 2;
}


void
clusters_each(void (*f)(const clusters_t *t, void *ctx), void *ctx)
{
    char          *path;
    size_t         n, count;
    llm_u8        *file;
    clusters_t     t;
    const llm_u8  *p;

    path = unit_path("t/vectors/clusters/texts");
    file = unit_read(path, &n);

    t.p = malloc(n + 1);
    t.border = malloc(n + 1);
    assert_non_null(t.p);
    assert_non_null(t.border);

    count = 0;

    for (p = file; p < file + n; count++) {
        p = clusters_read(&t, p, file + n);
        f(&t, ctx);
    }

    assert_true(count > 100);

    free(t.p);
    free(t.border);
    free(file);
    free(path);
}
