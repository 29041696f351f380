/* SPDX-License-Identifier: PostgreSQL */
/*
 * The ledger: Flyway's table to the letter, so that Flyway can go on from it.
 * Nothing else may be written there: an unknown type makes Flyway fail.
 *
 * The table is made from here and not by a file under migrations/: it must be
 * there before any file can be recorded, its name is configuration, and the
 * text must be exactly Flyway's.
 */
#include "migrate/migration.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

#define DESCRIPTION_MAX 200
#define SCRIPT_MAX 1000
#define FLYWAY_KEY INT64_C(77431708279161)      /* the bytes "Flyway" */

const char *ledger_type(const struct migration_file *file)
{
	return file->type == MIGRATION_BASELINE ? "SQL_BASELINE" : file->type == MIGRATION_UNDO ? "UNDO_SQL" : "SQL";
}

/* Byte offset of the n-th code point, or the length. */
static size_t offset_of(const char *s, size_t n)
{
	size_t at = 0;

	for (; s[at] && n; n--)
		do
			at++;
		while (((unsigned char)s[at] & 0xC0) == 0x80);
	return at;
}

char *ledger_description(void *parent, const struct migration_file *file)
{
	const char *s = file->description;

	if (!s[offset_of(s, DESCRIPTION_MAX)])
		return talloc_strdup(parent, s);
	return talloc_asprintf(parent, "%.*s...", (int)offset_of(s, DESCRIPTION_MAX - 3), s);
}

/* Flyway keeps characters 3 to 999 behind "...". */
char *ledger_script(void *parent, const struct migration_file *file)
{
	const char *s = file->script;
	size_t from, to;

	if (!s[offset_of(s, SCRIPT_MAX)])
		return talloc_strdup(parent, s);
	from = offset_of(s, 3);
	to = offset_of(s, SCRIPT_MAX);
	return talloc_asprintf(parent, "...%.*s", (int)(to - from), s + from);
}

static struct text *new_text(void *parent, const char *begin)
{
	struct text *text = text_new(parent);

	text_add(text, begin);
	return text;
}

static void add_table(struct text *text, const char *schema, const char *table)
{
	quote_ident(text, schema);
	text_add_char(text, '.');
	quote_ident(text, table);
}

/* The finished string as a child of parent; the builder goes. */
static char *finish(void *parent, struct text *text)
{
	char *s = talloc_steal(parent, text->s);

	talloc_free(text);
	return s;
}

static void add_suffixed(void *parent, struct text *text, const char *table, const char *suffix)
{
	char *name = talloc_asprintf(parent, "%s%s", table, suffix);

	quote_ident(text, name);
	talloc_free(name);
}

/* Without IF NOT EXISTS: a table that somebody made meanwhile is not ours to write to unseen. */
char *ledger_sql_create(void *parent, const char *schema, const char *table)
{
	struct text *text = new_text(parent, "CREATE TABLE ");

	add_table(text, schema, table);
	text_add(text, " (\n"
		       "\t\"installed_rank\" pg_catalog.int4 NOT NULL,\n"
		       "\t\"version\" pg_catalog.varchar(50),\n"
		       "\t\"description\" pg_catalog.varchar(200) NOT NULL,\n"
		       "\t\"type\" pg_catalog.varchar(20) NOT NULL,\n"
		       "\t\"script\" pg_catalog.varchar(1000) NOT NULL,\n"
		       "\t\"checksum\" pg_catalog.int4,\n"
		       "\t\"installed_by\" pg_catalog.varchar(100) NOT NULL,\n"
		       "\t\"installed_on\" pg_catalog.\"timestamp\" NOT NULL DEFAULT pg_catalog.now(),\n"
		       "\t\"execution_time\" pg_catalog.int4 NOT NULL,\n"
		       "\t\"success\" pg_catalog.bool NOT NULL\n);\nALTER TABLE ");
	add_table(text, schema, table);
	text_add(text, " ADD CONSTRAINT ");
	add_suffixed(parent, text, table, "_pk");
	text_add(text, " PRIMARY KEY (\"installed_rank\");\nCREATE INDEX ");
	add_suffixed(parent, text, table, "_s_idx");
	text_add(text, " ON ");
	add_table(text, schema, table);
	text_add(text, " (\"success\")");
	return finish(parent, text);
}

