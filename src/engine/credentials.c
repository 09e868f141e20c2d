/* SPDX-License-Identifier: MIT */
#include "engine/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/run_parts.h"
#include "net/file.h"
#include "proto/netrc.h"

#define UNAUTHORIZED 401
/* Challenges answered in one hop: the first, and one more for a nonce that
 * grew too old meanwhile. */
#define MAX_ANSWERS 2
/* Larger files are not read: no person wrote them. */
#define MAX_NETRC ((size_t)1024 * 1024)
/* Longer names of files are cut in messages. */
#define MAX_MESSAGE 512

/* ---- the netrc file ---------------------------------------------------- */

/* Says why the file is of no use. */
static ms_err file_error(struct ms_easy *e, const char *path, unsigned line,
                         const char *what, const char **why)
{
    char text[MAX_MESSAGE];

    if (line)
        snprintf(text, sizeof(text), "netrc: %.400s:%u: %s", path, line, what);
    else
        snprintf(text, sizeof(text), "netrc: %s %.400s", what, path);
    *why = ms_run_say(e, text);
    return *why ? MS_EOPTION : MS_ENOMEM;
}

/* The path, NUL-terminated, into `out`; empty: there is none. `*named` is
 * false for the usual place, where nothing need be. */
static ms_err netrc_path(const struct ms_easy *e, struct ms_buf *out,
                         bool *named)
{
    struct ms_span option = ms_buf_span(&ms_run_options(e)->auth.netrc);
    const char *variable = secure_getenv("NETRC"),
               *home = secure_getenv("HOME");
    ms_err err;

    *named = option.n || (variable && *variable);
    if (*named)
        err = ms_buf_add_span(out, option.n ? option : ms_span_text(variable));
    else if (!home || !*home)
        return MS_OK;
    else if (!(err = ms_buf_add_span(out, ms_span_text(home))))
        err = ms_buf_add_span(out, MS_SPAN("/.netrc"));
    return err ? err : ms_buf_add(out, "", 1);
}

/* A default entry is not for hosts that some server names: those have to be in
 * the file. */
static bool is_login(const struct ms_easy *e, const struct ms_netrc *n)
{
    return n->found && (!n->by_default || ms_agent_trusts(e));
}

/* What the text says of the hop's host, into the agent. */
static ms_err search_netrc(struct ms_easy *e, const char *path,
                           struct ms_span text, const char **why)
{
    struct ms_credentials *c = &e->agent->credentials;
    const struct ms_url *url = MS_MUTANT_IS(441) ? &e->url : ms_agent_url(e);
    struct ms_netrc n = {.found = false};
    struct ms_span user = ms_buf_span(&c->user); /* of the URL, if it has one */
    const char *what;
    unsigned line;
    ms_err err =
        ms_netrc_find(&n, text, ms_url_part(url, url->host, url->host_end),
                      user, &what, &line);

    if (err == MS_EOPTION)
        err = file_error(e, path, line, what, why);
    if (err || !is_login(e, &n)) {
        ms_netrc_free(&n);
        return err;
    }
    ms_buf_free(&c->user);
    ms_buf_free(&c->password);
    c->user = n.login;
    c->password = n.password;
    c->known = true;
    return MS_OK;
}

static bool is_missing(int os_errno)
{
    return os_errno == ENOENT || os_errno == ENOTDIR;
}

static ms_err no_netrc(struct ms_easy *e, const char *path, int os_errno,
                       const char **why)
{
    if (is_missing(os_errno))
        return file_error(e, path, 0, "there is no", why);
    e->error.os_errno = os_errno;
    return file_error(e, path, 0, "cannot read", why);
}

static ms_err read_netrc(struct ms_easy *e, const char *path, bool named,
                         const char **why)
{
    struct ms_buf text = {0};
    int os_errno;
    ms_err err = ms_file_read(path, MAX_NETRC, &text, &os_errno);

    if (!err)
        err = search_netrc(e, path, ms_buf_span(&text), why);
    else if (err == MS_EFILE)
        err = !named && is_missing(os_errno) ? MS_OK
                                             : no_netrc(e, path, os_errno, why);
    ms_buf_free(&text);
    return err;
}

static ms_err ask_netrc(struct ms_easy *e, const char **why)
{
    struct ms_buf path = {0};
    bool named;
    ms_err err = netrc_path(e, &path, &named);

    if (!err && ms_buf_len(&path))
        err = read_netrc(e, ms_buf_span(&path).p, named, why);
    ms_buf_free(&path);
    return err;
}

/* ---- who one is -------------------------------------------------------- */

/* Undoes percent-encoding; what is no such stays as it is. */
static ms_err decode(struct ms_buf *to, struct ms_span s)
{
    ms_err err = ms_buf_reserve(to, s.n + 1);

    for (size_t i = 0; !err && i < s.n; i++) {
        char c = s.p[i];
        int high = c == '%' && i + 2 < s.n
                       ? ms_hex_value((unsigned char)s.p[i + 1])
                       : -1;
        int low = high >= 0 ? ms_hex_value((unsigned char)s.p[i + 2]) : -1;
        if (low >= 0) {
            c = (char)(high << 4 | low);
            i += 2;
        }
        ms_buf_put(to, ms_span(&c, 1));
    }
    return err;
}

