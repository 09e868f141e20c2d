/* SPDX-License-Identifier: MIT
 *
 * binding.h - what the files of the Lua binding share.
 *
 * The binding is thin: a method checks its arguments, calls the engine and
 * pushes the result. Three rules hold it together.
 *
 * Every function is a closure over the same upvalues, and every object begins
 * with a mark of its type, so that a check of `self` compares two pointers and
 * looks nothing up by name.
 *
 * Nothing keeps a lua_State over calls. A multi knows the state of the entry
 * under way, for the callbacks, and forgets it at the end (lentry.c).
 *
 * No Lua error may pass through the engine: whatever a callback does in Lua
 * is protected, the making of its arguments included. What can neither raise
 * nor allocate (pushing numbers, reading user values and tables) is done
 * outside, because that is cheaper.
 *
 * What belongs to an object hangs on it by user values, never by references
 * in the registry: those would make cycles that are not collected.
 */
#ifndef MS_LUA_BINDING_H
#define MS_LUA_BINDING_H

#include <lauxlib.h>
#include <lua.h>

#include "multisocket.h"

/* Upvalues of every function: the metatables of the types, then tables. */
enum lb_type {
    LB_MULTI = 1,
    LB_EASY,
    LB_OPTIONS,
    LB_RESPONSE,
    LB_HEADERS,
    LB_EPOLL,
    LB_TURN,
    LB_PUMP,
    LB_FETCHER,
    LB_UPLOAD,
    LB_TLS,
    LB_JAR,
    LB_TYPES = LB_JAR,
    LB_DEFAULTS,       /* an option set in which nothing is set */
    LB_MULTIS,         /* struct lb_multi * -> multi, weak */
    LB_METHODS,        /* core.response_methods */
    LB_HEADER_METHODS, /* name -> function */
    LB_GUARDS, /* function <-> light userdata, both weak; [0]: the last one */
    LB_UPVALUES = LB_GUARDS
};

/* User values of a multi. */
enum {
    LB_MULTI_SOCKETFUNCTION = 1,
    LB_MULTI_TIMERFUNCTION,
    LB_MULTI_DONEFUNCTION,
    LB_MULTI_ERRORFUNCTION,
    LB_MULTI_EASIES,    /* struct ms_easy * -> easy, while added: the anchor */
    LB_MULTI_VALUES,    /* fd -> what assign() stored */
    LB_MULTI_CAUSE,     /* error of a socket or timer callback, for the */
    LB_MULTI_TRACEBACK, /* transfers that end by it */
    LB_MULTI_INTERRUPT, /* to raise when the entry is over */
    LB_MULTI_TURN,      /* of its fetcher */
    LB_MULTI_FETCHER,
    LB_MULTI_GUARDS, /* what LB_GUARDS is */
    LB_MULTI_UVS = LB_MULTI_GUARDS
};

/* A string as a body is kept from this size on in place of being copied: a copy
 * of less costs about what keeping it does. */
#define LB_KEPT_BODY ((size_t)32 * 1024)

/* User values of an option set. */
enum {
    LB_OPTIONS_ON_HEADERS = 1,
    LB_OPTIONS_ON_DATA,
    LB_OPTIONS_ON_DEBUG,
    LB_OPTIONS_ON_PROGRESS,
    LB_OPTIONS_BODY,  /* an upload, or a string that the engine does not copy */
    LB_OPTIONS_GUARD, /* the function allow_address is */
    LB_OPTIONS_RESOLVER,
    LB_OPTIONS_UVS = LB_OPTIONS_RESOLVER
};

/* User values of an easy. */
enum {
    LB_EASY_OPTIONS = 1, /* the option set of the next run */
    LB_EASY_RUN,         /* and of the run under way, or the last one */
    LB_EASY_CAUSE,       /* error of one of its callbacks */
    LB_EASY_TRACEBACK,
    LB_EASY_RESPONSE, /* of the last run, once asked for */
    LB_EASY_TLS,      /* of a fetcher: what TLS left of its last run */
    LB_EASY_UVS = LB_EASY_TLS
};

