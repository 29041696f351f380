/* SPDX-License-Identifier: PostgreSQL */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>
#include <talloc.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/names.h"
#include "base/text.h"

static void durations(void **state)
{
	static const struct { const char *text; int result; msec_t ms; } cases[] = {
		{ "250ms", 0, 250 }, { "30s", 0, 30000 }, { "5min", 0, 300000 }, { "5m", 0, 300000 }, { "2h", 0, 7200000 },
		{ "1d", 0, 86400000 }, { "0", 0, 0 }, { "0s", 0, 0 }, { "", 1, 0 }, { "30", 1, 0 }, { "s", 1, 0 }, { "-1s", 1, 0 },
		{ "1 s", 1, 0 }, { "99999999999999999999s", 1, 0 }, { "4000d", 1, 0 }, { "1S", 1, 0 }, { "0x10s", 1, 0 },
	};
	char buf[32];
	msec_t ms, again;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ms = -1;
		if (duration_parse(cases[i].text, &ms) != cases[i].result)
			fail_msg("duration \"%s\": expected result %d", cases[i].text, cases[i].result);
		if (cases[i].result)
			continue;
		assert_int_equal(ms, cases[i].ms);
		assert_int_equal(duration_parse(duration_format(ms, buf, sizeof buf), &again), 0);
		assert_int_equal(again, ms);
	}
}

static void sizes(void **state)
{
	uint64_t bytes;

	(void)state;
	assert_int_equal(size_parse("64kB", &bytes), 0);
	assert_int_equal(bytes, 65536);
	assert_int_equal(size_parse("17", &bytes), 0);
	assert_int_equal(bytes, 17);
	assert_int_equal(size_parse("9999999999TB", &bytes), 1);
	assert_int_equal(size_parse("20000000000000000000", &bytes), 1);         /* over 2^64 */
	assert_int_equal(size_parse("4611686018427387904", &bytes), 0);
	assert_int_equal(size_parse("1KB", &bytes), 1);
}

static void globs(void **state)
{
	(void)state;
	assert_true(glob_match("*", ""));
	assert_true(glob_match("audit_*", "audit_2026"));
	assert_false(glob_match("audit_*", "xaudit_2026"));
	assert_true(glob_match("*a*b*", "xxaxxbxx"));
	assert_false(glob_match("*a*b", "ba"));
	assert_true(glob_match("t?", "t\xc3\xa4"));
	assert_false(glob_match("t?", "t"));
	assert_false(glob_match("", "a"));
	assert_true(glob_match_len("ab", "abc", 2));
}

static void utf8(void **state)
{
	(void)state;
	assert_true(utf8_valid("gr\xc3\xbc\xc3\x9f", 6));
	assert_false(utf8_valid("\xc0\xaf", 2));         /* overlong */
	assert_false(utf8_valid("\xed\xa0\x80", 3));     /* surrogate */
	assert_false(utf8_valid("\xf4\x90\x80\x80", 4)); /* above U+10FFFF */
	assert_false(utf8_valid("\xe2\x82", 2));         /* cut */
	assert_int_equal(utf8_count("gr\xc3\xbc\xc3\x9f", 6), 4);
	assert_true(text_has_control("a\x1b[31m", 6));
	assert_true(text_has_control("\xc2\x9b", 2));
	assert_false(text_has_control("caf\xc3\xa9", 5));
}

static void escape(void **state)
{
	void *mem = talloc_new(NULL);

	(void)state;
	assert_string_equal(text_escape(mem, "a\nb\x1b[0m", 7, 100), "a\\x0ab\\x1b[0m");
	assert_string_equal(text_escape(mem, "\xff", 1, 100), "\\xff");
	assert_string_equal(text_escape(mem, "\xe2\x80\xae" "evil", 7, 100), "\\u202eevil");
	assert_string_equal(text_escape(mem, "abcdefghij", 10, 9), "abcd…");
	talloc_free(mem);
}

static void interning(void **state)
{
	struct names *names = names_new(NULL);
	name_id first = names_put(names, "app");
	char buf[16];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(buf, sizeof buf, "role%d", i);
		names_put(names, buf);
	}
	assert_int_equal(names_put(names, "app"), first);
	assert_int_equal(names_put(names, ""), NAME_NONE);
	assert_int_equal(names_count(names), 5001);
	assert_string_equal(names_text(names, names_find(names, "role4999", 8)), "role4999");
	assert_int_equal(names_find(names, "role5000", 8), NAME_NONE);
	assert_int_equal(names_intern(names, "appx", 3), first);
	talloc_free(names);
}

/* Of those who made it up: what is kept by a hash must be found again by every later version. */
static void hashes(void **state)
{
	(void)state;
	assert_true(hash_mix(HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(hash_mix(HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash_mix(HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
	assert_true(hash_mix_text(HASH_START, "foobar") == hash_mix(HASH_START, "foobar", 7));
	assert_true(hash_mix_text(HASH_START, NULL) == hash_mix_text(HASH_START, ""));
	assert_true(hash_mix_text(hash_mix_text(HASH_START, "a"), "bc") != hash_mix_text(hash_mix_text(HASH_START, "ab"), "c"));
}

static void first_error_is_kept(void **state)
{
	struct error err = { 0 };
	char buf[256];

	(void)state;
	error_set_at(&err, "a.conf", 3, "no such %s", "key");
	error_set(&err, "later");
	error_hint(&err, "remove it");
	assert_string_equal(error_format(&err, buf, sizeof buf), "a.conf:3: no such key (remove it)");
}

static void long_errors_end_with_a_character(void **state)
{
	struct error err;
	char long_text[2 * ERROR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof long_text; i += 2)
		memcpy(long_text + i, "\303\251", 3);
	for (unsigned before = 0; before < 2; before++) {
		error_clear(&err);
		error_set(&err, "%.*s%s", before, "x", long_text);
		error_hint(&err, "%.*s%s", before, "x", long_text);
		assert_true(utf8_valid(err.text, strlen(err.text)) && strlen(err.text) >= sizeof err.text - 2);
		assert_true(utf8_valid(err.hint, strlen(err.hint)) && strlen(err.hint) >= sizeof err.hint - 2);
	}
}

static void the_target_is_named(void **state)
{
	struct error err = { 0 };
	char name[600];

	(void)state;
	error_name_target(&err, "prod/orders");
	assert_string_equal(err.hint, "");
	error_hint(&err, "put it right, then: dbreconcilectl migrations TARGET repair (TARGETS stay)");
	error_name_target(&err, "prod/orders");
	assert_string_equal(err.hint, "put it right, then: dbreconcilectl migrations prod/orders repair (TARGETS stay)");
	error_hint(&err, "a TARGET b");
	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = '\0';
	error_name_target(&err, name);
	assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
}

static void nearest(void **state)
{
	static const char *const words[] = { "interval", "manifests", "state" };

	(void)state;
	assert_string_equal(text_nearest("intervall", words, 3), "interval");
	assert_string_equal(text_nearest("manifest", words, 3), "manifests");
	assert_null(text_nearest("zzzzzzzz", words, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations), cmocka_unit_test(sizes), cmocka_unit_test(globs), cmocka_unit_test(utf8),
		cmocka_unit_test(escape), cmocka_unit_test(interning), cmocka_unit_test(hashes), cmocka_unit_test(first_error_is_kept), cmocka_unit_test(long_errors_end_with_a_character), cmocka_unit_test(the_target_is_named), cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
