/* SPDX-License-Identifier: PostgreSQL */
#include "inverse_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "base/text.h"
#include "reconcile/inverse.h"

static const char *joined(struct names *names, const struct changes *changes, int version)
{
	struct plan plan = { .names = names };
	struct text *all = text_new(names);

	for (uint32_t i = 0; i < changes->n; i++) {
		struct statements statements;

		change_sql(names, &plan, &changes->v[i], version, &statements);
		for (uint32_t s = 0; s < statements.n; s++)
			text_addf(all, "%s%s", all->len ? "; " : "", statements.v[s]);
	}
	return all->s;
}

void expect_inverse(struct names *names, const struct change *c, int version, const char *sql)
{
	struct change_record record = { .system_identifier = 7, .database_oid = 5, .version_num = version, .undoes = 3 }, read;
	struct names *others = names_new(names);
	struct plan plan = { .names = names }, other_plan = { .names = others };
	const char *why, *forward;
	char *text;

	names_put(others, "something else");
	change_forward(names, c, &record.forward);
	why = change_inverse(names, c, version, &record.back);
	if (why)
		fail_msg("no inverse: %s, expected %s", why, sql);
	assert_string_equal(joined(names, &record.back, version), sql);
	forward = joined(names, &record.forward, version);
	text = change_record_write(names, names, &record);
	assert_int_equal(change_record_read(names, others, text, &read), 0);
	assert_true(read.system_identifier == 7 && read.database_oid == 5 && read.version_num == version && read.undoes == 3);
	assert_string_equal(joined(others, &read.back, version), sql);
	assert_string_equal(joined(others, &read.forward, version), forward);
	assert_string_equal(change_describe(names, &other_plan, &read.forward.v[0]), change_describe(names, &plan, &record.forward.v[0]));
	assert_string_equal(change_record_write(names, others, &read), text);
}

void expect_none(struct names *names, const struct change *c, const char *why)
{
	struct changes back;
	const char *reason = change_inverse(names, c, 160000, &back);

	assert_non_null(reason);
	if (!strstr(reason, why))
		fail_msg("\"%s\" does not say \"%s\"", reason, why);
	assert_int_equal(back.n, 0);
}