/* What messages call the types. */
struct lb_type_names {
    const char *name, *article;
};
extern const struct lb_type_names lb_types[LB_TYPES + 1];

/* What every userdata begins with. */
struct lb_object {
    const struct lb_type_names *type; /* lb_new() sets it, lb_test() looks */
};

struct lb_fetcher;

struct lb_multi {
    struct lb_object object;
    struct lb_fetcher *fetcher; /* LB_MULTI_FETCHER, or NULL */
    struct ms_multi *m;         /* NULL once finalised */
    lua_State *L;               /* of the entry under way, NULL outside */
    int self;                   /* where the multi is on its stack */
    bool closed;
    bool interrupted;  /* LB_MULTI_INTERRUPT holds an error */
    bool blamed;       /* LB_MULTI_CAUSE holds an error */
    bool unclaimed;    /* and no transfer has ended by it so far */
    bool calling_back; /* a coroutine is resumed by the engine's callback */
};

struct lb_options {
    struct lb_object object;
    struct ms_options *o;
    struct lb_upload *upload; /* LB_OPTIONS_BODY, or NULL */
    bool has_headers, has_data, has_debug, has_progress; /* its callbacks */
    bool has_values; /* a user value was set; most sets have none */
    bool once;       /* stands for the set that an easy has for one run */
};

struct lb_easy {
    struct lb_object object;
    struct ms_easy *e;                      /* NULL once closed */
    const struct lb_options *options, *run; /* what the user values hold, or
                                             * &lb_once_options */
    bool stale; /* user values of the last run are to be dropped */

    /* Of a fetcher (lfetch.c). */
    struct lb_fetcher *home;
    lua_State *thread; /* what the fetcher keeps for it, if a coroutine */
    lua_State *waiter; /* the coroutine that waits for its end, or NULL */
    const struct ms_tls_info *tls; /* of LB_EASY_TLS, NULL for none */
    bool adopted;         /* that is an operation, which waits instead */
    struct lb_easy *next; /* on the list of those that are free */
    lua_Integer slot;     /* where the fetcher keeps it, 0: not a fetcher's */
};

struct lb_pump;

/* User values of an epoll set that has a pump. */
enum {
    LB_SET_MULTI = 1,
    LB_SET_DRIVER,
    LB_SET_AFTER, /* function(driver, ok, err) */
    LB_SET_UVS = LB_SET_AFTER
};

/* An epoll set, behind one descriptor. */
struct lb_set {
    struct lb_object object;
    int fd;    /* + 1, so that 0 is a closed set */
    bool edge; /* a readiness is told once */

    /* With a pump (lpump.c). */
    struct lb_pump *pump; /* or NULL */
    struct lb_multi *lm;
    bool held;  /* what the driver knows: transfers run */
    bool noted; /* it wants to hear of the next event */
};

/* What came back, in one block without a finaliser: the collector knows all
 * of its memory. */
struct lb_response {
    struct lb_object object;
    struct ms_response *r; /* in the same block */
};

/* ---- arguments (mod.c) ------------------------------------------------- */

/* The userdata at `index` when it is of that type, NULL otherwise. */
void *lb_test(lua_State *L, int index, enum lb_type type);
/* The same, raising a usage error that names the argument. */
void *lb_check(lua_State *L, int index, enum lb_type type);
/* The same of argument 1 of a metamethod. Programs do not get hold of these, so
 * it is a userdata with a mark: its length is not asked for. */
static inline void *lb_self(lua_State *L, enum lb_type type)
{
    const struct lb_object *o = lua_touserdata(L, 1);

    return o && o->type == &lb_types[type] ? (void *)o : lb_check(L, 1, type);
}
/* What an error message calls the value at `index`; may push. */
const char *lb_typename(lua_State *L, int index);
/* A new userdata of that type with `uvs` user values, pushed, and zero but for
 * its mark. */
