/*
 * OpenAI chat completions: the content of a message, part by part.  A large
 * string is looked at once, and never copied.
 */

#include "llm_openai_chat.h"


#define LLM_OPENAI_FIELDS  3


/* What one part of a message's content says. */
typedef struct {
    llm_slice_t      type;
    llm_slice_t      text;
    llm_slice_t      refusal;
    llm_slice_t      thinking;
    llm_json_type_t  thinking_type;
    unsigned         image;         /* which of them was there */
    unsigned         audio;
    unsigned         file;
    llm_slice_t      fields[LLM_OPENAI_FIELDS];
} llm_openai_content_t;

typedef const char  *llm_openai_names_t[LLM_OPENAI_FIELDS];


static const llm_openai_names_t  llm_openai_image = { "url", "detail", "" };
static const llm_openai_names_t  llm_openai_sound = { "data", "format", "" };
static const llm_openai_names_t  llm_openai_file = { "file_data", "filename",
                                                     "file_id" };

static const struct {
    llm_slice_t      format;
    llm_slice_t      media;
} llm_openai_audio[] = {
    { llm_str("wav"), llm_str("audio/wav") },
    { llm_str("mp3"), llm_str("audio/mpeg") },
    { llm_str("mp3"), llm_str("audio/mp3") },
    { llm_str("wav"), llm_str("audio/x-wav") },
    { llm_str("flac"), llm_str("audio/flac") },
    { llm_str("ogg"), llm_str("audio/ogg") },
    { llm_str("opus"), llm_str("audio/opus") },
    { llm_str("aac"), llm_str("audio/aac") },
    { llm_str("aiff"), llm_str("audio/aiff") },
    { llm_str("m4a"), llm_str("audio/mp4") },
    { llm_str("webm"), llm_str("audio/webm") },
    { llm_str("pcm16"), llm_str("audio/pcm") }
};

#define LLM_OPENAI_AUDIO                                                    \
    (sizeof(llm_openai_audio) / sizeof(llm_openai_audio[0]))


llm_slice_t
llm_openai_audio_media(const llm_slice_t *format)
{
    size_t  i;

    for (i = 0; i < LLM_OPENAI_AUDIO; i++) {
        if (llm_json_eq(format,
                        (const char *) llm_openai_audio[i].format.p,
                        llm_openai_audio[i].format.n))
        {
            return llm_openai_audio[i].media;
        }
    }

    return llm_slice_null;
}


llm_slice_t
llm_openai_audio_format(const llm_slice_t *media)
{
    size_t  i;

    for (i = 0; i < LLM_OPENAI_AUDIO; i++) {
        if (llm_json_eq(media, (const char *) llm_openai_audio[i].media.p,
                        llm_openai_audio[i].media.n))
        {
            return llm_openai_audio[i].format;
        }
    }

    return llm_slice_null;
}


/*
 * The string members of an object by their names; the value that comes next,
 * if it is an object.  A string is the first of them.  1: it was either.
 */
static unsigned
llm_openai_fields(llm_json_t *j, llm_slice_t *to,
    const llm_openai_names_t names)
{
    unsigned         i;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    for (i = 0; i < LLM_OPENAI_FIELDS; i++) {
        to[i] = llm_slice_null;
    }

    type = llm_json_next(j);

    if (type == LLM_JSON_STRING) {
        to[0] = j->tok;
        to[0].escaped = 1;
        return 1;
    }

    if (type == LLM_JSON_ARRAY) {
        (void) llm_json_skip_rest(j, &v);
    }

    if (type != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_member(j, &key, &v, &type)) {

        for (i = 0; i < LLM_OPENAI_FIELDS; i++) {
            if (type == LLM_JSON_STRING
                && llm_json_eq(&key, names[i], strlen(names[i])))
            {
                to[i] = v;
            }
        }
    }

    return 1;
}


static void
llm_openai_set_image(llm_part_t *part, const llm_openai_content_t *pc)
{
    part->name = pc->fields[1];

    if (!llm_chat_data_url(&pc->fields[0], &part->media, &part->data)) {
        part->url = pc->fields[0];
    }
}


static void
llm_openai_set_audio(llm_part_t *part, const llm_openai_content_t *pc)
{
    llm_slice_t  media;

    part->media = llm_openai_audio_media(&pc->fields[1]);

    /* Qwen takes a data URL there */

    if (!llm_chat_data_url(&pc->fields[0], &media, &part->data)) {
        part->data = pc->fields[0];
    }
}


static void
llm_openai_set_file(llm_part_t *part, const llm_openai_content_t *pc)
{
    part->name = pc->fields[1];
    part->id = pc->fields[2];

    if (pc->fields[0].p != NULL
        && !llm_chat_data_url(&pc->fields[0], &part->media, &part->data))
    {
        part->media = llm_slice("application/pdf");
        part->data = pc->fields[0];
    }
}


/* The "text" of an object. */
static llm_slice_t
llm_openai_text(const llm_slice_t *object)
{
    llm_json_t       j;
    llm_slice_t      key, v, text;
    llm_json_type_t  type;

    text = llm_slice_null;
    llm_json_reopen(&j, object);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "text")) {
            text = v;
        }
    }

    return text;
}


