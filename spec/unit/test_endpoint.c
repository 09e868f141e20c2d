/* SPDX-License-Identifier: MIT
 *
 * What counts as "the same connection": the key of a request follows the scope
 * that the table of options states, for every option.
 */
#include "engine/endpoint.h"

#include <string.h>

#include "unit.h"

/* Two values of a text that only says what it says. */
static const struct {
    enum ms_option id;
    const char *values[2];
} texts[] = {
    {MS_OPT_METHOD, {"GET", "PUT"}},
    {MS_OPT_BODY, {"a", "b"}},
    {MS_OPT_USER_AGENT, {"a", "b"}},
    {MS_OPT_VERSION, {"1.1", "2-prior-knowledge"}},
    {MS_OPT_PRIORITY, {"u=1", "u=2"}},
    {MS_OPT_RANGE, {"0-1", "-2"}},
    {MS_OPT_AUTH_USER, {"a", "b"}},
    {MS_OPT_AUTH_PASSWORD, {"a", "b"}},
    {MS_OPT_BEARER, {"a", "b"}},
    {MS_OPT_NETRC, {"", "/a"}},
    {MS_OPT_RETRY_STATUS, {"503", "504"}},
    {MS_OPT_RETRY_METHODS, {"GET", "GET,POST"}},
    {MS_OPT_TLS_CA_FILE, {"a.pem", "b.pem"}},
    {MS_OPT_TLS_CA_PATH, {"a", "b"}},
    {MS_OPT_TLS_CRL_FILE, {"a.pem", "b.pem"}},
    {MS_OPT_TLS_CERT, {"a.pem", "b.pem"}},
    {MS_OPT_TLS_KEY, {"a.pem", "b.pem"}},
    {MS_OPT_TLS_KEY_PASSWORD, {"a", "A"}},
    {MS_OPT_TLS_MIN_VERSION, {"1.2", "1.3"}},
    {MS_OPT_TLS_MAX_VERSION, {"1.2", "1.3"}},
    {MS_OPT_TLS_CIPHERS, {"a", "b"}},
    {MS_OPT_TLS_ALPN, {"a", "a,b"}},
    {MS_OPT_TLS_PINNED_PUBLIC_KEY,
     {"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      "sha256//BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}},
    {MS_OPT_TLS_SERVER_NAME, {"a", "b"}},
    {MS_OPT_TLS_STAPLE, {NULL, "require"}},
    {MS_OPT_INTERFACE, {"lo", "127.0.0.1"}},
    {MS_OPT_LOCAL_PORT, {"4000", "4000-4001"}},
    {MS_OPT_UNIX_SOCKET, {"/a", "@a"}},
    {MS_OPT_RESOLVE, {"h=::1", "h=::2"}},
    {MS_OPT_CONNECT_TO, {"h=a", "h=a:1"}},
    {MS_OPT_DNS_SERVERS, {"127.0.0.1", "127.0.0.1:53"}},
    {MS_OPT_ALLOW_ADDRESS, {"any", "public"}},
};

static ms_err set_text(struct ms_options *o, enum ms_option id, int which)
{
    /* A password alone is refused. */
    if (id == MS_OPT_AUTH_PASSWORD)
        CHECK(!ms_options_set_string(o, MS_OPT_AUTH_USER, "a", 1));
    for (size_t i = 0; i < MS_COUNT(texts); i++) {
        const char *s = texts[i].values[which];
        if (texts[i].id == id)
            return ms_options_set_string(o, id, s, s ? strlen(s) : 0);
    }
    CHECK_THAT(false, "%s has no two values here", ms_option_at(id)->name);
    return MS_EINTERNAL;
}

static ms_err set(struct ms_options *o, const struct ms_option_info *info,
                  int which)
{
    switch (info->type) {
    case MS_TYPE_BOOL:
        return ms_options_set_bool(o, info->id, which);
    case MS_TYPE_INT: /* `ip` is 4 or 6 */
        return ms_options_set_int(
            o, info->id, info->least + (info->id == MS_OPT_IP ? 2 : 1) * which);
    case MS_TYPE_STRING:
    case MS_TYPE_LIST:
        return set_text(o, info->id, which);
    case MS_TYPE_HEADERS:
        break;
    }
    return ms_options_header(o, MS_HEADER_SET, "Authorization", 13,
                             which ? "b" : "a", 1);
}

/* Frozen, as a transfer uses it; one reference is the caller's. */
static struct ms_options *options_with(const struct ms_option_info *info,
                                       int which)
{
    struct ms_options *o;

    CHECK(!ms_options_new(&o, NULL));
    CHECK(!set(o, info, which));
    struct ms_options *used = ms_options_use(o);
    CHECK_THAT(!used->err, "%s: %s", info->name, ms_err_name(used->err));
    ms_options_free(o);
    return used;
}

static struct ms_endpoint_key key_of(const char *text,
                                     const struct ms_options *o,
                                     struct ms_url *url)
{
    const char *why;

    *url = (struct ms_url){0};
    CHECK(!ms_url_parse(url, ms_span_text(text), NULL, &why));
    return ms_endpoint_key_of(url, ms_endpoint_host_hash(url), o);
}

static bool same_key(const char *text, const struct ms_option_info *info,
                     int first, int second)
{
    struct ms_options *a = options_with(info, first);
    struct ms_options *b = options_with(info, second);
    struct ms_url urls[2];
    struct ms_endpoint_key ka = key_of(text, a, &urls[0]);
    struct ms_endpoint_key kb = key_of(text, b, &urls[1]);
    bool same = ms_endpoint_key_same(&ka, &kb);

    CHECK(same == ms_endpoint_key_same(&kb, &ka));
    ms_url_free(&urls[0]);
    ms_url_free(&urls[1]);
    ms_options_free(a);
    ms_options_free(b);
    return same;
}

/* ------------------------------------------------------------------------ */

TEST(a_key_differs_exactly_where_the_table_says_so)
{
    for (unsigned i = 0; i < MS_OPT_COUNT; i++) {
        const struct ms_option_info *info = ms_option_at(i);
        bool plain = info->scope != MS_SCOPE_DIFFERS;
        bool secure = info->scope == MS_SCOPE_SAME;
        CHECK_THAT(same_key("http://h/", info, 0, 1) == plain, "%s over http",
                   info->name);
        CHECK_THAT(same_key("https://h/", info, 0, 1) == secure,
                   "%s over https", info->name);
    }
}

TEST(equal_values_make_equal_keys)
{
    for (unsigned i = 0; i < MS_OPT_COUNT; i++)
        for (int which = 0; which < 2; which++)
            CHECK_THAT(same_key("https://h/", ms_option_at(i), which, which),
                       "%s, value %d", ms_option_at(i)->name, which);
}

TEST(scheme_host_and_port_make_a_key_each)
{
    static const char *const others[] = {"https://h/", "http://h:81/",
                                         "http://h.h/", "https://h:80/",
                                         "http://g/"};
    struct ms_options *o;
    struct ms_url urls[2];

    CHECK(!ms_options_new(&o, NULL));
    struct ms_endpoint_key a = key_of("http://h/", o, &urls[0]);
    for (size_t i = 0; i < MS_COUNT(others); i++) {
        struct ms_endpoint_key b = key_of(others[i], o, &urls[1]);
        CHECK_THAT(!ms_endpoint_key_same(&a, &b), "%s", others[i]);
        ms_url_free(&urls[1]);
    }
    struct ms_endpoint_key b = key_of("HTTP://H:80/x?y", o, &urls[1]);
    CHECK(ms_endpoint_key_same(&a, &b));
    ms_url_free(&urls[0]);
    ms_url_free(&urls[1]);
    ms_options_free(o);
}

/* One endpoint per key: what the map finds is what compares equal. */
TEST(endpoints_are_found_by_their_whole_key)
{
    struct ms_map map = {0};
    struct ms_endpoint *made[2 * MS_OPT_COUNT], *found;
    size_t count = 0;

    for (unsigned i = 0; i < MS_OPT_COUNT; i++)
        for (int which = 0; which < 2; which++) {
            struct ms_options *o = options_with(ms_option_at(i), which);
            struct ms_url url;
            struct ms_endpoint_key key = key_of("https://h/", o, &url);
            CHECK(!ms_endpoint_get(&map, &key, &found));
            CHECK(ms_endpoint_key_same(&found->key, &key));
            size_t at = 0;
            while (at < count && made[at] != found)
                CHECK(!ms_endpoint_key_same(&made[at++]->key, &key));
            made[at] = found;
            count += at == count;
            ms_url_free(&url);
            ms_options_free(o);
        }
    CHECK(count > 2); /* the defaults', and others */
    while (count)
        ms_endpoint_free(&map, made[--count]);
    ms_map_fini(&map);
}
