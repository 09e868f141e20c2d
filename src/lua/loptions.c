/* SPDX-License-Identifier: MIT
 *
 * loptions.c - option tables of Lua into option sets of the engine.
 *
 * Names, types and bounds come from the engine's one table; "timeout.total"
 * is the member `total` of the table that `timeout` may be. Only the callbacks
 * are the binding's own. A wrong type raises; what a string says is not looked
 * at here, because wrong content is the transfer's to report.
 */
#include <string.h>

#include "lua/binding.h"

/* Names further apart are another word, not a typing error. */
#define MAX_DISTANCE 3
/* Longer names are not compared; the longest option has 19 letters. */
#define MAX_NAME 32

static const char *const callbacks[] = {"on_headers", "on_data", "on_debug",
                                        "on_progress"};
/* A function too, but of the way to a host. */
#define RESOLVER  "resolver"
#define CALLBACKS (sizeof(callbacks) / sizeof(callbacks[0]))
#define NAMES     (MS_OPT_COUNT + CALLBACKS + 2)

/* What is being read: the option set is at stack index `to`. */
struct parse {
    lua_State *L;
    struct ms_options *o;
    int table, to;
    bool url_allowed;
};

/* ---- suggestions ------------------------------------------------------- */

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), row[MAX_NAME + 1];

    if (na > MAX_NAME || nb > MAX_NAME)
        return MAX_NAME;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t cost = diagonal + (a[i - 1] != b[j - 1]);
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

/* A word of which hardly a letter is right suggests nothing. */
static const char *nearest(const char *name, const char *const *names,
                           size_t count)
{
    const char *best = NULL;
    size_t least = MAX_DISTANCE + 1, n = strlen(name);

    for (size_t i = 0; i < count; i++) {
        size_t d = distance(name, names[i]);
        if (d >= least || d >= n)
            continue;
        least = d;
        best = names[i];
    }
    return best;
}

int lb_unknown_option(lua_State *L, const char *name, const char *const *names,
                      size_t count)
{
    const char *near = nearest(name, names, count);

    if (!near)
        return lb_usage(L, "bad_option", "unknown option \"%s\"", name);
    return lb_usage(L, "bad_option",
                    "unknown option \"%s\" (did you mean \"%s\"?)", name, near);
}

int lb_wrong_type(lua_State *L, const char *option, const char *wanted,
                  int index)
{
    return lb_usage(L, "bad_option", "option \"%s\" must be %s, not %s", option,
                    wanted, lb_typename(L, index));
}

/* ---- names ------------------------------------------------------------- */

/* The part of an option's name before the dot: what scripts write. */
static size_t group_len(const char *name)
{
    return strcspn(name, ".");
}

/* All that may be written, groups once; keeps strings of its own pushed. */
static size_t known_names(lua_State *L, const char **names)
{
    size_t n = 0;

    luaL_checkstack(L, NAMES, NULL);
    for (unsigned i = 0; i < MS_OPT_COUNT; i++) {
        const char *name = ms_option_at(i)->name;
        size_t len = group_len(name);
        if (n && strncmp(names[n - 1], name, len) == 0 && !names[n - 1][len])
            continue;
        names[n++] = lua_pushlstring(L, name, len);
    }
    for (size_t i = 0; i < CALLBACKS; i++)
        names[n++] = callbacks[i];
    names[n++] = RESOLVER;
    return n;
}

static void unknown_name(struct parse *p, const char *name)
{
    const char *names[NAMES];
    size_t n = known_names(p->L, names);

    if (p->url_allowed)
        names[n++] = "url";
    lb_unknown_option(p->L, name, names, n);
}

static bool is_member(const char *name, const char *group)
{
    if (name[0] != group[0])
        return false;
    size_t len = group_len(name);
    return name[len] && strlen(group) == len && memcmp(name, group, len) == 0;
}

