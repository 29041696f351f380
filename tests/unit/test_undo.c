/* SPDX-License-Identifier: PostgreSQL */
/* Undo, the pure part: the inverse of every kind of change, the text it is kept as, what counts as the same, and the plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "base/text.h"
#include "model/observed.h"
#include "reconcile/inverse.h"

struct bench {
	struct names *names;
	struct plan plan;
	struct server_settings settings;
	struct guard_settings guard;
	struct server_state server;
	struct manifest manifest;
	const struct manifest *manifests[1];
};

#define ID(text) names_put(b->names, text)

static int setup(void **state)
{
	struct bench *b = talloc_zero(NULL, struct bench);

	b->names = names_new(b);
	b->plan.names = b->names;
	b->manifest = (struct manifest){ .name = "m", .file = "m.conf", .authority = AUTHORITY_EXACT };
	b->manifests[0] = &b->manifest;
	b->settings = (struct server_settings){ .name = "s", .manifests = b->manifests, .n_manifests = 1, .all_manifests = b->manifests,
						.n_all_manifests = 1 };
	b->guard = (struct guard_settings){ .max_revokes = 20, .max_percent = 100 };
	b->server = (struct server_state){ .names = b->names, .facts = { .version_num = 160000, .is_superuser = true, .system_identifier = 7 } };
	b->server.facts.me = b->server.facts.bootstrap = ID("postgres");
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

static const char *joined(struct bench *b, const struct changes *changes, int version)
{
	struct text *all = text_new(b);

	for (uint32_t i = 0; i < changes->n; i++) {
		struct statements statements;

		change_sql(b, &b->plan, &changes->v[i], version, &statements);
		for (uint32_t s = 0; s < statements.n; s++)
			text_addf(all, "%s%s", all->len ? "; " : "", statements.v[s]);
	}
	return all->s;
}

/* The inverse, and that it is the same after it was kept as text and read by somebody with other names. */
static void expect_inverse(struct bench *b, const struct change *c, int version, const char *sql)
{
	struct change_record record = { .system_identifier = 7, .database_oid = 5, .version_num = version, .undoes = 3 }, read;
	struct names *others = names_new(b);
	struct plan plan = { .names = others };
	const char *why, *forward;
	char *text;

	names_put(others, "something else");
	change_forward(b, c, &record.forward);
	why = change_inverse(b, c, version, &record.back);
	if (why)
		fail_msg("no inverse: %s, expected %s", why, sql);
	assert_string_equal(joined(b, &record.back, version), sql);
	forward = joined(b, &record.forward, version);
	text = change_record_write(b, b->names, &record);
	assert_int_equal(change_record_read(b, others, text, &read), 0);
	assert_true(read.system_identifier == 7 && read.database_oid == 5 && read.version_num == version && read.undoes == 3);
	b->plan.names = others;
	assert_string_equal(joined(b, &read.back, version), sql);
	assert_string_equal(joined(b, &read.forward, version), forward);
	assert_string_equal(change_describe(b, &plan, &read.forward.v[0]), (b->plan.names = b->names, change_describe(b, &b->plan, &record.forward.v[0])));
	assert_string_equal(change_record_write(b, others, &read), text);
}

static void expect_none(struct bench *b, const struct change *c, const char *why)
{
	struct changes back;
	const char *reason = change_inverse(b, c, 160000, &back);

	assert_non_null(reason);
	if (!strstr(reason, why))
		fail_msg("\"%s\" does not say \"%s\"", reason, why);
	assert_int_equal(back.n, 0);
}

static const char *t1[] = { "t1" }, *odd[] = { "o\"dd\nline \\n" };

