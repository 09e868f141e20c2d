/* SPDX-License-Identifier: MIT
 *
 * hosts.h - the hosts file: names the machine's owner gave to addresses.
 *
 * The file is read whole, sorted by name and kept. Before a search, at most
 * once per second, a stat() looks whether it became another one; then it is
 * read again. A file that is missing or cannot be read names nobody. Reading
 * blocks, as it does in every resolver; it is a small local file.
 *
 * It knows nothing of DNS, nor which names are special.
 */
#ifndef MS_NET_HOSTS_H
#define MS_NET_HOSTS_H

#include "net/addr.h"
#include "net/resolve_file.h"

/* What is past this many bytes of the file is not seen. The longest lists
 * that people use to block names have a quarter of it. */
#define MS_HOSTS_MAX_BYTES (16u << 20)

struct ms_hosts_entry;

/* For embedding; the fields are the module's own. */
struct ms_hosts {
    char *path;  /* owned */
    char *text;  /* owned: what was read; the entries' names are in it */
    bool loaded; /* `version` says of which file */
    struct ms_file_version version;
    uint64_t check_again_us; /* not before that; 0: at once */
    struct ms_addr *addrs;   /* owned: one for every line that has one */
    size_t addr_count, addr_cap;
    struct ms_hosts_entry *entries; /* owned: by name, then in file order */
    size_t entry_count, entry_cap;
};

/* Copies `path`; opens nothing yet. MS_ENOMEM. */
ms_err ms_hosts_init(struct ms_hosts *h, const char *path) MS_MUST_CHECK;

void ms_hosts_fini(struct ms_hosts *h);

/* The addresses of `name` (in lower case, a dot at its end counts for
 * nothing): the first `cap` different ones in the order of the file, without
 * ports. `*count` is 0 when the file does not have the name. `now_us` is the
 * loop's clock. MS_ENOMEM: the file could not be read for want of memory; it
 * is tried again at the next call. */
ms_err ms_hosts_find(struct ms_hosts *h, struct ms_span name, uint64_t now_us,
                     struct ms_addr *list, size_t cap,
                     size_t *count) MS_MUST_CHECK;

#endif
