/* SPDX-License-Identifier: PostgreSQL */
/*
 * Random (desired, live) pairs: after the plan is applied, the next plan is
 * empty but for what is blocked; a plan of no drift is empty; neither the
 * grouping of the look nor the order of the wishes matters.
 *
 *   test_convergence [PAIRS [SEED]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <talloc.h>

#include "base/text.h"
#include "reconcile/inverse.h"
#include "world.h"

/* Fewer in builds that are many times slower: with sanitizers, or not optimized. */
#if defined __SANITIZE_ADDRESS__ || !defined __OPTIMIZE__
static uint64_t pairs = 2000;
#else
static uint64_t pairs = 10000;
#endif
static uint64_t seed = 20261121;

/* xorshift64*: the same everywhere */
static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static const char *const role_names[] = { "app", "migrator", "analytics", "we\"ird, {r}", "Ops Team", "reporting", "ghost", "stranger" };
static const char *const schema_names[] = { "app", "audit" };
static const char *const object_names[] = { "users", "orders", "audit_1", "audit_2", "Odd \"one\"" };
static const char *const column_names[] = { "id", "email" };
#define PICK(a) (a)[rnd(sizeof(a) / sizeof *(a))]

static const struct { enum object_kind kind; const char *name; } extra_objects[] = {
	{ OBJECT_SEQUENCE, "users_id_seq" }, { OBJECT_FUNCTION, "place(integer, text)" }, { OBJECT_FUNCTION, "place(text)" },
	{ OBJECT_PROCEDURE, "sweep()" }, { OBJECT_TYPE, "mood" }, { OBJECT_DOMAIN, "posint" },
};

static privs_t random_privs(enum object_kind kind, int version_num)
{
	privs_t all = kind_privileges(kind, version_num), some = 0;

	for (int i = 0; i < PRIV_COUNT; i++)
		if (all & 1u << i && rnd(3) == 0)
			some |= 1u << i;
	return some ? some : all & -all;
}

/* Grants by the owner, then by those who were given the option. */
static void scatter(struct world *w, struct world_acl *acl, enum object_kind kind, name_id owner)
{
	for (uint32_t i = rnd(4); i > 0; i--)
		world_grant(w, acl, kind, owner, owner, rnd(6) ? names_put(w->names, PICK(role_names)) : NAME_NONE,
			    random_privs(kind, w->version_num), false);
	for (uint32_t i = rnd(3); i > 0; i--) {
		name_id holder = names_put(w->names, PICK(role_names)), next = names_put(w->names, PICK(role_names));
		privs_t privs = random_privs(kind, w->version_num);

		if (holder == owner)
			continue;
		world_grant(w, acl, kind, owner, owner, holder, privs, true);
		if (next != holder && next != owner && rnd(2))
			world_grant(w, acl, kind, owner, holder, next, privs, rnd(2));
	}
}

static struct world *random_world(void *parent)
{
	static const int versions[] = { 140000, 150000, 160000, 170000, 180000 };
	struct world *w = world_new(parent, PICK(versions));

