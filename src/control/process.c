/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/metrics.h"

static double cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Which number of /proc/self/statm: 0 size, 1 resident. */
static double memory_bytes(int which)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long v[2] = { 0, 0 };
	int n;

	if (!file)
		return 0;
	n = fscanf(file, "%lu %lu", &v[0], &v[1]);
	fclose(file);
	return n == 2 ? (double)v[which] * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0;       /* ".", ".." and the directory itself */
}

static double max_fds(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

double process_number(const char *what, int64_t started_wall_ms)
{
	if (strcmp(what, "start_time_seconds") == 0)
		return (double)started_wall_ms / 1000.0;
	if (strcmp(what, "cpu_seconds_total") == 0)
		return cpu_seconds();
	if (strcmp(what, "resident_memory_bytes") == 0)
		return memory_bytes(1);
	if (strcmp(what, "virtual_memory_bytes") == 0)
		return memory_bytes(0);
	if (strcmp(what, "open_fds") == 0)
		return open_fds();
	return strcmp(what, "max_fds") == 0 ? max_fds() : 0;
}
