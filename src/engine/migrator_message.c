/* SPDX-License-Identifier: PostgreSQL */
/*
 * What surrounds a file, as one message of the simple protocol: a dozen small
 * statements that would cost more than the file if each were parsed, bound and
 * answered by itself. An error skips the rest of the message, so COMMIT runs
 * only when the row was written; and the row can only be written in the
 * transaction that we began, while the lock of the ledger is ours: otherwise
 * its rank is no number.
 */
#include "engine/migrator_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

/* The next file must not inherit anything of this one. What only a statement of its own leaves is cleaned up after a file that has
   other statements than definitions. */
static const char *const clean[] = { "RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL", "DISCARD TEMP" };
static const char *const clean_more[] = { "CLOSE ALL", "UNLISTEN *", "DEALLOCATE ALL" };

/* The file may have changed role, path and encoding for itself; none of it may touch what we write. The first and the last the
   server reports when they change, so that a message can do without; and without a path, as it qualifies every name. */
static const char *const pin[] = {
	"SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET LOCAL ROLE NONE", "SET LOCAL search_path = pg_catalog, pg_temp",
	"SET LOCAL client_encoding = 'UTF8'",
};
enum { PIN_LOGIN, PIN_ROLE };

#define LENGTH(v) (sizeof(v) / sizeof((v)[0]))

void file_pin(struct migrator *m)
{
	for (size_t i = 0; i < LENGTH(pin); i++)
		migrator_add(m, pin[i], 0, NULL);
}

/* Tags of statements that define: what they call (a default, an event trigger) would have to go out of its way to prepare a
   statement for the session, to declare a cursor WITH HOLD, to listen. */
bool message_defines(const char *tag)
{
	static const char *const words[] = { "CREATE ", "ALTER ", "DROP ", "COMMENT", "GRANT", "REVOKE" };

	for (size_t i = 0; tag && i < LENGTH(words); i++)
		if (!strncmp(tag, words[i], strlen(words[i])))
			return true;
	return false;
}

static bool is(const struct migrator *m, const char *setting, const char *wanted)
{
	const char *value = session_parameter(m->session, setting);

	return value && !strcmp(value, wanted);
}

void message_begin(struct migrator *m)
{
	m->message = text_new(m->step);
	m->n_message = 0;
}

static unsigned end_statement(struct migrator *m)
{
	text_add(m->message, "; ");
	if (m->n_message == MIGRATOR_OUTCOMES)
		abort();
	return m->n_message++;
}

unsigned message_add(struct migrator *m, const char *sql)
{
	text_add(m->message, sql);
	return end_statement(m);
}

void message_add_clean(struct migrator *m)
{
	for (size_t i = 0; i < LENGTH(clean); i++)
		message_add(m, clean[i]);
	if (!m->may_prepare)
		return;
	for (size_t i = 0; i < LENGTH(clean_more); i++)
		message_add(m, clean_more[i]);
	m->may_prepare = false;
	m->prepared = 0;
}

static void add_setting(struct migrator *m, const char *name, msec_t ms)
{
	text_addf(m->message, "SET LOCAL %s = %" PRId64, name, ms);
	end_statement(m);
}

static const char ask_xid[] = "SELECT pg_catalog.pg_current_xact_id()";

void message_add_begin(struct migrator *m)
{
	message_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
	if (m->prepared && !m->may_prepare)
		text_addf(m->message, "EXECUTE dbreconcile_xid_%u", m->prepared);
	else
		text_add(m->message, ask_xid);
	m->xid_at = end_statement(m);
	if (m->dirty)
		message_add_clean(m);
	add_setting(m, "lock_timeout", m->params.lock_timeout);
	if (m->watchful)
		add_setting(m, "client_connection_check_interval", 2000);
}

/* ---- the row ---- */

enum value { VALUE_XID, VALUE_RANK, VALUE_VERSION, VALUE_DESCRIPTION, VALUE_TYPE, VALUE_SCRIPT, VALUE_CHECKSUM, VALUE_TIME, VALUES };

