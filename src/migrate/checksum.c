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

/* Other rules of the same sum, so that a mismatch can be explained: the lines with their ends, as before Flyway 4.0.1 and in
   other tools. */
static int32_t with_ends(const char *text, size_t len, const char *newline)
{
	const char *end = text + len;
	uLong crc = crc32(0, NULL, 0);

	while (text < end) {
		const char *start = text;

		while (text < end && *text != '\n' && *text != '\r')
			text++;
		crc = crc32(crc, (const unsigned char *)start, (uInt)(text - start));
		if (text < end) {
			crc = crc32(crc, (const unsigned char *)newline, (uInt)strlen(newline));
			text += *text == '\r' && text + 1 < end && text[1] == '\n' ? 2 : 1;
		}
	}
	return (int32_t)(uint32_t)crc;
}

const char *migration_checksum_explain(const struct migration_file *file, int32_t checksum)
{
	const char *text = file->raw ? file->raw : file->text;
	size_t len = file->raw ? file->raw_len : file->len, trimmed = len;

	if (checksum == with_ends(text, len, "\n") || checksum == with_ends(text, len, "\r\n") || checksum == with_ends(text, len, "\r"))
		return "only line ends differ";
	if (file->raw && checksum == migration_checksum(file->text, file->len))
		return "only placeholders differ: the ledger has the text with their values";
	while (trimmed && strchr(" \t\r\n", text[trimmed - 1]))
		trimmed--;
	if (checksum == migration_checksum(text, trimmed) || checksum == with_ends(text, trimmed, "\n"))
		return "only blanks at the end differ";
	return NULL;
}
