/* SPDX-License-Identifier: PostgreSQL */
/* Shell completions, written from the tables: commands, options, their values, and targets as the daemon knows them. */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

#define TARGETS "dbreconcilectl -o tsv --no-legend -t 2 status 2>/dev/null | cut -f1"

static void bash_words(const struct ctl_option *options)
{
	for (; options && options->name; options++)
		printf(" --%s%s", options->name, options->arg == ARG_REQUIRED ? "=" : "");
}

/* "command" may be empty: global options. */
static void bash_values(const char *command, const struct ctl_option *options)
{
	for (; options && options->name; options++)
		if (options->values)
			printf("\t%s:--%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", command, options->name, options->values);
}

static void bash_begin(void)
{
	/* Not compgen -W: it expands its words, and a database may be called $(...). */
	puts("# bash completion of dbreconcilectl; written by `dbreconcilectl completion bash`\n"
	     "_dbreconcilectl_targets()\n{\n"
	     "\tlocal target\n"
	     "\twhile IFS= read -r target; do\n"
	     "\t\t[[ $target == \"$1\"* ]] && COMPREPLY+=(\"$(printf %q \"$target\")\")\n"
	     "\tdone < <(" TARGETS ")\n}\n"
	     "_dbreconcilectl()\n{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' options='' word i\n"
	     "\tCOMPREPLY=()\n"
	     "\t# --option=value comes as three words\n"
	     "\t[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
	     "\t[[ $cur == = ]] && cur=''\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tword=${COMP_WORDS[i]}\n"
	     "\t\tcase $word in\n"
	     "\t\t-s|-S|-o|-t|--socket|--metrics-socket|--output|--timeout|--color)\n"
	     "\t\t\t((i++))\n"
	     "\t\t\t[[ ${COMP_WORDS[i]} == = ]] && ((i++)) ;;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) command=$word; break ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase $prev in\n"
	     "\t-o) prev=--output ;;\n"
	     "\t-s|-S|--socket|--metrics-socket) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	     "\tesac\n"
	     "\tcase $command:$prev in");
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		bash_values(c->name, c->options);
	bash_values("*", ctl_global_options);
	fputs("\tesac\n\tif [[ -z $command && $cur != -* ]]; then\n\t\tCOMPREPLY=($(compgen -W '", stdout);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		printf("%s%s", c == ctl_commands ? "" : " ", c->name);
	puts("' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $command in");
}

static void bash(void)
{
	bash_begin();
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t%s)\n\t\toptions='", c->name);
		bash_words(c->options);
		puts("'");
		if (c->words)
			printf("\t\tCOMPREPLY=($(compgen -W '%s' -- \"$cur\"))\n", c->words);
		if (c->complete == COMPLETE_TARGETS)
			puts("\t\t[[ $cur == -* ]] || _dbreconcilectl_targets \"$cur\"");
		if (c->run == command_config)
			puts("\t\t[[ $cur == -* ]] || COMPREPLY+=($(compgen -f -- \"$cur\"))");
		puts("\t\t;;");
	}
	fputs("\tesac\n\tif [[ $cur == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W \"$options", stdout);
	bash_words(ctl_global_options);
	puts("\" -- \"$cur\"))\n\t\t[[ ${COMPREPLY-} == *= ]] && compopt -o nospace\n\tfi\n} &&\ncomplete -F _dbreconcilectl dbreconcilectl");
}

/* Text inside single quotes, with what _arguments and _describe treat as their own escaped. */
static void zsh_text(const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (strchr(":[]\\", *s))
			printf("\\%c", *s);
		else
			putchar(*s);
	}
}

static void zsh_option(const struct ctl_option *o, const char *prefix, const char *name)
{
	/* How _arguments is told that the value follows in the same word, or may. */
	static const char *const joined[2][3] = { { "", "+", "-" }, { "", "=", "=-" } };

	printf(" \\\n\t\t\t'%s%s%s[", prefix, name, joined[prefix[1] == '-'][o->arg]);
	zsh_text(o->help);
	putchar(']');
	if (o->arg != ARG_NONE) {
		printf("%s%s:", o->arg == ARG_OPTIONAL ? "::" : ":", o->arg_name);
		if (o->values)
			printf("(%s)", o->values);
		else if (strcmp(o->arg_name, "PATH") == 0)
			fputs("_files", stdout);
	}
	putchar('\'');
}

