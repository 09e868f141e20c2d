/* SPDX-License-Identifier: MIT
 *
 * leasy.c - easy handles.
 */
#include <string.h>

#include "lua/binding.h"

struct lb_easy *lb_check_easy(lua_State *L, int index)
{
    struct lb_easy *le = lb_check(L, index, LB_EASY, "an easy handle");

    if (!le->e)
        lb_usage(L, "closed", "the easy handle is closed");
    return le;
}

/* ---- callbacks --------------------------------------------------------- */

/* What a callback's protected call needs to know. */
struct delivery {
    struct lb_multi *lm;
    struct ms_easy *easy;
    const struct ms_response *head;
    const char *p;
    size_t n;
    enum ms_verdict verdict;
};

static void push_head(lua_State *L, const struct ms_response *r)
{
    size_t n;
    const char *reason = ms_response_reason(r, &n);

    lua_createtable(L, 0, 5);
    lua_pushinteger(L, ms_response_status(r));
    lua_setfield(L, -2, "status");
    lua_pushlstring(L, reason, n);
    lua_setfield(L, -2, "reason");
    lua_pushstring(L, ms_response_version(r));
    lua_setfield(L, -2, "version");
    lua_pushboolean(L, ms_response_informational(r));
    lua_setfield(L, -2, "informational");
    lb_push_headers(L, r, ms_response_header);
    lua_setfield(L, -2, "headers");
}

/* Runs protected; the easy's userdata is at 2. Upvalues: the metatables. */
static int deliver(lua_State *L)
{
    struct delivery *d = lua_touserdata(L, 1);

    lua_getiuservalue(L, 2, d->head ? LB_EASY_ON_HEADERS : LB_EASY_ON_DATA);
    if (d->head)
        push_head(L, d->head);
    else
        lua_pushlstring(L, d->p, d->n);
    lua_call(L, 1, 0);
    return 0;
}

/* The key of the closure over deliver() in the registry. */
static const char deliver_key;

static enum ms_verdict run(struct delivery *d)
{
    lua_State *L = d->lm->L;
    int top;

    if (!L)
        return MS_ABORT;
    top = lua_gettop(L);
    if (!lua_checkstack(L, LUA_MINSTACK))
        return MS_ABORT;
    lua_getiuservalue(L, d->lm->self, LB_MULTI_EASIES);
    lua_rawgetp(L, -1, d->easy);
    int easy = lua_gettop(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &deliver_key);
    lua_pushlightuserdata(L, d);
    lua_pushvalue(L, easy);
    enum ms_verdict verdict = MS_GO_ON;
    if (lua_pcall(L, 2, 0, 0)) {
        verdict = MS_ABORT;
        if (lb_is_interrupt(L, -1)) {
            lua_pushvalue(L, -1);
            lua_setiuservalue(L, d->lm->self, LB_MULTI_RAISE);
            d->lm->raise = true;
        }
        lua_setiuservalue(L, easy, LB_EASY_CAUSE);
    }
    lua_settop(L, top);
    return verdict;
}

static enum ms_verdict on_headers(struct ms_easy *easy,
                                  const struct ms_response *head, void *user)
{
    struct delivery d = {
        .lm = ms_multi_user(ms_easy_multi(easy)), .easy = easy, .head = head};

    (void)user;
    return run(&d);
}

static enum ms_verdict on_data(struct ms_easy *easy, const char *p, size_t n,
                               void *user)
{
    struct delivery d = {
        .lm = ms_multi_user(ms_easy_multi(easy)), .easy = easy, .p = p, .n = n};

    (void)user;
    return run(&d);
}

void lb_take_callbacks(lua_State *L, int easy, int from, bool has)
{
    struct lb_easy *le = lua_touserdata(L, easy);
    bool set[2] = {false, false};

    if (!has && !le->has_callbacks)
        return;
    for (int i = 0; i < 2; i++) {
        if (has)
            lua_getiuservalue(L, from, LB_EASY_ON_HEADERS + i);
        else
            lua_pushnil(L);
        set[i] = !lua_isnil(L, -1);
        lua_setiuservalue(L, easy, LB_EASY_ON_HEADERS + i);
    }
    ms_easy_on_headers(le->e, set[0] ? on_headers : NULL, NULL);
    ms_easy_on_data(le->e, set[1] ? on_data : NULL, NULL);
    le->has_callbacks = has;
}

