/*
 * The rows of the table of dialects, and of that of providers: path,
 * credential, habits.
 */

#include "tables.h"


static void
tables_path(const llm_provider_t *p)
{
    const llm_slice_t  *s;

    s = &p->path;
    printf(" `%.*s`", (int) s->n, (const char *) s->p);

    if (p->answer_path.p != NULL) {
        s = &p->answer_path;
        printf(", for one answer `%.*s`", (int) s->n, (const char *) s->p);
    }

    if (p->array_path.p != NULL) {
        s = &p->array_path;
        printf(", for an array `%.*s`", (int) s->n, (const char *) s->p);
    }
}


static void
tables_quirks(const llm_provider_t *p)
{
    size_t       i;
    const char  *comma;

    static const struct {
        unsigned     quirk;
        const char  *says;
    } quirks[] = {
        { LLM_QUIRK_MAX_TOKENS, "`max_tokens`" },
        { LLM_QUIRK_NO_OPTIONS, "no `stream_options`" },
        { LLM_QUIRK_RANDOM_SEED, "`random_seed`" },
        { LLM_QUIRK_TOP_K, "takes `top_k`, `min_p`" },
        { LLM_QUIRK_REASONING, "takes `reasoning_content` back" },
        { LLM_QUIRK_DETAILS, "`reasoning`, `reasoning_details`" }
    };

    comma = " ";

    if (p->header.p != NULL) {
        printf(" gets `%s", tables_name(&p->header));
        printf(": %s`", tables_name(&p->header_value));
        comma = ", ";
    }

    for (i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++) {
        if (p->quirks & quirks[i].quirk) {
            printf("%s%s", comma, quirks[i].says);
            comma = ", ";
        }
    }
}


static void
tables_dialects(void)
{
    size_t                i;
    const llm_dialect_t  *d;

    static const char *const  framings[] = {
        [LLM_FRAMING_SSE] = "server-sent events",
        [LLM_FRAMING_NDJSON] = "JSON lines",
        [LLM_FRAMING_ARRAY] = "a JSON array",
        [LLM_FRAMING_NONE] = "plain text"
    };

    tables_open("dialects");
    printf("| name | client | provider | a stream is | one answer is |"
           " without a word of it | must have |\n");
    tables_rule(7);

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        printf("| [`%s`]", tables_name(&d->name));
        printf("(#%s) |", tables_name(&d->name));
        printf(" %s | %s |", tables_is_client(d) ? "yes" : "no",
               tables_is_upstream(d) ? "yes" : "no");
        printf(" %s%s, `%s` |", framings[d->framing],
               d->array ? " or a JSON array" : "",
               tables_name(&d->stream_type));
        printf(" `%s` |", tables_name(&d->answer_type));
        printf(" %s |", d->stream_member.p == NULL && d->model_in_path
                        ? "as the path says"
                        : d->stream_default ? "a stream" : "one answer");

        if (d->needs.p != NULL) {
            printf(" `%s` |\n", tables_name(&d->needs));

        } else {
            printf(" |\n");
        }
    }

    tables_close();
}


void
tables_providers(void)
{
    size_t                 i;
    const llm_provider_t  *p;

    tables_dialects();
    tables_open("providers");
    printf("| provider | dialect | path | credential | habits |\n");
    tables_rule(5);

    for (i = 0; (p = llm_provider_at(i)) != NULL; i++) {
        printf("| `%s` ", tables_name(&p->name));
        printf("| `%s` |", tables_name(&p->dialect->name));
        tables_path(p);
        printf(" | `%s:", tables_name(&p->auth_header));
        printf(" %s…` |", tables_name(&p->auth_prefix));
        tables_quirks(p);
        printf(" |\n");
    }

    tables_close();
}
