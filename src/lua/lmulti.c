/* SPDX-License-Identifier: MIT
 *
 * lmulti.c - multi handles: entries, the three callbacks, introspection.
 */
#include <string.h>

#include "lua/binding.h"

static const char *const option_names[] = {"socketfunction", "timerfunction",
                                           "donefunction",   "errorfunction",
                                           "max_idle",       "idle_timeout"};
#define FUNCTIONS 4
#define OPTIONS   (sizeof(option_names) / sizeof(option_names[0]))

/* ---- entries ----------------------------------------------------------- */

struct lb_multi *lb_check_multi(lua_State *L, int index)
{
    return lb_check(L, index, LB_MULTI, "a multi handle");
}

struct lb_entry lb_enter(lua_State *L, struct lb_multi *lm, int self)
{
    struct lb_entry entry = {lm, lm->L, lm->self};

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lm->L = L;
    lm->self = self;
    return entry;
}

void lb_leave(lua_State *L, struct lb_entry *entry)
{
    struct lb_multi *lm = entry->lm;
    int self = lm->self;

    lm->L = entry->L;
    lm->self = entry->self;
    if (!lm->raise || lm->L)
        return;
    lm->raise = false;
    lua_getiuservalue(L, self, LB_MULTI_RAISE);
    lua_pushnil(L);
    lua_setiuservalue(L, self, LB_MULTI_RAISE);
    lua_error(L);
}

struct lb_multi *lb_push_multi_of(lua_State *L, int easy)
{
    struct lb_easy *le = lua_touserdata(L, easy);

    if (!le->e || !ms_easy_multi(le->e))
        return NULL;
    if (lua_getiuservalue(L, easy, LB_EASY_MULTI) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    return lua_touserdata(L, -1);
}

/* ---- callbacks --------------------------------------------------------- */

static int traceback(lua_State *L)
{
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "multisocket.traceback");
    lua_settop(L, 1);
    return 1;
}

/* An error nobody else gets: to errorfunction, or to stderr. */
static void report(struct lb_multi *lm)
{
    lua_State *L = lm->L;
    int err = lua_gettop(L);

    if (lua_getiuservalue(L, lm->self, LB_MULTI_ERRORFUNCTION) != LUA_TNIL) {
        lua_pushvalue(L, err);
        lua_getfield(L, LUA_REGISTRYINDEX, "multisocket.traceback");
        if (lua_pcall(L, 2, 0, 0) == LUA_OK)
            return;
    }
    lua_writestringerror("multisocket: %s\n", luaL_tolstring(L, -1, NULL));
}

/* Keeps an interrupt for the end of the entry. */
static bool keep_interrupt(struct lb_multi *lm)
{
    lua_State *L = lm->L;

    if (!lb_is_interrupt(L, -1))
        return false;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, lm->self, LB_MULTI_RAISE);
    lm->raise = true;
    return true;
}

/* Calls the function `n` places below the top with the values above it. False
 * when it raised: the error is then the cause of whatever ends by it. */
static bool call(struct lb_multi *lm, int n)
{
    lua_State *L = lm->L;

    if (lua_pcall(L, n, 0, 0) == LUA_OK)
        return true;
    keep_interrupt(lm);
    lua_setiuservalue(L, lm->self, LB_MULTI_CAUSE);
    return false;
}

/* Pushes the userdata of an added easy. */
static void push_easy(struct lb_multi *lm, struct ms_easy *easy)
{
    lua_State *L = lm->L;

    lua_getiuservalue(L, lm->self, LB_MULTI_EASIES);
    lua_rawgetp(L, -1, easy);
    lua_remove(L, -2);
}

