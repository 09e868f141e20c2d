/* SPDX-License-Identifier: MIT
 *
 * ltls.c - what a response tells of its TLS connection.
 *
 * A response without a finaliser cannot hold a reference of the engine's; an
 * object of ours does, one for all responses of a connection, and they hold
 * that.
 */
#include <string.h>

#include "lua/binding.h"

/* The longest fact but the certificate itself. */
#define FACT_BYTES 512

struct lb_tls {
    struct lb_object object;
    struct ms_tls_info *info; /* NULL once finalised */
};

/* Where the registry keeps them: info -> object, weak. */
static const char objects;

bool lb_find_tls(lua_State *L, const struct ms_tls_info *info)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &objects);
    if (lua_rawgetp(L, -1, info) != LUA_TNIL) {
        lua_remove(L, -2);
        return true;
    }
    lua_pop(L, 2);
    return false;
}

void lb_push_new_tls(lua_State *L)
{
    luaL_getmetatable(L, "multisocket.tls"); /* callers lack upvalues */
    struct lb_tls *lt = lua_newuserdatauv(L, sizeof(*lt), 0);
    *lt = (struct lb_tls){.info = NULL};
    lb_mark(L, lt, LB_TLS, lua_gettop(L) - 1);
    lua_remove(L, -2);
}

void lb_hold_tls(lua_State *L, struct ms_tls_info *info)
{
    struct lb_tls *lt = lua_touserdata(L, -1);

    lt->info = ms_tls_info_use(info);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &objects);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, info);
    lua_pop(L, 1);
}

static void push_fact(lua_State *L, const struct ms_tls_info *info,
                      enum ms_tls_fact fact)
{
    char text[FACT_BYTES];
    luaL_Buffer b;
    size_t n = ms_tls_info_text(info, fact, text, sizeof(text));

    if (n < sizeof(text)) {
        lua_pushlstring(L, text, n);
        return;
    }
    char *p = luaL_buffinitsize(L, &b, n + 1);
    ms_tls_info_text(info, fact, p, n + 1);
    luaL_pushresultsize(&b, n);
}

static const struct {
    const char *name;
    enum ms_tls_fact fact;
} certificate_facts[] = {
    {"subject", MS_TLS_SUBJECT},
    {"issuer", MS_TLS_ISSUER},
    {"serial", MS_TLS_SERIAL},
    {"not_before", MS_TLS_NOT_BEFORE},
    {"not_after", MS_TLS_NOT_AFTER},
    {"fingerprint", MS_TLS_FINGERPRINT},
    {"public_key_pin", MS_TLS_PUBLIC_KEY_PIN},
    {"pem", MS_TLS_PEM},
};

#define FACTS ((int)(sizeof(certificate_facts) / sizeof(certificate_facts[0])))

/* A list of what stands with ", " between. */
static void push_names(lua_State *L, const struct ms_tls_info *info)
{
    lua_Integer count = 0;

    lua_newtable(L);
    push_fact(L, info, MS_TLS_NAMES);
    const char *s = lua_tostring(L, -1);
    while (*s) {
        size_t n = strcspn(s, ",");
        lua_pushlstring(L, s, n);
        lua_rawseti(L, -3, ++count);
        s += n + strspn(s + n, ", ");
    }
    lua_pop(L, 1);
}

static void push_certificate(lua_State *L, const struct ms_tls_info *info)
{
    char none[1];

    if (!ms_tls_info_text(info, MS_TLS_PEM, none, sizeof(none))) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, FACTS + 1);
    push_names(L, info);
    lua_setfield(L, -2, "names");
    for (int i = 0; i < FACTS; i++) {
        push_fact(L, info, certificate_facts[i].fact);
        lua_setfield(L, -2, certificate_facts[i].name);
    }
}

void lb_push_tls_table(lua_State *L, const struct ms_tls_info *info)
{
    lua_createtable(L, 0, 6);
    push_fact(L, info, MS_TLS_VERSION);
    lua_setfield(L, -2, "version");
    push_fact(L, info, MS_TLS_CIPHER);
    lua_setfield(L, -2, "cipher");
    push_fact(L, info, MS_TLS_PROTOCOL);
    if (!lua_rawlen(L, -1)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    lua_setfield(L, -2, "alpn");
    lua_pushboolean(L, ms_tls_info_verified(info));
    lua_setfield(L, -2, "verified");
    lua_pushboolean(L, ms_tls_info_resumed(info));
    lua_setfield(L, -2, "resumed");
    push_certificate(L, info);
    lua_setfield(L, -2, "peer_certificate");
}

const struct ms_tls_info *lb_tls_of(lua_State *L, int index)
{
    const struct lb_tls *lt = lua_touserdata(L, index);

    return lt ? lt->info : NULL;
}

static int tls_gc(lua_State *L)
{
    struct lb_tls *lt = lb_check(L, 1, LB_TLS);

    ms_tls_info_free(lt->info);
    lt->info = NULL;
    return 0;
}

void lb_open_tls(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", tls_gc}, {NULL, NULL}};

    lb_set_type(L, LB_TLS, meta, NULL);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &objects);
}
