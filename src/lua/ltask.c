/* SPDX-License-Identifier: MIT
 *
 * ltask.c - the body of a task's coroutine (lua/multisocket/task.lua).
 *
 * In Lua it would be a function that calls xpcall; that many frames make Lua
 * double the coroutine's stack, which is most of what a waiting fetch costs.
 */
#include "lua/binding.h"

/* Where the arguments of a body stand; those of the function follow. */
enum {
    TASK = 1, /* its __close hears of a coroutine that is closed */
    FINISH,   /* function(task, ok, ...) */
    HANDLER,  /* of errors */
    FUNCTION
};

/* The function's results, or its error, stand at FUNCTION and above. */
static int ended(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    lua_pushvalue(L, FINISH);
    lua_replace(L, HANDLER);
    lua_pushvalue(L, TASK);
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    lua_rotate(L, FUNCTION, 2);
    lua_call(L, lua_gettop(L) - HANDLER, 0);
    return 0;
}

static int body(lua_State *L)
{
    lua_toclose(L, TASK);
    int nargs = lua_gettop(L) - FUNCTION;
    int status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, 0, ended);

    return ended(L, status, 0);
}

/* new_body(task, finish, handler, fn, ...): a coroutine with all of them on its
 * stack, which only resume() below can begin. */
static int new_body(lua_State *L)
{
    int n = lua_gettop(L);

    lb_check_function(L, FUNCTION);
    lua_State *co = lua_newthread(L);
    if (!lua_checkstack(co, n + 1))
        return luaL_error(L, "too many arguments");
    lua_pushcfunction(co, body);
    lua_insert(L, 1);
    lua_xmove(L, co, n);
    return 1;
}

/* resume(co) is coroutine.resume without values, and begins a body. */
static int resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    int n;

    if (!co)
        return lb_usage(L, "bad_argument", "a coroutine is wanted");
    bool fresh = lua_status(co) == LUA_OK && lua_gettop(co) > 1;
    int status = lua_resume(co, L, fresh ? lua_gettop(co) - 1 : 0, &n);
    bool ok = status == LUA_OK || status == LUA_YIELD;
    lua_pushboolean(L, ok);
    if (!ok) {
        lua_xmove(co, L, 1);
        return 2;
    }
    lua_pop(co, n);
    return 1;
}

void lb_open_task(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new_body", new_body}, {"resume", resume}, {NULL, NULL}};

    lb_setfuncs(L, functions);
}
