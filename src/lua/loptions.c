/* SPDX-License-Identifier: MIT
 *
 * loptions.c - option tables of Lua into option sets of the engine.
 *
 * Names, types and bounds come from the engine's one table; only the two
 * callbacks are the binding's own.
 */
#include <string.h>

#include "lua/binding.h"

/* Names further apart are another word, not a typing error. */
#define MAX_DISTANCE 3
/* Longer names are not worth comparing. */
#define MAX_NAME 32

static const char *const callbacks[] = {"on_headers", "on_data"};

/* ---- suggestions ------------------------------------------------------- */

/* Levenshtein's distance, one row at a time. */
static unsigned distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    unsigned row[MAX_NAME + 1];

    if (na > MAX_NAME || nb > MAX_NAME)
        return MAX_NAME;
    for (unsigned j = 0; j <= nb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned cost = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            if (row[j] + 1 < cost)
                cost = row[j] + 1;
            row[j] = cost;
        }
    }
    return row[nb];
}

const char *lb_suggest(const char *name, const char *const *names, size_t count)
{
    const char *best = "";
    unsigned nearest = MAX_DISTANCE + 1;

    for (size_t i = 0; i < count; i++) {
        unsigned d = distance(name, names[i]);
        if (d < nearest) {
            nearest = d;
            best = names[i];
        }
    }
    return best;
}

/* The part of an option's name before the dot: what scripts write. */
static size_t group_len(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot ? (size_t)(dot - name) : strlen(name);
}

/* Collects what a script may write, groups once. */
static size_t known_names(lua_State *L, const char **names, size_t max)
{
    size_t n = 0;

    for (unsigned i = 0; i < MS_OPT_COUNT && n < max; i++) {
        const char *name = ms_option_at(i)->name;
        size_t len = group_len(name);
        if (n && strncmp(names[n - 1], name, len) == 0 && !names[n - 1][len])
            continue;
        names[n++] = lua_pushlstring(L, name, len);
    }
    for (size_t i = 0; i < 2 && n < max; i++)
        names[n++] = callbacks[i];
    return n;
}

/* ---- parsing ----------------------------------------------------------- */

/* What is being parsed. The set is owned by a userdata or freed on error by
 * its owner's finaliser, so that raising is always safe. */
struct parse {
    lua_State *L;
    struct ms_options *o;
    int target;
    bool has_callbacks;
};

static void unknown(lua_State *L, const char *name)
{
    const char *names[MS_OPT_COUNT + 2];

    luaL_checkstack(L, MS_OPT_COUNT + 4, NULL);
    size_t n = known_names(L, names, MS_OPT_COUNT + 2);
    const char *near = lb_suggest(name, names, n);
    if (*near)
        lb_usage(L, "bad_option",
                 "unknown option \"%s\" (did you mean \"%s\"?)", name, near);
    lb_usage(L, "bad_option", "unknown option \"%s\"", name);
}

static void wrong_type(lua_State *L, const char *name, const char *wanted,
                       int index)
{
    lb_usage(L, "bad_option", "option \"%s\" must be %s, not %s", name, wanted,
             luaL_typename(L, index));
}

static void set_int(struct parse *p, const struct ms_option_info *info,
                    int index)
{
    lua_State *L = p->L;
    lua_Integer value = -1;
    int whole = 1;

    if (lua_type(L, index) == LUA_TNUMBER)
        value = lua_tointegerx(L, index, &whole);
    else if (lua_type(L, index) != LUA_TBOOLEAN || lua_toboolean(L, index))
        wrong_type(L, info->name, "a number or false", index);
    bool off = lua_type(L, index) == LUA_TBOOLEAN;
    if (!whole || (!off && value < info->least))
        lb_usage(L, "bad_option",
                 "option \"%s\" must be a whole number of at least %I, not %s",
                 info->name, (LUAI_UACINT)info->least,
                 luaL_tolstring(L, index, NULL));
    ms_err err = ms_options_set_int(p->o, info->id, off ? -1 : value);
    if (err)
        lb_raise(L, err, info->name);
}

