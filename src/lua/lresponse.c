/* SPDX-License-Identifier: MIT
 *
 * lresponse.c - responses and headers: values are made when they are asked
 * for.
 */
#include <string.h>

#include "lua/binding.h"

/* The address text and its NUL. */
#define REMOTE_BYTES 80

struct lb_response {
    struct ms_response *r; /* owned */
};

enum { CACHED_BODY = 1, CACHED_HEADERS, RESPONSE_UVS = CACHED_HEADERS };

/* ---- headers ----------------------------------------------------------- */

struct ref {
    uint32_t name, name_len, value, value_len; /* in the text behind */
};

/* A copy, so that it depends on nothing. */
struct lb_headers {
    size_t count;
    struct ref refs[];
};

static const char *text_of(const struct lb_headers *h)
{
    return (const char *)(h->refs + h->count);
}

void lb_push_headers(lua_State *L, const struct ms_response *r,
                     lb_field_fn *get)
{
    struct ms_field f;
    size_t count = 0, bytes = 0, at = 0;

    while (get(r, count, &f)) {
        bytes += f.name_len + f.value_len;
        count++;
    }
    struct lb_headers *h = lua_newuserdatauv(
        L, sizeof(*h) + count * sizeof(struct ref) + bytes, 0);
    h->count = count;
    char *text = (char *)(h->refs + count);
    for (size_t i = 0; i < count && get(r, i, &f); i++) {
        h->refs[i] =
            (struct ref){(uint32_t)at, (uint32_t)f.name_len,
                         (uint32_t)(at + f.name_len), (uint32_t)f.value_len};
        memcpy(text + at, f.name, f.name_len);
        memcpy(text + at + f.name_len, f.value, f.value_len);
        at += f.name_len + f.value_len;
    }
    lua_pushvalue(L, lua_upvalueindex(LB_HEADERS));
    lua_setmetatable(L, -2);
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

/* The first field of that name at or after `from`, h->count for none. */
static size_t find(const struct lb_headers *h, const char *name, size_t n,
                   size_t from)
{
    const char *text = text_of(h);

    for (size_t i = from; i < h->count; i++)
        if (h->refs[i].name_len == n &&
            same_name(text + h->refs[i].name, name, n))
            return i;
    return h->count;
}

static void push_value(lua_State *L, const struct lb_headers *h, size_t i)
{
    lua_pushlstring(L, text_of(h) + h->refs[i].value, h->refs[i].value_len);
}

static struct lb_headers *check_headers(lua_State *L)
{
    return lb_check(L, 1, LB_HEADERS, "headers");
}

static int headers_get_all(lua_State *L)
{
    struct lb_headers *h = check_headers(L);
    size_t n;
    const char *name = luaL_checklstring(L, 2, &n);
    lua_Integer count = 0;

    lua_newtable(L);
    for (size_t i = 0; (i = find(h, name, n, i)) < h->count; i++) {
        push_value(L, h, i);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static int headers_next(lua_State *L)
{
    struct lb_headers *h = lua_touserdata(L, lua_upvalueindex(1));
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));

    if ((size_t)i >= h->count)
        return 0;
    lua_pushinteger(L, i + 1);
    lua_replace(L, lua_upvalueindex(2));
    const struct ref *ref = &h->refs[i];
    lua_pushlstring(L, text_of(h) + ref->name, ref->name_len);
    push_value(L, h, (size_t)i);
    return 2;
}

static int headers_each(lua_State *L)
{
    check_headers(L);
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, headers_next, 2);
    return 1;
}

static int headers_index(lua_State *L)
{
    struct lb_headers *h = lua_touserdata(L, 1);
    size_t n;

    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    const char *name = lua_tolstring(L, 2, &n);
    if (n == 7 && memcmp(name, "get_all", 7) == 0) {
        lua_pushvalue(L, lua_upvalueindex(LB_TYPES + 1));
        return 1;
    }
    if (n == 4 && memcmp(name, "each", 4) == 0) {
        lua_pushvalue(L, lua_upvalueindex(LB_TYPES + 2));
        return 1;
    }
    size_t i = find(h, name, n, 0);
    if (i == h->count)
        return 0;
    push_value(L, h, i);
    return 1;
}

/* ---- responses --------------------------------------------------------- */

enum field {
    F_STATUS = 1,
    F_OK,
    F_REASON,
    F_VERSION,
    F_URL,
    F_HEADERS,
    F_BODY,
    F_TRAILERS,
    F_TIMINGS,
    F_REUSED,
    F_REMOTE,
    F_REQUEST
};

static const char *const field_names[] = {
    "status",  "ok",      "reason",         "version",
    "url",     "headers", "body",           "trailers",
    "timings", "reused",  "remote_address", "request"};

void lb_push_response(lua_State *L, struct lb_easy *le)
{
    struct lb_response *lr = lua_newuserdatauv(L, sizeof(*lr), RESPONSE_UVS);

    lr->r = NULL;
    lua_pushvalue(L, lua_upvalueindex(LB_RESPONSE));
    lua_setmetatable(L, -2);
    lr->r = ms_easy_take_response(le->e);
    if (lr->r)
        return;
    lua_pop(L, 1);
    lua_pushnil(L);
}

static int response_gc(lua_State *L)
{
    struct lb_response *lr = lua_touserdata(L, 1);

    ms_response_free(lr->r);
    lr->r = NULL;
    return 0;
}

