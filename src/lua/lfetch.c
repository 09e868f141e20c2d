/* SPDX-License-Identifier: MIT
 *
 * lfetch.c - a fetch in a coroutine: it starts, suspends and is resumed here,
 * because the same in Lua takes several times the instructions.
 *
 * Whoever resumes coroutines holds the *turn*; there is one for all clients.
 * What finishes while somebody holds it goes to the run queue, which is Lua's
 * (lua/multisocket/task.lua) and is run when the holder is done: resumes
 * never nest.
 *
 * A *fetcher* is the easies of a multi's waiting coroutines. They are used
 * again and again and stay with the fetcher until a coroutine is closed while
 * it waits; that one's easy is closed with it.
 */
#include "lua/binding.h"

struct lb_turn {
    struct lb_object object;
    bool taken;   /* somebody resumes */
    bool queued;  /* the run queue is not empty */
    bool watched; /* every resume is to be told, not only those that fail */
    lua_State *resumed; /* by resume(), which looks at nothing it yields */
};

/* User values of a turn. */
enum {
    TURN_TOKEN = 1, /* what a waiting coroutine yields, and its easy */
    TURN_RESUMED,   /* function(co, ok, err), after a resume */
    TURN_WAKE,      /* function(easy): to the run queue */
    TURN_DRAIN,     /* function(): runs the queue, and gives the turn back */
    TURN_UVS = TURN_DRAIN
};

struct lb_fetcher {
    struct lb_object object;
    struct lb_multi *lm;
    struct lb_turn *turn;
    const struct lb_options *plain; /* FETCH_OPTIONS of its fetch() */
    struct lb_easy *free;           /* linked by next */
    struct lb_easy *warm; /* free, too, but their coroutine is not forgotten
                           * yet: most fetch again at once */
    lua_Integer slots;
};

/* User values of a fetcher. */
enum {
    FETCHER_TURN = 1,
    FETCHER_EASIES,  /* slot -> easy */
    FETCHER_WAITERS, /* slot -> the coroutine that waits for that easy, or the
                      * operation in its place */
    FETCHER_CLOSED,  /* function(): a transfer went without an end */
    FETCHER_UVS = FETCHER_CLOSED
};

/* Upvalues of a fetch function, after the shared ones. */
enum {
    FETCH_FETCHER = LB_UPVALUES + 1,
    FETCH_MULTI,
    FETCH_EASIES,
    FETCH_WAITERS,
    FETCH_TOKEN,
    FETCH_OPTIONS, /* of calls without any; fetch_with has no more than the
                    * ones above */
    FETCH_SLOW,    /* the same in Lua, for what is not plain */
    FETCH_CLIENT,  /* whose these are; another one's calls are not plain */
    FETCH_NAMES    /* of options that are simple (lcall.c) */
};

/* ---- resuming ---------------------------------------------------------- */

/* Calls hook `which` of the turn with `nargs` values; what it raises (an
 * interrupt, no memory) is nobody's. */
static void call_hook(struct lb_multi *lm, int which, int nargs)
{
    lua_State *L = lm->L;
    int handler = lua_gettop(L) - nargs + 1;

    lua_pushcfunction(L, lb_traceback);
    lua_getiuservalue(L, lm->self, LB_MULTI_TURN);
    lua_getiuservalue(L, -1, which);
    lua_replace(L, -2);
    lua_rotate(L, handler, 2);
    if (!lb_call(lm, nargs))
        lb_report(lm);
}

/* Resumes the coroutine that waits for an easy. While it runs the stack keeps
 * it: the easy may be another's meanwhile, or closed. */
static void resume(struct lb_multi *lm, struct lb_easy *le)
{
    struct lb_turn *turn = le->home->turn;
    lua_State *L = lm->L, *co = le->waiter;
    int n = 0;

    le->waiter = NULL;
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    turn->resumed = co;
    int status = lua_resume(co, L, 0, &n);
    turn->resumed = NULL;
    bool ok = status == LUA_OK || status == LUA_YIELD;
    if (ok && n)
        lua_pop(co, n);
    if (ok && !turn->watched) {
        lua_pop(L, 1);
        return;
    }
    lua_pushboolean(L, ok);
    if (ok)
        lua_pushnil(L);
    else
        lua_xmove(co, L, 1);
    call_hook(lm, TURN_RESUMED, 3);
}

