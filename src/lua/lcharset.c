/* SPDX-License-Identifier: MIT
 *
 * lcharset.c - the system's iconv, for charsets that are not worth a table.
 */
#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "lua/binding.h"

/* Text is made in pieces of this size. */
#define PIECE 1024

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

struct text {
    char *in;
    size_t left;
    char *out; /* NULL: only counted */
    size_t made;
};

static void put(struct text *t, const char *p, size_t n)
{
    if (t->out)
        memcpy(t->out + t->made, p, n);
    t->made += n;
}

/* Passes over what means nothing. */
static void replace(struct text *t, size_t unit)
{
    size_t n = t->left < unit ? t->left : unit;

    put(t, replacement, sizeof(replacement) - 1);
    t->in += n;
    t->left -= n;
}

/* Calls nothing of Lua's, so that the descriptor is closed in any case. False:
 * the system does not know the encoding. */
static bool convert(struct text *t, const char *encoding)
{
    size_t unit = strncmp(encoding, "UTF-16", 6) == 0 ? 2 : 1;
    iconv_t cd = iconv_open("UTF-8", encoding);
    char piece[PIECE];

    if (cd == (iconv_t)-1)
        return false;
    for (bool last = false; !last;) {
        char *out = piece;
        size_t room = PIECE;
        last = t->left == 0; /* then what it has kept comes out */
        size_t n = iconv(cd, last ? NULL : &t->in, &t->left, &out, &room);
        int why = n == (size_t)-1 ? errno : 0;
        put(t, piece, PIECE - room);
        if (why == EILSEQ || why == EINVAL)
            replace(t, unit);
    }
    iconv_close(cd);
    return true;
}

/* iconv(text, encoding): the text in UTF-8, with U+FFFD for what means nothing
 * in that encoding; nil where the system does not know it. */
static int from_charset(lua_State *L)
{
    for (int i = 1; i <= 2; i++)
        if (lua_type(L, i) != LUA_TSTRING)
            return lb_usage(L, "bad_argument",
                            "argument #%d must be a string, not %s", i,
                            lb_typename(L, i));
    size_t n;
    const char *text = lua_tolstring(L, 1, &n);
    const char *encoding = lua_tostring(L, 2);
    char *in = (char *)(uintptr_t)text; /* iconv's type; it is only read */
    struct text t = {in, n, NULL, 0};
    luaL_Buffer b;

    bool known = convert(&t, encoding);
    if (known) {
        char *out = luaL_buffinitsize(L, &b, t.made);
        t = (struct text){in, n, out, 0};
        known = convert(&t, encoding);
    }
    if (known)
        luaL_pushresultsize(&b, t.made);
    else
        lua_pushnil(L);
    return 1;
}

void lb_open_charset(lua_State *L)
{
    static const luaL_Reg functions[] = {{"iconv", from_charset}, {NULL, NULL}};

    lb_setfuncs(L, functions);
}
