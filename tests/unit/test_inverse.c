/* SPDX-License-Identifier: PostgreSQL */
/* The inverse of every kind of change, the text it is kept as, and what counts as the same change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "inverse_check.h"
#include "reconcile/inverse.h"

#define ID(text) names_put(names, text)

static int setup(void **state)
{
	*state = names_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

static const char *t1[] = { "t1" }, *odd[] = { "o\"dd\nline \\n" };

static void inverse_of_grants(void **state)
{
	struct names *names = *state;
	struct change c = { .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .object_kind = OBJECT_TABLE, .relkind = 'r', .schema = ID("app"), .names = t1, .n = 1,
			    .role = ID("x"), .privs = PRIV_SELECT | PRIV_INSERT };
	struct column_taken taken[] = { { "t1", "a", PRIV_SELECT, 0 }, { "t1", "b", PRIV_SELECT | PRIV_INSERT, PRIV_INSERT }, { "t2", "c", PRIV_SELECT, 0 } };

	expect_inverse(names, &c, 160000, "REVOKE SELECT, INSERT ON TABLE \"app\".\"t1\" FROM \"x\"");
	c.grantable = true;          /* nothing was there: the privilege goes with its option */
	expect_inverse(names, &c, 160000, "REVOKE SELECT, INSERT ON TABLE \"app\".\"t1\" FROM \"x\"");
	c.was.privs = PRIV_INSERT;   /* this one was there, without it */
	expect_inverse(names, &c, 160000, "REVOKE GRANT OPTION FOR INSERT ON TABLE \"app\".\"t1\" FROM \"x\"; REVOKE SELECT ON TABLE \"app\".\"t1\" FROM \"x\"");
	c.op = CHANGE_REVOKE;
	c.grantable = false;
	c.was.privs = 0;
	c.was.options = PRIV_SELECT;
	c.grantor = ID("g");
	expect_inverse(names, &c, 160000, "SET LOCAL ROLE \"g\"; GRANT INSERT ON TABLE \"app\".\"t1\" TO \"x\"; RESET ROLE; "
		       "SET LOCAL ROLE \"g\"; GRANT SELECT ON TABLE \"app\".\"t1\" TO \"x\" WITH GRANT OPTION; RESET ROLE");
	c.grantor = NAME_NONE;
	c.was.options = 0;
	c.was.columns = taken;
	c.was.n_columns = 3;         /* t2 is not of this change any more */
	expect_inverse(names, &c, 160000, "GRANT SELECT, INSERT ON TABLE \"app\".\"t1\" TO \"x\"; GRANT SELECT (\"a\") ON TABLE \"app\".\"t1\" TO \"x\"; "
		       "GRANT SELECT (\"b\") ON TABLE \"app\".\"t1\" TO \"x\"; GRANT INSERT (\"b\") ON TABLE \"app\".\"t1\" TO \"x\" WITH GRANT OPTION");
	c = (struct change){ .op = CHANGE_REVOKE_GRANT_OPTION, .kind = DRIFT_GRANT, .object_kind = OBJECT_SEQUENCE, .schema = ID("app"), .names = odd, .n = 1,
			     .privs = PRIV_USAGE };
	expect_inverse(names, &c, 160000, "GRANT USAGE ON SEQUENCE \"app\".\"o\"\"dd\nline \\n\" TO PUBLIC WITH GRANT OPTION");
}

static void inverse_of_defaults(void **state)
{
	struct names *names = *state;
	struct change c = { .op = CHANGE_DEFAULT_GRANT, .kind = DRIFT_DEFAULT_PRIVILEGE, .object_kind = OBJECT_TABLE, .objtype = 'r', .other = ID("maker"),
			    .schema = ID("app"), .n = 1, .role = ID("x"), .privs = PRIV_SELECT | PRIV_INSERT, .grantable = true };

	c.was.privs = PRIV_SELECT;
	expect_inverse(names, &c, 160000, "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" REVOKE GRANT OPTION FOR SELECT ON TABLES FROM \"x\"; "
		       "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" REVOKE INSERT ON TABLES FROM \"x\"");
	c.op = CHANGE_DEFAULT_REVOKE;
	expect_inverse(names, &c, 160000, "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" GRANT SELECT, INSERT ON TABLES TO \"x\" WITH GRANT OPTION");
	c.grantable = false;
	c.was.options = PRIV_INSERT;
	expect_inverse(names, &c, 160000, "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" GRANT SELECT ON TABLES TO \"x\"; "
		       "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"app\" GRANT INSERT ON TABLES TO \"x\" WITH GRANT OPTION");
}

