/* SPDX-License-Identifier: MIT
 *
 * ldrive.c - driving a multi handle without an event library: perform, poll,
 * waitfds, wakers.
 *
 * Lists of descriptors are tables { fd =, events = }; poll writes `revents`
 * into those it was given.
 */
#include <limits.h>

#include "lua/binding.h"

int lb_multi_perform(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    int running = 0;

    if (lm->m) {
        struct lb_entry outer = lb_enter(L, lm, 1);
        ms_err err = ms_multi_perform(lm->m, &running);
        lb_leave(L, &outer);
        if (err)
            return lb_raise(L, err, "perform");
    }
    lua_pushinteger(L, running);
    return 1;
}

static lua_Integer field(lua_State *L, const char *name, lua_Integer least,
                         lua_Integer most)
{
    int whole;

    lua_getfield(L, -1, name);
    lua_Integer n = lua_tointegerx(L, -1, &whole);
    if (lua_type(L, -1) != LUA_TNUMBER || !whole || n < least || n > most)
        lb_usage(L, "bad_argument",
                 "%s must be a whole number from %I to %I, not %s", name,
                 (LUAI_UACINT)least, (LUAI_UACINT)most,
                 luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    return n;
}

/* The list at `index`, in memory that is pushed. */
static struct ms_waitfd *read_list(lua_State *L, int index, size_t *n)
{
    *n = 0;
    if (lua_isnoneornil(L, index))
        return NULL;
    lb_check_table(L, index, "extra_fds");
    *n = lua_rawlen(L, index);
    struct ms_waitfd *list = lua_newuserdatauv(L, (*n + 1) * sizeof(*list), 0);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        lb_check_table(L, -1, "an extra fd");
        list[i].fd = (int)field(L, "fd", 0, INT_MAX);
        list[i].events = (unsigned)field(L, "events", 0, MS_POLL_INOUT);
        lua_pop(L, 1);
    }
    return list;
}

static void write_list(lua_State *L, int index, const struct ms_waitfd *list,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        lua_pushinteger(L, list[i].revents);
        lua_setfield(L, -2, "revents");
        lua_pop(L, 1);
    }
}

int lb_multi_poll(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    lua_Integer timeout = lb_check_int(L, 2, -1, INT_MAX);
    size_t n, ready = 0;

    lua_settop(L, 3);
    struct ms_waitfd *extra = read_list(L, 3, &n);
    if (lm->m) {
        ms_err err = ms_multi_poll(lm->m, extra, n, timeout, &ready);
        if (err)
            return lb_raise(L, err, "poll");
        write_list(L, 3, extra, n);
    }
    lua_pushinteger(L, (lua_Integer)ready);
    return 1;
}

/* Nothing of ours runs between the two walks but the collector, whose
 * finalisers may change what is watched: the smaller number counts. */
int lb_multi_waitfds(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    size_t cap = 0, count = 0;
    ms_err err = lm->m ? ms_multi_waitfds(lm->m, NULL, 0, &cap) : MS_OK;

    if (err)
        return lb_raise(L, err, "waitfds");
    struct ms_waitfd *list = lua_newuserdatauv(L, (cap + 1) * sizeof(*list), 0);
    if (lm->m && ms_multi_waitfds(lm->m, list, cap, &count))
        count = 0;
    lua_createtable(L, (int)(count < cap ? count : cap), 0);
    for (size_t i = 0; i < count && i < cap; i++) {
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, list[i].fd);
        lua_setfield(L, -2, "fd");
        lua_pushinteger(L, list[i].events);
        lua_setfield(L, -2, "events");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

int lb_multi_wakeup(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);

    if (lm->m)
        ms_multi_wakeup(lm->m);
    return 0;
}

int lb_multi_waker(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    int64_t waker = lm->m && !lm->closed ? ms_multi_waker(lm->m) : 0;

    if (!waker)
        return lb_raise(L, lm->m && !lm->closed ? MS_EFILES : MS_ECLOSED,
                        "waker");
    lua_pushinteger(L, waker);
    return 1;
}

/* wake(integer) -> boolean: whether it still stands for a multi. */
static int wake(lua_State *L)
{
    lua_Integer waker = lb_check_int(L, 1, LUA_MININTEGER, LUA_MAXINTEGER);

    lua_pushboolean(L, ms_wake(waker));
    return 1;
}

void lb_open_drive(lua_State *L)
{
    static const luaL_Reg functions[] = {{"wake", wake}, {NULL, NULL}};

    lb_setfuncs(L, functions);
}
