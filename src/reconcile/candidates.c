/* SPDX-License-Identifier: PostgreSQL */
/* Which rules speak of which objects, found by kind, schema and name. */
#include "reconcile/candidates.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/hash.h"
#include "base/text.h"

/* Routines come with their arguments; rules have those apart. */
static size_t bare_length(const struct object_group *g, const char *name, size_t len)
{
	const char *arguments = g->kind == OBJECT_FUNCTION || g->kind == OBJECT_PROCEDURE ? routine_arguments(name, len) : NULL;

	return arguments ? (size_t)(arguments - name) : len;
}

static uint32_t *numbers(struct candidates *c, uint32_t n)
{
	uint32_t *v = talloc_array(c, uint32_t, n);

	if (!v)
		abort();
	return v;
}

struct candidates *candidates_new(struct differ *d)
{
	struct candidates *c = talloc_zero(d->temporary, struct candidates);
	uint32_t n = d->desired->n_rules + 1, room = 16;

	if (!c)
		abort();
	while (room < n * 2)
		room *= 2;
	c->whole = numbers(c, n);
	c->patterns = numbers(c, n);
	c->hits = numbers(c, n);
	c->next = numbers(c, n);
	c->first = numbers(c, room);
	return c;
}

static bool may_speak(const struct differ *d, const struct object_group *g, const struct rule *rule)
{
	if (rule->on.relkind && g->relkind && rule->on.relkind != g->relkind)
		return false;
	if (rule->on.schema && !rule->on.schema_literal && !glob_match(rule->on.schema, names_text(d->names, g->schema)))
		return false;
	/* members of extensions are outside patterns: only their exact name reaches them */
	return !g->in_extension || rule->on.name_literal;
}

/* Sorts one rule; literals are kept for index_literals() in hits. */
static void sort_rule(const struct differ *d, struct candidates *c, uint32_t r)
{
	const struct rule *rule = &d->desired->rules[r];

	if (rule->whole)
		c->whole[c->n_whole++] = r;
	else if (!rule->on.name_literal)
		c->patterns[c->n_patterns++] = r;
	else
		c->hits[c->n_literals++] = r;
}

static void index_literals(const struct differ *d, struct candidates *c)
{
	uint32_t room = 16;

	while (room < c->n_literals * 2)
		room *= 2;
	memset(c->first, 0, room * sizeof *c->first);
	c->mask = room - 1;
	/* from the end, so that rules with one name come in their order */
	for (uint32_t i = c->n_literals; i-- > 0;) {
		const char *name = d->desired->rules[c->hits[i]].on.name;
		uint32_t *place = &c->first[hash_name(name, strlen(name)) & c->mask];

		c->next[c->hits[i]] = *place;
		*place = c->hits[i] + 1;
	}
}

void candidates_of(struct differ *d, const struct object_group *g, enum object_kind kind, struct candidates *c)
{
	name_id lists[2] = { g->schema, NAME_NONE };
	struct candidates_key key = { kind, g->schema, g->relkind, g->in_extension };

	/* thousands of schemas come one by one, and all rules about schemas may speak of each */
	if (c->known && key.kind == c->key.kind && key.schema == c->key.schema && key.relkind == c->key.relkind &&
	    key.in_extension == c->key.in_extension)
		return;
	c->key = key;
	c->known = true;
	c->n_whole = c->n_patterns = c->n_literals = 0;
	for (int l = 0; l < (g->schema ? 2 : 1); l++) {
		uint32_t n;
		const struct rule_key *rules = desired_rules(d->desired, kind, lists[l], &n);

		for (uint32_t i = 0; i < n; i++)
			if (may_speak(d, g, &d->desired->rules[rules[i].rule]))
				sort_rule(d, c, rules[i].rule);
	}
	if (c->n_literals)
		index_literals(d, c);
}

static bool excepted(const struct rule *rule, char relkind, const char *schema, const char *name, size_t len)
{
	for (uint32_t i = 0; i < rule->n_except; i++)
		if (selector_matches(&rule->except[i], relkind, schema, name, len))
			return true;
	return false;
}

bool rule_excepts_itself(const struct rule *rule)
{
	const char *name = rule->on.args ? talloc_asprintf(NULL, "%s(%s)", rule->on.name, rule->on.args) : rule->on.name;
	bool itself = rule->n_except && (!rule->on.schema || rule->on.schema_literal) &&
		      excepted(rule, rule->on.relkind, rule->on.schema, name, strlen(name));

	if (rule->on.args)
		talloc_free((char *)name);
	return itself;
}

bool rule_speaks_of(const struct rule *rule, char relkind, const char *schema, const char *name, size_t len)
{
	return selector_matches(&rule->on, relkind, schema, name, len) && !(rule->n_except && excepted(rule, relkind, schema, name, len));
}

uint32_t candidates_hit(const struct differ *d, struct candidates *c, const struct object_group *g, const char *schema, const char *name,
			size_t len)
{
	const struct rule *rules = d->desired->rules;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_patterns; i++)
		if (rule_speaks_of(&rules[c->patterns[i]], g->relkind, schema, name, len))
			c->hits[n++] = c->patterns[i];
	for (uint32_t r = c->n_literals ? c->first[hash_name(name, bare_length(g, name, len)) & c->mask] : 0; r != 0; r = c->next[r - 1])
		if (rule_speaks_of(&rules[r - 1], g->relkind, schema, name, len))
			c->hits[n++] = r - 1;
	return n;
}
