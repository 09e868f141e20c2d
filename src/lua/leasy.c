/* SPDX-License-Identifier: MIT
 *
 * leasy.c - easy handles.
 *
 * What setopt() changes is for the next run: the option set with its callbacks
 * waits in a user value of its own until lb_easy_prepare() makes it the run's.
 */
#include <string.h>

#include "lua/binding.h"

struct lb_easy *lb_check_easy(lua_State *L, int index)
{
    struct lb_easy *le = lb_check(L, index, LB_EASY);

    if (!le->e)
        lb_usage(L, "closed", "the easy handle is closed");
    return le;
}

/* ---- callbacks --------------------------------------------------------- */

struct chunk {
    const char *p;
    size_t n;
};

static void push_head(lua_State *L, const struct ms_response *r)
{
    size_t n;
    const char *reason = ms_response_reason(r, &n);

    lua_createtable(L, 0, 5);
    lua_pushlstring(L, reason, n);
    lua_setfield(L, -2, "reason");
    lua_pushinteger(L, ms_response_status(r));
    lua_setfield(L, -2, "status");
    lua_pushstring(L, ms_response_version(r));
    lua_setfield(L, -2, "version");
    lua_pushboolean(L, ms_response_informational(r));
    lua_setfield(L, -2, "informational");
    lb_push_headers(L, r, ms_response_header);
    lua_setfield(L, -2, "headers");
}

/* These run protected, with the easy and what came in at 1 and 2. */

static void push_callback(lua_State *L, int uv)
{
    lua_getiuservalue(L, 1, LB_EASY_RUN);
    lua_getiuservalue(L, -1, uv);
}

static int give_head(lua_State *L)
{
    push_callback(L, LB_OPTIONS_ON_HEADERS);
    push_head(L, lua_touserdata(L, 2));
    lua_call(L, 1, 0);
    return 0;
}

static int give_chunk(lua_State *L)
{
    const struct chunk *c = lua_touserdata(L, 2);

    push_callback(L, LB_OPTIONS_ON_DATA);
    lua_pushlstring(L, c->p, c->n);
    lua_call(L, 1, 0);
    return 0;
}

struct debug_text {
    enum ms_debug kind;
    struct chunk text;
};

static int give_debug(lua_State *L)
{
    static const char *const kinds[] = {[MS_DEBUG_INFO] = "info",
                                        [MS_DEBUG_REQUEST] = "request",
                                        [MS_DEBUG_RESPONSE] = "response"};
    const struct debug_text *d = lua_touserdata(L, 2);

    push_callback(L, LB_OPTIONS_ON_DEBUG);
    lua_pushstring(L, kinds[d->kind]);
    lua_pushlstring(L, d->text.p, d->text.n);
    lua_call(L, 2, 0);
    return 0;
}

enum ms_verdict lb_give(struct ms_easy *easy, lua_CFunction how,
                        const void *what)
{
    struct lb_multi *lm = ms_multi_user(ms_easy_multi(easy));
    lua_State *L = lm->L;

    if (!L)
        return MS_ABORT;
    lua_pushcfunction(L, lb_traceback);
    lua_pushcfunction(L, how);
    lb_push_easy(lm, easy);
    lua_pushlightuserdata(L, (void *)what);
    if (lb_call(lm, 2))
        return MS_GO_ON;
    if (!lb_blame(lm, easy))
        lb_report(lm); /* it removed its easy before it raised */
    return MS_ABORT;
}

static enum ms_verdict on_headers(struct ms_easy *easy,
                                  const struct ms_response *head, void *user)
{
    (void)user;
    return lb_give(easy, give_head, head);
}

static enum ms_verdict on_data(struct ms_easy *easy, const char *p, size_t n,
                               void *user)
{
    struct chunk c = {p, n};

    (void)user;
    return lb_give(easy, give_chunk, &c);
}

static enum ms_verdict on_debug(struct ms_easy *easy, enum ms_debug kind,
                                const char *text, size_t n, void *user)
{
    struct debug_text d = {kind, {text, n}};

    (void)user;
    return lb_give(easy, give_debug, &d);
}

struct telling {
    const struct ms_transferred *now;
    bool cancelled;
};

static void set_bytes(lua_State *L, const char *name, int64_t n)
{
    if (n < 0)
        return; /* not known */
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, name);
}

static int give_progress(lua_State *L)
{
    struct telling *t = lua_touserdata(L, 2);

    push_callback(L, LB_OPTIONS_ON_PROGRESS);
    lua_createtable(L, 0, 4);
    set_bytes(L, "down", t->now->down);
    set_bytes(L, "down_total", t->now->down_total);
    set_bytes(L, "up", t->now->up);
    set_bytes(L, "up_total", t->now->up_total);
    lua_call(L, 1, 1);
    t->cancelled = lb_is_false(L, -1);
    return 0;
}

