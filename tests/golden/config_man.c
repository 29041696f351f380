/* SPDX-License-Identifier: PostgreSQL */
/*
 * config_man daemon|manifest: the reference part of dbreconciled.conf(5) or
 * dbreconcile-manifest(5) as mdoc, from the tables that read the files. A row
 * without help ends it with an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"

#define GROUPS_MAX 64

static const struct option_group *printed[GROUPS_MAX];
static size_t n_printed;

/* Directories as they are for a package; the build may say others. */
static void print_path(const char *s)
{
	static const struct {
		const char *built, *packaged;
	} dirs[] = { { RUNSTATEDIR, "/run" }, { SYSCONFDIR, "/etc" }, { LOCALSTATEDIR, "/var" } };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (strncmp(s, dirs[i].built, strlen(dirs[i].built)) == 0) {
			printf("%s%s", dirs[i].packaged, s + strlen(dirs[i].built));
			return;
		}
	}
	fputs(s, stdout);
}

/* Every sentence on a line of its own, and no line over 78 characters, as mdoc wants it. */
static void print_help(const char *help)
{
	size_t column = 0;

	while (*help) {
		size_t word = strcspn(help, " ");

		if (column > 0 && column + 1 + word > 78) {
			putchar('\n');
			column = 0;
		}
		if (column > 0)
			putchar(' ');
		column += word + (column > 0);
		printf("%.*s", (int) word, help);
		if (word > 0 && help[word - 1] == '.' && help[word]) {
			putchar('\n');
			column = 0;
		}
		help += word;
		help += *help == ' ';
	}
	putchar('\n');
}

static void print_range(const struct option *o)
{
	char low[32], high[32];

	if (o->type == &type_duration)
		printf("From %s to %s.\n", duration_format(o->min, low, sizeof(low)), duration_format(o->max, high, sizeof(high)));
	else if (o->type == &type_count || o->type == &type_limit)
		printf("From %lld to %lld.\n", (long long) o->min, (long long) o->max);
}

static void print_row(const struct option_group *group, const struct option *o)
{
	if (!o->help || !*o->help) {
		fprintf(stderr, "the setting '%s' of '%s' has no help\n", o->key, group->name);
		exit(1);
	}
	printf(".It Va %s Pq %s", o->key, o->type->name);
	if (o->flags & OPT_REQUIRED)
		printf(", required");
	putchar('\n');
	print_help(o->help);
	print_range(o);
	if (o->fallback && *o->fallback) {
		printf("Default:\n.Ql ");
		print_path(o->fallback);
		printf(" .\n");
	}
	if (o->words && o->type == &type_word && o->words[0].word && !o->fallback && !strstr(o->help, o->words[0].word)) {
		for (const struct option_word *w = o->words; w->word; w++)
			printf("%s.Cm %s%s\n", w == o->words ? "One of\n" : "", w->word, w[1].word ? " ," : " .");
	}
}

static void print_group(const struct option_group *group, const char *path);

static bool was_printed(const struct option_group *group)
{
	for (size_t i = 0; i < n_printed; i++)
		if (printed[i] == group)
			return true;
	return false;
}

static void print_group(const struct option_group *group, const char *path)
{
	if (was_printed(group) || n_printed == GROUPS_MAX)
		return;
	printed[n_printed++] = group;
	printf(".Ss %s%s\n.Bl -tag -width Ds\n", *path ? "In " : "Top level", path);
	for (size_t i = 0; i < group->n; i++)
		print_row(group, &group->rows[i]);
	printf(".El\n");
	for (size_t i = 0; i < group->n; i++) {
		const struct option *o = &group->rows[i];
		char nested[128];

		if (!o->group)
			continue;
		snprintf(nested, sizeof(nested), "%s%s%s", path, *path ? "." : "", o->key);
		print_group(o->group, nested);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2 || (strcmp(argv[1], "daemon") != 0 && strcmp(argv[1], "manifest") != 0)) {
		fprintf(stderr, "usage: config_man daemon|manifest\n");
		return 2;
	}
	print_group(strcmp(argv[1], "daemon") == 0 ? &config_root : &manifest_root, "");
	return 0;
}
