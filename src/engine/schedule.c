/* SPDX-License-Identifier: PostgreSQL */
/* When a target is due: jitter that only shortens an interval, backoff with full jitter and a cap. Pure but for the dice. */
#include "engine/internal.h"

#define BACKOFF_FIRST 1000
#define BACKOFF_FLOOR 100

/* xorshift64*: good enough to spread load, seeded once. */
uint64_t engine_random(struct engine *e)
{
	uint64_t x = e->random != 0 ? e->random : UINT64_C(0x9e3779b97f4a7c15);

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	e->random = x;
	return x * UINT64_C(2685821657736338717);
}

static msec_t random_below(struct engine *e, msec_t limit)
{
	return limit <= 0 ? 0 : (msec_t)(engine_random(e) % (uint64_t)limit);
}

/* Drift must be gone within one interval: up to a tenth of it is taken off, nothing is added. */
msec_t schedule_next(struct engine *e, msec_t interval, msec_t started, msec_t now)
{
	msec_t due = started + interval - random_below(e, interval / 10);

	return due > now ? due : now + random_below(e, interval / 10 + 1);
}

msec_t schedule_backoff(struct engine *e, unsigned failures, msec_t cap)
{
	msec_t span = BACKOFF_FIRST;

	for (unsigned i = 1; i < failures && span < cap; i++)
		span *= 2;
	if (span > cap)
		span = cap;
	return BACKOFF_FLOOR + random_below(e, span);
}