	for (size_t i = 0; i < sizeof role_names / sizeof *role_names; i++)
		if (rnd(4) || i == 1 || i >= 6)
			world_role(w, role_names[i], ROLE_INHERIT | (rnd(2) ? ROLE_LOGIN : 0));
	for (size_t s = 0; s < 2; s++) {
		struct world_object *schema;

		if (rnd(5) == 0)
			continue;
		schema = world_object(w, OBJECT_SCHEMA, NULL, schema_names[s], rnd(2) ? "migrator" : "postgres");
		scatter(w, &schema->acl, OBJECT_SCHEMA, schema->owner);
		for (size_t o = 0; o < sizeof object_names / sizeof *object_names; o++) {
			struct world_object *table;

			if (rnd(3) == 0)
				continue;
			table = world_object(w, OBJECT_TABLE, schema_names[s], object_names[o], rnd(3) ? "migrator" : "postgres");
			if (rnd(2))
				scatter(w, &table->acl, OBJECT_TABLE, table->owner);
			for (size_t c = 0; c < 2; c++) {
				table->columns[table->n_columns].name = column_names[c];
				table->columns[table->n_columns++].acl.is_null = true;
				if (rnd(3) == 0)
					scatter(w, &table->columns[c].acl, OBJECT_COLUMN, table->owner);
			}
		}
		for (size_t o = 0; o < sizeof extra_objects / sizeof *extra_objects; o++) {
			struct world_object *object;

			if (rnd(2))
				continue;
			object = world_object(w, extra_objects[o].kind, schema_names[s], extra_objects[o].name, "migrator");
			if (rnd(2))
				scatter(w, &object->acl, object->kind, object->owner);
		}
	}
	for (uint32_t i = rnd(6); i > 0; i--) {
		static const char types[] = "rSfT";
		char type = types[rnd(4)];
		enum object_kind kind = type == 'r' ? OBJECT_TABLE : type == 'S' ? OBJECT_SEQUENCE : type == 'f' ? OBJECT_FUNCTION : OBJECT_TYPE;
		struct change like = { .op = CHANGE_DEFAULT_GRANT, .other = names_put(w->names, "migrator"),
				       .schema = rnd(4) ? names_put(w->names, PICK(schema_names)) : NAME_NONE, .objtype = type,
				       .role = names_put(w->names, PICK(role_names)), .privs = random_privs(kind, w->version_num) };
		const char *why;

		world_apply(w, NULL, &like, &why);
	}
	for (uint32_t i = rnd(5); i > 0; i--) {
		struct membership m = { names_put(w->names, PICK(role_names)), names_put(w->names, PICK(role_names)),
					rnd(3) ? w->superuser : names_put(w->names, "Ops Team"), rnd(2), rnd(2), rnd(2) };
		bool there = m.role == m.member;

		for (uint32_t k = 0; k < w->n_memberships; k++)
			there |= w->memberships[k].role == m.role && w->memberships[k].member == m.member &&
				 (w->version_num < 160000 || w->memberships[k].grantor == m.grantor);
		if (w->version_num < 160000)
			m.inherit = m.set = true;
		if (!there)
			w->memberships[w->n_memberships++] = m;
	}
	for (uint32_t i = rnd(4); i > 0; i--) {
		struct change like = { .op = CHANGE_SET_SETTING, .role = names_put(w->names, PICK(role_names)),
				       .name = rnd(2) ? "work_mem" : "search_path", .value = "64MB" };

		const char *why;

		world_apply(w, NULL, &like, &why);
	}
	return w;
}

/* --- desired ------------------------------------------------------------------------------------------------------- */

static const struct level levels[] = {
	{ .name = "read-only", .schema = PRIV_USAGE, .table = PRIV_SELECT, .sequence = PRIV_SELECT },
	{ .name = "read-write", .schema = PRIV_USAGE, .table = PRIV_SELECT | PRIV_INSERT | PRIV_UPDATE | PRIV_DELETE,
	  .sequence = PRIV_SELECT | PRIV_USAGE, .routine = PRIV_EXECUTE },
};

static struct strings one(void *parent, const char *s)
{
	const char **v = talloc_array(parent, const char *, 1);

	v[0] = s;
	return (struct strings){ v, 1 };
}

static const char *random_selector(void *parent)
{
	static const char *const templates[] = { "table %s.users", "table %s.*", "table %s.audit_*", "sequence %s.*", "function %s.*",
						 "function %s.place(integer, text)", "procedure %s.*", "type %s.mood", "domain %s.*", "schema %s",
						 "table *.orders", "table %s.\"Odd \"\"one\"\"\"" };
	const char *template = PICK(templates), *at = strstr(template, "%s");

	if (!at)
		return template;
	return talloc_asprintf(parent, "%.*s%s%s", (int)(at - template), template, PICK(schema_names), at + 2);
}

static void random_grant(struct manifest *m, struct grant_wish *g, int version_num, unsigned line)
{
	g->to = one(m, rnd(7) ? role_names[rnd(6)] : "PUBLIC");
	g->source = (struct source){ "random.conf", line };
	if (rnd(3) == 0 && strcmp(g->to.v[0], "PUBLIC") != 0) {
		g->level = &levels[rnd(2)];
		g->schemas = one(m, PICK(schema_names));
		return;
	}
	g->on = talloc_zero_array(m, struct selector, 1);
	g->n_on = 1;
	assert_int_equal(selector_parse(m, random_selector(m), &g->on[0], NULL), 0);
	if (g->on[0].kind == OBJECT_TABLE && rnd(3) == 0) {
		g->columns = one(m, PICK(column_names));
		g->privs = random_privs(OBJECT_COLUMN, version_num);
	} else if (rnd(6)) {
		g->privs = random_privs(g->on[0].kind, version_num);
	} else {
		g->privs = 0;
	}
	g->grant_option = strcmp(g->to.v[0], "PUBLIC") != 0 && rnd(4) == 0;
}