/* Pushes the waiters of the fetcher of the multi at `multi`. */
static void push_waiters(lua_State *L, int multi)
{
    lua_getiuservalue(L, multi, LB_MULTI_FETCHER);
    lua_getiuservalue(L, -1, FETCHER_WAITERS);
    lua_replace(L, -2);
}

/* Pushes the operation that waits for the easy. */
static void push_adopter(struct lb_multi *lm, struct lb_easy *le)
{
    le->adopted = false;
    push_waiters(lm->L, lm->self);
    lua_rawgeti(lm->L, -1, le->slot);
    lua_replace(lm->L, -2);
}

void lb_fetched(struct lb_multi *lm, struct lb_easy *le)
{
    struct lb_turn *t = le->home->turn;

    if (le->adopted || t->taken || t->queued) {
        if (le->adopted)
            push_adopter(lm, le);
        else
            lb_push_easy(lm, le->e);
        call_hook(lm, TURN_WAKE, 1);
        return;
    }
    t->taken = true;
    lm->calling_back = true;
    resume(lm, le);
    lm->calling_back = false;
    if (t->queued)
        call_hook(lm, TURN_DRAIN, 0);
    else
        t->taken = false;
}

/* ---- the turn ---------------------------------------------------------- */

/* turn:take(): true when it was free and is the caller's now; otherwise its
 * holder will run the queue. */
static int turn_take(lua_State *L)
{
    struct lb_turn *t = lb_check(L, 1, LB_TURN);

    lua_pushboolean(L, !t->taken);
    t->taken = t->queued = true;
    return 1;
}

/* turn:give(): the queue is empty and nobody resumes. */
static int turn_give(lua_State *L)
{
    struct lb_turn *t = lb_check(L, 1, LB_TURN);

    t->taken = t->queued = false;
    return 0;
}

/* turn:queue(): something is in the queue; true when somebody will run it. */
static int turn_queue(lua_State *L)
{
    struct lb_turn *t = lb_check(L, 1, LB_TURN);

    t->queued = true;
    lua_pushboolean(L, t->taken);
    return 1;
}

static int turn_watch(lua_State *L)
{
    struct lb_turn *t = lb_check(L, 1, LB_TURN);

    t->watched = lua_toboolean(L, 2);
    return 0;
}

/* turn:resume(easy): what TURN_WAKE put into the queue has come up. */
static int turn_resume(lua_State *L)
{
    lb_check(L, 1, LB_TURN);
    struct lb_easy *le = lb_check(L, 2, LB_EASY);

    if (!le->waiter)
        return 0; /* closed meanwhile */
    struct lb_multi *lm = le->home->lm;
    lua_rawgetp(L, lua_upvalueindex(LB_MULTIS), lm);
    struct lb_entry outer = lb_enter(L, lm, lua_gettop(L));
    resume(lm, le);
    lb_leave(L, &outer);
    return 0;
}

/* turn:adopt(easy, op): `op` is woken in place of the coroutine that waits for
 * the easy, which somebody else resumes then. */
static int turn_adopt(lua_State *L)
{
    lb_check(L, 1, LB_TURN);
    struct lb_easy *le = lb_check(L, 2, LB_EASY);

    if (!lb_is_awaited(le))
        return lb_usage(L, "wrong_context", "nobody waits for this easy");
    lua_settop(L, 3);
    lua_rawgetp(L, lua_upvalueindex(LB_MULTIS), le->home->lm);
    push_waiters(L, 4);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, le->slot);
    le->thread = NULL;
    le->waiter = NULL;
    le->adopted = true;
    return 0;
}

/* turn(token, resumed, wake, drain) */
static int new_turn(lua_State *L)
{
    lua_settop(L, TURN_UVS);
    lb_new(L, LB_TURN, sizeof(struct lb_turn), TURN_UVS);
    lua_insert(L, 1);
    for (int uv = TURN_UVS; uv >= TURN_TOKEN; uv--)
        lua_setiuservalue(L, 1, uv);
    return 1;
}

