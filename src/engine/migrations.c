/* SPDX-License-Identifier: PostgreSQL */
/*
 * Migrations of one database target as part of its pass: what is pending, and
 * how it appears in the plan.
 */
#include "engine/held.h"
#include "engine/internal.h"
#include "engine/seed.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "migrate/lint.h"
#include "migrate/progress.h"

static void list_set(struct target *t, void *ctx, struct migration_list *list)
{
	t->view.migrations = list;
	t->migrations = list;
	t->ledger_known.valid = false;
	talloc_free(t->migrations_ctx);
	t->migrations_ctx = ctx;
	source_files_unref(t->files);          /* the old list pointed into them */
	t->files = t->pass->files;
	t->pass->files = NULL;
}

void migrations_unknown(struct target *t, const struct error *why)
{
	void *ctx = talloc_new(t);
	struct migration_list *list = talloc_zero(ctx, struct migration_list);

	list->blocked = true;
	list->why = *why;
	list_set(t, ctx, list);
}

bool migrations_refresh(struct target *t)
{
	struct source_files *files = source_files_view(t->engine, &t->db->migrations, t->database);

	source_files_unref(t->pass->files);
	t->pass->files = files;
	if (files->files == NULL)
		migrations_unknown(t, &files->error);
	return files->files != NULL;
}

bool migrations_changed(struct target *t)
{
	struct source_files *files;
	bool changed;

	if (t->db == NULL || !t->db->migrations.enabled)
		return false;
	files = source_files_view(t->engine, &t->db->migrations, t->database);
	changed = files != t->files || (t->brake.kind == BRAKE_SEED && brake_is_of_other_files(t));
	source_files_unref(files);
	return changed;
}

void migrations_look_ahead(struct target *t)
{
	if (!target_is_root(t) && t->db->migrations.enabled)
		source_files_unref(source_files_get(t->engine, &t->db->migrations));
}

void migrations_warn(struct target *t, const char *text)
{
	migration_list_warn(t->migrations, talloc_strdup(t->migrations, text));
}

bool migrations_superuser(const struct target *t)
{
	const char *user = t->db->migrations.user != NULL ? t->db->migrations.user : "";
	const struct look *look = t->server->look;
	const struct role *role = look == NULL || look->gen != t->gen ? NULL :
				  server_role(look->server_state, names_find(t->gen->names, user, strlen(user)));

	return role != NULL && (role->attrs & ROLE_SUPERUSER) != 0;
}

/* Whoever may write a migration file is superuser then. */
static void warn_of_superuser(struct target *t)
{
	char *text;

	if (!migrations_superuser(t))
		return;
	text = talloc_asprintf(NULL, "the migration user %s is a superuser: whoever can write a migration file can do anything on the server; "
			       "give migrations a login of their own that owns the schemas they change", t->db->migrations.user);
	migrations_warn(t, text);
	talloc_free(text);
}

/* A first run of very many files is not read through: nobody uses their tables yet. A policy asks for all of them. */
#define LINTED_MAX 50

void migrations_note_failure(struct target *t, const struct error *err)
{
	for (uint32_t i = 0; err->file[0] != '\0' && i < t->migrations->n; i++) {
		struct migration *m = &t->migrations->v[i];
		char place[48] = "";

		if (!migration_runs(m) || m->note != NULL || strncmp(m->file->path, err->file, sizeof(err->file) - 1) != 0)
			continue;
		if (err->line > 0)
			snprintf(place, sizeof(place), err->column > 0 ? "line %u:%u: " : "line %u: ", err->line, err->column);
		m->note = talloc_asprintf(t->migrations, "failed: %s%s", place, err->text);
	}
}

/* Compared: t->migrations is new. */
static void review(struct target *t)
{
	error_name_target(&t->migrations->why, t->name);
	migration_list_lint(t->migrations, held_wanted(t) ? UINT32_MAX : LINTED_MAX);
	if (t->migrations->blocked && t->brake.kind == BRAKE_FILE)
		brake_release(t);             /* the ledger says more: a failed row, or what was interrupted */
	brake_review(t);
	if (t->brake.kind == BRAKE_FILE)
		migrations_note_failure(t, &t->brake.error);
	waves_note(t);
	warn_of_superuser(t);
}

void migrations_compare(struct target *t, void *ctx, const struct ledger_row *rows, uint32_t n_rows,
			const struct migration_progress *progress, uint32_t n_progress)
{
	list_set(t, ctx, migration_compare(ctx, t->pass->files->files, rows, n_rows));
	progress_apply(t->migrations, progress, n_progress);
	review(t);
}

void migrations_without_ledger(struct target *t, const struct error *why)
{
	void *ctx = talloc_new(t);

	list_set(t, ctx, migration_compare(ctx, t->pass->files->files, NULL, 0));
	if (why != NULL && !t->migrations->blocked && migrations_pending(t) > 0) {
		t->migrations->blocked = true;
		t->migrations->why = *why;
	}
	review(t);
}

void migrations_keep(struct target *t)
{
	brake_review(t);
	waves_note(t);
}

/* ---- in the plan ---- */

static uint32_t count_pending(const struct migration_list *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; list != NULL && i < list->n; i++)
		n += migration_runs(&list->v[i]);
	return n;
}

uint32_t migrations_pending(const struct target *t)
{
	return count_pending(t->migrations);
}

