/*
 * What a dialect said against what is expected, in a test.
 */

#include "unit_codec.h"


void
codec_same(const char *what, const json_t *got, const char *expect)
{
    char          *a, *b;
    json_t        *e;
    json_error_t   error;

    e = json_loads(expect, JSON_DECODE_ANY|JSON_DECODE_INT_AS_REAL, &error);

    if (e == NULL) {
        fail_msg("%s: expected is no JSON: %s", what, error.text);
        return;
    }

    if (!json_equal(got, e)) {
        a = json_dumps(got, JSON_ENCODE_ANY|JSON_SORT_KEYS|JSON_INDENT(1));
        b = json_dumps(e, JSON_ENCODE_ANY|JSON_SORT_KEYS|JSON_INDENT(1));
        fail_msg("%s: got\n%s\nexpected\n%s", what, a, b);
    }

    json_decref(e);
}


json_t *
codec_at(json_t *root, const char *a, const char *b, const char *c)
{
    root = json_object_get(root, a);

    if (b != NULL) {
        root = json_object_get(root, b);
    }

    if (b != NULL && c != NULL) {
        root = json_object_get(root, c);
    }

    return root;
}


const char *
codec_string(json_t *root, const char *a, const char *b, const char *c)
{
    return json_string_value(codec_at(root, a, b, c));
}


json_t *
codec_file(const llm_dialect_t *d, const char *path, unsigned answer)
{
    size_t   n;
    llm_u8  *p;
    json_t  *said;

    p = unit_read(path, &n);
    said = answer ? codec_answer(d, p, n) : codec_stream(d, p, n);
    free(p);

    return said;
}


void
codec_check(const llm_dialect_t *d, const char *path, unsigned answer,
    const char *expect)
{
    json_t  *said;

    said = codec_file(d, path, answer);
    codec_same(path, said, expect);
    json_decref(said);
}


void
codec_invalid(const llm_dialect_t *d, const char *data, unsigned answer)
{
    json_t  *said;

    said = answer ? codec_answer(d, data, strlen(data))
                  : codec_text(d, data);
    assert_string_equal(codec_string(said, "end", NULL, NULL), "invalid");
    json_decref(said);
}


char *
codec_error(const llm_dialect_t *d, const llm_error_t *err)
{
    char        *out;
    unit_out_t   o;

    unit_out_init(&o, 0, 0);
    d->error_body(&o.out, err);
    unit_out_end(&o);
    out = strdup((char *) o.p);
    assert_non_null(out);
    unit_out_free(&o);

    return out;
}
