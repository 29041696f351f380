/* SPDX-License-Identifier: PostgreSQL */
/*
 * Event triggers fire on GRANT, REVOKE and the DDL of a pass, and their functions then run as we. A superuser made the
 * trigger; but who owns the function may replace it, and would have our rights. So where such a
 * function is not in good hands, nothing is sent that would call it. As superusers of PostgreSQL 17 and later we keep
 * them from firing (session/pin.c).
 */
#include "reconcile/diff.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

/* Has he what we have, or could he take it anyhow? */
static bool is_trusted(const struct server_state *server, name_id owner)
{
	const struct server_facts *facts = &server->facts;
	const struct role *role = server_role(server, owner);

	if (owner == facts->me || owner == facts->bootstrap || (role && role->attrs & ROLE_SUPERUSER))
		return true;
	if (facts->is_superuser || !role)
		return false;
	if (facts->version_num < 160000)
		return role->attrs & ROLE_CREATEROLE;             /* may set our password */
	for (uint32_t i = 0; i < server->n_memberships; i++) {
		const struct membership *m = &server->memberships[i];

		if (m->role == facts->me && m->member == owner && m->admin)
			return true;
	}
	return false;
}

/* Tags of what we send ourselves, by their beginnings; scripts of extensions may send anything. */
static bool may_be_ours(const char *tag, size_t len)
{
	static const char *const beginnings[] = { "GRANT", "REVOKE", "ALTER ", "COMMENT", "REASSIGN ", "DROP ", "CREATE SCHEMA", "CREATE POLICY",
						  "CREATE VIEW", "CREATE EXTENSION" };

	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		if (len >= strlen(beginnings[i]) && memcmp(tag, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

static bool watches_us(const struct event_trigger *e, struct text *scratch)
{
	const char *tag;
	size_t cursor = 0, len;

	if (!e->tags)
		return true;
	while ((tag = array_next(e->tags, e->tags_len, &cursor, scratch, &len)))
		if (may_be_ours(tag, len))
			return true;
	return false;
}

const struct event_trigger *untrusted_event_trigger(const struct server_state *server, const struct database_state *database, bool any_command)
{
	const struct event_trigger *found = NULL;
	struct text *scratch;

	if (server->facts.is_superuser && server->facts.version_num >= 170000)
		return NULL;
	scratch = text_new(NULL);
	for (uint32_t i = 0; i < database->n_event_triggers && !found; i++) {
		const struct event_trigger *e = &database->event_triggers[i];

		if (!is_trusted(server, e->owner) && (any_command || watches_us(e, scratch)))
			found = e;
	}
	talloc_free(scratch);
	return found;
}

static void keep_from_firing(struct differ *d, const struct event_trigger *e, struct change *c)
{
	struct text *remedy = text_new(d->plan);

	/* in this order: ALTER FUNCTION fires it too, ALTER EVENT TRIGGER never does */
	text_add(remedy, "as a superuser: ALTER EVENT TRIGGER ");
	quote_ident(remedy, e->name);
	text_addf(remedy, " DISABLE; ALTER FUNCTION %s OWNER TO ", e->function);
	quote_ident(remedy, names_text(d->names, d->server->facts.bootstrap));
	text_add(remedy, "; read what it does, then ALTER EVENT TRIGGER ");
	quote_ident(remedy, e->name);
	text_add(remedy, " ENABLE");
	change_block(c, talloc_asprintf(d->plan, "event trigger %s calls %s of role %s: it would run with the rights of dbreconcile", e->name,
					e->function, names_text(d->names, e->owner)), remedy->s);
}

static bool runs_scripts(const struct change *c)
{
	return c->op == CHANGE_CREATE_EXTENSION || c->op == CHANGE_UPDATE_EXTENSION;
}

void guard_event_triggers(struct differ *d)
{
	const struct event_trigger *ours, *any;

	if (!d->database || d->database->n_event_triggers == 0)
		return;
	ours = untrusted_event_trigger(d->server, d->database, false);
	any = untrusted_event_trigger(d->server, d->database, true);
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		struct change *c = &d->plan->changes[i];
		const struct event_trigger *e = runs_scripts(c) ? any : ours;

		if (e && c->state != CHANGE_BLOCKED)
			keep_from_firing(d, e, c);
	}
}
