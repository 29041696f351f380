/* SPDX-License-Identifier: PostgreSQL */
#include "engine/seed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "engine/internal.h"
#include "engine/migrator.h"

static void key_of(const struct target *t, char *key, size_t size)
{
	snprintf(key, size, "created/%s", t->name);
}

void seed_load(struct target *t)
{
	char key[300], *text = NULL, word[8] = "";

	key_of(t, key, sizeof(key));
	if (target_is_root(t) || state_get(t->engine->state, NULL, key, &text) != 0)
		return;
	if (sscanf(text, "%" SCNu64 " %" SCNu32 " %7s", &t->created.system_identifier, &t->created.oid, word) >= 2)
		t->created.seeded = strcmp(word, "seeded") == 0;
	talloc_free(text);
}

static void store(const struct target *t)
{
	char key[300], value[64];

	key_of(t, key, sizeof(key));
	snprintf(value, sizeof(value), "%" PRIu64 " %" PRIu32 "%s", t->created.system_identifier, t->created.oid,
		 t->created.seeded ? " seeded" : "");
	state_put(t->engine->state, key, value);
}

void seed_created(struct server *s, const char *database)
{
	for (uint32_t i = 0; i < s->n_databases; i++) {
		struct target *t = s->databases[i];

		if (strcmp(t->database, database) != 0)
			continue;
		t->created = (struct created){ .just_now = true };
		identity_forget(t);
		brake_release(t);
	}
}

static const struct database *find(const struct server_state *state, const char *database)
{
	for (uint32_t i = 0; i < state->n_databases; i++)
		if (strcmp(names_text(state->names, state->databases[i].name), database) == 0)
			return &state->databases[i];
	return NULL;
}

void seed_identify(struct server *s)
{
	const struct server_state *state = s->look->server_state;

	for (uint32_t i = 0; i < s->n_databases; i++) {
		struct target *t = s->databases[i];
		const struct database *live = t->created.just_now ? find(state, t->database) : NULL;

		if (live == NULL)
			continue;
		t->created = (struct created){ .system_identifier = state->facts.system_identifier, .oid = live->oid };
		store(t);
	}
}

bool seed_is_ours(const struct target *t)
{
	bool looking = t->pass != NULL && t->pass->look != NULL && t->pass->look->database_state != NULL;
	const struct look *look = looking ? t->pass->look : t->look;
	const struct server_facts *facts = look != NULL && look->database_state != NULL ? &look->database_state->facts : NULL;

	return facts != NULL && t->created.oid != 0 && t->created.oid == facts->database_oid &&
	       t->created.system_identifier == facts->system_identifier;
}

bool seed_wanted(const struct target *t)
{
	if (t->db == NULL || t->db->migrations.seed == NULL || t->look == NULL || t->look->database_state == NULL)
		return false;
	return !t->created.seeded && seed_is_ours(t);
}

struct source_files *seed_files(const struct target *t)
{
	struct migration_settings source = t->db->migrations;
	const char *directory = source.seed;

	source.directories = &directory;
	source.n_directories = 1;
	return source_files_view(t->engine, &source, t->database);
}

int seed_begin(struct target *t, struct migrator_params *params, struct error *err)
{
	const struct migration_settings *m = &t->db->migrations;

	source_files_unref(t->pass->seed_files);
	t->pass->seed_files = seed_files(t);
	if (t->pass->seed_files->files == NULL) {
		*err = t->pass->seed_files->error;
		return 1;
	}
	params->files = t->pass->seed_files->files;
	params->planned = NULL;
	params->table = talloc_asprintf(t->pass, "%s_seed", m->table_name);
	params->ledger_expected = false;
	return 0;
}

void seed_done(struct target *t)
{
	t->created.seeded = true;
	store(t);
}
