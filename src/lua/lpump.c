/* SPDX-License-Identifier: MIT
 *
 * lpump.c - running luv's loop for a main thread that waits.
 *
 * One request at a time means one turn of the loop for each, so what a turn
 * costs is what a request costs. The pump turns in C, and as long as nothing
 * is ready but an epoll set of ours it does not go through luv: it waits on
 * the loop's descriptor, as it does anyway so that signals end the waiting,
 * and calls the one that luv would have called.
 *
 * luv's functions are handed over as values: the event loop is the
 * application's, and libuv is not linked.
 */
#include <limits.h>

#include "lua/binding.h"

/* Check and prepare handles of the application hear only of turns that go
 * through luv. So many at most pass them by in a row. */
#define DIRECT_TURNS 16
/* And after one of those nobody waits longer for the next, in ms: what the
 * application left to such a handle is done then. Answers of a server nearby
 * come well before. */
#define BRIEF_MS 10
/* When they do not, so many turns go through luv before it is tried again:
 * waking up twice costs more than it could save. */
#define PATIENT_TURNS 64

struct lb_pump {
    struct lb_object object;
    bool stopped; /* what is waited for may be there */
    bool exiting; /* the Lua state closes */
    int patient;  /* turns that go through luv */
    int entered;  /* sets whose events are being handled */
    int known;    /* descriptor + 1 of the one at SET, 0 for none */
};

/* The user value of a pump: descriptor -> the set behind it. */
enum { PUMP_SETS = 1, PUMP_UVS = PUMP_SETS };

/* Upvalue of ready(), after the shared ones. */
enum { READY_SET = LB_UPVALUES + 1 };

/* Upvalues of on_ready(), which has no others. */
enum {
    ON_READY = 1, /* ready() */
    ON_SET,
    ON_WRONG, /* what to raise on another thread than the main one */
    ON_UPVALUES = ON_WRONG
};

/* Arguments of pump:turns(), and the set that was ready last. */
enum { PUMP = 1, BACKEND_FD, BACKEND_TIMEOUT, UPDATE_TIME, RUN, SET, MULTI };

static struct lb_pump *check_pump(lua_State *L)
{
    return lb_check(L, 1, LB_PUMP);
}

static int new_pump(lua_State *L)
{
    lb_new(L, LB_PUMP, sizeof(struct lb_pump), PUMP_UVS);
    lua_newtable(L);
    lua_setiuservalue(L, -2, PUMP_SETS);
    return 1;
}

/* ---- sets that are ready ------------------------------------------------ */

/* The driver of the set at `set` has something to do. Unless `ok`, an error is
 * at the top. */
static void tell_after(lua_State *L, int set, bool ok)
{
    int nargs = ok ? 2 : 3;

    lua_pushboolean(L, ok);
    if (!ok)
        lua_insert(L, -2);
    lua_getiuservalue(L, set, LB_SET_AFTER);
    lua_getiuservalue(L, set, LB_SET_DRIVER);
    lua_rotate(L, -nargs - 1, 2);
    lua_call(L, nargs, 0);
}

/* Handles what is ready in the set at `set`, its multi being at `multi`. */
static void handle(lua_State *L, struct lb_set *s, int set, int multi)
{
    struct lb_pump *p = s->pump;
    struct lb_multi *lm = s->lm;

    if (!p || p->exiting)
        return;
    p->entered++;
    struct lb_entry outer = lb_enter(L, lm, multi);
    lb_set_dispatch(s, lm);
    bool ok = lb_leave_quietly(L, &outer);
    p->entered--;
    bool running = lm->m && ms_multi_running(lm->m) > 0;
    if (ok && !s->noted && running == s->held)
        return;
    s->noted = false;
    tell_after(L, set, ok);
}

/* ready() */
static int ready(lua_State *L)
{
    struct lb_set *s = lua_touserdata(L, lua_upvalueindex(READY_SET));

    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(READY_SET));
    lua_getiuservalue(L, 1, LB_SET_MULTI);
    handle(L, s, 1, 2);
    return 0;
}

/* For luv to call, which ends the program by an error. Ctrl-C raises one where
 * a function of C's is called or returns: from ready(), as a rule. */
static int on_ready(lua_State *L)
{
    if (!lua_pushthread(L)) {
        lua_pushvalue(L, lua_upvalueindex(ON_WRONG));
        return lua_error(L);
    }
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(ON_READY));
    if (lua_pcall(L, 0, 0, 0) == LUA_OK)
        return 0;
    lua_pushvalue(L, lua_upvalueindex(ON_SET));
    lua_insert(L, 1);
    tell_after(L, 1, false);
    return 0;
}

static void set_anchors(lua_State *L, int set)
{
    for (int uv = LB_SET_MULTI; uv <= LB_SET_AFTER; uv++) {
        lua_pushvalue(L, set + uv);
        lua_setiuservalue(L, set, uv);
    }
}

/* pump:ready(set, multi, driver, after, wrong) -> function: what luv calls when
 * the set is ready. after(driver, ok, err) hears of an interrupt, of what was
 * noted, and when whether transfers run is not what the set was told. */
