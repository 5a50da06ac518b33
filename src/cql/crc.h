/* The checksums of protocol v5 (v5 section 2.1, 2.2). Pure functions, for any thread. */
#ifndef CM_CQL_CRC_H
#define CM_CQL_CRC_H

#include <stddef.h>
#include <stdint.h>

/* CRC-24 of the `len` low bytes of `bytes`, the lowest first: the checksum of a frame's header.
 * Polynomial 0x1974F0B, initial value 0x875060. */
uint32_t cm_cql_crc24(uint64_t bytes, int len);

/* CRC-32 (as in zlib) of the bytes FA 2D 55 CA followed by the payload. */
uint32_t cm_cql_crc32(const void *data, size_t len);

#endif
