/* SPDX-License-Identifier: MIT
 *
 * lmulti.c - multi handles: the three callbacks, transfers, introspection.
 */
#include <limits.h>
#include <string.h>

#include "lua/binding.h"

/* ---- callbacks --------------------------------------------------------- */

struct blame {
    struct lb_multi *lm;
    int fd;
    size_t count;
};

/* Every transfer on the socket gets a copy of the error at the stack top. */
static void blame_socket(const struct ms_socket_info *info,
                         struct ms_easy *const *easies, size_t count,
                         void *user)
{
    struct blame *b = user;
    lua_State *L = b->lm->L;

    for (size_t i = 0; info->fd == b->fd && i < count; i++) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        if (lb_blame(b->lm, easies[i]))
            b->count++;
        else
            lua_pop(L, 2);
    }
}

static void blame_transfers_of(struct lb_multi *lm, int fd)
{
    struct blame b = {lm, fd, 0};

    if (lm->m)
        ms_multi_sockets(lm->m, blame_socket, &b);
    if (b.count)
        lua_pop(lm->L, 2);
    else
        lb_blame_any(lm);
}

static void push_assigned(struct lb_multi *lm, int fd, const void *value)
{
    lua_State *L = lm->L;

    if (!value) {
        lua_pushnil(L);
        return;
    }
    lua_getiuservalue(L, lm->self, LB_MULTI_VALUES);
    lua_rawgeti(L, -1, fd);
    lua_replace(L, -2);
}

static void forget_assigned(struct lb_multi *lm, int fd)
{
    lua_State *L = lm->L;

    lua_getiuservalue(L, lm->self, LB_MULTI_VALUES);
    if (lua_rawgeti(L, -1, fd) != LUA_TNIL) {
        lua_pushnil(L);
        lua_rawseti(L, -3, fd);
    }
    lua_pop(L, 2);
}

static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    struct lb_multi *lm = user;
    lua_State *L = lm->L;

    if (!L)
        return true;
    lua_pushcfunction(L, lb_traceback);
    lua_getiuservalue(L, lm->self, LB_MULTI_SOCKETFUNCTION);
    if (easy)
        lb_push_easy(lm, easy);
    else
        lua_pushnil(L);
    lua_pushinteger(L, fd);
    lua_pushinteger(L, what);
    push_assigned(lm, fd, value);
    if (value && what == MS_POLL_REMOVE)
        forget_assigned(lm, fd);
    if (lb_call(lm, 4))
        return true;
    blame_transfers_of(lm, fd);
    return false;
}

static bool on_timer(struct ms_multi *multi, int64_t timeout_ms, void *user)
{
    struct lb_multi *lm = user;
    lua_State *L = lm->L;

    (void)multi;
    if (!L)
        return true;
    lua_pushcfunction(L, lb_traceback);
    lua_getiuservalue(L, lm->self, LB_MULTI_TIMERFUNCTION);
    lua_pushvalue(L, lm->self);
    lua_pushinteger(L, timeout_ms);
    if (lb_call(lm, 2))
        return true;
    lb_blame_any(lm);
    return false;
}

/* Runs protected: donefunction and easy are at 1 and 2. */
static int tell_failure(lua_State *L)
{
    lua_pushboolean(L, 0);
    lb_push_error(L, 2);
    lua_call(L, 3, 0);
    return 0;
}

/* An end by a callback that was not the easy's own. */
static void claim_cause(struct lb_multi *lm, int easy)
{
    lua_State *L = lm->L;
    struct lb_easy *le = lua_touserdata(L, easy);

    lm->unclaimed = false;
    if (lua_getiuservalue(L, easy, LB_EASY_CAUSE) != LUA_TNIL)
        return;
    le->stale = true;
    lua_getiuservalue(L, lm->self, LB_MULTI_CAUSE);
    lua_setiuservalue(L, easy, LB_EASY_CAUSE);
    lua_getiuservalue(L, lm->self, LB_MULTI_TRACEBACK);
    lua_setiuservalue(L, easy, LB_EASY_TRACEBACK);
}

static void call_donefunction(struct lb_multi *lm, int easy, bool ok)
{
    lua_State *L = lm->L;

    lua_pushcfunction(L, lb_traceback);
    if (!ok)
        lua_pushcfunction(L, tell_failure);
    if (lua_getiuservalue(L, lm->self, LB_MULTI_DONEFUNCTION) == LUA_TNIL)
        return;
    lua_pushvalue(L, easy);
    if (ok)
        lua_pushboolean(L, 1);
    if (!lb_call(lm, 2))
        lb_report(lm);
}

