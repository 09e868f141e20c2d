/* SPDX-License-Identifier: MIT
 *
 * What src/base holds, against the simplest models there are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "unit.h"

#define NODES 64
#define STEPS 20000

static unsigned seed = 1;

static unsigned any(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

/* ---- buf --------------------------------------------------------------- */

static bool holds(const struct ms_buf *b, const char *text)
{
    return ms_span_equal(ms_buf_span(b), ms_span_text(text));
}

TEST(an_empty_buffer_owns_nothing)
{
    struct ms_buf b = {0};

    CHECK(ms_buf_len(&b) == 0 && ms_buf_span(&b).p == NULL);
    CHECK(!ms_buf_add(&b, "", 0));
    CHECK(b.p == NULL);
    ms_buf_free(&b);
}

TEST(a_buffer_is_filled_behind_and_consumed_in_front)
{
    struct ms_buf b = {0};

    CHECK(!ms_buf_add(&b, "hello ", 6));
    CHECK(!ms_buf_add_span(&b, MS_SPAN("world")));
    CHECK(holds(&b, "hello world"));
    ms_buf_consume(&b, 6);
    CHECK(holds(&b, "world"));
    CHECK(!ms_buf_add(&b, "!", 1));
    CHECK(holds(&b, "world!"));
    ms_buf_consume(&b, 6);
    CHECK(ms_buf_len(&b) == 0 && b.from == 0);
    ms_buf_free(&b);
    CHECK(b.p == NULL && b.cap == 0);
}

TEST(a_buffer_agrees_with_a_model)
{
    static char model[1 << 16];
    struct ms_buf b = {0};
    size_t n = 0;

    for (int i = 0; i < STEPS; i++) {
        char piece[100];
        size_t k = any(sizeof(piece));
        if (any(2) && n + k < sizeof(model)) {
            memset(piece, (int)('a' + any(26)), k);
            CHECK(!ms_buf_add(&b, piece, k));
            memcpy(model + n, piece, k);
            n += k;
        } else {
            k = k < n ? k : n;
            ms_buf_consume(&b, k);
            memmove(model, model + k, n - k);
            n -= k;
        }
        CHECK(ms_span_equal(ms_buf_span(&b), ms_span(model, n)));
    }
    ms_buf_free(&b);
}

TEST(a_buffer_without_memory_stays_as_it_was)
{
    struct ms_buf b = {0};

    CHECK(!ms_buf_add(&b, "abc", 3));
    ms_mem_fail(1, 1);
    CHECK(ms_buf_add(&b, "0123456789", 10) == MS_ENOMEM);
    ms_mem_fail(0, 0);
    CHECK(holds(&b, "abc"));
    CHECK(ms_buf_reserve(&b, SIZE_MAX - 1) == MS_ENOMEM);
    CHECK(holds(&b, "abc"));
    ms_buf_free(&b);
}

/* ---- span -------------------------------------------------------------- */

TEST(spans_compare_without_case_in_ascii_only)
{
    CHECK(ms_span_equal_nocase(MS_SPAN("Content-Length"),
                               MS_SPAN("content-lENGTH")));
    CHECK(!ms_span_equal_nocase(MS_SPAN("a"), MS_SPAN("ab")));
    CHECK(!ms_span_equal_nocase(MS_SPAN("[tag]"), MS_SPAN("{tag}")));
    CHECK(!ms_span_equal_nocase(MS_SPAN("\xC4"), MS_SPAN("\xE4")));
    CHECK(ms_span_equal(MS_SPAN(""), ms_span(NULL, 0)));
}

TEST(spans_are_trimmed_of_spaces_and_tabs)
{
    CHECK(ms_span_equal(ms_span_trim(MS_SPAN(" \t a b \t")), MS_SPAN("a b")));
    CHECK(ms_span_trim(MS_SPAN(" \t ")).n == 0);
    CHECK(ms_span_equal(ms_span_trim(MS_SPAN("\va")), MS_SPAN("\va")));
}

TEST(lists_are_split_at_commas)
{
    struct ms_span list = MS_SPAN(" , a,,\tb c ,"), item;

    CHECK(ms_span_next_item(&list, &item));
    CHECK(ms_span_equal(item, MS_SPAN("a")));
    CHECK(ms_span_next_item(&list, &item));
    CHECK(ms_span_equal(item, MS_SPAN("b c")));
    CHECK(!ms_span_next_item(&list, &item));
}

