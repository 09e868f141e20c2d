/* SPDX-License-Identifier: MIT
 *
 * mod.c - luaopen: the module table, its constants and types, and the checks
 * of arguments that all share.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lua/binding.h"

/* ---- arguments --------------------------------------------------------- */

const struct lb_type_names lb_types[LB_TYPES + 1] = {
    [LB_MULTI] = {"multisocket.multi", "a multi handle"},
    [LB_EASY] = {"multisocket.easy", "an easy handle"},
    [LB_OPTIONS] = {"multisocket.options", "an option set"},
    [LB_RESPONSE] = {"multisocket.response", "a response"},
    [LB_HEADERS] = {"multisocket.headers", "headers"},
    [LB_EPOLL] = {"multisocket.epoll", "an epoll set"},
    [LB_TURN] = {"multisocket.turn", "a turn"},
    [LB_PUMP] = {"multisocket.pump", "a pump"},
    [LB_FETCHER] = {"multisocket.fetcher", "a fetcher"},
    [LB_UPLOAD] = {"multisocket.upload", "an upload"},
    [LB_TLS] = {"multisocket.tls", "what TLS left"},
    [LB_JAR] = {"multisocket.jar", "a cookie jar"},
};

void *lb_test(lua_State *L, int index, enum lb_type type)
{
    /* A light userdata has no length. */
    const struct lb_object *o = lua_touserdata(L, index);
    bool same =
        o && lua_rawlen(L, index) >= sizeof(*o) && o->type == &lb_types[type];

    return same ? (void *)o : NULL;
}

const char *lb_typename(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TUSERDATA &&
        luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
        return lua_tostring(L, -1);
    return lua_isnone(L, index) ? "nil" : luaL_typename(L, index);
}

void *lb_check(lua_State *L, int index, enum lb_type type)
{
    void *p = lb_test(L, index, type);

    if (!p)
        lb_usage(L, "bad_argument", "argument #%d must be %s, not %s", index,
                 lb_types[type].article, lb_typename(L, index));
    return p;
}

void lb_mark(lua_State *L, void *object, enum lb_type type, int meta)
{
    struct lb_object *o = object;

    o->type = &lb_types[type];
    lua_pushvalue(L, meta);
    lua_setmetatable(L, -2);
}

void *lb_new_raw(lua_State *L, enum lb_type type, size_t size, int uvs)
{
    void *p = lua_newuserdatauv(L, size, uvs);

    lb_mark(L, p, type, lua_upvalueindex((int)type));
    return p;
}

void *lb_new(lua_State *L, enum lb_type type, size_t size, int uvs)
{
    void *p = lua_newuserdatauv(L, size, uvs);

    memset(p, 0, size);
    lb_mark(L, p, type, lua_upvalueindex((int)type));
    return p;
}

lua_Integer lb_check_int(lua_State *L, int index, lua_Integer least,
                         lua_Integer most)
{
    int whole = 0;
    lua_Integer n = 0;

    if (lua_type(L, index) != LUA_TNUMBER)
        lb_usage(L, "bad_argument", "argument #%d must be a number, not %s",
                 index, lb_typename(L, index));
    n = lua_tointegerx(L, index, &whole);
    if (!whole || n < least || n > most)
        lb_usage(L, "bad_argument",
                 "argument #%d must be a whole number from %I to %I, not %s",
                 index, (LUAI_UACINT)least, (LUAI_UACINT)most,
                 luaL_tolstring(L, index, NULL));
    return n;
}

void lb_check_table(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TTABLE)
        lb_usage(L, "bad_argument", "%s must be a table, not %s", what,
                 lb_typename(L, index));
}

void lb_check_function(lua_State *L, int index)
{
    if (!lua_isfunction(L, index))
        lb_usage(L, "bad_argument", "argument #%d must be a function, not %s",
                 index, lb_typename(L, index));
}

/* ---- opening ----------------------------------------------------------- */

void lb_setfuncs(lua_State *L, const luaL_Reg *funcs)
{
    for (int i = 1; i <= LB_UPVALUES; i++)
        lua_pushvalue(L, i);
    luaL_setfuncs(L, funcs, LB_UPVALUES);
}

