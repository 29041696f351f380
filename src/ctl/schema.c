/* SPDX-License-Identifier: PostgreSQL */
/* Schema drift for people: what differs from what migrations made, and from the peers. */
#include "ctl/schema.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

/* "type integer -> bigint, default": what is not told has no ends. */
static void add_parts(struct ctl *ctl, struct text *out, const json_t *parts)
{
	json_t *p;
	size_t i;

	json_array_foreach(parts, i, p) {
		text_addf(out, "%s%s", i ? ", " : ": ", ctl_text(ctl, p, "part", "?"));
		if (json_is_string(json_object_get(p, "before")) || json_is_string(json_object_get(p, "after")))
			text_addf(out, " %s -> %s", ctl_text(ctl, p, "before", "(none)"), ctl_text(ctl, p, "after", "(none)"));
	}
}

static void print_changes(struct ctl *ctl, const char *indent, const char *label, const json_t *changes, int total)
{
	json_t *c;
	size_t i;

	json_array_foreach(changes, i, c) {
		struct text *out = text_new(ctl->scratch);

		text_addf(out, "%s %s %s", ctl_text(ctl, c, "kind", "?"), ctl_text(ctl, c, "name", "?"), ctl_text(ctl, c, "change", "?"));
		add_parts(ctl, out, json_object_get(c, "parts"));
		printf("%s%s%s%s: %s\n", indent, ctl_paint(ctl, COLOR_YELLOW), label, ctl_plain(ctl), out->s);
	}
	if (total > (int)json_array_size(changes))
		printf("%s%s: %d more\n", indent, label, total - (int)json_array_size(changes));
}

void schema_print(struct ctl *ctl, const json_t *doc, const char *indent)
{
	const json_t *schema = json_object_get(doc, "schema"), *peers = json_object_get(schema, "peers");

	if (!json_is_object(schema))
		return;
	print_changes(ctl, indent, "schema drift", json_object_get(doc, "schema_drift"), (int)ctl_int(schema, "drift"));
	if (ctl_int(peers, "differences") > 0)
		print_changes(ctl, indent, talloc_asprintf(ctl->scratch, "differs from %s", ctl_text(ctl, peers, "reference", "?")),
			      json_object_get(peers, "changes"), (int)ctl_int(peers, "differences"));
	if (*ctl_raw(schema, "error"))
		printf("%s%sschema%s: not looked at: %s\n", indent, ctl_paint(ctl, COLOR_RED), ctl_plain(ctl), ctl_text(ctl, schema, "error", ""));
}

const char *schema_line(struct ctl *ctl, const json_t *schema)
{
	int drift = (int)ctl_int(schema, "drift"), differs = (int)ctl_int(json_object_get(schema, "peers"), "differences");
	struct text *out;

	if (!json_is_object(schema))
		return NULL;
	if (!json_is_integer(json_object_get(schema, "drift")))
		return "not looked at yet";
	out = text_new(ctl->scratch);
	if (drift)
		text_addf(out, "%d object%s changed outside of migrations", drift, drift == 1 ? " was" : "s were");
	else
		text_add(out, "as migrations made it");
	if (differs)
		text_addf(out, ", %d differ%s from most at its version", differs, differs == 1 ? "s" : "");
	text_addf(out, "; %d objects, compared with those of version %s", (int)ctl_int(schema, "objects"),
		  ctl_text(ctl, schema, "baseline_version", "none"));
	return out->s;
}

const char *schema_summary(struct ctl *ctl, const json_t *schema, enum ctl_color *color)
{
	int drift = (int)ctl_int(schema, "drift"), differs = (int)ctl_int(schema, "differs");

	*color = COLOR_NONE;
	if (!json_is_object(schema))
		return ctl->output == OUTPUT_TSV ? "" : "-";
	*color = drift || differs ? COLOR_YELLOW : COLOR_GREEN;
	if (drift && differs)
		return talloc_asprintf(ctl->scratch, "drift %d, differs %d", drift, differs);
	if (drift)
		return talloc_asprintf(ctl->scratch, "drift %d", drift);
	return differs ? talloc_asprintf(ctl->scratch, "differs %d", differs) : "as migrated";
}
