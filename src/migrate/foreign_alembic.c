/* SPDX-License-Identifier: PostgreSQL */
/*
 * Alembic's revision files: assignments of literals at the beginning of a line, which is how its template writes them.
 * Python is not run.
 */
#include "migrate/foreign.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

/* ---- one file ---- */

struct scan {
	void *parent;
	const char *path;
	const char *p;
	unsigned line;
};

static void step(struct scan *s)
{
	s->line += *s->p == '\n';
	s->p++;
}

static bool triple(const char *p)
{
	return (p[0] == '"' || p[0] == '\'') && p[1] == p[0] && p[2] == p[0];
}

/* Behind the string that begins here. */
static void skip_string(struct scan *s)
{
	const char *quote = s->p;
	unsigned n = triple(quote) ? 3 : 1;

	for (unsigned i = 0; i < n; i++)
		step(s);
	while (*s->p && (n == 3 || *s->p != '\n')) {
		if (strncmp(s->p, quote, n) == 0) {
			s->p += n;
			return;
		}
		if (*s->p == '\\' && s->p[1])
			step(s);
		step(s);
	}
}

/* To the beginning of the next line, past strings that span lines. */
static void skip_line(struct scan *s)
{
	while (*s->p && *s->p != '\n') {
		if (*s->p == '#')
			s->p += strcspn(s->p, "\n");
		else if (*s->p == '"' || *s->p == '\'')
			skip_string(s);
		else
			step(s);
	}
	if (*s->p)
		step(s);
}

/* Blanks and comments; line ends too inside of brackets. */
static void skip_blanks(struct scan *s, bool lines)
{
	for (;;) {
		if (*s->p == '#')
			s->p += strcspn(s->p, "\n");
		else if (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || (*s->p == '\\' && s->p[1] == '\n') || (lines && *s->p == '\n'))
			step(s);
		else
			return;
	}
}

/* A string without escapes: revisions need none. */
static char *take_string(struct scan *s)
{
	char quote = *s->p;
	const char *start = s->p + 1;
	size_t len;

	if ((quote != '"' && quote != '\'') || triple(s->p))
		return NULL;
	len = strcspn(start, quote == '"' ? "\"\\\n" : "'\\\n");
	if (start[len] != quote)
		return NULL;
	s->p = start + len + 1;
	return talloc_strndup(s->parent, start, len);
}

static bool add_string(struct scan *s, const char ***list, unsigned *n)
{
	char *string = take_string(s);

	if (!string)
		return false;
	*list = talloc_realloc(s->parent, *list, const char *, *n + 2);
	if (!*list)
		abort();
	(*list)[(*n)++] = string;
	(*list)[*n] = NULL;
	return true;
}

/* None, a string, or several in any kind of brackets. */
static bool take_value(struct scan *s, const char ***ret)
{
	const char *opening = "([{", *which;
	unsigned n = 0;
	char closing;

	*ret = NULL;
	skip_blanks(s, false);
	if (strncmp(s->p, "None", 4) == 0 && !isalnum((unsigned char)s->p[4]) && s->p[4] != '_') {
		s->p += 4;
		return true;
	}
	which = *s->p ? strchr(opening, *s->p) : NULL;
	if (!which)
		return add_string(s, ret, &n);
	closing = ")]}"[which - opening];
	step(s);
	for (skip_blanks(s, true); *s->p != closing; skip_blanks(s, true)) {
		if (!add_string(s, ret, &n))
			return false;
		skip_blanks(s, true);
		if (*s->p == ',')
			step(s);
		else if (*s->p != closing)
			return false;
	}
	step(s);
	return true;
}

/* At "name = " or "name: annotation = ", which it goes past. */
static bool at_assignment(struct scan *s, const char *name)
{
	size_t len = strlen(name);
	const char *p = s->p + len;

	if (strncmp(s->p, name, len) != 0)
		return false;
	p += strspn(p, " \t");
	if (*p == ':')
		p += strcspn(p, "=\n");
	if (*p != '=' || p[1] == '=')
		return false;
	s->p = p + 1;
	return true;
}

