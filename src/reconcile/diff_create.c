/* SPDX-License-Identifier: PostgreSQL */
/* Databases that the configuration wants made where they are not there. Nothing here ever drops or changes one. */
#include "reconcile/diff.h"

#include <string.h>
#include <talloc.h>

static bool exists(const struct differ *d, name_id name)
{
	for (uint32_t i = 0; i < d->server->n_databases; i++)
		if (d->server->databases[i].name == name)
			return true;
	return false;
}

/* Its own entry says who owns it, else a manifest that declares the database. */
static name_id owner_of(const struct differ *d, const struct database_settings *settings, name_id name)
{
	if (settings->owner)
		return names_put(d->names, settings->owner);
	for (uint32_t i = 0; i < d->desired->n_databases; i++)
		if (d->desired->databases[i].name == name)
			return d->desired->databases[i].owner;
	return NAME_NONE;
}

void diff_create_databases(struct differ *d)
{
	const struct server_settings *server = d->desired->server;

	for (uint32_t i = 0; i < server->n_databases; i++) {
		const struct database_settings *settings = &server->databases[i];
		name_id name = settings->name && settings->create ? names_put(d->names, settings->name) : NAME_NONE;
		struct change *change;

		if (name == NAME_NONE || exists(d, name))
			continue;
		change = differ_add(d, CHANGE_CREATE_DATABASE, DRIFT_DATABASE, PHASE_DATABASES, settings->source);
		change->name = settings->name;
		change->role = owner_of(d, settings, name);
		change->extra = settings->template;
		change->value = settings->encoding;
		if (d->context->database_known && d->context->database_known(d->context->database_data, settings->name)) {
			change->state = CHANGE_HELD;
			change->reason = talloc_asprintf(d->plan, "the database %s was there and is gone: an empty one in its place needs approval",
							 settings->name);
		}
	}
}
