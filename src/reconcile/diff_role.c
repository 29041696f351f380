/* SPDX-License-Identifier: PostgreSQL */
/* Roles, memberships, settings and databases: the shared catalogs of a server. */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"

/* A change that needs approval whatever the budget. */
static void hold(struct change *change, const char *reason)
{
	if (change->state != CHANGE_READY)
		return;
	change->state = CHANGE_HELD;
	change->reason = reason;
}

static void want_comment(struct differ *d, const struct role_want *want, const struct role *live)
{
	const char *comment = want->wish->comment, *there = live && live->comment ? live->comment : "";
	struct change *change;

	if (!comment || strcmp(comment, there) == 0)
		return;
	change = differ_add(d, CHANGE_COMMENT_ROLE, DRIFT_ROLE, PHASE_ROLES, want->wish->source);
	change->role = want->name;
	change->value = comment;
	change->from = *there ? there : NULL;
}

static void want_password(struct differ *d, const struct role_want *want, const struct role *live)
{
	const char *verifier = NULL, *reason = NULL;
	enum password_state state;
	struct change *change;

	if (want->wish->password.kind == SECRET_NONE || !d->context->password)
		return;
	state = d->context->password(d->context->password_data, want->wish, live, &verifier, &reason);
	if (state == PASSWORD_IN_SYNC)
		return;
	change = differ_add(d, CHANGE_SET_PASSWORD, DRIFT_ROLE, PHASE_ROLES, want->wish->password.source);
	change->role = want->name;
	change->value = verifier;
	if (state == PASSWORD_UNAVAILABLE)
		change_block(change, reason ? talloc_strdup(d->plan, reason) : "the secret cannot be read",
			     "make the secret readable; nothing is written until then");
}

static void create_role(struct differ *d, const struct role_want *want)
{
	const struct role_wish *wish = want->wish;
	struct change *change;

	change = differ_add(d, CHANGE_CREATE_ROLE, DRIFT_ROLE, PHASE_ROLES, wish->source);
	change->role = want->name;
	change->attrs = wish->attrs;
	change->attrs_mask = wish->attrs_mask;
	change->has_connection_limit = wish->has_connection_limit;
	change->connection_limit = wish->connection_limit;
	change->has_valid_until = wish->has_valid_until && wish->valid_until;
	change->valid_until = wish->valid_until;
	want_comment(d, want, NULL);
	want_password(d, want, NULL);
}

static void alter_role(struct differ *d, const struct role_want *want, const struct role *live)
{
	const struct role_wish *wish = want->wish;
	unsigned differing = (live->attrs ^ wish->attrs) & wish->attrs_mask;
	bool limit = wish->has_connection_limit && wish->connection_limit != live->connection_limit;
	bool until = wish->has_valid_until && !text_same(wish->valid_until, live->valid_until);
	struct change *change;

	if (differing || limit || until) {
		change = differ_add(d, CHANGE_ALTER_ROLE, DRIFT_ROLE, PHASE_ROLES, wish->source);
		change->role = want->name;
		change->attrs = wish->attrs;
		change->attrs_mask = differing;
		change->has_connection_limit = limit;
		change->connection_limit = wish->connection_limit;
		change->has_valid_until = until;
		change->valid_until = wish->valid_until;
		change->was.attrs = live->attrs;
		change->was.connection_limit = live->connection_limit;
		change->was.valid_until = live->valid_until;
		if (limit)
			change->from = talloc_asprintf(d->plan, "connection limit %d", live->connection_limit);
		if ((differing & ROLE_LOGIN) && !(wish->attrs & ROLE_LOGIN))
			hold(change, "the role would lose its login");
		if (until && wish->valid_until && d->server->facts.now && strcmp(wish->valid_until, d->server->facts.now) <= 0)
			hold(change, "valid_until is in the past: the role would lose its login");
		if (limit && wish->connection_limit == 0)
			hold(change, "a connection limit of 0 lets nobody in");
	}
	want_comment(d, want, live);
	want_password(d, want, live);
}