static void inverse_of_memberships(void **state)
{
	struct names *names = *state;
	struct change c = { .op = CHANGE_GRANT_MEMBERSHIP, .kind = DRIFT_MEMBERSHIP, .n = 1, .role = ID("m"), .other = ID("g"), .set = true };

	expect_inverse(names, &c, 160000, "REVOKE \"g\" FROM \"m\"");
	expect_inverse(names, &c, 140000, "REVOKE \"g\" FROM \"m\"");
	c.was = (struct change_was){ .member = true, .admin = true, .inherit = true, .grantor = ID("boss") };
	/* what a superuser grants is written into the creator's row */
	expect_inverse(names, &c, 160000, "GRANT \"g\" TO \"m\" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE");
	expect_inverse(names, &c, 140000, "REVOKE \"g\" FROM \"m\"; GRANT \"g\" TO \"m\" WITH ADMIN OPTION GRANTED BY \"boss\"");
	c.grantor = ID("boss");
	expect_inverse(names, &c, 160000, "GRANT \"g\" TO \"m\" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE GRANTED BY \"boss\"");
	c.op = CHANGE_REVOKE_MEMBERSHIP;
	expect_inverse(names, &c, 160000, "GRANT \"g\" TO \"m\" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE GRANTED BY \"boss\"");
	c.grantor = NAME_NONE;
	expect_inverse(names, &c, 150000, "GRANT \"g\" TO \"m\" WITH ADMIN OPTION GRANTED BY \"boss\"");
}

static void inverse_of_roles(void **state)
{
	struct names *names = *state;
	struct change c = { .op = CHANGE_CREATE_ROLE, .kind = DRIFT_ROLE, .n = 1, .role = ID("r"), .attrs = ROLE_LOGIN, .attrs_mask = ROLE_LOGIN };

	expect_inverse(names, &c, 160000, "DROP ROLE \"r\"");
	c.op = CHANGE_ALTER_ROLE;
	c.attrs_mask = ROLE_LOGIN | ROLE_CREATEDB;
	c.has_connection_limit = c.has_valid_until = true;
	c.connection_limit = 9;
	c.valid_until = "2029-01-01T00:00:00.000000Z";
	c.was = (struct change_was){ .attrs = ROLE_CREATEDB | ROLE_INHERIT, .connection_limit = 5, .valid_until = "2030-01-01T00:00:00.000000Z" };
	expect_inverse(names, &c, 160000, "ALTER ROLE \"r\" CREATEDB NOLOGIN CONNECTION LIMIT 5 VALID UNTIL '2030-01-01T00:00:00.000000Z'");
	c.was.valid_until = NULL;
	c.attrs_mask = 0;
	c.has_connection_limit = false;
	expect_inverse(names, &c, 160000, "ALTER ROLE \"r\" VALID UNTIL 'infinity'");
	c = (struct change){ .op = CHANGE_RENAME_ROLE, .kind = DRIFT_ROLE, .n = 1, .role = ID("new"), .other = ID("old") };
	expect_inverse(names, &c, 160000, "ALTER ROLE \"new\" RENAME TO \"old\"");
	c = (struct change){ .op = CHANGE_COMMENT_ROLE, .kind = DRIFT_ROLE, .n = 1, .role = ID("r"), .value = "new", .from = "it's\nold \\" };
	expect_inverse(names, &c, 160000, "COMMENT ON ROLE \"r\" IS 'it''s\nold \\'");
	c.from = NULL;
	expect_inverse(names, &c, 160000, "COMMENT ON ROLE \"r\" IS NULL");
	c = (struct change){ .op = CHANGE_SET_SETTING, .kind = DRIFT_SETTING, .n = 1, .role = ID("r"), .database = ID("d"), .name = "work_mem", .value = "1GB" };
	expect_inverse(names, &c, 160000, "ALTER ROLE \"r\" IN DATABASE \"d\" RESET \"work_mem\"");
	c.from = "4MB";
	expect_inverse(names, &c, 160000, "ALTER ROLE \"r\" IN DATABASE \"d\" SET \"work_mem\" TO '4MB'");
	c.op = CHANGE_RESET_SETTING;
	c.was.behind = "lock_timeout\n";
	expect_inverse(names, &c, 160000, "ALTER ROLE \"r\" IN DATABASE \"d\" SET \"work_mem\" TO '4MB'");
	c = (struct change){ .op = CHANGE_ALTER_ROLE, .kind = DRIFT_DATABASE, .n = 1, .object_kind = OBJECT_DATABASE, .database = ID("d"),
			     .has_connection_limit = true, .connection_limit = 8, .was = { .connection_limit = 17 } };
	expect_inverse(names, &c, 160000, "ALTER DATABASE \"d\" CONNECTION LIMIT 17");
}

