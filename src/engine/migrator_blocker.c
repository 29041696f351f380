/* SPDX-License-Identifier: PostgreSQL */
/*
 * A lock was not to be had, and the file gives up: who holds it? Asked when
 * everything is rolled back, of the relations that the lint has found in the
 * statement. When he is gone by then, or nothing was found, nobody is named.
 */
#include "engine/migrator_internal.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/lint.h"
#include "model/quote.h"

static const char sql[] =
	"SELECT l.pid, a.usename, a.application_name, l.mode, n.nspname, c.relname"
	" FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
	" WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() AND c.relname = ANY ($1::pg_catalog.name[])"
	" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"
	" ORDER BY a.xact_start, l.pid LIMIT 1";

static const struct migration *planned_entry(const struct migrator *m)
{
	const struct migration_list *planned = m->params.planned;

	for (uint32_t i = 0; planned && i < planned->n; i++)
		if (planned->v[i].file && !strcmp(planned->v[i].file->script, m->file->script))
			return &planned->v[i];
	return NULL;
}

/* Array text, or NULL when there is none. */
static char *relations(void *parent, const struct migrator *m)
{
	struct text *out = text_new(parent);
	const struct migration *entry = planned_entry(m);
	bool own = m->state == MS_RECORD || m->state == MS_COMMIT;     /* what we write ourselves */
	uint32_t statement = m->file->transactional ? m->failed->index : m->at;

	if (own)
		quote_array_add(out, m->params.table);
	for (uint32_t i = 0; entry && !own && i < entry->n_findings; i++)
		if (entry->findings[i].statement == statement && entry->findings[i].live_relation)
			quote_array_add(out, entry->findings[i].live_relation);
	if (!out->len)
		return NULL;
	text_add_char(out, '}');
	return out->s;
}

static void give_up(struct migrator *m, const char *holder)
{
	error_hint(&m->reason, "%s; tried %u times, and with the next pass again", holder, m->attempts);
	file_fail(m, m->reason_failure, &m->reason);
}

void blocker_find(struct migrator *m, enum failure failure, const struct error *err, msec_t now)
{
	char *names = relations(m->run, m);

	if (err != &m->reason)
		m->reason = *err;
	m->reason_failure = failure;
	talloc_free(m->blocked_relations);
	m->blocked_relations = talloc_steal(m, names);
	if (names)
		migrator_go(m, MS_BLOCKER, now);
	else
		give_up(m, "somebody else holds a lock on it");
}

void blocker_begin(struct migrator *m, msec_t now)
{
	const char **params = talloc_array(m->step, const char *, 1);

	if (!params)
		abort();
	params[0] = m->blocked_relations;
	migrator_add(m, "ROLLBACK", 0, NULL);
	migrator_begin_own(m);
	migrator_add(m, sql, 1, params);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void blocker_over(struct migrator *m, msec_t now)
{
	const char *v[6];

	(void)now;
	for (unsigned i = 0; i < 6; i++)
		v[i] = migrator_cell(m, 1 + MIGRATOR_OWN, i) ? migrator_cell(m, 1 + MIGRATOR_OWN, i) : "?";
	if (migrator_cell(m, 1 + MIGRATOR_OWN, 0))
		give_up(m, talloc_asprintf(m->step, "process %s (user %s, application '%s') holds %s on %s.%s", v[0], v[1], v[2], v[3], v[4], v[5]));
	else
		give_up(m, "somebody else held a lock on it");
}

void blocker_error(struct migrator *m, msec_t now)
{
	(void)now;
	give_up(m, "somebody else holds a lock on it");
}