static enum ms_verdict on_progress(struct ms_easy *easy,
                                   const struct ms_transferred *now, void *user)
{
    struct telling t = {.now = now};

    (void)user;
    if (lb_give(easy, give_progress, &t) == MS_ABORT)
        return MS_ABORT;
    return t.cancelled ? MS_CANCEL : MS_GO_ON;
}

static void drop_last_run(lua_State *L, struct lb_easy *le, int index)
{
    for (int uv = LB_EASY_CAUSE; uv <= LB_EASY_RESPONSE; uv++) {
        lua_pushnil(L);
        lua_setiuservalue(L, index, uv);
    }
    le->stale = false;
}

static void install_options(lua_State *L, struct lb_easy *le, int index)
{
    bool had_debug = le->run && le->run->has_debug;

    lua_getiuservalue(L, index, LB_EASY_OPTIONS);
    lua_setiuservalue(L, index, LB_EASY_RUN);
    if (le->options->upload || (le->run && le->run->upload))
        lb_install_upload(L, le->e, le->options->upload);
    le->run = le->options;
    ms_easy_on_headers(le->e, le->run->has_headers ? on_headers : NULL, NULL);
    ms_easy_on_data(le->e, le->run->has_data ? on_data : NULL, NULL);
    ms_easy_on_progress(le->e, le->run->has_progress ? on_progress : NULL,
                        NULL);
    if (!had_debug && !le->run->has_debug)
        return;
    ms_err err =
        ms_easy_on_debug(le->e, le->run->has_debug ? on_debug : NULL, NULL);
    if (err)
        lb_raise(L, err, "on_debug");
}

void lb_easy_prepare(lua_State *L, int index)
{
    struct lb_easy *le = lua_touserdata(L, index);

    if (le->run != le->options)
        install_options(L, le, index);
    if (le->stale)
        drop_last_run(L, le, index);
}

/* ---- options ----------------------------------------------------------- */

void lb_easy_use(lua_State *L, int index, int options)
{
    struct lb_easy *le = lua_touserdata(L, index);
    struct lb_options *lo = lua_touserdata(L, options);

    if (le->options == lo)
        return;
    lua_pushvalue(L, options);
    lua_setiuservalue(L, index, LB_EASY_OPTIONS);
    le->options = lo;
    ms_easy_set_options(le->e, lo->o);
}

static void set_url(lua_State *L, struct lb_easy *le, int index)
{
    size_t n;

    if (lua_type(L, index) != LUA_TSTRING)
        lb_usage(L, "bad_argument", "url must be a string, not %s",
                 lb_typename(L, index));
    const char *url = lua_tolstring(L, index, &n);
    ms_err err = ms_easy_set_url(le->e, url, n);
    if (err)
        lb_raise(L, err, "url");
}

/* Applies the table at 2 to the easy at 1: wholly or, when something in it is
 * wrong, not at all. */
static void apply(lua_State *L, struct lb_easy *le)
{
    lb_check_table(L, 2, "options");
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, LB_EASY_OPTIONS);
    lb_push_options(L, 3);
    lb_parse_options(L, 2, 4, true);
    lua_pushliteral(L, "url");
    lua_rawget(L, 2);
    if (!lua_isnil(L, 5))
        set_url(L, le, 5);
    lb_easy_use(L, 1, 4);
}

static int easy_setopt(lua_State *L)
{
    apply(L, lb_check_easy(L, 1));
    return 0;
}

struct lb_easy *lb_push_new_easy(lua_State *L)
{
    struct lb_easy *le = lb_new(L, LB_EASY, sizeof(*le), LB_EASY_UVS);
    ms_err err = ms_easy_new(&le->e);

    if (err)
        lb_raise(L, err, "easy");
    ms_easy_set_user(le->e, le);
    lb_easy_use(L, lua_gettop(L), lua_upvalueindex(LB_DEFAULTS));
    return le;
}

static int new_easy(lua_State *L)
{
    lua_settop(L, 1);
    struct lb_easy *le = lb_push_new_easy(L);

    lua_insert(L, 1);
    if (!lua_isnil(L, 2))
        apply(L, le);
    lua_settop(L, 1);
    return 1;
}

static int easy_begin(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);

    lb_check(L, 3, LB_OPTIONS);
    if (ms_easy_multi(le->e))
        return lb_raise(L, MS_EADDED, "begin");
    set_url(L, le, 2);
    lb_easy_use(L, 1, 3);
    return 0;
}

static int easy_oneshot(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);

    if (lua_type(L, 2) != LUA_TBOOLEAN)
        return lb_usage(L, "bad_argument",
                        "argument #2 must be a boolean, not %s",
                        lb_typename(L, 2));
    ms_easy_set_oneshot(le->e, lua_toboolean(L, 2));
    return 0;
}

/* ---- results ----------------------------------------------------------- */

/* Pushes the response asked for before, or makes it. */
static void push_response(lua_State *L, struct lb_easy *le)
{
    if (le->stale && lua_getiuservalue(L, 1, LB_EASY_RESPONSE) != LUA_TNIL)
        return;
    lb_push_response(L, le, 1);
}

