/* SPDX-License-Identifier: PostgreSQL */
/* Which roles we can act as: computed once for a plan, from our own role upwards through the memberships. */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define BIT(how) (1u << (how))

/* What a membership passes on of what its member reaches. Before 16 the look shows rolinherit as inherit, and set as true. */
static uint8_t passed_on(const struct membership *m, uint8_t bits)
{
	return (uint8_t)((bits & BIT(REACH_MEMBER)) | (m->inherit ? bits & BIT(REACH_PRIVILEGES) : 0) | (m->set ? bits & BIT(REACH_SET) : 0));
}

void reach_begin(struct differ *d)
{
	bool changed = true;

	if (d->server->facts.is_superuser)
		return;
	d->n_reach = names_count(d->names) + 1;
	d->reach = talloc_zero_array(d->temporary, uint8_t, d->n_reach);
	if (!d->reach)
		abort();
	d->reach[d->me] = BIT(REACH_MEMBER) | BIT(REACH_PRIVILEGES) | BIT(REACH_SET);
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < d->server->n_memberships; i++) {
			const struct membership *m = &d->server->memberships[i];
			uint8_t bits = passed_on(m, d->reach[m->member]);

			changed |= (bits & ~d->reach[m->role]) != 0;
			d->reach[m->role] |= bits;
		}
	}
}

bool reaches(const struct differ *d, name_id role, enum reach how)
{
	return d->server->facts.is_superuser || (role < d->n_reach && (d->reach[role] & BIT(how)));
}

name_id role_really(const struct differ *d, name_id role)
{
	const struct database *here = NULL;

	if (d->database && strcmp(names_text(d->names, role), "pg_database_owner") == 0)
		here = server_database(d->server, d->database);
	return here ? here->owner : role;
}
