/* SPDX-License-Identifier: MIT
 *
 * nodlclose.c - preloaded into Lua when a memory checker watches it.
 *
 * Lua unloads C modules when its state closes, and the checker, which reports
 * at the very end, would show their frames as bare addresses and take what
 * only their static data points to for leaks. So they stay.
 *
 * Programs that the tests start (nginx, shells) inherit the preloading; what
 * they leak is not looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

int dlclose(void *handle);
int __lsan_is_turned_off(void);

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}

/* Asked by LeakSanitizer before it looks for leaks. */
int __lsan_is_turned_off(void)
{
    return strncmp(program_invocation_short_name, "lua", 3) != 0;
}
