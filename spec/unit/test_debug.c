/* SPDX-License-Identifier: MIT
 *
 * The debug callback where there is no memory for what it should hear.
 */
#include "engine/debug.h"

#include <string.h>

#include "base/mem.h"
#include "unit.h"

static char heard[64];

static enum ms_verdict on_debug(struct ms_easy *e, enum ms_debug kind,
                                const char *text, size_t n, void *user)
{
    (void)e;
    (void)user;
    CHECK(kind == MS_DEBUG_INFO && strlen(heard) + n < sizeof(heard));
    strncat(heard, text, n);
    return MS_GO_ON;
}

TEST(a_text_that_is_lost_is_no_secret)
{
    struct ms_multi *m;
    struct ms_easy *e;

    CHECK(!ms_multi_new(&m) && !ms_easy_new(&e));
    CHECK(!ms_easy_on_debug(e, NULL, NULL));
    ms_mem_fail(1, 1);
    CHECK(ms_easy_on_debug(e, on_debug, NULL) == MS_ENOMEM && !e->debug);
    ms_mem_fail(0, 0);
    CHECK(!ms_easy_on_debug(e, on_debug, NULL));
    CHECK(!ms_multi_add(m, e));
    ms_debug_info(e, "a");
    CHECK(!ms_debug_flush(e) && !strcmp(heard, "a"));
    ms_debug_info(e, "b");
    ms_mem_fail(1, 1);
    ms_debug_info(e, "a text for which there is no room any more");
    ms_mem_fail(0, 0);
    CHECK(ms_debug_flush(e) == MS_ENOMEM && !strcmp(heard, "ab"));
    ms_debug_info(e, "c");
    ms_debug_clear(e);
    CHECK(!ms_debug_flush(e) && !strcmp(heard, "ab"));
    CHECK(!ms_easy_on_debug(e, NULL, NULL));
    ms_debug_info(e, "d");
    CHECK(!ms_debug_flush(e) && !strcmp(heard, "ab"));
    ms_easy_close(e);
    ms_multi_free(m);
}
