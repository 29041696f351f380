/* SPDX-License-Identifier: PostgreSQL */
/* What pending migrations do to others, in the documents of the plan, of a target and of its migrations. */
#include "config.h"

#include "control/internal.h"
#include "migrate/lint.h"

static json_t *finding(const struct migration_finding *f, const char *script)
{
	json_t *object = json_object();

	put_text(object, "script", script);
	put_text(object, "rule", f->rule);
	put_int(object, "statement", f->statement + 1);
	put_int(object, "line", f->line);
	put_text(object, "schema", f->schema);
	put_text(object, "relation", f->relation);
	put_text(object, "lock", f->lock ? lock_mode_name(f->lock) : NULL);
	put_bool(object, "rewrites", f->rewrites);
	put_bool(object, "scans", f->scans);
	put_bool(object, "destroys", f->destroys);
	json_object_set_new(object, "bytes", f->measured ? json_integer(f->bytes) : json_null());
	json_object_set_new(object, "rows", f->measured && f->tuples >= 0 ? json_integer(f->tuples) : json_null());
	put_text(object, "message", f->message);
	return object;
}

json_t *document_findings(const struct migration_finding *v, uint32_t n, const char *script)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		if (!v[i].made && !v[i].absent)
			json_array_append_new(list, finding(&v[i], script));
	return list;
}