static bool socket_cb(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    struct lb_multi *lm = user;
    lua_State *L = lm->L;

    if (!L || !lua_checkstack(L, LUA_MINSTACK))
        return true;
    int top = lua_gettop(L);
    lua_getiuservalue(L, lm->self, LB_MULTI_SOCKETFUNCTION);
    if (easy)
        push_easy(lm, easy);
    else
        lua_pushnil(L);
    lua_pushinteger(L, fd);
    lua_pushinteger(L, what);
    lua_pushnil(L);
    if (value) {
        lua_getiuservalue(L, lm->self, LB_MULTI_VALUES);
        lua_rawgeti(L, -1, fd);
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    bool ok = call(lm, 4);
    if (value && what == MS_POLL_REMOVE) {
        lua_getiuservalue(L, lm->self, LB_MULTI_VALUES);
        lua_pushnil(L);
        lua_rawseti(L, -2, fd);
    }
    lua_settop(L, top);
    return ok;
}

static bool timer_cb(struct ms_multi *multi, int64_t timeout_ms, void *user)
{
    struct lb_multi *lm = user;
    lua_State *L = lm->L;

    (void)multi;
    if (!L || !lua_checkstack(L, LUA_MINSTACK))
        return true;
    int top = lua_gettop(L);
    lua_getiuservalue(L, lm->self, LB_MULTI_TIMERFUNCTION);
    lua_pushvalue(L, lm->self);
    lua_pushinteger(L, timeout_ms);
    bool ok = call(lm, 2);
    lua_settop(L, top);
    return ok;
}

/* donefunction(easy, false, err), protected as a whole: function, easy and
 * multi are at 1 to 3. */
static int call_with_error(lua_State *L)
{
    struct lb_easy *le = lua_touserdata(L, 2);

    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushboolean(L, 0);
    lb_push_error(L, le, 2, 3);
    lua_call(L, 3, 0);
    return 0;
}

static int call_done(lua_State *L, struct lb_multi *lm, struct lb_easy *le,
                     int easy)
{
    lua_pushcfunction(L, traceback);
    int handler = lua_gettop(L);
    if (ms_easy_error(le->e)->err == MS_OK) {
        lua_getiuservalue(L, lm->self, LB_MULTI_DONEFUNCTION);
        lua_pushvalue(L, easy);
        lua_pushboolean(L, 1);
        return lua_pcall(L, 2, 0, handler);
    }
    lua_pushcfunction(L, call_with_error);
    lua_getiuservalue(L, lm->self, LB_MULTI_DONEFUNCTION);
    lua_pushvalue(L, easy);
    lua_pushvalue(L, lm->self);
    return lua_pcall(L, 3, 0, handler);
}

/* Lets go of an easy that left the multi by itself. */
static void drop(struct lb_multi *lm, struct ms_easy *easy)
{
    lua_State *L = lm->L;

    lua_getiuservalue(L, lm->self, LB_MULTI_EASIES);
    lua_pushnil(L);
    lua_rawsetp(L, -2, easy);
}

static void done_cb(struct ms_multi *multi, struct ms_easy *easy, void *user)
{
    struct lb_multi *lm = user;
    struct lb_easy *le = ms_easy_user(easy);
    lua_State *L = lm->L;

    (void)multi;
    if (!L || !lua_checkstack(L, LUA_MINSTACK))
        return;
    int top = lua_gettop(L);
    push_easy(lm, easy);
    int at = top + 1;
    if (lua_getiuservalue(L, lm->self, LB_MULTI_DONEFUNCTION) != LUA_TNIL &&
        call_done(L, lm, le, at) != LUA_OK && !keep_interrupt(lm))
        report(lm);
    if (!le->e || !ms_easy_multi(easy))
        drop(lm, easy);
    lua_settop(L, top);
}

/* ---- life -------------------------------------------------------------- */

static int multi_gc(lua_State *L)
{
    struct lb_multi *lm = lua_touserdata(L, 1);
    struct ms_multi *m = lm->m;

    lm->m = NULL;
    lm->L = NULL;
    ms_multi_free(m);
    return 0;
}

static int multi_close(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);

    if (!lm->m)
        return 0;
    struct lb_entry entry = lb_enter(L, lm, 1);
    ms_multi_close(lm->m);
    lb_leave(L, &entry);
    return 0;
}

/* Installs or removes the engine's side of callback `which`; the old function
 * is still in place. */
static void install(struct lb_multi *lm, int which, bool on)
{
    if (which == LB_MULTI_SOCKETFUNCTION)
        ms_multi_on_socket(lm->m, on ? socket_cb : NULL, lm);
    else if (which == LB_MULTI_TIMERFUNCTION)
        ms_multi_on_timer(lm->m, on ? timer_cb : NULL, lm);
}

static void set_function(lua_State *L, struct lb_multi *lm, int which,
                         int value)
{
    int type = lua_type(L, value);
    bool off = type == LUA_TBOOLEAN && !lua_toboolean(L, value);

    if (type != LUA_TFUNCTION && !off)
        lb_usage(L, "bad_option", "%s must be a function or false, not %s",
                 option_names[which - 1], luaL_typename(L, value));
    bool had = lua_getiuservalue(L, 1, which) != LUA_TNIL;
    lua_pop(L, 1);
    struct lb_entry entry = lb_enter(L, lm, 1);
    if (had)
        install(lm, which, false);
    if (off)
        lua_pushnil(L);
    else
        lua_pushvalue(L, value);
    lua_setiuservalue(L, 1, which);
    if (!off)
        install(lm, which, true);
    lb_leave(L, &entry);
}

