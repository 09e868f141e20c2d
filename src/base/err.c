/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <errno.h>

struct entry {
    const char *name, *category, *code, *text;
};

#define CATEGORY_USAGE     "usage"
#define CATEGORY_RESOLVE   "resolve"
#define CATEGORY_CONNECT   "connect"
#define CATEGORY_TLS       "tls"
#define CATEGORY_TIMEOUT   "timeout"
#define CATEGORY_PROTOCOL  "protocol"
#define CATEGORY_REDIRECT  "redirect"
#define CATEGORY_BODY      "body"
#define CATEGORY_CANCELLED "cancelled"
#define CATEGORY_CALLBACK  "callback"
#define CATEGORY_MEMORY    "memory"
#define CATEGORY_INTERNAL  "internal"

static const struct entry entries[] = {{"MS_OK", "", "", "no error"},
#define ENTRY(name, category, code, text)                                      \
    {"MS_" #name, CATEGORY_##category, code, text},
                                       MS_ERROR_MAP(ENTRY)
#undef ENTRY
};

static const struct entry *entry_of(ms_err err)
{
    size_t i = (size_t)err;

    return i < MS_COUNT(entries) ? &entries[i] : &entries[MS_EINTERNAL];
}

const char *ms_err_name(ms_err err)
{
    return entry_of(err)->name;
}

const char *ms_err_category(ms_err err)
{
    return entry_of(err)->category;
}

const char *ms_err_code(ms_err err)
{
    return entry_of(err)->code;
}

const char *ms_err_text(ms_err err)
{
    return entry_of(err)->text;
}

const char *ms_phase_name(enum ms_phase phase)
{
    static const char *const names[] = {"queue", "resolve", "connect", "tls",
                                        "send",  "headers", "body"};
    size_t i = (size_t)phase;

    return i < MS_COUNT(names) ? names[i] : "";
}

ms_err ms_err_from_errno(int os_errno)
{
    switch (os_errno) {
    case ECONNREFUSED:
        return MS_EREFUSED;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return MS_ERESET;
    case ENETUNREACH:
    case ENETDOWN:
        return MS_ENETWORK;
    case EHOSTUNREACH:
    case EHOSTDOWN:
        return MS_EUNREACHABLE;
    case ETIMEDOUT:
        return MS_ETIMEOUT;
    case EMFILE:
    case ENFILE:
        return MS_EFILES;
    case ENOMEM:
        return MS_ENOMEM;
    default:
        return MS_ECONNECT;
    }
}
