/* SPDX-License-Identifier: MIT
 *
 * test_file.c - files read and replaced whole, and jars of the public
 * interface kept in them.
 */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "unit.h"

#define MOST (64u << 20)

static char folder[] = "/tmp/multisocket-file-XXXXXX";

/* A name in a folder of this program's, lent until the next call but one. */
static const char *at(const char *name)
{
    static char paths[2][128];
    static unsigned turn;
    static bool made;
    char *path = paths[turn++ % 2];

    if (!made) /* whose own name may end in an X */
        CHECK(mkdtemp(folder));
    made = true;
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

__attribute__((destructor)) static void remove_folder(void)
{
    rmdir(folder);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static ms_err replace(const char *path, const char *text, int *os_errno)
{
    *os_errno = 0;
    return ms_file_replace(path, ms_span_text(text), os_errno);
}

static bool holds(const char *path, const char *text)
{
    struct ms_buf b = {0};
    int os_errno;

    CHECK(!ms_file_read(path, MOST, &b, &os_errno));
    bool same = ms_span_equal(ms_buf_span(&b), ms_span_text(text));
    ms_buf_free(&b);
    return same;
}

/* Nothing but what the test left is in the folder: no temporary file. */
static void clean(const char *path)
{
    CHECK(unlink(path) == 0);
    CHECK(rmdir(folder) == 0 && mkdir(folder, 0700) == 0);
}

TEST(a_file_is_replaced_by_one_for_its_owner)
{
    struct stat st;
    int os_errno;

    mode_t mask = umask(0);
    put(at("a"), "old");
    CHECK(chmod(at("a"), 0644) == 0);
    CHECK(!replace(at("a"), "new", &os_errno));
    umask(mask);
    CHECK(holds(at("a"), "new"));
    CHECK(stat(at("a"), &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK(!replace(at("a"), "", &os_errno));
    CHECK(holds(at("a"), ""));
    clean(at("a"));
}

TEST(who_reads_the_old_one_reads_on)
{
    char text[4] = "";
    int os_errno;

    put(at("a"), "old");
    int fd = open(at("a"), O_RDONLY);
    CHECK(!replace(at("a"), "new", &os_errno));
    CHECK(read(fd, text, 3) == 3 && !strcmp(text, "old"));
    close(fd);
    clean(at("a"));
}

TEST(a_symbolic_link_is_replaced_not_followed)
{
    struct stat st;
    int os_errno;

    put(at("target"), "untouched");
    CHECK(symlink(at("target"), at("link")) == 0);
    CHECK(!replace(at("link"), "new", &os_errno));
    CHECK(lstat(at("link"), &st) == 0 && S_ISREG(st.st_mode));
    CHECK(holds(at("target"), "untouched"));
    CHECK(unlink(at("target")) == 0);
    clean(at("link"));
}

TEST(what_is_no_file_is_left_alone)
{
    struct ms_buf b = {0};
    int os_errno;

    CHECK(mkfifo(at("fifo"), 0600) == 0);
    CHECK(replace(at("fifo"), "x", &os_errno) == MS_EFILE &&
          os_errno == EINVAL);
    CHECK(ms_file_read(at("fifo"), MOST, &b, &os_errno) == MS_EFILE &&
          os_errno == EINVAL);
    CHECK(replace(folder, "x", &os_errno) == MS_EFILE && os_errno == EISDIR);
    CHECK(ms_file_read(folder, MOST, &b, &os_errno) == MS_EFILE &&
          os_errno == EISDIR);
    CHECK(ms_file_read(at("none"), MOST, &b, &os_errno) == MS_EFILE &&
          os_errno == ENOENT);
    CHECK(replace(at("none/a"), "x", &os_errno) == MS_EFILE &&
          os_errno == ENOENT);
    CHECK(replace("/dev/null", "x", &os_errno) == MS_EFILE &&
          os_errno == EINVAL);
    ms_buf_free(&b);
    clean(at("fifo"));
}

/* 0: no limit any more. */
static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    signal(SIGXFSZ, bytes ? SIG_IGN : SIG_DFL);
}

TEST(a_disk_that_is_full_leaves_the_old_file)
{
    struct ms_buf big = {0};
    int os_errno;

    /* A limit on the size of files stands in for the end of the disk. */
    put(at("a"), "old");
    CHECK(!ms_buf_reserve(&big, 1 << 20));
    memset(big.p, 'x', 1 << 20);
    limit_file_size(1000);
    ms_err err = ms_file_replace(at("a"), ms_span(big.p, 1 << 20), &os_errno);
    limit_file_size(0);
    CHECK(err == MS_EFILE && os_errno == EFBIG);
    CHECK(holds(at("a"), "old"));
    ms_buf_free(&big);
    clean(at("a"));
}

TEST(a_file_beyond_the_limit_is_not_read)
{
    struct ms_buf b = {0};
    int os_errno;

    put(at("a"), "");
    CHECK(truncate(at("a"), (off_t)MOST + 1) == 0);
    CHECK(ms_file_read(at("a"), MOST, &b, &os_errno) == MS_EFILE &&
          os_errno == EFBIG);
    ms_buf_free(&b);
    clean(at("a"));
}

TEST(a_file_without_memory_is_an_error)
{
    struct ms_buf b = {0};
    int os_errno;

    put(at("a"), "old");
    ms_mem_fail(1, 1);
    ms_err err = ms_file_read(at("a"), MOST, &b, &os_errno);
    CHECK(err == MS_ENOMEM);
    ms_mem_fail(1, 1);
    err = replace(at("a"), "new", &os_errno);
    ms_mem_fail(0, 0);
    CHECK(err == MS_ENOMEM && holds(at("a"), "old"));
    ms_buf_free(&b);
    clean(at("a"));
}

/* ---- jars of the public interface -----------------------------------------
 */

#define URL "http://a.example.org/"

static ms_err set(struct ms_jar *jar, const char *url, const char *line)
{
    const char *why;

    ms_err err = ms_jar_set(jar, url, strlen(url), line, strlen(line), &why);
    CHECK(err == MS_OK || err == MS_ENOMEM || why);
    return err;
}

/* How many cookies go to `url`. */
static size_t count(struct ms_jar *jar, const char *url)
{
    struct ms_cookie_list *list;
    const char *why;

    CHECK(!ms_jar_get(jar, url, strlen(url), &list, &why));
    size_t n = ms_cookie_list_count(list);
    CHECK(!ms_cookie_list_at(list, n));
    ms_cookie_list_free(list);
    return n;
}

TEST(a_jar_lists_copies)
{
    struct ms_cookie_list *list;
    struct ms_jar *jar;

    CHECK(!ms_jar_new(&jar));
    CHECK(!set(jar, URL "p/q", "a=b; max-age=100; samesite=strict; httponly"));
    CHECK(!set(jar, URL, "c=d; domain=example.org"));
    CHECK(!ms_jar_list(jar, &list));
    ms_jar_clear(jar);
    CHECK(count(jar, URL) == 0);
    ms_jar_free(jar);
    CHECK(ms_cookie_list_count(list) == 2);
    const struct ms_cookie_info *i = ms_cookie_list_at(list, 0);
    CHECK(i->name_len == 1 && *i->name == 'a' && *i->value == 'b');
    CHECK(ms_span_equal(ms_span(i->domain, i->domain_len),
                        MS_SPAN("a.example.org")));
    CHECK(ms_span_equal(ms_span(i->path, i->path_len), MS_SPAN("/p")));
    CHECK(i->expires == i->created + 100 && i->http_only && !i->secure);
    CHECK(i->same_site == MS_COOKIE_SITE_STRICT && i->host_only);
    i = ms_cookie_list_at(list, 1);
    CHECK(i->expires == INT64_MAX && !i->host_only);
    ms_cookie_list_free(list);
}

TEST(a_jar_lives_as_long_as_somebody_uses_it)
{
    struct ms_options *o, *copy;
    struct ms_jar *jar;

    CHECK(!ms_jar_new(&jar));
    CHECK(!ms_options_new(&o, NULL));
    CHECK(!ms_options_jar(o, jar));
    CHECK(!ms_options_jar(o, jar)); /* the same again */
    CHECK(!ms_options_new(&copy, o));
    ms_jar_free(jar);
    ms_options_free(o);
    CHECK(!set(jar, URL, "a=b")); /* the copy's */
    CHECK(ms_jar_ref(jar) == jar);
    CHECK(!ms_options_jar(copy, NULL));
    ms_options_free(copy);
    CHECK(count(jar, URL) == 1);
    ms_jar_free(jar);
    ms_jar_free(NULL);
    CHECK(!ms_jar_ref(NULL));
}

TEST(what_is_wrong_with_url_cookie_or_file_is_told)
{
    struct ms_jar_error error;
    struct ms_jar *jar;

    CHECK(!ms_jar_new(&jar));
    CHECK(set(jar, "nonsense", "a=b") == MS_EURL);
    CHECK(set(jar, "ftp://a.org/", "a=b") == MS_ESCHEME);
    CHECK(set(jar, URL, "") == MS_ECOOKIE);
    CHECK(ms_jar_load(jar, at("none"), &error) == MS_EFILE &&
          error.os_errno == ENOENT);
    put(at("bad"), "# one\n\nthree\n");
    CHECK(ms_jar_load(jar, at("bad"), &error) == MS_ECOOKIE &&
          error.line == 3 && error.reason);
    clean(at("bad"));
    ms_jar_free(jar);
}

TEST(a_jar_comes_back_from_its_file)
{
    struct ms_jar_error error;
    struct ms_jar *jar, *again;

    CHECK(!ms_jar_new(&jar) && !ms_jar_new(&again));
    CHECK(!set(jar, URL, "a=b; max-age=1000"));
    CHECK(!set(jar, URL, "c=d"));
    CHECK(!ms_jar_save(jar, at("jar"), &error));
    CHECK(!ms_jar_load(again, at("jar"), &error));
    CHECK(count(again, URL) == 2);
    ms_jar_free(jar);
    ms_jar_free(again);
    clean(at("jar"));
}

TEST(hosts_have_registrable_domains)
{
    char domain[MS_DOMAIN_ROOM];
    char host[300];

    if (!ms_psl_version())
        return;
    CHECK(!ms_registrable_domain("WWW.Example.co.UK.", 18, domain));
    CHECK(!strcmp(domain, "example.co.uk"));
    CHECK(!ms_registrable_domain("co.uk", 5, domain) && !*domain);
    CHECK(!ms_registrable_domain("127.0.0.1", 9, domain) && !*domain);
    CHECK(!ms_registrable_domain("a b", 3, domain) && !*domain);
    CHECK(!ms_registrable_domain("", 0, domain) && !*domain);
    memset(host, 'a', sizeof(host));
    CHECK(!ms_registrable_domain(host, sizeof(host), domain) && !*domain);
    ms_mem_fail(1, 1);
    ms_err err = ms_registrable_domain("a.org", 5, domain);
    ms_mem_fail(0, 0);
    CHECK(err == MS_ENOMEM && !*domain);
}

TEST(jars_without_memory_are_errors)
{
    struct ms_jar *jar = NULL;
    ms_err err = MS_ENOMEM;

    for (long nth = 1; err; nth++) {
        struct ms_cookie_list *list = NULL;
        CHECK(nth < 50);
        ms_mem_fail(nth, 1);
        err = ms_jar_new(&jar);
        if (!err)
            err = set(jar, URL, "a=b");
        if (!err)
            err = ms_jar_list(jar, &list);
        ms_mem_fail(0, 0);
        CHECK(!err || err == MS_ENOMEM);
        ms_cookie_list_free(list);
        ms_jar_free(jar);
        jar = NULL;
    }
}
