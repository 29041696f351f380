/* SPDX-License-Identifier: PostgreSQL */
/* access: who can do what, a row for each path. */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"

static const struct column columns[] = {
	{ "TARGET", 0 }, { "ROLE", 0 }, { "PRIVILEGES", 0 }, { "OBJECT", COL_TRUNC }, { "VIA", 0 }, { "BUT", 0 },
};

static const char *words(struct ctl *ctl, const json_t *list, const char *between)
{
	struct text *out = text_new(ctl->scratch);
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		text_addf(out, "%s%s", i ? between : "", ctl_escape(ctl, json_string_value(v) ? json_string_value(v) : "?"));
	return out->s;
}

static const char *privileges(struct ctl *ctl, const json_t *entry)
{
	const json_t *all = json_object_get(entry, "privileges"), *grantable = json_object_get(entry, "grantable");

	if (json_array_size(all) == 0)
		return "everything";
	if (json_array_size(grantable) == 0)
		return words(ctl, all, ", ");
	if (json_equal(all, grantable))
		return talloc_asprintf(ctl->scratch, "%s (and may grant them)", words(ctl, all, ", "));
	return talloc_asprintf(ctl->scratch, "%s (and may grant %s)", words(ctl, all, ", "), words(ctl, grantable, ", "));
}

/* "table app.users"; "3 tables in schema app (a, b, c)"; "column id of table app.users"; "every table". */
static const char *object(struct ctl *ctl, const json_t *entry)
{
	const char *kind = ctl_text(ctl, entry, "kind", ""), *schema = ctl_text(ctl, entry, "schema", ""), *column = ctl_text(ctl, entry, "column", "");
	const json_t *names = json_object_get(entry, "objects");
	const char *of = *column ? talloc_asprintf(ctl->scratch, "column %s of ", column) : "";
	int n = (int)ctl_int(entry, "count");

	if (!*kind)
		return "everything";
	if (n == 0)
		return talloc_asprintf(ctl->scratch, "every %s", kind);
	if (n == 1)
		return talloc_asprintf(ctl->scratch, "%s%s %s%s%s", of, kind, schema, *schema ? "." : "", words(ctl, names, ", "));
	return talloc_asprintf(ctl->scratch, "%s%d x %s%s%s (%s%s)", of, n, kind, *schema ? " in schema " : "", schema, words(ctl, names, ", "),
			       n > (int)json_array_size(names) ? ", ..." : "");
}

static const char *via(struct ctl *ctl, const json_t *entry)
{
	const char *how = ctl_raw(entry, "how"), *through = ctl_text(ctl, entry, "through", "?"), *role = ctl_text(ctl, entry, "role", "?");
	const char *set_role = ctl_text(ctl, entry, "set_role", ""), *chain = words(ctl, json_object_get(entry, "chain"), ", of ");
	struct text *out = text_new(ctl->scratch);

	if (strcmp(how, "superuser") == 0)
		return "superuser";
	if (strcmp(how, "public") == 0)
		return "PUBLIC";
	if (*set_role)
		text_addf(out, "after SET ROLE %s: ", set_role);
	if (strcmp(through, role) != 0)
		text_addf(out, "member of %s%s%s", chain, *chain ? ", of " : "", through);
	else
		text_add(out, "itself");
	if (strcmp(how, "owner") == 0)
		text_add(out, ", the owner");
	return out->s;
}

static const char *but(struct ctl *ctl, const json_t *entry)
{
	const bool usage = json_is_true(json_object_get(entry, "schema_usage")), policies = json_is_true(json_object_get(entry, "row_security"));
	const char *none = ctl->output == OUTPUT_TSV ? "" : "-";

	if (usage)
		return policies ? "row security decides which rows" : none;
	return policies ? "no USAGE on the schema; row security" : "no USAGE on the schema";
}

static void add_rows(struct ctl *ctl, struct table *table, const json_t *target)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(target, "entries"), i, entry) {
		table_row(table);
		table_cell(table, ctl_text(ctl, target, "target", ""), COLOR_BOLD);
		table_cell(table, ctl_text(ctl, entry, "role", ""), COLOR_NONE);
		table_cell(table, privileges(ctl, entry), COLOR_NONE);
		table_cell(table, object(ctl, entry), COLOR_NONE);
		table_cell(table, via(ctl, entry), COLOR_NONE);
		table_cell(table, but(ctl, entry), strlen(but(ctl, entry)) > 1 ? COLOR_YELLOW : COLOR_NONE);
	}
	if (!json_is_string(json_object_get(target, "looked_at")))
		fprintf(stderr, "%s has not been looked at yet\n", ctl_text(ctl, target, "target", ""));
	if (json_is_true(json_object_get(target, "truncated")))
		fprintf(stderr, "%s: there is more; name a role or an object\n", ctl_text(ctl, target, "target", ""));
}

int command_access(struct ctl *ctl)
{
	struct text *path = client_path(ctl, DBR_PATH_ACCESS, NULL, NULL);
	const char *role = ctl_option(ctl, "role"), *on = ctl_option(ctl, "object");
	struct table *table;
	json_auto_t *doc = NULL;
	json_t *target;
	size_t i;
	int code, first = 0;

	/* A first word with a space in it ("table app.users") is an object, another one a role. */
	if (!role && !on && ctl->n_args > 0) {
		*(strchr(ctl->args[0], ' ') ? &on : &role) = ctl->args[0];
		first = 1;
	}
	if (role)
		client_query(path, "role", role);
	if (on)
		client_query(path, "object", on);
	for (int k = first; k < ctl->n_args; k++)
		client_query(path, "target", ctl->args[k]);
	code = client_get(ctl, path->s, "access", &doc);
	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	table = table_new(ctl, columns, sizeof columns / sizeof *columns);
	json_array_foreach(json_object_get(doc, "targets"), i, target)
		add_rows(ctl, table, target);
	return table_print(table);
}
