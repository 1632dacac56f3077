/*
 * Gemini: the contents of a request as parts.  They are read while they are
 * validated, so that a large image is looked at once and never copied.
 */

#include "llm_gemini_chat.h"


/* what a part holds; data or url: it is one of media */
typedef struct {
    llm_slice_t  signature;
    llm_slice_t  text;
    llm_slice_t  media;
    llm_slice_t  data;
    llm_slice_t  url;
    llm_slice_t  file;          /* its name */
    llm_slice_t  call;
    llm_slice_t  response;
    llm_slice_t  other;         /* its name */
    unsigned     thought;
} llm_gemini_piece_t;


/* {"mimeType","data"} or {"mimeType","fileUri"}; j stands behind the brace. */
static void
llm_gemini_read_data(llm_json_t *j, llm_gemini_piece_t *piece)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "data")) {
            piece->data = v;

        } else if (llm_gemini_is(&key, "mimeType")) {
            piece->media = v;

        } else if (llm_gemini_is(&key, "fileUri")) {
            piece->url = v;

        } else if (llm_gemini_is(&key, "displayName")) {
            piece->file = v;
        }
    }
}


/* The members of a part; j stands behind its brace. */
static void
llm_gemini_read_piece(llm_json_t *j, llm_gemini_piece_t *piece)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(piece, 0, sizeof(llm_gemini_piece_t));

    while (llm_json_next(j) == LLM_JSON_KEY) {
        key = j->tok;
        key.escaped = 1;
        type = llm_json_next(j);

        if (type == LLM_JSON_OBJECT
            && (llm_gemini_is(&key, "inlineData")
                || llm_gemini_is(&key, "fileData")))
        {
            llm_gemini_read_data(j, piece);
            continue;
        }

        v = j->tok;
        v.escaped = type == LLM_JSON_STRING;

        if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
            type = llm_json_skip_rest(j, &v);
        }

        if (type == LLM_JSON_STRING) {

            if (llm_json_is(&key, "text")) {
                piece->text = v;

            } else if (llm_gemini_is(&key, "thoughtSignature")) {
                piece->signature = v;
            }

        } else if (llm_json_is(&key, "thought")) {
            piece->thought = type == LLM_JSON_TRUE;

        } else if (type != LLM_JSON_OBJECT) {
            continue;

        } else if (llm_gemini_is(&key, "functionCall")) {
            piece->call = v;

        } else if (llm_gemini_is(&key, "functionResponse")) {
            piece->response = v;

        } else if (llm_gemini_is_part(&key)) {
            piece->other = key;
        }
    }
}


static llm_part_type_t
llm_gemini_media_type(const llm_gemini_piece_t *piece)
{
    if (piece->media.n >= 6 && memcmp(piece->media.p, "image/", 6) == 0) {
        return LLM_PART_IMAGE;
    }

    if (piece->data.p != NULL && piece->media.n >= 6
        && memcmp(piece->media.p, "audio/", 6) == 0)
    {
        return LLM_PART_AUDIO;
    }

    return LLM_PART_FILE;
}


static void
llm_gemini_read_call(llm_part_t *part, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            part->name = v;

        } else if (type == LLM_JSON_STRING && llm_json_is(&key, "id")) {
            part->id = v;

        } else if (type == LLM_JSON_OBJECT && llm_json_is(&key, "args")) {
            part->args = v;
        }
    }
}


/*
 * What a function answered: {"result":"…"}, {"output":"…"}, {"error":"…"} say
 * a text, any other object is its own text.
 */
static llm_rc_t
llm_gemini_read_response(llm_chat_t *c, const llm_slice_t *raw,
    llm_slice_t *text, unsigned *error)
{
    unsigned         n;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    n = 0;
    *text = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        n++;

        if (llm_json_is(&key, "error")) {
            *error = 1;

        } else if (!llm_json_is(&key, "result")
                   && !llm_json_is(&key, "output"))
        {
            continue;
        }

        if (type == LLM_JSON_STRING) {
            *text = v;
        }
    }

    if (n == 1 && text->p != NULL) {
        return LLM_OK;
    }

    *error = 0;

    return llm_chat_quote(c, raw, text);
}


