/* SPDX-License-Identifier: MIT
 *
 * ljar.c - cookie jars, and what a public suffix makes of a host.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lua/binding.h"

struct jar {
    struct lb_object object;
    struct ms_jar *j; /* a reference */
};

/* A list, so that running out of memory loses nothing. */
struct box {
    struct ms_cookie_list *list;
};

static int free_box(lua_State *L)
{
    struct box *b = lua_touserdata(L, 1);

    ms_cookie_list_free(b->list);
    b->list = NULL;
    return 0;
}

static struct box *push_box(lua_State *L)
{
    struct box *b = lua_newuserdatauv(L, sizeof(*b), 0);

    b->list = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_box);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return b;
}

/* While the program ends, a finaliser may look at a jar that is gone. */
static struct ms_jar *check_jar(lua_State *L)
{
    struct jar *jar = lb_check(L, 1, LB_JAR);

    if (!jar->j)
        lb_raise(L, MS_ECLOSED, "jar");
    return jar->j;
}

struct ms_jar *lb_test_jar(lua_State *L, int index)
{
    const struct jar *jar = lb_test(L, index, LB_JAR);

    return jar ? jar->j : NULL;
}

static const char *check_text(lua_State *L, int index, const char *what,
                              size_t *n)
{
    if (lua_type(L, index) != LUA_TSTRING)
        lb_usage(L, "bad_argument", "%s must be a string, not %s", what,
                 lb_typename(L, index));
    return lua_tolstring(L, index, n);
}

/* ---- cookies as tables
 * -------------------------------------------------------- */

static void set_text(lua_State *L, const char *key, const char *p, size_t n)
{
    lua_pushlstring(L, n ? p : "", n);
    lua_setfield(L, -2, key);
}

static void set_flag(lua_State *L, const char *key, bool on)
{
    lua_pushboolean(L, on);
    lua_setfield(L, -2, key);
}

/* Nothing for cookies that live as long as their jar. */
static void set_expires(lua_State *L, int64_t at)
{
    if (at == INT64_MAX)
        return;
    lua_pushinteger(L, at == INT64_MIN ? 0 : (lua_Integer)at);
    lua_setfield(L, -2, "expires");
}

/* Domain and path only where there are any. */
void lb_push_cookie(lua_State *L, const struct ms_cookie_info *c)
{
    static const char *const sites[] = {NULL, "none", "lax", "strict"};

    lua_createtable(L, 0, 10);
    set_text(L, "name", c->name, c->name_len);
    set_text(L, "value", c->value, c->value_len);
    if (c->domain_len)
        set_text(L, "domain", c->domain, c->domain_len);
    if (c->path_len)
        set_text(L, "path", c->path, c->path_len);
    set_flag(L, "secure", c->secure);
    set_flag(L, "http_only", c->http_only);
    set_flag(L, "host_only", c->host_only);
    set_expires(L, c->expires);
    if (c->created) {
        lua_pushinteger(L, (lua_Integer)c->created);
        lua_setfield(L, -2, "created");
    }
    if (sites[c->same_site]) {
        lua_pushstring(L, sites[c->same_site]);
        lua_setfield(L, -2, "same_site");
    }
}