void *lb_new(lua_State *L, enum lb_type type, size_t size, int uvs);
/* The same, not zeroed: for types without a finaliser. */
void *lb_new_raw(lua_State *L, enum lb_type type, size_t size, int uvs);
/* Makes the new userdata `object`, which is at the top, one of that type, whose
 * metatable is at `meta`. */
void lb_mark(lua_State *L, void *object, enum lb_type type, int meta);
/* The whole number at `index`; raises when it is another type or not within
 * `least` to `most`. */
lua_Integer lb_check_int(lua_State *L, int index, lua_Integer least,
                         lua_Integer most);
/* What switches a default off; nil does not. */
static inline bool lb_is_false(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TBOOLEAN && !lua_toboolean(L, index);
}
/* Raises unless there is a table at `index`. */
void lb_check_table(lua_State *L, int index, const char *what);
void lb_check_function(lua_State *L, int index);

/* ---- entries and callbacks (lentry.c) ---------------------------------- */

struct lb_entry {
    struct lb_multi *lm;
    lua_State *L; /* of the entry around this one */
    int self;
};

/* Every engine call that may call back stands between these two, and nothing
 * that raises. `self` is the absolute index of the multi. */
struct lb_entry lb_enter(lua_State *L, struct lb_multi *lm, int self);
/* Raises an interrupt (Ctrl-C) that a callback met. */
void lb_leave(lua_State *L, struct lb_entry *entry);
/* Pushes it instead, and is false then. */
bool lb_leave_quietly(lua_State *L, struct lb_entry *entry);

/* The message handler to push below every function for lb_call(). */
int lb_traceback(lua_State *L);
/* Calls a function with `nargs` values on lm->L and drops its results. False
 * when it raised: then the error and a traceback are pushed. */
bool lb_call(struct lb_multi *lm, int nargs);
/* Pops error and traceback: they become the cause of `easy`'s end. False when
 * it is not added (any more), and nothing is popped. */
bool lb_blame(struct lb_multi *lm, struct ms_easy *easy);
/* Pops them: the cause of whatever ends next by a callback, and reported when
 * nothing does. */
void lb_blame_any(struct lb_multi *lm);
/* Pops them: an error nobody else gets goes to errorfunction. */
void lb_report(struct lb_multi *lm);

/* Pushes the easy's userdata, nil when it is not added. */
void lb_push_easy(struct lb_multi *lm, struct ms_easy *easy);
/* Lets an easy that has left the multi at `multi` go. */
void lb_unanchor(lua_State *L, int multi, struct ms_easy *easy);

/* ---- objects ----------------------------------------------------------- */

/* The multi that an easy is added to, pushed; NULL and nothing pushed when it
 * is in none. */
struct lb_multi *lb_push_multi_of(lua_State *L, const struct lb_easy *le);
/* Calls nobody; for finalisers. */
void lb_multi_free(struct lb_multi *lm);

/* Methods of a multi (linspect.c). */
int lb_multi_handles(lua_State *L);
int lb_multi_sockets(lua_State *L);
int lb_multi_stats(lua_State *L);
int lb_multi_dump(lua_State *L);
int lb_multi_check(lua_State *L);

/* The same (lroute.c): answers what a resolver was asked. */
int lb_multi_answer(lua_State *L);
/* Methods of a multi that drive it without an event library (ldrive.c). */
int lb_multi_perform(lua_State *L);
int lb_multi_poll(lua_State *L);
int lb_multi_waitfds(lua_State *L);
int lb_multi_wakeup(lua_State *L);
int lb_multi_waker(lua_State *L);

/* Raises when it is closed. */
struct lb_easy *lb_check_easy(lua_State *L, int index);
/* Calls `how` protected, with the easy's userdata and `what` as a light one;
 * what it raises ends the transfer. For callbacks of the engine. */
