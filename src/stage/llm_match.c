/*
 * The automaton.  Its nodes are the beginnings of the strings, in the order
 * of their lengths, the children of one beside each other: a node is found
 * by a search among them, and its memory is bounded by the strings' bytes,
 * not by the alphabet.  It must never read a byte of the text twice.
 */

#include "llm_match.h"


/* indexes: 128 strings of 256 bytes are 32769 nodes, and one behind the last */

struct llm_match_node_s {
    uint16_t  first;        /* child; the last is before the next node's */
    uint16_t  fail;         /* the longest other node with children that the
                               text then ends with */
    uint16_t  live;         /* the node itself, or `fail` if it is a leaf */
    uint16_t  depth;        /* bytes */
    uint16_t  string;       /* that begins so */
    uint16_t  found;        /* 1 + the longest string that ends so, or 0 */
    llm_u8    c;            /* the last byte */
};


static unsigned llm_match_sort(llm_slice_t *list, const llm_slice_t *s,
    unsigned n);
static unsigned llm_match_trie(llm_match_t *m, unsigned n);
static void llm_match_children(llm_match_t *m, unsigned *count, unsigned i);
static void llm_match_links(llm_match_t *m, unsigned count);


size_t
llm_match_size(const llm_slice_t *s, unsigned n)
{
    size_t    sum;
    unsigned  i;

    sum = 2;

    for (i = 0; i < n; i++) {
        sum += s[i].n;
    }

    return n * sizeof(llm_slice_t) + sum * sizeof(llm_match_node_t);
}


void
llm_match_init(llm_match_t *m, void *memory, const llm_slice_t *s,
    unsigned n)
{
    llm_slice_t  *list;

    list = memory;

    memset(m, 0, sizeof(llm_match_t));

    m->strings = list;
    m->nodes = (llm_match_node_t *) (void *) (list + n);

    n = llm_match_sort(list, s, n);
    llm_match_links(m, llm_match_trie(m, n));
}


static int
llm_match_compare(const llm_slice_t *a, const llm_slice_t *b)
{
    int  rc;

    rc = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

    return rc != 0 ? rc : (a->n > b->n) - (a->n < b->n);
}


/* Copies each string once, in order; returns how many. */
static unsigned
llm_match_sort(llm_slice_t *list, const llm_slice_t *s, unsigned n)
{
    int       rc;
    unsigned  i, at, count;

    count = 0;

    for (i = 0; i < n; i++) {
        rc = 1;

        for (at = count; at > 0; at--) {
            rc = llm_match_compare(&s[i], &list[at - 1]);

            if (rc >= 0) {
                break;
            }
        }

        if (rc == 0) {
            continue;
        }

        memmove(&list[at + 1], &list[at],
                (count - at) * sizeof(llm_slice_t));

        list[at] = s[i];
        count++;
    }

    return count;
}


/* Makes the nodes, and returns how many.  Until they are linked, `string` and
 * `found` are the strings that begin so: the first, the one behind the last. */
static unsigned
llm_match_trie(llm_match_t *m, unsigned n)
{
    unsigned           i, count;
    llm_match_node_t  *root;

    root = m->nodes;

    memset(root, 0, sizeof(llm_match_node_t));
    root->found = (uint16_t) n;
    count = 1;

    for (i = 0; i < count; i++) {
        llm_match_children(m, &count, i);
    }

    m->nodes[count].first = (uint16_t) count;

    for (i = root->first; i < m->nodes[1].first; i++) {
        m->root[m->nodes[i].c] = (uint16_t) i;
    }

    return count;
}


static void
llm_match_children(llm_match_t *m, unsigned *count, unsigned i)
{
    llm_u8              c;
    unsigned            at, end, depth;
    llm_match_node_t   *node;
    const llm_slice_t  *s;

    s = m->strings;
    at = m->nodes[i].string;
    end = m->nodes[i].found;
    depth = m->nodes[i].depth;

    m->nodes[i].first = (uint16_t) *count;

    /* the shortest comes first: the one that ends here */

    if (s[at].n == depth) {
        at++;
    }

    while (at < end) {
        node = &m->nodes[(*count)++];
        c = s[at].p[depth];

        memset(node, 0, sizeof(llm_match_node_t));
        node->c = c;
        node->depth = (uint16_t) (depth + 1);
        node->string = (uint16_t) at;

        while (at < end && s[at].p[depth] == c) {
            at++;
        }

        node->found = (uint16_t) at;
    }
}


/* The child of a node for c, or 0. */
static inline unsigned
llm_match_child(const llm_match_node_t *nodes, unsigned node, llm_u8 c)
{
    unsigned  lo, hi, at;

    lo = nodes[node].first;
    hi = nodes[node + 1].first;

    while (lo < hi) {
        at = (lo + hi) / 2;

        if (nodes[at].c == c) {
            return at;
        }

        if (nodes[at].c < c) {
            lo = at + 1;

        } else {
            hi = at;
        }
    }

    return 0;
}


/* The node behind c.  Each step to `fail` makes the node shorter, each byte
 * makes it longer by one: there are not more of them than bytes. */
static inline unsigned
llm_match_next(const llm_match_t *m, unsigned node, llm_u8 c)
{
    unsigned  child;

    while (node != 0) {
        child = llm_match_child(m->nodes, node, c);

        if (child != 0) {
            return child;
        }

        node = m->nodes[node].fail;
    }

    return m->root[c];
}


/* From the short nodes to the long ones: what a node fails to is shorter. */
static void
llm_match_links(llm_match_t *m, unsigned count)
{
    unsigned           i, at, fail;
    llm_match_node_t  *nodes, *node;

    nodes = m->nodes;
    nodes[0].found = 0;

    for (i = 0; i < count; i++) {

        for (at = nodes[i].first; at < nodes[i + 1].first; at++) {
            node = &nodes[at];

            fail = i != 0 ? llm_match_next(m, nodes[i].fail, node->c) : 0;

            node->found = m->strings[node->string].n == node->depth
                          ? (uint16_t) (node->string + 1)
                          : nodes[fail].found;

            node->fail = nodes[fail].live;
            node->live = node->first != nodes[at + 1].first
                         ? (uint16_t) at : node->fail;
        }
    }
}


int
llm_match_read(const llm_match_t *m, llm_match_at_t *at, const llm_u8 *p,
    size_t n, size_t *used)
{
    size_t                   i, len;
    unsigned                 node, back, found;
    const llm_match_node_t  *nodes;

    nodes = m->nodes;
    node = at->node;
    back = at->back;
    found = at->found;

    for (i = 0; i < n; /* void */ ) {

        if (node == 0) {

            /* nothing was found, then */

            while (i < n && m->root[p[i]] == 0) {
                i++;
            }

            if (i == n) {
                break;
            }
        }

        node = llm_match_next(m, node, p[i++]);
        back += found != 0;

        if (nodes[node].found != 0) {
            len = m->strings[nodes[node].found - 1].n;

            if (found == 0 || len >= back) {
                found = nodes[node].found;
                back = (unsigned) len;
            }
        }

        node = nodes[node].live;

        if (found != 0 && nodes[node].depth < back) {
            break;
        }
    }

    at->node = (uint16_t) node;
    at->back = (uint16_t) back;
    at->found = (uint16_t) found;

    *used = i;

    return found != 0 && nodes[node].depth < back;
}


llm_slice_t
llm_match_open(const llm_match_t *m, const llm_match_at_t *at)
{
    llm_slice_t  s;

    s.p = m->strings[m->nodes[at->node].string].p;
    s.n = m->nodes[at->node].depth;
    s.escaped = 0;

    return s;
}