static void on_done(struct ms_multi *multi, struct ms_easy *easy, void *user)
{
    struct lb_multi *lm = user;
    struct lb_easy *le = ms_easy_user(easy);
    lua_State *L = lm->L;
    ms_err err = ms_easy_error(easy)->err;

    (void)multi;
    if (!L)
        return;
    if (lb_is_awaited(le) && !err) {
        lb_fetched(lm, le);
        return;
    }
    lb_push_easy(lm, easy);
    int at = lua_gettop(L);
    if (err == MS_ECALLBACK && lm->blamed)
        claim_cause(lm, at);
    if (lb_is_awaited(le)) {
        lb_fetched(lm, le);
    } else {
        if (!ms_easy_multi(easy)) /* a one-shot */
            lb_unanchor(L, lm->self, easy);
        call_donefunction(lm, at, err == MS_OK);
    }
    lua_settop(L, at - 1);
}

/* ---- options ----------------------------------------------------------- */

enum { FUNCTION, NUMBER, LIMIT /* false: there is none */, SWITCH, PER_HOST };

static const struct {
    const char *name;
    int kind;
    int id; /* user value or enum ms_multi_option */
    int least;
} options[] = {
    {"max_idle", LIMIT, MS_MULTI_MAX_IDLE, 0},
    {"idle_timeout", NUMBER, MS_MULTI_IDLE_TIMEOUT, 1},
    {"max_concurrent_streams", LIMIT, MS_MULTI_MAX_CONCURRENT_STREAMS, 1},
    {"ping_interval", LIMIT, MS_MULTI_PING_INTERVAL, 1},
    {"max_connections", LIMIT, MS_MULTI_MAX_CONNECTIONS, 1},
    {"max_connections_per_host", LIMIT, MS_MULTI_MAX_CONNECTIONS_PER_HOST, 1},
    {"max_age", LIMIT, MS_MULTI_MAX_AGE, 1},
    {"per_host", PER_HOST, 0, 1},
    {"edge_triggered", SWITCH, MS_MULTI_EDGE_TRIGGERED, 0},
    {"errorfunction", FUNCTION, LB_MULTI_ERRORFUNCTION, 0},
    {"donefunction", FUNCTION, LB_MULTI_DONEFUNCTION, 0},
    {"socketfunction", FUNCTION, LB_MULTI_SOCKETFUNCTION, 0},
    {"timerfunction", FUNCTION, LB_MULTI_TIMERFUNCTION, 0},
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

static int unknown_option(lua_State *L, const char *name)
{
    const char *names[OPTIONS];

    for (size_t i = 0; i < OPTIONS; i++)
        names[i] = options[i].name;
    return lb_unknown_option(L, name, names, OPTIONS);
}

/* multi_option_names() */
static int option_names(lua_State *L)
{
    lua_createtable(L, OPTIONS, 0);
    for (size_t i = 0; i < OPTIONS; i++) {
        lua_pushstring(L, options[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static void check_number(lua_State *L, const char *name, int least, bool limit,
                         int index)
{
    int whole = 0;

    if (limit && lb_is_false(L, index))
        return;
    if (lua_type(L, index) != LUA_TNUMBER)
        lb_wrong_type(L, name, limit ? "a number or false" : "a number", index);
    lua_Integer n = lua_tointegerx(L, index, &whole);
    if (!whole || n < least)
        lb_usage(L, "bad_option",
                 "option \"%s\" must be a whole number of at least %d, not %s",
                 name, least, luaL_tolstring(L, index, NULL));
}

/* What option "per_host" consists of. */
static const struct {
    const char *name, *whole;
    enum ms_multi_option id;
} per_host[] = {
    {"concurrency", "per_host.concurrency", MS_MULTI_HOST_CONCURRENCY},
    {"rate", "per_host.rate", MS_MULTI_HOST_RATE},
};
#define PER_HOSTS (sizeof(per_host) / sizeof(per_host[0]))

/* Its field whose name and value are at -2 and -1. */
static void check_per_host_field(lua_State *L)
{
    const char *names[PER_HOSTS];

    if (lua_type(L, -2) != LUA_TSTRING)
        lb_usage(L, "bad_option", "option names are strings, not %s",
                 lb_typename(L, -2));
    for (size_t i = 0; i < PER_HOSTS; i++) {
        names[i] = per_host[i].whole;
        if (strcmp(lua_tostring(L, -2), per_host[i].name) == 0) {
            check_number(L, names[i], 1, true, lua_gettop(L));
            return;
        }
    }
    lb_unknown_option(L, lua_pushfstring(L, "per_host.%s", lua_tostring(L, -2)),
                      names, PER_HOSTS);
}

static void check_per_host(lua_State *L)
{
    int table = lua_gettop(L);

    if (lb_is_false(L, table))
        return;
    if (lua_type(L, table) != LUA_TTABLE)
        lb_wrong_type(L, "per_host", "a table or false", table);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        check_per_host_field(L);
        lua_settop(L, table + 1);
    }
}

static void check_value(lua_State *L, size_t which)
{
    const char *name = options[which].name;

    switch (options[which].kind) {
    case FUNCTION:
        if (!lua_isfunction(L, -1) && !lb_is_false(L, -1))
            lb_wrong_type(L, name, "a function or false", -1);
        break;
    case SWITCH:
        if (!lua_isboolean(L, -1))
            lb_wrong_type(L, name, "a boolean", -1);
        break;
    case PER_HOST:
        check_per_host(L);
        break;
    default:
        check_number(L, name, options[which].least,
                     options[which].kind == LIMIT, lua_gettop(L));
    }
}

/* The option whose name and value are at -2 and -1 exists and may be set. */
static void check_option(lua_State *L)
{
    if (lua_type(L, -2) != LUA_TSTRING)
        lb_usage(L, "bad_option", "option names are strings, not %s",
                 lb_typename(L, -2));
    const char *name = lua_tostring(L, -2);
    size_t i = 0;
    while (i < OPTIONS && strcmp(name, options[i].name) != 0)
        i++;
    if (i == OPTIONS)
        unknown_option(L, name);
    else
        check_value(L, i);
}

static void install(struct lb_multi *lm, int which, bool on)
{
    if (which == LB_MULTI_SOCKETFUNCTION)
        ms_multi_on_socket(lm->m, on ? on_socket : NULL, lm);
    else if (which == LB_MULTI_TIMERFUNCTION)
        ms_multi_on_timer(lm->m, on ? on_timer : NULL, lm);
}

/* Replaces a callback of the multi at 1 by the value at the top: the old one
 * is told that all is over before the new one hears of what is current. */
static void set_function(lua_State *L, struct lb_multi *lm, int which)
{
    int value = lua_gettop(L);
    bool off = lb_is_false(L, value);
    bool had = lua_getiuservalue(L, 1, which) != LUA_TNIL;
    struct lb_entry outer = lb_enter(L, lm, 1);

    if (had)
        install(lm, which, false);
    if (off)
        lua_pushnil(L);
    else
        lua_pushvalue(L, value);
    lua_setiuservalue(L, 1, which);
    if (!off && lm->m)
        install(lm, which, true);
    lb_leave(L, &outer);
}

static void set_number(lua_State *L, struct lb_multi *lm, int which)
{
    lua_Integer value = lua_tointeger(L, -1);

    if (which == MS_MULTI_EDGE_TRIGGERED)
        value = lua_toboolean(L, -1);
    else if (lua_isboolean(L, -1)) /* of a limit: none; of pings, too */
        value = which == MS_MULTI_PING_INTERVAL ? -1 : MS_MOST;
    struct lb_entry outer = lb_enter(L, lm, 1);
    ms_err err = ms_multi_set(lm->m, (enum ms_multi_option)which, value);

    lb_leave(L, &outer);
    if (err)
        lb_raise(L, err, "setopt");
}

/* The table, or false, is at the top. */
static void set_per_host(lua_State *L, struct lb_multi *lm)
{
    int table = lua_gettop(L);

    for (size_t i = 0; i < PER_HOSTS; i++) {
        lua_Integer value = -1;
        if (lua_istable(L, table)) {
            lua_pushstring(L, per_host[i].name);
            if (lua_rawget(L, table) == LUA_TNUMBER)
                value = lua_tointeger(L, -1);
            lua_pop(L, 1);
        }
        struct lb_entry outer = lb_enter(L, lm, 1);
        ms_err err = ms_multi_set(lm->m, per_host[i].id, value);
        lb_leave(L, &outer);
        if (err)
            lb_raise(L, err, "setopt");
    }
}

/* Applies the table at 2 to the multi at 1. Everything is checked before
 * anything is set. */
static void apply(lua_State *L, struct lb_multi *lm)
{
    lb_check_table(L, 2, "options");
    lua_settop(L, 2);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        check_option(L);
        lua_settop(L, 3);
    }
    for (size_t i = 0; i < OPTIONS && lm->m && !lm->closed; i++) {
        lua_pushstring(L, options[i].name);
        lua_rawget(L, 2);
        if (lua_isnil(L, 3))
            ;
        else if (options[i].kind == PER_HOST)
            set_per_host(L, lm);
        else if (options[i].kind != FUNCTION)
            set_number(L, lm, options[i].id);
        else
            set_function(L, lm, options[i].id);
        lua_settop(L, 2);
    }
}

static int multi_setopt(lua_State *L)
{
    apply(L, lb_check(L, 1, LB_MULTI));
    return 0;
}

/* ---- life -------------------------------------------------------------- */

static int new_multi(lua_State *L)
{
    lua_settop(L, 1);
    struct lb_multi *lm = lb_new(L, LB_MULTI, sizeof(*lm), LB_MULTI_UVS);
    ms_err err = ms_multi_new(&lm->m);

    if (err)
        return lb_raise(L, err, "multi");
    ms_multi_set_user(lm->m, lm);
    ms_multi_on_done(lm->m, on_done, lm);
    lua_newtable(L);
    lua_setiuservalue(L, 2, LB_MULTI_EASIES);
    lua_newtable(L);
    lua_setiuservalue(L, 2, LB_MULTI_VALUES);
    lua_pushvalue(L, lua_upvalueindex(LB_GUARDS));
    lua_setiuservalue(L, 2, LB_MULTI_GUARDS);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, lua_upvalueindex(LB_MULTIS), lm);
    lua_insert(L, 1);
    if (!lua_isnil(L, 2))
        apply(L, lm);
    lua_settop(L, 1);
    return 1;
}

static int multi_close(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);

    if (!lm->m)
        return 0;
    lm->closed = true;
    struct lb_entry outer = lb_enter(L, lm, 1);
    ms_multi_close(lm->m);
    lb_leave(L, &outer);
    return 0;
}

static int multi_network_changed(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);

    if (!lm->m)
        return 0;
    struct lb_entry outer = lb_enter(L, lm, 1);
    ms_multi_network_changed(lm->m);
    lb_leave(L, &outer);
    return 0;
}

