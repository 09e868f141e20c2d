/* SPDX-License-Identifier: MIT
 *
 * lurl.c - URLs taken apart, and dates.
 */
#include "lua/binding.h"

/* In the order of enum ms_url_member. */
static const char *const names[MS_URL_MEMBER_COUNT] = {
    "href", "protocol", "username", "password", "host",  "hostname",
    "port", "pathname", "search",   "hash",     "origin"};

/* A box, so that running out of memory loses nothing. */
struct box {
    struct ms_url_info *info;
};

static int free_box(lua_State *L)
{
    struct box *b = lua_touserdata(L, 1);

    ms_url_info_free(b->info);
    b->info = NULL;
    return 0;
}

static struct box *push_box(lua_State *L)
{
    struct box *b = lua_newuserdatauv(L, sizeof(*b), 0);

    b->info = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_box);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return b;
}

static int refuse(lua_State *L, ms_err err, const char *why)
{
    size_t n;
    const char *text = lua_tolstring(L, 1, &n);

    lb_push_shown_url(L, text, n);
    lua_replace(L, 1);
    lua_pushnil(L);
    lua_pushfstring(L, "\"%s\": %s%s%s", lua_tostring(L, 1), ms_err_text(err),
                    why ? ": " : "", why ? why : "");
    lb_push_err(L, ms_err_category(err), ms_err_code(err));
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "url");
    return 2;
}

static const char *check_text(lua_State *L, int index, size_t *n)
{
    if (lua_type(L, index) != LUA_TSTRING)
        lb_usage(L, "bad_argument", "%s must be a string, not %s",
                 index == 1 ? "the URL" : "the base", lb_typename(L, index));
    return lua_tolstring(L, index, n);
}

/* url(text [, base]): a table of its parts, or nil and the err */
static int parse_url(lua_State *L)
{
    size_t n, base_n = 0;
    const char *text = check_text(L, 1, &n), *base = NULL, *why;

    if (!lua_isnoneornil(L, 2))
        base = check_text(L, 2, &base_n);
    lua_settop(L, 2);
    struct box *b = push_box(L);
    ms_err err = ms_url_info_new(&b->info, text, n, base, base_n, &why);
    if (err)
        return refuse(L, err, why);
    lua_createtable(L, 0, MS_URL_MEMBER_COUNT);
    for (int i = 0; i < MS_URL_MEMBER_COUNT; i++) {
        const char *p = ms_url_info_get(b->info, (enum ms_url_member)i, &n);
        lua_pushlstring(L, p, n);
        lua_setfield(L, -2, names[i]);
    }
    ms_url_info_free(b->info);
    b->info = NULL;
    return 1;
}

/* shown_url(text): without user and password, for messages */
static int shown_url(lua_State *L)
{
    size_t n;
    const char *text = check_text(L, 1, &n);

    lb_push_shown_url(L, text, n);
    return 1;
}

/* http_date(text): seconds since 1970, or nil */
static int parse_date(lua_State *L)
{
    size_t n;
    int64_t seconds;

    if (lua_type(L, 1) != LUA_TSTRING)
        return lb_usage(L, "bad_argument", "a date must be a string, not %s",
                        lb_typename(L, 1));
    const char *text = lua_tolstring(L, 1, &n);
    if (!ms_http_date(text, n, &seconds))
        return 0;
    lua_pushinteger(L, seconds);
    return 1;
}

void lb_open_url(lua_State *L)
{
    static const luaL_Reg functions[] = {{"url", parse_url},
                                         {"shown_url", shown_url},
                                         {"http_date", parse_date},
                                         {NULL, NULL}};

    lb_setfuncs(L, functions);
}