static void inverse_of_grants(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .object_kind = OBJECT_TABLE, .relkind = 'r', .schema = ID("app"), .names = t1, .n = 1,
			    .role = ID("x"), .privs = PRIV_SELECT | PRIV_INSERT };
	struct column_taken taken[] = { { "t1", "a", PRIV_SELECT, 0 }, { "t1", "b", PRIV_SELECT | PRIV_INSERT, PRIV_INSERT }, { "t2", "c", PRIV_SELECT, 0 } };

	expect_inverse(b, &c, 160000, "REVOKE SELECT, INSERT ON TABLE \"app\".\"t1\" FROM \"x\"");
	c.grantable = true;          /* nothing was there: the privilege goes with its option */
	expect_inverse(b, &c, 160000, "REVOKE SELECT, INSERT ON TABLE \"app\".\"t1\" FROM \"x\"");
	c.was.privs = PRIV_INSERT;   /* this one was there, without it */
	expect_inverse(b, &c, 160000, "REVOKE GRANT OPTION FOR INSERT ON TABLE \"app\".\"t1\" FROM \"x\"; REVOKE SELECT ON TABLE \"app\".\"t1\" FROM \"x\"");
	c.op = CHANGE_REVOKE;
	c.grantable = false;
	c.was.privs = 0;
	c.was.options = PRIV_SELECT;
	c.grantor = ID("g");
	expect_inverse(b, &c, 160000, "SET LOCAL ROLE \"g\"; GRANT INSERT ON TABLE \"app\".\"t1\" TO \"x\"; RESET ROLE; "
		       "SET LOCAL ROLE \"g\"; GRANT SELECT ON TABLE \"app\".\"t1\" TO \"x\" WITH GRANT OPTION; RESET ROLE");
	c.grantor = NAME_NONE;
	c.was.options = 0;
	c.was.columns = taken;
	c.was.n_columns = 3;         /* t2 is not of this change any more */
	expect_inverse(b, &c, 160000, "GRANT SELECT, INSERT ON TABLE \"app\".\"t1\" TO \"x\"; GRANT SELECT (\"a\") ON TABLE \"app\".\"t1\" TO \"x\"; "
		       "GRANT SELECT (\"b\") ON TABLE \"app\".\"t1\" TO \"x\"; GRANT INSERT (\"b\") ON TABLE \"app\".\"t1\" TO \"x\" WITH GRANT OPTION");
	c = (struct change){ .op = CHANGE_REVOKE_GRANT_OPTION, .kind = DRIFT_GRANT, .object_kind = OBJECT_SEQUENCE, .schema = ID("app"), .names = odd, .n = 1,
			     .privs = PRIV_USAGE };
	expect_inverse(b, &c, 160000, "GRANT USAGE ON SEQUENCE \"app\".\"o\"\"dd\nline \\n\" TO PUBLIC WITH GRANT OPTION");
}

static void inverse_of_defaults(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_DEFAULT_GRANT, .kind = DRIFT_DEFAULT_PRIVILEGE, .object_kind = OBJECT_TABLE, .objtype = 'r', .other = ID("maker"),
			    .schema = ID("app"), .n = 1, .role = ID("x"), .privs = PRIV_SELECT | PRIV_INSERT, .grantable = true };

	c.was.privs = PRIV_SELECT;
	expect_inverse(b, &c, 160000, "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" REVOKE GRANT OPTION FOR SELECT ON TABLES FROM \"x\"; "
		       "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" REVOKE INSERT ON TABLES FROM \"x\"");
	c.op = CHANGE_DEFAULT_REVOKE;
	expect_inverse(b, &c, 160000, "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" GRANT SELECT, INSERT ON TABLES TO \"x\" WITH GRANT OPTION");
	c.grantable = false;
	c.was.options = PRIV_INSERT;
	expect_inverse(b, &c, 160000, "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" GRANT SELECT ON TABLES TO \"x\"; "
		       "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" GRANT INSERT ON TABLES TO \"x\" WITH GRANT OPTION");
}

static void inverse_of_memberships(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_GRANT_MEMBERSHIP, .kind = DRIFT_MEMBERSHIP, .n = 1, .role = ID("m"), .other = ID("g"), .set = true };

	expect_inverse(b, &c, 160000, "REVOKE \"g\" FROM \"m\"");
	expect_inverse(b, &c, 140000, "REVOKE \"g\" FROM \"m\"");
	c.was = (struct change_was){ .member = true, .admin = true, .inherit = true, .grantor = ID("boss") };
	/* what a superuser grants is written into the creator's row */
	expect_inverse(b, &c, 160000, "GRANT \"g\" TO \"m\" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE");
	expect_inverse(b, &c, 140000, "REVOKE \"g\" FROM \"m\"; GRANT \"g\" TO \"m\" WITH ADMIN OPTION GRANTED BY \"boss\"");
	c.grantor = ID("boss");
	expect_inverse(b, &c, 160000, "GRANT \"g\" TO \"m\" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE GRANTED BY \"boss\"");
	c.op = CHANGE_REVOKE_MEMBERSHIP;
	expect_inverse(b, &c, 160000, "GRANT \"g\" TO \"m\" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE GRANTED BY \"boss\"");
	c.grantor = NAME_NONE;
	expect_inverse(b, &c, 150000, "GRANT \"g\" TO \"m\" WITH ADMIN OPTION GRANTED BY \"boss\"");
}