/* ---- methods ----------------------------------------------------------- */

static void set_url(lua_State *L, struct lb_easy *le, int index)
{
    size_t n;

    if (lua_type(L, index) != LUA_TSTRING)
        lb_usage(L, "bad_argument", "url must be a string, not %s",
                 luaL_typename(L, index));
    const char *url = lua_tolstring(L, index, &n);
    if (ms_easy_set_url(le->e, url, n))
        luaL_error(L, "not enough memory");
}

/* Applies the option table at `table` on top of what the easy has. */
static void apply(lua_State *L, int easy, int table)
{
    struct lb_easy *le = lua_touserdata(L, easy);

    if (lua_type(L, table) != LUA_TTABLE)
        lb_usage(L, "bad_argument", "options must be a table, not %s",
                 luaL_typename(L, table));
    lua_newtable(L);
    int rest = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, rest);
    }
    lua_pushliteral(L, "url");
    lua_rawget(L, rest);
    bool has_url = !lua_isnil(L, -1);
    lua_pushliteral(L, "url");
    lua_pushnil(L);
    lua_rawset(L, rest);

    /* The set hangs on a userdata while parsing may raise. */
    struct lb_options *lo = lua_newuserdatauv(L, sizeof(*lo), LB_OPTIONS_UVS);
    int holder = lua_gettop(L);
    *lo = (struct lb_options){NULL, false};
    lua_pushvalue(L, lua_upvalueindex(LB_OPTIONS));
    lua_setmetatable(L, holder);
    if (ms_options_new(&lo->o, ms_easy_options(le->e)))
        luaL_error(L, "not enough memory");
    for (int i = 1; i <= LB_OPTIONS_UVS; i++) {
        lua_getiuservalue(L, easy, i);
        lua_setiuservalue(L, holder, i);
    }
    lb_parse_options(L, rest, lo->o, holder, &lo->has_callbacks);
    if (has_url)
        set_url(L, le, rest + 1);
    ms_easy_set_options(le->e, lo->o);
    lb_take_callbacks(L, easy, holder, lo->has_callbacks);
    lua_settop(L, rest - 1);
}

static int new_easy(lua_State *L)
{
    lua_settop(L, 1);
    struct lb_easy *le = lua_newuserdatauv(L, sizeof(*le), LB_EASY_UVS);
    *le = (struct lb_easy){NULL, false};
    lua_pushvalue(L, lua_upvalueindex(LB_EASY));
    lua_setmetatable(L, 2);
    if (ms_easy_new(&le->e))
        return luaL_error(L, "not enough memory");
    ms_easy_set_user(le->e, le);
    if (!lua_isnil(L, 1))
        apply(L, 2, 1);
    return 1;
}

static int easy_begin(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);
    struct lb_options *lo = lb_check(L, 3, LB_OPTIONS, "an option set");

    if (ms_easy_multi(le->e))
        lb_usage(L, "already_added", "the easy handle is added already");
    set_url(L, le, 2);
    if (ms_easy_options(le->e) != lo->o)
        ms_easy_set_options(le->e, lo->o);
    lb_take_callbacks(L, 1, 3, lo->has_callbacks);
    return 0;
}

static int easy_setopt(lua_State *L)
{
    lb_check_easy(L, 1);
    lua_settop(L, 2);
    apply(L, 1, 2);
    return 0;
}

static int easy_oneshot(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);

    ms_easy_set_oneshot(le->e, lua_toboolean(L, 2));
    return 0;
}

static int easy_take(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);

    lb_push_response(L, le);
    return 1;
}

static int easy_response(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);

    if (lua_getiuservalue(L, 1, LB_EASY_RESPONSE) != LUA_TNIL)
        return 1;
    lb_push_response(L, le);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, LB_EASY_RESPONSE);
    return 1;
}