/* Texts are copied: the plan outlives the list. */
static void change_fill(const struct target *t, struct plan *plan, struct change *c, const struct migration *m)
{
	*c = (struct change){ .op = CHANGE_MIGRATE, .kind = DRIFT_LEDGER, .phase = PHASE_MIGRATIONS, .state = CHANGE_READY, .n = 1 };
	if (!t->migrations->blocked)
		held_fill(t, plan, m, c);
	if (m == NULL)
		return;
	c->name = talloc_strdup(plan, m->file->version != NULL ? m->file->version : m->file->description);
	c->extra = talloc_strdup(plan, m->file->script);
	c->source.file = talloc_strdup(plan, m->file->path);
	c->source.line = 1;
	c->findings = migration_findings_copy(plan, m->findings, m->n_findings);
	c->n_findings = m->n_findings;
	c->oldest_transaction_s = t->migrations->oldest_s;
}

static void count_change(struct plan *plan, const struct change *c)
{
	plan->drift[DRIFT_LEDGER]++;
	plan->drift_objects++;
	if (c->state == CHANGE_READY) {
		plan->ready++;
		return;
	}
	if (c->state == CHANGE_HELD) {
		plan->held++;
		plan->held_objects++;
		plan->held_reason = plan->held_reason != NULL ? plan->held_reason : c->reason;
		return;
	}
	plan->blocked++;
	plan->blocked_objects++;
	plan->blocked_by_kind[DRIFT_LEDGER]++;
}

/* A schema that is not made now: what runs before it stands would fail, on the ledger or in the files. */
static const struct change *blocked_schema(const struct plan *plan)
{
	for (uint32_t i = 0; plan != NULL && i < plan->n_changes; i++)
		if (plan->changes[i].op == CHANGE_CREATE_SCHEMA && plan->changes[i].state != CHANGE_READY)
			return &plan->changes[i];
	return NULL;
}

static void wait_for_schema(const struct plan *plan, struct change *c)
{
	const struct change *schema = blocked_schema(plan);

	if (schema == NULL || c->state != CHANGE_READY)
		return;
	c->state = CHANGE_BLOCKED;
	c->reason = talloc_asprintf(plan, "schema %s is %s: %s", schema->name, schema->state == CHANGE_HELD ? "held" : "blocked", schema->reason);
	c->remedy = schema->remedy;
}

static void wait_for_brake(const struct target *t, const struct plan *plan, struct change *c)
{
	char why[ERROR_TEXT_MAX + 320];

	if (!brake_holds(t) || c->state != CHANGE_READY)
		return;
	c->state = CHANGE_BLOCKED;
	c->reason = talloc_strdup(plan, error_summary(&t->brake.error, why, sizeof(why)));
	c->remedy = talloc_strdup(plan, t->brake.error.hint);
}

/* What is to run beside files; v holds two at most. */
static uint32_t other_work(const struct target *t, const char *v[2])
{
	uint32_t n = 0;

	if (t->brake.kind == BRAKE_AFTER || (held_owes_after(t) && migrations_pending(t) == 0))
		v[n++] = "hook after the migrations";
	if (seed_wanted(t))
		v[n++] = "seed data";
	return n;
}

/* Pending migrations become changes of the plan, in their place; a list that is blocked is one blocked change at least. */
void migrations_append(struct target *t, struct plan *plan)
{
	const struct migration_list *list = t->migrations;
	const char *others[2];
	uint32_t pending = count_pending(list), more = other_work(t, others), add = pending + more, at = 0;
	char why[ERROR_TEXT_MAX + 320];

	if (list == NULL || (add == 0 && !list->blocked))
		return;
	add = add > 0 ? add : 1;
	plan->changes = talloc_realloc(plan, plan->changes, struct change, plan->n_changes + add);
	while (at < plan->n_changes && plan->changes[at].phase < PHASE_MIGRATIONS)
		at++;
	memmove(&plan->changes[at + add], &plan->changes[at], (plan->n_changes - at) * sizeof(struct change));
	plan->n_changes += add;
	for (uint32_t i = 0; i < add - pending; i++) {
		change_fill(t, plan, &plan->changes[at + pending + i], NULL);
		plan->changes[at + pending + i].name = i < more ? others[i] : NULL;
	}
	for (uint32_t i = 0, k = at; pending > 0 && i < list->n; i++)
		if (migration_runs(&list->v[i]))
			change_fill(t, plan, &plan->changes[k++], &list->v[i]);
	for (uint32_t k = at; k < at + add; k++) {
		struct change *c = &plan->changes[k];

		if (list->blocked) {
			c->state = CHANGE_BLOCKED;
			c->reason = talloc_strdup(plan, error_summary(&list->why, why, sizeof(why)));
			c->remedy = list->why.hint[0] != '\0' ? talloc_strdup(plan, list->why.hint) : NULL;
			if (c->name == NULL)
				c->name = "ledger";
		}
		wait_for_schema(plan, c);
		wait_for_brake(t, plan, c);
		count_change(plan, c);
	}
}

bool migrations_wants(const struct target *t)
{
	return t->migrations != NULL && !t->migrations->blocked &&
	       (held_free(t) > 0 || held_owes_after(t) ||
		(t->migrations->stop == NULL && (t->brake.kind == BRAKE_AFTER || seed_wanted(t))));
}

bool migrations_runnable(const struct target *t)
{
	struct wave_wait wait;

	if (!migrations_wants(t) || brake_holds(t) || blocked_schema(t->plan) != NULL)
		return false;
	waves_ask(t, &wait);
	return wait.why == WAVE_GO;
}
