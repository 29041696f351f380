/* SPDX-License-Identifier: PostgreSQL */
/* Who waits for whom: every state of another database, in every wave, and a line that goes through to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include <cmocka.h>

#include "engine/wave.h"

#define NOW INT64_C(1790000000000)

static struct wave_wait ask(uint32_t own, const struct wave_member *v, size_t n, int64_t now)
{
	struct wave_wait wait = { .why = WAVE_GO };

	for (size_t i = 0; i < n; i++)
		wave_meet(&wait, own, &v[i], now);
	return wait;
}

static struct wave_wait ask_one(uint32_t own, uint32_t wave, enum wave_state state, bool released)
{
	const struct wave_member other = { .name = "p/a", .wave = wave, .state = state, .released = released, .since_ms = NOW - 1000, .soak_ms = 999 };

	return ask(own, &other, 1, NOW);
}

static void every_state_of_an_earlier_wave(void **state)
{
	static const struct { enum wave_state state; enum wave_why why; } cases[] = {
		{ WAVE_DONE, WAVE_GO }, { WAVE_PENDING, WAVE_BEHIND }, { WAVE_UNAPPROVED, WAVE_HELD }, { WAVE_PAUSED, WAVE_HELD_UP }, { WAVE_BLOCKED, WAVE_STUCK },
		{ WAVE_UNREACHABLE, WAVE_AWAY }, { WAVE_FAILED, WAVE_STOPPED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ask_one(2, 1, cases[i].state, false).why, cases[i].why);
		assert_int_equal(ask_one(9, 1, cases[i].state, false).why, cases[i].why);
		assert_int_equal(ask_one(2, 1, cases[i].state, true).why, WAVE_GO);       /* released: nobody waits for it */
		assert_int_equal(ask_one(1, 2, cases[i].state, false).why, WAVE_GO);      /* a later wave stops nobody */
		assert_int_equal(ask_one(2, 2, cases[i].state, false).why, cases[i].state == WAVE_FAILED ? WAVE_STOPPED : WAVE_GO);
	}
	assert_int_equal(ask(2, NULL, 0, NOW).why, WAVE_GO);
}

static void a_soak_ends_to_the_millisecond(void **state)
{
	const struct wave_member v[] = {
		{ .name = "p/a", .wave = 1, .state = WAVE_DONE, .since_ms = NOW, .soak_ms = 600000 },
		{ .name = "p/b", .wave = 1, .state = WAVE_DONE, .since_ms = NOW + 5, .soak_ms = 600000 },
		{ .name = "p/c", .wave = 1, .state = WAVE_DONE, .since_ms = NOW - 9, .soak_ms = 600000 },
	};
	struct wave_wait wait = ask(2, v, 3, NOW + 10);
	char *text;

	(void)state;
	assert_int_equal(wait.why, WAVE_SOAKING);
	assert_int_equal(wait.until_ms, NOW + 600005);
	assert_string_equal(wait.name, "p/b");
	assert_int_equal(wait.n, 3);
	text = wave_message(NULL, &wait);
	assert_non_null(strstr(text, "p/b (wave 1) soaks until 2026-"));
	assert_non_null(strstr(text, "migrations release p/b"));
	talloc_free(text);
	assert_int_equal(ask(2, v, 3, NOW + 600004).why, WAVE_SOAKING);
	assert_int_equal(ask(2, v, 3, NOW + 600005).why, WAVE_GO);
}

static void the_worst_reason_of_the_earliest_wave_is_named(void **state)
{
	const struct wave_member v[] = {
		{ .name = "p/z", .wave = 2, .state = WAVE_UNREACHABLE }, { .name = "p/b", .wave = 1, .state = WAVE_PENDING },
		{ .name = "p/y", .wave = 1, .state = WAVE_UNREACHABLE }, { .name = "p/x", .wave = 1, .state = WAVE_UNREACHABLE },
		{ .name = "p/a", .wave = 1, .state = WAVE_DONE, .since_ms = NOW, .soak_ms = 100 },
	};
	struct wave_wait wait = ask(3, v, 5, NOW);

	(void)state;
	assert_int_equal(wait.why, WAVE_AWAY);
	assert_string_equal(wait.name, "p/x");
	assert_int_equal(wait.wave, 1);
	assert_int_equal(wait.n, 3);
	for (unsigned turn = 1; turn < 5; turn++) {     /* whoever is met first */
		struct wave_member other[5];
		struct wave_wait again;

		for (unsigned i = 0; i < 5; i++)
			other[i] = v[(i + turn) % 5];
		again = ask(3, other, 5, NOW);
		assert_int_equal(again.why, wait.why);
		assert_string_equal(again.name, wait.name);
		assert_int_equal(again.n, wait.n);
	}
}

static void every_reason_has_words(void **state)
{
	(void)state;
	for (int why = WAVE_GO; why < WAVE_WHYS; why++) {
		const struct wave_wait wait = { .why = (enum wave_why)why, .name = "p/a", .wave = 1, .n = 2, .until_ms = NOW };
		char *text = wave_message(NULL, &wait);

		assert_true(wave_why_name(wait.why)[0] != '\0');
		assert_true((text == NULL) == (why == WAVE_GO));
		if (why > WAVE_BUSY)
			assert_non_null(strstr(text, "p/a (wave 1)"));
		talloc_free(text);
	}
}

/* A line of four waves with a soak: at no moment does a database begin before all earlier ones are done and have soaked. */
static void a_line_goes_through(void **state)
{
	enum { N = 24, SOAK = 50 };
	struct wave_member v[N];
	char names[N][8];
	int64_t now = NOW;
	unsigned done = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "p/%02u", i);
		v[i] = (struct wave_member){ .name = names[i], .wave = 1 + i % 4, .state = WAVE_PENDING, .soak_ms = SOAK };
	}
	for (; done < N && now < NOW + 10000; now++) {
		unsigned me = (unsigned)(now * 7 % N);
		struct wave_wait wait = { .why = WAVE_GO };

		if (v[me].state == WAVE_DONE)
			continue;
		for (unsigned i = 0; i < N; i++)
			if (i != me)
				wave_meet(&wait, v[me].wave, &v[i], now);
		if (wait.why != WAVE_GO)
			continue;
		for (unsigned i = 0; i < N; i++)
			if (v[i].wave < v[me].wave)
				assert_true(v[i].state == WAVE_DONE && v[i].since_ms + SOAK <= now);
		v[me].state = WAVE_DONE;
		v[me].since_ms = now;
		done++;
	}
	assert_int_equal(done, N);
	assert_true(now >= NOW + 3 * SOAK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_of_an_earlier_wave), cmocka_unit_test(a_soak_ends_to_the_millisecond),
		cmocka_unit_test(the_worst_reason_of_the_earliest_wave_is_named), cmocka_unit_test(every_reason_has_words),
		cmocka_unit_test(a_line_goes_through),
	};

	return cmocka_run_group_tests_name("waves", tests, NULL, NULL);
}
