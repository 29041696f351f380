/* SPDX-License-Identifier: PostgreSQL */
/* Which expressions may be shown to the server's parser? */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <talloc.h>

#include "reconcile/diff.h"

static const struct {
	const char *expression, *trap;
} cases[] = {
	{ "true", NULL },
	{ "platform = 'twitch'", NULL },
	{ "owner = ANY (ARRAY['a'::text, 'b'::text])", NULL },
	{ "data @> '{\"a\": 1}'::jsonb", NULL },
	{ "data @> '{\"a\": 1}'", "'{\"a\": 1}'" },
	{ "tags && '{a,b}'::text[]", NULL },
	{ "tags && '{a,b}'::pg_catalog.text[]", NULL },
	{ "tags && '{a,b}'::\"char\"[]", NULL },
	{ "x = '(1)'::character varying(20)", NULL },
	{ "x = '{1}' :: integer []", NULL },
	{ "x = '{1}'/* that */::text[]", NULL },
	{ "x = '{1}'::app.d[]", "'{1}'" },
	{ "x = '{1}'::pg_catalog.unknown::app.d[]", "'{1}'" },
	{ "x = '{1}'::UNKNOWN::app.d[]", "'{1}'" },
	{ "x = '{1}'::\"unknown\"::app.d[]", "'{1}'" },
	{ "x = '{1}'::text::app.d[]", NULL },
	{ "x = ' \n [0:0]={1}'::app.d[]", "' \n [0:0]={1}'" },
	{ "x = '(1)'::app.c", "'(1)'" },
	{ "x = '[1,2]'::app.r", "'[1,2]'" },
	{ "x = 'it''s {'::app.d", NULL },
	{ "x = E'{1}'::app.d[]", "E'{1}'" },
	{ "x = E'\\173' '1}'::app.d[]", "E'\\173'" },
	{ "x = E'a'", NULL },
	{ "x = U&'\\007B1}'::app.d[]", "'\\007B1}'" },
	{ "x = U&'!007B1}' UESCAPE '!'", "'!007B1}'" },
	{ "x = $$ {1} $$::app.d[]", "$$ {1} $$" },
	{ "x = $q$a$q$", NULL },
	{ "x = app.d '{1}'", "'{1}'" },
	{ "x = CAST('{1}' AS app.d[])", "'{1}'" },
	{ "x = app.f('{1}')", "'{1}'" },
	{ "x = ''\n'{1}'::app.d[]", "'{1}'" },
	{ "x = '{1}'::\"pg_catalog\".text[]", "'{1}'" },
	{ "\"'{1}'\" = 1 -- '{1}'", NULL },
	{ "x = '{1}", "" },
	{ NULL, NULL },
};

static void traps(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *mem = talloc_new(NULL);
		const char *found = expression_trap(mem, cases[i].expression), *wanted = cases[i].trap;

		if (!found != !wanted || (found && strcmp(found, wanted) != 0))
			fail_msg("%s: %s instead of %s", cases[i].expression, found ? found : "nothing", wanted ? wanted : "nothing");
		talloc_free(mem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(traps) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