static void set_number(lua_State *L, struct lb_multi *lm, size_t which,
                       int value)
{
    int whole = 0;
    lua_Integer n = lua_type(L, value) == LUA_TNUMBER
                        ? lua_tointegerx(L, value, &whole)
                        : 0;
    enum ms_multi_option id =
        which == 4 ? MS_MULTI_MAX_IDLE : MS_MULTI_IDLE_TIMEOUT;

    struct lb_entry entry = lb_enter(L, lm, 1);
    ms_err err = whole ? ms_multi_set(lm->m, id, n) : MS_EOPTION;
    lb_leave(L, &entry);
    if (err)
        lb_usage(L, "bad_option",
                 "option \"%s\" must be a whole number of at least %d, not %s",
                 option_names[which], which == 4 ? 0 : 1,
                 luaL_tolstring(L, value, NULL));
}

static void set_one(lua_State *L, struct lb_multi *lm, int name, int value)
{
    const char *s =
        lua_type(L, name) == LUA_TSTRING ? lua_tostring(L, name) : "";

    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(s, option_names[i]) != 0)
            continue;
        if (i < FUNCTIONS)
            set_function(L, lm, (int)i + 1, value);
        else
            set_number(L, lm, i, value);
        return;
    }
    const char *near = lb_suggest(s, option_names, OPTIONS);
    if (*near)
        lb_usage(L, "bad_option",
                 "unknown option \"%s\" (did you mean \"%s\"?)", s, near);
    lb_usage(L, "bad_option", "unknown option \"%s\"",
             luaL_tolstring(L, name, NULL));
}

static int multi_setopt(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);

    if (lua_type(L, 2) != LUA_TTABLE)
        lb_usage(L, "bad_argument", "options must be a table, not %s",
                 luaL_typename(L, 2));
    lua_settop(L, 2);
    lua_pushnil(L);
    while (lm->m && lua_next(L, 2)) {
        set_one(L, lm, 3, 4);
        lua_settop(L, 3);
    }
    return 0;
}

static int new_multi(lua_State *L)
{
    lua_settop(L, 1);
    struct lb_multi *lm = lua_newuserdatauv(L, sizeof(*lm), LB_MULTI_UVS);
    *lm = (struct lb_multi){0};
    lua_pushvalue(L, lua_upvalueindex(LB_MULTI));
    lua_setmetatable(L, 2);
    if (ms_multi_new(&lm->m))
        return luaL_error(L, "not enough memory");
    ms_multi_set_user(lm->m, lm);
    ms_multi_on_done(lm->m, done_cb, lm);
    lua_newtable(L);
    lua_setiuservalue(L, 2, LB_MULTI_EASIES);
    lua_newtable(L);
    lua_setiuservalue(L, 2, LB_MULTI_VALUES);
    if (lua_isnil(L, 1))
        return 1;
    lua_insert(L, 1);
    multi_setopt(L);
    lua_settop(L, 1);
    return 1;
}

/* ---- transfers --------------------------------------------------------- */

static int multi_add_handle(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);
    struct lb_easy *le = lb_check_easy(L, 2);

    if (!lm->m)
        return lb_usage(L, "closed", "the multi handle is closed");
    if (ms_easy_multi(le->e))
        return lb_usage(L, "already_added", "the easy handle is added already");
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, 3, le->e);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, LB_EASY_MULTI);
    lua_pushnil(L);
    lua_setiuservalue(L, 2, LB_EASY_CAUSE);
    lua_pushnil(L);
    lua_setiuservalue(L, 2, LB_EASY_RESPONSE);
    struct lb_entry entry = lb_enter(L, lm, 1);
    ms_err err = ms_multi_add(lm->m, le->e);
    if (err)
        drop(lm, le->e);
    lb_leave(L, &entry);
    if (err)
        lb_raise(L, err, "add_handle");
    lua_pushboolean(L, 1);
    return 1;
}

static int multi_remove_handle(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);
    struct lb_easy *le = lb_check(L, 2, LB_EASY, "an easy handle");

    lua_settop(L, 2);
    if (lm->m && le->e && ms_easy_multi(le->e)) {
        if (ms_easy_multi(le->e) != lm->m)
            return lb_usage(L, "bad_argument",
                            "the easy handle is in another multi handle");
        lua_getiuservalue(L, 1, LB_MULTI_EASIES);
        lua_pushnil(L);
        lua_rawsetp(L, -2, le->e);
        struct lb_entry entry = lb_enter(L, lm, 1);
        ms_err err = ms_multi_remove(lm->m, le->e);
        (void)err; /* checked above */
        lb_leave(L, &entry);
        lua_pushnil(L);
        lua_setiuservalue(L, 2, LB_EASY_MULTI);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int multi_socket_action(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);
    int running = 0;

    if (lm->m) {
        int fd = (int)luaL_checkinteger(L, 2);
        unsigned mask = (unsigned)luaL_optinteger(L, 3, 0);
        struct lb_entry entry = lb_enter(L, lm, 1);
        running = ms_multi_socket_action(lm->m, fd, mask);
        lb_leave(L, &entry);
    }
    lua_pushinteger(L, running);
    return 1;
}