/* What a function answered as the inner part of the result at `at`. */
static llm_rc_t
llm_gemini_inner_text(llm_chat_t *c, size_t at, const llm_slice_t *response)
{
    llm_rc_t      rc;
    unsigned      error;
    llm_part_t   *part;
    llm_slice_t   text;

    error = 0;

    rc = llm_gemini_read_response(c, response, &text, &error);
    if (rc != LLM_OK) {
        return rc;
    }

    part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_TOOL,
                         llm_chat_parts(c)[at].message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->inner = 1;
    part->text = text;
    llm_chat_parts(c)[at].error = error;

    return LLM_OK;
}


/* Files that a function answered with, as inner parts. */
static llm_rc_t
llm_gemini_inner_media(llm_chat_t *c, unsigned message, llm_json_type_t type,
    const llm_slice_t *list)
{
    llm_json_t           j;
    llm_part_t          *part;
    llm_gemini_piece_t   piece;

    llm_gemini_list(&j, type, list);

    while (llm_json_object(&j)) {
        llm_gemini_read_piece(&j, &piece);

        if (piece.data.p == NULL && piece.url.p == NULL) {
            continue;
        }

        part = llm_chat_part(c, llm_gemini_media_type(&piece), LLM_ROLE_TOOL,
                             message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->inner = 1;
        part->media = piece.media;
        part->data = piece.data;
        part->url = piece.url;
    }

    return LLM_OK;
}


/* {"id","name","response":{…},"parts":[{"inlineData":{…}}]} */
static llm_rc_t
llm_gemini_read_result(llm_chat_t *c, unsigned message,
    const llm_slice_t *raw)
{
    size_t            at;
    llm_rc_t          rc;
    llm_json_t        j;
    llm_part_t       *part;
    llm_slice_t       key, v, response, media;
    llm_json_type_t   type, list;

    part = llm_chat_part(c, LLM_PART_TOOL_RESULT, LLM_ROLE_TOOL, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    at = llm_chat_nparts(c) - 1;
    list = LLM_JSON_NULL;
    response = llm_slice_null;
    part->raw = *raw;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            part->name = v;

        } else if (type == LLM_JSON_STRING && llm_json_is(&key, "id")) {
            part->id = v;

        } else if (type == LLM_JSON_OBJECT
                   && llm_json_is(&key, "response"))
        {
            response = v;

        } else if (llm_json_is(&key, "parts")
                   && (type == LLM_JSON_ARRAY || type == LLM_JSON_OBJECT))
        {
            media = v;
            list = type;
        }
    }

    rc = response.p != NULL ? llm_gemini_inner_text(c, at, &response)
                            : LLM_OK;

    if (rc != LLM_OK || list == LLM_JSON_NULL) {
        return rc;
    }

    return llm_gemini_inner_media(c, message, list, &media);
}


static llm_part_type_t
llm_gemini_piece_type(const llm_gemini_piece_t *piece)
{
    return piece->call.p != NULL ? LLM_PART_TOOL_CALL
           : piece->data.p != NULL || piece->url.p != NULL
             ? llm_gemini_media_type(piece)
           : piece->other.p != NULL ? LLM_PART_OTHER
           : piece->thought ? LLM_PART_REASONING : LLM_PART_TEXT;
}


/* One part of a content whose role is not known yet; j stands behind its
 * brace. */
