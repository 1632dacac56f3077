/*
 * The automaton of strings: "one|another", a line end, and a text.  What is
 * found, and what is still open at each byte, must be what a plain search
 * says, whatever the pieces.
 */

#include "fuzz_support.h"
#include "llm_match.h"


#define STRINGS  16
#define TEXT     512


typedef struct {
    llm_match_t     m;
    llm_slice_t     list[STRINGS];
    unsigned        n;
} strings_t;


/* The strings of a line; returns the bytes it has with its end. */
static size_t
read_strings(strings_t *s, const uint8_t *p, size_t size)
{
    size_t  i, from;

    s->n = 0;
    from = 0;

    for (i = 0; i < size; i++) {

        if (p[i] != '|' && p[i] != '\n') {
            continue;
        }

        if (i > from && i - from <= LLM_MATCH_LENGTH && s->n < STRINGS) {
            s->list[s->n++] = (llm_slice_t) { p + from, i - from, 0 };
        }

        from = i + 1;

        if (p[i] == '\n') {
            break;
        }
    }

    return from;
}


/* The longest string at p: its length.  open: whether one is longer than all
 * of it. */
static size_t
at_place(const strings_t *s, const uint8_t *p, size_t n, int *open)
{
    size_t    best;
    unsigned  i;

    best = 0;
    *open = 0;

    for (i = 0; i < s->n; i++) {

        if (s->list[i].n <= n) {
            if (s->list[i].n > best
                && memcmp(s->list[i].p, p, s->list[i].n) == 0)
            {
                best = s->list[i].n;
            }

        } else if (memcmp(s->list[i].p, p, n) == 0) {
            *open = 1;
        }
    }

    return best;
}


/* All that was read so far. */
static void
check(const strings_t *s, const llm_match_at_t *at, int known,
    const uint8_t *p, size_t n)
{
    int     open;
    size_t  i, len;

    for (i = 0; i < n; i++) {
        len = at_place(s, p + i, n - i, &open);

        if (open) {
            FUZZ_CHECK(!known);
            FUZZ_CHECK(llm_match_open(&s->m, at).n == n - i);
            FUZZ_CHECK(memcmp(llm_match_open(&s->m, at).p, p + i, n - i)
                       == 0);
            FUZZ_CHECK(at->found == 0 || at->back <= n - i);
            return;
        }

        if (len != 0) {
            FUZZ_CHECK(known);
            FUZZ_CHECK(at->back == n - i);
            FUZZ_CHECK(llm_match_found(&s->m, at)->n == len);
            return;
        }
    }

    FUZZ_CHECK(!known && at->found == 0);
    FUZZ_CHECK(llm_match_open(&s->m, at).n == 0);
}


static void
run(const strings_t *s, const uint8_t *p, size_t size, size_t step)
{
    int             known;
    size_t          used, done;
    fuzz_pieces_t   c;
    llm_match_at_t  at;

    memset(&at, 0, sizeof(llm_match_at_t));
    memset(&c, 0, sizeof(fuzz_pieces_t));

    c.p = p;
    c.n = size;
    c.first = step;
    c.step = step;
    known = 0;
    done = 0;

    while (!known && fuzz_piece(&c)) {
        known = llm_match_read(&s->m, &at, c.in, c.k, &used);
        FUZZ_CHECK(known || used == c.k);

        done += used;
        check(s, &at, known, p, done);
    }

    free(c.in);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void       *memory;
    size_t      from;
    strings_t   s;

    from = read_strings(&s, data, size);

    if (s.n == 0 || size - from > TEXT) {
        return 0;
    }

    memory = malloc(llm_match_size(s.list, s.n));
    FUZZ_CHECK(memory != NULL);

    llm_match_init(&s.m, memory, s.list, s.n);

    run(&s, data + from, size - from, 1);
    run(&s, data + from, size - from, 3);
    run(&s, data + from, size - from, TEXT);

    free(memory);

    return 0;
}