enum ms_verdict lb_give(struct ms_easy *easy, lua_CFunction how,
                        const void *what);
/* Makes the easy at `index` ready for a run. */
void lb_easy_prepare(lua_State *L, int index);

/* Gives the easy at `index` the option set at `options`, for its next run. */
void lb_easy_use(lua_State *L, int index, int options);
/* A new easy without a URL, pushed. */
struct lb_easy *lb_push_new_easy(lua_State *L);

/* Pushes the response that the last run of the easy left, which is at index
 * `easy`; nil for none. */
void lb_push_response(lua_State *L, struct lb_easy *le, int easy);
/* The same, also while the run is under way: what is known so far. */
void lb_push_snapshot(lua_State *L, struct lb_easy *le, int easy);

/* Pushes headers with a copy of all fields `get` has. */
typedef bool lb_field_fn(const struct ms_response *r, size_t index,
                         struct ms_field *field);
void lb_push_headers(lua_State *L, const struct ms_response *r,
                     lb_field_fn *get);

/* Raises when nothing in a response or its timings is called that. */
int lb_check_info(lua_State *L, int index);
/* Pushes that much of `r`; `self` is its userdata, 0 when there is none. */
void lb_push_info(lua_State *L, const struct ms_response *r, int info,
                  int self);

/* ---- epoll (lepoll.c) --------------------------------------------------- */

/* Tells the engine what is ready, inside of an entry. The number of events. */
int lb_set_dispatch(const struct lb_set *s, struct lb_multi *lm);
/* Waits for one descriptor to be ready, -1 ms: for ever. 1: it is `*fd`; more
 * than 1: others are, too; 0: time is up; -1: a signal came. Raises. */
int lb_wait_some(lua_State *L, int epoll_fd, int ms, int *fd);

/* ---- uploads (lupload.c) ----------------------------------------------- */

struct lb_upload;

/* The body of the easy's next run comes from `u`, NULL: from its options.
 * Raises for one that was used before. */
void lb_install_upload(lua_State *L, struct ms_easy *easy, struct lb_upload *u);

/* ---- TLS (ltls.c) -------------------------------------------------------- */

/* Pushes the object that holds `info`; false and nothing when there is none. */
bool lb_find_tls(lua_State *L, const struct ms_tls_info *info);
/* Pushes one that holds nothing; may collect garbage. */
void lb_push_new_tls(lua_State *L);
/* The one at the top holds `info` from now on. */
void lb_hold_tls(lua_State *L, struct ms_tls_info *info);
/* What the object at `index` holds; NULL for anything else. */
const struct ms_tls_info *lb_tls_of(lua_State *L, int index);
/* Pushes res.tls. */
void lb_push_tls_table(lua_State *L, const struct ms_tls_info *info);

/* ---- cookies (ljar.c) ---------------------------------------------------- */

/* The jar at `index`, NULL for anything else. */
struct ms_jar *lb_test_jar(lua_State *L, int index);
/* Pushes a table of a cookie. */
void lb_push_cookie(lua_State *L, const struct ms_cookie_info *cookie);

/* ---- fetchers (lfetch.c) ----------------------------------------------- */

/* The transfer for which a coroutine waits has ended: resumes that one, or
 * has it resumed by whoever resumes another right now. */
void lb_fetched(struct lb_multi *lm, struct lb_easy *le);
static inline bool lb_is_awaited(const struct lb_easy *le)
{
    return le->waiter || le->adopted;
}
/* The outermost entry is over: lets coroutines go that fetch no more. */
void lb_fetch_tidy(lua_State *L, struct lb_multi *lm);
/* `__close` of an easy: the coroutine that waits for it is closed. */
void lb_fetch_closed(lua_State *L, struct lb_easy *le);

/* ---- options (loptions.c) ---------------------------------------------- */

