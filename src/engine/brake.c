/* SPDX-License-Identifier: PostgreSQL */
#include "base/hash.h"
#include "base/text.h"
#include "engine/internal.h"
#include "engine/seed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static const char kind_letters[] = "-fbas";

static void key_of(const struct target *t, char *key, size_t size)
{
	snprintf(key, size, "migrations/failed/%s", t->name);
}

/* "f 0123456789abcdef rank SQLSTATE|- line column\nfile\ntext\nhint": what a restart must not forget. */
static char *brake_text(void *parent, const struct brake *b)
{
	return talloc_asprintf(parent, "%c %016" PRIx64 " %d %s %u %u\n%s\n%s\n%s", kind_letters[b->kind], b->digest, b->rank,
			       b->error.sqlstate[0] != '\0' ? b->error.sqlstate : "-", b->error.line, b->error.column, b->error.file,
			       b->error.text, b->error.hint);
}

static char *next_line(char **rest)
{
	char *line = *rest, *end = line + strcspn(line, "\n");

	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return line;
}

static bool brake_parse(char *s, struct brake *b)
{
	char sqlstate[6], letter;
	char *head = next_line(&s), *file = next_line(&s), *text;
	const char *at;

	*b = (struct brake){ 0 };
	if (sscanf(head, "%c %16" SCNx64 " %d %5s %u %u", &letter, &b->digest, &b->rank, sqlstate, &b->error.line,
		   &b->error.column) != 6)
		return false;
	at = strchr(kind_letters + 1, letter);
	if (at == NULL || letter == '\0')
		return false;
	b->kind = (enum brake_kind)(at - kind_letters);
	text = next_line(&s);
	snprintf(b->error.sqlstate, sizeof(b->error.sqlstate), "%s", strcmp(sqlstate, "-") == 0 ? "" : sqlstate);
	snprintf(b->error.file, sizeof(b->error.file), "%s", file);
	snprintf(b->error.text, sizeof(b->error.text), "%s", text);
	snprintf(b->error.hint, sizeof(b->error.hint), "%s", s);
	return true;
}

void brake_load(struct target *t)
{
	char key[300], *text = NULL;

	key_of(t, key, sizeof(key));
	if (target_is_root(t) || state_get(t->engine->state, NULL, key, &text) != 0)
		return;
	if (!brake_parse(text, &t->brake))
		t->brake = (struct brake){ 0 };
	talloc_free(text);
}

/* A text of several lines would not come back as it was. */
static void flatten(char *s)
{
	for (; *s != '\0'; s++)
		if (*s == '\n')
			*s = ' ';
}

static void store(const struct target *t)
{
	char key[300], *text = brake_text(NULL, &t->brake);

	key_of(t, key, sizeof(key));
	state_put(t->engine->state, key, text);
	talloc_free(text);
}

/* Seed data has files of its own. */
static uint64_t digest_of(const struct target *t, enum brake_kind kind, struct source_files *seed)
{
	uint64_t digest = source_files_digest_shown(t->files), of_seed;

	if (kind != BRAKE_SEED || seed == NULL)
		return digest;
	of_seed = source_files_digest_shown(seed);
	return hash_mix(digest, &of_seed, sizeof(of_seed));
}

void brake_set(struct target *t, enum brake_kind kind, const struct error *err)
{
	const size_t room = sizeof(err->hint) - strlen(t->name) - 100;      /* beside our own words */
	char *hint, *shown;

	t->brake = (struct brake){ .kind = kind, .digest = digest_of(t, kind, t->pass != NULL ? t->pass->seed_files : NULL), .rank = -1, .error = *err };
	error_name_target(&t->brake.error, t->name);
	hint = talloc_strdup(NULL, t->brake.error.hint);
	flatten(t->brake.error.text);
	flatten(hint);
	shown = text_escape(hint, hint, strlen(hint), room);
	error_hint(&t->brake.error, "%s%sit is tried again when the files have changed, or with: dbreconcilectl reconcile %s", shown,
		   shown[0] != '\0' ? "; " : "", t->name);
	talloc_free(hint);
	if (t->pass != NULL)
		t->pass->retry = false;       /* what was ordered was done */
	store(t);
}

void brake_release(struct target *t)
{
	char key[300];

	if (t->brake.kind == BRAKE_NONE)
		return;
	t->brake = (struct brake){ 0 };
	key_of(t, key, sizeof(key));
	state_delete(t->engine->state, key);
}

bool brake_is_of_other_files(const struct target *t)
{
	struct source_files *seed = t->brake.kind == BRAKE_SEED && t->db->migrations.seed != NULL ? seed_files(t) : NULL;
	bool other = t->brake.kind != BRAKE_NONE && t->brake.digest != digest_of(t, t->brake.kind, seed);

	source_files_unref(seed);
	return other;
}

/* Other files are another attempt; and a ledger that has changed since was mended by hand. */
void brake_review(struct target *t)
{
	if (t->brake.kind == BRAKE_NONE)
		return;
	if (brake_is_of_other_files(t) || (t->brake.rank >= 0 && t->brake.rank != t->migrations->last_rank)) {
		brake_release(t);
	} else if (t->brake.rank < 0) {
		t->brake.rank = t->migrations->last_rank;
		store(t);
	}
}

bool brake_holds(const struct target *t)
{
	return t->brake.kind != BRAKE_NONE && !(t->pass != NULL && t->pass->retry);
}

bool brake_harmless(enum failure failure, bool file_began)
{
	switch (failure) {
	case FAILURE_CONNECT: case FAILURE_STARTING: case FAILURE_TOO_MANY: case FAILURE_LOCK:
		return true;
	default:
		return !file_began;       /* no login, no lock, another ledger than planned: nothing has run */
	}
}
