/* SPDX-License-Identifier: PostgreSQL */
#include "engine/target_fsm.h"

#include <stdint.h>

#define S(name) (1u << TS_##name)
#define REST (S(IDLE) | S(HELD) | S(SUSPENDED) | S(BACKOFF))
#define PASS (S(QUIET) | S(QUEUED) | S(CONNECT) | S(ASSERT) | S(LOOK) | S(PLAN) | S(APPLY) | S(MIGRATE) | S(VERIFY) | S(JUDGE))
#define WRITING (S(APPLY) | S(MIGRATE))
#define END (S(DRAIN) | S(STOPPED))
#define ALL (REST | PASS | END)
#define SAME TARGET_STATES

struct row {
	uint32_t states;
	enum target_event event;
	enum target_state next;       /* SAME = the state it is in */
	enum target_effect effect;
	const char *why;
};

static const struct row rows[] = {
	/* a pass begins */
	{ REST, TE_DUE_QUIET, TS_QUIET, FX_ASK, "due; the server's kept connection can prove that nothing changed" },
	{ REST, TE_DUE, TS_QUEUED, FX_QUEUE, "due or ordered: wait for a free connection" },
	{ PASS, TE_DUE_QUIET, SAME, FX_NONE, "a pass is under way; the next one is scheduled when it ends" },
	{ PASS, TE_DUE, SAME, FX_NONE, "a pass is under way; an order is remembered" },
	{ S(QUIET), TE_CHANGED, TS_QUEUED, FX_QUEUE, "something changed, or no proof was to be had: look" },
	{ S(QUIET), TE_IN_SYNC, TS_IDLE, FX_REST, "the last look still holds" },
	{ S(QUIET), TE_MAY_NOT, TS_IDLE, FX_REST, "the last look still holds; observe mode" },
	{ S(QUIET), TE_PAUSED, TS_SUSPENDED, FX_REST, "the last look still holds; suspended" },
	{ S(QUIET), TE_HOLD, TS_HELD, FX_REST, "the last look still holds; what is held waits on" },
	{ S(QUEUED), TE_SLOT, TS_CONNECT, FX_CONNECT, "a connection is free under the caps" },
	{ S(QUEUED), TE_KEPT, TS_LOOK, FX_LOOK, "the kept connection was asserted when it was made" },
	/* connect and look */
	{ S(CONNECT), TE_READY, TS_ASSERT, FX_FACTS, "connected: is it what we think, are our settings in force" },
	{ S(ASSERT), TE_LEARNED, TS_CONNECT, FX_CONNECT, "version and rights learned: again, with every setting of that version pinned" },
	{ S(ASSERT), TE_ASSERTED, TS_LOOK, FX_LOOK, "right server, right database" },
	{ S(LOOK), TE_LOOKED, TS_PLAN, FX_PLAN, "one snapshot of everything that matters" },
	/* plan */
	{ S(PLAN), TE_IN_SYNC, TS_IDLE, FX_REST, "nothing to do" },
	{ S(PLAN), TE_CORRECT, TS_APPLY, FX_APPLY, "ready changes: in groups, one transaction each" },
	{ S(PLAN), TE_PENDING, TS_MIGRATE, FX_MIGRATE, "nothing to do before the pending migrations" },
	{ S(PLAN), TE_MAY_NOT, TS_IDLE, FX_REST, "observe mode: drift is shown, nothing is written" },
	{ S(PLAN), TE_PAUSED, TS_SUSPENDED, FX_REST, "suspended: drift is shown, nothing is written" },
	{ S(PLAN), TE_HOLD, TS_HELD, FX_REST, "what is left waits for an approval or for somebody with the right" },
	/* write */
	{ S(APPLY), TE_STAGED, TS_MIGRATE, FX_MIGRATE, "roles and schemas stand: migrations before owners and grants" },
	{ S(APPLY), TE_APPLIED, TS_VERIFY, FX_LOOK, "never trust COMMIT alone: look again" },
	{ S(MIGRATE), TE_MIGRATED, TS_CONNECT, FX_CONNECT, "migrations made objects: look again before owners and grants" },
	{ S(VERIFY), TE_LOOKED, TS_JUDGE, FX_JUDGE, "is the drift gone" },
	{ S(JUDGE), TE_IN_SYNC, TS_IDLE, FX_REST, "the drift is gone" },
	{ S(JUDGE), TE_HOLD, TS_HELD, FX_REST, "what is left waits for an approval or for somebody with the right" },
	{ S(JUDGE), TE_PAUSED, TS_SUSPENDED, FX_REST, "suspended while it worked" },
	{ S(JUDGE), TE_MAY_NOT, TS_IDLE, FX_REST, "switched to observe while it worked" },
	{ S(JUDGE), TE_MORE, TS_APPLY, FX_APPLY, "what was made makes other changes possible; a few rounds at most" },
	{ S(JUDGE), TE_CORRECT, TS_BACKOFF, FX_BACKOFF, "not converged: say why, back off, never loop" },
	{ S(JUDGE), TE_PENDING, TS_MIGRATE, FX_MIGRATE, "what waited for an earlier wave may run now" },
	/* failure */
	{ PASS, TE_FAILED, TS_BACKOFF, FX_BACKOFF, "connection lost, deadline passed, refused or not understood" },
	{ REST, TE_FAILED, SAME, FX_NONE, "a kept connection was lost while nothing was asked of it" },
	/* the end */
	{ REST | (PASS & ~WRITING), TE_STOP, TS_STOPPED, FX_CLOSE, "nothing is half done: close" },
	{ WRITING, TE_STOP, TS_DRAIN, FX_NONE, "finish the transaction under way, begin no other" },
	{ END, TE_STOP, SAME, FX_NONE, "already stopping" },
	{ S(DRAIN), TE_APPLIED, TS_STOPPED, FX_CLOSE, "the transaction under way is over" },
	{ S(DRAIN), TE_STAGED, TS_STOPPED, FX_CLOSE, "the transaction under way is over" },
	{ S(DRAIN), TE_MIGRATED, TS_STOPPED, FX_CLOSE, "the migration under way is over" },
	{ S(DRAIN), TE_FAILED, TS_STOPPED, FX_CLOSE, "the transaction under way failed: the server rolls it back" },
	{ END, TE_DUE, SAME, FX_NONE, "no new pass" },
	{ END, TE_DUE_QUIET, SAME, FX_NONE, "no new pass" },
	{ S(STOPPED), TE_FAILED, SAME, FX_NONE, "closed already" },
	/* what cannot come */
	{ ALL & ~S(QUIET), TE_CHANGED, SAME, FX_BUG, "only a quiet check can find a change" },
	{ ALL & ~S(QUEUED), TE_SLOT, SAME, FX_BUG, "only who waits gets a connection" },
	{ ALL & ~S(QUEUED), TE_KEPT, SAME, FX_BUG, "only who waits gets a connection" },
	{ ALL & ~S(CONNECT), TE_READY, SAME, FX_BUG, "nobody is connecting" },
	{ ALL & ~S(ASSERT), TE_LEARNED, SAME, FX_BUG, "no facts were asked" },
	{ ALL & ~S(ASSERT), TE_ASSERTED, SAME, FX_BUG, "no facts were asked" },
	{ ALL & ~(S(LOOK) | S(VERIFY)), TE_LOOKED, SAME, FX_BUG, "nobody looked" },
	{ ALL & ~(S(QUIET) | S(PLAN) | S(JUDGE)), TE_IN_SYNC, SAME, FX_BUG, "nothing was planned" },
	{ ALL & ~(S(QUIET) | S(PLAN) | S(JUDGE)), TE_MAY_NOT, SAME, FX_BUG, "nothing was planned" },
	{ ALL & ~(S(QUIET) | S(PLAN) | S(JUDGE)), TE_PAUSED, SAME, FX_BUG, "nothing was planned" },
	{ ALL & ~(S(QUIET) | S(PLAN) | S(JUDGE)), TE_HOLD, SAME, FX_BUG, "nothing was planned" },
	{ ALL & ~(S(PLAN) | S(JUDGE)), TE_CORRECT, SAME, FX_BUG, "nothing was planned" },
	{ ALL & ~(S(PLAN) | S(JUDGE)), TE_PENDING, SAME, FX_BUG, "nothing was planned" },
	{ ALL & ~S(JUDGE), TE_MORE, SAME, FX_BUG, "nothing was judged" },
	{ ALL & ~(S(APPLY) | S(DRAIN)), TE_APPLIED, SAME, FX_BUG, "nothing was applied" },
	{ ALL & ~(S(APPLY) | S(DRAIN)), TE_STAGED, SAME, FX_BUG, "nothing was applied" },
	{ ALL & ~(S(MIGRATE) | S(DRAIN)), TE_MIGRATED, SAME, FX_BUG, "no migration ran" },
};

