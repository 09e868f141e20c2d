/* SPDX-License-Identifier: MIT
 *
 * lresponse.c - responses and headers: values are made when they are asked
 * for.
 */
#include <string.h>
#include <strings.h>

#include "lua/binding.h"

/* What ms_response_remote() asks for. */
#define REMOTE_BYTES 80

/* A body up to this long comes with the response; a longer one is made a Lua
 * string at once, and its buffer is not kept for the next run. */
#define MAX_BODY_INSIDE 4096

/* User values of a response. */
enum {
    OPTIONS = 1, /* of its request: the response refers to the set; true: it
                  * depends on none */
    CACHED_HEADERS,
    ATTACHED,   /* what core.attach() was given: { stream = { final = } } */
    TLS,        /* holds the reference that the response lends; only where
                 * there is one, or a body behind it */
    CACHED_BODY /* only where it is not inside */
};

/* ---- headers ----------------------------------------------------------- */

struct field {
    size_t name, name_len, value, value_len; /* in the text behind all fields */
};

/* A copy, so that it depends on nothing. */
struct headers {
    struct lb_object object;
    size_t count;
    struct field fields[];
};

static const char *text_of(const struct headers *h)
{
    return (const char *)(h->fields + h->count);
}

static size_t put(char *text, size_t at, const char *p, size_t n)
{
    if (n)
        memcpy(text + at, p, n);
    return at + n;
}

void lb_push_headers(lua_State *L, const struct ms_response *r,
                     lb_field_fn *get)
{
    struct ms_field f;
    size_t count = 0, bytes = 0, at = 0;

    for (; get(r, count, &f); count++)
        bytes += f.name_len + f.value_len;
    luaL_getmetatable(L, "multisocket.headers"); /* callers lack upvalues */
    struct headers *h = lua_newuserdatauv(
        L, sizeof(*h) + count * sizeof(struct field) + bytes, 0);
    lb_mark(L, h, LB_HEADERS, -2);
    lua_remove(L, -2);
    char *text = (char *)(h->fields + count);
    h->count = count;
    for (size_t i = 0; i < count && get(r, i, &f); i++) {
        h->fields[i] =
            (struct field){at, f.name_len, at + f.name_len, f.value_len};
        at = put(text, at, f.name, f.name_len);
        at = put(text, at, f.value, f.value_len);
    }
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

/* The first field of that name at or after `from`, h->count for none. */
static size_t find(const struct headers *h, const char *name, size_t n,
                   size_t from)
{
    const char *text = text_of(h);

    for (size_t i = from; i < h->count; i++)
        if (h->fields[i].name_len == n &&
            same_name(text + h->fields[i].name, name, n))
            return i;
    return h->count;
}

static void push_value(lua_State *L, const struct headers *h, size_t i)
{
    lua_pushlstring(L, text_of(h) + h->fields[i].value, h->fields[i].value_len);
}

static int headers_get_all(lua_State *L)
{
    struct headers *h = lb_check(L, 1, LB_HEADERS);
    lua_Integer count = 0;
    size_t n;

    if (lua_type(L, 2) != LUA_TSTRING)
        return lb_usage(L, "bad_argument",
                        "the name of a header is a string, not %s",
                        lb_typename(L, 2));
    const char *name = lua_tolstring(L, 2, &n);
    lua_newtable(L);
    for (size_t i = find(h, name, n, 0); i < h->count;
         i = find(h, name, n, i + 1)) {
        push_value(L, h, i);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* Upvalues: the headers and the index of the next field. */
static int next_field(lua_State *L)
{
    const struct headers *h = lua_touserdata(L, lua_upvalueindex(1));
    size_t i = (size_t)lua_tointeger(L, lua_upvalueindex(2));

    if (i >= h->count)
        return 0;
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_replace(L, lua_upvalueindex(2));
    const struct field *f = &h->fields[i];
    lua_pushlstring(L, text_of(h) + f->name, f->name_len);
    push_value(L, h, i);
    return 2;
}

static int headers_each(lua_State *L)
{
    lb_check(L, 1, LB_HEADERS);
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_field, 2);
    return 1;
}

static int headers_index(lua_State *L)
{
    struct headers *h = lb_check(L, 1, LB_HEADERS);
    size_t n;

    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(LB_HEADER_METHODS)) != LUA_TNIL)
        return 1;
    const char *name = lua_tolstring(L, 2, &n);
    size_t i = find(h, name, n, 0);
    if (i == h->count)
        return 0;
    push_value(L, h, i);
    return 1;
}