static bool letter_taken(const struct ctl_option *own, char letter)
{
	for (; own && own->name; own++)
		if (own->letter == letter)
			return true;
	return false;
}

static void zsh_options(const struct ctl_option *options, const struct ctl_option *before)
{
	for (; options && options->name; options++) {
		char letter[2] = { options->letter, '\0' };

		zsh_option(options, "--", options->name);
		if (options->letter && !letter_taken(before, options->letter))
			zsh_option(options, "-", letter);
	}
}

static void zsh(void)
{
	puts("#compdef dbreconcilectl\n# zsh completion of dbreconcilectl; written by `dbreconcilectl completion zsh`\n"
	     "_dbreconcilectl_targets()\n{\n"
	     "\tlocal -a targets\n"
	     "\ttargets=(${(f)\"$(" TARGETS ")\"})\n"
	     "\tcompadd -a targets\n}\n"
	     "_dbreconcilectl()\n{\n"
	     "\tlocal context state state_descr line\n\ttypeset -A opt_args\n\tlocal -a commands\n\tcommands=(");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t\t'%s:", c->name);
		zsh_text(c->help);
		puts("'");
	}
	fputs("\t)\n\t_arguments -C", stdout);
	zsh_options(ctl_global_options, NULL);
	puts(" \\\n\t\t\t'1: :->command' '*:: :->arguments'\n\tcase $state in\n\tcommand) _describe -t commands command commands ;;\n"
	     "\targuments)\n\t\tcase $words[1] in");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t\t%s) _arguments", c->name);
		zsh_options(c->options, NULL);
		zsh_options(ctl_global_options, c->options);
		if (c->complete == COMPLETE_WORDS)
			printf(" \\\n\t\t\t'1: :(%s)'%s", c->words, c->run == command_config ? " '2: :_files'" : "");
		else if (c->complete == COMPLETE_TARGETS)
			fputs(" \\\n\t\t\t'*: :_dbreconcilectl_targets'", stdout);
		puts(" ;;");
	}
	puts("\t\tesac ;;\n\tesac\n}\n_dbreconcilectl \"$@\"");
}

static void fish_text(const char *s)
{
	putchar('\'');
	for (; *s; s++)
		printf(*s == '\'' || *s == '\\' ? "\\%c" : "%c", *s);
	putchar('\'');
}

static void fish_options(const char *condition, const struct ctl_option *options)
{
	for (; options && options->name; options++) {
		printf("complete -c dbreconcilectl%s -l %s", condition, options->name);
		if (options->letter)
			printf(" -s %c", options->letter);
		if (options->arg == ARG_REQUIRED)
			fputs(" -r", stdout);
		if (options->values)
			printf(" -a '%s'", options->values);
		else if (options->arg_name && strcmp(options->arg_name, "PATH") == 0)
			fputs(" -F", stdout);
		fputs(" -d ", stdout);
		fish_text(options->help);
		putchar('\n');
	}
}

static void fish(void)
{
	char condition[128];

	puts("# fish completion of dbreconcilectl; written by `dbreconcilectl completion fish`\ncomplete -c dbreconcilectl -f");
	fish_options("", ctl_global_options);
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("complete -c dbreconcilectl -n __fish_use_subcommand -a %s -d ", c->name);
		fish_text(c->help);
		putchar('\n');
		snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", c->name);
		fish_options(condition, c->options);
		if (c->words)
			printf("complete -c dbreconcilectl%s -a '%s'\n", condition, c->words);
		if (c->complete == COMPLETE_TARGETS)
			printf("complete -c dbreconcilectl%s -a '(%s)'\n", condition, TARGETS);
		if (c->run == command_config)
			printf("complete -c dbreconcilectl%s -F\n", condition);
	}
}

int command_completion(struct ctl *ctl)
{
	static const struct { const char *shell; void (*write)(void); } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
		if (strcmp(shells[i].shell, ctl->args[0]) != 0)
			continue;
		shells[i].write();
		return DBR_EXIT_OK;
	}
	return ctl_complain(DBR_EXIT_USAGE, "\"%s\" is none of bash, zsh, fish", ctl->args[0]);
}