/* The hop's URL, or the run's as long as that is trusted. */
static const struct ms_url *url_with_login(const struct ms_easy *e)
{
    if (ms_credentials_in(ms_agent_url(e)))
        return ms_agent_url(e);
    return (ms_agent_trusts(e) || MS_MUTANT_IS(409)) &&
                   ms_credentials_in(&e->url)
               ? &e->url
               : NULL;
}

static ms_err ask_url(struct ms_easy *e)
{
    struct ms_credentials *c = &e->agent->credentials;
    const struct ms_url *url = url_with_login(e);

    if (!url)
        return MS_OK;
    c->known = url->password_end > url->password;
    ms_err err =
        decode(&c->user, ms_url_part(url, url->username, url->username_end));
    if (!err)
        err = decode(&c->password,
                     ms_url_part(url, url->password, url->password_end));
    return err;
}

/* The options' own, which need no looking for. */
static bool options_know(const struct ms_easy *e, struct ms_login *login)
{
    const struct ms_options *o = ms_run_options(e);

    return (ms_agent_trusts(e) || MS_MUTANT_IS(408)) && !o->auth.bearer.p &&
           ms_auth_settings_login(&o->auth, login);
}

/* Nothing but the options' fields says who one is here. */
static bool options_say_all(const struct ms_easy *e)
{
    const struct ms_options *o = ms_run_options(e);

    if (o->authorized)
        return true;
    return ms_agent_trusts(e) &&
           (o->auth.bearer.p || (o->auth.user.p && !o->auth.digest));
}

/* Looks once in a hop: the file could change while it is answered. */
static ms_err look(struct ms_easy *e, const char **why)
{
    struct ms_credentials *c = &e->agent->credentials;
    struct ms_login login;

    if (c->looked && c->hop == e->agent->redirects)
        return MS_OK;
    ms_credentials_free(c);
    c->looked = true;
    c->hop = e->agent->redirects;
    if (options_say_all(e) || options_know(e, &login))
        return MS_OK;
    ms_err err = ask_url(e);
    if (!err && !c->known && ms_run_options(e)->auth.netrc.p)
        err = ask_netrc(e, why);
    c->known |= c->user.p != NULL;
    return err;
}

/* False: nobody. */
static bool login_of(const struct ms_easy *e, struct ms_login *login)
{
    const struct ms_credentials *c = &e->agent->credentials;

    if (options_say_all(e))
        return false;
    if (options_know(e, login))
        return true;
    *login =
        (struct ms_login){ms_buf_span(&c->user), ms_buf_span(&c->password)};
    return c->known;
}

/* ---- what is sent ------------------------------------------------------ */

static ms_err add_basic(struct ms_easy *e, const struct ms_login *login,
                        const char **why)
{
    struct ms_buf value = {0};
    ms_err err = ms_auth_basic(login, &value, why);

    if (!err)
        err =
            ms_agent_add_line(e, MS_SPAN("Authorization"), ms_buf_span(&value));
    ms_buf_free(&value);
    return err;
}

/* What an answer is about. */
static struct ms_digest_request request_of(const struct ms_easy *e)
{
    bool bodyless = e->agent->bodyless;
    bool produced = e->source && e->source->of.cb && !bodyless;

    return (struct ms_digest_request){
        .method = e->response->trip->method,
        .target = ms_url_target(ms_agent_url(e)),
        .body = bodyless || produced ? ms_span(NULL, 0)
                                     : ms_options_body(ms_run_options(e)),
        .whole = !produced,
    };
}

/* What the server said before, where that can be used: it took it from
 * somebody, or this run was told. */
static ms_err find_known(struct ms_easy *e, const struct ms_login *login,
                         struct ms_auth_entry **out)
{
    struct ms_auth_store *store = &ms_run_env_of(e)->logins;
    ms_err err = ms_auth_store_find(store, ms_agent_url(e), login, false, out);

    if (*out &&
        ((!(*out)->proven && !e->agent->credentials.answers &&
          !MS_MUTANT_IS(435)) ||
         ((*out)->digest.qop == MS_QOP_AUTH_INT && !request_of(e).whole)))
        *out = NULL;
    return err;
}

static ms_err add_digest(struct ms_easy *e, const struct ms_login *login,
                         const char **why)
{
    struct ms_digest_request req = request_of(e);
    struct ms_auth_entry *entry;
    struct ms_buf value = {0};
    ms_err err = find_known(e, login, &entry);

    if (err || !entry)
        return err;
    err = ms_digest_answer(&entry->digest, login, &req, &value);
    if (err == MS_EINTERNAL)
        *why = "the hash that the server wants is not available";
    if (!err)
        err =
            ms_agent_add_line(e, MS_SPAN("Authorization"), ms_buf_span(&value));
    ms_buf_free(&value);
    if (!err)
        err = ms_proof_begin(&e->agent->credentials.proof, &entry->digest,
                             login, req.target);
    e->agent->credentials.answered = !err;
    return err;
}

