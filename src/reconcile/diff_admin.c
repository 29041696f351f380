/* SPDX-License-Identifier: PostgreSQL */
/*
 * From PostgreSQL 16 on a membership hangs on the ADMIN option of whoever granted it: that option cannot be taken while
 * grants made with it are there (2BP01). Those that go anyway go first; one that is wanted is made anew by us; one that is
 * nobody's business here keeps the option where it is, and that is said.
 */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <talloc.h>

enum fate { STAYS, LOSES_ADMIN, GOES };

struct edges {
	struct differ *d;
	const struct membership *rows;
	uint32_t n;
	uint8_t *fate;                /* by row */
	uint32_t *change;             /* by row: its change in the plan + 1 */
};

static uint32_t first_of(const struct edges *e, name_id role)
{
	uint32_t low = 0, high = e->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (e->rows[mid].role < role)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void read_plan(struct edges *e, uint32_t first)
{
	for (uint32_t i = first; i < e->d->plan->n_changes; i++) {
		const struct change *c = &e->d->plan->changes[i];

		if (c->grantor == NAME_NONE || c->state == CHANGE_BLOCKED)
			continue;
		for (uint32_t r = first_of(e, c->other); r < e->n && e->rows[r].role == c->other; r++) {
			if (e->rows[r].member != c->role || e->rows[r].grantor != c->grantor)
				continue;
			e->change[r] = i + 1;
			if (c->op == CHANGE_REVOKE_MEMBERSHIP)
				e->fate[r] = GOES;
			else if (e->rows[r].admin && !c->admin)
				e->fate[r] = LOSES_ADMIN;
		}
	}
}

/* Does the member of this row lose ADMIN on the role with it, for good? */
static bool admin_ends(const struct edges *e, uint32_t row)
{
	const struct membership *m = &e->rows[row];

	if (e->fate[row] == STAYS || !m->admin)
		return false;
	for (uint32_t r = first_of(e, m->role); r < e->n && e->rows[r].role == m->role; r++)
		if (e->rows[r].member == m->member && e->rows[r].admin && e->fate[r] == STAYS)
			return false;
	return true;
}

static const struct membership_want *want_of(const struct edges *e, const struct membership *m)
{
	const struct desired *desired = e->d->desired;

	for (uint32_t i = 0; i < desired->n_memberships; i++)
		if (desired->memberships[i].role == m->role && desired->memberships[i].member == m->member)
			return &desired->memberships[i];
	return NULL;
}

/* The first grant made with the option of this row's member that does not go; e->n when there is none. */
static uint32_t dependent(const struct edges *e, uint32_t row, bool wanted)
{
	for (uint32_t r = first_of(e, e->rows[row].role); r < e->n && e->rows[r].role == e->rows[row].role; r++)
		if (e->rows[r].grantor == e->rows[row].member && e->fate[r] != GOES && (want_of(e, &e->rows[r]) != NULL) == wanted)
			return r;
	return e->n;
}

/* Rows whose ADMIN others need who are out of scope stay as they are. */
static bool keep_for_others(struct edges *e)
{
	struct differ *d = e->d;
	bool any = false;

	for (uint32_t row = 0; row < e->n; row++) {
		uint32_t needs = admin_ends(e, row) ? dependent(e, row, false) : e->n;
		const struct membership *m;

		if (needs == e->n || !e->change[row])
			continue;
		m = &e->rows[needs];
		change_block(&d->plan->changes[e->change[row] - 1],
			     talloc_asprintf(d->plan, "%s holds a membership in %s that %s granted", names_text(d->names, m->member),
					     names_text(d->names, m->role), names_text(d->names, m->grantor)),
			     talloc_asprintf(d->plan, "declare role %s, or take that membership away first (REVOKE ... GRANTED BY %s)",
					     names_text(d->names, m->member), names_text(d->names, m->grantor)));
		e->fate[row] = STAYS;
		any = true;
	}
	return any;
}

static void revoke_row(struct edges *e, uint32_t row, const struct membership_want *want)
{
	const struct membership *m = &e->rows[row];
	struct change *change = e->change[row] ? &e->d->plan->changes[e->change[row] - 1] :
				differ_add(e->d, CHANGE_REVOKE_MEMBERSHIP, DRIFT_MEMBERSHIP, PHASE_REVOKES, want->source);

	*change = (struct change){ .op = CHANGE_REVOKE_MEMBERSHIP, .kind = DRIFT_MEMBERSHIP, .phase = PHASE_REVOKES, .source = want->source,
				   .n = 1, .role = m->member, .other = m->role, .grantor = m->grantor };
	membership_was(change, m);
	e->change[row] = (uint32_t) (change - e->d->plan->changes) + 1;
	e->fate[row] = GOES;
}

/* By a superuser and with ADMIN alone it would be the very row that a creator of the role gets, which is no membership to who asks for
   more: then it gets what a new one gets. */
static void tell_from_creator(const struct differ *d, const struct membership_want *want, bool admin, bool *inherit, bool *set)
{
	const struct role *member = server_role(d->server, want->member);

	if (!d->server->facts.is_superuser || !admin || *inherit || *set)
		return;
	*inherit = want->has_inherit ? want->inherit : !member || (member->attrs & ROLE_INHERIT);
	*set = want->has_set ? want->set : true;
}

/* What a wanted membership keeps of its rows, or else a grant of our own with the same options. */
static void grant_anew(struct edges *e, const struct membership *m, const struct membership_want *want)
{
	name_id own = e->d->server->facts.is_superuser ? e->d->server->facts.bootstrap : e->d->me;      /* whose row our GRANT goes to */
	bool admin = false, inherit = false, set = false, rest_inherits = false, rest_sets = false, rest_admin = false, rest = false;
	struct change *change;

	for (uint32_t r = first_of(e, m->role); r < e->n && e->rows[r].role == m->role; r++) {
		const struct membership *row = &e->rows[r];

		if (row->member != m->member)
			continue;
		admin |= row->admin;
		inherit |= row->inherit;
		set |= row->set;
		if (e->fate[r] == GOES)
			continue;
		rest = true;
		rest_admin |= row->admin;
		rest_inherits |= row->inherit;
		rest_sets |= row->set;
	}
	admin = want->has_admin ? want->admin : admin;
	inherit = want->has_inherit ? want->inherit : inherit;
	set = want->has_set ? want->set : set;
	tell_from_creator(e->d, want, admin, &inherit, &set);
	if (rest && admin <= rest_admin && inherit <= rest_inherits && set <= rest_sets)
		return;
	change = differ_add(e->d, CHANGE_GRANT_MEMBERSHIP, DRIFT_MEMBERSHIP, PHASE_MEMBERSHIPS, want->source);
	change->role = m->member;
	change->other = m->role;
	change->admin = admin;
	change->inherit = inherit;
	change->set = set;
	for (uint32_t r = first_of(e, m->role); r < e->n && e->rows[r].role == m->role; r++)
		if (e->rows[r].member == m->member && e->rows[r].grantor == own && e->fate[r] != GOES)
			membership_was(change, &e->rows[r]);
}

static bool move_wanted(struct edges *e)
{
	for (uint32_t row = 0; row < e->n; row++) {
		uint32_t needs = admin_ends(e, row) ? dependent(e, row, true) : e->n;
		const struct membership_want *want;

		if (needs == e->n)
			continue;
		want = want_of(e, &e->rows[needs]);
		revoke_row(e, needs, want);
		grant_anew(e, &e->rows[needs], want);
		return true;
	}
	return false;
}

/* The option goes after what was granted with it: among the revokes, which are sorted by that. */
static void lower_last(struct edges *e)
{
	for (uint32_t row = 0; row < e->n; row++)
		if (e->fate[row] == LOSES_ADMIN && admin_ends(e, row))
			e->d->plan->changes[e->change[row] - 1].phase = PHASE_REVOKES;
}

/* What a role that is to go has granted would keep it from being dropped: we grant the same instead. */
static void take_over(struct edges *e, const struct retiring *r)
{
	const struct role *role = server_role(e->d->server, r->role);

	if (!role || (role->attrs & ROLE_LOGIN))
		return;               /* its retirement has not begun */
	for (uint32_t row = 0; row < e->n; row++) {
		const struct membership *m = &e->rows[row];
		const struct membership_want as_it_is = { .role = m->role, .member = m->member, .source = r->wish->source };
		const struct membership_want *want = want_of(e, m);

		if (m->grantor != r->role || e->fate[row] == GOES || m->member == r->role || m->role == r->role)
			continue;
		revoke_row(e, row, want ? want : &as_it_is);
		grant_anew(e, m, want ? want : &as_it_is);
	}
}

void diff_admin_dependents(struct differ *d, uint32_t first)
{
	struct edges e = { .d = d, .rows = d->server->memberships, .n = d->server->n_memberships };
	bool any = d->n_retiring > 0;

	if (d->version_num < 160000 || (d->plan->n_changes == first && !any))
		return;
	e.fate = talloc_zero_array(d->temporary, uint8_t, e.n + 1);
	e.change = talloc_zero_array(d->temporary, uint32_t, e.n + 1);
	if (!e.fate || !e.change)
		abort();
	read_plan(&e, first);
	for (uint32_t row = 0; row < e.n; row++)
		any |= e.fate[row] != STAYS && e.rows[row].admin;
	if (!any)
		return;
	do {
		while (keep_for_others(&e))
			;
	} while (move_wanted(&e));
	for (uint32_t i = 0; i < d->n_retiring; i++)
		take_over(&e, &d->retiring[i]);
	lower_last(&e);
}
