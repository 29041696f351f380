/* SPDX-License-Identifier: PostgreSQL */
/*
 * Fuzz target: names and scripts of migrations. The first line of the input is
 * the file's name, the rest its text. Linked with replay.c it runs the corpus
 * in `make check`; with -fsanitize=fuzzer it searches.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/migration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool what)
{
	if (!what)
		abort();
}

/* Blanking keeps every character in its place, and COPY data lies inside the text. */
static void check_script(void *mem, struct migration_file *file)
{
	unsigned line, column;
	char *text;
	int r = migration_script_check(mem, file);

	must((r == 1) == error_is_set(&file->refused));
	if (r)
		return;
	must(utf8_count(file->sql, strlen(file->sql)) == utf8_count(file->text, file->len));
	for (uint32_t i = 0; i < file->n_copies; i++)
		must(file->copies[i].data >= file->text && file->copies[i].data + file->copies[i].len <= file->text + file->len);
	for (uint32_t i = 0; i < file->n_statements; i++)
		must(file->statements[i].start + file->statements[i].len <= file->len && migration_statement(mem, file, i, &line, &text));
	for (unsigned position = 0; position < 50; position++)
		if (migration_position(mem, file, position, &line, &column, &text))
			must(line && column);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *mem = talloc_new(NULL);
	const uint8_t *end = memchr(data, '\n', size);
	size_t name_len = end ? (size_t)(end - data) : size;
	struct migration_file file;
	struct error err = { 0 };
	char *name = talloc_strndup(mem, (const char *)data, name_len);
	char *text = talloc_zero_size(mem, size - name_len + 1);

	if (migration_name_parse(mem, name, &file, &err) == MIGRATION_NAME_OK && file.version)
		must(!migration_version_compare(file.version, file.version));
	file = (struct migration_file){ .script = "V1__x.sql", .text = text, .transactional = !size || data[size - 1] != '0' };
	if (end) {
		file.len = size - name_len - 1;
		memcpy(text, end + 1, file.len);
	}
	migration_checksum(text, file.len);
	if (!memchr(text, '\0', file.len) && utf8_valid(text, file.len))
		check_script(mem, &file);
	talloc_free(mem);
	return 0;
}