/* ---- responses --------------------------------------------------------- */

enum info {
    STATUS = 1,
    BODY, /* what is asked for most comes first */
    OK,
    REASON,
    VERSION,
    URL,
    HEADERS,
    TRAILERS,
    TIMINGS,
    REUSED,
    REMOTE,
    REQUEST,
    ENCRYPTED, /* tls */
    DECODED,
    COOKIES,
    REDIRECTS,
    ATTEMPTS,
    TIMING /* and so on, one for each enum ms_timing */
};

static const char *const field_names[] = {
    "status",  "body",     "ok",      "reason",    "version",        "url",
    "headers", "trailers", "timings", "reused",    "remote_address", "request",
    "tls",     "decoded",  "cookies", "redirects", "attempts"};
#define FIELDS ((int)(sizeof(field_names) / sizeof(field_names[0])))

/* The enum info of a field of responses, 0 when there is none of that name. */
static int field_of(const char *name, size_t n)
{
    /* What everybody asks for. */
    if (n == 6 && memcmp(name, "status", 6) == 0)
        return STATUS;
    if (n == 4 && memcmp(name, "body", 4) == 0)
        return BODY;
    for (int i = 0; i < FIELDS; i++)
        if (*name == *field_names[i] && strcmp(name, field_names[i]) == 0)
            return STATUS + i;
    return 0;
}

/* In the order of enum ms_timing. */
static const char *const timing_names[MS_TIMING_COUNT] = {
    "queue", "resolve",    "connect", "tls",
    "send",  "first_byte", "total",   "redirect"};

/* What the last run left, NULL for nothing. */
static const struct ms_response *left_by(const struct lb_easy *le)
{
    return le->e && !ms_easy_running(le->e) ? ms_easy_response(le->e) : NULL;
}

static bool comes_inside(const struct ms_response *r)
{
    size_t n;

    ms_response_body(r, &n);
    return n <= MAX_BODY_INSIDE;
}

static void push_string_body(lua_State *L, const struct lb_easy *le)
{
    size_t n;
    const char *p = ms_response_body(ms_easy_response(le->e), &n);

    lua_pushlstring(L, p, n);
    if (le->e)
        ms_easy_drop_body(le->e);
}

typedef const struct ms_response *found_fn(const struct lb_easy *le);

static struct lb_response *push_none(lua_State *L)
{
    lua_pushnil(L);
    return NULL;
}

/* Making room may collect garbage, and a finaliser of the program's may close
 * or restart this very easy: then there is nothing left of the run, and NULL
 * comes back for the nil. */
static struct lb_response *push_copy(lua_State *L, const struct lb_easy *le,
                                     int easy, found_fn *found)
{
    const struct ms_response *r = found(le);

    if (!r)
        return push_none(L);
    bool inside = comes_inside(r);
    bool once = le->run->once; /* its set is gone with the next run */
    unsigned what =
        (inside ? MS_COPY_BODY : 0u) | (once ? MS_COPY_REQUEST : 0u);
    size_t bytes = ms_response_copy_bytes(r, what);
    int uvs = !inside ? CACHED_BODY : ms_response_tls(r) ? TLS : ATTACHED;
    struct lb_response *lr =
        lb_new_raw(L, LB_RESPONSE, sizeof(*lr) + bytes, uvs);
    if (found(le) != r || ms_response_copy_bytes(r, what) != bytes) {
        lua_pop(L, 1);
        return push_none(L);
    }
    lr->r = ms_response_copy(r, lr + 1, what);
    if (once)
        lua_pushboolean(L, 1);
    else
        lua_getiuservalue(L, easy, LB_EASY_RUN);
    lua_setiuservalue(L, -2, OPTIONS);
    if (inside)
        return lr;
    push_string_body(L, le);
    lua_setiuservalue(L, -2, CACHED_BODY);
    return lr;
}

static struct ms_tls_info *tls_found(const struct lb_easy *le, found_fn *found)
{
    const struct ms_response *r = found(le);

    return r ? ms_response_tls(r) : NULL;
}

