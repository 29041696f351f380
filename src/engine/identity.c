/* SPDX-License-Identifier: PostgreSQL */
/*
 * Is it the cluster and the database that we knew? The first answer is
 * remembered; another one stops everything for that target until an operator
 * approves exactly the new one.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/schema.h"

struct identity {
	uint64_t system;
	uint32_t oid;             /* 0 for a server target */
};

void identity_approval_id(uint64_t system_identifier, uint32_t oid, char id[17])
{
	snprintf(id, 17, "%016" PRIx64, system_identifier ^ (uint64_t)oid << 16);
}

static struct identity identity_parse(const char *text)
{
	struct identity i = { 0 };

	if (sscanf(text, "%" SCNu64 "/%" SCNu32, &i.system, &i.oid) < 1)
		i = (struct identity){ 0 };
	return i;
}

static void identity_remember(struct target *t, struct identity i)
{
	char key[300], value[64];

	snprintf(key, sizeof(key), "identity/%s", t->name);
	snprintf(value, sizeof(value), "%" PRIu64 "/%" PRIu32, i.system, i.oid);
	state_put(t->engine->state, key, value);
}

static bool identity_approved(struct target *t, struct identity i)
{
	char id[17];
	struct approval approval;
	void *scratch = talloc_new(NULL);
	bool ok;

	identity_approval_id(i.system, i.oid, id);
	ok = state_approval(t->engine->state, scratch, t->name, id, clock_wall(), &approval) == 0 && !approval.rejected;
	if (ok) {
		state_approval_used(t->engine->state, t->name, id);
		log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_IDENTITY_ACCEPTED, "new identity accepted, approved by %s", approval.actor);
	}
	talloc_free(scratch);
	return ok;
}

static int refuse(struct target *t, struct identity was, struct identity is, struct error *err)
{
	char id[17];

	identity_approval_id(is.system, is.oid, id);
	memcpy(t->identity_offered, id, sizeof(id));
	if (was.system != is.system)
		error_set(err, "another cluster answers: system identifier %" PRIu64 ", known is %" PRIu64 "; nothing is touched", is.system,
			  was.system);
	else
		error_set(err, "another database has this name: oid %" PRIu32 ", known is %" PRIu32 "; nothing is touched", is.oid, was.oid);
	error_hint(err, "check conninfo, DNS and restores; if it is meant to be so: dbreconcilectl approve %s %s", t->name, id);
	return 1;
}

static struct identity identity_known(struct target *t, const char *name)
{
	struct identity i = { 0 };
	char key[300], *known = NULL;

	snprintf(key, sizeof(key), "identity/%s", name);
	if (state_get(t->engine->state, t->pass, key, &known) == 0)
		i = identity_parse(known);
	talloc_free(known);
	return i;
}

/* A database of a cluster that was itself accepted anew is new, and needs no word of its own. */
static bool cluster_accepted(struct target *t, struct identity was, struct identity is)
{
	return !target_is_root(t) && was.system != is.system && identity_known(t, t->server->name).system == is.system;
}

/* What was never known cannot differ. */
static bool another(struct identity was, struct identity is)
{
	return (was.system != 0 && was.system != is.system) || (was.oid != 0 && was.oid != is.oid);
}

int identity_check(struct target *t, const struct server_facts *facts, struct error *err)
{
	struct identity is = { facts->system_identifier, target_is_root(t) ? 0 : facts->database_oid };
	struct identity was = identity_known(t, t->name);

	if (facts->in_recovery) {
		error_set(err, "this server is not the primary (it is in recovery); nothing can be written here");
		error_hint(err, "point conninfo at the primary, or list every host and add target_session_attrs=primary");
		return 1;
	}
	if (was.system == is.system && was.oid == is.oid)
		return 0;
	if (was.system != 0 && is.system == 0) {
		error_set(err, "the system identifier cannot be read any more, so this cannot be told from another cluster");
		error_hint(err, "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO the role of conninfo");
		return 1;
	}
	if (was.system == 0 && !target_is_root(t))
		was.system = identity_known(t, t->server->name).system;      /* a new database, but of the cluster that we know */
	if (another(was, is) && !cluster_accepted(t, was, is) && !identity_approved(t, is))
		return refuse(t, was, is, err);
	identity_remember(t, is);
	t->identity_offered[0] = '\0';
	return 0;
}

bool identity_is(struct target *t, uint64_t system_identifier, uint32_t oid)
{
	struct identity is = identity_known(t, t->name);

	return (is.system == 0 || system_identifier == 0 || is.system == system_identifier) && (is.oid == 0 || oid == 0 || is.oid == oid);
}

bool identity_database_known(void *root, const char *database)
{
	struct target *t = root;
	char *name = talloc_asprintf(NULL, "%s/%s", t->name, database);
	struct identity known = identity_known(t, name);

	talloc_free(name);
	return known.oid != 0 && known.system == identity_known(t, t->name).system;
}

void identity_forget(struct target *t)
{
	static const char *const what[] = { "identity", "ledger" };
	char key[300];

	for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		snprintf(key, sizeof(key), "%s/%s", what[i], t->name);
		state_delete(t->engine->state, key);
	}
	TALLOC_FREE(t->ledger_noted);
	schema_forget(t);
}