/* Mistral's thinking: a string, or an array of texts. */
static llm_rc_t
llm_openai_read_thinking(llm_chat_t *c, llm_role_t role, unsigned message,
    const llm_openai_content_t *pc)
{
    llm_json_t       j;
    llm_part_t      *part;
    llm_slice_t      s;
    llm_json_type_t  type;

    if (pc->thinking_type == LLM_JSON_STRING) {
        part = llm_chat_part(c, LLM_PART_REASONING, role, message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = pc->thinking;
        return LLM_OK;
    }

    if (pc->thinking_type != LLM_JSON_ARRAY) {
        return LLM_OK;
    }

    llm_json_reopen(&j, &pc->thinking);

    while (llm_json_element(&j, &s, &type)) {
        if (type != LLM_JSON_OBJECT) {
            continue;
        }

        part = llm_chat_part(c, LLM_PART_REASONING, role, message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = llm_openai_text(&s);
    }

    return LLM_OK;
}


/* One member of a part, whose name was just read. */
static void
llm_openai_part_member(llm_openai_content_t *pc, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    key = j->tok;

    if (llm_json_is(&key, "image_url")) {
        pc->image = llm_openai_fields(j, pc->fields, llm_openai_image);
        return;
    }

    if (llm_json_is(&key, "input_audio")) {
        pc->audio = llm_openai_fields(j, pc->fields, llm_openai_sound);
        return;
    }

    if (llm_json_is(&key, "file")) {
        pc->file = llm_openai_fields(j, pc->fields, llm_openai_file);
        return;
    }

    type = llm_json_value(j, &v);

    if (llm_json_is(&key, "thinking")) {
        pc->thinking = v;
        pc->thinking_type = type;

    } else if (type != LLM_JSON_STRING) {
        return;

    } else if (llm_json_is(&key, "type")) {
        pc->type = v;

    } else if (llm_json_is(&key, "text")) {
        pc->text = v;

    } else if (llm_json_is(&key, "refusal")) {
        pc->refusal = v;
    }
}


static llm_part_type_t
llm_openai_part_type(const llm_openai_content_t *pc)
{
    if (llm_json_is(&pc->type, "text") && pc->text.p != NULL) {
        return LLM_PART_TEXT;
    }

    if (llm_json_is(&pc->type, "image_url") && pc->image) {
        return LLM_PART_IMAGE;
    }

    if (llm_json_is(&pc->type, "input_audio") && pc->audio) {
        return LLM_PART_AUDIO;
    }

    if (llm_json_is(&pc->type, "file") && pc->file) {
        return LLM_PART_FILE;
    }

    if (llm_json_is(&pc->type, "refusal") && pc->refusal.p != NULL) {
        return LLM_PART_REFUSAL;
    }

    if (llm_json_is(&pc->type, "thinking")) {
        return LLM_PART_REASONING;
    }

    return LLM_PART_OTHER;
}


static llm_rc_t
llm_openai_add_part(llm_chat_t *c, llm_role_t role, unsigned message,
    unsigned inner, const llm_openai_content_t *pc, const llm_slice_t *raw)
{
    llm_part_t       *part;
    llm_part_type_t   type;

    type = llm_openai_part_type(pc);

    if (type == LLM_PART_REASONING) {
        return llm_openai_read_thinking(c, role, message, pc);
    }

    part = llm_chat_part(c, type, role, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->inner = inner;
    part->raw = *raw;

    switch (type) {

    case LLM_PART_TEXT:
        part->text = pc->text;
        break;

    case LLM_PART_REFUSAL:
        part->text = pc->refusal;
        break;

    case LLM_PART_IMAGE:
        llm_openai_set_image(part, pc);
        break;

    case LLM_PART_AUDIO:
        llm_openai_set_audio(part, pc);
        break;

    case LLM_PART_FILE:
        llm_openai_set_file(part, pc);
        break;

    default:
        part->name = pc->type;
        break;
    }

    return LLM_OK;
}


llm_rc_t
llm_openai_read_content(llm_chat_t *c, llm_role_t role, unsigned message,
    unsigned inner, llm_json_type_t type, const llm_slice_t *v)
{
    llm_rc_t               rc;
    llm_json_t             j;
    llm_part_t            *part;
    llm_slice_t            raw;
    llm_json_type_t        t;
    llm_openai_content_t   pc;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    if (type == LLM_JSON_STRING) {
        part = llm_chat_part(c, LLM_PART_TEXT, role, message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = *v;
        part->inner = inner;
        return LLM_OK;
    }

    if (type != LLM_JSON_ARRAY) {
        return llm_chat_wrong(c, "messages");
    }

    llm_json_reopen(&j, v);

    while ((t = llm_json_next(&j)) != LLM_JSON_ARRAY_END) {

        if (t != LLM_JSON_OBJECT) {
            return llm_chat_wrong(c, "messages");
        }

        raw.p = j.start;
        memset(&pc, 0, sizeof(llm_openai_content_t));

        while (llm_json_next(&j) == LLM_JSON_KEY) {
            llm_openai_part_member(&pc, &j);
        }

        raw.n = (size_t) (j.p - raw.p);
        raw.escaped = 0;

        rc = llm_openai_add_part(c, role, message, inner, &pc, &raw);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}