ms_err ms_credentials_before_hop(struct ms_easy *e, const char **why)
{
    struct ms_login login;
    ms_err err = look(e, why);

    e->agent->credentials.answered = false;
    ms_proof_free(&e->agent->credentials.proof);
    if (err || !login_of(e, &login))
        return err;
    if (!ms_run_options(e)->auth.digest || MS_MUTANT_IS(437))
        return add_basic(e, &login, why);
    *why = ms_auth_refusal(&login);
    return *why ? MS_EOPTION : add_digest(e, &login, why);
}

/* ---- what comes back --------------------------------------------------- */

/* A line of Authentication-Info. MS_EPROTO: whoever made it does not know the
 * password, and nothing it says counts. */
static ms_err take_info(struct ms_easy *e, const struct ms_login *login,
                        struct ms_span line, const char **why)
{
    struct ms_auth_entry *entry;
    bool wrong;
    ms_err err = ms_proof_check(&e->agent->credentials.proof, line, &wrong);

    if (!err)
        err = find_known(e, login, &entry);
    if (err)
        return err;
    if (wrong && !MS_MUTANT_IS(330)) {
        if (entry)
            ms_auth_store_forget(&ms_run_env_of(e)->logins, entry);
        *why = "the server does not know the password (rspauth, Digest)";
        return MS_EPROTO;
    }
    return entry ? ms_digest_info(&entry->digest, line, ms_random_bytes)
                 : MS_OK;
}

static ms_err take_infos(struct ms_easy *e, const struct ms_login *login,
                         const struct ms_fields *f, const char **why)
{
    static const struct ms_span name = {"authentication-info", 19};
    ms_err err = MS_OK;

    for (size_t i = 0; !err && (i = ms_fields_find(f, name, i)) != SIZE_MAX;
         i++)
        err = take_info(e, login, ms_fields_value(f, i), why);
    return err;
}

/* The server took the answer. What it proves by auth-int is about the body
 * that is still to come. */
static ms_err note_success(struct ms_easy *e, const struct ms_login *login,
                           const char **why)
{
    struct ms_auth_entry *entry;
    ms_err err = find_known(e, login, &entry);

    if (err)
        return err;
    if (entry)
        entry->proven = true;
    return ms_proof_has_body(&e->agent->credentials.proof)
               ? MS_OK
               : take_infos(e, login, &e->response->head.fields, why);
}

/* Takes the server's challenge. `*again` is true when it is to be answered. */
static ms_err take_challenge(struct ms_easy *e, const struct ms_login *login,
                             bool *again)
{
    struct ms_credentials *c = &e->agent->credentials;
    struct ms_auth_store *store = &ms_run_env_of(e)->logins;
    struct ms_auth_entry *entry;
    bool found = false;
    ms_err err =
        ms_auth_store_find(store, ms_agent_url(e), login, true, &entry);

    *again = false;
    if (err)
        return err;
    err = ms_auth_choose(&e->response->head.fields, MS_SPAN("www-authenticate"),
                         request_of(e).whole, &entry->digest, &found);
    bool stale = found && entry->digest.stale;
    *again = !err && found && (c->answers < MAX_ANSWERS || MS_MUTANT_IS(434)) &&
             (!c->answers || !c->answered || stale || MS_MUTANT_IS(433));
    entry->proven &= stale;
    if (!*again)
        ms_auth_store_forget(store, entry);
    return err;
}

ms_err ms_credentials_after_head(struct ms_easy *e, enum ms_then *then,
                                 const char **why)
{
    struct ms_credentials *c = &e->agent->credentials;
    struct ms_login login;
    bool again;

    if (!ms_run_options(e)->auth.digest || !login_of(e, &login))
        return MS_OK;
    if (e->response->head.status != UNAUTHORIZED)
        return c->answered ? note_success(e, &login, why) : MS_OK;
    ms_err err = take_challenge(e, &login, &again);
    if (err || !again)
        return err;
    if (!ms_agent_can_repeat(e)) {
        *why = "the server asks who wants it (Digest): give it as a string or "
               "{ path = }, or ask for something small first";
        return MS_EREPLAY;
    }
    c->answers++;
    *then = MS_THEN_AGAIN;
    return MS_OK;
}

ms_err ms_credentials_after_body(struct ms_easy *e, const char **why)
{
    struct ms_credentials *c = &e->agent->credentials;
    struct ms_response *r = e->response;
    struct ms_login login;
    ms_err err = MS_OK;

    if (!c->answered || r->head.status == UNAUTHORIZED || !login_of(e, &login))
        return MS_OK;
    if (ms_proof_has_body(&c->proof)) {
        err = ms_proof_end(&c->proof);
        if (!err)
            err = take_infos(e, &login, &r->head.fields, why);
    }
    return err ? err : take_infos(e, &login, &r->trailers, why);
}
