/* SPDX-License-Identifier: MIT
 *
 * lroute.c - the options about the way to a host that scripts write as tables,
 * numbers and functions, as the texts that the engine takes.
 *
 *     resolve = { ["a.test"] = "::1", ["a.test:80"] = { "::1", "127.0.0.1" },
 *                 ["b.test"] = { "::1", ttl = 60 } } -- seconds
 *     connect_to = { ["a.test:443"] = "b.test:8443" }
 *     dns = { servers = { "127.0.0.1:53" } }
 *     local_port = 4000 or { 4000, 4010 }
 *     allow_address = "public" or function
 *
 * Lines are sorted, so that equal tables make equal texts: connections are
 * shared where they lead the same way.
 */
#include <stdint.h>
#include <string.h>

#include "lua/binding.h"

/* Raises unless `index` is a string without any of `bad` or a NUL, which
 * would be read as something else. */
static void check_text(lua_State *L, const char *option, int index,
                       const char *bad)
{
    size_t n;

    if (lua_type(L, index) != LUA_TSTRING)
        lb_wrong_type(L, option, "made of strings", index);
    const char *s = lua_tolstring(L, index, &n);
    if (!n || strcspn(s, bad) != n)
        lb_usage(L, "bad_option", "option \"%s\" cannot have \"%s\" in it",
                 option, s);
}

/* Adds ";seconds" to the text at the top where `list` has a ttl. */
static void push_lifetime(lua_State *L, const char *option, int list)
{
    int whole;

    lua_getfield(L, list, "ttl");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_Integer seconds = lua_tointegerx(L, -1, &whole);
    if (lua_type(L, -1) != LUA_TNUMBER || !whole || seconds < 1)
        lb_usage(L, "bad_option",
                 "a ttl of option \"%s\" must be a whole number from 1, not %s",
                 option, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    lua_pushfstring(L, "%s;%I", lua_tostring(L, -1), (LUAI_UACINT)seconds);
    lua_remove(L, -2);
}

/* Pushes the list at `list`, or the one string that is there, as one text. */
static void push_joined(lua_State *L, const char *option, int list)
{
    luaL_Buffer b;

    if (lua_type(L, list) == LUA_TSTRING) {
        check_text(L, option, list, "\n");
        lua_pushvalue(L, list);
        return;
    }
    if (lua_type(L, list) != LUA_TTABLE)
        lb_wrong_type(L, option, "made of strings or lists of them", list);
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&b, ',');
        lua_rawgeti(L, list, i);
        check_text(L, option, lua_gettop(L), ",;\n");
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    push_lifetime(L, option, list);
}

static void sort(lua_State *L, int list)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, list);
    lua_call(L, 1, 0);
    lua_pop(L, 2);
}

/* Pushes "key=value" lines, one for each entry of the map. */
static void push_map(lua_State *L, const char *option, int map)
{
    luaL_Buffer b;
    lua_Integer n = 0;

    if (lua_type(L, map) != LUA_TTABLE)
        lb_wrong_type(L, option, "a table or false", map);
    lua_newtable(L);
    int lines = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, map)) {
        check_text(L, option, lines + 1, "=\n");
        push_joined(L, option, lines + 2);
        lua_pushfstring(L, "%s=%s\n", lua_tostring(L, lines + 1),
                        lua_tostring(L, -1));
        lua_rawseti(L, lines, ++n);
        lua_settop(L, lines + 1);
    }
    sort(L, lines);
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, lines, i);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    lua_remove(L, lines);
}

static lua_Integer port_at(lua_State *L, const char *option, int index)
{
    int whole;
    lua_Integer port = lua_tointegerx(L, index, &whole);

    if (lua_type(L, index) != LUA_TNUMBER)
        lb_wrong_type(L, option, "a port, { from, to } or false", index);
    if (!whole || port < 1 || port > UINT16_MAX)
        lb_usage(L, "bad_option",
                 "option \"%s\" must be a whole number from 1 to 65535, not %s",
                 option, luaL_tolstring(L, index, NULL));
    return port;
}

