/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "ctl/client.h"
#include "ctl/verdict.h"

#define POLL_MS 500

static bool time_left(const struct ctl *ctl)
{
	return ctl->deadline == MSEC_NEVER || clock_monotonic() + POLL_MS < ctl->deadline;
}

static void pause_between(void)
{
	nanosleep(&(struct timespec){ 0, POLL_MS * 1000000L }, NULL);
}

/* Databases found by a pattern are unknown until the server was looked at: such a name is worth waiting for. */
static bool may_come(const struct ctl *ctl, const json_t *status, const char *target)
{
	const char *slash = strchr(target, '/');
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(status, "targets"), i, row)
		if (slash && ctl->n_args > 0 && strlen(ctl_raw(row, "server")) == (size_t)(slash - target) &&
		    strncmp(ctl_raw(row, "server"), target, (size_t)(slash - target)) == 0)
			return true;
	return false;
}

static bool known(const json_t *status, const char *pattern)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(status, "targets"), i, row)
		if (glob_match(pattern, ctl_raw(row, "target")))
			return true;
	return false;
}

/* How many targets are still awaited; fills why with the first. Negative: an exit code. */
static int awaited(struct ctl *ctl, const json_t *status, json_t **ret_rows, const char **why)
{
	int missing = 0, total = ctl->n_args;
	json_t *row;
	size_t i;

	for (int a = 0; a < total; a++) {
		if (!known(status, ctl->args[a]) && may_come(ctl, status, ctl->args[a])) {
			*why = talloc_asprintf(ctl->scratch, "%s: not known yet", ctl->args[a]);
			missing++;
		}
	}
	if (missing > 0)
		return missing;
	if (select_targets(ctl, status, 0, ret_rows) != 0)
		return -DBR_EXIT_USAGE;
	json_array_foreach(*ret_rows, i, row) {
		if (verdict_in_sync(row) && strcmp(ctl_raw(row, "state"), "in_sync") == 0)
			continue;
		if (missing++ == 0)
			*why = talloc_asprintf(ctl->scratch, "%s is %s%s%s", ctl_raw(row, "target"), ctl_words(ctl, ctl_raw(row, "state")),
					       *ctl_raw(row, "message") ? ": " : "", ctl_raw(row, "message"));
	}
	return missing;
}

static int finish(struct ctl *ctl, json_t *status, json_t *rows)
{
	size_t n = json_array_size(rows);

	progress_clear(ctl);
	if (n == 0)
		ctl_complain(0, "no targets are configured: nothing to wait for");
	if (ctl->output == OUTPUT_JSON) {
		verdict_narrow(status, rows);
		return ctl_print_json(ctl, status);
	}
	if (ctl->output != OUTPUT_TSV)
		printf("%zu target%s in sync\n", n, n == 1 ? "" : "s");
	return DBR_EXIT_OK;
}

/* One question. 0 in sync, an exit code when it is over, -1 to ask again; *last is what the exit code would be by then. */
static int ask(struct ctl *ctl, int *last, const char **why)
{
	struct answer *answer = client_send(ctl, &(struct request){ .method = "GET", .path = DBR_PATH_STATUS, .format = "status" });
	json_auto_t *rows = NULL;
	int n, code = -1;

	*last = answer->exit;
	if (answer->exit == DBR_EXIT_UNREACHABLE && ctl->timeout > 0) {
		*why = talloc_strdup(ctl->scratch, answer->text);
	} else if (answer->exit == DBR_EXIT_TIMEOUT) {
		*why = "the daemon does not answer";
	} else if (answer->exit != 0) {
		code = answer_complain(answer);
	} else {
		*last = DBR_EXIT_TIMEOUT;
		n = awaited(ctl, answer->doc, &rows, why);
		code = n == 0 ? finish(ctl, answer->doc, rows) : n < 0 ? -n : -1;
		if (n > 0)
			progress_show(ctl, "waiting for %d target%s: %s", n, n == 1 ? "" : "s", *why);
	}
	answer_free(answer);
	return code;
}

int command_wait(struct ctl *ctl)
{
	const char *condition = ctl_option(ctl, "for"), *why = "";
	int code, last;

	if (condition && strcmp(condition, "in-sync") != 0)
		return ctl_complain(DBR_EXIT_USAGE, "--for: \"%s\" is no condition: in-sync is", condition);
	for (;;) {
		void *scratch = ctl->scratch;

		ctl->scratch = talloc_new(scratch);
		code = ask(ctl, &last, &why);
		why = code < 0 ? talloc_strdup(scratch, why) : "";
		talloc_free(ctl->scratch);
		ctl->scratch = scratch;
		if (code >= 0)
			return code;
		if (!time_left(ctl))
			break;
		pause_between();
	}
	progress_clear(ctl);
	return ctl_complain(last, last == DBR_EXIT_UNREACHABLE ? "%s" : "timed out: %s", why);
}
