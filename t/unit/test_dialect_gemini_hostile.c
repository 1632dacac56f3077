/*
 * Gemini's decoder and what is hostile: arguments in pieces that do not fit,
 * damaged documents, memory that ends.
 */

#include "unit_codec.h"


#define GEMINI    (&llm_dialect_gemini)


static void
check_stream(const char *stream, const char *expect)
{
    json_t  *said;

    said = codec_text(GEMINI, stream);
    codec_same(stream, said, expect);
    json_decref(said);
}


#define PART(fc)   "data: {\"candidates\":[{\"content\":{\"parts\":["       \
                   "{\"functionCall\":" fc "}]}}]}\n\n"
#define BEGIN      PART("{\"id\":\"i\",\"name\":\"f\",\"willContinue\":true}")
#define ARGS(v)    PART("{\"partialArgs\":[" v "],\"willContinue\":true}")
#define STOP       "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n"
#define NUM(p)     "{\"jsonPath\":\"" p "\",\"numberValue\":1}"
#define STR(p, s)  "{\"jsonPath\":\"" p "\",\"stringValue\":\"" s "\"}"
#define MORE(p, s) "{\"jsonPath\":\"" p "\",\"stringValue\":\"" s "\","     \
                   "\"willContinue\":true}"

/* Values in an order that fragments cannot say, and paths that are none. */
static const char *const  partial_broken[] = {
    ARGS(NUM("$.a") "," NUM("$.a")),
    ARGS(NUM("$.a.b") "," NUM("$.c") "," NUM("$.a.d")),
    ARGS(NUM("$.a") "," NUM("$.a.b")),
    ARGS(NUM("$.a.b") "," NUM("$.a")),
    ARGS(NUM("$.a[1]")),
    ARGS(NUM("$.a[0]") "," NUM("$.a[2]")),
    ARGS(NUM("$.a[0]") "," NUM("$.a[0]")),
    ARGS(NUM("$.a[0]") "," NUM("$.a.b")),
    ARGS(NUM("$.a.b") "," NUM("$.a[0]")),
    ARGS(NUM("$[0]")),
    ARGS(NUM("$")),
    ARGS(NUM("")),
    ARGS(NUM("a")),
    ARGS(NUM("$a")),
    ARGS(NUM("$.")),
    ARGS(NUM("$..a")),
    ARGS(NUM("$.a[")),
    ARGS(NUM("$.a[]")),
    ARGS(NUM("$.a[x]")),
    ARGS(NUM("$.a[-1]")),
    ARGS(NUM("$.a[99999999999]")),
    ARGS(NUM("$['a")),
    ARGS(NUM("$['a'")),
    ARGS(NUM("$['a'x]")),
    ARGS(NUM("$['a\\\\b']")),
    ARGS(STR("$.a", "x") "," STR("$.a", "y")),
    ARGS(MORE("$.a", "x") "," NUM("$.a")),
    ARGS(MORE("$.a", "x")) PART("{\"name\":\"g\"}")
        ARGS(NUM("$.a")),
    ARGS(NUM("$.a") "," NUM("$['a']"))
};

/* Pieces, and the arguments that they are. */
static const char *const  partial_fine[] = {
    ARGS(""), "{}",
    ARGS(NUM("$.a") "," STR("$[\\\"b c\\\"]", "\\u00e9")),
    "{\"a\":1,\"b c\":\"\\u00e9\"}",
    ARGS(STR("$.a", "x") "," STR("$.a", "")), "{\"a\":\"x\"}",
    ARGS(MORE("$.a", "x") "," STR("$.b", "y")),
    "{\"a\":\"x\",\"b\":\"y\"}",
    ARGS(NUM("$.a[0][0]") "," NUM("$.a[0][1]") "," NUM("$.a[1][0]")),
    "{\"a\":[[1,1],[1]]}",
    ARGS("{\"jsonPath\":\"$.a\"},{},{\"numberValue\":2}" ), "{}",
    ARGS(NUM("$.b") ",7,null") PART("{\"args\":{\"b\":2}}"),
    "{\"b\":1}",
    PART("{\"args\":{\"b\":2}}"), "{\"b\":2}"
};

