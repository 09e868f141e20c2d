/* SPDX-License-Identifier: MIT
 *
 * lcall.c - the options of one call where they are what they mostly are: read
 * in one pass that neither raises nor allocates in Lua.
 *
 * Everything else, and all that is wrong, is left to request.lua and
 * loptions.c, which know the words for it.
 */
#include <string.h>

#include "lua/binding.h"

const struct lb_options lb_once_options = {.once = true};

/* Options whose strings are the engine's as they are. */
static bool is_bytes(enum ms_option id)
{
    return id == MS_OPT_METHOD || id == MS_OPT_BODY || id == MS_OPT_RANGE ||
           id == MS_OPT_BEARER || id == MS_OPT_PRIORITY || id == MS_OPT_VERSION;
}

static bool read_string(lua_State *L, struct ms_options *o, enum ms_option id)
{
    size_t n;

    if (lua_type(L, -1) != LUA_TSTRING)
        return false;
    const char *s = lua_tolstring(L, -1, &n);
    if (id == MS_OPT_BODY && n >= LB_KEPT_BODY)
        return false; /* somebody has to keep it */
    return !ms_options_set_string(o, id, s, n);
}

static bool read_bool(lua_State *L, struct ms_options *o, enum ms_option id)
{
    return lua_type(L, -1) == LUA_TBOOLEAN &&
           !ms_options_set_bool(o, id, lua_toboolean(L, -1));
}

static bool read_int(lua_State *L, struct ms_options *o,
                     const struct ms_option_info *info)
{
    if (lua_type(L, -1) == LUA_TBOOLEAN)
        return !lua_toboolean(L, -1) &&
               !ms_options_set_int(o, info->id, lb_false_as(info->id));
    if (!lua_isinteger(L, -1))
        return false;
    lua_Integer value = lua_tointeger(L, -1);
    return value >= info->least && !ms_options_set_int(o, info->id, value);
}

/* The value at the top, its name below. */
static bool read_header(lua_State *L, struct ms_options *o)
{
    bool none = lb_is_false(L, -1);
    size_t name_len, n = 0;
    const char *value = "";

    if (lua_type(L, -2) != LUA_TSTRING ||
        (!none && lua_type(L, -1) != LUA_TSTRING))
        return false;
    const char *name = lua_tolstring(L, -2, &name_len);
    if (!none)
        value = lua_tolstring(L, -1, &n);
    return !ms_options_header(o, none ? MS_HEADER_REMOVE : MS_HEADER_SET, name,
                              name_len, value, n);
}

static bool read_headers(lua_State *L, struct ms_options *o)
{
    if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) != 0)
        return false;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (!read_header(L, o))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

static const struct ms_option_info *timeout_called(const char *name)
{
    for (int id = MS_OPT_TIMEOUT_TOTAL; id <= MS_OPT_TIMEOUT_IDLE; id++) {
        const struct ms_option_info *info = ms_option_at((unsigned)id);
        if (strcmp(strchr(info->name, '.') + 1, name) == 0)
            return info;
    }
    return NULL;
}

static bool read_timeouts(lua_State *L, struct ms_options *o)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        const struct ms_option_info *info = NULL;
        if (lua_type(L, -2) == LUA_TSTRING)
            info = timeout_called(lua_tostring(L, -2));
        if (!info || !read_int(L, o, info))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

/* The value is at the top. */
static bool read_option(lua_State *L, struct ms_options *o,
                        const struct ms_option_info *info)
{
    if (info->type == MS_TYPE_HEADERS)
        return read_headers(L, o);
    if (info->type == MS_TYPE_BOOL)
        return read_bool(L, o, info->id);
    if (info->type == MS_TYPE_STRING)
        return read_string(L, o, info->id);
    if (info->id == MS_OPT_TIMEOUT_TOTAL && lua_type(L, -1) != LUA_TNUMBER)
        return lua_type(L, -1) == LUA_TTABLE && read_timeouts(L, o);
    return read_int(L, o, info);
}

bool lb_read_call(lua_State *L, int table, int names, struct ms_options *o)
{
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pushvalue(L, -2);
        lua_rawget(L, names);
        const struct ms_option_info *info = lua_touserdata(L, -1);
        lua_pop(L, 1);
        if (!info || !read_option(L, o, info))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

void lb_push_call_names(lua_State *L)
{
    lua_newtable(L);
    for (unsigned i = 0; i < MS_OPT_COUNT; i++) {
        const struct ms_option_info *info = ms_option_at(i);
        if (strchr(info->name, '.') || info->type == MS_TYPE_LIST ||
            (info->type == MS_TYPE_STRING && !is_bytes(info->id)))
            continue;
        lua_pushlightuserdata(L, (void *)info);
        lua_setfield(L, -2, info->name);
    }
    lua_pushlightuserdata(L, (void *)ms_option_at(MS_OPT_TIMEOUT_TOTAL));
    lua_setfield(L, -2, "timeout");
}