static int take_assignment(struct scan *s, struct migration_file *file, struct foreign_revision *revision, struct error *err)
{
	const char **id = NULL;
	const struct { const char *name; const char ***value; } known[] = {
		{ "revision", &id }, { "down_revision", &revision->downs }, { "branch_labels", &revision->labels },
		{ "depends_on", &revision->depends },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		unsigned line = s->line;

		if (!at_assignment(s, known[i].name))
			continue;
		if (!take_value(s, known[i].value) || (i == 0 && (!id || id[1]))) {
			error_set_at(err, s->path, line, "the value of '%s' cannot be read: expected %s", known[i].name,
				     i == 0 ? "a string" : "None, a string or a tuple of strings");
			error_hint(err, "the file is not run as Python; write the value out");
			return 1;
		}
		if (i == 0)
			file->version = id[0];
		if (i <= 1)
			revision->line = line;
		return 0;
	}
	return 0;
}

/* The first line of the text that the file begins with. */
static char *message_of(void *parent, const char *text)
{
	size_t len;

	while (*text && strchr(" \t\r\n", *text))
		text++;
	if (!triple(text))
		return talloc_strdup(parent, "");
	text += 3;
	text += strspn(text, " \t\r\n");
	len = strcspn(text, "\r\n\"");
	return talloc_strndup(parent, text, len);
}

int alembic_parse(void *parent, const char *path, const char *text, struct migration_file *file, struct foreign_revision *revision,
		  struct error *err)
{
	struct scan s = { .parent = parent, .path = path, .p = text, .line = 1 };
	int r = 0;

	while (r == 0 && *s.p) {
		r = take_assignment(&s, file, revision, err);
		skip_line(&s);
	}
	if (r == 0 && !file->version) {
		error_set_at(err, path, 0, "there is no 'revision = \"...\"' at the beginning of a line");
		error_hint(err, "the directory is for revision files alone: the versions folder of the Alembic environment");
		r = 1;
	}
	file->description = message_of(parent, text);
	return r;
}

/* ---- what is built on what ---- */

static uint32_t index_of(const struct migration_files *files, const char *id)
{
	for (uint32_t i = 0; i < files->n; i++)
		if (strcmp(files->v[i].version, id) == 0)
			return i;
	return UINT32_MAX;
}

/* depends_on may name a branch by its label, and a revision by its beginning. */
static uint32_t resolve(const struct migration_files *files, const struct foreign_revision *revisions, const char *name)
{
	uint32_t at = index_of(files, name), found = UINT32_MAX;
	const char *part = strchr(name, '@');

	if (at != UINT32_MAX)
		return at;
	for (uint32_t i = 0; i < files->n; i++)
		for (const char **label = revisions[i].labels; label && *label; label++)
			if (strcmp(*label, name) == 0)
				return i;
	if (part && strcmp(part, "@head") != 0)
		return index_of(files, part + 1);
	for (uint32_t i = 0; i < files->n && strlen(name) >= 4; i++)
		if (strncmp(files->v[i].version, name, strlen(name)) == 0) {
			if (found != UINT32_MAX)
				return UINT32_MAX;
			found = i;
		}
	return found;
}

/* What revision i is built on, one after the other; UINT32_MAX = no file has it. */
static bool next_base(const struct migration_files *files, const struct foreign_revision *revisions, uint32_t i, uint32_t k, uint32_t *ret,
		      const char **ret_name, bool *ret_depends)
{
	uint32_t n = 0;

	*ret_depends = false;
	for (const char **down = revisions[i].downs; down && *down; down++)
		if (n++ == k) {
			*ret_name = *down;
			*ret = index_of(files, *down);
			return true;
		}
	*ret_depends = true;
	for (const char **depends = revisions[i].depends; depends && *depends; depends++)
		if (n++ == k) {
			*ret_name = *depends;
			*ret = resolve(files, revisions, *depends);
			return true;
		}
	return false;
}

static int check_bases(struct migration_files *files, const struct foreign_files *foreign, struct error *err)
{
	uint32_t at;
	const char *name;
	bool depends;

	for (uint32_t i = 0; i < files->n; i++) {
		const struct foreign_revision *revision = &foreign->revisions[i];

		if (index_of(files, files->v[i].version) != i) {
			error_set_at(err, revision->path, revision->line, "revision %s is there twice: also %s", files->v[i].version,
				     foreign->revisions[index_of(files, files->v[i].version)].path);
			return 1;
		}
		for (uint32_t k = 0; next_base(files, foreign->revisions, i, k, &at, &name, &depends); k++) {
			if (at != UINT32_MAX)
				continue;
			if (!depends) {
				error_set_at(err, revision->path, revision->line, "down_revision '%s': no file has this revision", name);
				error_hint(err, "put its file into the directory");
				return 1;
			}
			foreign_warn(files, talloc_asprintf(files, "%s: depends_on '%s' could not be found: it is not followed", revision->path, name));
		}
	}
	return 0;
}