static void push_body(lua_State *L, struct lb_response *lr)
{
    size_t n;

    if (lua_getiuservalue(L, 1, CACHED_BODY) != LUA_TNIL)
        return;
    const char *p = ms_response_body(lr->r, &n);
    if (!n && !ms_response_collected(lr->r))
        return;
    lua_pushlstring(L, p ? p : "", n);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, CACHED_BODY);
    ms_response_drop_body(lr->r);
}

static void push_headers_once(lua_State *L, struct lb_response *lr)
{
    if (lua_getiuservalue(L, 1, CACHED_HEADERS) != LUA_TNIL)
        return;
    lb_push_headers(L, lr->r, ms_response_header);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, CACHED_HEADERS);
}

static void push_timings(lua_State *L, const struct ms_response *r)
{
    static const char *const names[] = {"queue", "resolve",    "connect",
                                        "send",  "first_byte", "total"};

    lua_createtable(L, 0, MS_TIMING_COUNT);
    for (int i = 0; i < MS_TIMING_COUNT; i++) {
        lua_pushnumber(L, (lua_Number)ms_response_timing(r, (enum ms_timing)i) /
                              1000.0);
        lua_setfield(L, -2, names[i]);
    }
}

static void push_request(lua_State *L, const struct ms_response *r)
{
    size_t n;
    const char *p = ms_response_method(r, &n);

    lua_createtable(L, 0, 3);
    lua_pushlstring(L, p, n);
    lua_setfield(L, -2, "method");
    p = ms_response_url(r, &n);
    lua_pushlstring(L, p, n);
    lua_setfield(L, -2, "url");
    lb_push_headers(L, r, ms_response_request_header);
    lua_setfield(L, -2, "headers");
}

static int push_field(lua_State *L, struct lb_response *lr, enum field field)
{
    const struct ms_response *r = lr->r;
    char remote[REMOTE_BYTES];
    int status = ms_response_status(r);
    const char *p;
    size_t n;

    switch (field) {
    case F_STATUS:
        lua_pushinteger(L, status);
        break;
    case F_OK:
        lua_pushboolean(L, status >= 200 && status < 300);
        break;
    case F_REASON:
        p = ms_response_reason(r, &n);
        lua_pushlstring(L, p, n);
        break;
    case F_VERSION:
        lua_pushstring(L, ms_response_version(r));
        break;
    case F_URL:
        p = ms_response_url(r, &n);
        lua_pushlstring(L, p, n);
        break;
    case F_HEADERS:
        push_headers_once(L, lr);
        break;
    case F_BODY:
        push_body(L, lr);
        break;
    case F_TRAILERS:
        lb_push_headers(L, r, ms_response_trailer);
        break;
    case F_TIMINGS:
        push_timings(L, r);
        break;
    case F_REUSED:
        lua_pushboolean(L, ms_response_reused(r));
        break;
    case F_REMOTE:
        lua_pushstring(L, ms_response_remote(r, remote, sizeof(remote)));
        break;
    case F_REQUEST:
        push_request(L, r);
        break;
    }
    return 1;
}

/* Upvalues beyond the metatables: field numbers by name, methods. */
static int response_index(lua_State *L)
{
    struct lb_response *lr = lua_touserdata(L, 1);

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lr->r && lua_rawget(L, lua_upvalueindex(LB_TYPES + 1)) == LUA_TNUMBER)
        return push_field(L, lr, (enum field)lua_tointeger(L, -1));
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(LB_TYPES + 2));
    return 1;
}

static int response_tostring(lua_State *L)
{
    struct lb_response *lr = lua_touserdata(L, 1);
    size_t n = 0;
    const char *url = lr->r ? ms_response_url(lr->r, &n) : "";

    lua_pushfstring(L, "multisocket.response: %d ",
                    lr->r ? ms_response_status(lr->r) : 0);
    lua_pushlstring(L, url, n);
    lua_concat(L, 2);
    return 1;
}

/* A closure over the metatables and the two values at the stack top. */
static void set_with_two(lua_State *L, int first, int meta, lua_CFunction fn)
{
    int two = lua_gettop(L) - 1;

    for (int i = 0; i < LB_TYPES; i++)
        lua_pushvalue(L, first + i);
    lua_pushvalue(L, two);
    lua_pushvalue(L, two + 1);
    lua_pushcclosure(L, fn, LB_TYPES + 2);
    lua_setfield(L, meta, "__index");
    lua_settop(L, two - 1);
}

static void open_headers(lua_State *L, int first)
{
    static const luaL_Reg methods[] = {
        {"get_all", headers_get_all}, {"each", headers_each}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__pairs", headers_each}, {NULL, NULL}};

    lua_pushvalue(L, first + LB_HEADERS - 1);
    lb_setfuncs(L, first, meta);
    int at = lua_gettop(L);
    lua_newtable(L);
    lb_setfuncs(L, first, methods);
    lua_getfield(L, -1, "get_all");
    lua_getfield(L, -2, "each");
    set_with_two(L, first, at, headers_index);
    lua_settop(L, at - 1);
}

void lb_open_response(lua_State *L, int first)
{
    static const luaL_Reg meta[] = {
        {"__gc", response_gc}, {"__tostring", response_tostring}, {NULL, NULL}};
    int module = lua_gettop(L);

    open_headers(L, first);
    lua_pushvalue(L, first + LB_RESPONSE - 1);
    lb_setfuncs(L, first, meta);
    lua_newtable(L);
    for (int i = 0; i < F_REQUEST; i++) {
        lua_pushinteger(L, i + 1);
        lua_setfield(L, -2, field_names[i]);
    }
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, module, "response_methods");
    set_with_two(L, first, module + 1, response_index);
    lua_settop(L, module);
}