static void inverse_of_roles(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_CREATE_ROLE, .kind = DRIFT_ROLE, .n = 1, .role = ID("r"), .attrs = ROLE_LOGIN, .attrs_mask = ROLE_LOGIN };

	expect_inverse(b, &c, 160000, "DROP ROLE \"r\"");
	c.op = CHANGE_ALTER_ROLE;
	c.attrs_mask = ROLE_LOGIN | ROLE_CREATEDB;
	c.has_connection_limit = c.has_valid_until = true;
	c.connection_limit = 9;
	c.valid_until = "2029-01-01T00:00:00.000000Z";
	c.was = (struct change_was){ .attrs = ROLE_CREATEDB | ROLE_INHERIT, .connection_limit = 5, .valid_until = "2030-01-01T00:00:00.000000Z" };
	expect_inverse(b, &c, 160000, "ALTER ROLE \"r\" CREATEDB NOLOGIN CONNECTION LIMIT 5 VALID UNTIL '2030-01-01T00:00:00.000000Z'");
	c.was.valid_until = NULL;
	c.attrs_mask = 0;
	c.has_connection_limit = false;
	expect_inverse(b, &c, 160000, "ALTER ROLE \"r\" VALID UNTIL 'infinity'");
	c = (struct change){ .op = CHANGE_RENAME_ROLE, .kind = DRIFT_ROLE, .n = 1, .role = ID("new"), .other = ID("old") };
	expect_inverse(b, &c, 160000, "ALTER ROLE \"new\" RENAME TO \"old\"");
	c = (struct change){ .op = CHANGE_COMMENT_ROLE, .kind = DRIFT_ROLE, .n = 1, .role = ID("r"), .value = "new", .from = "it's\nold \\" };
	expect_inverse(b, &c, 160000, "COMMENT ON ROLE \"r\" IS 'it''s\nold \\'");
	c.from = NULL;
	expect_inverse(b, &c, 160000, "COMMENT ON ROLE \"r\" IS NULL");
	c = (struct change){ .op = CHANGE_SET_SETTING, .kind = DRIFT_SETTING, .n = 1, .role = ID("r"), .database = ID("d"), .name = "work_mem", .value = "1GB" };
	expect_inverse(b, &c, 160000, "ALTER ROLE \"r\" IN DATABASE \"d\" RESET \"work_mem\"");
	c.from = "4MB";
	expect_inverse(b, &c, 160000, "ALTER ROLE \"r\" IN DATABASE \"d\" SET \"work_mem\" TO '4MB'");
	c.op = CHANGE_RESET_SETTING;
	c.was.behind = "lock_timeout\n";
	expect_inverse(b, &c, 160000, "ALTER ROLE \"r\" IN DATABASE \"d\" SET \"work_mem\" TO '4MB'");
	c = (struct change){ .op = CHANGE_ALTER_ROLE, .kind = DRIFT_DATABASE, .n = 1, .object_kind = OBJECT_DATABASE, .database = ID("d"),
			     .has_connection_limit = true, .connection_limit = 8, .was = { .connection_limit = 17 } };
	expect_inverse(b, &c, 160000, "ALTER DATABASE \"d\" CONNECTION LIMIT 17");
}

static void inverse_of_objects(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_OWNER, .kind = DRIFT_OWNER, .n = 1, .object_kind = OBJECT_TABLE, .relkind = 'v', .schema = ID("app"), .names = t1,
			    .role = ID("new"), .other = ID("old") };

	expect_inverse(b, &c, 160000, "ALTER VIEW \"app\".\"t1\" OWNER TO \"old\"");
	c.was = (struct change_was){ .named = true, .privs = PRIV_SELECT | PRIV_INSERT | PRIV_DELETE, .options = PRIV_INSERT | PRIV_DELETE,
				     .own = PRIV_SELECT | PRIV_INSERT, .own_options = 0 };
	expect_inverse(b, &c, 160000, "ALTER VIEW \"app\".\"t1\" OWNER TO \"old\"; REVOKE DELETE ON TABLE \"app\".\"t1\" FROM \"old\"; "
		       "REVOKE GRANT OPTION FOR INSERT ON TABLE \"app\".\"t1\" FROM \"old\"; GRANT SELECT ON TABLE \"app\".\"t1\" TO \"new\"; "
		       "GRANT INSERT, DELETE ON TABLE \"app\".\"t1\" TO \"new\" WITH GRANT OPTION");
	c.was.no_inverse = "because";
	expect_none(b, &c, "because");
	c = (struct change){ .op = CHANGE_CREATE_SCHEMA, .kind = DRIFT_SCHEMA, .n = 1, .name = "app", .role = ID("r") };
	expect_inverse(b, &c, 160000, "DROP SCHEMA \"app\"");
	c = (struct change){ .op = CHANGE_CREATE_EXTENSION, .kind = DRIFT_EXTENSION, .n = 1, .name = "citext", .extra = "app" };
	expect_inverse(b, &c, 160000, "DROP EXTENSION \"citext\"");
	c = (struct change){ .op = CHANGE_MOVE_EXTENSION, .kind = DRIFT_EXTENSION, .n = 1, .name = "citext", .extra = "app", .from = "public" };
	expect_inverse(b, &c, 160000, "ALTER EXTENSION \"citext\" SET SCHEMA \"public\"");
	c = (struct change){ .op = CHANGE_ROW_SECURITY, .kind = DRIFT_ROW_SECURITY, .n = 1, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1,
			     .has_enable = true, .enable = true };
	expect_inverse(b, &c, 160000, "ALTER TABLE \"app\".\"t1\" DISABLE ROW LEVEL SECURITY");
}

