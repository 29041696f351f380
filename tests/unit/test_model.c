/* SPDX-License-Identifier: PostgreSQL */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "base/text.h"
#include "model/acl.h"
#include "model/observed.h"
#include "model/quote.h"
#include "model/selector.h"

static void acl_texts(void **state)
{
	void *mem = talloc_new(NULL);
	struct names *names = names_new(mem);
	struct error err = { 0 };
	privs_t privs, grantable;
	struct acl *acl;

	(void)state;
	/* as PostgreSQL 15 prints it for a role called  we"ird, {x}  */
	const char *text = "{postgres=arwdDxt/postgres,=r/postgres,\"\\\"we\\\"\\\"ird, {x}\\\"=a*w/postgres\",\"\\\"we\\\"\\\"ird, {x}\\\"=r/other\"}";

	assert_int_equal(acl_parse(mem, names, text, strlen(text), &acl, &err), 0);
	assert_int_equal(acl->n, 4);
	assert_int_equal(acl->v[0].grantee, NAME_NONE);
	acl_held(acl, names_find(names, "we\"ird, {x}", 11), &privs, &grantable);
	assert_int_equal(privs, PRIV_INSERT | PRIV_UPDATE | PRIV_SELECT);
	assert_int_equal(grantable, PRIV_INSERT);
	assert_int_equal(acl_parse(mem, names, "{}", 2, &acl, &err), 0);
	assert_int_equal(acl->n, 0);
	assert_int_equal(acl_parse(mem, names, "{a=Z/b}", 7, &acl, &err), 0);
	assert_int_equal(acl->v[0].privs, PRIV_UNKNOWN);
	assert_int_equal(acl_parse(mem, names, "{a=r}", 5, &acl, &err), 1);
	error_clear(&err);
	assert_int_equal(acl_parse(mem, names, "{\"a", 3, &acl, &err), 1);
	talloc_free(mem);
}

static void acl_defaults(void **state)
{
	void *mem = talloc_new(NULL);
	struct acl *acl = acl_default(mem, OBJECT_FUNCTION, 7, 160000);

	(void)state;
	assert_true(acl->is_null);
	assert_int_equal(acl->n, 2);
	assert_int_equal(acl->v[0].privs, PRIV_EXECUTE);
	assert_int_equal(acl->v[0].grantee, NAME_NONE);
	assert_false(acl_default(mem, OBJECT_TABLE, 7, 160000)->v[0].privs & PRIV_MAINTAIN);
	assert_true(acl_default(mem, OBJECT_TABLE, 7, 170000)->v[0].privs & PRIV_MAINTAIN);
	assert_int_equal(acl_default(mem, OBJECT_COLUMN, 7, 170000)->n, 0);
	talloc_free(mem);
}

static void arrays(void **state)
{
	static const struct { const char *array; const char *elements[4]; } cases[] = {
		{ "{}", { NULL } }, { "{a}", { "a", NULL } }, { "{a,b}", { "a", "b", NULL } },
		{ "{\"a b\",\"q\\\"\\\\\",c}", { "a b", "q\"\\", "c", NULL } }, { "{\"\"}", { "", NULL } }, { "{NULL,x}", { "", "x", NULL } },
		{ "{\"NULL\"}", { "NULL", NULL } }, { "", { NULL } }, { "{", { NULL } }, { "{\"open", { "open", NULL } },
	};
	struct text *scratch = text_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t cursor = 0, len;
		const char *element;
		int n = 0;

		while ((element = array_next(cases[i].array, strlen(cases[i].array), &cursor, scratch, &len))) {
			if (!cases[i].elements[n] || strlen(cases[i].elements[n]) != len || memcmp(element, cases[i].elements[n], len))
				fail_msg("array %s, element %d: got \"%.*s\"", cases[i].array, n, (int)len, element);
			n++;
		}
		if (cases[i].elements[n])
			fail_msg("array %s: only %d elements", cases[i].array, n);
	}
	talloc_free(scratch);
}