void lb_set_type(lua_State *L, enum lb_type type, const luaL_Reg *meta,
                 const luaL_Reg *methods)
{
    lua_pushvalue(L, (int)type);
    lb_setfuncs(L, meta);
    if (methods) {
        lua_newtable(L);
        lb_setfuncs(L, methods);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

static void set_constants(lua_State *L)
{
    static const struct {
        const char *name;
        int value;
    } constants[] = {
        {"POLL_IN", MS_POLL_IN},         {"POLL_OUT", MS_POLL_OUT},
        {"POLL_INOUT", MS_POLL_INOUT},   {"POLL_REMOVE", MS_POLL_REMOVE},
        {"CSELECT_IN", MS_CSELECT_IN},   {"CSELECT_OUT", MS_CSELECT_OUT},
        {"CSELECT_ERR", MS_CSELECT_ERR}, {"SOCKET_TIMEOUT", MS_SOCKET_TIMEOUT},
        {"PAUSE_CONT", MS_PAUSE_CONT},   {"PAUSE_RECV", MS_PAUSE_RECV},
        {"PAUSE_SEND", MS_PAUSE_SEND},
    };

    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
    lua_pushinteger(L, MS_PAUSE_RECV | MS_PAUSE_SEND);
    lua_setfield(L, -2, "PAUSE_ALL");
    lua_pushliteral(L, MS_VERSION);
    lua_setfield(L, -2, "version");
}

static int features(lua_State *L)
{
    const char *idn = ms_libidn2_version();

    lua_createtable(L, 0, 9);
    if (idn)
        lua_pushstring(L, idn);
    else
        lua_pushboolean(L, 0);
    lua_setfield(L, -2, "idn");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "tls");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "http2");
    lua_pushstring(L, ms_openssl_version());
    lua_setfield(L, -2, "openssl");
    lua_pushstring(L, ms_nghttp2_version());
    lua_setfield(L, -2, "nghttp2");
    lua_pushstring(L, ms_zlib_version());
    lua_setfield(L, -2, "zlib");
    lua_pushboolean(L, ms_decodes("br", 2));
    lua_setfield(L, -2, "brotli");
    lua_pushboolean(L, ms_decodes("zstd", 4));
    lua_setfield(L, -2, "zstd");
    if (ms_psl_version())
        lua_pushstring(L, ms_psl_version());
    else
        lua_pushboolean(L, 0);
    lua_setfield(L, -2, "psl");
    return 1;
}

/* Pushes the shared upvalues. They live in the registry: a program may open
 * the module again (test runners unload it), and handles of the first opening
 * must still be what functions of the second expect. */
static void push_upvalues(lua_State *L)
{
    for (int i = 1; i <= LB_TYPES; i++) {
        luaL_newmetatable(L, lb_types[i].name);
        lua_pushliteral(L, "not to be touched");
        lua_setfield(L, -2, "__metatable");
    }
    lua_pushnil(L); /* LB_DEFAULTS */
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "multisocket.multis");
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "multisocket.response_methods");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "multisocket.header_methods");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "multisocket.guards");
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "kv");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* In a process without standard streams, sockets would take their numbers:
 * print() would write into a connection, and libuv aborts when it closes a
 * descriptor below 3. So what is missing becomes /dev/null, for good. */
static void fill_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

MS_API int luaopen_multisocket_core(lua_State *L);

int luaopen_multisocket_core(lua_State *L)
{
    static const luaL_Reg functions[] = {{"features", features}, {NULL, NULL}};

    luaL_checkversion(L);
    fill_standard_streams();
    lua_settop(L, 0);
    /* The upvalues, and a copy of them for every function made. */
    luaL_checkstack(L, 2 * LB_UPVALUES + LUA_MINSTACK, NULL);
    push_upvalues(L);
    lua_newtable(L);
    set_constants(L);
    lua_pushvalue(L, LB_METHODS);
    lua_setfield(L, -2, "response_methods");
    lb_open_options(L); /* first: the others' functions share its defaults */
    lb_open_error(L);
    lb_open_response(L);
    lb_open_easy(L);
    lb_open_multi(L);
    lb_open_drive(L);
    lb_open_epoll(L);
    lb_open_pump(L);
    lb_open_fetch(L);
    lb_open_task(L);
    lb_open_upload(L);
    lb_open_url(L);
    lb_open_tls(L);
    lb_open_charset(L);
    lb_open_jar(L);
    lb_setfuncs(L, functions);
    return 1;
}
