/* SPDX-License-Identifier: PostgreSQL */
/* Whose function may an event trigger call while we work? */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <talloc.h>

#include "reconcile/plan.h"
#include "world.h"

#define TAGS(text) .tags = text, .tags_len = sizeof(text) - 1

static const struct {
	const char *what;
	int version;
	bool superuser, any_command;       /* we; a script of an extension */
	unsigned attrs;                    /* the owner's */
	bool administers_us;
	struct event_trigger trigger;
	bool found;
} cases[] = {
	{ "somebody's", 160000, true, false, ROLE_LOGIN, false, { .name = "t" }, true },
	{ "a creator of roles is less than a superuser", 150000, true, false, ROLE_CREATEROLE, false, { .name = "t" }, true },
	{ "a superuser's", 160000, true, false, ROLE_SUPERUSER, false, { .name = "t" }, false },
	{ "kept from firing", 170000, true, false, ROLE_LOGIN, false, { .name = "t" }, false },
	{ "only superusers can keep one from firing", 180000, false, false, ROLE_LOGIN, false, { .name = "t" }, true },
	{ "he may set our password", 150000, false, false, ROLE_CREATEROLE, false, { .name = "t" }, false },
	{ "he may not any more", 160000, false, false, ROLE_CREATEROLE, false, { .name = "t" }, true },
	{ "ADMIN on us", 160000, false, false, ROLE_LOGIN, true, { .name = "t" }, false },
	{ "ADMIN on a superuser does not count", 160000, true, false, ROLE_LOGIN, true, { .name = "t" }, true },
	{ "our tag", 160000, true, false, ROLE_LOGIN, false, { .name = "t", TAGS("{\"CREATE TABLE\",GRANT}") }, true },
	{ "not our tags", 160000, true, false, ROLE_LOGIN, false, { .name = "t", TAGS("{\"CREATE TABLE\",\"CREATE INDEX\"}") }, false },
	{ "a script's tag", 160000, true, true, ROLE_LOGIN, false, { .name = "t", TAGS("{\"CREATE TABLE\"}") }, true },
};

static void whose(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *mem = talloc_new(NULL);
		struct world *w = world_new(mem, cases[i].version);
		name_id owner = world_role(w, "owner", cases[i].attrs), me;
		struct server_state *server = world_server(mem, w);
		struct event_trigger trigger = cases[i].trigger;
		struct database_state database = { .event_triggers = &trigger, .n_event_triggers = 1 };
		struct membership admin = { 0 };
		const struct event_trigger *found;

		me = server->facts.me;
		server->facts.is_superuser = cases[i].superuser;
		admin = (struct membership){ .role = me, .member = owner, .admin = true };
		server->memberships = &admin;
		server->n_memberships = cases[i].administers_us ? 1 : 0;
		trigger.owner = owner;
		found = untrusted_event_trigger(server, &database, cases[i].any_command);
		if ((found != NULL) != cases[i].found)
			fail_msg("%s: %s", cases[i].what, found ? "found" : "not found");
		trigger.owner = me;
		assert_null(untrusted_event_trigger(server, &database, cases[i].any_command));
		talloc_free(mem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whose) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