static void unknown_member(lua_State *L, const char *group, int key)
{
    const char *names[MS_OPT_COUNT];
    size_t n = 0;

    for (unsigned i = 0; i < MS_OPT_COUNT; i++)
        if (is_member(ms_option_at(i)->name, group))
            names[n++] = ms_option_at(i)->name;
    if (lua_type(L, key) != LUA_TSTRING)
        lb_usage(L, "bad_option", "option names are strings, not %s",
                 lb_typename(L, key));
    lua_pushfstring(L, "%s.%s", group, lua_tostring(L, key));
    lb_unknown_option(L, lua_tostring(L, -1), names, n);
}

/* ---- values ------------------------------------------------------------ */

/* What the options are that only some words or numbers fit. */
static const char *words_for(const char *name)
{
    if (strcmp(name, "ip") == 0)
        return "4, 6 or false";
    if (strcmp(name, "version") == 0)
        return "\"auto\", \"1.1\", \"2\" or \"2-prior-knowledge\"";
    return NULL;
}

static void check(struct parse *p, ms_err err, const char *name)
{
    const char *words = err == MS_EOPTION ? words_for(name) : NULL;

    if (words)
        lb_usage(p->L, "bad_option", "option \"%s\" must be %s", name, words);
    if (err)
        lb_raise(p->L, err, name);
}

lua_Integer lb_false_as(enum ms_option id)
{
    return id == MS_OPT_REDIRECT || id == MS_OPT_RETRY_MAX ? 0 : -1;
}

static void set_int(struct parse *p, const struct ms_option_info *info,
                    int index)
{
    lua_State *L = p->L;
    lua_Integer value = lb_false_as(info->id);
    int whole = 1;

    if (!lb_is_false(L, index)) {
        if (lua_type(L, index) != LUA_TNUMBER)
            lb_wrong_type(L, info->name, "a number or false", index);
        value = lua_tointegerx(L, index, &whole);
        if (!whole || value < info->least)
            lb_usage(L, "bad_option",
                     "option \"%s\" must be a whole number of at least %I, not "
                     "%s",
                     info->name, (LUAI_UACINT)info->least,
                     luaL_tolstring(L, index, NULL));
    }
    check(p, ms_options_set_int(p->o, info->id, value), info->name);
}

static void set_bool(struct parse *p, const struct ms_option_info *info,
                     int index)
{
    if (lua_type(p->L, index) != LUA_TBOOLEAN)
        lb_wrong_type(p->L, info->name, "a boolean", index);
    check(p, ms_options_set_bool(p->o, info->id, lua_toboolean(p->L, index)),
          info->name);
}

/* What false means: none of it. */
static void unset_string(struct parse *p, const struct ms_option_info *info)
{
    const char *none = info->id == MS_OPT_USER_AGENT ? "" : NULL;

    check(p, ms_options_set_string(p->o, info->id, none, 0), info->name);
}

/* user_agent has a default that false switches off; the others have one that
 * they go back to, or there is none of it. The texts of a route have their own
 * words for that. */
static bool may_be_unset(const struct ms_option_info *info)
{
    static const enum ms_option ids[] = {MS_OPT_USER_AGENT,    MS_OPT_AUTH_USER,
                                         MS_OPT_AUTH_PASSWORD, MS_OPT_BEARER,
                                         MS_OPT_NETRC,         MS_OPT_RANGE,
                                         MS_OPT_METHOD,        MS_OPT_BODY,
                                         MS_OPT_VERSION,       MS_OPT_PRIORITY};

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        if (info->id == ids[i])
            return true;
    return info->type == MS_TYPE_LIST || strncmp(info->name, "tls.", 4) == 0;
}

#define RANGE_WORDS "{ from, to }, a string or false"

/* Pushes member `i` of the range at `index`; -1 when it is absent, for `to` may
 * be. */
static lua_Integer push_bound(lua_State *L, int index, int i)
{
    int whole = 1;
    int type = lua_rawgeti(L, index, i);

    if (type == LUA_TNIL && i == 2)
        return -1;
    if (type != LUA_TNUMBER)
        lb_wrong_type(L, "range", RANGE_WORDS, index);
    lua_Integer n = lua_tointegerx(L, -1, &whole);
    if (!whole || (i == 2 && n < 0))
        lb_usage(L, "bad_option",
                 "option \"range\" must be made of whole numbers, not %s",
                 luaL_tolstring(L, -1, NULL));
    return n;
}

