/* SPDX-License-Identifier: PostgreSQL */
/* Who can do what, where a live test would need thousands of roles, and paths that are easily forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "base/text.h"
#include "reconcile/access.h"
#include "world.h"

/* SET ROLE to a superuser is everything. */
static void a_member_of_a_superuser(void **state)
{
	struct world *w = world_new(NULL, 160000);
	name_id dba = world_role(w, "dba", ROLE_SUPERUSER), app = world_role(w, "app", ROLE_LOGIN | ROLE_INHERIT);
	struct access_list *list;

	(void)state;
	w->memberships[w->n_memberships++] = (struct membership){ dba, app, w->superuser, false, true, true };
	assert_int_equal(access_of_role(w, world_server(w, w), NULL, "app", &list), 0);
	assert_int_equal(list->n, 1);
	assert_int_equal(list->v[0].how, ACCESS_SUPERUSER);
	assert_int_equal(list->v[0].set_role, dba);
	assert_int_equal(access_of_role(w, world_server(w, w), NULL, "dba", &list), 0);
	assert_int_equal(list->n, 1);
	assert_int_equal(list->v[0].set_role, NAME_NONE);
	w->memberships[0].set = false;
	assert_int_equal(access_of_role(w, world_server(w, w), NULL, "app", &list), 0);
	assert_int_equal(list->n, 0);
	talloc_free(w);
}

/* What is more than an answer holds must not be kept, or many roles of one group would fill the memory. */
static void what_is_cut_off_is_not_kept(void **state)
{
	enum { ROLES = 4000, GROUPS = 4, NAMES = 100 };
	void *mem = talloc_new(NULL);
	struct names *names = names_new(mem);
	struct server_state server = { .names = names, .facts = { .version_num = 160000 } };
	struct database_state database = { .names = names };
	struct acl *acl = talloc_zero_size(mem, sizeof *acl + sizeof *acl->v);
	struct text *array = text_new(mem);
	struct access_list *list;
	struct selector on;

	(void)state;
	acl->v[acl->n++] = (struct acl_entry){ names_put(names, "readers"), names_put(names, "owner"), PRIV_SELECT, 0 };
	for (int i = 0; i < NAMES; i++)
		text_addf(array, "%ct%d", i ? ',' : '{', i);
	text_add(array, "}");
	server.roles = talloc_zero_array(mem, struct role, ROLES);
	server.memberships = talloc_zero_array(mem, struct membership, ROLES);
	for (int i = 0; i < ROLES; i++) {
		name_id role = names_put(names, talloc_asprintf(mem, "r%d", i));

		server.roles[server.n_roles++].name = role;
		server.memberships[server.n_memberships++] = (struct membership){ acl->v[0].grantee, role, acl->v[0].grantor, false, true, true };
	}
	database.objects = talloc_zero_array(mem, struct object_group, GROUPS);
	for (int i = 0; i < GROUPS; i++)
		database.objects[database.n_objects++] = (struct object_group){ .kind = OBJECT_TABLE, .relkind = 'r', .schema = names_put(names, "app"),
			.owner = acl->v[0].grantor, .acl = acl, .n = NAMES, .names = array->s, .names_len = array->len, .names_array = true };
	assert_int_equal(selector_parse(mem, "table app.*", &on, NULL), 0);
	list = access_to_object(mem, &server, &database, &on);
	assert_true(list->truncated);
	assert_int_equal(list->n, ACCESS_ENTRIES_MAX);
	assert_true(talloc_total_blocks(list) < (ACCESS_ENTRIES_MAX + GROUPS) * (NAMES + 4));
	talloc_free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_member_of_a_superuser), cmocka_unit_test(what_is_cut_off_is_not_kept) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