#define COLUMNS_SQL "\"installed_rank\", \"version\", \"description\", \"type\", \"script\", \"checksum\", \"installed_by\", " \
	"\"installed_on\", \"execution_time\", \"success\""
/* The hash of a record is linear in those of its columns, so that rows which swap values would sum up to the same: it is mixed
   once more. That alone has 32 bits, so both are summed up. */
#define ROW_HASH_SQL "pg_catalog.hash_record_extended(ROW(" COLUMNS_SQL "), $1::pg_catalog.int8)"
#define MIXED_SQL(hash) "pg_catalog.hashint8extended(" hash ", $1::pg_catalog.int8)"

/* No casts: a cast of a column could be a function of whoever made the table; output functions are C. */
char *ledger_sql_select(void *parent, const char *schema, const char *table, bool hashed)
{
	struct text *text = new_text(parent, hashed ? "SELECT " COLUMNS_SQL ", " ROW_HASH_SQL ", " MIXED_SQL(ROW_HASH_SQL) " FROM ONLY " :
				     "SELECT " COLUMNS_SQL " FROM ONLY ");

	add_table(text, schema, table);
	text_add(text, " ORDER BY \"installed_rank\" LIMIT 100001");
	return finish(parent, text);
}

char *ledger_sql_sum(void *parent, const char *schema, const char *table)
{
	struct text *text = new_text(parent, "SELECT pg_catalog.count(*), pg_catalog.sum(r.h), pg_catalog.sum(" MIXED_SQL("r.h") ")"
					     " FROM (SELECT " ROW_HASH_SQL " AS h FROM ONLY ");

	add_table(text, schema, table);
	text_add(text, " LIMIT 100001) r");
	return finish(parent, text);
}

char *ledger_sql_insert(void *parent, const char *schema, const char *table)
{
	struct text *text = new_text(parent, "INSERT INTO ");

	add_table(text, schema, table);
	text_add(text, " (\"installed_rank\", \"version\", \"description\", \"type\", \"script\", \"checksum\", \"installed_by\", "
		       "\"execution_time\", \"success\") VALUES ($1, $2, $3, $4, $5, $6, CURRENT_USER, $7, $8)");
	return finish(parent, text);
}

/* Java's String.hashCode(): over UTF-16 units, wrapping. */
static int32_t java_hash(const char *s)
{
	uint32_t hash = 0;

	while (*s) {
		unsigned char c = (unsigned char)*s++;
		unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
		uint32_t code = more == 3 ? c & 7u : more == 2 ? c & 15u : more ? c & 31u : c;

		for (; more && *s; more--)
			code = code << 6 | ((unsigned char)*s++ & 0x3Fu);
		if (code >= 0x10000) {
			hash = hash * 31 + (0xD800 + ((code - 0x10000) >> 10));
			code = 0xDC00 + ((code - 0x10000) & 0x3FF);
		}
		hash = hash * 31 + code;
	}
	return (int32_t)hash;
}

int64_t ledger_lock_key(const char *schema, const char *table)
{
	struct text *text = text_new(NULL);
	int64_t key;

	add_table(text, schema, table);
	key = FLYWAY_KEY + java_hash(text->s);
	talloc_free(text);
	return key;
}

enum column { RANK, VERSION, DESCRIPTION, TYPE, SCRIPT, CHECKSUM, INSTALLED_BY, INSTALLED_ON, EXECUTION_TIME, SUCCESS, COLUMNS };

static int decode_error(struct error *err, unsigned row, const char *column)
{
	error_set(err, "ledger row %u: column %s cannot be understood", row + 1, column);
	error_hint(err, "compare the table with Flyway's flyway_schema_history");
	return 1;
}

static bool decode_int(const char *s, int *ret)
{
	char *end;
	long value;

	if (!s || !*s)
		return false;
	errno = 0;
	value = strtol(s, &end, 10);
	if (*end || errno || value < INT_MIN || value > INT_MAX)
		return false;
	*ret = (int)value;
	return true;
}

