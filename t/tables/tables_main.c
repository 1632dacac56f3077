/*
 * Prints all tables, and what they share: JSON as a list of leaves, an output
 * that is a text.
 */

#include <stdlib.h>

#include "tables.h"


static void *
tables_resize(void *ctx, void *p, size_t old, size_t n)
{
    (void) ctx;
    (void) old;

    if (n == 0) {
        free(p);
        return NULL;
    }

    return realloc(p, n);
}


const llm_alloc_t  tables_alloc = { tables_resize, NULL };


void
tables_die(const char *what, const char *more)
{
    fprintf(stderr, "dialect-tables: %s: %s\n", what, more);
    exit(1);
}


static void
tables_leaf(table_leaves_t *to, const char *path, const json_t *json)
{
    char          *value;
    table_leaf_t  *leaf;

    if (to->n == TABLES_MAX) {
        tables_die("too many members", path);
    }

    leaf = &to->leaf[to->n++];
    snprintf(leaf->path, sizeof(leaf->path), "%s", path);

    if (json_is_string(json)) {
        snprintf(leaf->value, sizeof(leaf->value), "%s",
                 json_string_value(json));
        return;
    }

    value = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    snprintf(leaf->value, sizeof(leaf->value), "%s", value);
    free(value);
}


static void
tables_walk_at(table_leaves_t *to, const char *path, json_t *json)
{
    char         below[256];
    size_t       i;
    json_t      *v;
    const char  *key;

    if (json_is_object(json) && json_object_size(json) != 0) {

        json_object_foreach(json, key, v) {
            snprintf(below, sizeof(below), "%s%s%s", path,
                     *path ? "." : "", key);
            tables_walk_at(to, below, v);
        }

        return;
    }

    if (json_is_array(json) && json_array_size(json) != 0) {
        snprintf(below, sizeof(below), "%s[]", path);

        json_array_foreach(json, i, v) {
            tables_walk_at(to, below, v);
        }

        return;
    }

    tables_leaf(to, path, json);
}


void
tables_walk(table_leaves_t *to, const json_t *json)
{
    tables_walk_at(to, "", (json_t *) json);
}


static llm_rc_t
tables_full(llm_out_t *out)
{
    (void) out;

    return LLM_TOO_BIG;
}


void
tables_text(table_text_t *text)
{
    text->out.pos = (llm_u8 *) text->text;
    text->out.end = text->out.pos + sizeof(text->text) - 1;
    text->out.more = tables_full;
    text->out.ctx = NULL;
    text->out.failed = 0;
}


const char *
tables_text_end(table_text_t *text)
{
    if (text->out.failed) {
        tables_die("too long", "a text");
    }

    *text->out.pos = '\0';

    return text->text;
}


const char *
tables_name(const llm_slice_t *name)
{
    static char  text[128];

    snprintf(text, sizeof(text), "%.*s", (int) name->n,
             (const char *) name->p);

    return text;
}


llm_slice_t
tables_slice(const char *s)
{
    return (llm_slice_t) { (const llm_u8 *) s, strlen(s), 0 };
}


void
tables_open(const char *name)
{
    printf("<!-- generated: %s -->\n", name);
}


void
tables_close(void)
{
    printf("<!-- end -->\n\n");
}


void
tables_rule(size_t n)
{
    while (n-- != 0) {
        printf("|---");
    }

    printf("|\n");
}


int
tables_is_client(const llm_dialect_t *d)
{
    return d->read_chat != NULL || d->decode == NULL;
}


int
tables_is_upstream(const llm_dialect_t *d)
{
    return d->decode != NULL;
}


int
main(void)
{
    tables_providers();
    tables_requests();
    tables_answers();
    tables_finishes();
    tables_errors();

    return 0;
}
