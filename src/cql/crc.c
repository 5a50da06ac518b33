#include "cql/crc.h"

#include <zlib.h>

enum { CRC24_BEGIN = 0x875060, CRC24_POLYNOMIAL = 0x1974F0B };

uint32_t cm_cql_crc24(uint64_t bytes, int len)
{
    uint32_t crc = CRC24_BEGIN;

    for (int i = 0; i < len; i++) {
        crc ^= (uint32_t)(bytes >> (8 * i) & 0xFF) << 16;
        for (int bit = 0; bit < 8; bit++) {
            crc <<= 1;
            if (crc & 0x1000000)
                crc ^= CRC24_POLYNOMIAL;
        }
    }
    return crc;
}

uint32_t cm_cql_crc32(const void *data, size_t len)
{
    static const unsigned char begin[] = {0xFA, 0x2D, 0x55, 0xCA};
    uLong crc = crc32(0, begin, sizeof begin);
    return (uint32_t)crc32_z(crc, data, len);
}