/* ---- fetching ---------------------------------------------------------- */

/* A new easy of the fetcher's, pushed. */
static struct lb_easy *push_new_slot(lua_State *L, struct lb_fetcher *f)
{
    struct lb_easy *le = lb_push_new_easy(L);

    ms_easy_set_oneshot(le->e, true);
    lua_getiuservalue(L, lua_upvalueindex(FETCH_MULTI), LB_MULTI_EASIES);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, le->e);
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, lua_upvalueindex(FETCH_EASIES), f->slots + 1);
    le->home = f;
    le->slot = ++f->slots;
    return le;
}

static struct lb_easy *push_free(lua_State *L, struct lb_fetcher *f)
{
    struct lb_easy **from = f->warm ? &f->warm : &f->free, *le = *from;

    if (!le)
        return push_new_slot(L, f);
    *from = le->next;
    lua_rawgeti(L, lua_upvalueindex(FETCH_EASIES), le->slot);
    return le;
}

static void release(struct lb_easy *le)
{
    le->next = le->home->warm;
    le->home->warm = le;
}

static void forget_tls(lua_State *L, struct lb_multi *lm, struct lb_easy *le)
{
    le->tls = NULL;
    lua_getiuservalue(L, lm->self, LB_MULTI_FETCHER);
    lua_getiuservalue(L, -1, FETCHER_EASIES);
    lua_rawgeti(L, -1, le->slot);
    lua_pushnil(L);
    lua_setiuservalue(L, -2, LB_EASY_TLS);
    lua_pop(L, 3);
}

void lb_fetch_tidy(lua_State *L, struct lb_multi *lm)
{
    struct lb_fetcher *f = lm->fetcher;
    struct lb_easy *le;

    if (!f->warm)
        return;
    push_waiters(L, lm->self);
    while ((le = f->warm)) {
        f->warm = le->next;
        le->next = f->free;
        f->free = le;
        le->thread = NULL;
        lua_pushnil(L);
        lua_rawseti(L, -2, le->slot);
        if (le->tls)
            forget_tls(L, lm, le);
    }
    lua_pop(L, 1);
}

/* nil and the err, which names the URL also when it is none. */
static int push_failure(lua_State *L)
{
    lua_pushnil(L);
    lb_push_error(L, 3);
    if (lua_getfield(L, -1, "url") == LUA_TNIL) {
        size_t n;
        const char *url = lua_tolstring(L, 2, &n);
        lb_push_shown_url(L, url, n);
        lua_setfield(L, -3, "url");
    }
    lua_pop(L, 1);
    return 2;
}

static int wait(lua_State *L, struct lb_easy *le);

/* Resumed, with the URL and the easy at 2 and 3. */
static int fetched(lua_State *L, int status, lua_KContext ctx)
{
    struct lb_easy *le = (struct lb_easy *)ctx;
    int results = 1;

    (void)status;
    if (lua_gettop(L) != 3)
        lua_settop(L, 3);
    if (lb_is_awaited(le))
        return wait(L, le); /* by somebody else */
    if (ms_easy_error(le->e)->err)
        results = push_failure(L);
    else
        lb_push_response(L, le, 3);
    release(le);
    return results;
}

static int wait(lua_State *L, struct lb_easy *le)
{
    if (le->home->turn->resumed == L)
        return lua_yieldk(L, 0, (lua_KContext)le, fetched);
    lua_pushvalue(L, lua_upvalueindex(FETCH_TOKEN));
    lua_pushvalue(L, 3);
    return lua_yieldk(L, 2, (lua_KContext)le, fetched);
}

/* Inside of a callback of the multi's an addition only queues: nothing calls
 * back, so it is no entry. */
static ms_err enter_and_add(lua_State *L, struct lb_multi *lm,
                            const struct lb_easy *le)
{
    if (!lm->m)
        return MS_ECLOSED;
    if (lm->calling_back)
        return ms_multi_add(lm->m, le->e);
    lua_pushvalue(L, lua_upvalueindex(FETCH_MULTI));
    struct lb_entry outer = lb_enter(L, lm, 4);
    ms_err err = ms_multi_add(lm->m, le->e);
    lb_leave(L, &outer);
    return err;
}

