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
    GUARD = 1, /* its __close hears of a coroutine that is closed */
    TASK,
    FINISH,  /* function(task, ok, ...) */
    HANDLER, /* of errors */
    FUNCTION
};

/* The function's results, or its error, stand at FUNCTION and above. */
static int ended(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    lua_insert(L, FUNCTION);
    lua_remove(L, HANDLER);
    lua_pushvalue(L, FINISH);
    lua_insert(L, TASK);
    lua_remove(L, FINISH + 1);
    lua_call(L, lua_gettop(L) - TASK, 0);
    return 0;
}

/* body(guard, task, finish, handler, fn, ...) */
static int body(lua_State *L)
{
    lua_toclose(L, GUARD);
    int status = lua_pcallk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, HANDLER,
                            0, ended);
    return ended(L, status, 0);
}

void lb_open_task(lua_State *L)
{
    lua_pushcfunction(L, body);
    lua_setfield(L, -2, "task_body");
}
