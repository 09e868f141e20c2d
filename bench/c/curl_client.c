/* SPDX-License-Identifier: MIT
 *
 * curl_client.c - the libcurl side of the benchmark: multi_socket and epoll.
 *
 * Set up as somebody who cares about speed would: easy handles are reused,
 * the connection cache holds every connection there will be, messages are
 * read once per batch, the timer is epoll's timeout, there is no signal
 * handling, no proxy look-up and no header callback.
 */
#include "client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct curl_client {
    struct client base;
    CURLM *multi;
    struct curl_slist *headers;
};

static struct curl_client *of(struct client *c)
{
    return (struct curl_client *)(void *)c;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    (void)data;
    client_received(user, size * n);
    return size * n;
}

/* libcurl's own way to open a socket, and a count. */
static curl_socket_t on_open(void *user, curlsocktype purpose,
                             struct curl_sockaddr *a)
{
    struct client *c = user;
    (void)purpose;
    c->opened++;
    return socket(a->family, a->socktype, a->protocol);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user,
                     void *value)
{
    static char known;
    static const uint32_t EVENTS[] = {
        [CURL_POLL_NONE] = 0,       [CURL_POLL_IN] = EPOLLIN,
        [CURL_POLL_OUT] = EPOLLOUT, [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
        [CURL_POLL_REMOVE] = 0,
    };
    struct client *c = user;
    (void)easy;
    client_watch(c, fd, EVENTS[what], value != NULL);
    if (!value)
        curl_multi_assign(of(c)->multi, fd, &known);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    (void)multi;
    client_wake_in(user, timeout_ms);
    return 0;
}

static void on_ready(struct client *c, int fd, uint32_t events)
{
    int running, mask = 0;
    if (events & (EPOLLIN | EPOLLHUP))
        mask |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        mask |= CURL_CSELECT_ERR;
    curl_multi_socket_action(of(c)->multi, fd < 0 ? CURL_SOCKET_TIMEOUT : fd,
                             mask, &running);
}

static void after_batch(struct client *c)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(of(c)->multi, &left))) {
        CURL *easy = m->easy_handle;
        CURLcode result = m->data.result;
        char *slot;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (result)
            fprintf(stderr, "%s\n", curl_easy_strerror(result));
        curl_multi_remove_handle(of(c)->multi, easy);
        client_ended(c, (struct client_slot *)(void *)slot,
                     !result && status == 200);
    }
}

/* Unless asked for, without the folder of certificates that Debian's libcurl
 * adds to every file it is given: with it, it keeps no store and reads the
 * file anew for every connection. */
static void set_tls(CURL *e, const struct client *c)
{
    if (c->ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
    if (c->ca_file && !c->ca_path)
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, (long)!c->no_resume);
}

static bool prepare(struct client *c, struct client_slot *slot, const char *url)
{
    CURL *e = curl_easy_init();
    if (!e)
        return false;
    slot->easy = e;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PRIVATE, (void *)slot);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, (void *)slot);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, (void *)c);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(
        e, CURLOPT_HTTP_VERSION,
        (long)(c->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, (long)c->http2);
    set_tls(e, c);
    if (c->new_connections && !slot->is_held) {
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, of(c)->headers);
        curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    }
    return true;
}

static void start(struct client *c, struct client_slot *slot)
{
    curl_multi_add_handle(of(c)->multi, slot->easy);
}

static void drop(struct client *c)
{
    for (unsigned i = 0; i < c->held + c->concurrency; i++) {
        if (c->slots[i].easy)
            curl_multi_remove_handle(of(c)->multi, c->slots[i].easy);
        curl_easy_cleanup(c->slots[i].easy);
        c->slots[i].easy = NULL;
    }
}

static void fini(struct curl_client *c)
{
    drop(&c->base);
    curl_multi_cleanup(c->multi);
    curl_slist_free_all(c->headers);
    curl_global_cleanup();
}

int main(int argc, char **argv)
{
    struct curl_client c;
    client_init(&c.base, argc, argv);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    c.headers = curl_slist_append(NULL, "Connection: close");
    c.multi = curl_multi_init();
    if (!c.headers || !c.multi)
        return 2;
    curl_multi_setopt(c.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c.multi, CURLMOPT_SOCKETDATA, (void *)&c.base);
    curl_multi_setopt(c.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c.multi, CURLMOPT_TIMERDATA, (void *)&c.base);
    curl_multi_setopt(c.multi, CURLMOPT_MAXCONNECTS,
                      (long)c.base.concurrency + (long)c.base.held);
    c.base.prepare = prepare;
    c.base.start = start;
    c.base.on_ready = on_ready;
    c.base.after_batch = after_batch;
    c.base.drop = drop;
    int code = client_run(&c.base);
    fini(&c);
    return code;
}
