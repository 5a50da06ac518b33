/* A sink that writes synthetic events as an access log in the combined format, to try and to
 * measure the import of logs. One thread. */
#ifndef CM_SINK_COMBINED_H
#define CM_SINK_COMBINED_H

#include "sink/sink.h"
#include "source/source.h"

/* `path` may be "-"; `source` is the synthetic source whose last batch is put next: it knows each
 * user's address and user agent. */
int cm_combined_open(const char *path, const cm_source_t *source, cm_sink_t **sink, cm_err_t *err);

#endif