static void inverse_of_policies(void **state)
{
	struct bench *b = *state;
	struct change was = { .op = CHANGE_CREATE_POLICY, .kind = DRIFT_ROW_SECURITY, .n = 1, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1,
			      .name = "p", .command = 'w', .roles = "\"x\", PUBLIC", .value = "id > 3", .extra = "id > 4" };
	struct change c = was;
	static const char create[] = "CREATE POLICY \"p\" ON \"app\".\"t1\" AS RESTRICTIVE FOR UPDATE TO \"x\", PUBLIC USING (id > 3\n) WITH CHECK (id > 4\n)";
	static const char comment[] = "COMMENT ON POLICY \"p\" ON \"app\".\"t1\" IS 'it''s'", drop[] = "DROP POLICY \"p\" ON \"app\".\"t1\"";

	expect_inverse(b, &c, 160000, drop);
	c.op = CHANGE_ALTER_POLICY;
	c.value = "true";
	c.was = (struct change_was){ .policy = &was };
	expect_inverse(b, &c, 160000, talloc_asprintf(b, "%s; %s", drop, create));
	c.was.comment = "it's";
	c.op = CHANGE_REPLACE_POLICY;
	expect_inverse(b, &c, 160000, talloc_asprintf(b, "%s; %s; %s", drop, create, comment));
	c.op = CHANGE_DROP_POLICY;
	expect_inverse(b, &c, 160000, talloc_asprintf(b, "%s; %s", create, comment));
	c.was.policy = NULL;
	expect_none(b, &c, "was not kept");
}

static void what_has_no_inverse(void **state)
{
	struct bench *b = *state;
	static const struct { enum change_op op; const char *why; } cases[] = {
		{ CHANGE_SET_PASSWORD, "password" }, { CHANGE_UPDATE_EXTENSION, "older version" }, { CHANGE_DROP_EXTENSION, "gone" },
		{ CHANGE_CREATE_DATABASE, "by hand" }, { CHANGE_REASSIGN_OWNED, "not kept" }, { CHANGE_END_SESSIONS, "sessions" },
		{ CHANGE_DROP_ROLE, "password" }, { CHANGE_MIGRATE, "migration" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct change c = { .op = cases[i].op, .role = ID("r"), .name = "n" };

		expect_none(b, &c, cases[i].why);
	}
}

static void a_record_has_no_secret_and_no_cut_one_is_read(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_SET_PASSWORD, .kind = DRIFT_ROLE, .n = 1, .role = ID("r"), .value = "SCRAM-SHA-256$4096:canary$b:c" };
	struct change grant = { .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1, .n = 1,
				.role = ID("x"), .privs = PRIV_SELECT, .grantable = true, .was = { .privs = PRIV_SELECT } };
	struct change_record record = { .version_num = 160000 }, read;
	char *text;

	change_forward(b, &c, &record.forward);
	record.no_inverse = change_inverse(b, &c, 160000, &record.back);
	text = change_record_write(b, b->names, &record);
	assert_null(strstr(text, "canary"));
	assert_int_equal(change_record_read(b, b->names, text, &read), 0);
	assert_string_equal(read.no_inverse, record.no_inverse);
	record.no_inverse = NULL;
	change_forward(b, &grant, &record.forward);
	assert_null(change_inverse(b, &grant, 160000, &record.back));
	text = change_record_write(b, b->names, &record);
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(change_record_read(b, b->names, talloc_strndup(b, text, n), &read), 1);
	assert_int_equal(change_record_read(b, b->names, talloc_asprintf(b, "%sdo grant\n", text), &read), 1);
	assert_int_equal(change_record_read(b, b->names, NULL, &read), 1);
	*strstr(text, "SELECT") = 'X';       /* a word of another version */
	assert_int_equal(change_record_read(b, b->names, text, &read), 1);
}

