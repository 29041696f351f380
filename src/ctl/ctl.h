/* SPDX-License-Identifier: PostgreSQL */
/*
 * dbreconcilectl: the operator's tool. One table of commands drives parsing,
 * help, completion and the tests of the man page; a command asks the daemon
 * over its socket for a document of schemas/ and prints it.
 * Data goes to stdout, everything else to stderr.
 */
#ifndef DBR_CTL_CTL_H
#define DBR_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "dbreconcile/protocol.h"

enum ctl_output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_TSV, OUTPUTS };
enum ctl_color { COLOR_NONE, COLOR_RED, COLOR_GREEN, COLOR_YELLOW, COLOR_BLUE, COLOR_DIM, COLOR_BOLD, COLORS };

struct ctl;

enum ctl_arg { ARG_NONE, ARG_REQUIRED, ARG_OPTIONAL };

struct ctl_option {
	const char *name;              /* long name; NULL ends a table */
	char letter;                   /* 0 = none */
	enum ctl_arg arg;
	const char *arg_name;
	const char *values;            /* for completion: words, or NULL */
	const char *help;
	int (*set)(struct ctl *, const char *value);   /* global options only: 0 or an exit code, having complained */
};

/* What the arguments of a command are, for completion. */
enum ctl_complete { COMPLETE_NOTHING, COMPLETE_TARGETS, COMPLETE_WORDS, COMPLETE_FILES };

#define COMMAND_WATCH     1u           /* --watch makes sense */
#define COMMAND_TEXT_ONLY 2u           /* has one format of its own: -o is refused */
#define COMMAND_OFFLINE   4u           /* needs no daemon */

struct ctl_command {
	const char *name;
	const char *usage;             /* arguments, as in the man page */
	const char *help;
	const struct ctl_option *options;      /* own ones; may be NULL */
	int min_args, max_args;                /* max -1 = any */
	unsigned flags;
	enum ctl_complete complete;
	const char *words;                     /* first argument: one of these, for COMPLETE_WORDS */
	int (*run)(struct ctl *);              /* an exit code */
};

struct ctl_exit {
	int code;
	const char *help;
};

extern const struct ctl_command ctl_commands[];        /* ends with a NULL name */
extern const struct ctl_option ctl_global_options[];
extern const struct ctl_exit ctl_exits[];              /* ends with a NULL help */
extern const char *const ctl_output_names[OUTPUTS];

#define CTL_OPTIONS_MAX 16             /* of one command */

struct client;

struct ctl {
	const char *socket, *metrics_socket;
	enum ctl_output output;
	bool legend, quiet, watching, want_help;
	enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color_wish;
	bool color, out_tty, err_tty;
	msec_t watch_interval;
	msec_t timeout;                /* -1 = not given */
	msec_t deadline;               /* of this run of the command; MSEC_NEVER = none */
	const struct ctl_command *command;
	const char *values[CTL_OPTIONS_MAX];   /* of command->options, by position; NULL = not given, "" = given without a value */
	char **args;
	int n_args;
	void *scratch;                 /* freed after each run of the command */
	struct client *client;
};

/* parse.c: 0 and ctl->command, or an exit code, having complained. */
int ctl_parse(struct ctl *, int argc, char **argv);
/* Exact name or unambiguous prefix; NULL: *ret_n says how many began so, names them in buf. */
const struct ctl_command *ctl_command_find(const char *word, char *buf, size_t size, int *ret_n);
/* Value of an own option of the command; NULL when it was not given. */
const char *ctl_option(const struct ctl *, const char *name);
/* "30", "30s", "5min": seconds when there is no unit. 0 ok, 1 not a duration. */
int ctl_duration(const char *s, msec_t *ret);

/* help.c */
void ctl_help(FILE *out);
void ctl_help_command(FILE *out, const struct ctl_command *);
int command_help(struct ctl *);

/* print.c: "dbreconcilectl: text" on stderr, escaped. Returns code, for `return ctl_complain(...)`. */
int ctl_complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_hint(const char *text);
/* The string at key, escaped for a terminal; otherwise when it is null, missing or empty. Lives in scratch. */
const char *ctl_text(struct ctl *, const json_t *object, const char *key, const char *otherwise);
const char *ctl_escape(struct ctl *, const char *s);
/* As it is, no escaping: for comparing and for making requests. "" when missing. */
const char *ctl_raw(const json_t *object, const char *key);
json_int_t ctl_int(const json_t *object, const char *key);
const char *ctl_paint(const struct ctl *, enum ctl_color);
const char *ctl_plain(const struct ctl *);             /* ends what ctl_paint() began */
/* The document as it came, on one line while watching. */
int ctl_print_json(struct ctl *, const json_t *);
enum ctl_color ctl_state_color(const char *state);
/* "in_sync" -> "in sync" */
const char *ctl_words(struct ctl *, const char *enum_word);
/* "server" and "server/database" in the last two components: "manifests/orders.conf:12"; "" when there is no source. */
const char *ctl_source(struct ctl *, const json_t *change);

/* when.c */
/* RFC 3339 UTC -> wall milliseconds; 0 ok, 1 not a time. */
int when_parse(const char *s, int64_t *ret_ms);
/* "12s ago", "in 48s", "now"; "-" for NULL. buf >= 32. */
const char *when_relative(const char *rfc3339, int64_t now_ms, char *buf, size_t size);
/* In table and wide relative, otherwise as it is; "-" for null. Lives in scratch. */
const char *ctl_when(struct ctl *, const json_t *object, const char *key);

/* progress.c: one line on stderr, rewritten, only on a terminal and without -q. */
void progress_show(const struct ctl *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void progress_clear(const struct ctl *);

/* table.c */
#define COL_RIGHT 1u
#define COL_TRUNC 2u                   /* may be cut at the terminal's edge */
#define COL_WIDE  4u                   /* only in wide and tsv */
struct column {
	const char *name;
	unsigned flags;
};
struct table;
struct table *table_new(struct ctl *, const struct column *, unsigned n);
void table_row(struct table *);
/* The next cell of the row; text is escaped already and must live as long as the table. */
void table_cell(struct table *, const char *text, enum ctl_color);
int table_print(struct table *);

/* select.c: the rows of a status document that the arguments from `first` on name (names or globs; none = all), in the order
   of the document, as a new array. 0, or an exit code, having complained. */
int select_targets(struct ctl *, const json_t *status, int first, json_t **ret);
/* GET /v1/status, then select_targets(). ret_status may be NULL. */
int select_fetch(struct ctl *, int first, json_t **ret_status, json_t **ret_rows);

/* One function for each command. */
int command_status(struct ctl *);
int command_show(struct ctl *);
int command_diff(struct ctl *);
int command_reconcile(struct ctl *);
int command_approve(struct ctl *);
int command_reject(struct ctl *);
int command_undo(struct ctl *);
int command_suspend(struct ctl *);
int command_resume(struct ctl *);
int command_migrations(struct ctl *);
int command_fleet(struct ctl *);        /* migrations --all */
int command_events(struct ctl *);
int command_access(struct ctl *);
int command_import(struct ctl *);
int command_wait(struct ctl *);
int command_check(struct ctl *);
int command_metrics(struct ctl *);
int command_config(struct ctl *);
int command_reload(struct ctl *);
int command_ping(struct ctl *);
int command_version(struct ctl *);
int command_completion(struct ctl *);

/* range.c: a range of the monitoring plugins, "[@]start:end". 0 ok, 1 not a range. */
struct range {
	double start, end;
	bool inside;
};
int range_parse(const char *s, struct range *ret);
bool range_alerts(const struct range *, double value);

#endif