/* { 100, 199 } and { 100 } count from 0; { -100 } is the last 100 bytes. Pushes
 * that as text. */
static void push_range(lua_State *L, int index)
{
    int top = lua_gettop(L);
    lua_Integer from = push_bound(L, index, 1), to = push_bound(L, index, 2);

    lua_settop(L, top);
    if ((from < 0 && to >= 0) || (to >= 0 && to < from))
        lb_usage(L, "bad_option", "option \"range\" ends before it begins");
    if (to < 0)
        lua_pushfstring(L, from < 0 ? "%I" : "%I-", (LUAI_UACINT)from);
    else
        lua_pushfstring(L, "%I-%I", (LUAI_UACINT)from, (LUAI_UACINT)to);
}

/* true: the file where one usually has it. */
static void set_netrc(struct parse *p, const struct ms_option_info *info,
                      int index)
{
    size_t n;

    if (lua_type(p->L, index) == LUA_TBOOLEAN && lua_toboolean(p->L, index))
        lua_pushliteral(p->L, "");
    else if (lua_type(p->L, index) == LUA_TSTRING)
        lua_pushvalue(p->L, index);
    else
        lb_wrong_type(p->L, info->name, "a path, true or false", index);
    const char *path = lua_tolstring(p->L, -1, &n);
    if (strlen(path) != n)
        lb_usage(p->L, "bad_option", "option \"%s\" has a NUL in it",
                 info->name);
    check(p, ms_options_set_string(p->o, info->id, path, n), info->name);
    lua_pop(p->L, 1);
}

static void set_string(struct parse *p, const struct ms_option_info *info,
                       int index)
{
    lua_State *L = p->L;
    size_t n;

    if (info->id == MS_OPT_ALLOW_ADDRESS &&
        lb_set_guard(L, p->o, p->to, index)) {
        check(p, ms_options_set_string(p->o, info->id, "", 0), info->name);
        return;
    }
    if (may_be_unset(info) && lb_is_false(L, index)) {
        unset_string(p, info);
        return;
    }
    if (info->id == MS_OPT_RANGE && lua_type(L, index) == LUA_TTABLE) {
        push_range(L, index);
        index = lua_gettop(L);
    }
    if (info->id == MS_OPT_NETRC) {
        set_netrc(p, info, index);
        return;
    }
    if (lb_push_route_text(L, info, index))
        index = lua_gettop(L);
    if (lua_type(L, index) != LUA_TSTRING)
        lb_wrong_type(L, info->name,
                      info->id == MS_OPT_RANGE ? RANGE_WORDS : "a string",
                      index);
    const char *s = lua_tolstring(L, index, &n);
    check(p, ms_options_set_string(p->o, info->id, s, n), info->name);
}

#define LIST_WORDS "a string or a list of them"

static bool takes_numbers(lua_State *L, const struct ms_option_info *info)
{
    return info->id == MS_OPT_RETRY_STATUS && lua_isinteger(L, -1);
}

/* A string, or a list of them, which has none with a separator in it. */
static void set_list(struct parse *p, const struct ms_option_info *info,
                     int index)
{
    lua_State *L = p->L;
    luaL_Buffer b;

    if (lua_type(L, index) != LUA_TTABLE) {
        if (lua_type(L, index) != LUA_TSTRING && !lb_is_false(L, index))
            lb_wrong_type(L, info->name, LIST_WORDS, index);
        set_string(p, info, index);
        return;
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&b, info->separator);
        lua_rawgeti(L, index, i);
        if (lua_type(L, -1) != LUA_TSTRING && !takes_numbers(L, info))
            lb_wrong_type(L, info->name, LIST_WORDS, index);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    set_string(p, info, lua_gettop(L));
    lua_pop(L, 1);
}

