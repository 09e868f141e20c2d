/* SPDX-License-Identifier: MIT
 *
 * engine_client.c - our engine driven from C through the public header, with
 * the same loop as the libcurl client.
 *
 * Transfers are one-shot: the done callback restarts the handle, so the next
 * request leaves in the same exit of the engine.
 */
#include "client.h"
#include "multisocket.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

struct engine_client {
    struct client base;
    struct ms_multi *multi;
    struct ms_options *options; /* for new connections; NULL: the defaults */
};

static struct engine_client *of(struct client *c)
{
    return (struct engine_client *)(void *)c;
}

static enum ms_verdict on_data(struct ms_easy *easy, const char *p, size_t n,
                               void *user)
{
    (void)easy;
    (void)p;
    client_received(user, n);
    return MS_GO_ON;
}

static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    static char known;
    static const uint32_t EVENTS[] = {
        [MS_POLL_IN] = EPOLLIN,
        [MS_POLL_OUT] = EPOLLOUT,
        [MS_POLL_INOUT] = EPOLLIN | EPOLLOUT,
        [MS_POLL_REMOVE] = 0,
    };
    struct client *c = user;
    (void)easy;
    client_watch(c, fd, EVENTS[what], value != NULL);
    if (value)
        return true;
    c->opened++; /* the host is a literal address: no resolver sockets */
    return ms_multi_assign(of(c)->multi, fd, &known) == MS_OK;
}

static bool on_timer(struct ms_multi *multi, int64_t timeout_ms, void *user)
{
    (void)multi;
    client_wake_in(user, timeout_ms);
    return true;
}

static void on_done(struct ms_multi *multi, struct ms_easy *easy, void *user)
{
    const struct ms_error *e = ms_easy_error(easy);
    const struct ms_response *r = ms_easy_response(easy);
    char line[256];
    (void)multi;
    if (e->err)
        fprintf(stderr, "%s\n",
                ms_easy_error_message(easy, line, sizeof(line)));
    client_ended(user, ms_easy_user(easy),
                 !e->err && r && ms_response_status(r) == 200);
}

static void on_ready(struct client *c, int fd, uint32_t events)
{
    unsigned mask = 0;
    if (events & (EPOLLIN | EPOLLHUP))
        mask |= MS_CSELECT_IN;
    if (events & EPOLLOUT)
        mask |= MS_CSELECT_OUT;
    if (events & EPOLLERR)
        mask |= MS_CSELECT_ERR;
    ms_multi_socket_action(of(c)->multi, fd < 0 ? MS_SOCKET_TIMEOUT : fd, mask);
}

/* Everything happened in on_done() already. */
static void after_batch(struct client *c)
{
    (void)c;
}

static bool prepare(struct client *c, struct client_slot *slot, const char *url)
{
    struct ms_easy *e;
    if (ms_easy_new(&e))
        return false;
    slot->easy = e;
    ms_easy_set_user(e, slot);
    ms_easy_set_oneshot(e, true);
    ms_easy_on_data(e, on_data, slot);
    if (!slot->is_held || c->http2)
        ms_easy_set_options(e, of(c)->options);
    return ms_easy_set_url(e, url, strlen(url)) == MS_OK;
}

static void start(struct client *c, struct client_slot *slot)
{
    if (ms_multi_add(of(c)->multi, slot->easy))
        client_ended(c, slot, false);
}

static ms_err set_text(struct engine_client *c, enum ms_option id,
                       const char *text)
{
    return ms_options_set_string(c->options, id, text, strlen(text));
}

/* HTTP/2 is said by the handshake where there is one. */
static ms_err set_version(struct engine_client *c)
{
    bool tls = !strncmp(c->base.url, "https:", 6);

    return set_text(c, MS_OPT_VERSION, tls ? "2" : "2-prior-knowledge");
}

static ms_err make_options(struct engine_client *c)
{
    ms_err err = MS_OK;
    if (!c->base.new_connections && !c->base.http2 && !c->base.ca_file)
        return MS_OK;
    err = ms_options_new(&c->options, NULL);
    if (!err && c->base.http2)
        err = set_version(c);
    if (!err && c->base.ca_file)
        err = set_text(c, MS_OPT_TLS_CA_FILE, c->base.ca_file);
    if (!err && c->base.no_resume)
        err = ms_options_set_bool(c->options, MS_OPT_TLS_SESSION_REUSE, false);
    if (err || !c->base.new_connections)
        return err;
    if (!err)
        err = ms_options_set_bool(c->options, MS_OPT_FRESH_CONNECTION, true);
    if (!err)
        err = ms_options_header(c->options, MS_HEADER_SET, "Connection", 10,
                                "close", 5);
    return err;
}

static ms_err make_multi(struct engine_client *c)
{
    ms_err err = ms_multi_new(&c->multi);
    if (err)
        return err;
    ms_multi_on_socket(c->multi, on_socket, &c->base);
    ms_multi_on_timer(c->multi, on_timer, &c->base);
    ms_multi_on_done(c->multi, on_done, &c->base);
    if (c->base.streams)
        err = ms_multi_set(c->multi, MS_MULTI_MAX_CONCURRENT_STREAMS,
                           c->base.streams);
    if (err)
        return err;
    return ms_multi_set(c->multi, MS_MULTI_MAX_IDLE,
                        (int64_t)c->base.concurrency + c->base.held);
}

static void drop(struct client *c)
{
    for (unsigned i = 0; i < c->held + c->concurrency; i++) {
        ms_easy_close(c->slots[i].easy);
        c->slots[i].easy = NULL;
    }
}

static void fini(struct engine_client *c)
{
    ms_multi_on_done(c->multi, NULL, NULL);
    ms_multi_free(c->multi);
    drop(&c->base);
    ms_options_free(c->options);
}

int main(int argc, char **argv)
{
    struct engine_client c = {0};
    client_init(&c.base, argc, argv);
    ms_err err = make_multi(&c);
    if (!err)
        err = make_options(&c);
    if (err) {
        fprintf(stderr, "engine_client: %s\n", ms_err_text(err));
        return 2;
    }
    c.base.prepare = prepare;
    c.base.start = start;
    c.base.on_ready = on_ready;
    c.base.after_batch = after_batch;
    c.base.drop = drop;
    int code = client_run(&c.base);
    fini(&c);
    return code;
}
