/* SPDX-License-Identifier: MIT */
#include "net/hosts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "unit.h"

#define SECOND 1000000u

struct place {
    char dir[32], path[64];
    struct ms_hosts hosts;
    uint64_t now_us;
};

static void write_file(const char *path, const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK(write(fd, text, n) == (ssize_t)n);
    close(fd);
}

/* A directory with a hosts file of that content, none for NULL. */
static void open_place(struct place *p, const char *text)
{
    *p = (struct place){.now_us = SECOND};
    strcpy(p->dir, "/tmp/ms-hosts-XXXXXX");
    CHECK(mkdtemp(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/hosts", p->dir);
    if (text)
        write_file(p->path, text, strlen(text));
    CHECK(ms_hosts_init(&p->hosts, p->path) == MS_OK);
}

static void close_place(struct place *p)
{
    ms_hosts_fini(&p->hosts);
    unlink(p->path);
    rmdir(p->path);
    CHECK(rmdir(p->dir) == 0);
}

/* The addresses of `name` as "1.2.3.4 ::1", "" when there are none. */
static const char *lookup(struct place *p, const char *name)
{
    static char out[1024];
    struct ms_addr list[8];
    size_t count, n = 0;

    CHECK(ms_hosts_find(&p->hosts, ms_span_text(name), p->now_us, list,
                        MS_COUNT(list), &count) == MS_OK);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char text[MS_ADDR_TEXT];
        ms_addr_text(&list[i], text);
        *strrchr(text, ':') = '\0'; /* the port, which is 0 */
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s", i ? " " : "",
                              text);
    }
    return out;
}

#define FINDS(place, name, expected)                                           \
    CHECK_THAT(!strcmp(lookup(place, name), expected), "%s is \"%s\"", name,   \
               lookup(place, name))

TEST(names_are_found_in_the_order_of_the_file)
{
    struct place p;

    open_place(&p, "127.0.0.1 localhost\n"
                   "::1\tlocalhost ip6-localhost\n"
                   "10.0.0.2 b a\n"
                   "10.0.0.1 a b\n");
    FINDS(&p, "localhost", "127.0.0.1 [::1]");
    FINDS(&p, "ip6-localhost", "[::1]");
    FINDS(&p, "a", "10.0.0.2 10.0.0.1");
    FINDS(&p, "b", "10.0.0.2 10.0.0.1");
    FINDS(&p, "c", "");
    FINDS(&p, "", "");
    FINDS(&p, "localhos", "");
    FINDS(&p, "localhost0", "");
    close_place(&p);
}

TEST(remarks_blanks_and_nonsense_are_skipped)
{
    struct place p;

    open_place(&p, "# 10.0.0.1 hidden\n"
                   "\n"
                   "   \t \n"
                   "10.0.0.1#nobody\n"
                   " \t10.0.0.2\t one  two\t#three\n"
                   "10.0.0.3 windows\r\n"
                   "10.0.0.300 bad\n"
                   "name 10.0.0.4\n"
                   "10.0.0.5\n"
                   "fe80::1%1 zone\n"
                   "10.0.0.6 last");
    FINDS(&p, "hidden", "");
    FINDS(&p, "nobody", "");
    FINDS(&p, "one", "10.0.0.2");
    FINDS(&p, "two", "10.0.0.2");
    FINDS(&p, "three", "");
    FINDS(&p, "windows", "10.0.0.3");
    FINDS(&p, "bad", "");
    FINDS(&p, "name", "");
    FINDS(&p, "zone", "[fe80::1%1]");
    FINDS(&p, "last", "10.0.0.6");
    close_place(&p);
}

TEST(case_and_a_final_dot_make_no_difference)
{
    struct place p;

    open_place(&p, "10.0.0.1 MiXed.Example. plain\n");
    FINDS(&p, "mixed.example", "10.0.0.1");
    FINDS(&p, "mixed.example.", "10.0.0.1");
    FINDS(&p, "plain.", "10.0.0.1");
    close_place(&p);
}

TEST(an_address_is_given_once_and_no_more_than_asked_for)
{
    struct place p;
    struct ms_addr list[2];
    size_t count;

    open_place(&p, "10.0.0.1 a a\n10.0.0.1 a\n10.0.0.2 a\n10.0.0.3 a\n");
    FINDS(&p, "a", "10.0.0.1 10.0.0.2 10.0.0.3");
    CHECK(ms_hosts_find(&p.hosts, MS_SPAN("a"), p.now_us, list, 2, &count) ==
          MS_OK);
    CHECK(count == 2);
    close_place(&p);
}

