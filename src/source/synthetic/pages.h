/* The pages of the synthetic site: any number of distinct URLs. The most popular ones come first.
 *
 * The first ten are the pages of a small demo site: https://www.example.com/ and /home /about
 * /contact /products /services /blog /faq /pricing /login. The object owns the strings until
 * cm_pages_free(). It is read-only after cm_pages_init(), so any number of threads may read it. */
#ifndef CM_SOURCE_SYNTHETIC_PAGES_H
#define CM_SOURCE_SYNTHETIC_PAGES_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_pages {
    uint32_t count;
    uint32_t *ends; /* ends[i]: where the i-th URL ends and the next one begins */
    char *texts;
} cm_pages_t;

enum {
    CM_PAGES_MAX = 1000 * 1000,
    CM_PAGES_URL_MAX = 128,
};

/* Generates `count` pages. 0, CM_EUSAGE (a number out of range) or CM_ENOMEM; after a failure
 * nothing has to be freed. */
int cm_pages_init(cm_pages_t *pages, uint32_t count, cm_err_t *err);

void cm_pages_free(cm_pages_t *pages);

static inline cm_str_t cm_pages_url(const cm_pages_t *pages, uint32_t page)
{
    uint32_t begin = page == 0 ? 0 : pages->ends[page - 1];
    return (cm_str_t){pages->texts + begin, pages->ends[page] - begin};
}

#endif