/* ---- tables ------------------------------------------------------------ */

/* The engine points nowhere into a string that is not kept any more. */
static void drop_kept(struct parse *p)
{
    const struct lb_options *lo = lua_touserdata(p->L, p->to);
    bool kept = lo->has_values &&
                lua_getiuservalue(p->L, p->to, LB_OPTIONS_BODY) == LUA_TSTRING;

    if (lo->has_values)
        lua_pop(p->L, 1);
    if (kept)
        check(p, ms_options_set_string(p->o, MS_OPT_BODY, "", 0), "body");
}

/* A body is a string or an upload; a long string is not copied but kept. False:
 * it is an option like any other. */
static bool set_body(struct parse *p, const struct ms_option_info *info,
                     int index)
{
    struct lb_options *lo = lua_touserdata(p->L, p->to);
    size_t n = 0;

    if (info->id != MS_OPT_BODY)
        return false;
    lo->upload = lb_test(p->L, index, LB_UPLOAD);
    const char *text = lua_type(p->L, index) == LUA_TSTRING
                           ? lua_tolstring(p->L, index, &n)
                           : NULL;
    bool kept = lo->upload || n >= LB_KEPT_BODY;
    if (!kept && !lo->has_values)
        return false;
    if (lo->upload)
        drop_kept(p);
    if (kept)
        lua_pushvalue(p->L, index);
    else
        lua_pushnil(p->L);
    lo->has_values = true;
    lua_setiuservalue(p->L, p->to, LB_OPTIONS_BODY);
    if (kept && !lo->upload)
        check(p, ms_options_lend_body(p->o, text, n), info->name);
    return kept;
}

/* Cookies are on, off, or in a jar of the script's. */
static bool set_jar(struct parse *p, const struct ms_option_info *info,
                    int index)
{
    struct ms_jar *jar = lb_test_jar(p->L, index);

    if (info->id != MS_OPT_COOKIES)
        return false;
    if (jar)
        check(p, ms_options_jar(p->o, jar), info->name);
    else if (lua_type(p->L, index) != LUA_TBOOLEAN)
        lb_wrong_type(p->L, info->name, "a boolean or a jar", index);
    return jar;
}

static void set_option(struct parse *p, const struct ms_option_info *info,
                       int index)
{
    if (set_body(p, info, index) || set_jar(p, info, index))
        return;
    switch (info->type) {
    case MS_TYPE_BOOL:
        set_bool(p, info, index);
        break;
    case MS_TYPE_INT:
        set_int(p, info, index);
        break;
    case MS_TYPE_STRING:
        set_string(p, info, index);
        break;
    case MS_TYPE_LIST:
        set_list(p, info, index);
        break;
    case MS_TYPE_HEADERS:
        lb_set_headers(p->L, p->o, index);
        break;
    }
}

static bool is_number(lua_State *L, int index, lua_Integer n)
{
    return lua_isinteger(L, index) && lua_tointeger(L, index) == n;
}

/* auth = { user, password } has its first members by their places. */
static const struct ms_option_info *find_member(lua_State *L, const char *group,
                                                int key)
{
    size_t n;

    if (lua_type(L, key) == LUA_TSTRING)
        lua_pushfstring(L, "%s.%s", group, lua_tostring(L, key));
    else if (strcmp(group, "auth") == 0 && is_number(L, key, 1))
        lua_pushliteral(L, "auth.user");
    else if (strcmp(group, "auth") == 0 && is_number(L, key, 2))
        lua_pushliteral(L, "auth.password");
    else
        return NULL;
    const char *name = lua_tolstring(L, -1, &n);
    const struct ms_option_info *info = ms_option_find(name, n);
    lua_pop(L, 1);
    return info;
}

static void set_members(struct parse *p, const char *group, int table)
{
    lua_State *L = p->L;

    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        const struct ms_option_info *info = find_member(L, group, value - 1);
        if (!info)
            unknown_member(L, group, value - 1);
        set_option(p, info, value);
        lua_settop(L, value - 1);
    }
}