static int pump_ready(lua_State *L)
{
    struct lb_pump *p = check_pump(L);
    struct lb_set *s = lb_check(L, 2, LB_EPOLL);
    struct lb_multi *lm = lb_check(L, 3, LB_MULTI);

    lb_check_function(L, 5);
    if (!s->fd)
        return lb_usage(L, "bad_argument", "the epoll set is closed");
    lua_settop(L, 6);
    s->pump = p;
    s->lm = lm;
    p->known = 0;
    set_anchors(L, 2);
    lua_getiuservalue(L, 1, PUMP_SETS);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, s->fd - 1);
    for (int i = 1; i <= LB_UPVALUES; i++)
        lua_pushvalue(L, lua_upvalueindex(i));
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, ready, READY_SET);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 6);
    lua_pushcclosure(L, on_ready, ON_UPVALUES);
    return 1;
}

/* pump:forget(set): before it is closed, and for good. */
static int pump_forget(lua_State *L)
{
    struct lb_pump *p = check_pump(L);
    struct lb_set *s = lb_check(L, 2, LB_EPOLL);

    if (!s->fd || s->pump != p)
        return 0;
    s->pump = NULL;
    p->known = 0;
    lua_getiuservalue(L, 1, PUMP_SETS);
    lua_pushnil(L);
    lua_rawseti(L, -2, s->fd - 1);
    return 0;
}

/* ---- turning ------------------------------------------------------------ */

static int backend_timeout(lua_State *L)
{
    lua_pushvalue(L, BACKEND_TIMEOUT);
    lua_call(L, 0, 1);
    lua_Integer ms = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Has the set behind `fd` at SET, and its multi at MULTI. False: it is the
 * application's. */
static bool find_set(lua_State *L, struct lb_pump *p, int fd)
{
    if (p->known == fd + 1)
        return true;
    lua_getiuservalue(L, PUMP, PUMP_SETS);
    bool ours = lua_rawgeti(L, -1, fd) != LUA_TNIL;
    if (ours) {
        lua_getiuservalue(L, -1, LB_SET_MULTI);
        lua_replace(L, MULTI);
        lua_replace(L, SET);
        p->known = fd + 1;
    }
    lua_settop(L, MULTI);
    return ours;
}

/* Waits until something happens. True: nothing but a set of ours had to be
 * looked at, and that is done. */
static bool turn_directly(lua_State *L, struct lb_pump *p, int loop_fd,
                          bool again)
{
    int timeout = backend_timeout(L), fd;

    /* The loop has something to do or to register first. */
    if (timeout == 0)
        return false;
    bool brief = again && (timeout < 0 || timeout > BRIEF_MS);
    int n = lb_wait_some(L, loop_fd, brief ? BRIEF_MS : timeout, &fd);
    if (n == 0 && brief)
        p->patient = PATIENT_TURNS;
    if (p->patient) {
        p->patient--;
        return false;
    }
    if (n != 1 || !find_set(L, p, fd))
        return false;
    lua_pushvalue(L, UPDATE_TIME);
    lua_call(L, 0, 0);
    handle(L, lua_touserdata(L, SET), SET, MULTI);
    lua_settop(L, MULTI);
    return true;
}

/* pump:turns(backend_fd, backend_timeout, update_time, run) -> alive: turns
 * until somebody says stop, and now and then comes back without. False when
 * nothing is left in the loop that could ever happen. */
static int pump_turns(lua_State *L)
{
    struct lb_pump *p = check_pump(L);
    int fd = (int)lb_check_int(L, BACKEND_FD, 0, INT_MAX);

    for (int i = BACKEND_TIMEOUT; i <= RUN; i++)
        lb_check_function(L, i);
    lua_settop(L, MULTI);
    luaL_checkstack(L, LUA_MINSTACK, NULL); /* callbacks rely on that much */
    p->stopped = false;
    p->known = 0;
    for (int i = 0; i < DIRECT_TURNS && turn_directly(L, p, fd, i > 0); i++) {
        if (p->stopped) {
            lua_pushboolean(L, 1);
            return 1;
        }
    }
    lua_pushvalue(L, RUN);
    lua_pushliteral(L, "nowait");
    lua_call(L, 1, 1);
    return 1;
}

static int pump_stop(lua_State *L)
{
    check_pump(L)->stopped = true;
    return 0;
}

static int pump_exit(lua_State *L)
{
    check_pump(L)->exiting = true;
    return 0;
}

static int pump_inside(lua_State *L)
{
    lua_pushboolean(L, check_pump(L)->entered > 0);
    return 1;
}

void lb_open_pump(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"ready", pump_ready}, {"forget", pump_forget}, {"turns", pump_turns},
        {"stop", pump_stop},   {"exit", pump_exit},     {"inside", pump_inside},
        {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {{"pump", new_pump}, {NULL, NULL}};

    lb_set_type(L, LB_PUMP, none, methods);
    lb_setfuncs(L, functions);
}