static void header(struct parse *p, int name, enum ms_header_mode mode,
                   int value)
{
    lua_State *L = p->L;
    size_t nn, nv = 0;

    if (lua_type(L, name) != LUA_TSTRING)
        wrong_type(L, "headers", "keyed by strings", name);
    const char *n = lua_tolstring(L, name, &nn), *v = "";
    if (mode != MS_HEADER_REMOVE) {
        int type = lua_type(L, value);
        if (type != LUA_TSTRING && type != LUA_TNUMBER)
            lb_usage(L, "bad_option",
                     "header \"%s\" must be a string, a number, a list or "
                     "false, not %s",
                     n, luaL_typename(L, value));
        v = lua_tolstring(L, value, &nv);
    }
    if (!nn)
        lb_usage(L, "bad_header", "a header needs a name");
    ms_err err = ms_options_header(p->o, mode, n, nn, v, nv);
    if (err)
        lb_raise(L, err, "headers");
}

static void header_list(struct parse *p, int name, int list)
{
    lua_State *L = p->L;
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);

    if (!n)
        header(p, name, MS_HEADER_REMOVE, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        header(p, name, i == 1 ? MS_HEADER_SET : MS_HEADER_ADD, lua_gettop(L));
        lua_pop(L, 1);
    }
}

static void one_header(struct parse *p, int name, int value)
{
    lua_State *L = p->L;

    if (lua_type(L, value) == LUA_TTABLE)
        header_list(p, name, value);
    else if (lua_type(L, value) == LUA_TBOOLEAN && !lua_toboolean(L, value))
        header(p, name, MS_HEADER_REMOVE, 0);
    else
        header(p, name, MS_HEADER_SET, value);
}

/* A list of { name, value }: the first of a name replaces inherited ones. */
static void header_pairs(struct parse *p, int list)
{
    lua_State *L = p->L;
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);

    lua_newtable(L);
    int seen = lua_gettop(L);
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, list, i) != LUA_TTABLE)
            wrong_type(L, "headers", "a list of { name, value }", -1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        int value = lua_gettop(L), name = value - 1;
        lua_pushvalue(L, name);
        bool again = !lua_isnil(L, name) && lua_rawget(L, seen) != LUA_TNIL;
        if (again)
            header(p, name, MS_HEADER_ADD, value);
        else
            one_header(p, name, value);
        lua_settop(L, value);
        lua_pushvalue(L, name);
        lua_pushboolean(L, 1);
        lua_rawset(L, seen);
        lua_settop(L, seen);
    }
    lua_settop(L, seen - 1);
}

static void set_headers(struct parse *p, int table)
{
    lua_State *L = p->L;

    if (lua_type(L, table) != LUA_TTABLE)
        wrong_type(L, "headers", "a table", table);
    if (lua_rawlen(L, table)) {
        header_pairs(p, table);
        return;
    }
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        one_header(p, value - 1, value);
        lua_settop(L, value - 1);
    }
}

static void set_option(struct parse *p, const struct ms_option_info *info,
                       int index)
{
    lua_State *L = p->L;
    ms_err err = MS_OK;
    size_t n;

    switch (info->type) {
    case MS_TYPE_BOOL:
        if (lua_type(L, index) != LUA_TBOOLEAN)
            wrong_type(L, info->name, "a boolean", index);
        err = ms_options_set_bool(p->o, info->id, lua_toboolean(L, index));
        break;
    case MS_TYPE_INT:
        set_int(p, info, index);
        break;
    case MS_TYPE_STRING:
        if (info->id == MS_OPT_USER_AGENT &&
            lua_type(L, index) == LUA_TBOOLEAN && !lua_toboolean(L, index)) {
            err = ms_options_set_string(p->o, info->id, "", 0);
            break;
        }
        if (lua_type(L, index) != LUA_TSTRING)
            wrong_type(L, info->name, "a string", index);
        const char *s = lua_tolstring(L, index, &n);
        err = ms_options_set_string(p->o, info->id, s, n);
        break;
    case MS_TYPE_HEADERS:
        set_headers(p, index);
        break;
    }
    if (err)
        lb_raise(L, err, info->name);
}

static const struct ms_option_info *member(lua_State *L, const char *group,
                                           const char *name)
{
    size_t n;
    const char *full;

    lua_pushfstring(L, "%s.%s", group, name);
    full = lua_tolstring(L, -1, &n);
    const struct ms_option_info *info = ms_option_find(full, n);
    lua_pop(L, 1);
    return info;
}

/* An option with members, such as timeout: a table of them, or one number
 * for the member called total; false switches them all off. */
