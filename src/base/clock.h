/* SPDX-License-Identifier: PostgreSQL */
/*
 * Time. Timers use the monotonic clock and are handed `now` by the loop, which
 * reads it once per turn; the wall clock is only for what people read.
 */
#ifndef DBR_BASE_CLOCK_H
#define DBR_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t msec_t;          /* monotonic milliseconds, or a span of them */
#define MSEC_NEVER INT64_MAX

/* Now. CLOCK_MONOTONIC for timers; never goes back. */
msec_t clock_monotonic(void);
int64_t clock_wall(void);        /* milliseconds since the epoch, UTC */
/* Microseconds, to measure with: of CLOCK_MONOTONIC, and the CPU time of this thread. */
int64_t clock_monotonic_us(void);
int64_t clock_cpu_us(void);
/* RFC 3339 UTC "2026-11-21T09:30:00Z" of a wall time in ms; "" for 0. buf >= 32 bytes. Returns buf. */
const char *clock_rfc3339(int64_t wall_ms, char *buf, size_t size);

#endif