/* --- what counts as the same --------------------------------------------------------------------------------------- */

static void repeating_and_touching(void **state)
{
	struct bench *b = *state;
	static const char *two[] = { "t1", "t2" }, *other[] = { "t3" }, *app[] = { "app" };
	struct change grant = { .op = CHANGE_GRANT, .object_kind = OBJECT_TABLE, .relkind = 'r', .schema = ID("app"), .names = two, .n = 2, .role = ID("x"),
				.privs = PRIV_SELECT | PRIV_INSERT };
	struct change on_view = grant, to_other = grant, elsewhere = grant, less = grant, column = grant, revoke = grant, owner = grant;
	struct change role = { .op = CHANGE_CREATE_ROLE, .role = ID("x"), .n = 1 }, alter = { .op = CHANGE_ALTER_ROLE, .role = ID("x"), .attrs = ROLE_LOGIN,
			.attrs_mask = ROLE_LOGIN, .n = 1 }, limit = { .op = CHANGE_ALTER_ROLE, .role = ID("x"), .has_connection_limit = true, .connection_limit = 3 };
	struct change set = { .op = CHANGE_SET_SETTING, .role = ID("x"), .name = "work_mem", .value = "1GB" }, reset = set, password = role, member = role;
	struct change schema = { .op = CHANGE_CREATE_SCHEMA, .name = "app", .n = 1 }, on_schema = { .op = CHANGE_GRANT, .object_kind = OBJECT_SCHEMA, .names = app,
			.n = 1, .role = ID("x"), .privs = PRIV_USAGE };

	on_view.relkind = 'v';
	to_other.role = ID("y");
	elsewhere.names = other;
	elsewhere.n = 1;
	less.privs = PRIV_DELETE;
	column.object_kind = OBJECT_COLUMN;
	column.column = "a";
	revoke.op = CHANGE_REVOKE;
	revoke.names = t1;
	revoke.n = 1;
	owner.op = CHANGE_OWNER;
	reset.op = CHANGE_RESET_SETTING;
	password.op = CHANGE_SET_PASSWORD;
	member = (struct change){ .op = CHANGE_GRANT_MEMBERSHIP, .role = ID("m"), .other = ID("x") };
	assert_true(change_repeats(&grant, &grant) && change_repeats(&on_view, &grant));
	assert_false(change_repeats(&to_other, &grant) || change_repeats(&elsewhere, &grant) || change_repeats(&less, &grant));
	assert_false(change_repeats(&column, &grant) || change_repeats(&revoke, &grant));
	assert_true(change_touches(&revoke, &grant) && change_touches(&column, &grant) && change_touches(&owner, &grant) && change_touches(&grant, &owner));
	assert_false(change_touches(&to_other, &grant) || change_touches(&elsewhere, &grant) || change_touches(&less, &grant));
	assert_true(change_touches(&alter, &role) && change_touches(&limit, &role) && change_touches(&set, &role) && change_touches(&member, &role));
	assert_true(change_touches(&grant, &role) && !change_touches(&to_other, &role));
	assert_false(change_touches(&password, &role) || change_touches(&limit, &alter) || change_repeats(&limit, &alter));
	assert_true(change_touches(&reset, &set) && !change_repeats(&reset, &set));
	reset = set;
	reset.value = "2GB";         /* somebody thought of another value: that is another wish */
	assert_true(change_repeats(&set, &set) && !change_repeats(&reset, &set));
	limit.attrs_mask = ROLE_LOGIN;
	limit.attrs = 0;
	assert_false(change_repeats(&limit, &alter));
	limit.attrs = ROLE_LOGIN;
	assert_true(change_repeats(&limit, &alter));
	assert_true(change_touches(&on_schema, &schema) && change_repeats(&schema, &schema));
	grant.names = NULL;          /* of what was not kept nobody knows */
	assert_true(change_repeats(&elsewhere, &grant) && change_touches(&elsewhere, &grant));
}

/* --- plans --------------------------------------------------------------------------------------------------------- */

static struct plan *plan_of(struct bench *b, const struct plan_undo *undo, const struct plan_undone *undone, const char *approved)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s", .approved = approved, .applies = true,
					.undos = undo, .n_undos = undo != NULL, .undone = undone, .n_undone = undone != NULL };
	struct desired *desired;
	struct plan *plan;

	assert_int_equal(desired_server(b, b->names, &b->settings, &desired, NULL), 0);
	assert_int_equal(plan_server(b, &context, desired, &b->server, &plan, NULL), 0);
	return plan;
}