static void push_ports(lua_State *L, const char *option, int index)
{
    if (lua_type(L, index) != LUA_TTABLE) {
        lua_pushfstring(L, "%I", (LUAI_UACINT)port_at(L, option, index));
        return;
    }
    lua_rawgeti(L, index, 1);
    lua_rawgeti(L, index, 2);
    lua_Integer from = port_at(L, option, -2), to = port_at(L, option, -1);
    lua_pop(L, 2);
    if (to < from)
        lb_usage(L, "bad_option", "option \"%s\" ends before it begins",
                 option);
    lua_pushfstring(L, "%I-%I", (LUAI_UACINT)from, (LUAI_UACINT)to);
}

static void push_word(lua_State *L, const struct ms_option_info *info,
                      int index)
{
    bool guards = info->id == MS_OPT_ALLOW_ADDRESS;

    if (lua_type(L, index) != LUA_TSTRING)
        lb_wrong_type(L, info->name,
                      guards ? "\"public\", a function or false"
                             : "a string or false",
                      index);
    lua_pushvalue(L, index);
}

bool lb_push_route_text(lua_State *L, const struct ms_option_info *info,
                        int index)
{
    if (info->type != MS_TYPE_STRING || info->id < MS_OPT_IP)
        return false;
    if (lb_is_false(L, index)) {
        lua_pushliteral(L, "");
        return true;
    }
    switch (info->id) {
    case MS_OPT_RESOLVE:
    case MS_OPT_CONNECT_TO:
        push_map(L, info->name, index);
        return true;
    case MS_OPT_DNS_SERVERS:
        push_joined(L, info->name, index);
        return true;
    case MS_OPT_LOCAL_PORT:
        push_ports(L, info->name, index);
        return true;
    default:
        push_word(L, info, index);
        return true;
    }
}

/* ---- guards -------------------------------------------------------------- */

struct question {
    void *id;
    const char *address;
    uint16_t port;
    bool allowed;
};

/* Arguments: the table of guards, a question. */
static int ask(lua_State *L)
{
    struct question *q = lua_touserdata(L, 2);

    /* Whoever waits for the connection keeps the function. */
    if (lua_rawgetp(L, 1, q->id) != LUA_TFUNCTION)
        return 0;
    lua_pushstring(L, q->address);
    lua_pushinteger(L, q->port);
    lua_call(L, 2, 1);
    q->allowed = lua_toboolean(L, -1);
    return 0;
}

static ms_err on_address(struct ms_multi *multi, void *user,
                         const char *address, uint16_t port)
{
    struct lb_multi *lm = ms_multi_user(multi);
    struct question q = {user, address, port, false};
    lua_State *L = lm->L;

    if (!L)
        return MS_ECALLBACK;
    lua_pushcfunction(L, lb_traceback);
    lua_pushcfunction(L, ask);
    lua_getiuservalue(L, lm->self, LB_MULTI_GUARDS);
    lua_pushlightuserdata(L, &q);
    if (lb_call(lm, 2))
        return q.allowed ? MS_OK : MS_EADDRESS;
    lb_blame_any(lm);
    return MS_ECALLBACK;
}

/* The number of the function at `index`, which no other one ever gets: an
 * address could come back as another function's, and connections that one
 * guard has let through are no business of another's. */
static void *id_of(lua_State *L, int index)
{
    int guards = lua_upvalueindex(LB_GUARDS);

    lua_pushvalue(L, index);
    lua_rawget(L, guards);
    void *id = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (id)
        return id;
    lua_rawgeti(L, guards, 0);
    lua_Integer last = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
    lua_pushinteger(L, last);
    lua_rawseti(L, guards, 0);
    id = (void *)(uintptr_t)last;
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, id);
    lua_rawset(L, guards);
    lua_pushvalue(L, index);
    lua_rawsetp(L, guards, id);
    return id;
}

bool lb_set_guard(lua_State *L, struct ms_options *o, int to, int index)
{
    bool is_function = lua_isfunction(L, index);
    void *id = is_function ? id_of(L, index) : NULL;
    ms_err err =
        ms_options_guard(o, is_function ? on_address : NULL, id, id, NULL);

    if (err)
        lb_raise(L, err, "allow_address");
    if (is_function)
        lua_pushvalue(L, index);
    else
        lua_pushnil(L);
    ((struct lb_options *)lua_touserdata(L, to))->has_values = true;
    lua_setiuservalue(L, to, LB_OPTIONS_GUARD);
    return is_function;
}

/* ---- resolvers ----------------------------------------------------------- */

/* Addresses that are looked at of one answer; the engine takes fewer. */
#define MAX_ADDRESSES 64