static void selectors(void **state)
{
	static const struct { const char *text, *canonical; } cases[] = {
		{ "table app.users", "table app.users" }, { "table app.*", "table app.*" }, { "view app.v_*", "view app.v_*" },
		{ "Materialized View app.m", "materialized view app.m" }, { "foreign table app.f", "foreign table app.f" },
		{ "function app.place_order(integer, text)", "function app.place_order(integer, text)" },
		{ "function app.f(int4,varchar(10)[] , timestamptz)", "function app.f(integer, character varying[], timestamp with time zone)" },
		{ "function app.f(\"odd(type\", app.\"a,b\")", "function app.f(\"odd(type\", app.\"a,b\")" },
		{ "function app.f()", "function app.f()" }, { "function app.*", "function app.*" }, { "procedure app.p", "procedure app.p" },
		{ "schema public", "schema public" }, { "database orders", "database orders" }, { "database", "database" },
		{ "foreign data wrapper w", "foreign data wrapper w" }, { "foreign server s", "foreign server s" },
		{ "parameter pgaudit.log", "parameter pgaudit.log" }, { "large object 16401", "large object 16401" },
		{ "table \"My Schema\".\"a.b\"", "table \"My Schema\".\"a.b\"" }, { "table app.\"star*\"", "table app.\"star*\"" },
		{ "table users", NULL }, { "tabel app.users", NULL }, { "table", NULL }, { "table app.", NULL }, { "table app.a.b", NULL },
		{ "function app.f(integer", NULL }, { "function app.f(,)", NULL }, { "", NULL }, { "column app.t", NULL }, { "table \"app.t", NULL },
	};
	void *mem = talloc_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error err = { 0 };
		struct selector s;
		int r = selector_parse(mem, cases[i].text, &s, &err);

		if (r != (cases[i].canonical ? 0 : 1))
			fail_msg("selector \"%s\": result %d %s", cases[i].text, r, err.text);
		if (r == 0)
			assert_string_equal(selector_format(mem, &s), cases[i].canonical);
		else
			assert_true(error_is_set(&err));
	}
	talloc_free(mem);
}

static bool matches(void *mem, const char *text, char relkind, const char *schema, const char *name)
{
	struct selector s;

	assert_int_equal(selector_parse(mem, text, &s, NULL), 0);
	return selector_matches(&s, relkind, schema, name, strlen(name));
}

static void matching(void **state)
{
	void *mem = talloc_new(NULL);

	(void)state;
	assert_true(matches(mem, "table app.*", 'v', "app", "anything"));
	assert_false(matches(mem, "view app.*", 'r', "app", "t"));
	assert_true(matches(mem, "table *.audit_*", 'r', "x", "audit_1"));
	assert_true(matches(mem, "function app.f", 0, "app", "f(integer, text)"));
	assert_true(matches(mem, "function app.f(int, text)", 0, "app", "f(integer, text)"));
	assert_false(matches(mem, "function app.f(int)", 0, "app", "f(integer, text)"));
	assert_true(matches(mem, "function app.f()", 0, "app", "f()"));
	assert_false(matches(mem, "function app.f()", 0, "app", "f(integer)"));
	assert_true(matches(mem, "function app.*(integer)", 0, "app", "g(integer)"));
	assert_false(matches(mem, "table app.\"a*\"", 'r', "app", "ab"));
	assert_true(matches(mem, "schema app", 0, NULL, "app"));
	assert_true(matches(mem, "function app.\"odd(name\"", 0, "app", "odd(name(integer)"));
	assert_true(matches(mem, "function app.f", 0, "app", "f(\"odd(type\")"));
	talloc_free(mem);
}

static void quoting(void **state)
{
	struct text *t = text_new(NULL);

	(void)state;
	quote_ident(t, "a\"b");
	text_add_char(t, ' ');
	quote_literal(t, "it's \\ here");
	text_add_char(t, ' ');
	quote_ident_display(t, "plain_1");
	text_add_char(t, ' ');
	quote_ident_display(t, "Not Plain");
	assert_string_equal(t->s, "\"a\"\"b\" 'it''s \\ here' plain_1 \"Not Plain\"");
	talloc_free(t);
}

static void kinds(void **state)
{
	char buf[256], relkind;

	(void)state;
	assert_int_equal(privilege_parse("select"), PRIV_SELECT);
	assert_int_equal(privilege_parse("ALTER SYSTEM"), PRIV_ALTER_SYSTEM);
	assert_int_equal(privilege_parse("TEMP"), PRIV_TEMPORARY);
	assert_int_equal(privilege_parse("SELEKT"), 0);
	assert_string_equal(privileges_format(PRIV_UPDATE | PRIV_SELECT, buf, sizeof buf), "SELECT, UPDATE");
	for (int k = OBJECT_NONE + 1; k < OBJECT_KINDS; k++) {
		const struct object_kind_info *info = object_kind_info((enum object_kind)k);

		assert_non_null(info->name);
		assert_true(info->privs != 0);
		if (k != OBJECT_COLUMN)
			assert_int_equal(object_kind_parse(info->name, strlen(info->name), &relkind), k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acl_texts), cmocka_unit_test(acl_defaults), cmocka_unit_test(arrays), cmocka_unit_test(selectors),
		cmocka_unit_test(matching), cmocka_unit_test(quoting), cmocka_unit_test(kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
