/* SPDX-License-Identifier: MIT */
#include "engine/auth_settings.h"

void ms_credentials_free(struct ms_credentials *c)
{
    ms_buf_free(&c->user);
    ms_buf_free(&c->password);
    ms_proof_free(&c->proof);
    *c = (struct ms_credentials){0};
}

bool ms_auth_settings_login(const struct ms_auth_settings *s,
                            struct ms_login *login)
{
    *login =
        (struct ms_login){ms_buf_span(&s->user), ms_buf_span(&s->password)};
    return s->user.p != NULL;
}

ms_err ms_auth_settings_value(const struct ms_auth_settings *s,
                              struct ms_buf *out, const char **why)
{
    struct ms_login login;

    *why = NULL;
    if (s->password.p && !s->user.p) {
        *why = "auth has a password and no user";
        return MS_EOPTION;
    }
    if (s->bearer.p)
        return ms_auth_bearer(ms_buf_span(&s->bearer), out, why);
    if (!ms_auth_settings_login(s, &login))
        return MS_OK;
    if (!s->digest)
        return ms_auth_basic(&login, out, why);
    *why = ms_auth_refusal(&login);
    return *why ? MS_EOPTION : MS_OK;
}