static int multi_info_read(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);
    struct ms_message message;

    lua_settop(L, 1);
    if (!lm->m || !ms_multi_info_peek(lm->m, &message))
        return 0;
    struct lb_easy *le = ms_easy_user(message.easy);
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_rawgetp(L, 2, message.easy);
    lua_pushboolean(L, message.err == MS_OK);
    if (message.err)
        lb_push_error(L, le, 3, 1);
    else
        lua_pushnil(L);
    lua_pushinteger(L, message.left);
    /* Everything is made: now it can be taken off the queue. */
    (void)ms_multi_info_read(lm->m, &message);
    return 4;
}

static int multi_assign(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);
    lua_Integer fd = luaL_checkinteger(L, 2);

    lua_settop(L, 3);
    if (!lm->m || ms_multi_assign(lm->m, (int)fd, lm)) {
        lua_pushnil(L);
        lua_pushfstring(L, "descriptor %I is not watched", (LUAI_UACINT)fd);
        return 2;
    }
    lua_getiuservalue(L, 1, LB_MULTI_VALUES);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, fd);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- looking inside ---------------------------------------------------- */

static int multi_running(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);

    lua_pushinteger(L, lm->m ? ms_multi_running(lm->m) : 0);
    return 1;
}

static int multi_timeout(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);
    int64_t ms = lm->m ? ms_multi_timeout(lm->m) : -1;

    if (ms < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, ms);
    return 1;
}

static void add_easy(struct ms_easy *easy, void *user)
{
    lua_State *L = user;

    lua_rawgetp(L, 2, easy);
    lua_rawseti(L, 3, (lua_Integer)lua_rawlen(L, 3) + 1);
}

static int multi_handles(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);

    lua_settop(L, 1);
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_newtable(L);
    if (lm->m)
        ms_multi_handles(lm->m, add_easy, L);
    return 1;
}

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void add_socket(const struct ms_socket_info *info,
                       struct ms_easy *const *easies, size_t count, void *user)
{
    lua_State *L = user;

    lua_createtable(L, 0, 6);
    set_integer(L, "fd", info->fd);
    set_integer(L, "action", info->action);
    set_integer(L, "readers", info->readers);
    set_integer(L, "writers", info->writers);
    lua_pushstring(L, info->owner);
    lua_setfield(L, -2, "owner");
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgetp(L, 2, easies[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "easies");
    lua_rawseti(L, 3, (lua_Integer)lua_rawlen(L, 3) + 1);
}

static int multi_sockets(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);

    lua_settop(L, 1);
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_newtable(L);
    if (lm->m)
        ms_multi_sockets(lm->m, add_socket, L);
    return 1;
}

static int multi_stats(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);
    struct ms_stats s = {0};

    if (lm->m)
        ms_multi_stats(lm->m, &s);
    lua_createtable(L, 0, 18);
#define STAT(name) set_integer(L, #name, (lua_Integer)s.name)
    STAT(added);
    STAT(done);
    STAT(removed);
    STAT(opened);
    STAT(reused);
    STAT(closed);
    STAT(socket_calls);
    STAT(timer_calls);
    STAT(actions);
    STAT(bytes_in);
    STAT(bytes_out);
    STAT(lookups);
    STAT(running);
    STAT(queued);
    STAT(connections);
    STAT(idle);
    STAT(connecting);
#undef STAT
    return 1;
}

/* For tests: nil, or what does not hold. */
static int multi_check(lua_State *L)
{
    struct lb_multi *lm = lb_check_multi(L, 1);

    lua_pushstring(L, lm->m ? ms_multi_check(lm->m) : NULL);
    return 1;
}

void lb_open_multi(lua_State *L, int first)
{
    static const luaL_Reg methods[] = {{"add_handle", multi_add_handle},
                                       {"remove_handle", multi_remove_handle},
                                       {"socket_action", multi_socket_action},
                                       {"info_read", multi_info_read},
                                       {"assign", multi_assign},
                                       {"setopt", multi_setopt},
                                       {"timeout", multi_timeout},
                                       {"running", multi_running},
                                       {"handles", multi_handles},
                                       {"sockets", multi_sockets},
                                       {"stats", multi_stats},
                                       {"check", multi_check},
                                       {"close", multi_close},
                                       {"__close", multi_close},
                                       {"__gc", multi_gc},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"multi", new_multi}, {NULL, NULL}};

    lua_pushvalue(L, first + LB_MULTI - 1);
    lb_setfuncs(L, first, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lb_setfuncs(L, first, functions);
}