static struct manifest *random_manifest(void *parent, int version_num)
{
	struct manifest *m = talloc_zero(parent, struct manifest);

	m->name = m->file = "random.conf";
	m->authority = rnd(3) ? AUTHORITY_EXACT : AUTHORITY_ADDITIVE;
	m->revoke_unmanaged_grantees = rnd(4) == 0;
	m->roles = talloc_zero_array(m, struct role_wish, 6);
	for (uint32_t i = 0; i < 6; i++) {
		struct role_wish *r = &m->roles[m->n_roles++];

		r->name = role_names[i];
		r->source = (struct source){ "random.conf", i + 1 };
		r->attrs_mask = rnd(2) ? ROLE_LOGIN : 0;
		r->attrs = rnd(2) ? ROLE_LOGIN : 0;
		r->has_connection_limit = rnd(3) == 0;
		r->connection_limit = (int)rnd(5) + 1;
		if (rnd(3) == 0)
			r->comment = rnd(2) ? "a comment" : "";
		if (rnd(3) == 0) {
			r->settings = talloc_zero_array(m, struct setting_block, 1);
			r->n_settings = 1;
			r->settings[0].v = talloc_zero_array(m, struct name_value, 1);
			r->settings[0].n = 1;
			r->settings[0].v[0] = (struct name_value){ "work_mem", rnd(2) ? "65536" : "1GB", r->source };
		}
	}
	m->schemas = talloc_zero_array(m, struct schema_wish, 2);
	for (uint32_t i = 0; i < 2; i++)
		if (rnd(2))
			m->schemas[m->n_schemas++] = (struct schema_wish){ schema_names[i], rnd(2) ? "migrator" : NULL, { "random.conf", 20 + i } };
	m->grants = talloc_zero_array(m, struct grant_wish, 8);
	for (uint32_t i = rnd(8); i > 0; i--)
		random_grant(m, &m->grants[m->n_grants++], version_num, 30 + i);
	m->owners = talloc_zero_array(m, struct owner_wish, 1);
	if (rnd(4) == 0) {
		assert_int_equal(selector_parse(m, rnd(2) ? "table app.*" : "table app.users", &m->owners[0].on, NULL), 0);
		m->owners[0].owner = "migrator";
		m->n_owners = 1;
	}
	m->memberships = talloc_zero_array(m, struct membership_wish, 1);
	if (rnd(2)) {
		m->memberships[0] = (struct membership_wish){ .role = "reporting", .members = one(m, "analytics"), .has_admin = rnd(2), .admin = rnd(2),
							      .has_inherit = rnd(2), .inherit = rnd(2), .has_set = rnd(2), .set = rnd(2) };
		m->n_memberships = 1;
	}
	return m;
}

/* --- the property -------------------------------------------------------------------------------------------------- */

struct scene {
	struct world *world;
	struct server_settings server;
	struct database_settings database;
	const struct manifest *manifests[1];
	struct guard_settings guard;
	uint64_t pair;
	const struct plan_undo *undo;        /* for the next plan; NULL = none */
	struct journal *journal;             /* NULL = nobody will undo it */
};

/* What was done, as the history keeps it. */
struct journal {
	char *records[1024];
	char *described[1024];
	uint32_t n, of_server;
	const char *no_inverse;
};

static struct plan *make_plan_approved(void *parent, struct scene *s, bool of_server, bool grouped, const char *approved)
{
	struct plan_context context = { .guard = &s->guard, .server = "s", .target = of_server ? "s" : "s/d", .approved = approved,
					.undos = s->undo, .n_undos = s->undo != NULL };
	struct server_state *server = world_server(parent, s->world);
	struct error err = { 0 };
	struct desired *desired;
	struct plan *plan = NULL;