/* The lock is held twice, see migrator_ledger.c: given back once and taken again. */
static void add_insert(struct migrator *m, const char *const v[VALUES])
{
	int64_t key = ledger_lock_key(m->params.schema, m->params.table);

	text_add(m->message, "INSERT INTO ");
	quote_ident(m->message, m->params.schema);
	text_add_char(m->message, '.');
	quote_ident(m->message, m->params.table);
	text_addf(m->message, " (\"installed_rank\", \"version\", \"description\", \"type\", \"script\", \"checksum\", \"installed_by\","
		  " \"execution_time\", \"success\") VALUES ((CASE"
		  " WHEN pg_catalog.pg_current_xact_id() OPERATOR(pg_catalog.<>) %s::pg_catalog.xid8 THEN '" MESSAGE_OTHER_TRANSACTION "'"
		  " WHEN NOT (pg_catalog.pg_advisory_unlock(%" PRId64 ") AND pg_catalog.pg_try_advisory_lock(%" PRId64 "))"
		  " THEN '" MESSAGE_NO_LOCK "' ELSE %s::pg_catalog.text END)::pg_catalog.int4, %s, %s, %s, %s, %s, CURRENT_USER, %s, true)",
		  v[VALUE_XID], key, key, v[VALUE_RANK], v[VALUE_VERSION], v[VALUE_DESCRIPTION], v[VALUE_TYPE], v[VALUE_SCRIPT],
		  v[VALUE_CHECKSUM], v[VALUE_TIME]);
	end_statement(m);
}

static const char *literal(struct migrator *m, const char *s)
{
	struct text *text = text_new(m->step);

	if (!s)
		return "NULL";
	quote_literal(text, s);
	return text->s;
}

/* Prepared when many follow each other: planning it costs more than running it. Each time under a name of its own, as the
   one before may still be there. */
static void add_prepare(struct migrator *m)
{
	static const char *const numbered[VALUES] = { "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8" };

	m->prepared = ++m->preparations;
	text_addf(m->message, "PREPARE dbreconcile_xid_%u AS %s", m->prepared, ask_xid);
	end_statement(m);
	text_addf(m->message, "PREPARE dbreconcile_record_%u AS ", m->prepared);
	add_insert(m, numbered);
}

static void add_execute(struct migrator *m, const char *const v[VALUES])
{
	text_addf(m->message, "EXECUTE dbreconcile_record_%u (", m->prepared);
	for (size_t i = 0; i < VALUES; i++)
		text_addf(m->message, "%s%s", i > 0 ? ", " : "", v[i]);
	text_add_char(m->message, ')');
	end_statement(m);
}

/* The file's own statements may have made what we prepared vanish, unless they only define. What they deferred is done as whom
   they put on and with their path, as it would be if they were committed by psql. */
void message_add_record(struct migrator *m)
{
	const struct migration_file *file = m->file;
	const char *v[VALUES] = {
		[VALUE_XID] = literal(m, m->xid),
		[VALUE_RANK] = talloc_asprintf(m->step, "%d", m->rank + 1),
		[VALUE_VERSION] = literal(m, file->version),
		[VALUE_DESCRIPTION] = literal(m, ledger_description(m->step, file)),
		[VALUE_TYPE] = literal(m, ledger_type(file)),
		[VALUE_SCRIPT] = literal(m, ledger_script(m->step, file)),
		[VALUE_CHECKSUM] = talloc_asprintf(m->step, "%d", file->checksum),
		[VALUE_TIME] = talloc_asprintf(m->step, "%d", m->execution_time_ms),
	};

	m->deferred_at = m->may_prepare ? message_add(m, "SET CONSTRAINTS ALL IMMEDIATE") : MIGRATOR_OUTCOMES;
	if (!is(m, "session_authorization", m->login))
		message_add(m, pin[PIN_LOGIN]);
	message_add(m, pin[PIN_ROLE]);
	if (m->may_prepare) {
		add_insert(m, v);
		return;
	}
	if (!m->prepared)
		add_prepare(m);
	add_execute(m, v);
}

void message_submit(struct migrator *m, msec_t budget, msec_t now)
{
	migrator_add(m, m->message->s, 0, NULL);
	migrator_submit(m, BATCH_SCRIPT, budget, now);
}

bool message_is_safe(const struct migrator *m)
{
	return is(m, "client_encoding", "UTF8") && is(m, "standard_conforming_strings", "on");
}