static int easy_take(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY);

    push_response(L, le);
    if (le->stale) {
        lua_pushnil(L);
        lua_setiuservalue(L, 1, LB_EASY_RESPONSE);
    }
    return 1;
}

static int easy_response(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY);

    push_response(L, le);
    le->stale = true;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, LB_EASY_RESPONSE);
    return 1;
}

/* A response of what is known so far; not the one that response() gives. */
static int easy_snapshot(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY);

    lb_push_snapshot(L, le, 1);
    return 1;
}

/* While the transfer runs it is what is known so far. */
static int easy_getinfo(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY);
    int info = lb_check_info(L, 2);

    lua_settop(L, 2);
    if (le->e && ms_easy_running(le->e)) {
        lb_push_info(L, ms_easy_response(le->e), info, 0);
        return 1;
    }
    easy_response(L);
    struct lb_response *lr = lua_touserdata(L, -1);
    if (lr)
        lb_push_info(L, lr->r, info, lua_gettop(L));
    return 1;
}

/* ---- running ----------------------------------------------------------- */

static int easy_pause(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY);
    lua_Integer mask =
        lb_check_int(L, 2, MS_PAUSE_CONT, MS_PAUSE_RECV | MS_PAUSE_SEND);

    if (mask & ~(lua_Integer)(MS_PAUSE_RECV | MS_PAUSE_SEND))
        return lb_usage(L, "bad_argument",
                        "a pause mask is made of PAUSE_RECV and PAUSE_SEND");
    struct lb_multi *lm = lb_push_multi_of(L, le);
    if (!lm)
        return 0;
    struct lb_entry outer = lb_enter(L, lm, lua_gettop(L));
    ms_easy_pause(le->e, (unsigned)mask);
    lb_leave(L, &outer);
    return 0;
}

static int easy_close(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY);
    struct lb_multi *lm = lb_push_multi_of(L, le);
    struct ms_easy *e = le->e;

    le->e = NULL;
    if (!lm) {
        ms_easy_close(e);
        return 0;
    }
    int multi = lua_gettop(L);
    lb_unanchor(L, multi, e);
    struct lb_entry outer = lb_enter(L, lm, multi);
    ms_easy_close(e);
    lb_leave(L, &outer);
    return 0;
}

static void leave_multi(lua_State *L, struct lb_easy *le)
{
    struct lb_multi *lm = lb_push_multi_of(L, le);

    if (!lm)
        return;
    int multi = lua_gettop(L);
    lb_unanchor(L, multi, le->e);
    struct lb_entry outer = lb_enter(L, lm, multi);
    ms_err err = ms_multi_remove(lm->m, le->e);
    (void)err; /* it is in this multi */
    lb_leave(L, &outer);
}

/* Back to what core.easy() gives. */
static int easy_reset(lua_State *L)
{
    struct lb_easy *le = lb_check_easy(L, 1);

    lua_settop(L, 1);
    leave_multi(L, le);
    ms_err err = ms_easy_set_url(le->e, "", 0);
    if (err)
        return lb_raise(L, err, "reset");
    lb_easy_use(L, 1, lua_upvalueindex(LB_DEFAULTS));
    ms_easy_set_oneshot(le->e, false);
    ms_response_free(ms_easy_take_response(le->e));
    install_options(L, le, 1);
    drop_last_run(L, le, 1);
    return 0;
}

/* A fetch that came to its end has nobody waiting. */
static int easy_end_scope(lua_State *L)
{
    struct lb_easy *le = lb_self(L, LB_EASY);

    if (!le->slot)
        return easy_close(L);
    if (lb_is_awaited(le))
        lb_fetch_closed(L, le);
    return 0;
}

/* An added easy is collected only together with its multi. That one goes
 * first then, so that no callback can be called. */
static int easy_gc(lua_State *L)
{
    struct lb_easy *le = lb_check(L, 1, LB_EASY);
    struct ms_easy *e = le->e;
    struct ms_multi *m = e ? ms_easy_multi(e) : NULL;

    le->e = NULL;
    if (m)
        lb_multi_free(ms_multi_user(m));
    ms_easy_close(e);
    return 0;
}

void lb_open_easy(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", easy_gc}, {"__close", easy_end_scope}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"setopt", easy_setopt},
                                       {"begin", easy_begin},
                                       {"oneshot", easy_oneshot},
                                       {"take", easy_take},
                                       {"response", easy_response},
                                       {"getinfo", easy_getinfo},
                                       {"snapshot", easy_snapshot},
                                       {"pause", easy_pause},
                                       {"reset", easy_reset},
                                       {"close", easy_close},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"easy", new_easy}, {NULL, NULL}};

    lb_set_type(L, LB_EASY, meta, methods);
    lb_setfuncs(L, functions);
}
