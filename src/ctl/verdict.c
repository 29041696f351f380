/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "ctl/verdict.h"

static bool one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

bool verdict_in_sync(const json_t *row)
{
	const char *state = ctl_raw(row, "state");

	if (strcmp(state, "running") == 0)
		return ctl_int(row, "drift") == 0 && json_is_string(json_object_get(row, "last_success")) &&
		       ctl_int(row, "consecutive_failures") == 0;
	return strcmp(state, "in_sync") == 0;
}

bool verdict_broken(const json_t *row)
{
	static const char *const broken[] = { "failed", "unreachable", "blocked", NULL };

	return one_of(ctl_raw(row, "state"), broken) || ctl_int(row, "blocked") > 0;
}

int verdict_rows(const json_t *rows)
{
	int code = DBR_EXIT_OK;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (verdict_broken(row))
			return DBR_EXIT_FAILED;
		if (!verdict_in_sync(row))
			code = DBR_EXIT_DRIFT;
	}
	return code;
}

void verdict_narrow(json_t *status, json_t *rows)
{
	json_t *summary = json_object_get(status, "summary"), *value, *row;
	const char *key;
	size_t i;

	json_object_foreach(summary, key, value)
		if (json_is_integer(value))
			json_integer_set(value, 0);
	json_object_set_new(summary, "targets", json_integer((json_int_t)json_array_size(rows)));
	json_array_foreach(rows, i, row) {
		json_int_t n = ctl_int(summary, ctl_raw(row, "state"));

		json_object_set_new(summary, ctl_raw(row, "state"), json_integer(n + 1));
	}
	json_object_set(status, "targets", rows);
}
