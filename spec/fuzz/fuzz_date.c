/* SPDX-License-Identifier: MIT
 *
 * Fuzzes dates: those of HTTP fields and those of cookies. What is a date
 * reads the same when it is written anew in each form, and what both know
 * means the same to both.
 *
 * Input: a date.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/cookie_date.h"
#include "proto/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW   INT64_C(1700000000)   /* 2023 */
#define FIRST INT64_C(-62167219200) /* of the year 0 */
#define LAST  INT64_C(253402300800) /* a leap second behind the year 9999 */
/* Cookies know no year before 1601, */
#define FIRST_OF_COOKIES INT64_C(-11644473600)
/* and read years of two digits otherwise than HTTP but for these. */
#define FIRST_SHORT INT64_C(126230400)  /* 1974, 50 years before NOW's next */
#define LAST_SHORT  INT64_C(3155759999) /* 2069 */

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void expect_http(const char *text, int64_t want)
{
    int64_t got;

    expect(ms_date_parse(ms_span_text(text), NOW, &got) && got == want);
}

static void expect_cookie(struct ms_span text, int64_t want)
{
    int64_t got;

    expect(ms_cookie_date(text, &got) && got == want);
}

/* By the C library's calendar. */
static void check_anew(int64_t at)
{
    static const char *const forms[] = {"%a, %d %b %%04d %H:%M:%S GMT",
                                        "%A, %d-%b-%%02d %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %%04d"};
    time_t seconds = (time_t)at;
    struct tm tm;
    char form[64], text[64];

    expect(gmtime_r(&seconds, &tm));
    int year = tm.tm_year + 1900;
    for (size_t i = 0; i < MS_COUNT(forms); i++) {
        bool is_short = i == 1;
        if ((is_short && (at < FIRST_SHORT || at > LAST_SHORT)) || year > 9999)
            continue;
        expect(strftime(form, sizeof(form), forms[i], &tm));
        snprintf(text, sizeof(text), form, is_short ? year % 100 : year);
        expect_http(text, at);
        if (at >= FIRST_OF_COOKIES)
            expect_cookie(ms_span_text(text), at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *p = malloc(size + !size); /* a look beyond the end is seen */
    int64_t http = 0, cookie = 0;

    expect(p);
    if (size)
        memcpy(p, data, size);
    struct ms_span text = ms_span(p, size);
    bool is_http = ms_date_parse(text, NOW, &http);
    bool is_cookie = ms_cookie_date(text, &cookie);
    if (is_http) {
        expect(http >= FIRST && http <= LAST);
        check_anew(http);
    }
    if (is_cookie) {
        expect(cookie >= FIRST_OF_COOKIES && cookie < LAST);
        check_anew(cookie);
    }
    if (is_http && is_cookie)
        expect(http == cookie || http < FIRST_SHORT || http > LAST_SHORT);
    free(p);
    return 0;
}