static void rename_role(struct differ *d, const struct role_want *want, const struct role *live)
{
	struct change *change = differ_add(d, CHANGE_RENAME_ROLE, DRIFT_ROLE, PHASE_ROLES, want->wish->source);

	change->role = want->name;
	change->other = want->renamed_from;
	if (live->attrs & ROLE_LOGIN)
		hold(change, "renaming a role breaks logins that still use the old name");
}

static void report_external(struct differ *d, const struct role_want *want)
{
	struct change *change = differ_add(d, CHANGE_CREATE_ROLE, DRIFT_ROLE, PHASE_ROLES, want->wish->source);

	change->role = want->name;
	change_block(change, "the role is declared external and does not exist", "create it where it comes from");
}

void diff_roles(struct differ *d)
{
	for (uint32_t i = 0; i < d->desired->n_roles; i++) {
		const struct role_want *want = &d->desired->roles[i];
		const struct role *live = server_role(d->server, want->name);

		if (want->wish->absent)
			continue;                /* retire.c */
		if (want->wish->external) {
			if (!live)
				report_external(d, want);
		} else if (live) {
			alter_role(d, want, live);
		} else if (want->renamed_from && server_role(d->server, want->renamed_from)) {
			rename_role(d, want, server_role(d->server, want->renamed_from));
		} else {
			create_role(d, want);
		}
	}
}

/* --- memberships --------------------------------------------------------------------------------------------------- */

/* First of the rows of (role, member), *ret_n of them: one for each grantor. What is asked for is sorted as they are: *at moves on. */
static const struct membership *rows_of(const struct server_state *server, name_id role, name_id member, uint32_t *at, uint32_t *ret_n)
{
	const struct membership *m = server->memberships;
	uint32_t n = 0;

	while (*at < server->n_memberships && (m[*at].role < role || (m[*at].role == role && m[*at].member < member)))
		++*at;
	while (*at + n < server->n_memberships && m[*at + n].role == role && m[*at + n].member == member)
		n++;
	*ret_n = n;
	return m + *at;
}

/* Nobody can revoke it but the bootstrap superuser; it is not drift. */
static bool implicit_creator_edge(const struct differ *d, const struct membership *m)
{
	return membership_of_creator(d->server, m);
}

static bool expired(const struct differ *d, const char *until)
{
	return until && d->server->facts.now && strcmp(until, d->server->facts.now) <= 0;
}

static struct change *membership_change(struct differ *d, enum change_op op, enum change_phase phase, name_id role, name_id member,
					struct source source)
{
	struct change *change = differ_add(d, op, DRIFT_MEMBERSHIP, phase, source);

	change->role = member;
	change->other = role;
	return change;
}

void membership_was(struct change *change, const struct membership *row)
{
	change->was.member = true;
	change->was.admin = row->admin;
	change->was.inherit = row->inherit;
	change->was.set = row->set;
	change->was.grantor = row->grantor;
}

static void withdraw_membership(struct differ *d, const struct membership_want *want, const struct membership *rows, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct change *change = membership_change(d, CHANGE_REVOKE_MEMBERSHIP, PHASE_REVOKES, want->role, want->member, want->source);

		change->grantor = d->version_num >= 160000 ? rows[i].grantor : NAME_NONE;
		membership_was(change, &rows[i]);
	}
}

static struct change *grant_membership(struct differ *d, const struct membership_want *want)
{
	const struct role *role = server_role(d->server, want->role);
	struct change *change = membership_change(d, CHANGE_GRANT_MEMBERSHIP, PHASE_MEMBERSHIPS, want->role, want->member, want->source);