/* What an option with members may be besides a table of them: a number, for
 * the first one; false, for all. Of TLS, false could be taken for "do not
 * verify", and is refused. */
static const struct group {
    const char *name, *takes;
    bool number, off;
} groups[] = {
    {"timeout", "a number, a table or false", true, true},
    {"low_speed", "a table or false", false, true},
    {"tls", "a table", false, false},
    {"dns", "a table or false", false, true},
    {"auth", "a table or false", false, true},
    {"retry", "a number, a table or false", true, true},
};

static const struct group *find_group(const char *name)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (strcmp(groups[i].name, name) == 0)
            return &groups[i];
    return NULL;
}

/* The first member, or all of them. */
static void set_some(struct parse *p, const struct group *group, int index,
                     bool all)
{
    bool more = true;

    for (unsigned i = 0; i < MS_OPT_COUNT && more; i++) {
        if (!is_member(ms_option_at(i)->name, group->name))
            continue;
        set_option(p, ms_option_at(i), index);
        more = all;
    }
}

/* A login comes whole: nothing of one set earlier is left, nor a token, which
 * would come before it. */
static void forget_login(struct parse *p)
{
    lua_State *L = p->L;

    lua_pushboolean(L, 0);
    set_some(p, find_group("auth"), lua_gettop(L), true);
    lua_pop(L, 1);
    lua_pushliteral(L, "bearer");
    if (lua_rawget(L, p->table) == LUA_TNIL)
        check(p, ms_options_set_string(p->o, MS_OPT_BEARER, NULL, 0), "bearer");
    lua_pop(L, 1);
}

static bool set_group(struct parse *p, const char *name, int index)
{
    const struct group *group = find_group(name);
    int type = lua_type(p->L, index);
    bool off = lb_is_false(p->L, index);

    if (!group)
        return false;
    if (type == LUA_TTABLE && strcmp(name, "auth") == 0)
        forget_login(p);
    if (type == LUA_TTABLE)
        set_members(p, name, index);
    else if ((off && group->off) || (type == LUA_TNUMBER && group->number))
        set_some(p, group, index, off);
    else
        lb_wrong_type(p->L, name, group->takes, index);
    return true;
}

static bool set_callback(struct parse *p, const char *name, int index)
{
    lua_State *L = p->L;
    struct lb_options *lo = lua_touserdata(L, p->to);
    int i = 0;

    while (i < (int)CALLBACKS && strcmp(name, callbacks[i]) != 0)
        i++;
    if (i == (int)CALLBACKS)
        return false;
    if (!lua_isfunction(L, index) && !lb_is_false(L, index))
        lb_wrong_type(L, name, "a function or false", index);
    if (lua_isfunction(L, index))
        lua_pushvalue(L, index);
    else
        lua_pushnil(L);
    lo->has_values = true;
    lua_setiuservalue(L, p->to, LB_OPTIONS_ON_HEADERS + i);
    return true;
}

static void set_named(struct parse *p, int key, int value)
{
    lua_State *L = p->L;
    size_t n;

    if (lua_type(L, key) != LUA_TSTRING)
        lb_usage(L, "bad_option", "option names are strings, not %s",
                 lb_typename(L, key));
    const char *name = lua_tolstring(L, key, &n);
    const struct ms_option_info *info = ms_option_find(name, n);
    if (info && !strchr(name, '.'))
        set_option(p, info, value);
    else if (p->url_allowed && strcmp(name, "url") == 0)
        return;
    else if (strcmp(name, RESOLVER) == 0)
        lb_set_resolver(L, p->o, p->to, value);
    else if (!set_callback(p, name, value) && !set_group(p, name, value))
        unknown_name(p, name);
}

static bool has_value(lua_State *L, int options, int uv)
{
    bool has = lua_getiuservalue(L, options, uv) != LUA_TNIL;

    lua_pop(L, 1);
    return has;
}

