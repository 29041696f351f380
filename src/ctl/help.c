/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static void print_option(FILE *out, const struct ctl_option *o)
{
	char left[64], letter[5] = "    ";

	if (o->letter)
		snprintf(letter, sizeof letter, "-%c, ", o->letter);
	if (o->arg == ARG_NONE)
		snprintf(left, sizeof left, "%s--%s", letter, o->name);
	else
		snprintf(left, sizeof left, o->arg == ARG_OPTIONAL ? "%s--%s[=%s]" : "%s--%s=%s", letter, o->name, o->arg_name);
	fprintf(out, "  %-28s %s\n", left, o->help);
}

static void print_options(FILE *out, const struct ctl_option *options)
{
	for (; options && options->name; options++)
		print_option(out, options);
}

void ctl_help(FILE *out)
{
	fputs("usage: dbreconcilectl [OPTION ...] [COMMAND [ARGUMENT ...]]\n"
	      "Shows and steers dbreconciled, which keeps roles, grants and migrations of PostgreSQL as they are declared.\n\n"
	      "Commands (unambiguous beginnings will do):\n", out);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		fprintf(out, "  %-12s %s\n", c->name, c->help);
	fputs("\nOptions:\n", out);
	print_options(out, ctl_global_options);
	fputs("\nExit codes (check alone has those of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown):\n", out);
	for (const struct ctl_exit *e = ctl_exits; e->help; e++)
		fprintf(out, "  %2d  %s\n", e->code, e->help);
	fputs("\nEverything is described in dbreconcilectl(1).\n", out);
}

void ctl_help_command(FILE *out, const struct ctl_command *command)
{
	fprintf(out, "usage: dbreconcilectl %s%s%s%s\n%s\n", command->name, command->options ? " [OPTION ...]" : "",
		*command->usage ? " " : "", command->usage, command->help);
	if (command->options) {
		fputs("\nOptions:\n", out);
		print_options(out, command->options);
	}
	fputs("\nGlobal options:\n", out);
	print_options(out, ctl_global_options);
}

int command_help(struct ctl *ctl)
{
	const struct ctl_command *command;
	char buf[256];
	int n;

	if (ctl->n_args == 0) {
		ctl_help(stdout);
		return DBR_EXIT_OK;
	}
	command = ctl_command_find(ctl->args[0], buf, sizeof buf, &n);
	if (!command)
		return ctl_complain(DBR_EXIT_USAGE, "there is no command \"%s\"", ctl->args[0]);
	ctl_help_command(stdout, command);
	return DBR_EXIT_OK;
}
