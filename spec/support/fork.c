/* SPDX-License-Identifier: MIT
 *
 * fork.c - fork, wait and _exit for Lua, which has none of them. Built by
 * spec/support/fork.lua.
 */
#include <lauxlib.h>
#include <lua.h>
#include <sys/wait.h>
#include <unistd.h>

int luaopen_spec_fork(lua_State *L);

static int do_fork(lua_State *L)
{
    lua_pushinteger(L, fork());
    return 1;
}

/* wait(pid): exit code, or minus the signal. */
static int do_wait(lua_State *L)
{
    int status = 0;

    if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0)
        return luaL_error(L, "waitpid failed");
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status)
                                         : -WTERMSIG(status));
    return 1;
}

static int do_exit(lua_State *L)
{
    _exit((int)luaL_checkinteger(L, 1));
}

int luaopen_spec_fork(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"fork", do_fork}, {"wait", do_wait}, {"_exit", do_exit}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
