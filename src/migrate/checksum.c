/* SPDX-License-Identifier: PostgreSQL */
/*
 * Flyway's checksum: CRC-32 over the lines without their ends, one leading
 * byte order mark dropped. Line ends vanish, so the bytes between them may be
 * fed as they come; an empty file is 0.
 */
#include "migrate/migration.h"

#include <string.h>
#include <zlib.h>

int32_t migration_checksum(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	uLong crc = crc32(0, NULL, 0);

	if (len >= 3 && !memcmp(p, "\xEF\xBB\xBF", 3))
		p += 3;
	while (p < end) {
		const unsigned char *start = p;

		while (p < end && *p != '\n' && *p != '\r' && p - start < (1 << 30))
			p++;
		crc = crc32(crc, start, (uInt)(p - start));
		while (p < end && (*p == '\n' || *p == '\r'))
			p++;
	}
	return (int32_t)(uint32_t)crc;
}
