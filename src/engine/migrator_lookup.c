/* SPDX-License-Identifier: PostgreSQL */
/*
 * What became of a statement that ran outside of a transaction when the run was
 * cut off: asked of the catalogs, under the lock of the ledger. Who held that
 * lock is gone, so nothing of that run is still at work. And of a new index,
 * before and after it is built: IF NOT EXISTS passes over an invalid one that an
 * earlier attempt left.
 */
#include "engine/migrator_internal.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/subject.h"
#include "model/quote.h"

#define BUILDING_POLL 500

/* Each answers with one row (word, the name in full, who builds it) or none. The first looks names up as the file does, by its
   search_path; that is the migration user's own, as is the file. A build of somebody else shows no index to who may not see. */
static const char index_sql[] =
	"SELECT CASE WHEN x.indisvalid THEN 'done' WHEN b.pid IS NOT NULL THEN 'building' ELSE 'invalid' END,"
	" pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname), b.pid"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
	" JOIN pg_catalog.pg_index x ON x.indexrelid OPERATOR(pg_catalog.=) c.oid"
	" LEFT JOIN pg_catalog.pg_stat_progress_create_index b ON b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
	" AND (b.index_relid OPERATOR(pg_catalog.=) c.oid OR b.index_relid IS NULL)"
	" AND b.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"
	" WHERE c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name"
	" AND x.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($2) LIMIT 1";
static const char dropped_sql[] = "SELECT CASE WHEN pg_catalog.to_regclass($1) IS NULL THEN 'done' ELSE 'undone' END, NULL, NULL";
static const char database_sql[] =
	"SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name)"
	" OPERATOR(pg_catalog.=) $2::pg_catalog.bool THEN 'done' ELSE 'undone' END, NULL, NULL";
static const char tablespace_sql[] =
	"SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_tablespace t WHERE t.spcname OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name)"
	" OPERATOR(pg_catalog.=) $2::pg_catalog.bool THEN 'done' ELSE 'undone' END, NULL, NULL";

static char *full_name(void *parent, const char *schema, const char *name)
{
	struct text *text = text_new(parent);

	if (schema) {
		quote_ident(text, schema);
		text_add_char(text, '.');
	}
	quote_ident(text, name);
	return text->s;
}

static void ask(struct migrator *m, const struct script_subject *subject)
{
	const char **params = talloc_zero_array(m->step, const char *, 2);

	params[0] = subject->name;
	switch (m->file->statements[m->at].kind) {
	case SCRIPT_CREATE_INDEX:
		params[1] = full_name(m->step, subject->table_schema, subject->table);
		migrator_add(m, index_sql, 2, params);
		break;
	case SCRIPT_DROP_INDEX:
		params[0] = full_name(m->step, subject->schema, subject->name);
		migrator_add(m, dropped_sql, 1, params);
		break;
	case SCRIPT_CREATE_DATABASE:
	case SCRIPT_DROP_DATABASE:
		params[1] = m->file->statements[m->at].kind == SCRIPT_CREATE_DATABASE ? "t" : "f";
		migrator_add(m, database_sql, 2, params);
		break;
	default:
		params[1] = m->file->statements[m->at].kind == SCRIPT_CREATE_TABLESPACE ? "t" : "f";
		migrator_add(m, tablespace_sql, 2, params);
		break;
	}
}

/* The entry of the list was interrupted and can be found out; what it set for its session is set again first. */
void lookup_interrupted(struct migrator *m, uint32_t entry, msec_t now)
{
	m->next = entry;
	m->file = m->list->v[entry].file;
	m->lookup = LOOKUP_INTERRUPTED;
	m->building_since = 0;
	migrator_go(m, MS_SETUP, now);
}

static void take_verdict(struct migrator *m, const char *word, const char *name, const char *pid, msec_t now);