static void wish_role(struct bench *b, const char *name)
{
	b->manifest.roles = talloc_realloc(b, b->manifest.roles, struct role_wish, b->manifest.n_roles + 1);
	b->manifest.roles[b->manifest.n_roles++] = (struct role_wish){ .name = name, .source = { "m.conf", 1 } };
}

static void live_role(struct bench *b, const char *name)
{
	b->server.roles = talloc_realloc(b, b->server.roles, struct role, b->server.n_roles + 1);
	b->server.roles[b->server.n_roles++] = (struct role){ .name = ID(name), .connection_limit = -1 };
}

static void an_undo_is_held_by_an_id_of_its_own(void **state)
{
	struct bench *b = *state;
	struct change forward = { .op = CHANGE_CREATE_ROLE, .kind = DRIFT_ROLE, .role = ID("r"), .n = 1 }, back = forward;
	struct plan_undo undo = { .id = 12, .approval = "00112233445566ff", .reason = "asked", .parts = &back, .n_parts = 1, .forward = &forward, .n_forward = 1 };
	struct plan *plan;

	back.op = CHANGE_DROP_ROLE;
	live_role(b, "r");
	plan = plan_of(b, &undo, NULL, NULL);
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(plan->held, 1);
	assert_string_equal(plan->id, "");
	assert_string_equal(plan->held_reason, "asked");
	assert_string_equal(change_describe(b, plan, &plan->changes[0]), "UNDO 12: DROP ROLE r");
	wish_role(b, "gone");
	b->manifest.roles[0].absent = true;
	live_role(b, "gone");
	plan = plan_of(b, &undo, NULL, NULL);
	assert_true(plan->id[0] != '\0' && plan->held >= 2);
	plan = plan_of(b, &undo, NULL, plan->id);       /* what the guard holds was approved, the undo was not */
	assert_int_equal(plan->held, 1);
	undo.approved = true;
	b->manifest.n_roles = 0;
	plan = plan_of(b, &undo, NULL, NULL);
	assert_int_equal(plan->ready, 1);               /* max_drops is 0, and does not count here */
}

static void the_guard_holds_for_an_undo(void **state)
{
	struct bench *b = *state;
	static const char *names[] = { "postgres", "precious", "pg_monitor" };

	b->guard.protected_roles = &names[1];
	b->guard.n_protected_roles = 1;
	for (int i = 0; i < 3; i++) {
		struct change back = { .op = CHANGE_REVOKE_MEMBERSHIP, .kind = DRIFT_MEMBERSHIP, .role = ID(names[i]), .other = ID("g"), .n = 1 };
		struct plan_undo undo = { .id = 1, .approval = "00112233445566ff", .approved = true, .parts = &back, .n_parts = 1, .forward = &back,
					  .n_forward = 1 };
		struct plan *plan = plan_of(b, &undo, NULL, NULL);

		assert_int_equal(plan->blocked, 1);
		assert_int_equal(plan->ready, 0);
		assert_non_null(plan->changes[0].remedy);
	}
}

static void what_was_undone_is_held_and_nothing_else(void **state)
{
	struct bench *b = *state;
	struct change forward = { .op = CHANGE_CREATE_ROLE, .kind = DRIFT_ROLE, .role = ID("one"), .n = 1 };
	bool wanted = false;
	struct plan_undone undone = { .forward = &forward, .n_forward = 1, .reason = "was undone", .wanted = &wanted };
	struct plan *plan;

	wish_role(b, "one");
	wish_role(b, "two");
	plan = plan_of(b, NULL, &undone, NULL);
	assert_true(wanted);
	assert_int_equal(plan->held, 1);
	assert_int_equal(plan->ready, 1);
	assert_string_equal(plan->held_reason, "was undone");
	plan = plan_of(b, NULL, &undone, plan->id);
	assert_int_equal(plan->ready, 2);
	b->manifest.roles[0].comment = "what belongs to it waits with it";
	plan = plan_of(b, NULL, &undone, NULL);
	assert_int_equal(plan->held, 2);
	assert_int_equal(plan->blocked, 0);
	assert_int_equal(plan_of(b, NULL, &undone, plan->id)->ready, 3);
	wanted = false;
	b->manifest.roles[0].name = "three";
	plan_of(b, NULL, &undone, NULL);
	assert_false(wanted);
}

