/* SPDX-License-Identifier: MIT
 *
 * lepoll.c - an epoll set for drivers: many sockets behind one descriptor.
 *
 * A driver that hands its event loop one descriptor instead of thousands
 * watches the engine's sockets in here.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lua/binding.h"

#define EPOLL_TYPE "multisocket.epoll"
/* Events fetched by one call; the rest is ready at the next. */
#define MAX_EVENTS 256

static int *check_set(lua_State *L)
{
    int *fd = luaL_checkudata(L, 1, EPOLL_TYPE);

    if (*fd < 0)
        lb_usage(L, "closed", "the epoll set is closed");
    return fd;
}

static int new_set(lua_State *L)
{
    int *fd = lua_newuserdatauv(L, sizeof(*fd), 0);

    *fd = -1;
    luaL_setmetatable(L, EPOLL_TYPE);
    *fd = epoll_create1(EPOLL_CLOEXEC);
    if (*fd < 0)
        return luaL_error(L, "epoll: %s", strerror(errno));
    return 1;
}

static int set_fd(lua_State *L)
{
    lua_pushinteger(L, *check_set(L));
    return 1;
}

static int set_watch(lua_State *L)
{
    int set = *check_set(L), fd = (int)luaL_checkinteger(L, 2);
    lua_Integer what = luaL_checkinteger(L, 3);
    struct epoll_event ev = {.data.fd = fd};

    if (what == MS_POLL_REMOVE) {
        epoll_ctl(set, EPOLL_CTL_DEL, fd, &ev);
        return 0;
    }
    if (what & MS_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & MS_POLL_OUT)
        ev.events |= EPOLLOUT;
    /* A socket only wanted for writing is new as a rule, others are known. */
    int op = what == MS_POLL_OUT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int other = op == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(set, op, fd, &ev) == 0)
        return 0;
    if ((errno != ENOENT && errno != EEXIST) ||
        epoll_ctl(set, other, fd, &ev) < 0)
        return luaL_error(L, "epoll: descriptor %d: %s", fd, strerror(errno));
    return 0;
}

static unsigned mask_of(uint32_t events)
{
    unsigned mask = 0;

    if (events & EPOLLIN)
        mask |= MS_CSELECT_IN;
    if (events & EPOLLOUT)
        mask |= MS_CSELECT_OUT;
    if (events & (EPOLLERR | EPOLLHUP))
        mask |= MS_CSELECT_ERR;
    return mask;
}

static int set_dispatch(lua_State *L)
{
    struct epoll_event events[MAX_EVENTS];
    int set = *check_set(L);
    struct lb_multi *lm = lb_check_multi(L, 2);
    int n = epoll_wait(set, events, MAX_EVENTS, 0);

    if (lm->m && n > 0) {
        struct lb_entry entry = lb_enter(L, lm, 2);
        for (int i = 0; i < n; i++)
            ms_multi_socket_action(lm->m, events[i].data.fd,
                                   mask_of(events[i].events));
        lb_leave(L, &entry);
    }
    lua_pushinteger(L, n > 0 ? n : 0);
    return 1;
}

static int set_close(lua_State *L)
{
    int *fd = luaL_checkudata(L, 1, EPOLL_TYPE);

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return 0;
}

void lb_open_epoll(lua_State *L, int first)
{
    static const luaL_Reg methods[] = {
        {"fd", set_fd},       {"watch", set_watch}, {"dispatch", set_dispatch},
        {"close", set_close}, {"__gc", set_close},  {"__close", set_close},
        {NULL, NULL}};

    luaL_newmetatable(L, EPOLL_TYPE);
    lb_setfuncs(L, first, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_set);
    lua_setfield(L, -2, "epoll");
}