void lookup_begin(struct migrator *m, msec_t now)
{
	struct script_subject subject;

	if (m->file->statements[m->at].kind == SCRIPT_AGAIN) {
		take_verdict(m, "undone", NULL, NULL, now);
		return;
	}
	if (!script_subject(m->step, m->file, m->at, &subject) || !subject.name) {
		take_verdict(m, m->lookup == LOOKUP_AFTER ? "done" : "undone", NULL, NULL, now);
		return;
	}
	ask(m, &subject);
	migrator_submit(m, BATCH_ALONE, 0, now);
}

void lookup_over(struct migrator *m, msec_t now)
{
	const char *word = migrator_cell(m, 0, 0);

	take_verdict(m, word ? word : "undone", migrator_cell(m, 0, 1), migrator_cell(m, 0, 2), now);
}

static void fail_building(struct migrator *m, const char *name, const char *pid)
{
	struct error err = { 0 };

	error_set_at(&err, m->file->path, 0, "index %s is being built by process %s", name, pid ? pid : "?");
	error_hint(&err, "let it end; it is tried again");
	file_fail(m, FAILURE_LOCK, &err);
}

static void give_verdict(struct migrator *m, enum progress_state state, char *text, msec_t now)
{
	m->verdict = state;
	talloc_free(m->verdict_text);
	m->verdict_text = talloc_steal(m, text);
	migrator_go(m, MS_VERDICT, now);
}

static void found_invalid(struct migrator *m, const char *name, msec_t now)
{
	char *text = talloc_asprintf(m, "index %s is invalid and nobody builds it: the build was interrupted, or an earlier attempt failed; "
				     "DROP INDEX CONCURRENTLY %s, then go on with this statement", name, name);

	if (m->lookup != LOOKUP_INTERRUPTED) {
		struct error err = { 0 };
		unsigned line = 0;
		char *line_text = NULL;

		migration_statement(m->step, m->file, m->at, &line, &line_text);
		error_set_at(&err, m->file->path, line, "%s", text);
		migrator_note(m, MIGRATOR_FAILED_FILE, &err);
	}
	give_verdict(m, PROGRESS_STUCK, text, now);
}

static void found(struct migrator *m, bool done, msec_t now)
{
	switch (m->lookup) {
	case LOOKUP_BEFORE:
		migrator_go(m, MS_INTENT, now);
		return;
	case LOOKUP_AFTER:
		m->at++;
		migrator_go(m, MS_DONE, now);
		return;
	case LOOKUP_INTERRUPTED:
		m->at += done;
		give_verdict(m, PROGRESS_BETWEEN, talloc_strdup(m, ""), now);
		return;
	}
}

/* Who builds is read after the catalogs' snapshot was taken: a build that ended between the two looks like one that nobody does. The
   next snapshot sees its end. */
static bool is_doubtful(struct migrator *m, const char *word)
{
	m->doubted = !strcmp(word, "invalid") && !m->doubted;
	return m->doubted;
}

static void take_verdict(struct migrator *m, const char *word, const char *name, const char *pid, msec_t now)
{
	if (is_doubtful(m, word)) {
		migrator_wait(m, MS_LOOK, 0, now);
	} else if (!strcmp(word, "invalid")) {
		found_invalid(m, name, now);
	} else if (strcmp(word, "building")) {
		found(m, !strcmp(word, "done"), now);
	} else {
		m->building_since = m->building_since ? m->building_since : now;
		if (m->cancelled || now - m->building_since >= m->params.lock_wait)
			fail_building(m, name, pid);
		else
			migrator_wait(m, MS_LOOK, BUILDING_POLL, now);
	}
}

void verdict_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	file_pin(m);
	split_add_put(m, m->verdict, m->verdict_text);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

/* Compared anew: it goes on, or is blocked with what was noted. */
void verdict_over(struct migrator *m, msec_t now)
{
	m->file = NULL;
	if (m->cancelled)
		file_end_cancelled(m);
	else
		migrator_go(m, MS_READ, now);
}