void lb_multi_free(struct lb_multi *lm)
{
    struct ms_multi *m = lm->m;

    lm->m = NULL;
    lm->L = NULL;
    ms_multi_free(m);
}

static int multi_gc(lua_State *L)
{
    lb_multi_free(lb_check(L, 1, LB_MULTI));
    return 0;
}

/* When the multi is out of reach but its finaliser has not run yet, it is
 * finalised here. */
struct lb_multi *lb_push_multi_of(lua_State *L, const struct lb_easy *le)
{
    struct ms_multi *m = le->e ? ms_easy_multi(le->e) : NULL;

    if (!m)
        return NULL;
    struct lb_multi *lm = ms_multi_user(m);
    if (lua_rawgetp(L, lua_upvalueindex(LB_MULTIS), lm) != LUA_TNIL)
        return lm;
    lua_pop(L, 1);
    lb_multi_free(lm);
    return NULL;
}

/* ---- transfers --------------------------------------------------------- */

static int multi_add_handle(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct lb_easy *le = lb_check_easy(L, 2);

    if (!lm->m)
        return lb_raise(L, MS_ECLOSED, "add_handle");
    if (ms_easy_multi(le->e))
        return lb_raise(L, MS_EADDED, "add_handle");
    lua_settop(L, 2);
    lb_easy_prepare(L, 2);
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, 3, le->e); /* first, for this may raise */
    struct lb_entry outer = lb_enter(L, lm, 1);
    ms_err err = ms_multi_add(lm->m, le->e);
    if (err)
        lb_unanchor(L, 1, le->e);
    lb_leave(L, &outer);
    if (err)
        return lb_raise(L, err, "add_handle");
    lua_pushboolean(L, 1);
    return 1;
}