struct name_question {
    void *id;
    const char *host;
    int family;
    uint64_t number;
};

/* The texts of the list at `list`, which keeps them; raises when one is not a
 * string. */
static size_t read_list(lua_State *L, int list, const char **texts)
{
    size_t n = lua_rawlen(L, list);

    n = n < MAX_ADDRESSES ? n : MAX_ADDRESSES;
    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, list, (lua_Integer)i + 1) != LUA_TSTRING)
            lb_usage(L, "bad_argument", "addresses are strings, not %s",
                     lb_typename(L, -1));
        texts[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return n;
}

int lb_multi_answer(lua_State *L)
{
    const char *texts[MAX_ADDRESSES];
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    lua_Integer number = lb_check_int(L, 2, 0, LUA_MAXINTEGER);
    size_t n = 0;

    lua_settop(L, 3);
    bool none = lua_isnil(L, 3);
    if (lua_type(L, 3) == LUA_TTABLE)
        n = read_list(L, 3, texts);
    else if (!none)
        return lb_usage(L, "bad_argument", "a list of addresses or nil, not %s",
                        lb_typename(L, 3));
    if (!lm->m || lm->closed) {
        lua_pushboolean(L, 0);
        return 1;
    }
    struct lb_entry outer = lb_enter(L, lm, 1);
    ms_err err = ms_multi_answer(lm->m, (uint64_t)number, texts, n,
                                 none ? MS_ERESOLVE : MS_OK);
    lb_leave(L, &outer);
    if (err == MS_EOPTION)
        return lb_usage(L, "bad_argument", "not all of these are addresses");
    lua_pushboolean(L, err == MS_OK);
    return 1;
}

/* done(list), done(nil): multi:answer() with the number of the question. */
static int done(lua_State *L)
{
    lua_settop(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "answer");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    lua_call(L, 3, 1);
    return 1;
}

/* Arguments: the table of guards, a question, the multi. */
static int ask_name(lua_State *L)
{
    struct name_question *q = lua_touserdata(L, 2);

    if (lua_rawgetp(L, 1, q->id) != LUA_TFUNCTION)
        return 0;
    lua_pushstring(L, q->host);
    lua_pushinteger(L, q->family);
    lua_pushvalue(L, 3);
    lua_pushinteger(L, (lua_Integer)q->number);
    lua_pushcclosure(L, done, 2);
    lua_call(L, 3, 0);
    return 0;
}

static ms_err on_question(struct ms_multi *multi, void *user, const char *host,
                          int family, uint64_t question)
{
    struct lb_multi *lm = ms_multi_user(multi);
    struct name_question q = {user, host, family, question};
    lua_State *L = lm->L;

    if (!L)
        return MS_ECALLBACK;
    lua_pushcfunction(L, lb_traceback);
    lua_pushcfunction(L, ask_name);
    lua_getiuservalue(L, lm->self, LB_MULTI_GUARDS);
    lua_pushlightuserdata(L, &q);
    lua_pushvalue(L, lm->self);
    if (lb_call(lm, 3))
        return MS_OK;
    lb_blame_any(lm);
    return MS_ECALLBACK;
}

/* "system" is what the Lua half of the library put there, with luv. */
static bool push_system(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING ||
        strcmp(lua_tostring(L, index), "system") != 0)
        return false;
    lua_getfield(L, LUA_REGISTRYINDEX, "multisocket.system_resolver");
    if (!lua_isfunction(L, -1))
        lb_usage(L, "bad_option",
                 "resolver \"system\" needs the module multisocket");
    return true;
}

void lb_set_resolver(lua_State *L, struct ms_options *o, int to, int index)
{
    if (push_system(L, index))
        index = lua_gettop(L);
    bool is_function = lua_isfunction(L, index);

    if (!is_function && !lb_is_false(L, index))
        lb_wrong_type(L, "resolver", "a function, \"system\" or false", index);
    void *id = is_function ? id_of(L, index) : NULL;
    ms_err err =
        ms_options_resolver(o, is_function ? on_question : NULL, id, id, NULL);
    if (err)
        lb_raise(L, err, "resolver");
    if (is_function)
        lua_pushvalue(L, index);
    else
        lua_pushnil(L);
    ((struct lb_options *)lua_touserdata(L, to))->has_values = true;
    lua_setiuservalue(L, to, LB_OPTIONS_RESOLVER);
}
