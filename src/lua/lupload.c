/* SPDX-License-Identifier: MIT
 *
 * lupload.c - uploads: a request body that Lua hands over piece by piece.
 *
 * The engine asks for the body when it can send; what Lua wrote is given
 * then. When that is used up the upload pauses and says so (on_drain), and
 * the next piece may be written from wherever it comes, after any wait. A piece
 * may be a stretch of a file, which the engine sends by itself. Where
 * on_rewind is given the whole body may be wanted once more: writing begins
 * again with the first piece.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lua/binding.h"

/* User values. */
enum { PIECE = 1, ON_DRAIN, ON_REWIND, UPLOAD_UVS = ON_REWIND };

struct lb_upload {
    struct lb_object object;
    int64_t length; /* -1: not known */
    const char *p;  /* what is left of PIECE */
    size_t n;
    int fd;    /* of a piece in a file, a duplicate that is ours; -1: none */
    bool lent; /* the engine has it */
    lua_Integer at, stretch;
    bool ended, used;
    bool rewinds; /* there is an ON_REWIND */
};

static int tell(lua_State *L, int which)
{
    lua_getiuservalue(L, 1, LB_EASY_RUN);
    lua_getiuservalue(L, -1, LB_OPTIONS_BODY);
    lua_getiuservalue(L, -1, which);
    lua_call(L, 0, 0);
    return 0;
}

/* Protected, both: the easy and the upload are at 1 and 2. */
static int tell_drained(lua_State *L)
{
    return tell(L, ON_DRAIN);
}

static int tell_rewound(lua_State *L)
{
    return tell(L, ON_REWIND);
}

static void drop_file(struct lb_upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
    u->lent = false;
}

static enum ms_verdict lend_file(struct ms_easy *easy, struct lb_upload *u,
                                 bool *end)
{
    u->lent = true;
    ms_easy_send_file(easy, u->fd, u->at, u->stretch);
    *end = u->ended;
    return MS_GO_ON;
}

static enum ms_verdict on_body(struct ms_easy *easy, char *p, size_t cap,
                               size_t *n, bool *end, void *user)
{
    struct lb_upload *u = user;

    if (u->fd >= 0 && !u->lent)
        return lend_file(easy, u, end);
    drop_file(u); /* it has been sent */
    size_t k = u->n < cap ? u->n : cap;
    if (k)
        memcpy(p, u->p, k);
    u->p += k;
    u->n -= k;
    *n = k;
    *end = u->ended && !u->n;
    if (u->n || u->ended)
        return MS_GO_ON;
    enum ms_verdict v = lb_give(easy, tell_drained, u);
    return v == MS_GO_ON && !k ? MS_PAUSE : v;
}

/* What was written is not wanted any more: the first piece is. */
static enum ms_verdict on_rewind(struct ms_easy *easy, void *user)
{
    struct lb_upload *u = user;

    drop_file(u);
    u->n = 0;
    u->ended = false;
    return lb_give(easy, tell_rewound, u);
}

void lb_install_upload(lua_State *L, struct ms_easy *easy, struct lb_upload *u)
{
    if (u && u->used)
        lb_usage(L, "bad_option", "an upload serves one transfer");
    ms_err err =
        ms_easy_on_body(easy, u ? on_body : NULL, u, u ? u->length : 0);
    if (err)
        lb_raise(L, err, "body");
    if (!u)
        return;
    if (u->rewinds)
        ms_easy_on_rewind(easy, on_rewind);
    u->used = true;
}

static struct lb_upload *check_upload(lua_State *L)
{
    struct lb_upload *u = lb_check(L, 1, LB_UPLOAD);

    if (u->n || u->fd >= 0 || u->ended)
        lb_usage(L, "wrong_context", "the upload is not waiting for a piece");
    return u;
}

/* upload:write(piece), once at the start and then when on_drain was called */
static int upload_write(lua_State *L)
{
    struct lb_upload *u = check_upload(L);

    if (lua_type(L, 2) != LUA_TSTRING)
        lb_usage(L, "bad_argument", "a piece of a body is a string, not %s",
                 lb_typename(L, 2));
    u->p = lua_tolstring(L, 2, &u->n);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, PIECE);
    return 0;
}

/* upload:write_file(file, offset, length): the same with what lies there, which
 * is not asked for by on_drain before all of it is sent. The file may be closed
 * meanwhile. True; nil and why it cannot be used. */
static int upload_write_file(lua_State *L)
{
    struct lb_upload *u = check_upload(L);
    luaL_Stream *file = luaL_testudata(L, 2, LUA_FILEHANDLE);
    lua_Integer at = lb_check_int(L, 3, 0, LUA_MAXINTEGER);
    lua_Integer length = lb_check_int(L, 4, 1, LUA_MAXINTEGER - at);

    if (!file || !file->closef)
        lb_usage(L, "bad_argument", "argument #2 must be an open file, not %s",
                 lb_typename(L, 2));
    int fd = fcntl(fileno(file->f), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return luaL_fileresult(L, 0, NULL);
    u->fd = fd;
    u->at = at;
    u->stretch = length;
    lua_pushboolean(L, 1);
    return 1;
}

/* upload:drop(): what was written is not wanted any more, for the transfer is
 * over */
static int upload_drop(lua_State *L)
{
    drop_file(lb_check(L, 1, LB_UPLOAD));
    return 0;
}

/* upload:finish(): there is no further piece */
static int upload_finish(lua_State *L)
{
    check_upload(L)->ended = true;
    return 0;
}

/* upload(length or nil, on_drain [, on_rewind]) */
static int new_upload(lua_State *L)
{
    lua_Integer length =
        lua_isnoneornil(L, 1) ? -1 : lb_check_int(L, 1, 0, LUA_MAXINTEGER);

    lb_check_function(L, 2);
    if (!lua_isnoneornil(L, 3))
        lb_check_function(L, 3);
    lua_settop(L, 3);
    struct lb_upload *u = lb_new(L, LB_UPLOAD, sizeof(*u), UPLOAD_UVS);
    u->fd = -1;
    u->length = length;
    u->rewinds = !lua_isnil(L, 3);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 4, ON_DRAIN);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 4, ON_REWIND);
    return 1;
}

void lb_open_upload(lua_State *L)
{
    static const luaL_Reg methods[] = {{"write", upload_write},
                                       {"write_file", upload_write_file},
                                       {"finish", upload_finish},
                                       {"drop", upload_drop},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", upload_drop}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"upload", new_upload}, {NULL, NULL}};

    lb_set_type(L, LB_UPLOAD, meta, methods);
    lb_setfuncs(L, functions);
}