	if (role && (role->attrs & ROLE_SUPERUSER))
		change_block(change, "membership in a superuser role makes a superuser", "grant it by hand if it is really meant");
	else if (!role && !desired_manages(d->desired, want->role))
		change_block(change, talloc_asprintf(d->plan, "role %s does not exist on this server", names_text(d->names, want->role)),
			     "create it where it comes from, or remove the membership");
	return change;
}

/* edge: the creator's alone is there. What a superuser grants is written into that very row: its ADMIN stays unless told. */
static void new_membership(struct differ *d, const struct membership_want *want, const struct membership *edge)
{
	const struct role *member = server_role(d->server, want->member);
	bool inherit = want->has_inherit ? want->inherit : !member || (member->attrs & ROLE_INHERIT);
	bool set = want->has_set ? want->set : true;
	struct change *change;

	/* it is a membership only to who asks for just that */
	if (edge && (!want->has_admin || want->admin) && !inherit && !set)
		return;
	change = grant_membership(d, want);
	if (edge && d->server->facts.is_superuser)
		membership_was(change, edge);
	change->admin = want->has_admin ? want->admin : edge && d->server->facts.is_superuser;
	change->inherit = inherit;
	change->set = set;
}

/* One row of an existing membership with other options. */
static void adjust_membership(struct differ *d, const struct membership_want *want, const struct membership *row, bool admin, bool inherit,
			      bool set)
{
	struct change *change = grant_membership(d, want);

	change->admin = admin;
	change->inherit = inherit;
	change->set = set;
	change->grantor = d->version_num >= 160000 ? row->grantor : NAME_NONE;
	membership_was(change, row);
	change->from = talloc_asprintf(d->plan, "admin %s, inherit %s, set %s", row->admin ? "true" : "false", row->inherit ? "true" : "false",
				       row->set ? "true" : "false");
}

/* Does the ADMIN of the row go? What nobody declared is surplus in an exact manifest, unless it may be that of the role's
   creator: what a superuser grants him besides is written into the same row. */
static bool loses_admin(const struct differ *d, const struct membership_want *want, const struct membership *row, bool exact)
{
	const struct role *member = server_role(d->server, row->member);

	if (want->has_admin)
		return !want->admin;
	return exact && !(d->version_num >= 160000 && row->grantor == d->server->facts.bootstrap && member && (member->attrs & ROLE_CREATEROLE));
}

/* From 16 on the same membership can exist once for each grantor, and what holds is the union: an option that is not
   wanted is taken from every row, one that is missing is given to the first. */
static void want_membership(struct differ *d, const struct membership_want *want, bool exact, uint32_t *at)
{
	bool options = d->version_num >= 160000, first = true;
	bool raise_admin = want->has_admin && want->admin, raise_inherit = options && want->has_inherit && want->inherit;
	bool raise_set = options && want->has_set && want->set;
	const struct membership *rows;
	uint32_t n, usable = 0;

	rows = rows_of(d->server, want->role, want->member, at, &n);
	if (expired(d, want->until)) {
		withdraw_membership(d, want, rows, n);
		return;
	}
	if (want->until && (!d->plan->next_until || strcmp(want->until, d->plan->next_until) < 0))
		d->plan->next_until = want->until;
	for (uint32_t i = 0; i < n; i++) {
		usable += !implicit_creator_edge(d, &rows[i]);
		raise_admin &= !rows[i].admin;
		raise_inherit &= !rows[i].inherit;
		raise_set &= !rows[i].set;
	}
	if (usable == 0) {
		new_membership(d, want, n > 0 ? rows : NULL);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		bool admin = rows[i].admin, inherit = rows[i].inherit, set = rows[i].set;

		if (implicit_creator_edge(d, &rows[i]))
			continue;
		admin = loses_admin(d, want, &rows[i], exact) ? false : admin || (first && raise_admin);
		if (options) {
			inherit = (want->has_inherit && !want->inherit) ? false : inherit || (first && raise_inherit);
			set = (want->has_set && !want->set) ? false : set || (first && raise_set);
		}
		if (admin != rows[i].admin || inherit != rows[i].inherit || set != rows[i].set)
			adjust_membership(d, want, &rows[i], admin, inherit, set);
		first = false;
	}
}