/* Replaces the box at the top by a table of what is in it. */
static void unpack_box(lua_State *L, struct box *b)
{
    size_t n = ms_cookie_list_count(b->list);

    lua_createtable(L, n < INT_MAX ? (int)n : INT_MAX, 0);
    for (size_t i = 0; i < n; i++) {
        lb_push_cookie(L, ms_cookie_list_at(b->list, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    ms_cookie_list_free(b->list);
    b->list = NULL;
    lua_remove(L, -2);
}

/* ---- methods
 * -------------------------------------------------------------------- */

/* nil and the err. Cookies are secrets: it names the URL, not them. */
static int refuse(lua_State *L, ms_err err, const char *why)
{
    if (err == MS_ENOMEM)
        return lb_raise(L, err, "jar");
    lua_pushnil(L);
    lua_pushfstring(L, "\"%s\": %s%s%s", lua_tostring(L, 2), ms_err_text(err),
                    why ? ": " : "", why ? why : "");
    lb_push_err(L, ms_err_category(err), ms_err_code(err));
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "url");
    return 2;
}

/* jar:set(url, line): true, or nil and the err */
static int jar_set(lua_State *L)
{
    struct ms_jar *j = check_jar(L);
    size_t url_len, line_len;
    const char *url = check_text(L, 2, "the URL", &url_len);
    const char *line = check_text(L, 3, "the cookie", &line_len), *why;

    ms_err err = ms_jar_set(j, url, url_len, line, line_len, &why);
    if (err)
        return refuse(L, err, why);
    lua_pushboolean(L, 1);
    return 1;
}

/* jar:get(url): a list of cookies, or nil and the err */
static int jar_get(lua_State *L)
{
    struct ms_jar *j = check_jar(L);
    size_t n;
    const char *url = check_text(L, 2, "the URL", &n), *why;
    struct box *b = push_box(L);

    ms_err err = ms_jar_get(j, url, n, &b->list, &why);
    if (err)
        return refuse(L, err, why);
    unpack_box(L, b);
    return 1;
}

static int next_cookie(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;

    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(2));
    lua_rawgeti(L, lua_upvalueindex(1), i);
    return 1;
}

/* jar:each(): an iterator over all there are now, oldest first */
static int jar_each(lua_State *L)
{
    struct ms_jar *j = check_jar(L);
    struct box *b = push_box(L);

    ms_err err = ms_jar_list(j, &b->list);
    if (err)
        return lb_raise(L, err, "jar");
    unpack_box(L, b);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_cookie, 2);
    return 1;
}

static int jar_clear(lua_State *L)
{
    ms_jar_clear(check_jar(L));
    return 0;
}

static int file_failed(lua_State *L, ms_err err, const struct ms_jar_error *e)
{
    const char *path = lua_tostring(L, 2);

    if (err == MS_ENOMEM)
        return lb_raise(L, err, "jar");
    lua_pushnil(L);
    if (err == MS_ECOOKIE)
        lua_pushfstring(L, "%s:%I: %s", path, (LUAI_UACINT)e->line, e->reason);
    else
        lua_pushfstring(L, "%s: %s", path, strerror(e->os_errno));
    lb_push_err(L, ms_err_category(err), ms_err_code(err));
    if (err != MS_EFILE)
        return 2;
    lua_pushinteger(L, e->os_errno);
    lua_setfield(L, -2, "errno");
    return 2;
}

typedef ms_err file_fn(struct ms_jar *jar, const char *path,
                       struct ms_jar_error *error);

static int with_file(lua_State *L, file_fn *how)
{
    struct ms_jar *j = check_jar(L);
    size_t n;
    const char *path = check_text(L, 2, "the path", &n);
    struct ms_jar_error e = {.os_errno = ENOENT};

    /* No file has a NUL in its name. */
    ms_err err = strlen(path) == n ? how(j, path, &e) : MS_EFILE;
    if (err)
        return file_failed(L, err, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* jar:save(path), jar:load(path): true, or nil and the err */
static int jar_save(lua_State *L)
{
    return with_file(L, ms_jar_save);
}

static int jar_load(lua_State *L)
{
    return with_file(L, ms_jar_load);
}

static int jar_gc(lua_State *L)
{
    struct jar *jar = lb_check(L, 1, LB_JAR);

    ms_jar_free(jar->j);
    jar->j = NULL;
    return 0;
}

static int new_jar(lua_State *L)
{
    struct jar *jar = lb_new(L, LB_JAR, sizeof(*jar), 0);
    ms_err err = ms_jar_new(&jar->j);

    return err ? lb_raise(L, err, "jar") : 1;
}

/* registrable_domain(host): a string or nil */
static int registrable_domain(lua_State *L)
{
    char domain[MS_DOMAIN_ROOM];
    size_t n;
    const char *host = check_text(L, 1, "the host", &n);

    ms_err err = ms_registrable_domain(host, n, domain);
    if (err)
        return lb_raise(L, err, "registrable_domain");
    lua_pushstring(L, *domain ? domain : NULL);
    return 1;
}

void lb_open_jar(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", jar_gc}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"set", jar_set},   {"get", jar_get},
                                       {"each", jar_each}, {"clear", jar_clear},
                                       {"save", jar_save}, {"load", jar_load},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"jar", new_jar},
        {"registrable_domain", registrable_domain},
        {NULL, NULL}};

    lb_set_type(L, LB_JAR, meta, methods);
    lb_setfuncs(L, functions);
}
