/* SPDX-License-Identifier: MIT
 *
 * What our parser makes of URLs, for spec/support/url_diff.js to compare:
 * takes lines "URL BASE" on stdin, both in hexadecimal digits, the base empty
 * for none, and prints for each "MS_OK HREF" or "ERROR WHY"; an error of the
 * base has "BASE" in front.
 */
#include "hex_in.h"
#include "proto/url.h"

static void show(struct ms_span url, struct ms_span base_text)
{
    struct ms_url base = {0}, u = {0};
    const char *why = "";
    ms_err err = MS_OK;

    if (base_text.n)
        err = ms_url_parse(&base, base_text, NULL, &why);
    if (err) {
        printf("BASE %s %s\n", ms_err_name(err), why);
        return;
    }
    err = ms_url_parse(&u, url, base_text.n ? &base : NULL, &why);
    if (err)
        printf("%s %s\n", ms_err_name(err), why);
    else
        printf("MS_OK %.*s\n", (int)ms_buf_len(&u.href), u.href.p);
    ms_url_free(&base);
    ms_url_free(&u);
}

int main(void)
{
    struct ms_buf url = {0}, base = {0};

    while (read_hex(&url) && read_hex(&base))
        show(ms_buf_span(&url), ms_buf_span(&base));
    ms_buf_free(&url);
    ms_buf_free(&base);
    return EXIT_SUCCESS;
}