/* What is asked for is sorted as the wishes are: *at moves on. */
static bool membership_wanted(const struct differ *d, name_id role, name_id member, uint32_t *at)
{
	const struct membership_want *want = d->desired->memberships;
	uint32_t n = d->desired->n_memberships;

	while (*at < n && (want[*at].role < role || (want[*at].role == role && want[*at].member < member)))
		++*at;
	return *at < n && want[*at].role == role && want[*at].member == member;
}

/* A bit for each role: its memberships are described completely. */
static uint8_t *exact_members(struct differ *d)
{
	uint8_t *exact = talloc_zero_array(d->temporary, uint8_t, names_count(d->names) + 1);

	for (uint32_t i = 0; i < d->desired->n_roles; i++)
		if (d->desired->roles[i].exact && !d->desired->roles[i].wish->external && !d->desired->roles[i].wish->absent)
			exact[d->desired->roles[i].name] = 1;
	return exact;
}

/* A group that is nobody's business, or whose membership no manifest could declare. */
static bool beyond_manifests(const struct differ *d, name_id group)
{
	const char *reason;

	return is_ignored(d, group) || role_name_check(names_text(d->names, group), &reason) != 0;
}

static void surplus_memberships(struct differ *d, const uint8_t *exact)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < d->server->n_memberships; i++) {
		const struct membership *m = &d->server->memberships[i];
		struct change *change;

		if (!exact[m->member] || beyond_manifests(d, m->role))
			continue;
		d->plan->in_scope++;
		if (implicit_creator_edge(d, m) || m->role == d->me || membership_wanted(d, m->role, m->member, &at))
			continue;
		change = membership_change(d, CHANGE_REVOKE_MEMBERSHIP, PHASE_REVOKES, m->role, m->member, (struct source){ 0 });
		change->grantor = d->version_num >= 160000 ? m->grantor : NAME_NONE;
		membership_was(change, m);
		for (uint32_t r = 0; r < d->desired->n_roles; r++)
			if (d->desired->roles[r].name == m->member)
				change->source = d->desired->roles[r].wish->source;
	}
}

void diff_memberships(struct differ *d)
{
	const uint8_t *exact = exact_members(d);
	uint32_t at = 0, first = d->plan->n_changes;
	bool any_exact = false;

	for (uint32_t i = 0; i < d->desired->n_memberships; i++) {
		const struct membership_want *want = &d->desired->memberships[i];

		want_membership(d, want, exact[want->member], &at);
	}
	for (uint32_t i = 0; i < d->desired->n_roles; i++)
		any_exact |= d->desired->roles[i].exact;
	if (any_exact)
		surplus_memberships(d, exact);
	diff_admin_dependents(d, first);
}

/* --- settings ------------------------------------------------------------------------------------------------------ */

static const struct setting *live_setting(const struct differ *d, name_id role, name_id database, const char *name)
{
	uint32_t n;
	const struct setting *s = server_settings_of(d->server, role, database, &n);

	for (uint32_t i = 0; i < n; i++)
		if (strcasecmp(s[i].name, name) == 0)
			return &s[i];
	return NULL;
}

static struct change *setting_change(struct differ *d, enum change_op op, name_id role, name_id database, const char *name,
				     struct source source)
{
	struct change *change = differ_add(d, op, DRIFT_SETTING, op == CHANGE_SET_SETTING ? PHASE_SETTINGS : PHASE_REVOKES, source);

	change->role = role;
	change->database = database;
	change->name = name;
	return change;
}