static bool set_group(struct parse *p, const char *group, int index)
{
    lua_State *L = p->L;
    const struct ms_option_info *total = member(L, group, "total");

    if (!total)
        return false;
    if (lua_type(L, index) != LUA_TTABLE) {
        set_int(p, total, index);
        return true;
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int value = lua_gettop(L);
        const struct ms_option_info *info =
            lua_type(L, value - 1) == LUA_TSTRING
                ? member(L, group, lua_tostring(L, value - 1))
                : NULL;
        if (!info)
            lb_usage(L, "bad_option", "unknown option \"%s.%s\"", group,
                     luaL_tolstring(L, value - 1, NULL));
        set_int(p, info, value);
        lua_settop(L, value - 1);
    }
    return true;
}

static bool set_callback(struct parse *p, const char *name, int index)
{
    lua_State *L = p->L;

    for (int i = 0; i < 2; i++) {
        if (strcmp(name, callbacks[i]) != 0)
            continue;
        int type = lua_type(L, index);
        bool off = type == LUA_TBOOLEAN && !lua_toboolean(L, index);
        if (type != LUA_TFUNCTION && !off)
            wrong_type(L, name, "a function or false", index);
        if (off)
            lua_pushnil(L);
        else
            lua_pushvalue(L, index);
        lua_setiuservalue(L, p->target, LB_EASY_ON_HEADERS + i);
        return true;
    }
    return false;
}

void lb_parse_options(lua_State *L, int table, struct ms_options *o, int target,
                      bool *has_callbacks)
{
    struct parse p = {L, o, target, false};

    luaL_checkstack(L, 20, NULL);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        size_t n;
        if (lua_type(L, value - 1) != LUA_TSTRING)
            lb_usage(L, "bad_option", "option names are strings, not %s",
                     luaL_typename(L, value - 1));
        const char *name = lua_tolstring(L, value - 1, &n);
        const struct ms_option_info *info = ms_option_find(name, n);
        if (info && !strchr(name, '.'))
            set_option(&p, info, value);
        else if (!set_callback(&p, name, value) && !set_group(&p, name, value))
            unknown(L, name);
        lua_settop(L, value - 1);
    }
    bool on_headers =
        lua_getiuservalue(L, target, LB_EASY_ON_HEADERS) != LUA_TNIL;
    bool on_data = lua_getiuservalue(L, target, LB_EASY_ON_DATA) != LUA_TNIL;
    lua_pop(L, 2);
    *has_callbacks = on_headers || on_data;
}

/* ---- the type ---------------------------------------------------------- */

static int options_gc(lua_State *L)
{
    struct lb_options *lo = lua_touserdata(L, 1);

    ms_options_free(lo->o);
    lo->o = NULL;
    return 0;
}

static int new_options(lua_State *L)
{
    struct lb_options *base = NULL;

    if (lua_type(L, 1) != LUA_TTABLE)
        lb_usage(L, "bad_argument", "options must be a table, not %s",
                 luaL_typename(L, 1));
    if (!lua_isnoneornil(L, 2))
        base = lb_check(L, 2, LB_OPTIONS, "an option set");
    lua_settop(L, 2);
    struct lb_options *lo = lua_newuserdatauv(L, sizeof(*lo), LB_OPTIONS_UVS);
    *lo = (struct lb_options){NULL, false};
    lua_pushvalue(L, lua_upvalueindex(LB_OPTIONS));
    lua_setmetatable(L, 3);
    if (ms_options_new(&lo->o, base ? base->o : NULL))
        return luaL_error(L, "not enough memory");
    for (int i = 1; base && i <= LB_OPTIONS_UVS; i++) {
        lua_getiuservalue(L, 2, i);
        lua_setiuservalue(L, 3, i);
    }
    lb_parse_options(L, 1, lo->o, 3, &lo->has_callbacks);
    lua_settop(L, 3);
    return 1;
}

static int option_names(lua_State *L)
{
    const char *names[MS_OPT_COUNT + 2];

    luaL_checkstack(L, MS_OPT_COUNT + 4, NULL);
    size_t n = known_names(L, names, MS_OPT_COUNT + 2);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

void lb_open_options(lua_State *L, int first)
{
    static const luaL_Reg meta[] = {{"__gc", options_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"options", new_options}, {"option_names", option_names}, {NULL, NULL}};

    lua_pushvalue(L, first + LB_OPTIONS - 1);
    lb_setfuncs(L, first, meta);
    lua_pop(L, 1);
    lb_setfuncs(L, first, functions);
}