/* The response at the top holds what is at `tls`, if that is what it needs. */
static void hold_tls(lua_State *L, const struct lb_response *lr, int tls)
{
    const struct ms_tls_info *info = lb_tls_of(L, tls);

    if (!lr || ms_response_tls(lr->r) != info)
        return;
    lua_pushvalue(L, tls);
    lua_setiuservalue(L, -2, TLS);
}

/* A fetcher's easy remembers it: the next response comes from the same
 * connection, mostly. */
static void remember_tls(lua_State *L, struct lb_easy *le, int easy, int tls)
{
    if (!le->home)
        return;
    lua_pushvalue(L, tls);
    lua_setiuservalue(L, easy, LB_EASY_TLS);
    le->tls = lb_tls_of(L, tls);
}

/* The object for what TLS left comes first, so that the copy finds it held. */
static void push_copy_tls(lua_State *L, struct lb_easy *le, int easy,
                          found_fn *found)
{
    if (!lb_find_tls(L, tls_found(le, found))) {
        lb_push_new_tls(L);
        lb_hold_tls(L, tls_found(le, found));
    }
    int tls = lua_gettop(L);
    remember_tls(L, le, easy, tls);
    hold_tls(L, push_copy(L, le, easy, found), tls);
    lua_remove(L, tls);
}

/* The same where the easy holds that object. */
static void push_copy_same_tls(lua_State *L, const struct lb_easy *le, int easy,
                               found_fn *found)
{
    const struct ms_tls_info *info = le->tls;

    const struct lb_response *lr = push_copy(L, le, easy, found);
    if (!lr || ms_response_tls(lr->r) != info)
        return;
    lua_getiuservalue(L, easy, LB_EASY_TLS);
    lua_setiuservalue(L, -2, TLS);
}

static void push_found(lua_State *L, struct lb_easy *le, int easy,
                       found_fn *found)
{
    const struct ms_tls_info *info = tls_found(le, found);

    if (!info)
        push_copy(L, le, easy, found);
    else if (info == le->tls)
        push_copy_same_tls(L, le, easy, found);
    else
        push_copy_tls(L, le, easy, found);
}

void lb_push_response(lua_State *L, struct lb_easy *le, int easy)
{
    push_found(L, le, easy, left_by);
}

/* What there is so far of a run under way. */
static const struct ms_response *known_of(const struct lb_easy *le)
{
    return le->e ? ms_easy_response(le->e) : NULL;
}

void lb_push_snapshot(lua_State *L, struct lb_easy *le, int easy)
{
    push_found(L, le, easy, known_of);
}

/* ---- what Lua keeps with a response ------------------------------------- */

static int attach(lua_State *L)
{
    lb_check(L, 1, LB_RESPONSE);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, ATTACHED);
    return 0;
}

static int attached(lua_State *L)
{
    lb_check(L, 1, LB_RESPONSE);
    lua_getiuservalue(L, 1, ATTACHED);
    return 1;
}

/* The response of a stream that was read to its end: it has the trailers and
 * all timings, which the one made after the head has not. NULL for others. */
static const struct ms_response *final_of(lua_State *L, int self)
{
    int top = lua_gettop(L);
    struct lb_response *lr = NULL;

    if (lua_getiuservalue(L, self, ATTACHED) == LUA_TTABLE &&
        lua_getfield(L, -1, "stream") == LUA_TTABLE) {
        lua_getfield(L, -1, "final");
        lr = lb_test(L, -1, LB_RESPONSE);
    }
    lua_settop(L, top);
    return lr ? lr->r : NULL;
}

/* A long one is a string already; of a short one a string is made each time,
 * which costs less than keeping it. */
static void push_body(lua_State *L, const struct ms_response *r, int self)
{
    size_t n;

    if (!ms_response_collected(r)) {
        lua_pushnil(L);
        return;
    }
    const char *p = ms_response_body(r, &n);
    if (n || lua_getiuservalue(L, self, CACHED_BODY) != LUA_TSTRING)
        lua_pushlstring(L, n ? p : "", n);
}

static void push_cached_headers(lua_State *L, const struct ms_response *r,
                                int self)
{
    if (lua_getiuservalue(L, self, CACHED_HEADERS) != LUA_TNIL)
        return;
    lb_push_headers(L, r, ms_response_header);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, self, CACHED_HEADERS);
}

