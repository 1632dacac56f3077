/*
 * Requests: one member at a time is said in a dialect that has it, and looked
 * for in the body that each provider's dialect gets.
 */

#include "tables_probes.h"


typedef struct {
    table_leaves_t   leaves;
    int              lost;
    int              refused;
    int              kept;      /* for the module to do */
} table_body_t;


static json_t *
tables_rope_json(llm_rope_t *rope)
{
    char         body[16384];
    size_t       i, n;
    json_t      *json;

    n = 0;

    for (i = 0; i < llm_rope_npieces(rope); i++) {

        if (llm_rope_pieces(rope)[i].n >= sizeof(body) - n) {
            tables_die("too long", "a request");
        }

        memcpy(body + n, llm_rope_bytes(rope, i), llm_rope_pieces(rope)[i].n);
        n += llm_rope_pieces(rope)[i].n;
    }

    json = json_loadb(body, n, 0, NULL);

    if (json == NULL) {
        body[n] = '\0';
        tables_die("no JSON", body);
    }

    return json;
}


static void
tables_translate(table_body_t *to, const llm_dialect_t *from,
    const llm_provider_t *provider, const char *body)
{
    json_t              *json;
    llm_rc_t             rc;
    llm_chat_t           chat;
    llm_chat_writer_t    w;

    memset(to, 0, sizeof(table_body_t));
    llm_chat_writer_init(&w, &tables_alloc);

    w.max_depth = 64;
    w.quirks = provider->quirks;
    w.stream = 1;
    w.take_stops = 1;
    w.model = llm_slice("the-model");

    rc = llm_chat_translate(&w, &chat, from, provider->dialect,
                            (const llm_u8 *) body, strlen(body));
    if (rc != LLM_OK) {
        tables_die(chat.member != NULL ? chat.member : "refused", body);
    }

    json = tables_rope_json(&w.rope);
    tables_walk(&to->leaves, json);
    json_decref(json);

    to->lost = w.lost.n != 0;
    to->refused = w.refused.n != 0;
    to->kept = w.stops.n != 0;

    llm_chat_free(&chat);
    llm_chat_writer_free(&w);
}


/* Takes the leaves of base off those of said. */
static void
tables_without(table_leaves_t *said, const table_leaves_t *base)
{
    size_t   i, k, n;

    for (i = 0; i < base->n; i++) {

        for (k = 0; k < said->n; k++) {
            if (strcmp(said->leaf[k].path, base->leaf[i].path) == 0
                && strcmp(said->leaf[k].value, base->leaf[i].value) == 0)
            {
                n = said->n - k - 1;
                memmove(&said->leaf[k], &said->leaf[k + 1],
                        n * sizeof(table_leaf_t));
                said->n--;
                break;
            }
        }
    }
}


static void
tables_written(const table_leaves_t *said, const char *mark)
{
    size_t               i;
    const table_leaf_t  *leaf;

    for (i = 0; i < said->n; i++) {
        leaf = &said->leaf[i];

        if (strcmp(leaf->value, mark) == 0
            || (strlen(mark) > 5 && strstr(leaf->value, mark) != NULL))
        {
            printf(" `%s`", leaf->path);
            return;
        }
    }

    leaf = &said->leaf[said->n - 1];
    printf(" `%s`: `%.60s`", leaf->path, leaf->value);
}


static void
tables_request_cell(const table_probe_t *probe, const llm_provider_t *to)
{
    table_body_t  base, said;

    tables_translate(&base, probe->from, to, probe->base);
    tables_translate(&said, probe->from, to, probe->body);
    tables_without(&said.leaves, &base.leaves);

    if (probe->from == to->dialect && (said.refused || said.lost)) {
        printf(" as it is |");
        return;
    }

    if (said.refused) {
        printf(" **400** |");
        return;
    }

    if (said.kept) {
        printf(" kept here |");
        return;
    }

    if (said.leaves.n == 0) {
        printf(said.lost ? " dropped |" : " – |");
        return;
    }

    tables_written(&said.leaves, probe->mark);
    printf(said.lost && !base.lost ? " (logged) |" : " |");
}


/* The row of a provider that has the dialect's own name; NULL: none. */
static const llm_provider_t *
tables_target(size_t i)
{
    const llm_dialect_t  *d;

    d = llm_dialect_at(i);

    return tables_is_upstream(d) ? llm_provider_find(d->name.p, d->name.n)
                                 : NULL;
}


static void
tables_request_row(const table_probe_t *probe)
{
    size_t  i;

    printf("| %s |", probe->what);

    for (i = 0; llm_dialect_at(i) != NULL; i++) {
        if (tables_target(i) != NULL) {
            tables_request_cell(probe, tables_target(i));
        }
    }

    printf("\n");
}


static void
tables_request_group(const char *group)
{
    size_t                i, n;
    const table_probe_t  *probe;

    tables_open(group);
    printf("| of the request |");
    n = 1;

    for (i = 0; llm_dialect_at(i) != NULL; i++) {
        if (tables_target(i) != NULL) {
            printf(" `%s` |", tables_name(&llm_dialect_at(i)->name));
            n++;
        }
    }

    printf("\n");
    tables_rule(n);

    for (i = 0; (probe = tables_probe(i)) != NULL; i++) {
        if (strcmp(probe->group, group) == 0) {
            tables_request_row(probe);
        }
    }

    tables_close();
}


/* How an effort becomes a budget, and a budget an effort. */
static void
tables_efforts(void)
{
    int           effort;
    char          text[32];
    int64_t       budget;
    llm_slice_t   word, number;

    tables_open("efforts");
    printf("| effort | budget in tokens | this budget is |\n");
    tables_rule(3);

    for (effort = LLM_EFFORT_NONE; effort <= LLM_EFFORT_MAX; effort++) {
        word = llm_effort_word((llm_effort_t) effort);
        budget = llm_effort_budget((llm_effort_t) effort);

        snprintf(text, sizeof(text), "%d", (int) budget);
        number = tables_slice(text);

        printf("| `%s` | %s |", tables_name(&word), text);
        word = llm_effort_word(llm_effort_of_budget(&number));
        printf(" `%s` |\n", tables_name(&word));
    }

    tables_close();
}


void
tables_requests(void)
{
    tables_efforts();
    tables_request_group("requests-sampling");
    tables_request_group("requests-format");
    tables_request_group("requests-tools");
    tables_request_group("requests-reasoning");
    tables_request_group("requests-messages");
    tables_request_group("requests-rest");
}
