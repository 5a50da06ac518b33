#include "index/listing.h"

#include "base/clock.h"

#include <stdio.h>

const char *const cm_listing_names[CM_LISTING_COUNT + 1] = {"answers", "pages", "countries",
                                                            "summary", NULL};

cm_dimension_t cm_listing_dimension(cm_listing_t listing, const cm_index_query_t *query)
{
    static const cm_dimension_t dimensions[2][2] = {
        {CM_PER_NOTHING, CM_PER_COUNTRY},
        {CM_PER_URL, CM_PER_CELL},
    };
    bool url = listing == CM_LIST_ANSWERS || listing == CM_LIST_PAGES || query->url != NULL;
    bool country =
        listing == CM_LIST_ANSWERS || listing == CM_LIST_COUNTRIES || query->country != NULL;

    return dimensions[url][country];
}

int cm_listing_parse_time(const char *name, cm_str_t text, int64_t *ms, cm_err_t *err)
{
    enum { DATE = 10 }; /* bytes of 2015-05-17 */
    char moment[CM_TIME_TEXT];

    if (text.len == DATE) {
        int len = snprintf(moment, sizeof moment, "%.*sT00:00:00Z", DATE, text.data);
        text = (cm_str_t){moment, (size_t)len};
    }
    if (!cm_time_parse(text, ms) || *ms < 0 || *ms > CM_TIME_END)
        return cm_fail(err, CM_EUSAGE,
                       "%s must be a time of 1970 to 2099 in RFC 3339, such as "
                       "2015-05-17T10:00:00Z",
                       name);
    return 0;
}

int cm_listing_check_span(const cm_index_query_t *query, bool from, bool to,
                          const cm_listing_span_words_t *words, cm_err_t *err)
{
    if ((from || to) && query->window == CM_WINDOW_ALL)
        return cm_fail(err, CM_EUSAGE, "%s needs %s", from ? words->from : words->to,
                       words->windows);
    if (to && query->to <= query->from)
        return cm_fail(err, CM_EUSAGE, "%s must be later than %s", words->to, words->from);
    return 0;
}
