/* SPDX-License-Identifier: MIT
 *
 * linspect.c - looking inside a multi handle: what it holds, watches and has
 * done.
 *
 * Lists are copied out of the engine before Lua values are made of them,
 * because making those may raise.
 */
#include "lua/binding.h"

/* `used` counts all there is, `items` takes what fits. */
struct list {
    size_t used, cap;
    void **items;
};

static void add_item(struct list *l, void *item)
{
    if (l->used++ < l->cap)
        l->items[l->used - 1] = item;
}

static void add_easy(struct ms_easy *easy, void *user)
{
    add_item(user, easy);
}

/* Room for what a first walk counted; the second may find less, or more. */
static void make_room(lua_State *L, struct list *l)
{
    l->items = lua_newuserdatauv(L, (l->used + 1) * sizeof(*l->items), 0);
    l->cap = l->used;
    l->used = 0;
}

static size_t taken(const struct list *l)
{
    return l->used < l->cap ? l->used : l->cap;
}

/* Appends to the list at `to`; an easy that is gone by now is left out. */
static void append_easy(lua_State *L, int easies, int to, const void *easy)
{
    if (lua_rawgetp(L, easies, easy) == LUA_TNIL)
        lua_pop(L, 1);
    else
        lua_rawseti(L, to, (lua_Integer)lua_rawlen(L, to) + 1);
}

int lb_multi_handles(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct list easies = {0};

    lua_settop(L, 1);
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_newtable(L);
    if (lm->m)
        ms_multi_handles(lm->m, add_easy, &easies);
    make_room(L, &easies);
    if (lm->m)
        ms_multi_handles(lm->m, add_easy, &easies);
    for (size_t i = 0; i < taken(&easies); i++)
        append_easy(L, 2, 3, easies.items[i]);
    lua_settop(L, 3);
    return 1;
}

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* A socket and how many of the easies are its. */
struct socket {
    struct ms_socket_info info;
    size_t easies;
};

struct sockets {
    size_t used, cap;
    struct socket *all;
    struct list easies;
};

static void add_socket(const struct ms_socket_info *info,
                       struct ms_easy *const *easies, size_t count, void *user)
{
    struct sockets *s = user;

    for (size_t i = 0; i < count; i++)
        add_item(&s->easies, easies[i]);
    if (s->used++ < s->cap)
        s->all[s->used - 1] = (struct socket){*info, count};
}

/* Pushes one entry; its easies begin at `at` of the list. The table of added
 * easies is at 2. */
static void push_socket(lua_State *L, const struct socket *s,
                        const struct list *easies, size_t at)
{
    lua_createtable(L, 0, 6);
    set_integer(L, "fd", s->info.fd);
    set_integer(L, "action", s->info.action);
    set_integer(L, "readers", s->info.readers);
    set_integer(L, "writers", s->info.writers);
    lua_pushstring(L, s->info.owner);
    lua_setfield(L, -2, "owner");
    lua_newtable(L);
    int to = lua_gettop(L);
    for (size_t i = at; i < at + s->easies && i < taken(easies); i++)
        append_easy(L, 2, to, easies->items[i]);
    lua_setfield(L, -2, "easies");
}

int lb_multi_sockets(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct sockets s = {0};
    size_t easy = 0;

    lua_settop(L, 1);
    lua_getiuservalue(L, 1, LB_MULTI_EASIES);
    lua_newtable(L);
    if (lm->m)
        ms_multi_sockets(lm->m, add_socket, &s);
    s.all = lua_newuserdatauv(L, (s.used + 1) * sizeof(*s.all), 0);
    s.cap = s.used;
    s.used = 0;
    make_room(L, &s.easies);
    if (lm->m)
        ms_multi_sockets(lm->m, add_socket, &s);
    for (size_t i = 0; i < s.used && i < s.cap; i++) {
        push_socket(L, &s.all[i], &s.easies, easy);
        lua_rawseti(L, 3, (lua_Integer)i + 1);
        easy += s.all[i].easies;
    }
    lua_settop(L, 3);
    return 1;
}

int lb_multi_stats(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct ms_stats s = {0};

    if (lm->m)
        ms_multi_stats(lm->m, &s);
    lua_createtable(L, 0, 19);
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
    STAT(waiting);
    STAT(connections);
    STAT(idle);
    STAT(connecting);
    STAT(closing);
#undef STAT
    return 1;
}

/* Text that grows to what there is room for. */
struct text {
    size_t used, cap;
    char *p;
};

static void add_text(struct text *t, char c)
{
    if (t->used++ < t->cap)
        t->p[t->used - 1] = c;
}

static void add_line(const char *line, size_t n, unsigned depth, void *user)
{
    for (unsigned i = 0; i < 2 * depth; i++)
        add_text(user, ' ');
    for (size_t i = 0; i < n; i++)
        add_text(user, line[i]);
    add_text(user, '\n');
}

int lb_multi_dump(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct text t = {0};

    if (lm->m)
        ms_multi_dump(lm->m, add_line, &t);
    t.p = lua_newuserdatauv(L, t.used + 1, 0);
    t.cap = t.used;
    t.used = 0;
    if (lm->m)
        ms_multi_dump(lm->m, add_line, &t);
    lua_pushlstring(L, t.p, t.used < t.cap ? t.used : t.cap);
    return 1;
}

/* For tests: nil, or the invariant that does not hold. */
int lb_multi_check(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);

    if (lm->L)
        return lb_usage(L, "wrong_context", "check() works outside callbacks");
    lua_pushstring(L, lm->m ? ms_multi_check(lm->m) : NULL);
    return 1;
}
