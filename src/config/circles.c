/* SPDX-License-Identifier: PostgreSQL */
/* PostgreSQL refuses a membership that makes a circle, half-way through a pass: better here. */
#include <talloc.h>

#include "base/text.h"
#include "config/fleet.h"

struct edge {
	name_id member, role;
	struct source source;
	uint32_t next;                     /* of the same member, as index + 1 */
};

struct graph {
	struct fleet *fleet;
	struct edge *edges;
	uint32_t n, *first;                /* by member, index + 1 */
	uint8_t *state;                    /* 0 not seen, 1 on the way, 2 done */
	name_id *way;
	uint32_t depth;
};

static void add_edge(struct graph *g, const char *member, const char *role, const struct source *source)
{
	g->edges = talloc_realloc(g, g->edges, struct edge, g->n + 1);
	g->edges[g->n++] = (struct edge) { .member = names_put(g->fleet->names, member), .role = names_put(g->fleet->names, role),
					   .source = *source };
}

static void add_manifest(struct graph *g, const struct manifest *m)
{
	for (uint32_t i = 0; i < m->n_roles; i++)
		for (uint32_t k = 0; m->roles[i].name && k < m->roles[i].member_of.n; k++)
			add_edge(g, m->roles[i].name, m->roles[i].member_of.v[k], &m->roles[i].source);
	for (uint32_t i = 0; i < m->n_memberships; i++)
		for (uint32_t k = 0; m->memberships[i].role && k < m->memberships[i].members.n; k++)
			add_edge(g, m->memberships[i].members.v[k], m->memberships[i].role, &m->memberships[i].source);
}

static void report(struct graph *g, const struct edge *closing)
{
	struct text *text = text_new(g);
	uint32_t begin = g->depth - 1;

	while (g->way[begin] != closing->role)
		begin--;
	for (uint32_t i = begin; i < g->depth; i++)
		text_addf(text, "\"%s\" in ", names_text(g->fleet->names, g->way[i]));
	reader_error_at(g->fleet->r, &closing->source, NULL, "these memberships form a circle: %s\"%s\"", text->s,
			names_text(g->fleet->names, closing->role));
}

static void walk(struct graph *g, name_id id)
{
	g->state[id] = 1;
	g->way[g->depth++] = id;
	for (uint32_t at = g->first[id]; at != 0; at = g->edges[at - 1].next) {
		const struct edge *edge = &g->edges[at - 1];

		if (g->state[edge->role] == 0)
			walk(g, edge->role);
		else if (g->state[edge->role] == 1)
			report(g, edge);
	}
	g->depth--;
	g->state[id] = 2;
}

void check_circles(struct fleet *f)
{
	struct graph *g = talloc_zero(f, struct graph);
	uint32_t count;

	g->fleet = f;
	for (uint32_t i = 0; i < f->server->n_all_manifests; i++)
		add_manifest(g, f->server->all_manifests[i]);
	count = names_count(f->names) + 1;
	g->first = talloc_zero_array(g, uint32_t, count);
	g->state = talloc_zero_array(g, uint8_t, count);
	g->way = talloc_zero_array(g, name_id, count);
	for (uint32_t i = g->n; i > 0; i--) {
		g->edges[i - 1].next = g->first[g->edges[i - 1].member];
		g->first[g->edges[i - 1].member] = i;
	}
	for (name_id id = 1; id < count; id++)
		if (g->state[id] == 0)
			walk(g, id);
}