/* Names become places once: a chain of a thousand revisions, in the wrong order, is gone through a thousand times. Ended by UINT32_MAX. */
static uint32_t *bases_of(void *parent, const struct migration_files *files, const struct foreign_revision *revisions, uint32_t i)
{
	uint32_t *bases = talloc_array(parent, uint32_t, 1), n = 0, at;
	const char *name;
	bool depends;

	for (uint32_t k = 0; bases && next_base(files, revisions, i, k, &at, &name, &depends); k++)
		if (at != UINT32_MAX) {
			bases[n++] = at;
			bases = talloc_realloc(parent, bases, uint32_t, n + 1);
		}
	if (bases)
		bases[n] = UINT32_MAX;
	return bases;
}

static bool is_ready(const uint32_t *bases, const bool *done)
{
	for (; *bases != UINT32_MAX; bases++)
		if (!done[*bases])
			return false;
	return true;
}

/* Again and again the first by name whose bases are all there. */
static int sort(struct migration_files *files, struct foreign_files *foreign, struct error *err)
{
	struct migration_file *v = talloc_array(files, struct migration_file, files->n + 1);
	struct foreign_revision *revisions = talloc_array(foreign, struct foreign_revision, files->n + 1);
	bool *done = talloc_zero_array(foreign, bool, files->n + 1);
	uint32_t **bases = talloc_array(done, uint32_t *, files->n + 1), n = 0;

	if (!v || !revisions || !bases)
		return -ENOMEM;
	for (uint32_t i = 0; i < files->n; i++)
		if (!(bases[i] = bases_of(done, files, foreign->revisions, i)))
			return -ENOMEM;
	while (n < files->n) {
		uint32_t before = n;

		for (uint32_t i = 0; i < files->n; i++)
			if (!done[i] && is_ready(bases[i], done)) {
				done[i] = true;
				v[n] = files->v[i];
				revisions[n++] = foreign->revisions[i];
			}
		if (n == before)
			break;
	}
	for (uint32_t i = 0; i < files->n && n < files->n; i++)
		if (!done[i])
			error_set_at(err, foreign->revisions[i].path, foreign->revisions[i].line, "revision %s is built on itself, over others",
				     files->v[i].version);
	talloc_free(done);
	if (error_is_set(err))
		return 1;
	talloc_free(files->v);
	talloc_free(foreign->revisions);
	files->v = v;
	foreign->revisions = revisions;
	return 0;
}

static void warn_of_heads(struct migration_files *files, const struct foreign_files *foreign)
{
	bool *built_on = talloc_zero_array(files, bool, files->n + 1);
	struct text *text = text_new(files);
	unsigned n = 0;

	for (uint32_t i = 0; built_on && i < files->n; i++)
		for (const char **down = foreign->revisions[i].downs; down && *down; down++)
			built_on[index_of(files, *down)] = true;
	for (uint32_t i = 0; built_on && i < files->n; i++)
		if (!built_on[i])
			text_addf(text, "%s%s", n++ > 0 ? ", " : "", files->v[i].version);
	if (n > 1)
		foreign_warn(files, talloc_asprintf(files, "the files have several heads: %s", text->s));
	talloc_free(built_on);
	talloc_free(text);
}

int alembic_order(struct migration_files *files, struct foreign_files *foreign, struct error *err)
{
	int r = check_bases(files, foreign, err);

	if (r == 0)
		r = sort(files, foreign, err);
	if (r == 0)
		warn_of_heads(files, foreign);
	return r;
}

/* The files are in order: one walk back is enough. */
bool alembic_mark(const struct migration_files *files, const char *head, bool *applied)
{
	const struct foreign_revision *revisions = files->foreign->revisions;
	uint32_t from = index_of(files, head), at;
	const char *name;
	bool depends;

	if (from == UINT32_MAX)
		return false;
	applied[from] = true;
	for (uint32_t i = from + 1; i-- > 0;)
		for (uint32_t k = 0; applied[i] && next_base(files, revisions, i, k, &at, &name, &depends); k++)
			if (at != UINT32_MAX)
				applied[at] = true;
	return true;
}
