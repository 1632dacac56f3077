/*
 * The rope: the order of what is put on it, what is copied and what is
 * referred to, and running out of memory at every step.
 */

#include "llm_rope.h"
#include "unit_support.h"


/* The whole, with a zero behind it, to be freed. */
static char *
flat(const llm_rope_t *r, size_t *n)
{
    char    *out;
    size_t   i, at;

    *n = llm_rope_length(r);
    out = malloc(*n + 1);
    assert_non_null(out);

    for (i = 0, at = 0; i < llm_rope_npieces(r); i++) {
        memcpy(out + at, llm_rope_bytes(r, i), llm_rope_pieces(r)[i].n);
        at += llm_rope_pieces(r)[i].n;
    }

    assert_int_equal(at, *n);
    out[at] = '\0';

    return out;
}


static void
test_empty(void **state)
{
    llm_rope_t    r;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_rope_init(&r, &a);

    llm_rope_put(&r, NULL, 0);
    llm_out(&r.out, "", 0);

    assert_int_equal(llm_rope_end(&r), LLM_OK);
    assert_int_equal(llm_rope_npieces(&r), 0);
    assert_int_equal(llm_rope_length(&r), 0);
    assert_int_equal(heap.calls, 0);

    llm_rope_free(&r);
}


static void
test_order(void **state)
{
    char          *out, big[LLM_ROPE_SPLICE], small[LLM_ROPE_SPLICE - 1];
    size_t         n;
    llm_rope_t     r;
    llm_alloc_t    a;
    unit_alloc_t   heap;

    (void) state;

    memset(big, 'B', sizeof(big));
    memset(small, 's', sizeof(small));

    a = unit_alloc(&heap);
    llm_rope_init(&r, &a);

    llm_out_lit(&r.out, "a");
    llm_rope_put(&r, (llm_u8 *) big, sizeof(big));
    llm_rope_put(&r, (llm_u8 *) big, sizeof(big));
    llm_out_lit(&r.out, "b");
    llm_rope_put(&r, (llm_u8 *) small, sizeof(small));
    llm_out_lit(&r.out, "c");
    llm_rope_put(&r, (llm_u8 *) big, sizeof(big));

    assert_int_equal(llm_rope_end(&r), LLM_OK);
    assert_int_equal(llm_rope_npieces(&r), 5);

    /* the large ones are where they were */

    assert_ptr_equal(llm_rope_bytes(&r, 1), big);
    assert_ptr_equal(llm_rope_bytes(&r, 2), big);
    assert_ptr_equal(llm_rope_bytes(&r, 4), big);
    assert_int_equal(llm_rope_pieces(&r)[3].n, sizeof(small) + 2);

    out = flat(&r, &n);
    assert_int_equal(n, 3 + 3 * sizeof(big) + sizeof(small));
    assert_int_equal(out[0], 'a');
    assert_memory_equal(out + 1, big, sizeof(big));
    assert_int_equal(out[1 + 2 * sizeof(big)], 'b');
    assert_memory_equal(out + 2 + 2 * sizeof(big), small, sizeof(small));
    assert_int_equal(out[2 + 2 * sizeof(big) + sizeof(small)], 'c');
    free(out);

    llm_rope_free(&r);
    assert_int_equal(heap.live, 0);
}


/* What was put while the text had to move is still all there. */
static void
test_growth(void **state)
{
    char          *out, big[LLM_ROPE_SPLICE];
    size_t         i, n, at;
    llm_rope_t     r;
    llm_alloc_t    a;
    unit_alloc_t   heap;

    (void) state;

    memset(big, 'B', sizeof(big));
    a = unit_alloc(&heap);
    llm_rope_init(&r, &a);

    for (i = 0; i < 3000; i++) {
        llm_out(&r.out, "0123456789", i % 11);

        if (i % 100 == 99) {
            llm_rope_put(&r, (llm_u8 *) big, sizeof(big));
        }
    }

    assert_int_equal(llm_rope_end(&r), LLM_OK);
    assert_int_equal(llm_rope_npieces(&r), 60);

    out = flat(&r, &n);

    for (i = 0, at = 0; i < 3000; i++) {
        assert_memory_equal(out + at, "0123456789", i % 11);
        at += i % 11;

        if (i % 100 == 99) {
            assert_memory_equal(out + at, big, sizeof(big));
            at += sizeof(big);
        }
    }

    assert_int_equal(at, n);
    free(out);
    llm_rope_free(&r);
    assert_int_equal(heap.live, 0);
}


static void
test_room(void **state)
{
    char          *out;
    size_t         n;
    llm_u8        *room;
    llm_rope_t     r;
    llm_alloc_t    a;
    unit_alloc_t   heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_rope_init(&r, &a);

    room = llm_rope_room(&r, 5000);
    assert_non_null(room);
    memset(room, 'x', 5000);        /* and it is not kept */

    llm_out_lit(&r.out, "<");
    room = llm_rope_room(&r, 5000);
    memset(room, 'y', 5000);
    r.out.pos += 3;
    llm_out_lit(&r.out, ">");

    assert_int_equal(llm_rope_end(&r), LLM_OK);

    out = flat(&r, &n);
    assert_string_equal(out, "<yyy>");
    free(out);

    llm_rope_free(&r);
    assert_int_equal(heap.live, 0);
}


static void
test_nomem(void **state)
{
    char          big[LLM_ROPE_SPLICE];
    size_t        k;
    llm_rc_t      rc;
    llm_rope_t    r;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    (void) state;

    memset(big, 'B', sizeof(big));

    for (k = 1; ; k++) {
        a = unit_alloc(&heap);
        heap.fail_at = k;
        llm_rope_init(&r, &a);

        llm_out_lit(&r.out, "abc");
        llm_rope_put(&r, (llm_u8 *) big, sizeof(big));
        llm_out(&r.out, big, 1000);

        if (llm_rope_room(&r, 4000) != NULL) {
            r.out.pos += 4000;
        }

        llm_rope_put(&r, (llm_u8 *) big, sizeof(big));

        rc = llm_rope_end(&r);
        assert_int_equal(llm_rope_end(&r), rc);

        llm_rope_free(&r);
        assert_int_equal(heap.live, 0);

        if (rc == LLM_OK) {
            break;
        }

        assert_int_equal(rc, LLM_NOMEM);
    }

    assert_true(k > 3);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_nomem)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
