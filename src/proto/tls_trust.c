/* SPDX-License-Identifier: MIT */
#include "proto/tls_trust.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "base/mem.h"

/* Different sets of files in use at a time: more are loaded, not kept. */
#define MAX_STORES 16

enum { CA_FILE, CA_PATH, CRL_FILE, NAMES };

struct entry {
    X509_STORE *store; /* NULL: unused */
    bool system;       /* what is named need not be there */
    char *name[NAMES]; /* owned; NULL: not given */
    struct timespec changed[NAMES];
    unsigned used; /* the cache's clock when it was asked for last */
};

static struct {
    pthread_mutex_t lock;
    unsigned holders, clock;
    struct entry entries[MAX_STORES];
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void empty(struct entry *e)
{
    X509_STORE_free(e->store);
    for (int i = 0; i < NAMES; i++)
        ms_free(e->name[i]);
    *e = (struct entry){0};
}

void ms_trust_hold(void)
{
    pthread_mutex_lock(&cache.lock);
    cache.holders++;
    pthread_mutex_unlock(&cache.lock);
}

void ms_trust_release(void)
{
    pthread_mutex_lock(&cache.lock);
    if (!--cache.holders)
        for (int i = 0; i < MAX_STORES; i++)
            empty(&cache.entries[i]);
    pthread_mutex_unlock(&cache.lock);
}

static struct timespec changed_at(const char *path)
{
    struct stat st;

    if (!path || stat(path, &st))
        return (struct timespec){0};
    return st.st_mtim;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What is asked for, with the places of the system filled in. */
struct wanted {
    bool system;
    const char *name[NAMES];
};

static const char *place(const char *variable, const char *otherwise)
{
    const char *value = secure_getenv(variable);

    return value ? value : otherwise;
}

static struct wanted wanted_by(const struct ms_trust_source *from)
{
    struct wanted w = {
        .system = !from->ca_file && !from->ca_path,
        .name = {from->ca_file, from->ca_path, from->crl_file},
    };

    if (!w.system)
        return w;
    w.name[CA_FILE] =
        place(X509_get_default_cert_file_env(), X509_get_default_cert_file());
    w.name[CA_PATH] =
        place(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
    return w;
}

static bool is_for(const struct entry *e, const struct wanted *w)
{
    if (!e->store || e->system != w->system)
        return false;
    for (int i = 0; i < NAMES; i++)
        if (!same_text(e->name[i], w->name[i]))
            return false;
    return true;
}

static bool is_current(const struct entry *e)
{
    for (int i = 0; i < NAMES; i++) {
        struct timespec now = changed_at(e->name[i]);
        if (now.tv_sec != e->changed[i].tv_sec ||
            now.tv_nsec != e->changed[i].tv_nsec)
            return false;
    }
    return true;
}

static bool load_named(X509_STORE *s, const struct wanted *w, const char **why)
{
    struct stat st;

    *why = "tls.ca_file cannot be read, or holds no certificate in PEM";
    if (w->name[CA_FILE] && !X509_STORE_load_file(s, w->name[CA_FILE]))
        return false;
    *why = "tls.ca_path is no folder that can be read";
    return !w->name[CA_PATH] ||
           (!stat(w->name[CA_PATH], &st) && S_ISDIR(st.st_mode) &&
            X509_STORE_load_path(s, w->name[CA_PATH]));
}

static bool load_revoked(X509_STORE *s, const char *path)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(s, X509_LOOKUP_file());

    return lookup && X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) > 0 &&
           X509_STORE_set_flags(s, X509_V_FLAG_CRL_CHECK |
                                       X509_V_FLAG_CRL_CHECK_ALL);
}

static bool load(X509_STORE *s, const struct wanted *w, const char **why)
{
    *why = "the system's trusted certificates cannot be read";
    if (w->system ? !X509_STORE_set_default_paths(s) : !load_named(s, w, why))
        return false;
    *why = "tls.crl_file cannot be read, or holds no revocation list in PEM";
    return !w->name[CRL_FILE] || load_revoked(s, w->name[CRL_FILE]);
}

/* Keeps a store under its names; without memory for them it is not kept. */
static void keep(X509_STORE *store, const struct wanted *w,
                 const struct timespec *changed)
{
    struct entry *oldest = &cache.entries[0];

    for (int i = 1; i < MAX_STORES; i++)
        if (cache.entries[i].used < oldest->used)
            oldest = &cache.entries[i];
    empty(oldest);
    for (int i = 0; i < NAMES; i++) {
        const char *name = w->name[i];
        if (name && !(oldest->name[i] = ms_memdup(name, strlen(name)))) {
            empty(oldest);
            return;
        }
        oldest->changed[i] = changed[i];
    }
    X509_STORE_up_ref(store);
    oldest->store = store;
    oldest->system = w->system;
    oldest->used = ++cache.clock;
}

static ms_err make(const struct wanted *w, X509_STORE **out, const char **why)
{
    struct timespec changed[NAMES];
    X509_STORE *store = X509_STORE_new();

    if (!store)
        return MS_ENOMEM;
    for (int i = 0; i < NAMES; i++)
        changed[i] = changed_at(w->name[i]); /* before it is read */
    ERR_clear_error();
    if (!load(store, w, why)) {
        ERR_clear_error();
        X509_STORE_free(store);
        return MS_EOPTION;
    }
    keep(store, w, changed);
    *out = store;
    return MS_OK;
}

static struct entry *find(const struct wanted *w)
{
    for (int i = 0; i < MAX_STORES; i++) {
        struct entry *e = &cache.entries[i];
        if (!is_for(e, w))
            continue;
        if (is_current(e))
            return e;
        empty(e);
    }
    return NULL;
}

ms_err ms_trust_get(const struct ms_trust_source *from, X509_STORE **out,
                    const char **why)
{
    struct wanted w = wanted_by(from);
    ms_err err = MS_OK;

    pthread_mutex_lock(&cache.lock);
    struct entry *e = find(&w);
    if (e) {
        e->used = ++cache.clock;
        X509_STORE_up_ref(e->store);
        *out = e->store;
    } else {
        err = make(&w, out, why);
    }
    pthread_mutex_unlock(&cache.lock);
    return err;
}
