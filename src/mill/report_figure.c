/* Figures of a report: measures from counters. */
#include "mill/report_inside.h"

static const int64_t no_counters[CM_COUNTER_COUNT];
static const cm_sums_t no_sums[CM_QUESTION_PROPS_MAX];

cm_group_t cm_report_nothing(void)
{
    return (cm_group_t){.counters = no_counters, .props = no_sums};
}

static cm_figure_t integer(int64_t value)
{
    return (cm_figure_t){.kind = CM_FIGURE_INTEGER, .integer = value};
}

static cm_figure_t real(double value)
{
    return (cm_figure_t){.kind = CM_FIGURE_REAL, .real = value};
}

cm_figure_t cm_report_figure(const cm_measure_t *measure, const cm_group_t *group)
{
    const cm_sums_t *sums = &group->props[measure->prop];
    const int64_t count = group->counters[measure->counter];
    const int64_t divisor = group->counters[measure->divisor];

    switch (measure->kind) {
    case CM_MEASURE_COUNTER:
        return integer(count);
    case CM_MEASURE_QUOTIENT:
        return divisor == 0 ? (cm_figure_t){0} : real((double)count / (double)divisor);
    case CM_MEASURE_PROP_SUM:
        return (cm_figure_t){.kind = CM_FIGURE_DECIMAL, .decimal = sums->sum};
    case CM_MEASURE_PROP_COUNT:
        return integer(sums->count);
    case CM_MEASURE_PROP_AVERAGE:
        return sums->count == 0 ? (cm_figure_t){0}
                                : real(cm_decimal_average(sums->sum, sums->count));
    case CM_MEASURE_PROP_LEFT_OUT:
        return integer(sums->left_out);
    }
    return (cm_figure_t){0};
}

cm_figure_t cm_report_change(const cm_figure_t *now, const cm_figure_t *before)
{
    double difference = 0, base = 0;

    if (now->kind == CM_FIGURE_ABSENT || before->kind == CM_FIGURE_ABSENT)
        return (cm_figure_t){0};
    if (now->kind == CM_FIGURE_INTEGER) {
        difference = (double)(now->integer - before->integer);
        base = (double)before->integer;
    } else if (now->kind == CM_FIGURE_DECIMAL) {
        difference = (double)(now->decimal.scaled - before->decimal.scaled);
        base = (double)before->decimal.scaled;
    } else {
        difference = now->real - before->real;
        base = before->real;
    }
    return base == 0 ? (cm_figure_t){0} : real(difference / base);
}

int cm_report_compare(const cm_figure_t *a, const cm_figure_t *b)
{
    if (a->kind == CM_FIGURE_DECIMAL)
        return cm_decimal_compare(a->decimal, b->decimal);
    if (a->kind == CM_FIGURE_INTEGER)
        return (a->integer > b->integer) - (a->integer < b->integer);
    return (a->real > b->real) - (a->real < b->real);
}
