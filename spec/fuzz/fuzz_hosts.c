/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the hosts file against a reader that looks at every line for every
 * name; then half of the file, as the change that it is; then without memory.
 *
 * Input: the file.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Addresses asked for: names with more are cut short, as they should be. */
#define LIST 4
/* Names of a file that are looked up: each costs a look at all of it. */
#define NAMES 32

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* ---- the plain reader ---------------------------------------------------- */

struct answer {
    struct ms_addr list[LIST];
    size_t count;
};

/* The next word of the line; false at its end. */
static bool next_word(const char **p, const char *end, struct ms_span *word)
{
    while (*p < end && strchr(" \t\r", **p) && **p)
        ++*p;
    word->p = *p;
    while (*p < end && (!**p || !strchr(" \t\r\n#", **p)))
        ++*p;
    word->n = (size_t)(*p - word->p);
    return word->n > 0;
}

static struct ms_span bare(struct ms_span name)
{
    name.n -= name.n && name.p[name.n - 1] == '.';
    return name;
}

static void answer_add(struct answer *a, const struct ms_addr *addr)
{
    for (size_t i = 0; i < a->count; i++)
        if (ms_addr_equal(&a->list[i], addr))
            return;
    if (a->count < LIST)
        a->list[a->count++] = *addr;
}

static const char *next_line(const char *p, const char *end)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));

    return lf ? lf + 1 : end;
}

static struct answer look_up(struct ms_span file, struct ms_span name)
{
    struct answer a = {.count = 0};
    struct ms_addr addr;
    struct ms_span word;
    const char *end = file.p + file.n;

    for (const char *p = file.p; p < end; p = next_line(p, end)) {
        if (!next_word(&p, end, &word) || !ms_addr_parse(word, &addr))
            continue;
        while (next_word(&p, end, &word))
            if (ms_span_equal(bare(word), bare(name)))
                answer_add(&a, &addr);
    }
    return a;
}

/* ---- both ---------------------------------------------------------------- */

static void check_name(struct ms_hosts *h, struct ms_span file,
                       struct ms_span name, uint64_t now_us)
{
    struct answer want = look_up(file, name), got;

    expect(!ms_hosts_find(h, name, now_us, got.list, LIST, &got.count));
    expect(got.count == want.count);
    for (size_t i = 0; i < got.count; i++)
        expect(ms_addr_equal(&got.list[i], &want.list[i]));
}

/* Looks up every word, be it a name or not. */
static void check_names(struct ms_hosts *h, struct ms_span file,
                        uint64_t now_us)
{
    struct ms_span word;
    const char *p = file.p, *end = file.p + file.n;

    check_name(h, file, MS_SPAN("nobody"), now_us);
    for (int i = 0; i < NAMES && p < end; i++) {
        if (next_word(&p, end, &word))
            check_name(h, file, word, now_us);
        else
            p++;
    }
}

static void check_memory(const char *path, struct ms_span file)
{
    struct ms_hosts h;
    struct answer a;

    for (long nth = 1; nth < 8; nth++) {
        ms_mem_fail(nth, 1);
        ms_err err = ms_hosts_init(&h, path);
        if (!err) {
            err = ms_hosts_find(&h, MS_SPAN("a"), 1, a.list, LIST, &a.count);
            expect(!err || (err == MS_ENOMEM && !a.count));
            check_name(&h, file, MS_SPAN("a"), 1);
            ms_hosts_fini(&h);
        }
        expect(!err || err == MS_ENOMEM);
    }
    ms_mem_fail(0, 0);
}

static void check_places_without_file(void)
{
    static const char *const places[] = {"/", "/nowhere/at/all"};
    struct ms_hosts h;

    for (size_t i = 0; i < MS_COUNT(places); i++) {
        expect(!ms_hosts_init(&h, places[i]));
        check_names(&h, ms_span("", 0), 1);
        ms_hosts_fini(&h);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ms_hosts h;
    char path[32], *text = malloc(size + !size);
    int fd = memfd_create("hosts", MFD_CLOEXEC);

    expect(text && fd >= 0);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)ms_lower(data[i]);
    expect(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    expect(!ms_hosts_init(&h, path));
    check_names(&h, ms_span(text, size), 1);
    check_memory(path, ms_span(text, size));
    expect(!ftruncate(fd, (off_t)(size / 2)));
    check_names(&h, ms_span(text, size / 2), 1 + MS_FILE_CHECK_US);
    ms_hosts_fini(&h);
    check_places_without_file();
    close(fd);
    free(text);
    return 0;
}
