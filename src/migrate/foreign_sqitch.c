/* SPDX-License-Identifier: PostgreSQL */
/*
 * sqitch.plan: pragmas (%), tags (@) and changes, a line each:
 *   name [dependencies] 2026-01-02T03:04:05Z Planner <mail> # note
 */
#include "migrate/foreign.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <talloc.h>

/* A time as the plan writes it; the next word otherwise. */
static bool is_time(const char *s)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";

	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != form[i])
			return false;
	return true;
}

static char *blanks(char *s)
{
	return s + strspn(s, " \t");
}

static int take_change(struct migration_files *files, char *line, struct error *err, const char *path, unsigned number)
{
	char *name = blanks(line + (*line == '+')), *rest = name + strcspn(name, " \t");
	struct migration_file *file;

	if (*rest)
		*rest++ = '\0';
	rest = blanks(rest);
	if (*rest == '[') {
		rest += strcspn(rest, "]");
		rest = blanks(rest + (*rest == ']'));
	}
	if (!*name || !is_time(rest)) {
		error_set_at(err, path, number, "change '%.64s': expected a time such as 2026-01-02T03:04:05Z behind the name and its dependencies", name);
		error_hint(err, "the daemon reads plans of syntax version 1.0.0; sqitch plan shows whether Sqitch can read it");
		return 1;
	}
	file = foreign_add(files);
	if (!file)
		return -ENOMEM;
	file->path = path;
	file->version = talloc_asprintf(files, "%s %.20s", name, rest);
	file->description = talloc_strdup(files, name);
	file->script = talloc_asprintf(files, "deploy/%s.sql", name);
	return 0;
}

/* The script of a change that was reworked is kept under the tag that stood before the rework. */
static void take_tag(struct migration_files *files, const char *tag, uint32_t *tagged, const char **tags)
{
	size_t len = strcspn(tag, " \t");

	for (; *tagged < files->n; ++*tagged)
		tags[*tagged] = talloc_strndup(files, tag, len);
}

static void name_reworked(struct migration_files *files, const char **tags)
{
	for (uint32_t i = 0; i < files->n; i++)
		for (uint32_t k = i + 1; tags[i] && k < files->n; k++)
			if (strcmp(files->v[i].description, files->v[k].description) == 0) {
				files->v[i].script = talloc_asprintf(files, "deploy/%s%s.sql", files->v[i].description, tags[i]);
				break;
			}
}

static uint32_t count_lines(const char *text)
{
	uint32_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int take_line(struct migration_files *files, struct foreign_files *foreign, char *line, const char *path, unsigned number,
		     uint32_t *tagged, const char **tags, struct error *err)
{
	static const char project[] = "project";
	char *value;

	switch (*line) {
	case '\0':
	case '#':
		return 0;
	case '%':
		value = strchr(line, '=');
		line = blanks(line + 1);
		if (value && strncmp(line, project, strlen(project)) == 0 && strchr(" \t=", line[strlen(project)]))
			foreign->project = talloc_strdup(foreign, blanks(value + 1));
		return 0;
	case '@':
		take_tag(files, line, tagged, tags);
		return 0;
	case '-':
		error_set_at(err, path, number, "a change that begins with '-' reverts: such plans are not understood");
		return 1;
	}
	return take_change(files, line, err, path, number);
}

int sqitch_parse(struct migration_files *files, struct foreign_files *foreign, const char *path, const char *text, struct error *err)
{
	char *copy = talloc_strdup(files, text), *next;
	const char **tags = talloc_zero_array(copy, const char *, count_lines(text) + 1);
	uint32_t tagged = 0;
	unsigned number = 1;
	int r = 0;

	if (!copy || !tags)
		return -ENOMEM;
	for (char *line = copy; r == 0 && line; line = next, number++) {
		size_t len = strcspn(line, "\n");

		next = line[len] ? line + len + 1 : NULL;
		while (len > 0 && strchr(" \t\r", line[len - 1]))
			len--;
		line[len] = '\0';
		r = take_line(files, foreign, blanks(line), path, number, &tagged, tags, err);
	}
	if (r == 0 && !foreign->project) {
		error_set_at(err, path, 0, "there is no %%project");
		r = 1;
	}
	if (r == 0)
		name_reworked(files, tags);
	talloc_free(copy);
	return r;
}