/* Pushes a copy of the option set at `base`, 0: of all defaults. */
struct lb_options *lb_push_options(lua_State *L, int base);
/* Reads the table at `table` into the options at `to`. A "url" is an unknown
 * option unless `url_allowed`, then it is passed over. */
void lb_parse_options(lua_State *L, int table, int to, bool url_allowed);

/* Reads what is at `table`, which is the option headers, into `o` (lheaders.c).
 */
void lb_set_headers(lua_State *L, struct ms_options *o, int table);

/* Pushes the text of an option about the way to a host that is not written as
 * one (lroute.c); false, nothing pushed: it is another option. */
bool lb_push_route_text(lua_State *L, const struct ms_option_info *info,
                        int index);
/* Makes what is at `index` the guard of the option set at `to`, which is `o`;
 * false: it is no function, and there is none. */
bool lb_set_guard(lua_State *L, struct ms_options *o, int to, int index);
/* The same for the function that is asked for addresses; raises for anything
 * but a function or false. */
void lb_set_resolver(lua_State *L, struct ms_options *o, int to, int index);

/* What false means for a number: no limit, but of what is done anew how often:
 * never. */
lua_Integer lb_false_as(enum ms_option id);

/* Raises for an option nobody knows, naming the nearest of `names`. */
int lb_unknown_option(lua_State *L, const char *name, const char *const *names,
                      size_t count);
int lb_wrong_type(lua_State *L, const char *option, const char *wanted,
                  int index);

/* ---- the options of one call (lcall.c) --------------------------------- */

/* What an easy has whose set is one of ms_easy_options_once(): no callbacks. */
extern const struct lb_options lb_once_options;

/* Reads the table at `table` into `o`; the names at `names` are those that
 * lb_push_call_names() made. False: it has something that is not simple, or
 * wrong, and what was read so far is worth nothing; there may be values on the
 * stack then. Does not raise. */
bool lb_read_call(lua_State *L, int table, int names, struct ms_options *o);
void lb_push_call_names(lua_State *L);

/* ---- errors (lerror.c) ------------------------------------------------- */

/* Raises an err of category "usage". */
int lb_usage(lua_State *L, const char *code, const char *fmt, ...);
/* Raises the err for what the engine refused. */
int lb_raise(lua_State *L, ms_err err, const char *what);
/* Pushes an err; the message is popped. */
void lb_push_err(lua_State *L, const char *category, const char *code);
/* Pushes the err of the last run of the easy at `easy`. */
void lb_push_error(lua_State *L, int easy);
/* Pushes a URL for people: without user and password. */
void lb_push_shown_url(lua_State *L, const char *url, size_t n);
/* True for the string that Ctrl-C raises. */
bool lb_is_interrupt(lua_State *L, int index);

/* ---- opening (mod.c calls them) ---------------------------------------- */

/* The shared upvalues stand at LB_MULTI to LB_UPVALUES, the module table at
 * the top. */
void lb_open_error(lua_State *L);
void lb_open_options(lua_State *L);
void lb_open_easy(lua_State *L);
void lb_open_multi(lua_State *L);
void lb_open_response(lua_State *L);
void lb_open_drive(lua_State *L);
void lb_open_epoll(lua_State *L);
void lb_open_pump(lua_State *L);
void lb_open_fetch(lua_State *L);
void lb_open_task(lua_State *L);
void lb_open_upload(lua_State *L);
void lb_open_url(lua_State *L);
void lb_open_tls(lua_State *L);
void lb_open_charset(lua_State *L);
void lb_open_jar(lua_State *L);
/* Adds functions to the table at the top. */
void lb_setfuncs(lua_State *L, const luaL_Reg *funcs);
/* Adds a type's metamethods, and its methods as __index unless NULL. */
void lb_set_type(lua_State *L, enum lb_type type, const luaL_Reg *meta,
                 const luaL_Reg *methods);

#endif
