/* SPDX-License-Identifier: PostgreSQL */
/* The tables: commands, their options, the global options and the exit codes. Everything else follows from them. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

#define END { .name = NULL }

static const struct ctl_option status_options[] = {
	{ .name = "exit-code", .help = "exit 1 when a target is not in sync, 5 when one failed or is blocked" },
	END
};
static const struct ctl_option diff_options[] = {
	{ .name = "sql", .help = "print exactly the statements that would run; held and blocked ones as comments" },
	{ .name = "cached", .help = "what the last look saw; do not look at the servers again" },
	END
};
static const struct ctl_option reconcile_options[] = {
	{ .name = "wait", .help = "wait until the passes are over" },
	{ .name = "dry-run", .help = "look and plan, write nothing; the output and the exit codes are those of diff" },
	END
};
static const struct ctl_option suspend_options[] = {
	{ .name = "reason", .arg = ARG_REQUIRED, .arg_name = "TEXT", .help = "why, for those who look at the status" },
	{ .name = "for", .arg = ARG_REQUIRED, .arg_name = "TIME", .help = "resume by itself after this time, for example 2h" },
	END
};
static const struct ctl_option events_options[] = {
	{ .name = "since", .arg = ARG_REQUIRED, .arg_name = "TIME", .help = "from a span ago (2h) or an RFC 3339 UTC time on" },
	{ .name = "follow", .letter = 'f', .help = "go on printing what happens" },
	{ .name = "limit", .letter = 'n', .arg = ARG_REQUIRED, .arg_name = "NUMBER", .help = "at most so many" },
	END
};
static const struct ctl_option wait_options[] = {
	{ .name = "for", .arg = ARG_REQUIRED, .arg_name = "CONDITION", .values = "in-sync", .help = "what to wait for: in-sync (default)" },
	END
};
static const struct ctl_option check_options[] = {
	{ .name = "warning", .letter = 'w', .arg = ARG_REQUIRED, .arg_name = "RANGE",
	  .help = "warning when the number of targets not in sync leaves the range (default 0)" },
	{ .name = "critical", .letter = 'c', .arg = ARG_REQUIRED, .arg_name = "RANGE",
	  .help = "critical likewise (default: when a target failed, is unreachable or blocked)" },
	END
};
static const struct ctl_option migrations_options[] = {
	{ .name = "all", .help = "a row per database that has migrations: its wave, version, and what it waits for" },
	{ .name = "applied", .help = "resolve: all of the file is done; it is recorded as applied" },
	{ .name = "not-applied", .help = "resolve: nothing of the file is there; it runs from its beginning" },
	{ .name = "from-statement", .arg = ARG_REQUIRED, .arg_name = "NUMBER", .help = "resolve: what is before this statement is done; go on with it" },
	{ .name = "out-of-order", .help = "run: though a later version is applied" },
	{ .name = "dry-run", .help = "show what would be written to the ledger, or run, and write nothing" },
	END
};
static const struct ctl_option access_options[] = {
	{ .name = "role", .arg = ARG_REQUIRED, .arg_name = "ROLE", .help = "what this role can do" },
	{ .name = "object", .arg = ARG_REQUIRED, .arg_name = "OBJECT", .help = "who can do what with this object, for example 'table app.users'" },
	END
};

const struct ctl_command ctl_commands[] = {
	{ "status", "[TARGET ...]", "a row per target (the default command)", status_options, 0, -1, COMMAND_WATCH, COMPLETE_TARGETS, NULL,
	  command_status },
	{ "show", "TARGET", "all about one target: conditions, drift per kind, what is blocked and why, migrations, last errors", NULL, 1, 1,
	  COMMAND_WATCH, COMPLETE_TARGETS, NULL, command_show },
	{ "diff", "[TARGET ...]", "desired against live: + ~ - and ! for what is held or blocked", diff_options, 0, -1, COMMAND_WATCH,
	  COMPLETE_TARGETS, NULL, command_diff },
	{ "reconcile", "[TARGET ...]", "run a pass now", reconcile_options, 0, -1, 0, COMPLETE_TARGETS, NULL, command_reconcile },
	{ "approve", "TARGET PLAN", "release what is held, by the id of its plan", NULL, 2, 2, 0, COMPLETE_TARGETS, NULL, command_approve },
	{ "reject", "TARGET PLAN", "refuse what is held, by the id of its plan", NULL, 2, 2, 0, COMPLETE_TARGETS, NULL, command_reject },
	{ "undo", "CHANGE", "plan the inverse of a recorded change, by the number that events prints", NULL, 1, 1, 0, COMPLETE_NOTHING, NULL,
	  command_undo },
	{ "suspend", "TARGET ...", "stop corrections, go on observing; survives a restart", suspend_options, 1, -1, 0, COMPLETE_TARGETS, NULL,
	  command_suspend },
	{ "resume", "TARGET ...", "correct again", NULL, 1, -1, 0, COMPLETE_TARGETS, NULL, command_resume },
	{ "migrations", "[--all] | TARGET [baseline VERSION | repair | resolve VERSION | run VERSION | undo [VERSION] | "
	  "release | accept-schema]",
	  "applied, pending, missing, failed, changed, interrupted, undone; without a target the versions of the fleet; baseline, repair and "
	  "resolve mend the ledger, run and undo run one file, release lets later waves go on without a target, never by themselves", migrations_options, 0, 3, COMMAND_WATCH,
	  COMPLETE_TARGETS, "baseline repair resolve run undo release accept-schema", command_migrations },
	{ "events", "[TARGET ...]", "who changed what, when, with which statement and result", events_options, 0, -1, 0, COMPLETE_TARGETS, NULL,
	  command_events },
	{ "access", "[ROLE|OBJECT] [TARGET ...]", "who can do what, by every path", access_options, 0, -1, 0, COMPLETE_TARGETS, NULL,
	  command_access },
	{ "import", "TARGET", "write the manifest that describes what is there", NULL, 1, 1, 0, COMPLETE_TARGETS, NULL, command_import },
	{ "wait", "[TARGET ...]", "block until every target is in sync, for init containers", wait_options, 0, -1, 0, COMPLETE_TARGETS, NULL,
	  command_wait },
	{ "check", "[TARGET ...]", "one line for monitoring systems, with performance data and their exit codes", check_options, 0, -1, 0,
	  COMPLETE_TARGETS, NULL, command_check },
	{ "metrics", "", "metrics in the text format of Prometheus", NULL, 0, 0, COMMAND_TEXT_ONLY, COMPLETE_NOTHING, NULL, command_metrics },
	{ "config", "check [FILE] | show", "check configuration files without the daemon, or show what is in force", NULL, 1, 2,
	  COMMAND_OFFLINE, COMPLETE_WORDS, "check show", command_config },
	{ "reload", "", "read the configuration again; says what is wrong with it", NULL, 0, 0, 0, COMPLETE_NOTHING, NULL, command_reload },
	{ "ping", "", "does the daemon answer?", NULL, 0, 0, 0, COMPLETE_NOTHING, NULL, command_ping },
	{ "version", "", "versions of this program, the daemon and their libraries", NULL, 0, 0, 0, COMPLETE_NOTHING, NULL, command_version },
	{ "completion", "bash|zsh|fish", "print the completion of a shell", NULL, 1, 1, COMMAND_TEXT_ONLY | COMMAND_OFFLINE, COMPLETE_WORDS,
	  "bash zsh fish", command_completion },
	{ "help", "[COMMAND]", "help about a command", NULL, 0, 1, COMMAND_TEXT_ONLY | COMMAND_OFFLINE, COMPLETE_NOTHING, NULL, command_help },
	END
};

const struct ctl_exit ctl_exits[] = {
	{ DBR_EXIT_OK, "all is well" },
	{ DBR_EXIT_DRIFT, "drift was found (diff, reconcile, status --exit-code)" },
	{ DBR_EXIT_USAGE, "the command line is wrong, or names a target that does not exist" },
	{ DBR_EXIT_UNREACHABLE, "the daemon cannot be reached" },
	{ DBR_EXIT_PERMISSION, "permission denied" },
	{ DBR_EXIT_FAILED, "a target failed, or a change is blocked" },
	{ DBR_EXIT_TIMEOUT, "timed out" },
	{ DBR_EXIT_CONFIG, "the configuration is invalid" },
	{ DBR_EXIT_INTERNAL, "internal error" },
	{ 0, NULL },
};

const char *const ctl_output_names[OUTPUTS] = { "table", "wide", "json", "tsv" };

static int set_socket(struct ctl *ctl, const char *value)
{
	if (!*value)
		return ctl_complain(DBR_EXIT_USAGE, "--socket: the path is empty");
	ctl->socket = value;
	return 0;
}

static int set_metrics_socket(struct ctl *ctl, const char *value)
{
	ctl->metrics_socket = value;
	return 0;
}

static int set_output(struct ctl *ctl, const char *value)
{
	for (int i = 0; i < OUTPUTS; i++) {
		if (strcmp(ctl_output_names[i], value) == 0) {
			ctl->output = (enum ctl_output)i;
			return 0;
		}
	}
	return ctl_complain(DBR_EXIT_USAGE, "--output: \"%s\" is none of table, wide, json, tsv", value);
}

static int set_json(struct ctl *ctl, const char *value)
{
	(void)value;
	ctl->output = OUTPUT_JSON;
	return 0;
}

static int set_watch(struct ctl *ctl, const char *value)
{
	ctl->watching = true;
	if (*value && (ctl_duration(value, &ctl->watch_interval) != 0 || ctl->watch_interval < 100))
		return ctl_complain(DBR_EXIT_USAGE, "--watch: \"%s\" is not a time such as 5 or 500ms (at least 100ms)", value);
	return 0;
}

static int set_no_legend(struct ctl *ctl, const char *value)
{
	(void)value;
	ctl->legend = false;
	return 0;
}

static int set_quiet(struct ctl *ctl, const char *value)
{
	(void)value;
	ctl->quiet = true;
	return 0;
}

static int set_timeout(struct ctl *ctl, const char *value)
{
	if (ctl_duration(value, &ctl->timeout) != 0 || ctl->timeout <= 0)
		return ctl_complain(DBR_EXIT_USAGE, "--timeout: \"%s\" is not a time such as 30 or 5min", value);
	return 0;
}

static int set_color(struct ctl *ctl, const char *value)
{
	static const char *const words[] = { "auto", "always", "never" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(words[i], value) == 0) {
			ctl->color_wish = i;
			return 0;
		}
	}
	return ctl_complain(DBR_EXIT_USAGE, "--color: \"%s\" is none of auto, always, never", value);
}

static int set_help(struct ctl *ctl, const char *value)
{
	(void)value;
	ctl->want_help = true;
	return 0;
}

static int set_version(struct ctl *ctl, const char *value)
{
	(void)value;
	(void)ctl;
	puts("dbreconcilectl " PACKAGE_VERSION);
	exit(DBR_EXIT_OK);
}

const struct ctl_option ctl_global_options[] = {
	{ "socket", 's', ARG_REQUIRED, "PATH", NULL, "control socket of the daemon (default $DBRECONCILE_SOCKET or the built-in path)", set_socket },
	{ "metrics-socket", 'S', ARG_REQUIRED, "PATH", NULL, "metrics socket (default metrics.sock beside the control socket)",
	  set_metrics_socket },
	{ "output", 'o', ARG_REQUIRED, "FORMAT", "table wide json tsv", "table (default), wide, json or tsv", set_output },
	{ "json", 'j', ARG_NONE, NULL, NULL, "the same as -o json", set_json },
	{ "watch", 'w', ARG_OPTIONAL, "SEC", NULL, "do it again every SEC seconds (default 2)", set_watch },
	{ "no-legend", 0, ARG_NONE, NULL, NULL, "no headings and no summary", set_no_legend },
	{ "quiet", 'q', ARG_NONE, NULL, NULL, "nothing on standard output: the exit code is the answer", set_quiet },
	{ "timeout", 't', ARG_REQUIRED, "SEC", NULL, "give up after this time (default 30 for one answer, none where waiting was asked for)",
	  set_timeout },
	{ "color", 0, ARG_REQUIRED, "WHEN", "auto always never", "auto (default), always or never", set_color },
	{ "help", 'h', ARG_NONE, NULL, NULL, "help, about the command when one is named", set_help },
	{ "version", 'V', ARG_NONE, NULL, NULL, "version of this program", set_version },
	END
};
