/* SPDX-License-Identifier: PostgreSQL */
/* The command line, read by the tables of commands.c: global options may stand before and after the command. */
#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "ctl/ctl.h"

#define OPTIONS_MAX 64
#define OWN_BASE 1000                  /* getopt values: own options by position from here, global ones from 0 + 1 */

struct option_set {
	struct option longs[OPTIONS_MAX];
	char shorts[OPTIONS_MAX * 3 + 2];
	int by_letter[UCHAR_MAX + 1];      /* value of the option that has the letter */
	unsigned n;
};

static void add_option(struct option_set *set, const struct ctl_option *o, int value)
{
	static const char *const suffix[] = { "", ":", "::" };
	unsigned char letter = (unsigned char)o->letter;

	if (letter && set->by_letter[letter] == 0) {
		size_t len = strlen(set->shorts);

		snprintf(set->shorts + len, sizeof set->shorts - len, "%c%s", o->letter, suffix[o->arg]);
		set->by_letter[letter] = value;
	}
	for (unsigned i = 0; i < set->n; i++)
		if (strcmp(set->longs[i].name, o->name) == 0)
			return;
	set->longs[set->n++] = (struct option){ o->name, (int)o->arg, NULL, value };
}

/* Own options of the command go first: they win where a letter is taken twice (check -w). */
static void build(struct option_set *set, const struct ctl_command *command)
{
	memset(set, 0, sizeof *set);
	set->shorts[0] = command ? '\0' : '+';
	for (int i = 0; command && command->options && command->options[i].name; i++)
		add_option(set, &command->options[i], OWN_BASE + i);
	for (int i = 0; ctl_global_options[i].name; i++)
		add_option(set, &ctl_global_options[i], i + 1);
}

static int refuse(const struct ctl *ctl)
{
	fprintf(stderr, "  `dbreconcilectl %s%s--help` lists the options\n", ctl->command ? ctl->command->name : "", ctl->command ? " " : "");
	return DBR_EXIT_USAGE;
}

static int read_options(struct ctl *ctl, int argc, char **argv)
{
	struct option_set set;
	msec_t time;
	int c, code;

	build(&set, ctl->command);
	while ((c = getopt_long(argc, argv, set.shorts, set.longs, NULL)) != -1) {
		if (c == '?')
			return refuse(ctl);                /* getopt has complained */
		if (c < OWN_BASE && c > 0 && c <= UCHAR_MAX && set.by_letter[c] != 0)
			c = set.by_letter[c];
		if (c >= OWN_BASE) {
			ctl->values[c - OWN_BASE] = optarg ? optarg : "";
			continue;
		}
		/* "-w 5" is what people write; nothing else that follows is a time */
		if (!optarg && ctl_global_options[c - 1].arg == ARG_OPTIONAL && optind < argc && ctl_duration(argv[optind], &time) == 0)
			optarg = argv[optind++];
		code = ctl_global_options[c - 1].set(ctl, optarg ? optarg : "");
		if (code != 0)
			return code;
	}
	return 0;
}

const struct ctl_command *ctl_command_find(const char *word, char *buf, size_t size, int *ret_n)
{
	const struct ctl_command *found = NULL;

	*ret_n = 0;
	buf[0] = '\0';
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		if (strncmp(c->name, word, strlen(word)) != 0)
			continue;
		if (strcmp(c->name, word) == 0) {
			*ret_n = 1;
			return c;
		}
		found = c;
		snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", (*ret_n)++ ? ", " : "", c->name);
	}
	return *ret_n == 1 ? found : NULL;
}

static int find_command(struct ctl *ctl, const char *word)
{
	const char *names[64], *near;
	char buf[256];
	int n;
	size_t count = 0;

	ctl->command = *word ? ctl_command_find(word, buf, sizeof buf, &n) : NULL;
	if (ctl->command)
		return 0;
	if (*word && n > 1)
		return ctl_complain(DBR_EXIT_USAGE, "\"%s\" is ambiguous: %s", word, buf);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		names[count++] = c->name;
	near = text_nearest(word, names, count);
	ctl_complain(DBR_EXIT_USAGE, "there is no command \"%s\"", word);
	snprintf(buf, sizeof buf, "did you mean \"%s\"?", near ? near : "");
	ctl_hint(near ? buf : "`dbreconcilectl --help` lists the commands");
	return DBR_EXIT_USAGE;
}

static int check_arguments(const struct ctl *ctl)
{
	const struct ctl_command *c = ctl->command;

	if (ctl->n_args < c->min_args || (c->max_args >= 0 && ctl->n_args > c->max_args))
		return ctl_complain(DBR_EXIT_USAGE, "%s %s: usage: dbreconcilectl %s %s", c->name,
				    ctl->n_args < c->min_args ? "needs more arguments" : "takes fewer arguments", c->name, c->usage);
	if (ctl->watching && !(c->flags & COMMAND_WATCH))
		return ctl_complain(DBR_EXIT_USAGE, "%s cannot be watched", c->name);
	if (ctl->output != OUTPUT_TABLE && (c->flags & COMMAND_TEXT_ONLY))
		return ctl_complain(DBR_EXIT_USAGE, "%s has one format only: leave out --output", c->name);
	return 0;
}

int ctl_parse(struct ctl *ctl, int argc, char **argv)
{
	char *program = argv[0];
	int code;

	optind = 1;
	code = read_options(ctl, argc, argv);
	if (code != 0)
		return code;
	if (optind == argc) {
		if (ctl->want_help)
			return 0;
		return find_command(ctl, "status");
	}
	code = find_command(ctl, argv[optind]);
	if (code != 0)
		return code;
	argv += optind;
	argc -= optind;
	argv[0] = program;                     /* for getopt's messages */
	optind = 0;                            /* glibc: start anew */
	code = read_options(ctl, argc, argv);
	if (code != 0)
		return code;
	ctl->args = argv + optind;
	ctl->n_args = argc - optind;
	return ctl->want_help ? 0 : check_arguments(ctl);
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
	for (int i = 0; ctl->command->options && ctl->command->options[i].name; i++)
		if (strcmp(ctl->command->options[i].name, name) == 0)
			return ctl->values[i];
	return NULL;
}

int ctl_duration(const char *s, msec_t *ret)
{
	char *end;
	double seconds = strtod(s, &end);

	if (end == s || *end != '\0')
		return duration_parse(s, ret);
	if (!isdigit((unsigned char)*s) || !(seconds >= 0 && seconds < 1e8))
		return 1;
	*ret = (msec_t)(seconds * 1000);
	return 0;
}
