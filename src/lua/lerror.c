/* SPDX-License-Identifier: MIT
 *
 * lerror.c - err tables: what a script gets when something fails.
 *
 * Expected failures are returned, misuse is raised; both are tables of one
 * kind. They are plain tables, so that scripts may add to them.
 */
#include <stdarg.h>
#include <string.h>

#include "lua/binding.h"

#define ERROR_TYPE "multisocket.error"
/* One readable line; longer URLs are cut. */
#define MESSAGE_BYTES 1024

static void set_string(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

void lb_push_err(lua_State *L, const char *category, const char *code)
{
    lua_createtable(L, 0, 8);
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    set_string(L, "category", category);
    set_string(L, "code", code);
    set_boolean(L, "retryable", false);
    luaL_setmetatable(L, ERROR_TYPE);
}

int lb_usage(lua_State *L, const char *code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    lua_pushvfstring(L, fmt, args);
    va_end(args);
    lb_push_err(L, "usage", code);
    return lua_error(L);
}

int lb_raise(lua_State *L, ms_err err, const char *what)
{
    lua_pushfstring(L, "%s: %s", what, ms_err_text(err));
    lb_push_err(L, ms_err_category(err), ms_err_code(err));
    return lua_error(L);
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

static void add_cause(lua_State *L, int easy)
{
    lua_getiuservalue(L, easy, LB_EASY_CAUSE);
    lua_setfield(L, -2, "cause");
    lua_getiuservalue(L, easy, LB_EASY_TRACEBACK);
    lua_setfield(L, -2, "traceback");
}

void lb_push_shown_url(lua_State *L, const char *url, size_t n)
{
    size_t from, to;
    luaL_Buffer b;

    ms_url_userinfo(url, n, &from, &to);
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, url, from);
    luaL_addlstring(&b, url + to, n - to);
    luaL_pushresult(&b);
}

/* What the engine knows is copied first: making Lua values may collect
 * garbage, and a finaliser of the program's may close this very easy. */
void lb_push_error(lua_State *L, int easy)
{
    struct lb_easy *le = lua_touserdata(L, easy);
    struct ms_error error = *ms_easy_error(le->e);
    const struct ms_response *r = ms_easy_response(le->e);
    char message[MESSAGE_BYTES];
    size_t n = 0;

    ms_easy_error_message(le->e, message, sizeof(message));
    const char *url = r ? ms_response_url(r, &n) : "";
    lb_push_shown_url(L, url, n);
    lua_pushstring(L, message);
    lb_push_err(L, ms_err_category(error.err), ms_err_code(error.err));
    lua_insert(L, -2);
    if (n)
        lua_setfield(L, -2, "url");
    else
        lua_pop(L, 1);
    set_string(L, "phase", ms_phase_name(error.phase));
    set_boolean(L, "retryable", error.retryable);
    set_integer(L, "attempts", error.attempts);
    if (error.os_errno)
        set_integer(L, "errno", error.os_errno);
    if (error.reason)
        set_string(L, "cause", error.reason);
    if (error.err == MS_ECALLBACK)
        add_cause(L, easy);
}

/* ---- functions --------------------------------------------------------- */

static int new_error(lua_State *L)
{
    lb_check_table(L, 1, "an error");
    lua_settop(L, 1);
    luaL_setmetatable(L, ERROR_TYPE);
    return 1;
}

static int is_error(lua_State *L)
{
    lua_settop(L, 1);
    bool is = lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1);
    if (is) {
        luaL_getmetatable(L, ERROR_TYPE);
        is = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, is);
    return 1;
}

/* "code: message", or what there is of it. */
static int error_tostring(lua_State *L)
{
    lb_check_table(L, 1, "an error");
    lua_settop(L, 1);
    lua_getfield(L, 1, "code");
    lua_getfield(L, 1, "message");
    if (!lua_isnil(L, 2) && !lua_isnil(L, 3)) {
        const char *code = luaL_tolstring(L, 2, NULL);
        lua_pushfstring(L, "%s: %s", code, luaL_tolstring(L, 3, NULL));
    } else if (lua_isnil(L, 2) && lua_isnil(L, 3)) {
        lua_pushliteral(L, ERROR_TYPE);
    } else {
        luaL_tolstring(L, lua_isnil(L, 2) ? 3 : 2, NULL);
    }
    return 1;
}

static int error_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

void lb_open_error(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__tostring", error_tostring},
                                    {"__concat", error_concat},
                                    {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"error", new_error}, {"is_error", is_error}, {NULL, NULL}};

    luaL_newmetatable(L, ERROR_TYPE);
    lb_setfuncs(L, meta);
    lua_pop(L, 1);
    lb_setfuncs(L, functions);
}