/* The stream is broken, whatever comes after. */
static void
test_partial_broken(void **state)
{
    char     stream[2048];
    size_t   i;
    json_t  *said;

    (void) state;

    for (i = 0; i < sizeof(partial_broken) / sizeof(char *); i++) {
        (void) snprintf(stream, sizeof(stream), "%s%s%s", BEGIN,
                        partial_broken[i], STOP);
        said = codec_text(GEMINI, stream);

        if (strcmp(codec_string(said, "end", NULL, NULL), "invalid") != 0) {
            fail_msg("not refused: %s", partial_broken[i]);
        }

        json_decref(said);
    }

    for (i = 0; i < sizeof(partial_fine) / sizeof(char *); i += 2) {
        (void) snprintf(stream, sizeof(stream), "%s%s%s", BEGIN,
                        partial_fine[i], STOP);
        said = codec_text(GEMINI, stream);

        assert_string_equal(codec_string(said, "end", NULL, NULL), "ok");
        assert_string_equal(codec_string(json_array_get(
                                codec_at(said, "choices", "0", "calls"), 0),
                                "args", NULL, NULL),
                            partial_fine[i + 1]);
        json_decref(said);
    }
}


/* A string that goes on when the model says it is done is no success. */
static void
test_partial_unfinished(void **state)
{
    (void) state;

    check_stream(BEGIN ARGS(MORE("$.a", "x")) STOP,
        "{\"choices\":{\"0\":{\"finish\":\"error\",\"word\":\"STOP\","
        "\"calls\":[{\"id\":\"i\",\"name\":\"f\",\"args\":\"{\\\"a\\\":"
        "\\\"x\"}]}},\"order\":\"start call finish\",\"end\":\"ok\"}");

    /* the end of a call that is over, and a piece of none */

    check_stream(PART("{}") STOP,
        "{\"choices\":{\"0\":{\"finish\":\"stop\",\"word\":\"STOP\","
        "\"text\":\"\"}},\"order\":\"start text finish\",\"end\":\"ok\"}");
    check_stream(ARGS(NUM("$.a")) STOP,
        "{\"choices\":{},\"order\":\"start\",\"end\":\"invalid\"}");
}


/* Frames that say nothing, and those that are no chunk. */
static void
test_odd_frames(void **state)
{
    size_t   i;
    json_t  *said;

    static const char *const  broken[] = {
        "data: {\n\n", "data: 7\n\n", "data: []\n\n", "data: [{}]\n\n",
        "data: [DONE]\n\n", "data: {}x\n\n", "data: {\"candidates\":}\n\n",
        "data: {\"candidates\":[{]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":}]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{},{]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{]}}]}\n\n",
        "data: {\"candidates\":[{},{]}\n\n",
        "data: {\"usageMetadata\":{]}\n\n"
    };

    (void) state;

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        said = codec_text(GEMINI, broken[i]);
        codec_same(broken[i], said,
                   "{\"choices\":{},\"end\":\"invalid\"}");
        json_decref(said);
    }

    check_stream("data: {}\n\ndata: {\"x\":{\"candidates\":[]}}\n\n",
        "{\"choices\":{},\"end\":\"ok\"}");
    check_stream("data:\n\n",
        "{\"choices\":{},\"order\":\"ping\",\"end\":\"ok\"}");
}


typedef struct {
    unsigned  events;
    unsigned  stop_at;
} count_t;


static llm_rc_t
count_emit(void *ctx, const llm_event_t *ev)
{
    count_t  *c;

    (void) ev;
    c = ctx;

    return ++c->events == c->stop_at ? LLM_FAILED : LLM_OK;
}


static const char *const  rich[] = {
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":"
    "\"b\",\"thought\":true,\"thoughtSignature\":\"cw==\"},{\"functionCall\":"
    "{\"name\":\"f\",\"args\":{\"x\":[1,{}]}}},{\"functionCall\":{\"name\":"
    "\"g\",\"willContinue\":true}},{\"functionCall\":{\"partialArgs\":[{"
    "\"jsonPath\":\"$.a.b[0]\",\"stringValue\":\"c\"}],\"willContinue\":true}"
    "},{\"executableCode\":{\"code\":\"c\"}}],\"role\":\"model\"},\"index\":"
    "0,\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"a\","
    "\"logProbability\":-1}],\"topCandidates\":[{\"candidates\":[{\"token\":"
    "\"a\"}]}]},\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{"
    "\"uri\":\"u\"}}],\"groundingSupports\":[{\"segment\":{\"text\":\"a\"},"
    "\"groundingChunkIndices\":[0]}]},\"citationMetadata\":{\"citations\":[{"
    "\"uri\":\"v\"}]}},{\"finishReason\":\"STOP\",\"index\":1}],"
    "\"usageMetadata\":{\"promptTokenCount\":1,\"totalTokenCount\":2},"
    "\"promptFeedback\":{\"blockReason\":\"OTHER\"},\"modelVersion\":\"m\","
    "\"responseId\":\"r\",\"createTime\":\"2026-04-02T17:03:50Z\"}",

    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]},"
    "\"finishReason\":\"STOP\"}]}"
};


