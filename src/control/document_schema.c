/* SPDX-License-Identifier: PostgreSQL */
/* What differs in the schemas of a database: from what its migrations made, and from its peers. */
#include "config.h"

#include "control/internal.h"
#include "migrate/schema.h"

static json_t *part(const struct schema_part *p)
{
	json_t *object = json_object();

	put_text(object, "part", p->name);
	put_text(object, "before", p->before);
	put_text(object, "after", p->after);
	return object;
}

json_t *document_schema_changes(const struct schema_diff *diff)
{
	json_t *list = json_array();

	for (uint32_t i = 0; diff && i < diff->n; i++) {
		const struct schema_change *c = &diff->v[i];
		json_t *object = json_object(), *parts = json_array();

		put_text(object, "kind", c->kind);
		put_text(object, "name", c->name);
		put_text(object, "change", schema_difference_name(c->difference));
		for (uint32_t k = 0; k < c->n_parts; k++)
			json_array_append_new(parts, part(&c->parts[k]));
		json_object_set_new(object, "parts", parts);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *peers(const struct schema_view *view)
{
	json_t *object;

	if (!view->peers)
		return json_null();
	object = json_object();
	put_int(object, "databases", view->peers);
	put_text(object, "reference", view->reference);
	put_int(object, "differences", view->differs ? view->differs->total : 0);
	json_object_set_new(object, "changes", document_schema_changes(view->differs));
	return object;
}

json_t *document_schema(const struct target_view *target, const struct migration_settings *settings)
{
	const struct schema_view *view = target->schema;
	json_t *object, *watched = json_array();

	if (!view) {
		json_decref(watched);
		return json_null();
	}
	object = json_object();
	for (uint32_t i = 0; settings && i < settings->n_schema_drift; i++)
		json_array_append_new(watched, json_text(settings->schema_drift[i]));
	json_object_set_new(object, "watched", watched);
	put_time(object, "looked_at", view->looked_ms);
	put_time(object, "baseline_at", view->baseline_ms);
	put_text(object, "baseline_version", view->baseline_version);
	put_int(object, "objects", view->objects);
	json_object_set_new(object, "drift", view->drift ? json_integer(view->drift->total) : json_null());
	put_text(object, "error", view->error);
	json_object_set_new(object, "peers", peers(view));
	return object;
}