/* The server appends what is set anew: to put a setting back where it stood, those behind it have to follow it. */
static void reset_setting(struct differ *d, const struct setting *live, struct source source)
{
	struct change *change = setting_change(d, CHANGE_RESET_SETTING, live->role, live->database, live->name, source);
	uint32_t at = live->at, next, n;
	const struct setting *s = server_settings_of(d->server, live->role, live->database, &n);
	char *behind = NULL;

	change->from = live->value;
	for (;; at = next) {
		const struct setting *found = NULL;

		for (uint32_t i = 0; i < n; i++)
			if (s[i].at > at && (!found || s[i].at < found->at))
				found = &s[i];
		if (!found)
			break;
		next = found->at;
		behind = behind ? talloc_asprintf_append(behind, "%s\n", found->name) : talloc_asprintf(d->plan, "%s\n", found->name);
	}
	change->was.behind = behind;
}

static void surplus_settings(struct differ *d, const struct setting_scope *scope, const bool *spoken_of)
{
	uint32_t n;
	const struct setting *s = server_settings_of(d->server, scope->role, scope->database, &n);

	for (uint32_t i = 0; i < n; i++)
		if (!spoken_of[&s[i] - d->server->settings])
			reset_setting(d, &s[i], (struct source){ 0 });
}

void diff_settings(struct differ *d)
{
	bool *spoken_of = talloc_zero_array(d->temporary, bool, d->server->n_settings + 1);      /* live ones, wanted or to be absent */

	if (!spoken_of)
		abort();
	for (uint32_t i = 0; i < d->desired->n_settings; i++) {
		const struct setting_want *want = &d->desired->settings[i];
		const struct setting *live = live_setting(d, want->role, want->database, want->name);
		struct change *change;

		if (live)
			spoken_of[live - d->server->settings] = true;
		if (want->value && (!live || !setting_equal(want->name, want->value, live->value))) {
			change = setting_change(d, CHANGE_SET_SETTING, want->role, want->database, want->name, want->source);
			change->value = want->value;
			change->from = live ? live->value : NULL;
		} else if (!want->value && live) {
			reset_setting(d, live, want->source);
		}
	}
	for (uint32_t i = 0; i < d->desired->n_setting_scopes; i++)
		surplus_settings(d, &d->desired->setting_scopes[i], spoken_of);
}

/* --- databases ----------------------------------------------------------------------------------------------------- */

void diff_databases(struct differ *d)
{
	for (uint32_t i = 0; i < d->desired->n_databases; i++) {
		const struct database_want *want = &d->desired->databases[i];
		const struct database *live = NULL;
		struct change *change;

		for (uint32_t k = 0; k < d->server->n_databases; k++)
			if (d->server->databases[k].name == want->name)
				live = &d->server->databases[k];
		if (!live)
			continue;                /* its own target says that it is not there */
		if (want->owner && want->owner != live->owner) {
			change = differ_add(d, CHANGE_OWNER, DRIFT_OWNER, PHASE_OWNERS, want->wish->source);
			change->object_kind = OBJECT_DATABASE;
			change->names = talloc_array(d->plan, const char *, 1);
			change->names[0] = names_text(d->names, want->name);
			change->role = want->owner;
			change->other = live->owner;
			owner_was(change, live->acl);
		}
		if (want->wish->has_connection_limit && want->wish->connection_limit != live->connection_limit) {
			change = differ_add(d, CHANGE_ALTER_ROLE, DRIFT_DATABASE, PHASE_SETTINGS, want->wish->source);
			change->object_kind = OBJECT_DATABASE;
			change->database = want->name;
			change->has_connection_limit = true;
			change->connection_limit = want->wish->connection_limit;
			change->was.connection_limit = live->connection_limit;
			change->from = talloc_asprintf(d->plan, "connection limit %d", live->connection_limit);
			/* the server would end our session for trying it */
			if (database_is_invalid(live))
				change_block(change, "a DROP DATABASE that was interrupted has left the database invalid", "DROP DATABASE it again");
		}
	}
}
