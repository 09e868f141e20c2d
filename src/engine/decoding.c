/* SPDX-License-Identifier: MIT */
#include "engine/decoding.h"

#include <assert.h>

#include "base/mem.h"

struct ms_decoding {
    struct ms_decoder *decoder;
    struct ms_decoding_owner owner;
    struct ms_task next_turn;         /* posted while it rests */
    uint64_t trusted, received, made; /* bytes */
    const char *failure;
    size_t owed;    /* 1: the first byte that comes was decoded already */
    size_t waiting; /* bytes of `piece` that were refused */
    size_t left;    /* bytes that may be made in this turn */
    unsigned turn;  /* the loop's entry that `left` is about */
    bool rests;
    char piece[MS_MUTANT_IS(323) ? 64 << 20 : MS_DECODING_PIECE];
};

/* Tasks also run in the turn that posts them: it is not over yet. */
static void on_next_turn(struct ms_task *t)
{
    struct ms_decoding *d = MS_CONTAINER(t, struct ms_decoding, next_turn);

    if (d->turn == d->owner.loop->entries) {
        ms_task_post(d->owner.loop, t);
        return;
    }
    d->rests = false;
    d->owner.again(d->owner.user);
}

ms_err ms_decoding_new(struct ms_decoding **out, const struct ms_fields *fields,
                       uint64_t trusted, const struct ms_decoding_owner *owner)
{
    struct ms_decoder *decoder;
    ms_err err = ms_decoder_new(&decoder, fields);

    *out = NULL;
    if (err || !decoder)
        return err;
    struct ms_decoding *d = ms_alloc(sizeof(*d));
    if (!d) {
        ms_decoder_free(decoder);
        return MS_ENOMEM;
    }
    d->decoder = decoder;
    d->trusted = trusted;
    d->received = d->made = 0;
    d->failure = NULL;
    d->owed = d->waiting = 0;
    d->owner = *owner;
    ms_task_init(&d->next_turn, on_next_turn);
    d->turn = owner->loop->entries;
    d->left = MS_DECODING_TURN;
    d->rests = false;
    *out = d;
    return MS_OK;
}

void ms_decoding_free(struct ms_decoding *d)
{
    if (!d)
        return;
    ms_task_cancel(&d->next_turn);
    ms_decoder_free(d->decoder);
    ms_free(d);
}

bool ms_decoding_rests(const struct ms_decoding *d)
{
    return d->rests;
}

static void begin_turn(struct ms_decoding *d)
{
    if (d->turn == d->owner.loop->entries)
        return;
    d->turn = d->owner.loop->entries;
    d->left = MS_DECODING_TURN;
}

static void rest(struct ms_decoding *d)
{
    d->rests = true;
    ms_task_post(d->owner.loop, &d->next_turn);
}

/* Makes another piece, unless one waits; `*more` says whether others will
 * follow. */
static ms_err make_piece(struct ms_decoding *d, struct ms_span *in, bool *more)
{
    size_t before = in->n;

    if (d->waiting)
        return MS_OK;
    ms_err err =
        ms_decoder_run(d->decoder, in, d->piece, sizeof(d->piece), &d->waiting);
    *more = d->waiting == sizeof(d->piece);
    d->received += before - in->n;
    d->made += d->waiting;
    d->left -= d->waiting < d->left ? d->waiting : d->left;
    if (err || MS_MUTANT_IS(305) || d->made <= d->trusted ||
        d->made / MS_DECODING_RATIO <= d->received)
        return err;
    d->failure = "it unpacks to more than 200 times its size, which is allowed "
                 "where max_body is set";
    return MS_ETOOLARGE;
}

/* Hands on what there is until all of `in` is used up, a piece is refused or
 * it was enough for now. */
static ms_err pump(struct ms_decoding *d, struct ms_span *in,
                   ms_decoding_cb *deliver, void *user)
{
    bool more = true;

    while (more || d->waiting) {
        size_t taken = 0;
        ms_err err = make_piece(d, in, &more);
        if (!err && d->waiting)
            err = deliver(user, d->piece, d->waiting, &taken);
        if (err || taken < d->waiting)
            return err;
        d->waiting = 0;
        if (more && !d->left && !MS_MUTANT_IS(331)) {
            rest(d);
            break;
        }
    }
    return MS_OK;
}

/* A session calls again only for bytes that were not taken: while a piece
 * waits, or is still to be made, one at least is not, though it may have gone
 * into a decoder. */
ms_err ms_decoding_feed(struct ms_decoding *d, struct ms_span in, size_t *taken,
                        ms_decoding_cb *deliver, void *user)
{
    size_t n = in.n;

    if (d->rests)
        return MS_OK;
    assert(in.n >= d->owed && (in.n || d->waiting));
    begin_turn(d);
    /* Also of crumbs that make less than a piece each. */
    if (!d->left && !d->waiting) {
        rest(d);
        return MS_OK;
    }
    in = ms_span(in.p + d->owed, in.n - d->owed);
    ms_err err = pump(d, &in, deliver, user);
    if (err)
        return err;
    d->owed = (d->waiting || d->rests) && !in.n && !MS_MUTANT_IS(306);
    *taken = n - in.n - d->owed;
    return MS_OK;
}

ms_err ms_decoding_end(struct ms_decoding *d)
{
    assert(!d->waiting);
    return ms_decoder_end(d->decoder);
}

const char *ms_decoding_failure(const struct ms_decoding *d)
{
    if (d && d->failure)
        return d->failure;
    return ms_decoder_failure(d ? d->decoder : NULL);
}
