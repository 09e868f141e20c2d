/* SPDX-License-Identifier: MIT
 *
 * Who finds what a server said about Digest: the same login at the same
 * origin, and nobody else.
 */
#include "engine/auth_store.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "unit.h"

static struct ms_auth_store store;

static struct ms_auth_entry *find(const char *text, const char *user,
                                  const char *password, bool make)
{
    struct ms_login login = {ms_span_text(user), ms_span_text(password)};
    struct ms_auth_entry *e;
    struct ms_url url = {0};

    CHECK(!ms_url_parse(&url, ms_span_text(text), NULL, NULL));
    CHECK(!ms_auth_store_find(&store, &url, &login, make, &e));
    ms_url_free(&url);
    return e;
}

TEST(an_entry_is_one_origin_and_one_login)
{
    static const char *const others[][3] = {
        {"https://h/", "u", "p"},    {"http://h:81/", "u", "p"},
        {"http://h.x/", "u", "p"},   {"http://h/", "U", "p"},
        {"http://h/", "u", "P"},     {"http://h/", "up", ""},
        {"http://h/", "", "up"},     {"http://hu/", "", "p"},
        {"http://h:443/", "u", "p"},
    };

    ms_auth_store_init(&store);
    struct ms_auth_entry *e = find("http://h/", "u", "p", true);
    CHECK(e && !e->proven && find("http://H:80/a?b", "u", "p", false) == e);
    CHECK(find("http://x:y@h/", "u", "p", false) == e);
    for (size_t i = 0; i < MS_COUNT(others); i++) {
        const char *const *o = others[i];
        CHECK_THAT(!find(o[0], o[1], o[2], false), "%s %s %s", o[0], o[1],
                   o[2]);
        CHECK(find(o[0], o[1], o[2], true) != e);
    }
    ms_auth_store_forget(&store, e);
    CHECK(!find("http://h/", "u", "p", false));
    CHECK(store.count == MS_COUNT(others));
    ms_auth_store_fini(&store);
}

TEST(the_one_used_longest_ago_makes_room)
{
    char user[16];

    ms_auth_store_init(&store);
    for (int i = 0; i < MS_AUTH_ENTRIES + 1; i++) {
        snprintf(user, sizeof(user), "%d", i);
        CHECK(find("http://h/", user, "", true));
        CHECK(find("http://h/", "0", "", false));
    }
    CHECK(store.count == MS_AUTH_ENTRIES);
    CHECK(!find("http://h/", "1", "", false));
    CHECK(find("http://h/", "2", "", false));
    ms_auth_store_fini(&store);
}

TEST(memory_may_run_out_anywhere)
{
    struct ms_login login = {MS_SPAN("u"), MS_SPAN("p")};
    struct ms_auth_entry *e = NULL;
    struct ms_url url = {0};

    CHECK(!ms_url_parse(&url, MS_SPAN("http://h/"), NULL, NULL));
    ms_auth_store_init(&store);
    for (long nth = 1; !e; nth++) {
        CHECK(nth < 20);
        ms_mem_fail(nth, 1);
        ms_err err = ms_auth_store_find(&store, &url, &login, true, &e);
        ms_mem_fail(0, 0);
        CHECK(err ? err == MS_ENOMEM && !e && !store.count : e != NULL);
    }
    ms_auth_store_fini(&store);
    ms_url_free(&url);
}
