/* SPDX-License-Identifier: PostgreSQL */
/* What people read of a change: one row for every operation at least, and the cases where the words differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <talloc.h>

#include "reconcile/plan.h"

static const char *t1[] = { "t1" }, *many[] = { "a", "b b", "c", "d" }, *routine[] = { "F(integer, text)" };

/* The names, by their ids. */
enum { PUBLIC, APP, ANNA, BOB, SHOP };
static const char *const known[] = { [APP] = "app", [ANNA] = "anna", [BOB] = "Bob", [SHOP] = "shop" };

static const struct change two_parts[] = { { .op = CHANGE_DROP_ROLE, .role = BOB }, { .op = CHANGE_DROP_SCHEMA, .name = "s" } };
static const struct undo_change one = { .id = 12, .parts = two_parts, .n_parts = 1 }, two = { .id = 13, .parts = two_parts, .n_parts = 2 };

#define ON_T1 .object_kind = OBJECT_TABLE, .relkind = 'r', .schema = APP, .names = t1, .n = 1

static const struct { char sign; const char *words; struct change change; } cases[] = {
	{ '+', "CREATE ROLE \"Bob\" LOGIN CONNECTION LIMIT 3 VALID UNTIL infinity",
	  { .op = CHANGE_CREATE_ROLE, .role = BOB, .attrs = ROLE_LOGIN, .attrs_mask = ROLE_LOGIN, .has_connection_limit = true, .connection_limit = 3,
	    .has_valid_until = true } },
	{ '~', "RENAME ROLE anna TO \"Bob\"", { .op = CHANGE_RENAME_ROLE, .other = ANNA, .role = BOB } },
	{ '~', "ALTER ROLE anna NOLOGIN", { .op = CHANGE_ALTER_ROLE, .role = ANNA, .attrs_mask = ROLE_LOGIN } },
	{ '~', "ALTER DATABASE shop CONNECTION LIMIT 5",
	  { .op = CHANGE_ALTER_ROLE, .object_kind = OBJECT_DATABASE, .database = SHOP, .has_connection_limit = true, .connection_limit = 5 } },
	{ '~', "SET PASSWORD of role anna", { .op = CHANGE_SET_PASSWORD, .role = ANNA, .value = "SCRAM-SHA-256$never shown" } },
	{ '~', "COMMENT ON ROLE anna IS 'what for'", { .op = CHANGE_COMMENT_ROLE, .role = ANNA, .value = "what for" } },
	{ '~', "COMMENT ON ROLE anna IS NULL", { .op = CHANGE_COMMENT_ROLE, .role = ANNA } },
	{ '~', "SET work_mem = 4MB for role anna in database shop",
	  { .op = CHANGE_SET_SETTING, .name = "work_mem", .value = "4MB", .role = ANNA, .database = SHOP } },
	{ '-', "RESET work_mem for every role", { .op = CHANGE_RESET_SETTING, .name = "work_mem" } },
	{ '+', "GRANT ROLE app TO anna WITH ADMIN", { .op = CHANGE_GRANT_MEMBERSHIP, .other = APP, .role = ANNA, .admin = true } },
	{ '-', "REVOKE ROLE app FROM anna", { .op = CHANGE_REVOKE_MEMBERSHIP, .other = APP, .role = ANNA, .admin = true } },
	{ '+', "CREATE DATABASE shop OWNED BY anna", { .op = CHANGE_CREATE_DATABASE, .name = "shop", .role = ANNA } },
	{ '+', "CREATE SCHEMA \"Odd\"", { .op = CHANGE_CREATE_SCHEMA, .name = "Odd" } },
	{ '+', "CREATE EXTENSION citext", { .op = CHANGE_CREATE_EXTENSION, .name = "citext", .extra = "app" } },
	{ '~', "ALTER EXTENSION citext UPDATE TO 1.6", { .op = CHANGE_UPDATE_EXTENSION, .name = "citext", .value = "1.6" } },
	{ '~', "ALTER EXTENSION citext SET SCHEMA app", { .op = CHANGE_MOVE_EXTENSION, .name = "citext", .extra = "app" } },
	{ '-', "DROP EXTENSION citext", { .op = CHANGE_DROP_EXTENSION, .name = "citext" } },
	{ '+', "MIGRATE V002__more.sql", { .op = CHANGE_MIGRATE, .name = "002", .extra = "V002__more.sql" } },
	{ '+', "MIGRATE 002", { .op = CHANGE_MIGRATE, .name = "002" } },
	{ '~', "OWNER OF table app.t1 TO anna", { .op = CHANGE_OWNER, ON_T1, .role = ANNA } },
	{ '+', "GRANT SELECT ON table app.t1 TO anna WITH GRANT OPTION", { .op = CHANGE_GRANT, ON_T1, .role = ANNA, .privs = PRIV_SELECT, .grantable = true } },
	{ '+', "GRANT SELECT ON column id of table app.t1 TO PUBLIC",
	  { .op = CHANGE_GRANT, .object_kind = OBJECT_COLUMN, .column = "id", .schema = APP, .names = t1, .n = 1, .privs = PRIV_SELECT } },
	{ '+', "GRANT EXECUTE ON function app.\"F\"(integer, text) TO anna",
	  { .op = CHANGE_GRANT, .object_kind = OBJECT_FUNCTION, .schema = APP, .names = routine, .n = 1, .role = ANNA, .privs = PRIV_EXECUTE } },
	{ '-', "REVOKE USAGE ON 4 sequences in schema app (a, \"b b\", c, …) FROM anna (granted by \"Bob\")",
	  { .op = CHANGE_REVOKE, .object_kind = OBJECT_SEQUENCE, .schema = APP, .names = many, .n = 4, .role = ANNA, .privs = PRIV_USAGE, .grantor = BOB } },
	{ '-', "REVOKE GRANT OPTION FOR SELECT ON table app.t1 FROM anna",
	  { .op = CHANGE_REVOKE_GRANT_OPTION, ON_T1, .role = ANNA, .privs = PRIV_SELECT } },
	{ '+', "DEFAULT GRANT SELECT ON future tables in schema app of \"Bob\" TO anna WITH GRANT OPTION",
	  { .op = CHANGE_DEFAULT_GRANT, .objtype = 'r', .schema = APP, .other = BOB, .role = ANNA, .privs = PRIV_SELECT, .grantable = true } },
	{ '-', "DEFAULT REVOKE EXECUTE ON future functions of \"Bob\" FROM PUBLIC",
	  { .op = CHANGE_DEFAULT_REVOKE, .objtype = 'f', .other = BOB, .privs = PRIV_EXECUTE } },
	{ '-', "DEFAULT REVOKE GRANT OPTION FOR SELECT ON future tables of \"Bob\" FROM anna",
	  { .op = CHANGE_DEFAULT_REVOKE, .objtype = 'r', .other = BOB, .role = ANNA, .privs = PRIV_SELECT, .grantable = true } },
	{ '~', "ENABLE, NO FORCE ROW LEVEL SECURITY on table app.t1",
	  { .op = CHANGE_ROW_SECURITY, ON_T1, .has_enable = true, .enable = true, .has_force = true } },
	{ '~', "FORCE ROW LEVEL SECURITY on table app.t1", { .op = CHANGE_ROW_SECURITY, ON_T1, .has_force = true, .force = true } },
	{ '+', "CREATE POLICY p ON table app.t1", { .op = CHANGE_CREATE_POLICY, .name = "p", ON_T1 } },
	{ '~', "ALTER POLICY p ON table app.t1", { .op = CHANGE_ALTER_POLICY, .name = "p", ON_T1 } },
	{ '~', "REPLACE POLICY p ON table app.t1", { .op = CHANGE_REPLACE_POLICY, .name = "p", ON_T1 } },
	{ '-', "DROP POLICY p ON table app.t1", { .op = CHANGE_DROP_POLICY, .name = "p", ON_T1 } },
	{ '~', "COMMENT ON POLICY p ON table app.t1", { .op = CHANGE_COMMENT_POLICY, .name = "p", ON_T1 } },
	{ '~', "REASSIGN OWNED BY \"Bob\" TO anna", { .op = CHANGE_REASSIGN_OWNED, .role = BOB, .other = ANNA } },
	{ '-', "END 1 SESSION OF \"Bob\"", { .op = CHANGE_END_SESSIONS, .role = BOB, .n = 1 } },
	{ '-', "END 2 SESSIONS OF \"Bob\"", { .op = CHANGE_END_SESSIONS, .role = BOB, .n = 2 } },
	{ '-', "DROP ROLE \"Bob\"", { .op = CHANGE_DROP_ROLE, .role = BOB } },
	{ '-', "DROP SCHEMA s", { .op = CHANGE_DROP_SCHEMA, .name = "s" } },
	{ '~', "UNDO 12: DROP ROLE \"Bob\"", { .op = CHANGE_UNDO, .undo = &one } },
	{ '~', "UNDO 13: DROP ROLE \"Bob\", and 1 more", { .op = CHANGE_UNDO, .undo = &two } },
};

static void every_operation_has_its_words(void **state)
{
	struct plan plan = { .names = names_new(NULL) };
	bool said[CHANGE_OPS] = { false };

	(void)state;
	for (name_id id = APP; id < sizeof known / sizeof *known; id++)
		assert_int_equal(names_put(plan.names, known[id]), id);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct change *c = &cases[i].change;
		char *words = change_describe(plan.names, &plan, c);

		assert_string_equal(words, cases[i].words);
		assert_int_equal(change_sign(c), cases[i].sign);
		said[c->op] = true;
	}
	for (int op = 0; op < CHANGE_OPS; op++)
		assert_true(said[op]);
	talloc_free(plan.names);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_operation_has_its_words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