/* Adds the transfer of the easy at 3. What raises from here on closes it. */
static void add(lua_State *L, struct lb_fetcher *f, struct lb_easy *le)
{
    if (le->thread != L) {
        lua_pushthread(L);
        lua_rawseti(L, lua_upvalueindex(FETCH_WAITERS), le->slot);
        le->thread = L;
    }
    le->waiter = L;
    lua_toclose(L, 3);
    ms_err err = enter_and_add(L, f->lm, le);
    if (err)
        lb_raise(L, err, "fetch");
}

/* The URL is at 2, the option set `lo` at `options`. */
static int begin(lua_State *L, struct lb_fetcher *f,
                 const struct lb_options *lo, int options)
{
    struct lb_easy *le = push_free(L, f);
    size_t n;
    const char *url = lua_tolstring(L, 2, &n);
    ms_err err = ms_easy_set_url(le->e, url, n);
    if (err) {
        release(le);
        lb_raise(L, err, "fetch");
    }
    if (le->options != lo)
        lb_easy_use(L, 3, options);
    if (le->run != le->options || le->stale)
        lb_easy_prepare(L, 3);
    add(L, f, le);
    return wait(L, le);
}

/* The free easy was not needed. */
static void put_back(struct lb_easy *le)
{
    struct lb_easy **list = le->thread ? &le->home->warm : &le->home->free;

    le->next = *list;
    *list = le;
}

static int slow(lua_State *L);

/* The URL is at 2, the table of options at 3; the easy takes its place. */
static int begin_call(lua_State *L, struct lb_fetcher *f,
                      const struct lb_options *base)
{
    struct lb_easy *le = push_free(L, f);
    struct ms_options *o;
    size_t n;

    const char *url = lua_tolstring(L, 2, &n);
    ms_err err = ms_easy_options_once(le->e, base->o, &o);
    le->options = &lb_once_options;
    if (!err && !lb_read_call(L, 3, lua_upvalueindex(FETCH_NAMES), o)) {
        put_back(le);
        lua_settop(L, 3);
        return slow(L);
    }
    if (!err)
        err = ms_easy_set_url(le->e, url, n);
    if (err) {
        put_back(le);
        lb_raise(L, err, "fetch");
    }
    lua_replace(L, 3);
    if (le->run != le->options || le->stale)
        lb_easy_prepare(L, 3);
    add(L, f, le);
    return wait(L, le);
}

static int returned(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return lua_gettop(L);
}

/* Only the client and a URL are given; more may be there if it is nil. */
static bool is_plain(lua_State *L)
{
    if (lua_gettop(L) != 2) {
        if (!lua_isnoneornil(L, 3))
            return false;
        lua_settop(L, 2);
    }
    return lua_rawequal(L, 1, lua_upvalueindex(FETCH_CLIENT)) &&
           lua_type(L, 2) == LUA_TSTRING && lua_isyieldable(L);
}

/* The same with a table of options that hides nothing. */
static bool has_table(lua_State *L)
{
    if (lua_gettop(L) != 3 || lua_type(L, 3) != LUA_TTABLE ||
        lua_type(L, 2) != LUA_TSTRING || !lua_isyieldable(L) ||
        !lua_rawequal(L, 1, lua_upvalueindex(FETCH_CLIENT)))
        return false;
    if (!lua_getmetatable(L, 3))
        return true;
    lua_settop(L, 3);
    return false;
}

static int slow(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(FETCH_SLOW));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, returned);
    return lua_gettop(L);
}

/* fetch(client, url [, opts]) */
static int fetch(lua_State *L)
{
    struct lb_fetcher *f = lua_touserdata(L, lua_upvalueindex(FETCH_FETCHER));

    if (is_plain(L))
        return begin(L, f, f->plain, lua_upvalueindex(FETCH_OPTIONS));
    if (!f->plain->has_values && has_table(L))
        return begin_call(L, f, f->plain);
    return slow(L);
}

