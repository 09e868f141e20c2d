/* SPDX-License-Identifier: MIT */
#include "net/hosts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

/* The tables start with room for an ordinary machine's file. */
#define FIRST_ROOM 16

struct ms_hosts_entry {
    struct ms_span name; /* lower case, without a dot at its end */
    size_t addr;         /* index into addrs, which follows the file */
};

ms_err ms_hosts_init(struct ms_hosts *h, const char *path)
{
    *h = (struct ms_hosts){0};
    h->path = ms_memdup(path, strlen(path));
    return h->path ? MS_OK : MS_ENOMEM;
}

static void forget(struct ms_hosts *h)
{
    ms_free(h->text);
    ms_free(h->addrs);
    ms_free(h->entries);
    *h = (struct ms_hosts){.path = h->path};
}

void ms_hosts_fini(struct ms_hosts *h)
{
    forget(h);
    ms_free(h->path);
    *h = (struct ms_hosts){0};
}

/* ---- parsing ------------------------------------------------------------ */

/* The array, with room for one more element; it doubles. NULL: no memory, the
 * old one is untouched. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;

    size_t bigger = *cap ? *cap * 2 : FIRST_ROOM;
    void *grown = ms_realloc(array, bigger * size);
    if (grown)
        *cap = bigger;
    return grown;
}

static ms_err add_addr(struct ms_hosts *h, const struct ms_addr *a)
{
    struct ms_addr *room =
        grow(h->addrs, h->addr_count, &h->addr_cap, sizeof(*room));

    if (!room)
        return MS_ENOMEM;
    h->addrs = room;
    h->addrs[h->addr_count++] = *a;
    return MS_OK;
}

/* Names the address that was added last. */
static ms_err add_entry(struct ms_hosts *h, struct ms_span name)
{
    struct ms_hosts_entry *room =
        grow(h->entries, h->entry_count, &h->entry_cap, sizeof(*room));

    if (!room)
        return MS_ENOMEM;
    h->entries = room;
    h->entries[h->entry_count++] =
        (struct ms_hosts_entry){name, h->addr_count - 1};
    return MS_OK;
}

static struct ms_span without_dot(struct ms_span name)
{
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    return name;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes everything up to the next `end` off `rest`. */
static struct ms_span take_until(struct ms_span *rest, char end)
{
    const char *at = rest->n ? memchr(rest->p, end, rest->n) : NULL;
    struct ms_span taken = *rest;

    if (at)
        taken.n = (size_t)(at - rest->p);
    size_t gone = taken.n + (at != NULL);
    rest->p += gone;
    rest->n -= gone;
    return taken;
}

/* Takes a word off `line`; it is empty when no word is left. */
static struct ms_span take_word(struct ms_span *line)
{
    struct ms_span word;

    while (line->n && is_blank(*line->p))
        line->p++, line->n--;
    word = ms_span(line->p, 0);
    while (word.n < line->n && !is_blank(word.p[word.n]))
        word.n++;
    line->p += word.n;
    line->n -= word.n;
    return word;
}

/* "127.0.0.1  localhost other.name  # remark" */
static ms_err parse_line(struct ms_hosts *h, struct ms_span line)
{
    struct ms_addr addr;
    struct ms_span word;

    line = take_until(&line, '#');
    if (!ms_addr_parse(take_word(&line), &addr))
        return MS_OK;
    ms_err err = add_addr(h, &addr);
    while (!err && (word = take_word(&line)).n)
        err = add_entry(h, without_dot(word));
    return err;
}

static int compare_names(struct ms_span a, struct ms_span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_entries(const void *one, const void *other)
{
    const struct ms_hosts_entry *a = one, *b = other;
    int order = compare_names(a->name, b->name);

    return order ? order : (a->addr > b->addr) - (a->addr < b->addr);
}

static ms_err parse(struct ms_hosts *h, size_t n)
{
    struct ms_span rest = ms_span(h->text, n);
    ms_err err = MS_OK;

    for (size_t i = 0; i < n; i++)
        h->text[i] = (char)ms_lower((unsigned char)h->text[i]);
    while (!err && rest.n)
        err = parse_line(h, take_until(&rest, '\n'));
    if (h->entry_count)
        qsort(h->entries, h->entry_count, sizeof(*h->entries), compare_entries);
    return err;
}

/* ---- reading ------------------------------------------------------------ */

/* Reads up to `cap` bytes; what cannot be read is not there. */
static size_t read_all(int fd, char *p, size_t cap)
{
    size_t n = 0;

    while (n < cap) {
        ssize_t got = read(fd, p + n, cap - n);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        if (got > 0)
            n += (size_t)got;
    }
    return n;
}

static ms_err load_fd(struct ms_hosts *h, int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return MS_OK;
    size_t size = st.st_size < (off_t)MS_HOSTS_MAX_BYTES ? (size_t)st.st_size
                                                         : MS_HOSTS_MAX_BYTES;
    h->text = ms_alloc(size + 1);
    if (!h->text)
        return MS_ENOMEM;
    h->version = ms_file_version_of(&st);
    h->loaded = true;
    return parse(h, read_all(fd, h->text, size));
}

static ms_err load(struct ms_hosts *h)
{
    /* Non-blocking, in case somebody put a fifo there. */
    int fd = open(h->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return MS_OK;
    ms_err err = load_fd(h, fd);
    close(fd);
    if (err)
        forget(h);
    return err;
}

static bool is_current(const struct ms_hosts *h)
{
    struct ms_file_version now = ms_file_version_at(h->path);

    return h->loaded && ms_file_same(&now, &h->version);
}

static ms_err refresh(struct ms_hosts *h, uint64_t now_us)
{
    if (now_us < h->check_again_us)
        return MS_OK;
    if (!is_current(h)) {
        forget(h);
        ms_err err = load(h);
        if (err)
            return err;
    }
    h->check_again_us = now_us + MS_FILE_CHECK_US;
    return MS_OK;
}

/* ---- searching ---------------------------------------------------------- */

/* The index of the first entry called `name`, or of where it would be. */
static size_t first_entry(const struct ms_hosts *h, struct ms_span name)
{
    size_t from = 0, to = h->entry_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (compare_names(h->entries[middle].name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool is_listed(const struct ms_addr *list, size_t count,
                      const struct ms_addr *a)
{
    for (size_t i = 0; i < count; i++)
        if (ms_addr_equal(&list[i], a))
            return true;
    return false;
}

ms_err ms_hosts_find(struct ms_hosts *h, struct ms_span name, uint64_t now_us,
                     struct ms_addr *list, size_t cap, size_t *count)
{
    assert(h->path && cap > 0);

    *count = 0;
    ms_err err = refresh(h, now_us);
    if (err)
        return err;
    name = without_dot(name);
    for (size_t i = first_entry(h, name); i < h->entry_count; i++) {
        const struct ms_addr *a = &h->addrs[h->entries[i].addr];
        if (!ms_span_equal(h->entries[i].name, name) || *count == cap)
            break;
        if (!is_listed(list, *count, a))
            list[(*count)++] = *a;
    }
    return MS_OK;
}
