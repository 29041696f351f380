/* SPDX-License-Identifier: PostgreSQL */
/* Counted things: settings, a server under them, and looks. The last one out frees. */
#include "engine/internal.h"

#include <talloc.h>

void settings_hold_unref(struct settings_hold *hold)
{
	if (--hold->refs == 0)
		talloc_free(hold);
}

struct settings_hold *settings_hold_new(void *parent, struct settings *settings)
{
	struct settings_hold *hold = talloc_zero(parent, struct settings_hold);

	hold->refs = 1;
	hold->settings = talloc_steal(hold, settings);
	return hold;
}

struct generation *generation_new(void *parent, struct settings_hold *hold, const struct server_settings *server)
{
	struct generation *gen = talloc_zero(parent, struct generation);

	gen->refs = 1;
	gen->hold = hold;
	hold->refs++;
	gen->server = server;
	gen->names = names_new(gen);
	if (desired_server(gen, gen->names, server, &gen->desired, &gen->error) != 0) {
		gen->desired = NULL;
		error_set(&gen->error, "the manifests of server '%s' could not be compiled", server->name);
	}
	return gen;
}

struct generation *generation_ref(struct generation *gen)
{
	gen->refs++;
	return gen;
}

void generation_unref(struct generation *gen)
{
	if (gen == NULL || --gen->refs > 0)
		return;
	settings_hold_unref(gen->hold);
	talloc_free(gen);
}

struct look *look_new(void *parent, struct generation *gen)
{
	struct look *look = talloc_zero(parent, struct look);

	look->refs = 1;
	look->gen = generation_ref(gen);
	return look;
}

struct look *look_ref(struct look *look)
{
	look->refs++;
	return look;
}

void look_unref(struct look *look)
{
	struct generation *gen;

	if (look == NULL || --look->refs > 0)
		return;
	gen = look->gen;
	talloc_free(look);
	generation_unref(gen);
}