	if (of_server) {
		assert_int_equal(desired_server(parent, s->world->names, &s->server, &desired, &err), 0);
		assert_int_equal(plan_server(parent, &context, desired, server, &plan, &err), 0);
	} else {
		assert_int_equal(desired_database(parent, s->world->names, &s->server, &s->database, "d", &desired, &err), 0);
		assert_int_equal(plan_database(parent, &context, desired, server, world_database(parent, s->world, grouped), &plan, &err), 0);
	}
	return plan;
}

static struct plan *make_plan(void *parent, struct scene *s, bool of_server, bool grouped)
{
	return make_plan_approved(parent, s, of_server, grouped, NULL);
}

/* What is held is approved, as an operator would. */
static struct plan *make_released(void *parent, struct scene *s, bool of_server)
{
	struct plan *plan = make_plan(parent, s, of_server, rnd(2));

	if (plan->held)
		plan = make_plan_approved(parent, s, of_server, rnd(2), plan->id);
	assert_int_equal(plan->held, 0);
	return plan;
}

/* For the person who has to find out why: every list of what the change is about. */
static void print_world(const struct world *w, const struct change *c)
{
	char buf[256];

	for (uint32_t i = 0; c->kind == DRIFT_MEMBERSHIP && i < w->n_memberships; i++) {
		const struct membership *m = &w->memberships[i];

		printf("  %s is a member of %s by %s%s%s%s\n", names_text(w->names, m->member), names_text(w->names, m->role),
		       names_text(w->names, m->grantor), m->admin ? ", ADMIN" : "", m->inherit ? ", INHERIT" : "", m->set ? ", SET" : "");
	}
	for (uint32_t i = 0; i < w->n_objects; i++) {
		const struct world_object *o = &w->objects[i];

		if (!c->names || strcmp(o->name, c->names[c->n - 1]) != 0 || o->schema != c->schema)
			continue;
		for (uint32_t k = 0; k <= o->n_columns; k++) {
			const struct world_acl *acl = k ? &o->columns[k - 1].acl : &o->acl;

			for (uint32_t e = 0; e < acl->n; e++)
				printf("  %s %s owner %s: %s from %s: %s", o->name, k ? o->columns[k - 1].name : "", names_text(w->names, o->owner),
				       names_text(w->names, acl->v[e].grantee), names_text(w->names, acl->v[e].grantor),
				       privileges_format(acl->v[e].privs, buf, sizeof buf)),
				printf(" *%s\n", privileges_format(acl->v[e].grantable, buf, sizeof buf));
		}
	}
}

static void describe_failure(struct scene *s, const struct plan *plan, const struct change *c, const char *why)
{
	print_world(s->world, c);
	fail_msg("pair %llu (seed %llu, PostgreSQL %d): %s: %s", (unsigned long long)s->pair, (unsigned long long)seed,
		 s->world->version_num / 10000, change_describe(NULL, plan, c), why);
}

static void record(struct scene *s, const struct plan *plan, const struct change *c)
{
	struct change_record record = { .version_num = s->world->version_num };
	const char *why;

	if (!s->journal)
		return;
	change_forward(s->journal, c, &record.forward);
	why = change_inverse(s->journal, c, s->world->version_num, &record.back);
	s->journal->no_inverse = why ? why : s->journal->no_inverse;
	assert_true(s->journal->n < 1024);
	s->journal->described[s->journal->n] = change_describe(s->journal, plan, c);
	s->journal->records[s->journal->n++] = change_record_write(s->journal, plan->names, &record);
}

/* The ready changes of the phases from..to, as the engine applies them. */
static uint32_t apply_ready(struct scene *s, const struct plan *plan, enum change_phase from, enum change_phase to)
{
	void *memory = talloc_new(NULL);
	uint32_t applied = 0;
	const char *why;

	for (uint32_t i = 0; i < plan->n_changes; i++) {
		struct statements statements;

		if (getenv("VERBOSE") && plan->changes[i].state == CHANGE_BLOCKED)
			printf("pair %llu: BLOCKED %s\n", (unsigned long long)s->pair, change_describe(NULL, plan, &plan->changes[i]));
		if (plan->changes[i].state != CHANGE_READY || plan->changes[i].phase < from || plan->changes[i].phase > to)
			continue;
		change_sql(memory, plan, &plan->changes[i], s->world->version_num, &statements);
		assert_true(statements.n > 0);
		if (getenv("VERBOSE"))
			printf("pair %llu: %s\n", (unsigned long long)s->pair, change_describe(NULL, plan, &plan->changes[i]));
		record(s, plan, &plan->changes[i]);
		if (world_apply(s->world, plan, &plan->changes[i], &why))
			describe_failure(s, plan, &plan->changes[i], why);
		applied++;
	}
	talloc_free(memory);
	return applied;
}

