/* SPDX-License-Identifier: MIT
 *
 * progress.h - telling the application how far a run has come: about once a
 * second, and when it has ended well.
 *
 * Body bytes are counted, as they are on the wire: coded, and without what
 * frames them.
 */
#ifndef MS_ENGINE_PROGRESS_H
#define MS_ENGINE_PROGRESS_H

#include "engine/easy.h"

/* As libcurl has it: often enough for people to look at. */
#define MS_PROGRESS_US 1000000

/* A new request of the run starts at nothing. */
void ms_progress_restart(struct ms_easy *e);

/* Calls on_progress, which has to be wanted. False: what it said ended the run,
 * or it did so by itself. */
bool ms_progress_tell(struct ms_easy *e) MS_MUST_CHECK;

static inline bool ms_progress_wanted(const struct ms_easy *e)
{
    return e->tells && e->on_progress;
}

#endif
