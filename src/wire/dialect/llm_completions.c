/*
 * OpenAI's legacy completions: the row of the table.  Chunks differ from
 * those of chat completions only in their choices, so one decoder reads both
 * (llm_openai.c); it must never be copied here.
 */

#include "llm_completions.h"


static llm_rc_t
llm_completions_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    return llm_openai_decode_chunk(d, frame, 1);
}


static llm_rc_t
llm_completions_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    return llm_openai_decode_whole(d, answer, 1);
}


static const llm_ask_t  llm_completions_asks[] = {
    { NULL, "max_tokens", LLM_ASK_OUTPUT|LLM_ASK_SAYS, 0, NULL },
    { NULL, "n_predict", LLM_ASK_OUTPUT, 0, NULL },         /* llama.cpp */
    { NULL, "n", LLM_ASK_ANSWERS, 0, NULL },
    { NULL, "n_cmpl", LLM_ASK_ANSWERS, 0, NULL },           /* llama.cpp */
    { NULL, "best_of", LLM_ASK_TRIES, 0, NULL },
    { NULL, "prompt", LLM_ASK_PROMPTS, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


const llm_dialect_t  llm_dialect_completions = {
    .name = llm_str("openai-completions"),
    .framing = LLM_FRAMING_SSE,
    .failure = 1,
    .choices = 1,
    .stream_type = llm_str("text/event-stream"),
    .answer_type = llm_str("application/json"),

    .usage_option = 1,
    .stream_member = llm_str("stream"),
    .needs = llm_str("prompt"),
    .asks = llm_completions_asks,
    .read_chat = llm_completions_read_chat,
    .write_chat = llm_completions_write_chat,

    .decode = llm_completions_decode,
    .decode_answer = llm_completions_decode_answer,

    .stream_size = sizeof(llm_completions_stream_t),
    .encode = llm_completions_encode,
    .stream_drop = llm_completions_stream_drop,

    .terminator = llm_str("data: [DONE]\n\n"),

    .write_answer = llm_completions_write_answer,
    .error_body = llm_openai_error_body
};