TEST(decimals_are_digits_within_their_bound)
{
    static const char *const bad[] = {
        "", "+1", "-1", "1 ", " 1", "0x", "1a", "256", "99999999999999999999"};
    uint64_t n;

    CHECK(ms_span_decimal(MS_SPAN("0"), 255, &n) && n == 0);
    CHECK(ms_span_decimal(MS_SPAN("00255"), 255, &n) && n == 255);
    CHECK(ms_span_decimal(MS_SPAN("18446744073709551615"), UINT64_MAX, &n));
    CHECK(n == UINT64_MAX);
    for (size_t i = 0; i < MS_COUNT(bad); i++)
        CHECK_THAT(!ms_span_decimal(ms_span_text(bad[i]), 255, &n), "\"%s\"",
                   bad[i]);
    CHECK(!ms_span_decimal(MS_SPAN("18446744073709551616"), UINT64_MAX, &n));
}

TEST(hex_digits_have_values)
{
    CHECK(ms_hex_value('0') == 0 && ms_hex_value('9') == 9);
    CHECK(ms_hex_value('a') == 10 && ms_hex_value('F') == 15);
    CHECK(ms_hex_value('g') == -1 && ms_hex_value('@') == -1);
    CHECK(ms_hex_value('`') == -1 && ms_hex_value('\0') == -1);
}

TEST(hashes_of_parts_are_not_those_of_the_whole_in_another_order)
{
    uint32_t ab = ms_span_hash(MS_SPAN("b"), ms_span_hash(MS_SPAN("a"), 0));
    uint32_t ba = ms_span_hash(MS_SPAN("a"), ms_span_hash(MS_SPAN("b"), 0));

    CHECK(ab != ba);
    CHECK(ms_span_hash(MS_SPAN("x"), 0) == ms_span_hash(MS_SPAN("x"), 0));
}

/* ---- list -------------------------------------------------------------- */

TEST(lists_keep_their_order)
{
    struct ms_list head, other, n[4];

    ms_list_init(&head);
    ms_list_init(&other);
    for (int i = 0; i < 4; i++)
        ms_list_init(&n[i]);
    CHECK(ms_list_pop(&head) == NULL);
    ms_list_push(&head, &n[1]);
    ms_list_push(&head, &n[2]);
    ms_list_push_front(&head, &n[0]);
    ms_list_push(&other, &n[3]);
    ms_list_splice(&head, &other);
    CHECK(ms_list_empty(&other));
    ms_list_push(&head, &n[1]); /* moves */
    CHECK(ms_list_pop(&head) == &n[0] && ms_list_pop(&head) == &n[2]);
    CHECK(ms_list_pop(&head) == &n[3] && ms_list_pop(&head) == &n[1]);
    CHECK(ms_list_empty(&head) && ms_list_empty(&n[1]));
    ms_list_unlink(&n[1]); /* harmless for one that is on none */
}

TEST(a_visit_may_unlink_what_it_is_given)
{
    struct ms_list head, n[3];
    int seen = 0;

    ms_list_init(&head);
    for (int i = 0; i < 3; i++) {
        ms_list_init(&n[i]);
        ms_list_push(&head, &n[i]);
    }
    ms_list_each (node, &head) {
        CHECK(node == &n[seen++]);
        ms_list_unlink(node);
    }
    CHECK(seen == 3 && ms_list_empty(&head));
}

/* ---- heap -------------------------------------------------------------- */

static uint64_t least(const struct ms_heap_node *nodes)
{
    uint64_t key = UINT64_MAX;

    for (int i = 0; i < NODES; i++)
        if (ms_heap_linked(&nodes[i]) && nodes[i].key < key)
            key = nodes[i].key;
    return key;
}

TEST(a_heap_agrees_with_a_model)
{
    struct ms_heap_node nodes[NODES];
    struct ms_heap h = {0};
    size_t in = 0;

    for (int i = 0; i < NODES; i++)
        ms_heap_node_init(&nodes[i]);
    for (int i = 0; i < STEPS; i++) {
        struct ms_heap_node *n = &nodes[any(NODES)];
        size_t count = 0;
        if (any(8) == 0 && h.root)
            n = h.root;
        if (ms_heap_linked(n)) {
            ms_heap_remove(&h, n);
            in--;
        } else {
            ms_heap_push(&h, n, any(16)); /* many equal keys */
            in++;
        }
        CHECK(ms_heap_check(&h, &count) && count == in);
        CHECK(in ? h.root->key == least(nodes) : !h.root);
    }
}

/* ---- map --------------------------------------------------------------- */