/* A budget that allows drops must not release what was undone: the policy would go again. */
static void a_budget_does_not_release_what_was_undone(void **state)
{
	struct bench *b = *state;
	struct change forward = { .op = CHANGE_ALTER_ROLE, .kind = DRIFT_ROLE, .role = ID("old"), .n = 1, .attrs_mask = ROLE_LOGIN };
	bool wanted = false;
	struct plan_undone undone = { .forward = &forward, .n_forward = 1, .reason = "was undone", .wanted = &wanted };
	struct plan *plan;

	b->guard.max_drops = 10;
	wish_role(b, "old");
	b->manifest.roles[0].absent = true;
	live_role(b, "old");
	b->server.roles[0].attrs = ROLE_LOGIN;
	plan = plan_of(b, NULL, NULL, NULL);
	assert_int_equal(plan->held, 0);
	plan = plan_of(b, NULL, &undone, NULL);
	assert_true(wanted);
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].op == CHANGE_ALTER_ROLE)
			assert_int_equal(plan->changes[i].state, CHANGE_HELD);
}

/* Of the objects of one change those that were undone are held, the others are not. */
static void objects_that_came_since_are_not_held(void **state)
{
	struct bench *b = *state;
	static const char *databases[] = { "d1", "d2" };
	struct change forward = { .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .object_kind = OBJECT_DATABASE, .role = ID("r"), .n = 1, .names = databases,
				  .privs = PRIV_CONNECT };
	struct grant_wish *g = talloc_zero(b, struct grant_wish);
	const char *to = "r";
	bool wanted = false;
	struct plan_undone undone = { .forward = &forward, .n_forward = 1, .reason = "was undone", .wanted = &wanted };
	struct plan *plan;

	wish_role(b, "r");
	live_role(b, "r");
	*g = (struct grant_wish){ .to = { &to, 1 }, .privs = PRIV_CONNECT, .n_on = 1, .source = { "m.conf", 5 }, .on = talloc_zero(b, struct selector) };
	assert_int_equal(selector_parse(b, "database *", &g->on[0], NULL), 0);
	b->manifest.grants = g;
	b->manifest.n_grants = 1;
	b->server.databases = talloc_zero_array(b, struct database, 2);
	b->server.n_databases = 2;
	for (int i = 0; i < 2; i++)
		b->server.databases[i] = (struct database){ .name = ID(databases[i]), .owner = ID("postgres"), .connection_limit = -1,
							    .acl = talloc_zero(b, struct acl) };
	assert_int_equal(plan_of(b, NULL, NULL, NULL)->n_changes, 1);
	plan = plan_of(b, NULL, &undone, NULL);
	assert_int_equal(plan->held, 1);
	assert_int_equal(plan->ready, 1);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(plan->changes[i].n, 1);
		assert_string_equal(plan->changes[i].names[0], plan->changes[i].state == CHANGE_HELD ? "d1" : "d2");
	}
}

/* One table with one policy, of somebody else. */
static struct database_state *database_with(struct bench *b, const char *using)
{
	struct database_state *state = talloc_zero(b, struct database_state);

	state->names = b->names;
	state->facts = b->server.facts;
	state->n_objects = 1;
	state->objects = talloc_zero(state, struct object_group);
	state->objects[0] = (struct object_group){ .kind = OBJECT_TABLE, .relkind = 'r', .schema = ID("app"), .owner = ID("theirs"), .n = 1, .names = "t1",
						   .names_len = 2, .acl = talloc_zero(state, struct acl) };
	state->n_policies = 1;
	state->policies = talloc_zero(state, struct policy);
	state->policies[0] = (struct policy){ .schema = ID("app"), .table = "t1", .name = "p", .command = '*', .permissive = true, .roles = "{PUBLIC}",
					      .using_expr = using };
	return state;
}

static struct plan *database_plan(struct bench *b, const struct database_state *state, const struct plan_undo *undo)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s/d", .applies = true, .undos = undo, .n_undos = undo != NULL };
	struct database_settings *settings = talloc_zero(b, struct database_settings);
	struct desired *desired;
	struct plan *plan;

	*settings = (struct database_settings){ .name = "d", .manifests = b->manifests, .n_manifests = 1 };
	b->settings.databases = settings;
	b->settings.n_databases = 1;
	assert_int_equal(desired_database(b, b->names, &b->settings, settings, "d", &desired, NULL), 0);
	assert_int_equal(plan_database(b, &context, desired, &b->server, state, &plan, NULL), 0);
	return plan;
}

static struct acl *granted(struct bench *b, privs_t privs)
{
	struct acl *acl = talloc_zero_size(b, sizeof *acl + sizeof *acl->v);

