/* SPDX-License-Identifier: MIT
 *
 * auth_store.h - what servers said about Digest, by origin and login.
 *
 * With it the next request to an origin carries credentials at once. An entry
 * is proven when a server took an answer made with it: until then it is used
 * by nobody but the run that got the challenge, so a password that is wrong is
 * not sent again and again.
 */
#ifndef MS_ENGINE_AUTH_STORE_H
#define MS_ENGINE_AUTH_STORE_H

#include "base/list.h"
#include "base/map.h"
#include "proto/auth_digest.h"
#include "proto/url.h"

/* Origins and logins remembered: the one that was used longest ago makes
 * room. A crawler has few servers that know it. */
#define MS_AUTH_ENTRIES 256

struct ms_auth_entry {
    struct ms_map_node node;
    struct ms_list recent; /* on store->recent, last used last */
    struct ms_buf key;
    struct ms_digest digest;
    bool proven;
};

struct ms_auth_store {
    struct ms_map entries;
    struct ms_list recent;
    size_t count;
};

void ms_auth_store_init(struct ms_auth_store *s);
void ms_auth_store_fini(struct ms_auth_store *s);

/* The entry for the origin of `url` and the login, made when it is missing
 * and `make` is true; `*out` is NULL when there is none. Lent until the next
 * call for the store. MS_ENOMEM. */
ms_err ms_auth_store_find(struct ms_auth_store *s, const struct ms_url *url,
                          const struct ms_login *login, bool make,
                          struct ms_auth_entry **out) MS_MUST_CHECK;

void ms_auth_store_forget(struct ms_auth_store *s, struct ms_auth_entry *e);

#endif
