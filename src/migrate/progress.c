/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/progress.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

#define NAME_MAX_BYTES 63
#define SUFFIX "_progress"
#define ROWS_MAX 1000

static const char *const state_names[PROGRESS_STATES] = {
	[PROGRESS_BETWEEN] = "between", [PROGRESS_RUNNING] = "running", [PROGRESS_FAILED] = "failed", [PROGRESS_STUCK] = "stuck",
};

const char *progress_state_name(enum progress_state state)
{
	return state_names[state];
}

char *progress_table(void *parent, const char *ledger_table)
{
	size_t len = strlen(ledger_table);

	if (len > NAME_MAX_BYTES - strlen(SUFFIX))
		for (len = NAME_MAX_BYTES - strlen(SUFFIX); len && ((unsigned char)ledger_table[len] & 0xC0) == 0x80; len--)
			;
	return talloc_asprintf(parent, "%.*s" SUFFIX, (int)len, ledger_table);
}

/* before, the quoted name, after. */
static char *around(void *parent, const char *before, const char *schema, const char *ledger_table, const char *after)
{
	struct text *text = text_new(parent);

	text_add(text, before);
	quote_ident(text, schema);
	text_add_char(text, '.');
	quote_ident(text, progress_table(text, ledger_table));
	text_add(text, after);
	return text->s;
}

/* Without IF NOT EXISTS, for the reason that the ledger is: what somebody else made meanwhile is not written to unseen. */
char *progress_sql_create(void *parent, const char *schema, const char *ledger_table)
{
	return around(parent, "CREATE TABLE ", schema, ledger_table, " (\n"
		      "\t\"version\" pg_catalog.varchar(50) NOT NULL,\n"
		      "\t\"description\" pg_catalog.varchar(200) NOT NULL,\n"
		      "\t\"script\" pg_catalog.varchar(1000) NOT NULL,\n"
		      "\t\"checksum\" pg_catalog.int4 NOT NULL,\n"
		      "\t\"statements\" pg_catalog.int4 NOT NULL,\n"
		      "\t\"done\" pg_catalog.int4 NOT NULL,\n"
		      "\t\"prefix\" pg_catalog.int4 NOT NULL,\n"
		      "\t\"state\" pg_catalog.varchar(20) NOT NULL,\n"
		      "\t\"statement\" pg_catalog.text NOT NULL,\n"
		      "\t\"message\" pg_catalog.text NOT NULL,\n"
		      "\t\"started_on\" pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),\n"
		      "\t\"updated_on\" pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),\n"
		      "\tPRIMARY KEY (\"version\", \"description\")\n)");
}

char *progress_sql_select(void *parent, const char *schema, const char *ledger_table)
{
	return around(parent, "SELECT \"version\", \"description\", \"script\", \"checksum\", \"statements\", \"done\", \"prefix\", \"state\", "
		      "\"statement\", \"message\" FROM ONLY ", schema, ledger_table, " LIMIT 1001");
}

char *progress_sql_put(void *parent, const char *schema, const char *ledger_table)
{
	return around(parent, "INSERT INTO ", schema, ledger_table,
		      " (\"version\", \"description\", \"script\", \"checksum\", \"statements\", \"done\", \"prefix\", \"state\", \"statement\", "
		      "\"message\") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (\"version\", \"description\") DO UPDATE SET "
		      "\"script\" = EXCLUDED.\"script\", \"checksum\" = EXCLUDED.\"checksum\", \"statements\" = EXCLUDED.\"statements\", "
		      "\"done\" = EXCLUDED.\"done\", \"prefix\" = EXCLUDED.\"prefix\", \"state\" = EXCLUDED.\"state\", "
		      "\"statement\" = EXCLUDED.\"statement\", \"message\" = EXCLUDED.\"message\", \"updated_on\" = pg_catalog.now()");
}

char *progress_sql_delete(void *parent, const char *schema, const char *ledger_table)
{
	return around(parent, "DELETE FROM ONLY ", schema, ledger_table, " WHERE \"version\" = $1 AND \"description\" = $2");
}

/* ---- rows ---- */

enum column { VERSION, DESCRIPTION, SCRIPT, CHECKSUM, N_STATEMENTS, DONE, PREFIX, STATE, STATEMENT, MESSAGE, COLUMNS };

static bool decode_number(const char *s, int32_t *ret)
{
	char *end;
	long value;

	errno = 0;
	value = s ? strtol(s, &end, 10) : 0;
	if (!s || !*s || *end || errno || value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret = (int32_t)value;
	return true;
}

static bool decode_state(const char *s, enum progress_state *ret)
{
	for (unsigned i = 0; s && i < PROGRESS_STATES; i++)
		if (!strcmp(s, state_names[i])) {
			*ret = (enum progress_state)i;
			return true;
		}
	return false;
}

static int decode_row(void *parent, const struct rowset *rows, unsigned i, struct migration_progress *ret)
{
	const char *cells[COLUMNS];
	int32_t statements, done;
	size_t len;

	for (unsigned c = 0; c < COLUMNS; c++)
		cells[c] = rows->cell(rows, i, c, &len);
	if (!cells[VERSION] || !cells[DESCRIPTION] || !cells[SCRIPT] || !cells[STATEMENT] || !cells[MESSAGE])
		return 1;
	if (!decode_number(cells[CHECKSUM], &ret->checksum) || !decode_number(cells[N_STATEMENTS], &statements) || statements < 0 ||
	    !decode_number(cells[DONE], &done) || done < 0 || !decode_number(cells[PREFIX], &ret->prefix) ||
	    !decode_state(cells[STATE], &ret->state))
		return 1;
	ret->statements = (uint32_t)statements;
	ret->done = (uint32_t)done;
	ret->version = talloc_strdup(parent, cells[VERSION]);
	ret->description = talloc_strdup(parent, cells[DESCRIPTION]);
	ret->script = talloc_strdup(parent, cells[SCRIPT]);
	ret->statement = talloc_strdup(parent, cells[STATEMENT]);
	ret->message = talloc_strdup(parent, cells[MESSAGE]);
	return 0;
}

int progress_decode(void *parent, const struct rowset *rows, struct migration_progress **ret, uint32_t *ret_n, struct error *err)
{
	struct migration_progress *v;

	if (rows->columns != COLUMNS || rows->rows > ROWS_MAX) {
		error_set(err, "the table beside the ledger that says how far migrations came is not as it was made");
		return 1;
	}
	v = talloc_zero_array(parent, struct migration_progress, rows->rows + 1);
	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < rows->rows; i++)
		if (decode_row(v, rows, i, &v[i])) {
			error_set(err, "row %u of the table beside the ledger that says how far migrations came cannot be understood", i + 1);
			talloc_free(v);
			return 1;
		}
	*ret = v;
	*ret_n = rows->rows;
	return 0;
}

const char *progress_version(const struct migration_file *file)
{
	return file->version ? file->version : "";
}

int32_t progress_prefix(const struct migration_file *file, uint32_t done)
{
	if (!done || done > file->n_statements)
		return 0;
	return migration_checksum(file->text, file->statements[done - 1].start + file->statements[done - 1].len);
}
