/* SPDX-License-Identifier: PostgreSQL */
#include "engine/wave.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"

static const struct {
	const char *word, *text;          /* text: what is said about the one that it waits for */
	bool release;                     /* it does not end by itself */
} reasons[WAVE_WHYS] = {
	[WAVE_GO] = { "none", "", false },
	[WAVE_BUSY] = { "busy", "", false },
	[WAVE_SOAKING] = { "soaking", "soaks", true },
	[WAVE_BEHIND] = { "behind", "is not migrated yet", false },
	[WAVE_HELD] = { "held", "has migrations that wait for approval", true },
	[WAVE_HELD_UP] = { "held_up", "has pending migrations and is suspended or in observe mode", true },
	[WAVE_STUCK] = { "blocked", "is blocked", true },
	[WAVE_AWAY] = { "unreachable", "cannot be reached", true },
	[WAVE_STOPPED] = { "stopped", "failed", true },
};

const char *wave_why_name(enum wave_why why)
{
	return (unsigned)why < WAVE_WHYS ? reasons[why].word : "none";
}

static enum wave_why why_of(uint32_t own_wave, const struct wave_member *other, int64_t now_ms)
{
	if (other->released || other->wave > own_wave)
		return WAVE_GO;
	if (other->state == WAVE_FAILED)
		return WAVE_STOPPED;      /* who has not begun in its own wave does not begin either */
	if (other->wave == own_wave)
		return WAVE_GO;
	switch (other->state) {
	case WAVE_PENDING:
		return WAVE_BEHIND;
	case WAVE_UNAPPROVED:
		return WAVE_HELD;
	case WAVE_PAUSED:
		return WAVE_HELD_UP;
	case WAVE_BLOCKED:
		return WAVE_STUCK;
	case WAVE_UNREACHABLE:
		return WAVE_AWAY;
	default:
		return other->since_ms + other->soak_ms > now_ms ? WAVE_SOAKING : WAVE_GO;
	}
}

/* The one that is named: of the earliest wave, then the first by name; of those that soak the last to be ready. */
static bool stands_before(const struct wave_wait *wait, enum wave_why why, const struct wave_member *other, int64_t until_ms)
{
	if (why == WAVE_SOAKING)
		return until_ms > wait->until_ms;
	return other->wave < wait->wave || (other->wave == wait->wave && strcmp(other->name, wait->name) < 0);
}

void wave_meet(struct wave_wait *wait, uint32_t own_wave, const struct wave_member *other, int64_t now_ms)
{
	enum wave_why why = why_of(own_wave, other, now_ms);
	int64_t until_ms = why == WAVE_SOAKING ? other->since_ms + other->soak_ms : 0;
	uint32_t n;

	if (why == WAVE_GO || why < wait->why)
		return;
	n = why == wait->why ? wait->n + 1 : 1;
	if (n == 1 || stands_before(wait, why, other, until_ms))
		*wait = (struct wave_wait){ .why = why, .name = other->name, .wave = other->wave, .until_ms = until_ms };
	wait->n = n;
}

char *wave_message(void *parent, const struct wave_wait *wait)
{
	char until[32], *s;

	if (wait->why == WAVE_GO)
		return NULL;
	if (wait->why == WAVE_BUSY)
		return talloc_asprintf(parent, "migrations wait: %u run on this server already (max_migrations)", wait->n);
	s = talloc_asprintf(parent, "migrations %s: %s (wave %u) %s", wait->why == WAVE_STOPPED ? "are stopped" : "wait", wait->name,
			    wait->wave, reasons[wait->why].text);
	if (wait->why == WAVE_SOAKING)
		s = talloc_asprintf_append(s, " until %s", clock_rfc3339(wait->until_ms, until, sizeof(until)));
	if (wait->n > 1)
		s = talloc_asprintf_append(s, ", and %u more", wait->n - 1);
	if (reasons[wait->why].release)
		s = talloc_asprintf_append(s, "; to go on without it: dbreconcilectl migrations release %s", wait->name);
	return s;
}
