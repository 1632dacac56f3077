/*
 * The rows of the table of providers: path, credential, habits.
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


void
tables_providers(void)
{
    size_t                 i;
    const llm_provider_t  *p;

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