/* fetch_with(options, url); only where coroutines can be suspended */
static int fetch_with(lua_State *L)
{
    struct lb_fetcher *f = lua_touserdata(L, lua_upvalueindex(FETCH_FETCHER));
    const struct lb_options *lo = lb_check(L, 1, LB_OPTIONS);

    luaL_checktype(L, 2, LUA_TSTRING);
    lua_settop(L, 2);
    return begin(L, f, lo, 1);
}

/* ---- fetchers ---------------------------------------------------------- */

void lb_fetch_closed(lua_State *L, struct lb_easy *le)
{
    struct ms_easy *e = le->e;

    le->waiter = NULL;
    le->adopted = false;
    le->e = NULL;
    lua_settop(L, 1);
    lua_rawgetp(L, lua_upvalueindex(LB_MULTIS), le->home->lm);
    lb_unanchor(L, 2, e);
    lua_getiuservalue(L, 2, LB_MULTI_FETCHER);
    lua_getiuservalue(L, 3, FETCHER_EASIES);
    lua_pushnil(L);
    lua_rawseti(L, 4, le->slot);
    push_waiters(L, 2);
    lua_pushnil(L);
    lua_rawseti(L, 5, le->slot);
    struct lb_entry outer = lb_enter(L, le->home->lm, 2);
    ms_easy_close(e);
    lb_leave(L, &outer);
    lua_getiuservalue(L, 3, FETCHER_CLOSED);
    lua_call(L, 0, 0);
}

/* Pushes a fetch function of the fetcher at 7. */
static void push_fetch(lua_State *L, lua_CFunction function, bool plain)
{
    luaL_checkstack(L, FETCH_NAMES + LUA_MINSTACK, NULL);
    for (int i = 1; i <= LB_UPVALUES; i++)
        lua_pushvalue(L, lua_upvalueindex(i));
    lua_pushvalue(L, 7);
    lua_pushvalue(L, 1);
    lua_getiuservalue(L, 7, FETCHER_EASIES);
    lua_getiuservalue(L, 7, FETCHER_WAITERS);
    lua_getiuservalue(L, 2, TURN_TOKEN);
    if (plain) {
        lua_pushvalue(L, 4);
        lua_pushvalue(L, 5);
        lua_pushvalue(L, 6);
        lb_push_call_names(L);
    }
    lua_pushcclosure(L, function, plain ? FETCH_NAMES : FETCH_TOKEN);
}

/* fetcher(multi, turn, closed, options, slow, client) -> fetch, fetch_with. A
 * multi has one at most. */
static int new_fetcher(lua_State *L)
{
    struct lb_multi *lm = lb_check(L, 1, LB_MULTI);
    struct lb_turn *turn = lb_check(L, 2, LB_TURN);

    lb_check_function(L, 3);
    const struct lb_options *plain = lb_check(L, 4, LB_OPTIONS);
    lb_check_function(L, 5);
    lua_settop(L, 6);
    if (lua_getiuservalue(L, 1, LB_MULTI_FETCHER) != LUA_TNIL)
        return lb_usage(L, "bad_argument", "the multi has a fetcher already");
    lua_settop(L, 6);
    struct lb_fetcher *f = lb_new(L, LB_FETCHER, sizeof(*f), FETCHER_UVS);
    f->lm = lm;
    f->turn = turn;
    f->plain = plain;
    lm->fetcher = f;
    lua_pushvalue(L, 7);
    lua_setiuservalue(L, 1, LB_MULTI_FETCHER);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 7, FETCHER_TURN);
    lua_newtable(L);
    lua_setiuservalue(L, 7, FETCHER_EASIES);
    lua_newtable(L);
    lua_setiuservalue(L, 7, FETCHER_WAITERS);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 7, FETCHER_CLOSED);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, LB_MULTI_TURN);
    push_fetch(L, fetch, true);
    push_fetch(L, fetch_with, false);
    return 2;
}

void lb_open_fetch(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"take", turn_take},   {"give", turn_give},     {"queue", turn_queue},
        {"watch", turn_watch}, {"resume", turn_resume}, {"adopt", turn_adopt},
        {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"turn", new_turn}, {"fetcher", new_fetcher}, {NULL, NULL}};

    lb_set_type(L, LB_TURN, none, methods);
    lb_set_type(L, LB_FETCHER, none, NULL);
    lb_setfuncs(L, functions);
}