	acl->n = 1;
	acl->v[0] = (struct acl_entry){ .grantee = ID("x"), .grantor = ID("theirs"), .privs = privs };
	return acl;
}

/* x holds SELECT on the table and on its column, and is to have that on the column alone. */
static void a_column_is_granted_again_only_when_it_lost_something(void **state)
{
	struct bench *b = *state;
	struct database_state *database = database_with(b, "true");
	const char *to = "x", *column = "id";
	struct selector on;
	struct grant_wish wish = { .to = { &to, 1 }, .columns = { &column, 1 }, .privs = PRIV_SELECT, .on = &on, .n_on = 1, .source = { "m.conf", 5 } };
	struct plan *plan;

	wish_role(b, "x");
	live_role(b, "x");
	assert_int_equal(selector_parse(b, "table app.t1", &on, NULL), 0);
	b->manifest.grants = &wish;
	b->manifest.n_grants = 1;
	database->objects = talloc_realloc(database, database->objects, struct object_group, 2);
	database->n_objects = 2;
	database->objects[0].acl = granted(b, PRIV_SELECT);
	database->objects[1] = database->objects[0];
	database->objects[1].kind = OBJECT_COLUMN;
	database->objects[1].column = "id";
	database->objects[1].acl = granted(b, PRIV_SELECT);
	plan = database_plan(b, database, NULL);
	assert_int_equal(plan->ready, 2);            /* the REVOKE takes it along */
	b->guard.max_revokes = 0;
	plan = database_plan(b, database, NULL);
	assert_int_equal(plan->held, 2);             /* held, it takes nothing */
	assert_int_equal(plan->ready, 0);
	database->objects[1].acl = granted(b, PRIV_UPDATE);
	plan = database_plan(b, database, NULL);
	assert_int_equal(plan->ready, 1);            /* what is missing is granted all the same */
}

/* What somebody else wrote into a policy is parsed as us when it is made again. */
static void a_trap_in_the_policy_before_has_no_inverse(void **state)
{
	struct bench *b = *state;
	struct policy_wish gone = { .name = "p", .ensure = ENSURE_ABSENT, .source = { "m.conf", 3 } };
	struct row_security_wish wish = { .schema = "app", .table = "t1", .policies = &gone, .n_policies = 1, .source = { "m.conf", 2 } };
	struct plan *plan;

	b->manifest.row_security = &wish;
	b->manifest.n_row_security = 1;
	plan = database_plan(b, database_with(b, "(id > 3)"), NULL);
	assert_int_equal(plan->n_changes, 1);
	expect_inverse(b, &plan->changes[0], 160000, "CREATE POLICY \"p\" ON \"app\".\"t1\" AS PERMISSIVE FOR ALL TO PUBLIC USING ((id > 3)\n)");
	plan = database_plan(b, database_with(b, "(tags = '{1}'::app.d[])"), NULL);
	expect_none(b, &plan->changes[0], "somebody else");
}

static void an_undo_fires_no_event_trigger_of_others(void **state)
{
	struct bench *b = *state;
	struct database_state *database = database_with(b, "true");
	struct change back = { .op = CHANGE_REVOKE, .kind = DRIFT_GRANT, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1, .n = 1, .role = ID("x"),
			       .privs = PRIV_SELECT };
	struct plan_undo undo = { .id = 1, .approval = "00112233445566ff", .approved = true, .parts = &back, .n_parts = 1, .forward = &back, .n_forward = 1 };
	struct event_trigger trigger = { .name = "watch", .function = "app.f()", .owner = ID("theirs") };

	live_role(b, "theirs");
	assert_int_equal(database_plan(b, database, &undo)->ready, 1);
	database->event_triggers = &trigger;
	database->n_event_triggers = 1;
	assert_int_equal(database_plan(b, database, &undo)->blocked, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(inverse_of_grants), TEST(inverse_of_defaults), TEST(inverse_of_memberships), TEST(inverse_of_roles), TEST(inverse_of_objects),
		TEST(inverse_of_policies), TEST(what_has_no_inverse), TEST(a_record_has_no_secret_and_no_cut_one_is_read), TEST(repeating_and_touching),
		TEST(an_undo_is_held_by_an_id_of_its_own), TEST(the_guard_holds_for_an_undo), TEST(what_was_undone_is_held_and_nothing_else),
		TEST(a_budget_does_not_release_what_was_undone), TEST(a_trap_in_the_policy_before_has_no_inverse),
		TEST(a_column_is_granted_again_only_when_it_lost_something),
		TEST(an_undo_fires_no_event_trigger_of_others), TEST(objects_that_came_since_are_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
