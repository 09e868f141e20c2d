/* SPDX-License-Identifier: MIT
 *
 * forked.c - see forked.h. MADV_WIPEONFORK is Linux 4.14's; on an older
 * kernel every process passes for the one that made the object.
 */
#include "net/forked.h"

#include <assert.h>
#include <sys/mman.h>

/* The smallest mapping there is; the kernel rounds it up to a page. */
#define MARK_BYTES 1

ms_err ms_fork_mark_init(struct ms_fork_mark *mark)
{
    assert(mark);
    mark->page = NULL;
    void *page = mmap(NULL, MARK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return MS_ENOMEM;
    if (madvise(page, MARK_BYTES, MADV_WIPEONFORK)) {
        munmap(page, MARK_BYTES);
        return MS_OK;
    }
    mark->page = page;
    *mark->page = 1;
    return MS_OK;
}

void ms_fork_mark_fini(struct ms_fork_mark *mark)
{
    assert(mark);
    if (mark->page)
        munmap((void *)mark->page, MARK_BYTES);
    mark->page = NULL;
}