static void inverse_of_objects(void **state)
{
	struct names *names = *state;
	struct change c = { .op = CHANGE_OWNER, .kind = DRIFT_OWNER, .n = 1, .object_kind = OBJECT_TABLE, .relkind = 'v', .schema = ID("app"), .names = t1,
			    .role = ID("new"), .other = ID("old") };

	expect_inverse(names, &c, 160000, "ALTER VIEW \"app\".\"t1\" OWNER TO \"old\"");
	c.was = (struct change_was){ .named = true, .privs = PRIV_SELECT | PRIV_INSERT | PRIV_DELETE, .options = PRIV_INSERT | PRIV_DELETE,
				     .own = PRIV_SELECT | PRIV_INSERT, .own_options = 0 };
	expect_inverse(names, &c, 160000, "ALTER VIEW \"app\".\"t1\" OWNER TO \"old\"; REVOKE DELETE ON TABLE \"app\".\"t1\" FROM \"old\"; "
		       "REVOKE GRANT OPTION FOR INSERT ON TABLE \"app\".\"t1\" FROM \"old\"; GRANT SELECT ON TABLE \"app\".\"t1\" TO \"new\"; "
		       "GRANT INSERT, DELETE ON TABLE \"app\".\"t1\" TO \"new\" WITH GRANT OPTION");
	c.was.no_inverse = "because";
	expect_none(names, &c, "because");
	c = (struct change){ .op = CHANGE_CREATE_SCHEMA, .kind = DRIFT_SCHEMA, .n = 1, .name = "app", .role = ID("r") };
	expect_inverse(names, &c, 160000, "DROP SCHEMA \"app\"");
	c = (struct change){ .op = CHANGE_CREATE_EXTENSION, .kind = DRIFT_EXTENSION, .n = 1, .name = "citext", .extra = "app" };
	expect_inverse(names, &c, 160000, "DROP EXTENSION \"citext\"");
	c = (struct change){ .op = CHANGE_MOVE_EXTENSION, .kind = DRIFT_EXTENSION, .n = 1, .name = "citext", .extra = "app", .from = "public" };
	expect_inverse(names, &c, 160000, "ALTER EXTENSION \"citext\" SET SCHEMA \"public\"");
	c = (struct change){ .op = CHANGE_ROW_SECURITY, .kind = DRIFT_ROW_SECURITY, .n = 1, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1,
			     .has_enable = true, .enable = true };
	expect_inverse(names, &c, 160000, "ALTER TABLE \"app\".\"t1\" DISABLE ROW LEVEL SECURITY");
}

