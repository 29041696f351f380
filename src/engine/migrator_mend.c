/* SPDX-License-Identifier: PostgreSQL */
/* An operator's order on the ledger, under its lock: baseline, repair, resolve; or one file, out of order, again, or to undo one. */
#include "engine/migrator_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define OWN_BUDGET 30000
#define AROUND 6                /* BEGIN, four SETs, COMMIT */

static void refuse(struct migrator *m, const struct error *err)
{
	migrator_end(m, MIGRATOR_BLOCKED, FAILURE_NONE, err);
}

/* Only that file runs: the list is what was compared under the lock. */
static void run_one(struct migrator *m, msec_t now)
{
	struct migration *entry = &m->list->v[m->mending.runs];
	const char *version = m->mending.file->version;

	for (uint32_t i = 0; i < m->list->n; i++)
		if (migration_runs(&m->list->v[i]))
			m->list->v[i].state = MIGRATION_IGNORED;
	if (version && !m->order_version)
		m->order_version = talloc_strdup(m, version);
	m->total = m->done + 1;
	entry->file = m->mending.file;
	/* what became of the statement under way is noted first; then the order is planned again */
	entry->find_out = entry->interrupted;
	entry->waits = false;
	entry->state = entry->interrupted ? MIGRATION_INDETERMINATE : MIGRATION_PENDING;
	if (entry->interrupted)
		lookup_interrupted(m, m->mending.runs, now);
	else
		file_next(m, now);
}

static void next_step(struct migrator *m, msec_t now)
{
	if (m->mending.needs_ledger)
		migrator_go(m, MS_CREATE, now);
	else if (m->mending.needs_progress)
		migrator_go(m, MS_MEND_TABLE, now);
	else
		migrator_go(m, MS_MEND, now);
}

void mend_begin(struct migrator *m, const struct ledger_row *rows, uint32_t n, msec_t now)
{
	const struct mend_input in = {
		.schema = m->params.schema, .table = m->params.table, .ledger_exists = m->ledger_exists, .progress_exists = m->progress_exists,
		.list = m->list, .rows = rows, .n_rows = n, .files = m->params.files,
	};
	struct ledger_order order = *m->params.order;
	struct error err = { 0 };

	/* The second time is after the file that was to run: a lost COMMIT was asked for, and the list is new. */
	if (m->done) {
		migrator_go(m, MS_UNLOCK, now);
		return;
	}
	/* after a COMMIT that was lost and rolled back it is still about what it was about */
	if (m->order_version)
		order.version = m->order_version;
	if (mend_plan(m, &order, &in, &m->mending, &err))
		refuse(m, &err);
	else if (m->params.order->dry_run)
		migrator_go(m, MS_UNLOCK, now);
	else if (m->mending.file)
		run_one(m, now);
	else
		next_step(m, now);
}

void mend_created(struct migrator *m, msec_t now)
{
	m->mending.needs_ledger = false;
	next_step(m, now);
}

void mend_table_begin(struct migrator *m, msec_t now)
{
	migrator_create(m, progress_sql_create(m->step, m->params.schema, m->params.table), now);
}

void mend_table_over(struct migrator *m, msec_t now)
{
	m->mending.needs_progress = false;
	next_step(m, now);
}

/* More statements than a step usually has: one for each row that is mended. */
void mend_write_begin(struct migrator *m, msec_t now)
{
	struct statement *v = talloc_zero_array(m->step, struct statement, AROUND + m->mending.n);
	struct error err = { 0 };
	unsigned n;

	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	file_pin(m);
	n = m->batch.n;
	memcpy(v, m->statements, n * sizeof *v);
	for (uint32_t i = 0; i < m->mending.n; i++)
		if (m->mending.v[i].sql)
			v[n++] = (struct statement){ NULL, m->mending.v[i].sql, m->mending.v[i].n_params, m->mending.v[i].params };
	v[n++] = (struct statement){ NULL, "COMMIT", 0, NULL };
	m->batch = (struct batch){ .mode = BATCH_PIPELINE, .statements = v, .n = n, .budget = OWN_BUDGET };
	if (!session_submit(m->session, &m->batch, now))
		return;
	error_set(&err, "the session took no statements to mend the ledger");
	migrator_end(m, MIGRATOR_FAILED, FAILURE_INTERNAL, &err);
}

void mend_write_over(struct migrator *m, msec_t now)
{
	migrator_go(m, MS_UNLOCK, now);
}

void mend_error(struct migrator *m, msec_t now)
{
	struct error err = m->failed->error;

	(void)now;
	if (m->failed->failure == FAILURE_PERMISSION)
		error_hint(&err, "the migration user needs INSERT, UPDATE and DELETE on %s.%s; nothing was written", m->params.schema, m->params.table);
	migrator_end(m, MIGRATOR_FAILED, m->failed->failure, &err);
}

/* Its COMMIT may have been the last that arrived. */
void mend_lost(struct migrator *m, msec_t now)
{
	struct error err = *session_error(m->session);

	(void)now;
	error_hint(&err, "it is not known whether the order was carried out: look with dbreconcilectl migrations TARGET, and give it again if not");
	migrator_end(m, MIGRATOR_FAILED, session_failure(m->session), &err);
}

const struct mending *migrator_mending(const struct migrator *m)
{
	return &m->mending;
}