static bool is_set_cookie(const struct headers *h, const struct field *f)
{
    static const char name[] = "set-cookie";

    return f->name_len == sizeof(name) - 1 &&
           strncasecmp(text_of(h) + f->name, name, f->name_len) == 0;
}

/* res.cookies: what the Set-Cookie fields say, in order; and by name, the
 * value of the last one. What is no cookie is left out. */
static void push_cookies(lua_State *L, const struct ms_response *r, int self)
{
    struct ms_cookie_info c;
    const char *why;

    if (self)
        push_cached_headers(L, r, self);
    else
        lb_push_headers(L, r, ms_response_header);
    const struct headers *h = lua_touserdata(L, -1);
    lua_newtable(L);
    for (size_t i = 0; i < h->count; i++) {
        const struct field *f = &h->fields[i];
        if (!is_set_cookie(h, f) ||
            ms_cookie_read(text_of(h) + f->value, f->value_len, &c, &why))
            continue;
        lb_push_cookie(L, &c);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        lua_pushlstring(L, c.name, c.name_len);
        lua_pushlstring(L, c.value, c.value_len);
        lua_rawset(L, -3);
    }
    lua_remove(L, -2);
}

/* Milliseconds; 0 for what did not happen. */
static void push_timing(lua_State *L, const struct ms_response *r, int which)
{
    lua_Number us = (lua_Number)ms_response_timing(r, (enum ms_timing)which);

    lua_pushnumber(L, us / 1000.0);
}

static void push_timings(lua_State *L, const struct ms_response *r)
{
    lua_createtable(L, 0, MS_TIMING_COUNT);
    for (int i = 0; i < MS_TIMING_COUNT; i++) {
        push_timing(L, r, i);
        lua_setfield(L, -2, timing_names[i]);
    }
}

static void push_text(lua_State *L, const struct ms_response *r,
                      const char *get(const struct ms_response *r, size_t *n))
{
    size_t n;
    const char *p = get(r, &n);

    lua_pushlstring(L, p, n);
}

static void push_remote(lua_State *L, const struct ms_response *r)
{
    char text[REMOTE_BYTES];

    ms_response_remote(r, text, sizeof(text));
    lua_pushstring(L, *text ? text : NULL);
}

static void push_request(lua_State *L, const struct ms_response *r)
{
    lua_createtable(L, 0, 3);
    push_text(L, r, ms_response_method);
    lua_setfield(L, -2, "method");
    push_text(L, r, ms_response_url);
    lua_setfield(L, -2, "url");
    lb_push_headers(L, r, ms_response_request_header);
    lua_setfield(L, -2, "headers");
}