static const char *const state_names[TARGET_STATES] = {
	[TS_IDLE] = "idle", [TS_HELD] = "held", [TS_SUSPENDED] = "suspended", [TS_BACKOFF] = "backoff", [TS_QUIET] = "quiet",
	[TS_QUEUED] = "queued", [TS_CONNECT] = "connect", [TS_ASSERT] = "assert", [TS_LOOK] = "look", [TS_PLAN] = "plan",
	[TS_APPLY] = "apply", [TS_MIGRATE] = "migrate", [TS_VERIFY] = "verify", [TS_JUDGE] = "judge", [TS_DRAIN] = "drain",
	[TS_STOPPED] = "stopped",
};

static const char *const event_names[TARGET_EVENTS] = {
	[TE_DUE_QUIET] = "due_quiet", [TE_DUE] = "due", [TE_CHANGED] = "changed", [TE_SLOT] = "slot", [TE_KEPT] = "kept",
	[TE_READY] = "ready", [TE_LEARNED] = "learned", [TE_ASSERTED] = "asserted", [TE_LOOKED] = "looked",
	[TE_IN_SYNC] = "in_sync", [TE_CORRECT] = "correct", [TE_PENDING] = "pending", [TE_MAY_NOT] = "may_not",
	[TE_PAUSED] = "paused", [TE_HOLD] = "hold", [TE_MORE] = "more", [TE_APPLIED] = "applied", [TE_STAGED] = "staged",
	[TE_MIGRATED] = "migrated", [TE_FAILED] = "failed", [TE_STOP] = "stop",
};

