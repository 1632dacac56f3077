/*
 * The things that an answer can hold, one a row, each with a value that is
 * found again in what is written.
 */

#include "tables_answers.h"


typedef void (*table_say_pt)(table_said_t *said);

typedef struct {
    const char    *what;
    const char    *mark;
    unsigned       text;
    table_say_pt   say;
} table_row_t;


llm_event_t
tables_event(llm_event_type_t type)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(ev));
    ev.type = type;
    ev.created = -1;
    ev.start = -1;
    ev.end = -1;

    return ev;
}


llm_event_t
tables_start(void)
{
    llm_event_t  ev;

    ev = tables_event(LLM_EV_START);
    ev.id = llm_slice("THE-ID");
    ev.model = llm_slice("THE-MODEL");
    ev.created = 1712345678;

    return ev;
}


llm_event_t
tables_finish(llm_finish_t finish)
{
    llm_event_t  ev;

    ev = tables_event(LLM_EV_FINISH);
    ev.finish = finish;
    ev.text = finish == LLM_FINISH_OTHER ? llm_slice("strange")
                                         : llm_slice_null;

    return ev;
}


llm_event_t
tables_usage(const llm_usage_t *usage)
{
    llm_event_t  ev;

    ev = tables_event(LLM_EV_USAGE);
    ev.usage = usage;

    return ev;
}


static llm_event_t *
tables_add(table_said_t *said, llm_event_type_t type)
{
    llm_event_t  *ev;

    ev = &said->events[said->n++];
    *ev = tables_event(type);

    return ev;
}


static void
tables_say_text(table_said_t *said)
{
    tables_add(said, LLM_EV_TEXT)->text = llm_slice("THE-TEXT");
}


static void
tables_say_choice(table_said_t *said)
{
    llm_event_t  *ev;

    tables_say_text(said);
    ev = tables_add(said, LLM_EV_TEXT);
    ev->text = llm_slice("THE-OTHER");
    ev->choice = 1;
}


static void
tables_say_reasoning(table_said_t *said)
{
    tables_add(said, LLM_EV_REASONING)->text = llm_slice("THE-REASONING");
    tables_say_text(said);
}


static void
tables_say_signature(table_said_t *said)
{
    llm_event_t  *ev;

    tables_add(said, LLM_EV_REASONING)->text = llm_slice("x");
    ev = tables_add(said, LLM_EV_REASONING);
    ev->text = llm_slice("");
    ev->signature = llm_slice("THE-SIGNATURE");
    tables_say_text(said);
}


static void
tables_say_withheld(table_said_t *said)
{
    llm_event_t  *ev;

    ev = tables_add(said, LLM_EV_REASONING);
    ev->text = llm_slice("");
    ev->raw = llm_slice("WITHHELD");
    ev->raw.escaped = 1;
    tables_say_text(said);
}


static void
tables_say_refusal(table_said_t *said)
{
    tables_add(said, LLM_EV_REFUSAL)->text = llm_slice("THE-REFUSAL");
}


static void
tables_say_call(table_said_t *said)
{
    llm_event_t  *ev;

    ev = tables_add(said, LLM_EV_TOOL_CALL);
    ev->id = llm_slice("CALL-ID");
    ev->name = llm_slice("THE-TOOL");
    ev->text = llm_slice("{\"city\":\"THE-CITY\"}");
    ev->whole = 1;
}


static void
tables_say_fragments(table_said_t *said)
{
    llm_event_t  *ev;

    ev = tables_add(said, LLM_EV_TOOL_CALL);
    ev->id = llm_slice("CALL-ID");
    ev->name = llm_slice("THE-TOOL");

    tables_add(said, LLM_EV_TOOL_CALL)->text
        = llm_slice("{\"city\":\"THE-CITY");
    tables_add(said, LLM_EV_TOOL_CALL)->text = llm_slice("\"}");
}


static void
tables_say_logprobs(table_said_t *said)
{
    tables_say_text(said);
    tables_add(said, LLM_EV_LOGPROBS)->raw
        = llm_slice("[{\"token\":\"THE-TEXT\",\"logprob\":-0.123456,"
                    "\"bytes\":null,\"top_logprobs\":[]}]");
}


static void
tables_say_citation(table_said_t *said)
{
    llm_event_t  *ev;

    tables_say_text(said);
    ev = tables_add(said, LLM_EV_CITATION);
    ev->id = llm_slice("https://host/THE-SOURCE");
    ev->name = llm_slice("The title");
    ev->text = llm_slice("cited");
    ev->start = 0;
    ev->end = 3;
}


static const table_row_t  tables_rows[] = {
    { "text", "THE-TEXT", 1, tables_say_text },
    { "text of further choices", "THE-OTHER", 1, tables_say_choice },
    { "reasoning", "THE-REASONING", 1, tables_say_reasoning },
    { "its signature", "THE-SIGNATURE", 0, tables_say_signature },
    { "withheld reasoning", "WITHHELD", 0, tables_say_withheld },
    { "refusal", "THE-REFUSAL", 1, tables_say_refusal },
    { "tool call, whole", "THE-CITY", 1, tables_say_call },
    { "tool call, in fragments", "THE-CITY", 1, tables_say_fragments },
    { "its id", "CALL-ID", 0, tables_say_call },
    { "log probabilities", "-0.123456", 0, tables_say_logprobs },
    { "citation", "THE-SOURCE", 0, tables_say_citation },
    { "id", "THE-ID", 0, tables_say_text },
    { "model", "THE-MODEL", 0, tables_say_text }
};


static void
tables_say(table_said_t *said, const table_row_t *row)
{
    static const llm_usage_t  usage = { 1000, 200, -1, -1, 1200, -1 };

    memset(said, 0, sizeof(table_said_t));

    said->what = row->what;
    said->mark = row->mark;
    said->text = row->text;
    said->plain = row->say == tables_say_refusal;

    *tables_add(said, LLM_EV_START) = tables_start();
    row->say(said);

    *tables_add(said, LLM_EV_FINISH)
        = tables_finish(row->say == tables_say_call
                        || row->say == tables_say_fragments
                        ? LLM_FINISH_TOOL_CALLS : LLM_FINISH_STOP);
    *tables_add(said, LLM_EV_USAGE) = tables_usage(&usage);
    (void) tables_add(said, LLM_EV_END);
}


const table_said_t *
tables_said(size_t i)
{
    static table_said_t  said;

    if (i >= sizeof(tables_rows) / sizeof(tables_rows[0])) {
        return NULL;
    }

    tables_say(&said, &tables_rows[i]);

    return &said;
}


const table_said_t *
tables_said_text(void)
{
    static table_said_t  said;

    tables_say(&said, &tables_rows[0]);

    return &said;
}
