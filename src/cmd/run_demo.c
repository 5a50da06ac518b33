#include "cmd/run_demo.h"

#include "store/embedded/demo.h"

#include <stdlib.h>

static bool site_expected(const cm_collect_given_t *collect)
{
    return (collect->sites != NULL && collect->sites[0] != '\0') || collect->tokens.count > 0;
}

void cm_run_demo_open(cm_run_demo_t *demo, cm_app_t *app, bool asked, bool given, bool engines,
                      cm_collect_given_t *collect)
{
    *demo = (cm_run_demo_t){.on = asked};
    if (asked && !given && site_expected(collect)) {
        demo->on = false;
        demo->yields = true;
    }
    demo->apart = demo->on && !engines;
    if (demo->apart) {
        demo->directory = cm_demo_directory(app->global.data_dir);
        app->global.data_dir = demo->directory;
    }
    collect->demo = demo->apart;
    collect->shop = demo->on;
}

int cm_run_demo_mark(cm_run_demo_t *demo, cm_app_t *app)
{
    demo->marked = demo->on || cm_demo_marked(app->global.data_dir);
    return demo->apart ? cm_demo_mark(app->global.data_dir, &app->err) : 0;
}

cm_traffic_options_t cm_run_demo_traffic(const cm_run_demo_t *demo,
                                         const cm_traffic_options_t *asked)
{
    cm_traffic_options_t traffic = *asked;

    if (traffic.fields == CM_TRAFFIC_FIELDS_AUTO && demo->apart)
        traffic.fields = CM_TRAFFIC_FIELDS_ALL;
    return traffic;
}

void cm_run_demo_describe(const cm_run_demo_t *demo, cm_buf_t *text)
{
    if (demo->on)
        cm_buf_add_text(text, ", with synthetic traffic");
    else if (demo->yields)
        cm_buf_add_text(text, ", without the demo, because of --sites or --token");
    else
        cm_buf_add_text(text, ", without traffic of its own");
}

void cm_run_demo_close(cm_run_demo_t *demo)
{
    free(demo->directory);
}