TEST(any_bytes_do)
{
    static const char bytes[] = "10.0.0.1 a\0b c\n\xff\xfe ::\n10.0.0.2 d\n";
    struct place p;

    open_place(&p, NULL);
    write_file(p.path, bytes, sizeof(bytes) - 1);
    FINDS(&p, "a", "");
    FINDS(&p, "c", "10.0.0.1");
    FINDS(&p, "d", "10.0.0.2");
    close_place(&p);
}

TEST(a_big_file_is_sorted_right)
{
    enum { LINES = 5000 };
    struct place p;
    char name[32], addr[32];

    open_place(&p, NULL);
    FILE *f = fopen(p.path, "w");
    CHECK(f);
    for (int i = 0; i < LINES; i++) {
        int n = i * 7919 % LINES;
        fprintf(f, "10.0.%d.%d host%d\n", n / 256, n % 256, n);
    }
    fclose(f);
    for (int i = 0; i < LINES; i++) {
        snprintf(name, sizeof(name), "host%d", i);
        snprintf(addr, sizeof(addr), "10.0.%d.%d", i / 256, i % 256);
        FINDS(&p, name, addr);
    }
    close_place(&p);
}

TEST(a_changed_file_is_read_again_after_a_second)
{
    struct place p;

    open_place(&p, "10.0.0.1 a\n");
    FINDS(&p, "a", "10.0.0.1");
    write_file(p.path, "10.0.0.22 a\n", 12);
    p.now_us += SECOND - 1;
    FINDS(&p, "a", "10.0.0.1");
    p.now_us += 1;
    FINDS(&p, "a", "10.0.0.22");
    close_place(&p);
}

TEST(the_time_of_change_is_looked_at_too)
{
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct place p;

    open_place(&p, "10.0.0.1 a\n");
    FINDS(&p, "a", "10.0.0.1");
    write_file(p.path, "10.0.0.2 a\n", 11);
    CHECK(utimensat(AT_FDCWD, p.path, times, 0) == 0);
    p.now_us += SECOND;
    FINDS(&p, "a", "10.0.0.2");
    close_place(&p);
}

TEST(the_size_is_looked_at_too)
{
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct place p;

    open_place(&p, "10.0.0.1 a\n");
    CHECK(utimensat(AT_FDCWD, p.path, times, 0) == 0);
    FINDS(&p, "a", "10.0.0.1");
    write_file(p.path, "10.0.0.22 a\n", 12);
    CHECK(utimensat(AT_FDCWD, p.path, times, 0) == 0);
    p.now_us += SECOND;
    FINDS(&p, "a", "10.0.0.22");
    close_place(&p);
}

TEST(an_unchanged_file_is_not_read_again)
{
    struct place p;

    open_place(&p, "10.0.0.1 a\n");
    FINDS(&p, "a", "10.0.0.1");
    const char *before = p.hosts.text;
    for (int i = 0; i < 5; i++) {
        p.now_us += 2 * SECOND;
        FINDS(&p, "a", "10.0.0.1");
        CHECK(p.hosts.text == before);
    }
    close_place(&p);
}

TEST(files_may_come_and_go)
{
    struct place p;

    open_place(&p, NULL);
    FINDS(&p, "a", "");
    write_file(p.path, "10.0.0.1 a\n", 11);
    p.now_us += SECOND;
    FINDS(&p, "a", "10.0.0.1");
    CHECK(unlink(p.path) == 0);
    p.now_us += SECOND;
    FINDS(&p, "a", "");
    write_file(p.path, "", 0);
    p.now_us += SECOND;
    FINDS(&p, "a", "");
    close_place(&p);
}

TEST(what_is_no_file_names_nobody)
{
    struct place p;

    open_place(&p, NULL);
    CHECK(mkdir(p.path, 0700) == 0);
    FINDS(&p, "a", "");
    close_place(&p);

    open_place(&p, NULL);
    CHECK(mkfifo(p.path, 0600) == 0);
    FINDS(&p, "a", "");
    close_place(&p);
}

#ifdef MS_FAIL_ALLOC
TEST(every_allocation_may_fail)
{
    struct ms_addr list[2];
    struct place p;
    size_t count;
    long nth = 0;
    ms_err err;

    open_place(&p, "10.0.0.1 a b c d e f g h i j k l m n o p q r s t u v w\n");
    do {
        ms_hosts_fini(&p.hosts);
        ms_mem_fail(++nth, 1);
        err = ms_hosts_init(&p.hosts, p.path);
        if (!err)
            err = ms_hosts_find(&p.hosts, MS_SPAN("w"), p.now_us, list, 2,
                                &count);
        CHECK(err == MS_OK || err == MS_ENOMEM);
        ms_mem_fail(0, 0);
        /* It is tried again at once. */
        if (p.hosts.path)
            FINDS(&p, "w", "10.0.0.1");
    } while (err);
    CHECK(nth > 4);
    close_place(&p);
}
#endif