static void converge(struct scene *s, bool of_server)
{
	void *memory = talloc_new(NULL);
	struct plan *first = make_released(memory, s, of_server), *second;

	/* new schemas and other owners change what privileges mean: the engine looks again after them */
	if (apply_ready(s, first, PHASE_ROLES, PHASE_OWNERS))
		first = make_released(memory, s, of_server);
	apply_ready(s, first, PHASE_ROLES, PHASE_DROPS);
	second = make_plan(memory, s, of_server, rnd(2));
	for (uint32_t i = 0; i < second->n_changes; i++)
		if (second->changes[i].state != CHANGE_BLOCKED)
			describe_failure(s, second, &second->changes[i], "is still wanted after the plan was applied");
	talloc_free(memory);
}

static void setup_scene(struct scene *s, void *parent, uint64_t pair)
{
	*s = (struct scene){ .pair = pair };
	random_state = seed + pair * UINT64_C(0x9E3779B97F4A7C15);
	if (!random_state)
		random_state = 1;
	s->world = random_world(parent);
	s->manifests[0] = random_manifest(parent, s->world->version_num);
	s->server = (struct server_settings){ .name = "s", .all_manifests = s->manifests, .n_all_manifests = 1 };
	s->database = (struct database_settings){ .name = "d", .manifests = s->manifests, .n_manifests = 1 };
	s->server.databases = &s->database;
	s->server.n_databases = 1;
	s->guard = (struct guard_settings){ .max_revokes = 1000000, .max_drops = 1000000, .max_percent = 100 };
}

static void pair_converges(uint64_t pair)
{
	void *memory = talloc_new(NULL);
	struct scene scene;

	setup_scene(&scene, memory, pair);
	converge(&scene, true);
	converge(&scene, false);
	talloc_free(memory);
}

/* Found with other seeds: a membership that is granted anew with ADMIN alone is not the row of the role's creator; a chain of column
   grants has nothing to do with one on another column. */
static void pairs_that_did_not_converge_once(void **state)
{
	static const struct { uint64_t seed, pair; } found[] = { { 4, 18506 }, { 5, 14892 }, { 7, 3007871 } };
	const uint64_t chosen = seed;

	(void)state;
	for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
		seed = found[i].seed;
		pair_converges(found[i].pair);
	}
	seed = chosen;
}

static void random_pairs_converge(void **state)
{
	(void)state;
	for (uint64_t pair = 0; pair < pairs; pair++)
		pair_converges(pair);
	printf("%llu random pairs converged (seed %llu)\n", (unsigned long long)pairs, (unsigned long long)seed);
}

/* By a plan, as the engine does it. */
static void undo(struct scene *s, uint32_t which)
{
	void *memory = talloc_new(NULL);
	struct change_record record;
	const struct change *c;
	struct plan_undo wish = { .id = which + 1, .approval = "0123456789abcdef", .approved = true };
	struct plan *plan;
	const char *why;

	assert_int_equal(change_record_read(s->journal, s->world->names, s->journal->records[which], &record), 0);
	assert_true(record.back.n > 0);
	wish.parts = record.back.v;
	wish.n_parts = record.back.n;
	wish.forward = record.forward.v;
	wish.n_forward = record.forward.n;
	s->undo = &wish;
	plan = make_plan(memory, s, which < s->journal->of_server, rnd(2));
	s->undo = NULL;
	c = &plan->changes[plan->n_changes - 1];
	assert_true(plan->n_changes > 0 && c->op == CHANGE_UNDO);
	if (c->state != CHANGE_READY)
		s->journal->no_inverse = c->reason;
	for (uint32_t i = 0; c->state == CHANGE_READY && i < c->undo->n_parts; i++)
		if (world_apply(s->world, plan, &c->undo->parts[i], &why))
			describe_failure(s, plan, &c->undo->parts[i], talloc_asprintf(s->journal, "%s, to undo %s", why, s->journal->described[which]));
	talloc_steal(s->journal, memory);        /* the world points into it */
}

