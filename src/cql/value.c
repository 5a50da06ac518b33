/* The cursor over rows, and decoding of cells. */
#include "cql/cql.h"
#include "cql/wire.h"

bool cm_cql_next(cm_cql_rows_t *rows)
{
    const char *at = rows->at;

    if (rows->left <= 0)
        return false;
    rows->left--;
    for (int i = 0; i < rows->column_count; i++) {
        int32_t len = cm_cql_load_i32(at);
        at += 4;
        rows->cells[i] = len < 0 ? (cm_str_t){NULL, 0} : (cm_str_t){at, (size_t)len};
        at += len > 0 ? len : 0;
    }
    rows->at = at;
    return true;
}

int64_t cm_cql_get_i64(cm_str_t cell)
{
    return cell.data != NULL && cell.len == 8 ? cm_cql_load_i64(cell.data) : 0;
}

int32_t cm_cql_get_i32(cm_str_t cell)
{
    return cell.data != NULL && cell.len == 4 ? cm_cql_load_i32(cell.data) : 0;
}

double cm_cql_get_double(cm_str_t cell)
{
    int64_t bits = cm_cql_get_i64(cell);
    double value;

    memcpy(&value, &bits, 8);
    return value;
}

bool cm_cql_get_bool(cm_str_t cell)
{
    return cell.data != NULL && cell.len == 1 && cell.data[0] != 0;
}
