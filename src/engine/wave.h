/* SPDX-License-Identifier: PostgreSQL */
/*
 * May this database be migrated now? Databases that share a directory of
 * migrations are one line, over all servers: wave 1 first, the next wave when
 * everybody before it is at the version and has soaked, and nobody after a
 * failure. Pure: the caller hands over the others one by one (waves.c), the
 * worst reason to wait remains.
 */
#ifndef DBR_ENGINE_WAVE_H
#define DBR_ENGINE_WAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far another database of the line is. */
enum wave_state {
	WAVE_DONE,                /* at the version of the files as they are now */
	WAVE_PENDING,             /* on its way, or not looked at yet */
	WAVE_UNAPPROVED,          /* what is next waits for an approval */
	WAVE_PAUSED,              /* has work and may not: observe mode, or suspended */
	WAVE_BLOCKED,             /* a checksum, a missing or failed row: nothing runs there */
	WAVE_UNREACHABLE,         /* not known to be at the version, and cannot be asked */
	WAVE_FAILED,
};

struct wave_member {
	const char *name;
	uint32_t wave;
	enum wave_state state;
	bool released;            /* somebody said: go on without it */
	int64_t since_ms;         /* DONE: wall clock since when */
	int64_t soak_ms;          /* DONE: how long later waves wait from then on */
};

/* Why a database waits, from the mildest to the worst. */
enum wave_why { WAVE_GO, WAVE_BUSY, WAVE_SOAKING, WAVE_BEHIND, WAVE_HELD, WAVE_HELD_UP, WAVE_STUCK, WAVE_AWAY, WAVE_STOPPED, WAVE_WHYS };

struct wave_wait {
	enum wave_why why;
	const char *name;         /* of the one it waits for: the first of the earliest wave; NULL when BUSY */
	uint32_t wave;            /* its wave */
	uint32_t n;               /* how many it waits for, for this reason */
	int64_t until_ms;         /* SOAKING: wall clock */
};

/* "stopped": the word in documents. */
const char *wave_why_name(enum wave_why);
/* wait begins zeroed; own_wave is that of the database that asks; other is any other database of its line. */
void wave_meet(struct wave_wait *wait, uint32_t own_wave, const struct wave_member *other, int64_t now_ms);
/* One line for people: for whom, until when, and the way on. NULL when it need not wait. A talloc child of parent. */
char *wave_message(void *parent, const struct wave_wait *wait);

#endif
