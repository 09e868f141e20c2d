/* SPDX-License-Identifier: MIT
 *
 * lepoll.c - what drivers may use of epoll: a set that puts many sockets
 * behind one descriptor, and waiting that a signal ends.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lua/binding.h"

/* Events fetched by one call; the rest is ready at the next. */
#define MAX_EVENTS 256

static struct lb_set *check_set(lua_State *L)
{
    return lb_check(L, 1, LB_EPOLL);
}

/* The operating system refuses what every program may expect of it. */
static int raise_errno(lua_State *L, const char *what, int os_errno)
{
    bool full = os_errno == EMFILE || os_errno == ENFILE;
    ms_err err = full                                       ? MS_EFILES
                 : os_errno == ENOMEM || os_errno == ENOSPC ? MS_ENOMEM
                                                            : MS_EINTERNAL;

    lua_pushfstring(L, "%s: %s", what, strerror(os_errno));
    lb_push_err(L, ms_err_category(err), ms_err_code(err));
    lua_pushinteger(L, os_errno);
    lua_setfield(L, -2, "errno");
    return lua_error(L);
}

/* epoll([edge]): with `edge`, for a multi that is set to edge_triggered. */
static int new_set(lua_State *L)
{
    bool edge = lua_toboolean(L, 1);
    struct lb_set *s = lb_new(L, LB_EPOLL, sizeof(*s), LB_SET_UVS);
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return raise_errno(L, "epoll", errno);
    s->fd = fd + 1;
    s->edge = edge;
    return 1;
}

static int set_fd(lua_State *L)
{
    const struct lb_set *s = check_set(L);

    if (!s->fd)
        return 0;
    lua_pushinteger(L, s->fd - 1);
    return 1;
}

static uint32_t events_of(const struct lb_set *s, lua_Integer what)
{
    return (s->edge ? (uint32_t)EPOLLET : 0u) |
           (what & MS_POLL_IN ? EPOLLIN : 0u) |
           (what & MS_POLL_OUT ? EPOLLOUT : 0u);
}

/* The set itself knows what it watches: one of the two ways works. A socket
 * wanted only for writing is being connected, and new as a rule. */
static int watch(const struct lb_set *s, int fd, lua_Integer what)
{
    struct epoll_event ev = {.events = events_of(s, what), .data.fd = fd};
    int set = s->fd - 1;
    bool is_new = what == MS_POLL_OUT;
    int first = is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int second = is_new ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(set, first, fd, &ev) == 0)
        return 0;
    if (errno != EEXIST && errno != ENOENT)
        return -1;
    return epoll_ctl(set, second, fd, &ev);
}

static int set_watch(lua_State *L)
{
    const struct lb_set *s = check_set(L);
    int fd = (int)lb_check_int(L, 2, 0, INT_MAX);
    lua_Integer what = lb_check_int(L, 3, MS_POLL_IN, MS_POLL_REMOVE);

    if (!s->fd)
        return 0;
    if (what == MS_POLL_REMOVE)
        epoll_ctl(s->fd - 1, EPOLL_CTL_DEL, fd, NULL);
    else if (watch(s, fd, what))
        return raise_errno(L, "epoll", errno);
    return 0;
}

static unsigned mask_of(uint32_t events)
{
    return (events & EPOLLIN ? MS_CSELECT_IN : 0u) |
           (events & EPOLLOUT ? MS_CSELECT_OUT : 0u) |
           (events & (EPOLLERR | EPOLLHUP) ? MS_CSELECT_ERR : 0u);
}

int lb_set_dispatch(const struct lb_set *s, struct lb_multi *lm)
{
    struct epoll_event ready[MAX_EVENTS];
    struct ms_event events[MAX_EVENTS];
    int n = s->fd ? epoll_wait(s->fd - 1, ready, MAX_EVENTS, 0) : 0;

    for (int i = 0; i < n; i++)
        events[i] =
            (struct ms_event){ready[i].data.fd, mask_of(ready[i].events)};
    if (n > 0 && lm->m)
        ms_multi_socket_actions(lm->m, events, (size_t)n);
    return n > 0 ? n : 0;
}

static int set_dispatch(lua_State *L)
{
    const struct lb_set *s = check_set(L);
    struct lb_multi *lm = lb_check(L, 2, LB_MULTI);
    struct lb_entry outer = lb_enter(L, lm, 2);
    int n = lb_set_dispatch(s, lm);

    lb_leave(L, &outer);
    lua_pushinteger(L, n);
    return 1;
}

/* set:hold(running): what its driver knows. */
static int set_hold(lua_State *L)
{
    check_set(L)->held = lua_toboolean(L, 2);
    return 0;
}

/* set:note(): its driver wants to hear of the next event. */
static int set_note(lua_State *L)
{
    check_set(L)->noted = true;
    return 0;
}

static int set_close(lua_State *L)
{
    struct lb_set *s = check_set(L);

    if (s->fd)
        close(s->fd - 1);
    s->fd = 0;
    return 0;
}

int lb_wait_some(lua_State *L, int epoll_fd, int ms, int *fd)
{
    struct epoll_event ready[2];
    int n = epoll_wait(epoll_fd, ready, 2, ms);

    if (n < 0 && errno != EINTR)
        return raise_errno(L, "epoll", errno);
    if (n > 0)
        *fd = ready[0].data.fd;
    return n;
}

/* wait(fd, ms): until an epoll descriptor has something to tell, ms have
 * passed (-1: no limit), or a signal came; true only for the first. Takes
 * nothing away from whoever polls the descriptor next. */
static int wait_for(lua_State *L)
{
    int fd = (int)lb_check_int(L, 1, 0, INT_MAX), ready;
    int timeout = (int)lb_check_int(L, 2, -1, INT_MAX);
    int n = lb_wait_some(L, fd, timeout, &ready);

    lua_pushboolean(L, n > 0);
    return 1;
}

static int call_bound(lua_State *L)
{
    for (int i = 1; i <= 3; i++) {
        lua_pushvalue(L, lua_upvalueindex(i));
        lua_insert(L, i);
    }
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

/* bind(fn, a, b): a function that calls fn(a, b, ...). One object, where a
 * closure of Lua's is one and another for each variable. */
static int bind_two(lua_State *L)
{
    lb_check_function(L, 1);
    lua_settop(L, 3);
    lua_pushcclosure(L, call_bound, 3);
    return 1;
}

void lb_open_epoll(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", set_close}, {"__close", set_close}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"fd", set_fd},     {"watch", set_watch}, {"dispatch", set_dispatch},
        {"hold", set_hold}, {"note", set_note},   {"close", set_close},
        {NULL, NULL}};
    static const luaL_Reg functions[] = {{"epoll", new_set},
                                         {"wait", wait_for},
                                         {"bind", bind_two},
                                         {NULL, NULL}};

    lb_set_type(L, LB_EPOLL, meta, methods);
    lb_setfuncs(L, functions);
}
