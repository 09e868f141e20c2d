/* SPDX-License-Identifier: MIT
 *
 * binding.h - what the files of the Lua binding share.
 *
 * Every method is a C closure over the five metatables of the module, so that
 * a check of `self` is a pointer comparison and no registry look-up. Nothing
 * keeps a lua_State over calls: a multi knows the state of the entry under
 * way and forgets it at its end.
 */
#ifndef MS_LUA_BINDING_H
#define MS_LUA_BINDING_H

#include <lauxlib.h>
#include <lua.h>

#include "multisocket.h"

/* Upvalues of every method: the metatables. */
enum lb_type { LB_MULTI = 1, LB_EASY, LB_OPTIONS, LB_RESPONSE, LB_HEADERS };
#define LB_TYPES 5

/* User values of a multi. */
enum {
    LB_MULTI_SOCKETFUNCTION = 1,
    LB_MULTI_TIMERFUNCTION,
    LB_MULTI_DONEFUNCTION,
    LB_MULTI_ERRORFUNCTION,
    LB_MULTI_EASIES, /* lightuserdata -> easy, while added */
    LB_MULTI_VALUES, /* fd -> what assign() stored */
    LB_MULTI_CAUSE,  /* error of a socket or timer callback */
    LB_MULTI_RAISE,  /* interrupt to raise when the entry is over */
    LB_MULTI_UVS = LB_MULTI_RAISE
};

/* User values of an easy, and of an option set the first two. */
enum {
    LB_EASY_ON_HEADERS = 1,
    LB_EASY_ON_DATA,
    LB_OPTIONS_UVS = LB_EASY_ON_DATA,
    LB_EASY_CAUSE,    /* error of one of its callbacks */
    LB_EASY_RESPONSE, /* of the last run, once asked for */
    LB_EASY_MULTI,    /* while added */
    LB_EASY_UVS = LB_EASY_MULTI
};

struct lb_multi {
    struct ms_multi *m; /* NULL once finalised */
    lua_State *L;       /* of the entry under way, NULL outside */
    int self;           /* where the multi is on its stack */
    bool raise;         /* LB_MULTI_RAISE holds something */
};

struct lb_easy {
    struct ms_easy *e; /* NULL once closed */
    bool has_callbacks;
};

struct lb_options {
    struct ms_options *o;
    bool has_callbacks;
};

/* ---- entries (lmulti.c) ------------------------------------------------ */

struct lb_entry {
    struct lb_multi *lm;
    lua_State *L; /* of the entry around this one */
    int self;
};

/* Makes `L` the state that callbacks use; the multi is at index `self`. */
struct lb_entry lb_enter(lua_State *L, struct lb_multi *lm, int self);
/* Restores; raises an interrupt that came meanwhile. */
void lb_leave(lua_State *L, struct lb_entry *entry);

/* The multi that an easy is added to, pushed; NULL and nothing pushed when it
 * is in none. */
struct lb_multi *lb_push_multi_of(lua_State *L, int easy);

/* ---- objects ----------------------------------------------------------- */

/* The userdata at `index` when it is of that type, NULL otherwise. */
void *lb_test(lua_State *L, int index, enum lb_type type);
/* The same, raising a usage error that names the argument. */
void *lb_check(lua_State *L, int index, enum lb_type type, const char *what);
/* Registers methods over the metatables, which stand at `first` and after. */
void lb_setfuncs(lua_State *L, int first, const luaL_Reg *funcs);

struct lb_multi *lb_check_multi(lua_State *L, int index);
/* Raises when it is closed. */
struct lb_easy *lb_check_easy(lua_State *L, int index);

/* Pushes a response userdata that owns what easy `le` holds, nil for none. */
void lb_push_response(lua_State *L, struct lb_easy *le);

/* Pushes a headers userdata with a copy of all fields `get` has. */
typedef bool lb_field_fn(const struct ms_response *r, size_t index,
                         struct ms_field *field);
void lb_push_headers(lua_State *L, const struct ms_response *r,
                     lb_field_fn *get);

/* Sets the callbacks of an easy from the user values of the object at
 * `from`, or removes them when `has` is false. */
void lb_take_callbacks(lua_State *L, int easy, int from, bool has);

/* ---- options (loptions.c) ---------------------------------------------- */

/* Reads a table of options into `o` and the callbacks into the first user
 * values of the object at `target`, setting *has_callbacks. A url, where
 * `url` is not NULL, is left on the stack top with *url true. Raises usage
 * errors; `o` is freed first. */
void lb_parse_options(lua_State *L, int table, struct ms_options *o, int target,
                      bool *has_callbacks);

/* Pushes the nearest of `count` names, "" when none is near. */
const char *lb_suggest(const char *name, const char *const *names,
                       size_t count);

/* ---- errors (lerror.c) ------------------------------------------------- */

/* Raises an err of category "usage". */
int lb_usage(lua_State *L, const char *code, const char *fmt, ...);
/* The usage error for what an ms_* function refused. */
int lb_raise(lua_State *L, ms_err err, const char *what);
/* Pushes the err of an easy's last run; `easy` and `multi` (0: none) are the
 * indexes of their userdata. */
void lb_push_error(lua_State *L, struct lb_easy *le, int easy, int multi);
/* True for the string that Ctrl-C raises. */
bool lb_is_interrupt(lua_State *L, int index);

/* Adds the functions of a file to the module table at the stack top; the
 * metatables stand at `first` and after. */
void lb_open_error(lua_State *L, int first);
void lb_open_options(lua_State *L, int first);
void lb_open_easy(lua_State *L, int first);
void lb_open_multi(lua_State *L, int first);
void lb_open_response(lua_State *L, int first);
void lb_open_epoll(lua_State *L, int first);

#endif