static int multi_remove_handle(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct lb_easy *le = lb_check(L, 2, LB_EASY);
    struct ms_multi *m = le->e ? ms_easy_multi(le->e) : NULL;

    if (m && m != lm->m)
        return lb_usage(L, "bad_argument",
                        "the easy handle is in another multi handle");
    if (m) {
        lb_unanchor(L, 1, le->e);
        struct lb_entry outer = lb_enter(L, lm, 1);
        ms_err err = ms_multi_remove(m, le->e);
        (void)err; /* it is in this multi */
        lb_leave(L, &outer);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int multi_socket_action(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    int fd = (int)lb_check_int(L, 2, INT_MIN, INT_MAX);
    unsigned mask = 0;
    int running = 0;

    if (!lua_isnoneornil(L, 3))
        mask = (unsigned)lb_check_int(
            L, 3, 0, MS_CSELECT_IN | MS_CSELECT_OUT | MS_CSELECT_ERR);
    if (lm->m) {
        struct lb_entry outer = lb_enter(L, lm, 1);
        running = ms_multi_socket_action(lm->m, fd, mask);
        lb_leave(L, &outer);
    }
    lua_pushinteger(L, running);
    return 1;
}

/* Builds what info_read returns, on top of the multi at 1. */
static bool push_message(lua_State *L, struct lb_multi *lm,
                         struct ms_message *message)
{
    lua_settop(L, 1);
    if (!lm->m || !ms_multi_info_peek(lm->m, message))
        return false;
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_rawgetp(L, 2, message->easy);
    lua_replace(L, 2);
    lua_pushboolean(L, message->err == MS_OK);
    if (message->err)
        lb_push_error(L, 2);
    else
        lua_pushnil(L);
    lua_pushinteger(L, message->left);
    return true;
}

/* A message leaves the queue after its values were made, or running out of
 * memory would lose it. Making them may collect garbage, and finalisers of
 * the program's may change the queue: then it is looked at again. */
static int multi_info_read(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct ms_message message, now;

    do {
        if (!push_message(L, lm, &message)) {
            lua_pushnil(L);
            return 1;
        }
    } while (!lm->m || !ms_multi_info_peek(lm->m, &now) ||
             now.easy != message.easy);
    (void)ms_multi_info_read(lm->m, &now);
    return 4;
}

static int multi_assign(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    int fd = (int)lb_check_int(L, 2, INT_MIN, INT_MAX);

    lua_settop(L, 3);
    void *mark = lua_isnil(L, 3) ? NULL : lm;
    if (!lm->m || ms_multi_assign(lm->m, fd, mark)) {
        lua_pushnil(L);
        lua_pushfstring(L, "descriptor %d is not watched", fd);
        lb_push_err(L, ms_err_category(MS_EUSAGE), ms_err_code(MS_EUSAGE));
        return 2;
    }
    lua_getiuservalue(L, 1, LB_MULTI_VALUES);
    lua_pushvalue(L, 3);
    lua_rawseti(L, 4, fd);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- state -------------------------------------------------------------- */

static int multi_running(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);

    lua_pushinteger(L, lm->m ? ms_multi_running(lm->m) : 0);
    return 1;
}

static int multi_forked(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);

    lua_pushboolean(L, lm->m && ms_multi_forked(lm->m));
    return 1;
}

static int multi_timeout(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    int64_t ms = lm->m ? ms_multi_timeout(lm->m) : -1;

    if (ms < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, ms);
    return 1;
}

void lb_open_multi(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", multi_gc}, {"__close", multi_close}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"add_handle", multi_add_handle},
        {"remove_handle", multi_remove_handle},
        {"socket_action", multi_socket_action},
        {"info_read", multi_info_read},
        {"assign", multi_assign},
        {"setopt", multi_setopt},
        {"timeout", multi_timeout},
        {"network_changed", multi_network_changed},
        {"answer", lb_multi_answer},
        {"running", multi_running},
        {"forked", multi_forked},
        {"handles", lb_multi_handles},
        {"sockets", lb_multi_sockets},
        {"stats", lb_multi_stats},
        {"check", lb_multi_check},
        {"dump", lb_multi_dump},
        {"perform", lb_multi_perform},
        {"poll", lb_multi_poll},
        {"waitfds", lb_multi_waitfds},
        {"wakeup", lb_multi_wakeup},
        {"waker", lb_multi_waker},
        {"close", multi_close},
        {NULL, NULL}};
    static const luaL_Reg functions[] = {{"multi", new_multi},
                                         {"multi_option_names", option_names},
                                         {NULL, NULL}};

    lb_set_type(L, LB_MULTI, meta, methods);
    lb_setfuncs(L, functions);
}
