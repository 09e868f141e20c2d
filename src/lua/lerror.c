/* SPDX-License-Identifier: MIT
 *
 * lerror.c - err tables: what a script gets when something fails.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lua/binding.h"

#define ERROR_TYPE "multisocket.error"
/* One readable line; longer URLs are cut. */
#define MESSAGE_BYTES 512

static void set_string(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

int lb_usage(lua_State *L, const char *code, const char *fmt, ...)
{
    va_list args;

    lua_createtable(L, 0, 4);
    set_string(L, "category", "usage");
    set_string(L, "code", code);
    va_start(args, fmt);
    lua_pushvfstring(L, fmt, args);
    va_end(args);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, ERROR_TYPE);
    return lua_error(L);
}

int lb_raise(lua_State *L, ms_err err, const char *what)
{
    if (err == MS_ENOMEM)
        return luaL_error(L, "not enough memory");
    return lb_usage(L, ms_err_code(err), "%s: %s", what, ms_err_text(err));
}

bool lb_is_interrupt(lua_State *L, int index)
{
    static const char word[] = "interrupted!";
    size_t n, k = sizeof(word) - 1;

    if (lua_type(L, index) != LUA_TSTRING)
        return false;
    const char *s = lua_tolstring(L, index, &n);
    return n >= k && memcmp(s + n - k, word, k) == 0;
}

/* What a callback raised: the easy's own, or the multi's for its sockets. */
static void push_cause(lua_State *L, int easy, int multi)
{
    lua_getiuservalue(L, easy, LB_EASY_CAUSE);
    if (!lua_isnil(L, -1) || !multi)
        return;
    lua_pop(L, 1);
    lua_getiuservalue(L, multi, LB_MULTI_CAUSE);
}

void lb_push_error(lua_State *L, struct lb_easy *le, int easy, int multi)
{
    const struct ms_error *error = ms_easy_error(le->e);
    const struct ms_response *r = ms_easy_response(le->e);
    char message[MESSAGE_BYTES];
    size_t n = 0;

    lua_createtable(L, 0, 8);
    set_string(L, "category", ms_err_category(error->err));
    set_string(L, "code", ms_err_code(error->err));
    set_string(L, "phase", ms_phase_name(error->phase));
    set_string(L, "message",
               ms_easy_error_message(le->e, message, sizeof(message)));
    const char *url = r ? ms_response_url(r, &n) : NULL;
    if (n) {
        lua_pushlstring(L, url, n);
        lua_setfield(L, -2, "url");
    }
    if (error->os_errno) {
        lua_pushinteger(L, error->os_errno);
        lua_setfield(L, -2, "errno");
    }
    lua_pushboolean(L, error->retryable);
    lua_setfield(L, -2, "retryable");
    lua_pushinteger(L, error->attempts);
    lua_setfield(L, -2, "attempts");
    if (error->err == MS_ECALLBACK) {
        push_cause(L, easy, multi);
        lua_setfield(L, -2, "cause");
    }
    luaL_setmetatable(L, ERROR_TYPE);
}

static int new_error(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_setmetatable(L, ERROR_TYPE);
    return 1;
}

static int is_error(lua_State *L)
{
    lua_settop(L, 1);
    bool has = lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1);
    if (has) {
        luaL_getmetatable(L, ERROR_TYPE);
        has = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, has);
    return 1;
}

static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "message");
    lua_getfield(L, 1, "code");
    lua_pushfstring(L, "%s (%s)", luaL_tolstring(L, 2, NULL),
                    luaL_tolstring(L, 3, NULL));
    return 1;
}

static int error_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

void lb_open_error(lua_State *L, int first)
{
    static const luaL_Reg meta[] = {{"__tostring", error_tostring},
                                    {"__concat", error_concat},
                                    {NULL, NULL}};

    (void)first;
    luaL_newmetatable(L, ERROR_TYPE);
    luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
    lua_pushcfunction(L, new_error);
    lua_setfield(L, -2, "error");
    lua_pushcfunction(L, is_error);
    lua_setfield(L, -2, "is_error");
}