struct entry {
    struct ms_map_node node;
    bool in;
};

static void count_one(struct ms_map_node *n, void *user)
{
    CHECK(MS_CONTAINER(n, struct entry, node)->in);
    ++*(size_t *)user;
}

static size_t found_with(const struct ms_map *m, uint32_t hash)
{
    size_t n = 0;

    for (struct ms_map_node *e = ms_map_first(m, hash); e; e = ms_map_next(e)) {
        CHECK(e->hash == hash);
        n++;
    }
    return n;
}

TEST(a_map_agrees_with_a_model)
{
    static struct entry entries[500];
    struct ms_map m = {0};
    size_t in = 0, with[40] = {0};

    for (int i = 0; i < STEPS; i++) {
        struct entry *e = &entries[any(MS_COUNT(entries))];
        uint32_t hash = any(40) * 0x01000193u; /* collisions */
        size_t walked = 0;
        if (e->in) {
            with[e->node.hash / 0x01000193u]--;
            ms_map_remove(&m, &e->node);
            in--;
        } else {
            CHECK(!ms_map_add(&m, &e->node, hash));
            with[hash / 0x01000193u]++;
            in++;
        }
        e->in = !e->in;
        CHECK(m.count == in);
        CHECK(found_with(&m, hash) == with[hash / 0x01000193u]);
        if (i % 500)
            continue;
        ms_map_walk(&m, count_one, &walked);
        CHECK(walked == in);
    }
    for (size_t i = 0; i < MS_COUNT(entries); i++)
        if (entries[i].in)
            ms_map_remove(&m, &entries[i].node);
    ms_map_fini(&m);
}

TEST(a_map_fails_on_its_first_node_only)
{
    static struct entry entries[200];
    struct ms_map m = {0};

    ms_mem_fail(1, 1);
    CHECK(ms_map_add(&m, &entries[0].node, 1) == MS_ENOMEM);
    CHECK(m.count == 0 && !ms_map_first(&m, 1));
    ms_mem_fail(0, 0);
    CHECK(!ms_map_add(&m, &entries[0].node, 1));
    ms_mem_fail(1, 1000000);
    for (uint32_t i = 1; i < MS_COUNT(entries); i++)
        CHECK(!ms_map_add(&m, &entries[i].node, i));
    ms_mem_fail(0, 0);
    for (uint32_t i = 0; i < MS_COUNT(entries); i++) {
        CHECK(ms_map_first(&m, entries[i].node.hash));
        ms_map_remove(&m, &entries[i].node);
    }
    ms_map_fini(&m);
}

/* ---- mem, err ---------------------------------------------------------- */

TEST(the_nth_allocation_fails)
{
    ms_mem_fail(2, 1);
    void *a = ms_alloc(1), *b = ms_zalloc(1);
    char *c = ms_memdup("xyz", 2);
    CHECK(a && !b && c && strcmp(c, "xy") == 0);
    CHECK(ms_mem_count() == 3);
    ms_mem_fail(1, 1);
    CHECK(!ms_realloc(a, 100));
    ms_mem_fail(0, 0);
    ms_free(a);
    ms_free(c);
    ms_free(NULL);
}

TEST(every_error_has_words)
{
    for (int e = MS_EUSAGE; e <= MS_EINTERNAL; e++) {
        CHECK(strncmp(ms_err_name((ms_err)e), "MS_E", 4) == 0);
        CHECK(*ms_err_category((ms_err)e) && *ms_err_code((ms_err)e));
        CHECK(*ms_err_text((ms_err)e));
    }
    CHECK(strcmp(ms_err_code((ms_err)9999), "internal") == 0);
    CHECK(strcmp(ms_err_name(MS_OK), "MS_OK") == 0);
}

TEST(errnos_have_errors)
{
    CHECK(ms_err_from_errno(ECONNREFUSED) == MS_EREFUSED);
    CHECK(ms_err_from_errno(ECONNRESET) == MS_ERESET);
    CHECK(ms_err_from_errno(EPIPE) == MS_ERESET);
    CHECK(ms_err_from_errno(EMFILE) == MS_EFILES);
    CHECK(ms_err_from_errno(ENETUNREACH) == MS_ENETWORK);
    CHECK(ms_err_from_errno(EHOSTUNREACH) == MS_EUNREACHABLE);
    CHECK(ms_err_from_errno(ENOMEM) == MS_ENOMEM);
    CHECK(ms_err_from_errno(EPROTOTYPE) != MS_OK);
}
