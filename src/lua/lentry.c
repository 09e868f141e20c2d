/* SPDX-License-Identifier: MIT
 *
 * lentry.c - into the engine and back into Lua: entries, protected calls, and
 * where the errors of callbacks go.
 *
 * A callback that raises ends something: its own transfer, those of a socket,
 * or all. Each of them gets the original value as its err's cause. When
 * nothing ended, the error goes to the multi's errorfunction.
 *
 * An interrupt (Ctrl-C) is an error that Lua raises in whatever runs, so it
 * is nobody's: it is kept and raised again where the program called us.
 */
#include <string.h>

#include "lua/binding.h"

/* ---- entries ----------------------------------------------------------- */

struct lb_entry lb_enter(lua_State *L, struct lb_multi *lm, int self)
{
    struct lb_entry outer = {lm, lm->L, lm->self};

    lm->L = L;
    lm->self = self;
    return outer;
}

static void set_nil(lua_State *L, int index, int uv)
{
    lua_pushnil(L);
    lua_setiuservalue(L, index, uv);
}

/* Forgets the cause of this exit's failures. The engine ends what failed in
 * the same exit, unless it says that there is more to do at once. */
static void settle_blame(struct lb_multi *lm)
{
    lua_State *L = lm->L;

    if (lm->m && ms_multi_timeout(lm->m) == 0)
        return;
    lm->blamed = false;
    lua_getiuservalue(L, lm->self, LB_MULTI_CAUSE);
    lua_getiuservalue(L, lm->self, LB_MULTI_TRACEBACK);
    set_nil(L, lm->self, LB_MULTI_CAUSE);
    set_nil(L, lm->self, LB_MULTI_TRACEBACK);
    if (lm->unclaimed)
        lb_report(lm);
    else
        lua_pop(L, 2);
}

bool lb_leave_quietly(lua_State *L, struct lb_entry *outer)
{
    struct lb_multi *lm = outer->lm;
    int self = lm->self;

    if (lm->blamed && !outer->L)
        settle_blame(lm);
    if (lm->fetcher && !outer->L)
        lb_fetch_tidy(L, lm);
    lm->L = outer->L;
    lm->self = outer->self;
    if (!lm->interrupted)
        return true;
    lm->interrupted = false;
    lua_getiuservalue(L, self, LB_MULTI_INTERRUPT);
    set_nil(L, self, LB_MULTI_INTERRUPT);
    return false;
}

void lb_leave(lua_State *L, struct lb_entry *outer)
{
    if (!lb_leave_quietly(L, outer))
        lua_error(L);
}

/* ---- protected calls --------------------------------------------------- */

/* Keeps error and traceback together until lb_call() takes them apart. */
int lb_traceback(lua_State *L)
{
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    luaL_traceback(L, L, NULL, 1);
    lua_rawseti(L, -2, 2);
    return 1;
}

static void keep_interrupt(struct lb_multi *lm, int index)
{
    lua_State *L = lm->L;

    if (!lb_is_interrupt(L, index))
        return;
    lua_pushvalue(L, index);
    lua_setiuservalue(L, lm->self, LB_MULTI_INTERRUPT);
    lm->interrupted = true;
}

bool lb_call(struct lb_multi *lm, int nargs)
{
    lua_State *L = lm->L;
    int handler = lua_gettop(L) - nargs - 1;
    int status = lua_pcall(L, nargs, 0, handler);

    if (status == LUA_OK) {
        lua_pop(L, 1);
        return true;
    }
    /* Without memory, the handler was not called. */
    if (status == LUA_ERRRUN && lua_istable(L, -1)) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        lua_remove(L, -3);
    } else {
        lua_pushnil(L);
    }
    lua_remove(L, handler);
    keep_interrupt(lm, handler);
    return false;
}

/* ---- errors ------------------------------------------------------------ */

bool lb_blame(struct lb_multi *lm, struct ms_easy *easy)
{
    lua_State *L = lm->L;

    lb_push_easy(lm, easy);
    struct lb_easy *le = lua_touserdata(L, -1);
    if (!le) {
        lua_pop(L, 1);
        return false;
    }
    le->stale = true;
    lua_insert(L, -3);
    lua_setiuservalue(L, -3, LB_EASY_TRACEBACK);
    lua_setiuservalue(L, -2, LB_EASY_CAUSE);
    lua_pop(L, 1);
    return true;
}

void lb_blame_any(struct lb_multi *lm)
{
    lua_State *L = lm->L;

    lm->blamed = true;
    lm->unclaimed = !lb_is_interrupt(L, -2);
    lua_setiuservalue(L, lm->self, LB_MULTI_TRACEBACK);
    lua_setiuservalue(L, lm->self, LB_MULTI_CAUSE);
}

/* The errorfunction of a multi that has none. */
static int print_error(lua_State *L)
{
    const char *text = luaL_tolstring(L, 1, NULL);
    const char *stack = lua_tostring(L, 2);

    lua_writestringerror("multisocket: %s\n", text);
    lua_writestringerror("%s\n", stack ? stack : "(no traceback)");
    return 0;
}

void lb_report(struct lb_multi *lm)
{
    lua_State *L = lm->L;
    int err = lua_gettop(L) - 1;

    lm->unclaimed = false;
    if (lb_is_interrupt(L, err)) {
        lua_pop(L, 2);
        return;
    }
    if (lua_getiuservalue(L, lm->self, LB_MULTI_ERRORFUNCTION) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushcfunction(L, print_error);
    }
    lua_insert(L, err);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK)
        return;
    keep_interrupt(lm, -1);
    if (!lm->interrupted)
        lua_writestringerror("multisocket: errorfunction failed: %s\n",
                             lua_type(L, -1) == LUA_TSTRING
                                 ? lua_tostring(L, -1)
                                 : luaL_typename(L, -1));
    lua_pop(L, 1);
}

/* ---- anchors ----------------------------------------------------------- */

void lb_push_easy(struct lb_multi *lm, struct ms_easy *easy)
{
    lua_State *L = lm->L;

    lua_getiuservalue(L, lm->self, LB_MULTI_EASIES);
    lua_rawgetp(L, -1, easy);
    lua_replace(L, -2);
}

/* Setting an absent key to nil would allocate it. */
void lb_unanchor(lua_State *L, int multi, struct ms_easy *easy)
{
    lua_getiuservalue(L, multi, LB_MULTI_EASIES);
    if (lua_rawgetp(L, -1, easy) != LUA_TNIL) {
        lua_pushnil(L);
        lua_rawsetp(L, -3, easy);
    }
    lua_pop(L, 2);
}
