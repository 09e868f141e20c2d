/* SPDX-License-Identifier: MIT
 *
 * lheaders.c - the option `headers`: a map from names to values, or a list of
 * pairs where order matters.
 *
 *     headers = { Accept = "text/html", ["X-Tag"] = { "a", "b" }, TE = false }
 *     headers = { { "Accept", "text/html" }, { "X-Tag", "a" } }
 */
#include <math.h>

#include "lua/binding.h"

/* Where the headers go. */
struct target {
    lua_State *L;
    struct ms_options *o;
};

/* The value of header `name` as text. */
static const char *header_value(lua_State *L, const char *name, int value,
                                size_t *n)
{
    int whole;

    if (!lua_isstring(L, value))
        lb_usage(L, "bad_option",
                 "header \"%s\" must be a string, a number, a list of them "
                 "or false, not %s",
                 name, lb_typename(L, value));
    if (lua_type(L, value) == LUA_TSTRING || lua_isinteger(L, value))
        return lua_tolstring(L, value, n);
    if (!isfinite(lua_tonumber(L, value)))
        lb_usage(L, "bad_option",
                 "header \"%s\" must be a finite number, not %f", name,
                 lua_tonumber(L, value));
    lua_Integer i = lua_tointegerx(L, value, &whole);
    if (whole)
        lua_pushinteger(L, i);
    else
        lua_pushvalue(L, value);
    lua_replace(L, value);
    return lua_tolstring(L, value, n);
}

static void set_header(const struct target *to, enum ms_header_mode mode,
                       int name, int value)
{
    lua_State *L = to->L;
    size_t name_len, value_len = 0;
    const char *n, *v = "";

    if (lua_type(L, name) != LUA_TSTRING)
        lb_usage(L, "bad_option", "names of headers are strings, not %s",
                 lb_typename(L, name));
    n = lua_tolstring(L, name, &name_len);
    /* A set holds no empty name. A blank is just as invalid, and the transfer
     * says so. */
    if (!name_len)
        n = " ", name_len = 1;
    if (mode != MS_HEADER_REMOVE)
        v = header_value(L, n, value, &value_len);
    ms_err err = ms_options_header(to->o, mode, n, name_len, v, value_len);

    if (err)
        lb_raise(L, err, "headers");
}

/* One line for each value of a list; an empty list is none at all. */
static void set_header_list(const struct target *to, enum ms_header_mode mode,
                            int name, int list)
{
    lua_State *L = to->L;
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);

    if (!n && mode == MS_HEADER_SET)
        set_header(to, MS_HEADER_REMOVE, name, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        set_header(to, i == 1 ? mode : MS_HEADER_ADD, name, lua_gettop(L));
        lua_pop(L, 1);
    }
}

static void set_header_value(const struct target *to, enum ms_header_mode mode,
                             int name, int value)
{
    if (lua_type(to->L, value) == LUA_TTABLE)
        set_header_list(to, mode, name, value);
    else if (lb_is_false(to->L, value))
        set_header(to, MS_HEADER_REMOVE, name, 0);
    else
        set_header(to, mode, name, value);
}

/* Whether the list had a header of this name before, in any spelling; the
 * table of those is at `seen`. */
static bool seen_before(lua_State *L, int seen, int name)
{
    luaL_Buffer b;
    size_t n;

    if (lua_type(L, name) != LUA_TSTRING)
        return false;
    const char *s = lua_tolstring(L, name, &n);
    char *lower = luaL_buffinitsize(L, &b, n);
    for (size_t i = 0; i < n; i++)
        lower[i] =
            (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + ('a' - 'A') : s[i]);
    luaL_pushresultsize(&b, n);
    lua_pushvalue(L, -1);
    bool before = lua_rawget(L, seen) != LUA_TNIL;
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, seen);
    return before;
}

static void check_is_list(lua_State *L, int table, lua_Integer n)
{
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int whole = lua_isinteger(L, -2);
        lua_Integer i = lua_tointeger(L, -2);
        if (!whole || i < 1 || i > n || lua_type(L, -1) != LUA_TTABLE)
            lb_usage(L, "bad_option",
                     "option \"headers\" must be a map, or a list of { name, "
                     "value }");
        lua_pop(L, 1);
    }
}

/* A list of { name, value }: the first of a name replaces what there was, the
 * next ones are lines of their own. */
static void set_header_pairs(const struct target *to, int list, lua_Integer n)
{
    lua_State *L = to->L;

    check_is_list(L, list, n);
    lua_newtable(L);
    int seen = lua_gettop(L);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        bool again = seen_before(L, seen, seen + 2);
        set_header_value(to, again ? MS_HEADER_ADD : MS_HEADER_SET, seen + 2,
                         seen + 3);
        lua_settop(L, seen);
    }
    lua_settop(L, seen - 1);
}

void lb_set_headers(lua_State *L, struct ms_options *o, int table)
{
    struct target to = {L, o};

    if (lb_is_false(L, table)) {
        ms_err err = ms_options_no_headers(o);
        if (err)
            lb_raise(L, err, "headers");
        return;
    }
    if (lua_type(L, table) != LUA_TTABLE)
        lb_wrong_type(L, "headers", "a table", table);
    lua_Integer n = (lua_Integer)lua_rawlen(L, table);
    if (n) {
        set_header_pairs(&to, table, n);
        return;
    }
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        set_header_value(&to, MS_HEADER_SET, value - 1, value);
        lua_settop(L, value - 1);
    }
}
