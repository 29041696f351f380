/* SPDX-License-Identifier: PostgreSQL */
/* dbreconcilectl(1): see ctl/ctl.h. Here: the environment, the run of one command, watching. */
#include "config.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "ctl/client.h"

static bool env_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

/* https://no-color.org and https://bixense.com/clicolors: the option, then NO_COLOR, then CLICOLOR_FORCE, then the terminal. */
static bool decide_color(const struct ctl *ctl)
{
	const char *term = getenv("TERM"), *force = getenv("CLICOLOR_FORCE");

	if (ctl->color_wish != COLOR_AUTO)
		return ctl->color_wish == COLOR_ALWAYS;
	if (env_set("NO_COLOR"))
		return false;
	if (force && *force && strcmp(force, "0") != 0)
		return true;
	return ctl->out_tty && term && *term && strcmp(term, "dumb") != 0;
}

static void default_metrics_socket(struct ctl *ctl)
{
	const char *slash = strrchr(ctl->socket, '/');

	if (!ctl->metrics_socket)
		ctl->metrics_socket = talloc_asprintf(NULL, "%.*smetrics.sock", slash ? (int)(slash - ctl->socket + 1) : 0, ctl->socket);
	else
		ctl->metrics_socket = talloc_strdup(NULL, ctl->metrics_socket);
}

static int run_once(struct ctl *ctl)
{
	int code;

	ctl->scratch = talloc_new(NULL);
	ctl->deadline = ctl->timeout < 0 ? MSEC_NEVER : clock_monotonic() + ctl->timeout;
	code = ctl->command->run(ctl);
	talloc_free(ctl->scratch);
	ctl->scratch = NULL;
	return code;
}

static int watch(struct ctl *ctl)
{
	const struct timespec pause = { ctl->watch_interval / 1000, ctl->watch_interval % 1000 * 1000000 };
	int code;

	for (;;) {
		if (ctl->out_tty && ctl->output != OUTPUT_JSON)
			fputs("\033[H\033[2J", stdout);
		code = run_once(ctl);
		if (code == DBR_EXIT_USAGE || code == DBR_EXIT_PERMISSION || fflush(stdout) != 0)
			return code;
		nanosleep(&pause, NULL);
	}
}

static int run(struct ctl *ctl)
{
	int code;

	if (ctl->command->flags & COMMAND_OFFLINE && ctl->command->run != command_config)
		return run_once(ctl);
	code = client_start(ctl);
	if (code == 0)
		code = ctl->watching ? watch(ctl) : run_once(ctl);
	client_stop(ctl);
	return code;
}

/* What could not be written was not said: a full disk must not look like success. */
static int close_output(int code)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_complain(DBR_EXIT_INTERNAL, "cannot write to standard output: %s", strerror(errno));
	return code;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .legend = true, .timeout = -1, .watch_interval = 2000, .deadline = MSEC_NEVER };
	int code;

	/* Names are UTF-8: without a locale (cron, containers) columns would be measured in bytes. */
	if (!setlocale(LC_CTYPE, "") || strcmp(setlocale(LC_CTYPE, NULL), "C") == 0)
		setlocale(LC_CTYPE, "C.UTF-8");
	ctl.out_tty = isatty(STDOUT_FILENO);
	ctl.err_tty = isatty(STDERR_FILENO);
	ctl.socket = env_set("DBRECONCILE_SOCKET") ? getenv("DBRECONCILE_SOCKET") : RUNSTATEDIR "/dbreconcile/control.sock";
	code = ctl_parse(&ctl, argc, argv);
	if (code != 0)
		return code;
	if (ctl.want_help) {
		if (ctl.command)
			ctl_help_command(stdout, ctl.command);
		else
			ctl_help(stdout);
		return close_output(DBR_EXIT_OK);
	}
	ctl.color = decide_color(&ctl);
	default_metrics_socket(&ctl);
	if (ctl.quiet && !freopen("/dev/null", "w", stdout))
		return ctl_complain(DBR_EXIT_INTERNAL, "cannot open /dev/null: %s", strerror(errno));
	code = close_output(run(&ctl));
	talloc_free((void *)ctl.metrics_socket);
	return code;
}