/* A field of the response, or one of its timings. */
static int easy_getinfo(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TSTRING);
    lua_settop(L, 2);
    easy_response(L);
    int response = lua_gettop(L);
    if (lua_isnil(L, response))
        return 1;
    lua_pushvalue(L, 2);
    lua_gettable(L, response);
    if (!lua_isnil(L, -1))
        return 1;
    lua_getfield(L, response, "timings");
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

/* Calls fn with the easy's multi, if any, ready for callbacks. */
static void with_multi(lua_State *L, struct lb_easy *le,
                       void (*fn)(struct lb_easy *le, unsigned mask),
                       unsigned mask)
{
    struct lb_multi *lm = lb_push_multi_of(L, 1);

    if (!lm) {
        fn(le, mask);
        return;
    }
    struct lb_entry entry = lb_enter(L, lm, lua_gettop(L));
    fn(le, mask);
    lb_leave(L, &entry);
}

static void do_pause(struct lb_easy *le, unsigned mask)
{
    ms_easy_pause(le->e, mask);
}

static int easy_pause(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);
    lua_Integer mask = luaL_checkinteger(L, 2);

    if (mask & ~(lua_Integer)(MS_PAUSE_RECV | MS_PAUSE_SEND))
        lb_usage(L, "bad_argument",
                 "a pause mask is made of PAUSE_RECV and "
                 "PAUSE_SEND");
    with_multi(L, le, do_pause, (unsigned)mask);
    return 0;
}

static void do_remove(struct lb_easy *le, unsigned mask)
{
    struct ms_multi *m = ms_easy_multi(le->e);
    ms_err err = m ? ms_multi_remove(m, le->e) : MS_OK;

    (void)err; /* it is in that multi */
    (void)mask;
}

static void do_close(struct lb_easy *le, unsigned mask)
{
    struct ms_easy *e = le->e;

    (void)mask;
    le->e = NULL;
    ms_easy_close(e);
}

/* Takes the easy out of its multi's table; the engine may still use it until
 * the outermost exit, but calls nobody for it any more. */
static void forget(lua_State *L, struct lb_easy *le)
{
    if (!lb_push_multi_of(L, 1))
        return;
    lua_getiuservalue(L, -1, LB_MULTI_EASIES);
    lua_pushnil(L);
    lua_rawsetp(L, -2, le->e);
    lua_pop(L, 2);
}

static int easy_reset(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);

    lua_settop(L, 1);
    forget(L, le);
    with_multi(L, le, do_remove, 0);
    ms_easy_set_options(le->e, NULL);
    lb_take_callbacks(L, 1, 0, false);
    if (ms_easy_set_url(le->e, "", 0))
        return luaL_error(L, "not enough memory");
    lua_pushnil(L);
    lua_setiuservalue(L, 1, LB_EASY_RESPONSE);
    return 0;
}

static int easy_close(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY, "an easy handle");

    if (!le->e)
        return 0;
    lua_settop(L, 1);
    forget(L, le);
    with_multi(L, le, do_close, 0);
    return 0;
}

/* No Lua runs here: its multi, if it has one, is being finalised too. */
static int easy_gc(lua_State *L)
{
    struct lb_easy *le = lua_touserdata(L, 1);

    if (le->e)
        do_close(le, 0);
    return 0;
}

void lb_open_easy(lua_State *L, int first)
{
    static const luaL_Reg methods[] = {
        {"begin", easy_begin},     {"setopt", easy_setopt},
        {"oneshot", easy_oneshot}, {"take", easy_take},
        {"pause", easy_pause},     {"response", easy_response},
        {"reset", easy_reset},     {"getinfo", easy_getinfo},
        {"close", easy_close},     {"__close", easy_close},
        {"__gc", easy_gc},         {NULL, NULL}};
    static const luaL_Reg functions[] = {{"easy", new_easy}, {NULL, NULL}};

    lua_pushvalue(L, first + LB_EASY - 1);
    lb_setfuncs(L, first, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    for (int i = 0; i < LB_TYPES; i++)
        lua_pushvalue(L, first + i);
    lua_pushcclosure(L, deliver, LB_TYPES);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &deliver_key);
    lb_setfuncs(L, first, functions);
}
