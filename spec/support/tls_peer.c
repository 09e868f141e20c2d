/* SPDX-License-Identifier: MIT
 *
 * tls_peer.c - a TLS server that plays a list of steps per connection. Every
 * connection has a thread of its own, so that a step may simply block.
 */
#include "tls_peer.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096 }; /* specs connect by the hundred */

/* ---- steps -------------------------------------------------------------- */

static bool step_handshake(struct conn *c, const struct step *s)
{
    (void)c, (void)s;
    return true; /* has been made */
}

static bool step_request(struct conn *c, const struct step *s)
{
    (void)s;
    return take_request(c);
}

static bool step_head(struct conn *c, const struct step *s)
{
    (void)s;
    return take_head(c);
}

static bool step_bytes(struct conn *c, const struct step *s)
{
    size_t left = (size_t)s->number;

    for (;;) {
        size_t n = c->len < left ? c->len : left;

        take(c, n);
        left -= n;
        if (left == 0)
            return true;
        if (!read_more(c))
            return false;
    }
}

static bool step_eof(struct conn *c, const struct step *s)
{
    (void)s;
    while (read_more(c))
        take(c, c->len);
    return true;
}

static bool step_send(struct conn *c, const struct step *s)
{
    return write_all(c, s->data, s->len, (size_t)s->number);
}

static bool step_fill(struct conn *c, const struct step *s)
{
    char piece[READ_SIZE];

    memset(piece, 'x', sizeof(piece));
    for (size_t left = (size_t)s->number; left > 0;) {
        size_t n = left < sizeof(piece) ? left : sizeof(piece);

        if (!write_all(c, piece, n, 0))
            return false;
        left -= n;
    }
    return true;
}

static bool step_raw(struct conn *c, const struct step *s)
{
    return write_raw(c, s->data, s->len);
}

static bool step_delay(struct conn *c, const struct step *s)
{
    struct timespec t = {s->number / 1000, s->number % 1000 * 1000000};

    (void)c;
    nanosleep(&t, NULL);
    return true;
}

/* number: whether the client is asked to change its key too. */
static bool step_key_update(struct conn *c, const struct step *s)
{
    int kind =
        s->number ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;

    forget_errors();
    if (SSL_key_update(c->ssl, kind) == 1 && SSL_do_handshake(c->ssl) == 1)
        return true;
    note_failure(c, 0);
    return false;
}

static bool step_ticket(struct conn *c, const struct step *s)
{
    (void)s;
    forget_errors();
    if (SSL_new_session_ticket(c->ssl) == 1 && SSL_do_handshake(c->ssl) == 1)
        return true;
    note_failure(c, 0);
    return false;
}

/* Sends a HelloRequest; what the client makes of it, a later step reads. */
static bool step_renegotiate(struct conn *c, const struct step *s)
{
    (void)s;
    forget_errors();
    if (SSL_renegotiate(c->ssl) == 1 && SSL_do_handshake(c->ssl) == 1)
        return true;
    note_failure(c, 0);
    return false;
}

static bool step_shutdown(struct conn *c, const struct step *s)
{
    (void)s;
    forget_errors();
    SSL_shutdown(c->ssl);
    return true;
}

/* Sends FIN, and hears what the client does then. */
static bool finish(struct conn *c)
{
    char drain[READ_SIZE];

    shutdown(c->fd, SHUT_WR);
    while (c->secure && read_more(c))
        take(c, c->len);
    while (!c->secure && read(c->fd, drain, sizeof(drain)) > 0)
        continue;
    return false;
}

static bool step_truncate(struct conn *c, const struct step *s)
{
    (void)s;
    return finish(c);
}

static bool step_close(struct conn *c, const struct step *s)
{
    if (c->secure && !c->ended)
        step_shutdown(c, s);
    return finish(c);
}

static bool step_reset(struct conn *c, const struct step *s)
{
    struct linger at_once = {1, 0};

    (void)s;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    return false;
}

/* Says nothing more, but hears everything. */
static bool step_hang(struct conn *c, const struct step *s)
{
    char drain[READ_SIZE];

    (void)s;
    while (c->secure && read_more(c))
        take(c, c->len);
    while (read(c->fd, drain, sizeof(drain)) > 0)
        continue;
    return false;
}

static bool step_repeat(struct conn *c, const struct step *s)
{
    c->rounds++;
    if (s->number == 0 || c->rounds < s->number)
        c->at = 0;
    return true;
}

static const struct step_kind KINDS[] = {
    {"handshake", step_handshake, false},
    {"request", step_request, false},
    {"head", step_head, false},
    {"bytes", step_bytes, false},
    {"eof", step_eof, false},
    {"send", step_send, false},
    {"fill", step_fill, false},
    {"raw", step_raw, true},
    {"delay", step_delay, true},
    {"key_update", step_key_update, false},
    {"ticket", step_ticket, false},
    {"renegotiate", step_renegotiate, false},
    {"shutdown", step_shutdown, false},
    {"close", step_close, true},
    {"truncate", step_truncate, true},
    {"reset", step_reset, true},
    {"hang", step_hang, true},
    {"repeat", step_repeat, true},
};

const struct step_kind *find_step(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
        if (strncmp(KINDS[i].name, name, len) == 0 &&
            KINDS[i].name[len] == '\0')
            return &KINDS[i];
    return NULL;
}

static bool play_step(struct conn *c, const struct step *s)
{
    if (!s->kind->before_tls && !handshake(c))
        return false;
    return s->kind->run(c, s);
}

static void play(struct conn *c, const struct script *script)
{
    while (c->at < script->count)
        if (!play_step(c, &script->steps[c->at++]))
            return;
    note(c, "end");
    step_close(c, NULL);
}

/* ---- connections -------------------------------------------------------- */

static void *serve(void *arg)
{
    struct conn *c = arg;
    const struct job *job = c->job;
    size_t n = (size_t)c->id - 1;

    c->ssl = SSL_new(job->ctx);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
        die("no connection");
    if (n >= job->script_count)
        n = job->script_count - 1;
    play(c, &job->scripts[n]);
    SSL_free(c->ssl);
    close(c->fd);
    note(c, "closed");
    free(c->input);
    free(c);
    return NULL;
}

/* Prints the port. */
static int listen_at(const char *host, const char *service)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM},
                    *found;
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    char port[NI_MAXSERV];
    int fd, yes = 1;

    if (getaddrinfo(host, service, &hints, &found) != 0)
        die("no address: %s", host);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
        listen(fd, BACKLOG) != 0)
        die("cannot listen: %s", strerror(errno));
    freeaddrinfo(found);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    getnameinfo((struct sockaddr *)&addr, len, NULL, 0, port, sizeof(port),
                NI_NUMERICSERV);
    puts(port);
    fflush(stdout);
    return fd;
}

static _Noreturn void accept_forever(const struct job *job, int listener)
{
    for (int id = 1;; id++) {
        struct conn *c = grow(NULL, sizeof(*c));
        pthread_t thread;

        *c = (struct conn){
            .job = job, .id = id, .fd = accept(listener, NULL, NULL)};
        if (c->fd < 0)
            die("accept: %s", strerror(errno));
        note(c, "accept");
        if (pthread_create(&thread, NULL, serve, c) != 0)
            die("no thread");
        pthread_detach(thread);
    }
}

int main(void)
{
    const struct job *job;

    signal(SIGPIPE, SIG_IGN);
    job = read_job();
    accept_forever(job, listen_at(job->host, job->port));
}
