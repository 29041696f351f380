/* SPDX-License-Identifier: PostgreSQL */
#include "base/clock.h"

#include <time.h>

static int64_t read_clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

msec_t clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_monotonic_us(void)
{
	return read_clock_us(CLOCK_MONOTONIC);
}

int64_t clock_cpu_us(void)
{
	return read_clock_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

const char *clock_rfc3339(int64_t wall_ms, char *buf, size_t size)
{
	time_t seconds = wall_ms / 1000;
	struct tm tm;

	buf[0] = '\0';
	if (wall_ms != 0 && gmtime_r(&seconds, &tm))
		strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}
