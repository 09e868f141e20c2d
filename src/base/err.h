/* SPDX-License-Identifier: MIT
 *
 * err.h - the engine's error type, for modules below the public interface.
 *
 * Codes, categories and texts are one table in multisocket.h. This header
 * adds what only the inside needs: the translation from errno.
 */
#ifndef MS_BASE_ERR_H
#define MS_BASE_ERR_H

#include "multisocket.h"

#include "base/def.h"

/* The error for a failed connect(), send() or recv(). */
ms_err ms_err_from_errno(int os_errno);

#endif
