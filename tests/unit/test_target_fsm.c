/* SPDX-License-Identifier: PostgreSQL */
/* The states of a target: the whole product, what must hold on every path, and docs/states.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/target_fsm.h"

static void every_pair_has_one_row(void **state)
{
	(void)state;
	for (unsigned s = 0; s < TARGET_STATES; s++)
		for (unsigned e = 0; e < TARGET_EVENTS; e++) {
			if (target_fsm_rows(s, e) != 1)
				print_error("%s, %s: %u rows\n", target_state_name(s), target_event_name(e), target_fsm_rows(s, e));
			assert_int_equal(target_fsm_rows(s, e), 1);
		}
}

static void every_row_has_a_reason_and_leads_somewhere(void **state)
{
	(void)state;
	for (unsigned s = 0; s < TARGET_STATES; s++)
		for (unsigned e = 0; e < TARGET_EVENTS; e++) {
			struct target_step step = target_fsm_step(s, e);

			assert_in_range(step.next, 0, TARGET_STATES - 1);
			assert_in_range(step.effect, 0, TARGET_EFFECTS - 1);
			assert_true(strlen(step.why) > 5);
			if (step.effect == FX_BUG)
				assert_int_equal(step.next, s);
		}
}

static void names_are_there_and_differ(void **state)
{
	(void)state;
	for (unsigned a = 0; a < TARGET_STATES; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(target_state_name(a), target_state_name(b));
	for (unsigned a = 0; a < TARGET_EVENTS; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(target_event_name(a), target_event_name(b));
	for (unsigned a = 0; a < TARGET_EFFECTS; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(target_effect_name(a), target_effect_name(b));
}

static void whatever_happens_a_pass_can_fail_and_stop(void **state)
{
	(void)state;
	for (unsigned s = 0; s < TARGET_STATES; s++) {
		enum target_state failed = target_fsm_step(s, TE_FAILED).next, stopped = target_fsm_step(s, TE_STOP).next;

		if (!target_state_at_rest(s) && s != TS_DRAIN && s != TS_STOPPED)
			assert_int_equal(failed, TS_BACKOFF);
		assert_true(stopped == TS_STOPPED || stopped == TS_DRAIN);
		/* only while something is being written may stopping wait */
		assert_int_equal(stopped == TS_DRAIN, s == TS_APPLY || s == TS_MIGRATE || s == TS_DRAIN);
	}
}

static void the_end_is_the_end(void **state)
{
	(void)state;
	for (unsigned e = 0; e < TARGET_EVENTS; e++)
		assert_int_equal(target_fsm_step(TS_STOPPED, e).next, TS_STOPPED);
}

/* A write is only reached from a plan that was made from a look, on a connection that was asserted. */
static void nothing_is_written_without_a_plan(void **state)
{
	(void)state;
	for (unsigned s = 0; s < TARGET_STATES; s++)
		for (unsigned e = 0; e < TARGET_EVENTS; e++) {
			struct target_step step = target_fsm_step(s, e);

			if (step.effect == FX_APPLY)
				assert_true(s == TS_PLAN || (s == TS_JUDGE && e == TE_MORE));
			if (step.effect == FX_MIGRATE)
				assert_true(s == TS_PLAN || s == TS_APPLY || (s == TS_JUDGE && e == TE_PENDING));
			if (step.effect == FX_LOOK && s != TS_QUEUED)
				assert_true(s == TS_ASSERT || s == TS_APPLY);
			/* from a judgement back to writing would be a loop, but for what was not possible before: other changes, for some
			   rounds, and migrations that waited for another database, once in a pass */
			if (s == TS_JUDGE && e != TE_MORE && e != TE_PENDING)
				assert_true(step.next != TS_APPLY && step.next != TS_MIGRATE && step.next != TS_LOOK);
		}
}

static void every_state_is_reached_and_left(void **state)
{
	bool reached[TARGET_STATES] = { [TS_IDLE] = true };

	(void)state;
	for (unsigned round = 0; round < TARGET_STATES; round++)
		for (unsigned s = 0; s < TARGET_STATES; s++)
			for (unsigned e = 0; reached[s] && e < TARGET_EVENTS; e++)
				reached[target_fsm_step(s, e).next] = true;
	for (unsigned s = 0; s < TARGET_STATES; s++)
		assert_true(reached[s]);
}

static char *read_all(FILE *in)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int c;

	while ((c = fgetc(in)) != EOF)
		fputc(c, out);
	fclose(out);
	return text;
}

static void the_documentation_is_the_table(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[4096], *printed = NULL, *documented;
	size_t len = 0;
	FILE *out = open_memstream(&printed, &len), *in;

	(void)state;
	target_fsm_print(out);
	fclose(out);
	snprintf(path, sizeof(path), "%s/docs/states.md", top != NULL ? top : ".");
	in = fopen(path, "r");
	if (in == NULL)
		fail_msg("%s cannot be opened", path);
	documented = read_all(in);
	fclose(in);
	if (strcmp(printed, documented) != 0)
		fail_msg("docs/states.md is out of date: dbreconciled --print-states > docs/states.md");
	free(printed);
	free(documented);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_has_one_row), cmocka_unit_test(every_row_has_a_reason_and_leads_somewhere),
		cmocka_unit_test(names_are_there_and_differ), cmocka_unit_test(whatever_happens_a_pass_can_fail_and_stop),
		cmocka_unit_test(the_end_is_the_end), cmocka_unit_test(nothing_is_written_without_a_plan),
		cmocka_unit_test(every_state_is_reached_and_left), cmocka_unit_test(the_documentation_is_the_table),
	};

	return cmocka_run_group_tests_name("target_fsm", tests, NULL, NULL);
}