static const char *const effect_names[TARGET_EFFECTS] = {
	[FX_NONE] = "-", [FX_ASK] = "ask", [FX_QUEUE] = "queue", [FX_CONNECT] = "connect", [FX_FACTS] = "facts", [FX_LOOK] = "look",
	[FX_PLAN] = "plan", [FX_APPLY] = "apply", [FX_MIGRATE] = "migrate", [FX_JUDGE] = "judge", [FX_REST] = "rest",
	[FX_BACKOFF] = "back off", [FX_CLOSE] = "close", [FX_BUG] = "bug",
};

const char *target_state_name(enum target_state state)
{
	return (unsigned)state < TARGET_STATES ? state_names[state] : "?";
}

const char *target_event_name(enum target_event event)
{
	return (unsigned)event < TARGET_EVENTS ? event_names[event] : "?";
}

const char *target_effect_name(enum target_effect effect)
{
	return (unsigned)effect < TARGET_EFFECTS ? effect_names[effect] : "?";
}

bool target_state_at_rest(enum target_state state)
{
	return (1u << state & REST) != 0;
}

static bool row_covers(const struct row *row, enum target_state state, enum target_event event)
{
	return row->event == event && (row->states & 1u << state) != 0;
}

struct target_step target_fsm_step(enum target_state state, enum target_event event)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (row_covers(row, state, event))
			return (struct target_step){ row->next == SAME ? state : row->next, row->effect, row->why };
	}
	return (struct target_step){ state, FX_BUG, "no row" };
}

unsigned target_fsm_rows(enum target_state state, enum target_event event)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		n += row_covers(&rows[i], state, event);
	return n;
}

/* States of a row for the table: the groups by their names. */
static void print_states(FILE *out, uint32_t mask)
{
	static const struct { uint32_t mask; const char *name; } groups[] = { { PASS, "any step" }, { REST, "at rest" } };
	const char *comma = "";

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if ((mask & groups[i].mask) != groups[i].mask)
			continue;
		fprintf(out, "%s%s", comma, groups[i].name);
		mask &= ~groups[i].mask;
		comma = ", ";
	}
	for (unsigned s = 0; s < TARGET_STATES; s++) {
		if ((mask & 1u << s) == 0)
			continue;
		fprintf(out, "%s%s", comma, state_names[s]);
		comma = ", ";
	}
}

static void print_diagram(FILE *out)
{
	fputs("```mermaid\nstateDiagram-v2\n    state rest {\n        idle\n        held\n        suspended\n        backoff\n    }\n", out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (row->effect == FX_BUG || row->next == SAME)
			continue;
		if ((row->states & REST) == REST && row->states == REST)
			fprintf(out, "    rest --> %s: %s\n", state_names[row->next], event_names[row->event]);
		for (unsigned s = TS_QUIET; s < TARGET_STATES && row->event != TE_STOP && row->event != TE_FAILED; s++)
			if ((row->states & 1u << s) != 0)
				fprintf(out, "    %s --> %s: %s\n", state_names[s], state_names[row->next], event_names[row->event]);
	}
	fputs("```\n", out);
}

void target_fsm_print(FILE *out)
{
	fputs("# The states of a target\n\n"
	      "Printed by `dbreconciled --print-states` from the table in src/engine/target_fsm.c; a test compares the two.\n"
	      "Each target (a server, or one database of it) goes through these on its own; from every step of a pass `failed` leads\n"
	      "to backoff and `stop` to the end (not drawn).\n\n", out);
	print_diagram(out);
	fputs("\n| state | event | next | effect | why |\n|---|---|---|---|---|\n", out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (row->effect == FX_BUG)
			continue;
		fputs("| ", out);
		print_states(out, row->states);
		fprintf(out, " | %s | %s | %s | %s |\n", event_names[row->event], row->next == SAME ? "(same)" : state_names[row->next],
			effect_names[row->effect], row->why);
	}
	fputs("\nEvery other pair cannot come: it is logged as a bug and the pass ends as failed. The unit test walks the whole product.\n", out);
}