static llm_rc_t
llm_gemini_read_part(llm_chat_t *c, llm_json_t *j, unsigned message)
{
    llm_part_t          *part;
    const llm_u8        *start;
    llm_part_type_t      type;
    llm_gemini_piece_t   piece;

    start = j->start;
    llm_gemini_read_piece(j, &piece);

    if (j->error != LLM_OK) {
        return LLM_OK;
    }

    if (piece.response.p != NULL) {
        return llm_gemini_read_result(c, message, &piece.response);
    }

    type = llm_gemini_piece_type(&piece);

    if (type == LLM_PART_TEXT && piece.text.p == NULL
        && piece.signature.p == NULL)
    {
        return LLM_OK;      /* nothing that is known */
    }

    part = llm_chat_part(c, type, LLM_ROLE_USER, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->signature = piece.signature;
    part->raw = (llm_slice_t) { start, (size_t) (j->p - start), 0 };

    switch (type) {

    case LLM_PART_TOOL_CALL:
        llm_gemini_read_call(part, &piece.call);
        return part->name.n != 0 ? LLM_OK : llm_chat_wrong(c, "contents");

    case LLM_PART_OTHER:
        part->name = piece.other;
        break;

    case LLM_PART_TEXT: case LLM_PART_REASONING:
        part->text = piece.text.p != NULL ? piece.text : llm_slice("");
        break;

    default:
        part->media = piece.media;
        part->data = piece.data;
        part->url = piece.url;
        part->name = type == LLM_PART_FILE ? piece.file : llm_slice_null;
        break;
    }

    return LLM_OK;
}


/*
 * The parts from `at` on are one content of that role.  What functions
 * answered is a message of its own, as other dialects have it.
 */
static llm_rc_t
llm_gemini_settle_content(llm_chat_t *c, size_t at, const llm_slice_t *role,
    unsigned *message)
{
    size_t       i, n;
    llm_role_t   own, last;
    llm_part_t  *part;

    own = LLM_ROLE_USER;

    if (role->p == NULL || llm_json_is(role, "user")
        || llm_json_is(role, "function") || llm_json_is(role, "tool"))
    {
        own = LLM_ROLE_USER;

    } else if (llm_json_is(role, "model")) {
        own = LLM_ROLE_ASSISTANT;

    } else if (llm_json_is(role, "system")) {
        own = LLM_ROLE_SYSTEM;

    } else {
        return llm_chat_wrong(c, "contents");
    }

    n = llm_chat_nparts(c);
    last = own;

    for (i = at; i < n; i++) {
        part = &llm_chat_parts(c)[i];

        if (part->role != LLM_ROLE_TOOL) {
            part->role = own;
        }

        if (i != at && part->role != last) {
            (*message)++;
        }

        part->message = *message;
        last = part->role;
    }

    *message += n != at;

    return LLM_OK;
}


llm_rc_t
llm_gemini_read_content(llm_chat_t *c, llm_json_t *j, unsigned *message)
{
    size_t           at;
    llm_rc_t         rc, bad;
    llm_slice_t      v, role;
    llm_json_type_t  type;

    at = llm_chat_nparts(c);
    bad = LLM_OK;
    role = llm_slice_null;

    while (llm_json_next(j) == LLM_JSON_KEY) {

        if (!llm_json_is(&j->tok, "parts")) {
            rc = llm_json_is(&j->tok, "role") ? LLM_DONE : LLM_OK;
            type = llm_json_value(j, &v);

            if (rc == LLM_DONE && type == LLM_JSON_STRING) {
                role = v;
            }

            continue;
        }

        type = llm_json_next(j);
        rc = LLM_OK;

        if (type == LLM_JSON_OBJECT) {
            rc = llm_gemini_read_part(c, j, *message);

        } else if (type == LLM_JSON_ARRAY) {
            while (rc != LLM_NOMEM && llm_json_object(j)) {
                rc = llm_gemini_read_part(c, j, *message);
                bad = rc != LLM_OK ? rc : bad;
            }
        }

        if (rc == LLM_NOMEM) {
            return rc;
        }

        bad = rc != LLM_OK ? rc : bad;
    }

    rc = llm_gemini_settle_content(c, at, &role, message);

    return bad != LLM_OK ? bad : rc;
}


llm_rc_t
llm_gemini_read_contents(llm_chat_t *c, llm_json_t *j)
{
    llm_rc_t         rc;
    unsigned         message;
    llm_slice_t      v;
    llm_json_type_t  type;

    type = llm_json_next(j);
    rc = LLM_OK;
    message = 0;

    if (type == LLM_JSON_OBJECT) {
        return llm_gemini_read_content(c, j, &message);
    }

    if (type != LLM_JSON_ARRAY) {
        return type == LLM_JSON_ERROR ? LLM_OK
                                      : llm_chat_wrong(c, "contents");
    }

    for ( ;; ) {
        type = llm_json_next(j);

        if (type == LLM_JSON_ARRAY_END || type == LLM_JSON_ERROR) {
            return LLM_OK;
        }

        if (type == LLM_JSON_OBJECT) {
            rc = llm_gemini_read_content(c, j, &message);

        } else {
            rc = llm_chat_wrong(c, "contents");

            if (type == LLM_JSON_ARRAY) {
                (void) llm_json_skip_rest(j, &v);
            }
        }

        if (rc == LLM_NOMEM) {
            return rc;
        }
    }
}