void lb_parse_options(lua_State *L, int table, int to, bool url_allowed)
{
    struct lb_options *lo = lua_touserdata(L, to);
    struct parse p = {L, lo->o, table, to, url_allowed};

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        set_named(&p, value - 1, value);
        lua_settop(L, value - 1);
    }
    if (!lo->has_values)
        return;
    lo->has_headers = has_value(L, to, LB_OPTIONS_ON_HEADERS);
    lo->has_data = has_value(L, to, LB_OPTIONS_ON_DATA);
    lo->has_debug = has_value(L, to, LB_OPTIONS_ON_DEBUG);
    lo->has_progress = has_value(L, to, LB_OPTIONS_ON_PROGRESS);
}

/* ---- the type ---------------------------------------------------------- */

struct lb_options *lb_push_options(lua_State *L, int base)
{
    const struct lb_options *from = base ? lua_touserdata(L, base) : NULL;
    struct lb_options *lo = lb_new(L, LB_OPTIONS, sizeof(*lo), LB_OPTIONS_UVS);
    ms_err err = ms_options_new(&lo->o, from ? from->o : NULL);

    if (err)
        lb_raise(L, err, "options");
    if (!from || !from->has_values)
        return lo;
    lo->has_values = true;
    lo->upload = from->upload;
    lo->has_headers = from->has_headers;
    lo->has_data = from->has_data;
    lo->has_debug = from->has_debug;
    lo->has_progress = from->has_progress;
    for (int uv = 1; uv <= LB_OPTIONS_UVS; uv++) {
        lua_getiuservalue(L, base, uv);
        lua_setiuservalue(L, -2, uv);
    }
    return lo;
}

/* options(table [, base]): nobody changes the set any more, and those that are
 * made of it borrow from it. */
static int new_options(lua_State *L)
{
    lb_check_table(L, 1, "options");
    bool has_base = !lua_isnoneornil(L, 2);
    if (has_base)
        lb_check(L, 2, LB_OPTIONS);
    lua_settop(L, 2);
    struct lb_options *lo = lb_push_options(L, has_base ? 2 : 0);
    lb_parse_options(L, 1, 3, false);
    ms_options_freeze(lo->o);
    return 1;
}

static int options_gc(lua_State *L)
{
    struct lb_options *lo = lb_check(L, 1, LB_OPTIONS);

    ms_options_free(lo->o);
    lo->o = NULL;
    return 0;
}

static int option_names(lua_State *L)
{
    const char *names[NAMES];
    size_t n = known_names(L, names);

    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* option_scopes(): by name, "timeout.total" for a member, whether a connection
 * made with one value may be used with another. */
static int option_scopes(lua_State *L)
{
    static const char *const names[] = {[MS_SCOPE_SAME] = "same",
                                        [MS_SCOPE_DIFFERS] = "differs",
                                        [MS_SCOPE_TLS] = "tls"};

    lua_createtable(L, 0, MS_OPT_COUNT);
    for (unsigned i = 0; i < MS_OPT_COUNT; i++) {
        lua_pushstring(L, names[ms_option_at(i)->scope]);
        lua_setfield(L, -2, ms_option_at(i)->name);
    }
    return 1;
}

/* The set of all defaults, at LB_DEFAULTS. */
static void make_defaults(lua_State *L)
{
    struct lb_options *lo = lua_newuserdatauv(L, sizeof(*lo), LB_OPTIONS_UVS);

    *lo = (struct lb_options){0};
    lb_mark(L, lo, LB_OPTIONS, LB_OPTIONS);
    ms_err err = ms_options_new(&lo->o, NULL);
    if (err)
        lb_raise(L, err, "options");
    lua_replace(L, LB_DEFAULTS);
}

void lb_open_options(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", options_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"options", new_options},
                                         {"option_names", option_names},
                                         {"option_scopes", option_scopes},
                                         {NULL, NULL}};

    lb_set_type(L, LB_OPTIONS, meta, NULL);
    make_defaults(L);
    lb_setfuncs(L, functions);
}
