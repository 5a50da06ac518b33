#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int cm_fail(cm_err_t *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->code = code;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return code;
}

int cm_fail_memory(cm_err_t *err)
{
    return cm_fail(err, CM_ENOMEM, "out of memory; give the process more or lower `memory:`");
}

int cm_fail_thread(cm_err_t *err)
{
    return cm_fail(
        err, CM_ENOMEM,
        "out of memory or of threads: one more cannot be started; give the process more");
}

int cm_err_exit_status(int code)
{
    if (code >= 0 || code == CM_ESTOP)
        return 0;
    if (code == CM_EDISK)
        return -CM_EIO;
    return code >= CM_EMISSING ? -code : 1;
}