static int decode_row(void *parent, const struct rowset *rows, unsigned i, struct ledger_row *ret, struct error *err)
{
	const char *cells[COLUMNS];
	size_t len;

	for (unsigned c = 0; c < COLUMNS; c++)
		cells[c] = rows->cell(rows, i, c, &len);
	if (!decode_int(cells[RANK], &ret->rank))
		return decode_error(err, i, "installed_rank");
	if (!cells[TYPE] || !cells[DESCRIPTION] || !cells[SCRIPT])
		return decode_error(err, i, cells[TYPE] ? "description or script" : "type");
	ret->has_checksum = cells[CHECKSUM] != NULL;
	if (ret->has_checksum && !decode_int(cells[CHECKSUM], &ret->checksum))
		return decode_error(err, i, "checksum");
	if (!decode_int(cells[EXECUTION_TIME], &ret->execution_time_ms))
		return decode_error(err, i, "execution_time");
	if (!cells[SUCCESS] || (strcmp(cells[SUCCESS], "t") && strcmp(cells[SUCCESS], "f")))
		return decode_error(err, i, "success");
	ret->success = cells[SUCCESS][0] == 't';
	ret->version = cells[VERSION] ? talloc_strdup(parent, cells[VERSION]) : NULL;
	ret->description = talloc_strdup(parent, cells[DESCRIPTION]);
	ret->type = talloc_strdup(parent, cells[TYPE]);
	ret->script = talloc_strdup(parent, cells[SCRIPT]);
	ret->installed_by = talloc_strdup(parent, cells[INSTALLED_BY] ? cells[INSTALLED_BY] : "");
	ret->installed_on = talloc_strdup(parent, cells[INSTALLED_ON] ? cells[INSTALLED_ON] : "");
	return 0;
}

int ledger_decode(void *parent, const struct rowset *rows, struct ledger_row **ret, uint32_t *ret_n, struct error *err)
{
	struct ledger_row *v;

	if (rows->columns != COLUMNS && rows->columns != COLUMNS + 2) {
		error_set(err, "the ledger's answer has %u columns instead of %d", rows->columns, COLUMNS);
		return 1;
	}
	if (rows->rows > 100000) {
		error_set(err, "the ledger has more than 100,000 rows");
		return 1;
	}
	v = talloc_zero_array(parent, struct ledger_row, rows->rows + 1);
	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < rows->rows; i++)
		if (decode_row(v, rows, i, &v[i], err)) {
			talloc_free(v);
			return 1;
		}
	*ret = v;
	*ret_n = rows->rows;
	return 0;
}

/* Decimal digits of any length, modulo 2^64. */
static bool parse_wrapping(const char *s, uint64_t *ret)
{
	bool negative = s && *s == '-';
	uint64_t value = 0;

	if (!s || !s[negative])
		return false;
	for (s += negative; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		value = value * 10 + (uint64_t)(*s - '0');
	}
	*ret = negative ? -value : value;
	return true;
}

static bool add_cell(const struct rowset *rows, unsigned row, unsigned column, uint64_t *sum)
{
	uint64_t value;
	size_t len;

	if (!parse_wrapping(rows->cell(rows, row, column, &len), &value))
		return false;
	*sum += value;
	return true;
}

bool ledger_sum_rows(const struct rowset *rows, struct ledger_sum *ret)
{
	*ret = (struct ledger_sum){ .rows = rows->rows };
	if (rows->columns != COLUMNS + 2)
		return false;
	for (unsigned i = 0; i < rows->rows; i++)
		if (!add_cell(rows, i, COLUMNS, &ret->sum) || !add_cell(rows, i, COLUMNS + 1, &ret->mixed))
			return false;
	return true;
}

/* Sums of no rows are NULL. */
bool ledger_sum_decode(const struct rowset *rows, struct ledger_sum *ret)
{
	*ret = (struct ledger_sum){ 0 };
	if (rows->rows != 1 || rows->columns != 3 || !add_cell(rows, 0, 0, &ret->rows))
		return false;
	return ret->rows == 0 || (add_cell(rows, 0, 1, &ret->sum) && add_cell(rows, 0, 2, &ret->mixed));
}

bool ledger_sum_same(const struct ledger_sum *a, const struct ledger_sum *b)
{
	return a->rows == b->rows && a->sum == b->sum && a->mixed == b->mixed;
}
