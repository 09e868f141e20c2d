/* SPDX-License-Identifier: MIT
 *
 * mod.c - luaopen: the module table, its constants and metatables.
 */
#include "lua/binding.h"

static const struct {
    const char *name;
    lua_Integer value;
} constants[] = {
    {"POLL_IN", MS_POLL_IN},
    {"POLL_OUT", MS_POLL_OUT},
    {"POLL_INOUT", MS_POLL_INOUT},
    {"POLL_REMOVE", MS_POLL_REMOVE},
    {"CSELECT_IN", MS_CSELECT_IN},
    {"CSELECT_OUT", MS_CSELECT_OUT},
    {"CSELECT_ERR", MS_CSELECT_ERR},
    {"SOCKET_TIMEOUT", MS_SOCKET_TIMEOUT},
    {"PAUSE_CONT", MS_PAUSE_CONT},
    {"PAUSE_RECV", MS_PAUSE_RECV},
    {"PAUSE_SEND", MS_PAUSE_SEND},
    {"PAUSE_ALL", MS_PAUSE_RECV | MS_PAUSE_SEND},
};

void *lb_test(lua_State *L, int index, enum lb_type type)
{
    void *p = lua_touserdata(L, index);

    if (!p || !lua_getmetatable(L, index))
        return NULL;
    bool same = lua_rawequal(L, -1, lua_upvalueindex((int)type));
    lua_pop(L, 1);
    return same ? p : NULL;
}

void *lb_check(lua_State *L, int index, enum lb_type type, const char *what)
{
    void *p = lb_test(L, index, type);

    if (!p)
        lb_usage(L, "bad_argument", "argument #%d must be %s, not %s", index,
                 what, luaL_typename(L, index));
    return p;
}

void lb_setfuncs(lua_State *L, int first, const luaL_Reg *funcs)
{
    for (int i = 0; i < LB_TYPES; i++)
        lua_pushvalue(L, first + i);
    luaL_setfuncs(L, funcs, LB_TYPES);
}

static int features(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "tls");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "http2");
    return 1;
}

/* The name that error messages and tostring() show. */
static void new_metatable(lua_State *L, const char *name)
{
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "not to be touched");
    lua_setfield(L, -2, "__metatable");
}

__attribute__((visibility("default"))) int luaopen_multisocket_core(
    lua_State *);

int luaopen_multisocket_core(lua_State *L)
{
    static const char *const types[LB_TYPES] = {
        "multisocket.multi", "multisocket.easy", "multisocket.options",
        "multisocket.response", "multisocket.headers"};

    luaL_checkversion(L);
    lua_settop(L, 0);
    for (int i = 0; i < LB_TYPES; i++)
        new_metatable(L, types[i]);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
    lua_pushliteral(L, MS_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushcfunction(L, features);
    lua_setfield(L, -2, "features");
    lb_open_error(L, 1);
    lb_open_options(L, 1);
    lb_open_response(L, 1);
    lb_open_easy(L, 1);
    lb_open_multi(L, 1);
    lb_open_epoll(L, 1);
    return 1;
}