/* Decodes all of `rich`; the first code that is not LLM_OK. */
static llm_rc_t
decode_rich(unit_alloc_t *heap, size_t fail_at, count_t *count)
{
    size_t          i;
    llm_u8         *copy;
    llm_rc_t        rc;
    llm_frame_t     frame;
    llm_decoder_t   d;

    memset(&d, 0, sizeof(llm_decoder_t));

    d.alloc = unit_alloc(heap);
    heap->fail_at = fail_at;
    d.emit = count_emit;
    d.ctx = count;
    d.state = calloc(1, GEMINI->decode_size);
    assert_non_null(d.state);

    rc = LLM_OK;

    for (i = 0; i < 2 && rc == LLM_OK; i++) {
        copy = unit_copy(rich[i], strlen(rich[i]));
        memset(&frame, 0, sizeof(llm_frame_t));
        frame.data = (llm_slice_t) { copy, strlen(rich[i]), 0 };
        frame.max_depth = LLM_JSON_DEPTH;
        rc = GEMINI->decode(&d, &frame);
        free(copy);
    }

    GEMINI->decode_drop(&d);
    llm_block_free(&d.scratch, &d.alloc);
    assert_int_equal(heap->live, 0);
    free(d.state);

    return rc;
}


static void
test_memory(void **state)
{
    size_t        at;
    count_t       count, all;
    unit_alloc_t  heap;

    (void) state;

    memset(&all, 0, sizeof(count_t));
    assert_int_equal(decode_rich(&heap, 0, &all), LLM_OK);
    assert_true(heap.calls > 5);
    assert_true(all.events > 12);

    for (at = heap.calls; at != 0; at--) {
        memset(&count, 0, sizeof(count_t));
        assert_int_equal(decode_rich(&heap, at, &count), LLM_NOMEM);
    }

    /* who receives events can stop at each of them */

    for (at = 1; at <= all.events; at++) {
        memset(&count, 0, sizeof(count_t));
        count.stop_at = (unsigned) at;
        assert_int_equal(decode_rich(&heap, 0, &count), LLM_FAILED);
        assert_int_equal(count.events, at);
    }
}


/* Decodes n bytes: refused if and only if jansson refuses them. */
static void
check_damaged(const llm_u8 *p, size_t n)
{
    size_t          k;
    json_t         *v;
    llm_rc_t        rc;
    count_t         count;
    llm_frame_t     frame;
    unit_alloc_t    heap;
    llm_decoder_t   d;

    memset(&d, 0, sizeof(llm_decoder_t));
    memset(&count, 0, sizeof(count_t));
    memset(&frame, 0, sizeof(llm_frame_t));

    d.alloc = unit_alloc(&heap);
    d.emit = count_emit;
    d.ctx = &count;
    d.state = calloc(1, GEMINI->decode_size);
    assert_non_null(d.state);

    frame.data = (llm_slice_t) { p, n, 0 };
    frame.max_depth = LLM_JSON_DEPTH;

    rc = GEMINI->decode(&d, &frame);
    v = unit_parse(p, n, NULL);

    for (k = 0; k < n && strchr(" \n", p[k]) != NULL; k++) {
        /* void */
    }

    if (k == n) {
        assert_int_equal(rc, LLM_OK);       /* blank: a ping */

    } else if (!json_is_object(v)) {
        if (rc != LLM_INVALID || count.events != 0) {
            fail_msg("%d %.*s", rc, (int) n, (const char *) p);
        }

    } else if (count.events != 0) {

        /* values that are no part of one document come late */

        assert_true(rc == LLM_OK || rc == LLM_INVALID);
    }

    json_decref(v);
    GEMINI->decode_drop(&d);
    llm_block_free(&d.scratch, &d.alloc);
    assert_int_equal(heap.live, 0);
    free(d.state);
}


static void
test_damage(void **state)
{
    size_t       i, k, n;
    llm_u8      *copy;
    const char  *from;

    static const char  bytes[] = "{}[]\",:\\0tn x\n";

    (void) state;
    unit_seed();

    for (i = 0; i < 20000; i++) {
        from = rich[i % 2];
        n = strlen(from);

        if (i % 4 >= 2) {
            n = 1 + unit_random((uint32_t) n);
        }

        copy = unit_copy(from, n);

        for (k = unit_random(3); k != 0; k--) {
            copy[unit_random((uint32_t) n)] =
                (llm_u8) bytes[unit_random(sizeof(bytes) - 1)];
        }

        check_damaged(copy, n);
        free(copy);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partial_broken),
        cmocka_unit_test(test_partial_unfinished),
        cmocka_unit_test(test_odd_frames),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_damage)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