static void inverse_of_policies(void **state)
{
	struct names *names = *state;
	struct change was = { .op = CHANGE_CREATE_POLICY, .kind = DRIFT_ROW_SECURITY, .n = 1, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1,
			      .name = "p", .command = 'w', .roles = "\"x\", PUBLIC", .value = "id > 3", .extra = "id > 4" };
	struct change c = was;
	static const char create[] = "CREATE POLICY \"p\" ON \"app\".\"t1\" AS RESTRICTIVE FOR UPDATE TO \"x\", PUBLIC USING (id > 3\n) WITH CHECK (id > 4\n)";
	static const char comment[] = "COMMENT ON POLICY \"p\" ON \"app\".\"t1\" IS 'it''s'", drop[] = "DROP POLICY \"p\" ON \"app\".\"t1\"";

	expect_inverse(names, &c, 160000, drop);
	c.op = CHANGE_ALTER_POLICY;
	c.value = "true";
	c.was = (struct change_was){ .policy = &was };
	expect_inverse(names, &c, 160000, talloc_asprintf(names, "%s; %s", drop, create));
	c.was.comment = "it's";
	c.op = CHANGE_REPLACE_POLICY;
	expect_inverse(names, &c, 160000, talloc_asprintf(names, "%s; %s; %s", drop, create, comment));
	c.op = CHANGE_DROP_POLICY;
	expect_inverse(names, &c, 160000, talloc_asprintf(names, "%s; %s", create, comment));
	c.was.policy = NULL;
	expect_none(names, &c, "was not kept");
}

static void what_has_no_inverse(void **state)
{
	struct names *names = *state;
	static const struct { enum change_op op; const char *why; } cases[] = {
		{ CHANGE_SET_PASSWORD, "password" }, { CHANGE_UPDATE_EXTENSION, "older version" }, { CHANGE_DROP_EXTENSION, "gone" },
		{ CHANGE_CREATE_DATABASE, "by hand" }, { CHANGE_REASSIGN_OWNED, "not kept" }, { CHANGE_END_SESSIONS, "sessions" },
		{ CHANGE_DROP_ROLE, "password" }, { CHANGE_MIGRATE, "migration" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct change c = { .op = cases[i].op, .role = ID("r"), .name = "n" };

		expect_none(names, &c, cases[i].why);
	}
}

static void a_record_has_no_secret_and_no_cut_one_is_read(void **state)
{
	struct names *names = *state;
	struct change c = { .op = CHANGE_SET_PASSWORD, .kind = DRIFT_ROLE, .n = 1, .role = ID("r"), .value = "SCRAM-SHA-256$4096:canary$b:c" };
	struct change grant = { .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1, .n = 1,
				.role = ID("x"), .privs = PRIV_SELECT, .grantable = true, .was = { .privs = PRIV_SELECT } };
	struct change_record record = { .version_num = 160000 }, read;
	char *text, *named;

	change_forward(names, &c, &record.forward);
	record.no_inverse = change_inverse(names, &c, 160000, &record.back);
	text = change_record_write(names, names, &record);
	assert_null(strstr(text, "canary"));
	assert_int_equal(change_record_read(names, names, text, &read), 0);
	assert_string_equal(read.no_inverse, record.no_inverse);
	record.no_inverse = NULL;
	change_forward(names, &grant, &record.forward);
	assert_null(change_inverse(names, &grant, 160000, &record.back));
	text = change_record_write(names, names, &record);
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(change_record_read(names, names, talloc_strndup(names, text, n), &read), 1);
	assert_int_equal(change_record_read(names, names, talloc_asprintf(names, "%sdo grant\n", text), &read), 1);
	assert_int_equal(change_record_read(names, names, NULL, &read), 1);
	named = strchr(strstr(text, "\nobject ") + 1, '\n') + 1;
	named = talloc_asprintf(names, "%.*sobjects 100\nobject b\n%s", (int)(named - text), text, named);     /* counted again */
	assert_int_equal(change_record_read(names, names, named, &read), 1);
	*strstr(text, "SELECT") = 'X';       /* a word of another version */
	assert_int_equal(change_record_read(names, names, text, &read), 1);
}

static void repeating_and_touching(void **state)
{
	struct names *names = *state;
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(inverse_of_grants), TEST(inverse_of_defaults), TEST(inverse_of_memberships), TEST(inverse_of_roles), TEST(inverse_of_objects),
		TEST(inverse_of_policies), TEST(what_has_no_inverse), TEST(a_record_has_no_secret_and_no_cut_one_is_read), TEST(repeating_and_touching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