static void first_difference(const struct scene *s, const char *before, const char *after)
{
	size_t at = 0, line = 0;

	for (; before[at] && before[at] == after[at]; at++)
		line = before[at] == '\n' ? at + 1 : line;
	fail_msg("pair %llu (seed %llu, PostgreSQL %d): was \"%.*s\", is \"%.*s\"", (unsigned long long)s->pair, (unsigned long long)seed,
		 s->world->version_num / 10000, (int)strcspn(before + line, "\n"), before + line, (int)strcspn(after + line, "\n"), after + line);
}

/* Every change of random plans, undone the newest first, leaves what was there before the first. */
static void what_is_undone_was_never_done(void **state)
{
	uint64_t exact = 0, changes = 0;

	(void)state;
	for (uint64_t pair = 0; pair < pairs / 2; pair++) {
		void *memory = talloc_new(NULL);
		struct scene scene;
		char *before, *after;

		setup_scene(&scene, memory, pair + 3000000);
		scene.journal = talloc_zero(memory, struct journal);
		before = world_text(memory, scene.world);
		converge(&scene, true);
		scene.journal->of_server = scene.journal->n;
		converge(&scene, false);
		for (uint32_t i = scene.journal->n; !scene.journal->no_inverse && i-- > 0;)
			undo(&scene, i);
		after = world_text(memory, scene.world);
		if (!scene.journal->no_inverse && strcmp(before, after) != 0)
			first_difference(&scene, before, after);
		exact += !scene.journal->no_inverse;
		changes += scene.journal->no_inverse ? 0 : scene.journal->n;
		talloc_free(memory);
	}
	printf("%llu changes of %llu random pairs were undone\n", (unsigned long long)changes, (unsigned long long)exact);
	assert_true(exact * 10 > pairs / 2 * 8);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every effect as one line "op role privs object", sorted: the same for every grouping of the look. */
static char *effects(void *parent, const struct plan *plan)
{
	const char **lines = NULL;
	uint32_t n = 0;
	struct text *all = text_new(parent);

	for (uint32_t i = 0; i < plan->n_changes; i++) {
		const struct change *c = &plan->changes[i];

		for (uint32_t k = 0; k < c->n; k++) {
			lines = talloc_realloc(all, lines, const char *, n + 1);
			lines[n++] = talloc_asprintf(lines, "%d %u %u %x %d %u %s %s %d", c->op, c->role, c->grantor, c->privs, c->state,
						     c->schema, c->column ? c->column : "-", c->names ? c->names[k] : "-", c->objtype);
		}
	}
	if (n)
		qsort(lines, n, sizeof *lines, compare_strings);
	for (uint32_t i = 0; i < n; i++)
		text_addf(all, "%s\n", lines[i]);
	return all->s;
}

static void grouping_does_not_matter(void **state)
{
	(void)state;
	for (uint64_t pair = 0; pair < pairs / 10; pair++) {
		void *memory = talloc_new(NULL);
		struct scene scene;

		setup_scene(&scene, memory, pair + 1000000);
		assert_string_equal(effects(memory, make_plan(memory, &scene, false, true)), effects(memory, make_plan(memory, &scene, false, false)));
		talloc_free(memory);
	}
}

static void the_same_input_gives_the_same_plan(void **state)
{
	(void)state;
	for (uint64_t pair = 0; pair < pairs / 10; pair++) {
		void *memory = talloc_new(NULL);
		struct scene scene;
		struct plan *a, *b;

		setup_scene(&scene, memory, pair + 2000000);
		scene.guard.max_revokes = 0;
		a = make_plan(memory, &scene, false, true);
		b = make_plan(memory, &scene, false, true);
		assert_string_equal(a->id, b->id);
		assert_string_equal(a->id, make_plan(memory, &scene, false, false)->id);       /* an approval outlives another grouping */
		assert_int_equal(a->n_changes, b->n_changes);
		for (uint32_t i = 0; i < a->n_changes; i++)
			assert_string_equal(change_describe(memory, a, &a->changes[i]), change_describe(memory, b, &b->changes[i]));
		talloc_free(memory);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_that_did_not_converge_once), cmocka_unit_test(random_pairs_converge),
		cmocka_unit_test(what_is_undone_was_never_done), cmocka_unit_test(grouping_does_not_matter),
		cmocka_unit_test(the_same_input_gives_the_same_plan),
	};

	if (argc > 1)
		pairs = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