static void push_decoded(lua_State *L, const struct ms_response *r)
{
    const char *p;
    size_t n;

    lua_newtable(L);
    for (size_t i = 0; (p = ms_response_decoded(r, i, &n)); i++) {
        lua_pushlstring(L, p, n);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_redirects(lua_State *L, const struct ms_response *r)
{
    struct ms_redirect hop;

    lua_newtable(L);
    for (size_t i = 0; ms_response_redirect(r, i, &hop); i++) {
        lua_createtable(L, 0, 3);
        lua_pushinteger(L, hop.status);
        lua_setfield(L, -2, "status");
        lua_pushlstring(L, hop.url, hop.url_len);
        lua_setfield(L, -2, "url");
        lua_pushlstring(L, hop.location, hop.location_len);
        lua_setfield(L, -2, "location");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void lb_push_info(lua_State *L, const struct ms_response *r, int info, int self)
{
    int status = ms_response_status(r);

    switch ((enum info)info) {
    case STATUS:
        lua_pushinteger(L, status);
        break;
    case OK:
        lua_pushboolean(L, status >= 200 && status < 300);
        break;
    case REASON:
        push_text(L, r, ms_response_reason);
        break;
    case VERSION:
        lua_pushstring(L, ms_response_version(r));
        break;
    case URL:
        push_text(L, r, ms_response_url);
        break;
    case HEADERS:
        if (self)
            push_cached_headers(L, r, self);
        else
            lb_push_headers(L, r, ms_response_header);
        break;
    case BODY:
        if (self)
            push_body(L, r, self);
        else
            lua_pushnil(L); /* not there yet */
        break;
    case TRAILERS:
        lb_push_headers(L, r, ms_response_trailer);
        break;
    case TIMINGS:
        push_timings(L, r);
        break;
    case REUSED:
        lua_pushboolean(L, ms_response_reused(r));
        break;
    case ATTEMPTS:
        lua_pushinteger(L, ms_response_attempts(r));
        break;
    case REMOTE:
        push_remote(L, r);
        break;
    case REQUEST:
        push_request(L, r);
        break;
    case COOKIES:
        push_cookies(L, r, self);
        break;
    case ENCRYPTED:
        if (ms_response_tls(r))
            lb_push_tls_table(L, ms_response_tls(r));
        else
            lua_pushnil(L);
        break;
    case DECODED:
        push_decoded(L, r);
        break;
    case REDIRECTS:
        push_redirects(L, r);
        break;
    default:
        push_timing(L, r, info - TIMING);
        break;
    }
}

int lb_check_info(lua_State *L, int index)
{
    const char *name =
        lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;

    if (!name)
        return lb_usage(L, "bad_argument",
                        "argument #%d must be a string, not %s", index,
                        lb_typename(L, index));
    int field = field_of(name, strlen(name));
    if (field)
        return field;
    for (int i = 0; i < MS_TIMING_COUNT; i++)
        if (strcmp(name, timing_names[i]) == 0)
            return TIMING + i;
    return lb_usage(L, "bad_argument", "there is no information called \"%s\"",
                    name);
}

/* While the program ends, finalisers may have freed the option set before
 * others look at the response. */
static bool has_options(lua_State *L, int self)
{
    lua_getiuservalue(L, self, OPTIONS);
    const struct lb_options *lo = lua_touserdata(L, -1);
    bool depends = !lua_isboolean(L, -1);

    lua_pop(L, 1);
    return !depends || (lo && lo->o);
}

/* The same of what TLS left. */
static bool has_tls(lua_State *L, int self)
{
    lua_getiuservalue(L, self, TLS);
    bool has = lb_tls_of(L, -1) != NULL;

    lua_pop(L, 1);
    return has;
}

static int response_index(lua_State *L)
{
    struct lb_response *lr = lb_self(L, LB_RESPONSE);
    size_t n;
    /* No field has the name of a number: that one may become a string. */
    const char *name = lua_tolstring(L, 2, &n);
    int info = name ? field_of(name, n) : 0;

    if (info == STATUS) {
        lua_pushinteger(L, ms_response_status(lr->r));
    } else if (!info) {
        lua_settop(L, 2);
        lua_rawget(L, lua_upvalueindex(LB_METHODS));
    } else if ((info == REQUEST && !has_options(L, 1)) ||
               (info == ENCRYPTED && !has_tls(L, 1))) {
        lua_pushnil(L);
    } else {
        const struct ms_response *r = NULL;
        if (info == TRAILERS || info == TIMINGS)
            r = final_of(L, 1);
        lb_push_info(L, r ? r : lr->r, info, 1);
    }
    return 1;
}

static int response_tostring(lua_State *L)
{
    struct lb_response *lr = lb_check(L, 1, LB_RESPONSE);
    size_t n;
    const char *url = ms_response_url(lr->r, &n);

    lua_pushfstring(L, "multisocket.response: %d ", ms_response_status(lr->r));
    lb_push_shown_url(L, url, n);
    lua_concat(L, 2);
    return 1;
}

void lb_open_response(lua_State *L)
{
    static const luaL_Reg headers_meta[] = {
        {"__index", headers_index}, {"__pairs", headers_each}, {NULL, NULL}};
    static const luaL_Reg headers_methods[] = {
        {"get_all", headers_get_all}, {"each", headers_each}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"attach", attach}, {"attached", attached}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__index", response_index},
                                    {"__tostring", response_tostring},
                                    {NULL, NULL}};

    lua_pushvalue(L, LB_HEADER_METHODS);
    lb_setfuncs(L, headers_methods);
    lua_pop(L, 1);
    lb_set_type(L, LB_HEADERS, headers_meta, NULL);
    lb_set_type(L, LB_RESPONSE, meta, NULL);
    lb_setfuncs(L, functions);
}
