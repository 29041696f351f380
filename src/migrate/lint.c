/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/lint.h"

#include <errno.h>
#include <jansson.h>
#include <pg_query.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/lint_names.h"
#include "migrate/lint_skip.h"

#define REWRITES 1u
#define SCANS 2u
#define DESTROYS 4u

struct lint {
	void *parent;
	const struct migration_file *file;
	struct lint_made *made;
	struct migration_finding *v;
	uint32_t n, statement;
	struct script_place place;
	const char *ignored;       /* see lint_ignored_above() */
};

struct effect {
	const char *rule;
	enum lock_mode lock;
	unsigned does;
	const char *words;         /* after the lock; NULL = nothing more to say */
};

static const char *const lock_names[LOCK_MODES] = {
	"no lock", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
};

const char *lock_mode_name(enum lock_mode mode)
{
	return (unsigned)mode < LOCK_MODES ? lock_names[mode] : lock_names[LOCK_ACCESS_EXCLUSIVE];
}

/* ---- names ---- */

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static char *whole_name(void *parent, const char *schema, const char *name)
{
	return *schema ? talloc_asprintf(parent, "%s.%s", schema, name) : talloc_strdup(parent, name);
}

static void make(struct lint *l, const json_t *relation)
{
	lint_made_add(l->made, string_of(relation, "schemaname"), string_of(relation, "relname"));
}

/* ---- findings ---- */

static const char *blocks(enum lock_mode lock)
{
	return lock == LOCK_ACCESS_EXCLUSIVE ? "blocks reads and writes" : lock >= LOCK_SHARE ? "blocks writes" : NULL;
}

/* Nobody else uses what the files have made themselves; but a name without a schema may be that of something else, too. */
static bool is_left_out(const struct lint *l, const struct effect *e, const char *schema, const char *name)
{
	return lint_ignores(l->ignored, e->rule) || (*schema && lint_made_has(l->made, schema, name));
}

static void note_live_name(struct lint *l, struct migration_finding *f)
{
	const char *schema = f->schema ? f->schema : "", *name = f->relation;

	if (!name)
		return;
	f->made = lint_made_has(l->made, schema, name);
	lint_made_live_name(l->made, &schema, &name);
	f->live_schema = *schema ? talloc_strdup(l->v, schema) : NULL;
	f->live_relation = talloc_strdup(l->v, name);
}

static void add(struct lint *l, const struct effect *e, const char *schema, const char *name)
{
	struct migration_finding *f;
	const char *blocked = e->lock ? blocks(e->lock) : NULL;
	struct text *message;

	if (is_left_out(l, e, schema, name))
		return;
	l->v = talloc_realloc(l->parent, l->v, struct migration_finding, l->n + 1);
	f = &l->v[l->n++];
	*f = (struct migration_finding){ .statement = l->statement, .rule = e->rule, .lock = e->lock, .rewrites = e->does & REWRITES,
					 .scans = e->does & SCANS, .destroys = e->does & DESTROYS,
					 .schema = *schema ? talloc_strdup(l->v, schema) : NULL,
					 .relation = *name ? talloc_strdup(l->v, name) : NULL };
	note_live_name(l, f);
	f->line = migration_statement_line(l->file, l->statement, &l->place);
	message = text_new(l->v);
	if (e->lock)
		text_addf(message, "%s on %s", lock_mode_name(e->lock), whole_name(message, schema, name));
	if (blocked)
		text_addf(message, ": %s", blocked);
	if (e->words)
		text_addf(message, "%s%s", message->len ? blocked ? "; " : ": " : "", e->words);
	f->message = message->s;
}

static void add_on(struct lint *l, const struct effect *e, const json_t *relation)
{
	add(l, e, string_of(relation, "schemaname"), string_of(relation, "relname"));
}

/* The only member of a node: {"AlterTableStmt": {...}}. */
static const json_t *inside(const json_t *node, const char **ret_kind)
{
	void *iter = json_object_iter((json_t *)node);

	*ret_kind = iter ? json_object_iter_key(iter) : "";
	return iter ? json_object_iter_value(iter) : NULL;
}

/* ---- ALTER TABLE ---- */

static const struct { const char *subtype; struct effect effect; } alterations[] = {
	{ "AT_DropColumn", { "drop-column", LOCK_ACCESS_EXCLUSIVE, DESTROYS,
			     "the column's data is gone, and who still reads it fails; with a foreign key, the table that it refers to is locked as well" } },
	{ "AT_AlterColumnType", { "alter-type", LOCK_ACCESS_EXCLUSIVE, REWRITES,
				  "rewrites the table and its indexes, unless the types are stored alike; of a foreign key, the other table is locked as well" } },
	{ "AT_SetNotNull", { "set-not-null", LOCK_ACCESS_EXCLUSIVE, SCANS,
			     "reads the whole table, unless a valid CHECK (... IS NOT NULL) says so already" } },
	{ "AT_ValidateConstraint", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, SCANS, NULL } },
	{ "AT_DropConstraint", { "brief-lock", LOCK_ACCESS_EXCLUSIVE, 0, "briefly; of a foreign key, the table that it refers to as well" } },
	{ "AT_SetStatistics", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
	{ "AT_SetRelOptions", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
	{ "AT_ResetRelOptions", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
	{ "AT_SetOptions", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
	{ "AT_ClusterOn", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
	{ "AT_DropCluster", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
	{ "AT_SetLogged", { "rewrite", LOCK_ACCESS_EXCLUSIVE, REWRITES, "rewrites the table" } },
	{ "AT_SetUnLogged", { "rewrite", LOCK_ACCESS_EXCLUSIVE, REWRITES, "rewrites the table, which a crash then empties" } },
	{ "AT_SetTableSpace", { "rewrite", LOCK_ACCESS_EXCLUSIVE, REWRITES, "copies the table" } },
	{ "AT_SetAccessMethod", { "rewrite", LOCK_ACCESS_EXCLUSIVE, REWRITES, "rewrites the table" } },
	{ "AT_AttachPartition", { "attach-partition", LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
	{ "AT_DetachPartition", { "detach-partition", LOCK_ACCESS_EXCLUSIVE, 0, "use DETACH PARTITION ... CONCURRENTLY" } },
	{ "AT_DetachPartitionFinalize", { NULL, LOCK_SHARE_UPDATE_EXCLUSIVE, 0, NULL } },
};

static const struct effect brief_lock = { "brief-lock", LOCK_ACCESS_EXCLUSIVE, 0, "briefly" };

static bool has_function(const json_t *node)
{
	const char *key;
	json_t *value;
	size_t i;
	bool found = false;

	json_object_foreach((json_t *)node, key, value)
		found |= strcmp(key, "FuncCall") == 0 || has_function(value);
	json_array_foreach((json_t *)node, i, value)
		found |= has_function(value);
	return found;
}

static void foreign_key(struct lint *l, const json_t *constraint, const json_t *relation)
{
	static const struct effect unchecked = { "foreign-key", LOCK_SHARE_ROW_EXCLUSIVE, 0, "briefly (NOT VALID)" };
	static const struct effect checked = { "foreign-key", LOCK_SHARE_ROW_EXCLUSIVE, SCANS, "reads the whole table; NOT VALID and a later VALIDATE do not" };
	static const struct effect other = { "foreign-key", LOCK_SHARE_ROW_EXCLUSIVE, 0, "while the reference is checked" };
	bool quick = json_is_true(json_object_get(constraint, "skip_validation"));

	if (relation)
		add_on(l, quick ? &unchecked : &checked, relation);
	add_on(l, &other, json_object_get(constraint, "pktable"));
}

static void add_constraint(struct lint *l, const json_t *constraint, const json_t *relation)
{
	static const struct effect check = { "add-check", LOCK_ACCESS_EXCLUSIVE, SCANS, "reads the whole table; NOT VALID and a later VALIDATE do not" };
	static const struct effect unique = { "add-unique", LOCK_ACCESS_EXCLUSIVE, SCANS,
					      "builds an index; make it CONCURRENTLY before, then ADD CONSTRAINT ... USING INDEX" };
	const char *type = string_of(constraint, "contype");

	if (strcmp(type, "CONSTR_FOREIGN") == 0)
		foreign_key(l, constraint, relation);
	else if (strcmp(type, "CONSTR_CHECK") == 0)
		add_on(l, json_is_true(json_object_get(constraint, "skip_validation")) ? &brief_lock : &check, relation);
	else if (strcmp(type, "CONSTR_UNIQUE") == 0 || strcmp(type, "CONSTR_PRIMARY") == 0 || strcmp(type, "CONSTR_EXCLUSION") == 0)
		add_on(l, *string_of(constraint, "indexname") ? &brief_lock : &unique, relation);
}

/* From 11 on a constant default is kept in the catalog; one that has to be reckoned row by row rewrites. */
static void add_column(struct lint *l, const json_t *column, const json_t *relation)
{
	static const struct effect volatile_default = { "add-column", LOCK_ACCESS_EXCLUSIVE, REWRITES,
							"rewrites the table if the default is volatile: add the column, then the default, then fill" };
	static const struct effect computed = { "add-column", LOCK_ACCESS_EXCLUSIVE, REWRITES, "rewrites the table: every row gets a value" };
	const struct effect *effect = &brief_lock;
	const json_t *names = json_object_get(json_object_get(column, "typeName"), "names");
	const char *type = string_of(json_object_get(json_array_get(names, json_array_size(names) - 1), "String"), "sval");
	json_t *item;
	size_t i;

	if (strstr(type, "serial"))
		effect = &computed;
	json_array_foreach(json_object_get(column, "constraints"), i, item) {
		const json_t *constraint = json_object_get(item, "Constraint");
		const char *kind = string_of(constraint, "contype");

		if (strcmp(kind, "CONSTR_DEFAULT") == 0 && has_function(json_object_get(constraint, "raw_expr")))
			effect = &volatile_default;
		else if (strcmp(kind, "CONSTR_IDENTITY") == 0 || strcmp(kind, "CONSTR_GENERATED") == 0)
			effect = &computed;
		else
			add_constraint(l, constraint, relation);
	}
	add_on(l, effect, relation);
}

/* AT_EnableTrig, AT_DisableTrigAll and the others are alike. */
static const struct effect *alteration(const char *subtype)
{
	static const struct effect trigger = { "trigger", LOCK_SHARE_ROW_EXCLUSIVE, 0, "briefly" };

	if (strstr(subtype, "Trig"))
		return &trigger;
	for (size_t k = 0; k < sizeof alterations / sizeof *alterations; k++)
		if (strcmp(alterations[k].subtype, subtype) == 0)
			return &alterations[k].effect;
	return &brief_lock;
}

/* ATTACH and DETACH lock the partition, too. */
static void alter_partition(struct lint *l, const json_t *partition, const struct effect *effect, const json_t *relation, bool index)
{
	static const struct effect attached = { "attach-partition", LOCK_ACCESS_EXCLUSIVE, SCANS,
						"reads the whole partition, unless a valid CHECK says what it holds" };
	bool attaches = effect->lock == LOCK_SHARE_UPDATE_EXCLUSIVE;

	if (!effect->rule || json_is_true(json_object_get(partition, "concurrent")))
		return;
	if (!attaches)
		add_on(l, effect, relation);
	add_on(l, attaches ? index ? &brief_lock : &attached : effect, json_object_get(partition, "name"));
}

static void alter_table(struct lint *l, const json_t *statement)
{
	const json_t *relation = json_object_get(statement, "relation");
	const char *type = string_of(statement, "objtype");
	json_t *node;
	size_t i;

	json_array_foreach(json_object_get(statement, "cmds"), i, node) {
		const json_t *cmd = json_object_get(node, "AlterTableCmd"), *def = json_object_get(cmd, "def");
		const char *subtype = string_of(cmd, "subtype");
		const struct effect *effect = alteration(subtype);

		if (strcmp(subtype, "AT_AddColumn") == 0)
			add_column(l, json_object_get(def, "ColumnDef"), relation);
		else if (strcmp(subtype, "AT_AddConstraint") == 0)
			add_constraint(l, json_object_get(def, "Constraint"), relation);
		else if (json_object_get(def, "PartitionCmd"))
			alter_partition(l, json_object_get(def, "PartitionCmd"), effect, relation, strcmp(type, "OBJECT_INDEX") == 0);
		else if (strcmp(type, "OBJECT_VIEW") == 0)      /* its options belong to what its readers see */
			add_on(l, &brief_lock, relation);
		else if (effect->rule)
			add_on(l, effect, relation);
	}
}

/* ---- the other statements ---- */

static void create_table(struct lint *l, const json_t *statement)
{
	static const struct effect parent_lock = { "partition-of", LOCK_ACCESS_EXCLUSIVE, 0, "briefly; CREATE TABLE and ATTACH PARTITION lock less" };
	json_t *item, *constraint;
	size_t i, k;

	if (!json_is_true(json_object_get(statement, "if_not_exists")))
		make(l, json_object_get(statement, "relation"));
	json_array_foreach(json_object_get(statement, "tableElts"), i, item) {
		const json_t *own = json_object_get(item, "Constraint");

		if (own && strcmp(string_of(own, "contype"), "CONSTR_FOREIGN") == 0)
			foreign_key(l, own, NULL);
		json_array_foreach(json_object_get(json_object_get(item, "ColumnDef"), "constraints"), k, constraint)
			if (strcmp(string_of(json_object_get(constraint, "Constraint"), "contype"), "CONSTR_FOREIGN") == 0)
				foreign_key(l, json_object_get(constraint, "Constraint"), NULL);
	}
	if (json_object_get(statement, "partbound"))
		json_array_foreach(json_object_get(statement, "inhRelations"), i, item)
			add_on(l, &parent_lock, json_object_get(item, "RangeVar"));
}

/* CREATE TABLE AS, MATERIALIZED VIEW, SEQUENCE */
static void create_other(struct lint *l, const json_t *statement)
{
	const json_t *into = json_object_get(statement, "into");

	if (!json_is_true(json_object_get(statement, "if_not_exists")))
		make(l, into ? json_object_get(into, "rel") : json_object_get(statement, "sequence"));
}

static void create_view(struct lint *l, const json_t *statement)
{
	const json_t *view = json_object_get(statement, "view");

	if (json_is_true(json_object_get(statement, "replace")))
		add_on(l, &brief_lock, view);
	else
		make(l, view);
}

static void alter_sequence(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "brief-lock", LOCK_SHARE_ROW_EXCLUSIVE, 0, "briefly: nextval() waits" };

	add_on(l, &effect, json_object_get(statement, "sequence"));
}

/* The tables are those with a column of the domain: no name says which. */
static void alter_domain(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "add-check", LOCK_NONE, SCANS,
					      "blocks writes to every table with a column of the domain, and reads it whole" };
	const char subtype = *string_of(statement, "subtype");

	if (subtype == 'O' || subtype == 'V' || (subtype == 'C' &&
	    !json_is_true(json_object_get(json_object_get(json_object_get(statement, "def"), "Constraint"), "skip_validation"))))
		add(l, &effect, "", "");
}

static void create_index(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "create-index", LOCK_SHARE, SCANS, "while the index is built; CREATE INDEX CONCURRENTLY does not" };

	if (!json_is_true(json_object_get(statement, "concurrent")))
		add_on(l, &effect, json_object_get(statement, "relation"));
}

static bool takes_columns_along(const json_t *statement)
{
	static const char *const types[] = { "OBJECT_TYPE", "OBJECT_DOMAIN", "OBJECT_EXTENSION", "OBJECT_FUNCTION", "OBJECT_ROUTINE",
					     "OBJECT_COLLATION", "OBJECT_ACCESS_METHOD", "OBJECT_OPCLASS", "OBJECT_OPFAMILY" };
	bool found = false;

	for (size_t k = 0; k < sizeof types / sizeof *types; k++)
		found |= strcmp(types[k], string_of(statement, "removeType")) == 0;
	return found && strcmp(string_of(statement, "behavior"), "DROP_CASCADE") == 0;
}

/* Objects come as lists of name parts, or as one name; a trigger's has that of its table before its own. */
static void drop(struct lint *l, const json_t *statement)
{
	static const struct { const char *type; size_t own; struct effect effect; } kinds[] = {
		{ "OBJECT_TABLE", 0, { "drop-table", LOCK_ACCESS_EXCLUSIVE, DESTROYS,
				       "its data is gone; the tables that its foreign keys refer to are locked as well" } },
		{ "OBJECT_FOREIGN_TABLE", 0, { "drop-relation", LOCK_ACCESS_EXCLUSIVE, 0, "who still reads it fails" } },
		{ "OBJECT_MATVIEW", 0, { "drop-relation", LOCK_ACCESS_EXCLUSIVE, 0, "who still reads it fails" } },
		{ "OBJECT_VIEW", 0, { "drop-relation", LOCK_ACCESS_EXCLUSIVE, 0, "who still reads it fails" } },
		{ "OBJECT_SEQUENCE", 0, { "drop-relation", LOCK_ACCESS_EXCLUSIVE, DESTROYS, "its state is gone" } },
		{ "OBJECT_INDEX", 0, { "drop-index", LOCK_ACCESS_EXCLUSIVE, 0, "of its table too; DROP INDEX CONCURRENTLY does not" } },
		{ "OBJECT_TRIGGER", 1, { "brief-lock", LOCK_ACCESS_EXCLUSIVE, 0, "briefly" } },
		{ "OBJECT_POLICY", 1, { "brief-lock", LOCK_ACCESS_EXCLUSIVE, 0, "briefly" } },
		{ "OBJECT_RULE", 1, { "brief-lock", LOCK_ACCESS_EXCLUSIVE, 0, "briefly" } },
		{ "OBJECT_SCHEMA", 0, { "drop-schema", LOCK_NONE, DESTROYS, "drops a schema" } },
	};
	static const struct effect cascade = { "drop-cascade", LOCK_NONE, DESTROYS, "CASCADE: columns and tables that need it go with it" };
	bool patient = json_is_true(json_object_get(statement, "concurrent"));
	json_t *object;
	size_t i;

	if (takes_columns_along(statement))
		add(l, &cascade, "", "");
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds && !patient; k++) {
		if (strcmp(kinds[k].type, string_of(statement, "removeType")) != 0)
			continue;
		json_array_foreach(json_object_get(statement, "objects"), i, object) {
			const json_t *items = json_object_get(json_object_get(object, "List"), "items");
			size_t n = json_array_size(items) - (items ? kinds[k].own : 0);
			const char *name = n ? string_of(json_object_get(json_array_get(items, n - 1), "String"), "sval") :
					       string_of(json_object_get(object, "String"), "sval");

			add(l, &kinds[k].effect, n > 1 ? string_of(json_object_get(json_array_get(items, n - 2), "String"), "sval") : "", name);
		}
	}
}

static void drop_owned(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "drop-owned", LOCK_NONE, DESTROYS, "everything that the role owns in this database is gone" };

	(void)statement;
	add(l, &effect, "", "");
}

static void drop_database(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "drop-database", LOCK_NONE, DESTROYS, "a whole database is gone" };

	(void)statement;
	add(l, &effect, "", "");
}

static void truncate_tables(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "truncate", LOCK_ACCESS_EXCLUSIVE, DESTROYS, "every row is gone" };
	static const struct effect cascade = { "truncate", LOCK_ACCESS_EXCLUSIVE, DESTROYS,
					       "every row is gone; CASCADE: so is every row of the tables whose foreign keys refer to it" };
	bool cascades = strcmp(string_of(statement, "behavior"), "DROP_CASCADE") == 0;
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(statement, "relations"), i, item)
		add_on(l, cascades ? &cascade : &effect, json_object_get(item, "RangeVar"));
}

static void update_all(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "update-all", LOCK_ROW_EXCLUSIVE, REWRITES, "writes every row again, and holds them until the end" };

	if (!json_object_get(statement, "whereClause"))
		add_on(l, &effect, json_object_get(statement, "relation"));
}

static void delete_all(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "delete-all", LOCK_ROW_EXCLUSIVE, DESTROYS, "every row is gone" };

	if (!json_object_get(statement, "whereClause"))
		add_on(l, &effect, json_object_get(statement, "relation"));
}

static void create_trigger(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "trigger", LOCK_SHARE_ROW_EXCLUSIVE, 0, "briefly" };

	add_on(l, &effect, json_object_get(statement, "relation"));
}

static void rename_it(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "rename", LOCK_ACCESS_EXCLUSIVE, 0, "briefly; who still uses the old name fails" };
	const json_t *relation = json_object_get(statement, "relation");
	const char *schema = string_of(relation, "schemaname"), *name = string_of(relation, "relname");
	const char *to_name = string_of(statement, "newname"), *to_schema = string_of(statement, "newschema");

	if (!relation)
		return;
	if (strcmp(string_of(statement, "renameType"), "OBJECT_INDEX") != 0)      /* that stops nobody */
		add_on(l, &effect, relation);
	/* a column or constraint has its name in subname */
	if (!*string_of(statement, "subname") && (*to_name || *to_schema))
		lint_made_rename(l->made, schema, name, *to_schema ? to_schema : schema, *to_name ? to_name : name);
}

static void brief(struct lint *l, const json_t *statement)
{
	const json_t *relation = json_object_get(statement, "relation");

	if (!relation)
		relation = json_object_get(statement, "table");
	if (relation)
		add_on(l, &brief_lock, relation);
}

static void refresh(struct lint *l, const json_t *statement)
{
	static const struct effect whole = { "refresh", LOCK_ACCESS_EXCLUSIVE, REWRITES, "writes it anew; CONCURRENTLY lets readers go on" };
	static const struct effect patient = { "refresh", LOCK_EXCLUSIVE, REWRITES, "readers go on" };

	add_on(l, json_is_true(json_object_get(statement, "concurrent")) ? &patient : &whole, json_object_get(statement, "relation"));
}

static bool has_option(const json_t *options, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach(options, i, item)
		if (strcmp(string_of(json_object_get(item, "DefElem"), "defname"), name) == 0)
			return true;
	return false;
}

static void vacuum(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "rewrite", LOCK_ACCESS_EXCLUSIVE, REWRITES, "rewrites the table" };
	json_t *item;
	size_t i;

	if (!has_option(json_object_get(statement, "options"), "full"))
		return;
	json_array_foreach(json_object_get(statement, "rels"), i, item)
		add_on(l, &effect, json_object_get(json_object_get(item, "VacuumRelation"), "relation"));
}

static void cluster(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "rewrite", LOCK_ACCESS_EXCLUSIVE, REWRITES, "rewrites the table" };

	if (json_object_get(statement, "relation"))
		add_on(l, &effect, json_object_get(statement, "relation"));
}

static void reindex(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "reindex", LOCK_SHARE, SCANS, "and reads that need the index; REINDEX CONCURRENTLY does not" };

	if (json_object_get(statement, "relation") && !has_option(json_object_get(statement, "params"), "concurrently"))
		add_on(l, &effect, json_object_get(statement, "relation"));
}

static void lock_tables(struct lint *l, const json_t *statement)
{
	const json_int_t mode = json_integer_value(json_object_get(statement, "mode"));
	const struct effect effect = { "lock-table", mode > 0 && mode < LOCK_MODES ? (enum lock_mode)mode : LOCK_ACCESS_EXCLUSIVE, 0, "until the file ends" };
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(statement, "relations"), i, item)
		add_on(l, &effect, json_object_get(item, "RangeVar"));
}

static void opaque(struct lint *l, const json_t *statement)
{
	static const struct effect effect = { "not-classified", LOCK_NONE, 0, "not classified: what runs inside is not known" };

	(void)statement;
	add(l, &effect, "", "");
}

static const struct { const char *kind; void (*lint)(struct lint *, const json_t *); } statements[] = {
	{ "AlterTableStmt", alter_table }, { "CreateStmt", create_table }, { "CreateTableAsStmt", create_other }, { "IndexStmt", create_index },
	{ "ViewStmt", create_view }, { "CreateSeqStmt", create_other }, { "AlterSeqStmt", alter_sequence }, { "AlterDomainStmt", alter_domain },
	{ "DropStmt", drop }, { "DropOwnedStmt", drop_owned }, { "DropdbStmt", drop_database }, { "TruncateStmt", truncate_tables }, { "UpdateStmt", update_all }, { "DeleteStmt", delete_all },
	{ "CreateTrigStmt", create_trigger }, { "RenameStmt", rename_it }, { "AlterObjectSchemaStmt", rename_it }, { "RuleStmt", brief },
	{ "CreatePolicyStmt", brief }, { "AlterPolicyStmt", brief }, { "RefreshMatViewStmt", refresh }, { "VacuumStmt", vacuum },
	{ "ClusterStmt", cluster }, { "ReindexStmt", reindex }, { "LockStmt", lock_tables }, { "DoStmt", opaque }, { "CallStmt", opaque },
};

static void lint_node(struct lint *l, const json_t *node)
{
	const char *kind;
	const json_t *statement = inside(node, &kind);

	for (size_t k = 0; k < sizeof statements / sizeof *statements; k++)
		if (strcmp(statements[k].kind, kind) == 0)
			statements[k].lint(l, statement);
}

/* WITH gone AS (DELETE ...): what changes data stands there at the top alone. */
static void lint_with(struct lint *l, const json_t *node)
{
	const char *kind;
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(inside(node, &kind), "withClause"), "ctes"), i, item)
		lint_node(l, json_object_get(json_object_get(item, "CommonTableExpr"), "ctequery"));
}

static void lint_tree(struct lint *l, const json_t *tree)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(tree, "stmts"), i, item) {
		lint_with(l, json_object_get(item, "stmt"));
		lint_node(l, json_object_get(item, "stmt"));
	}
}

static void unparsed(struct lint *l, bool unknown)
{
	static const struct effect effect = { "not-classified", LOCK_NONE, 0, "not classified: the grammar of PostgreSQL 15 does not know it" };
	static const struct effect deep = { "not-classified", LOCK_NONE, 0, "not classified: it is nested too deeply" };

	add(l, unknown ? &effect : &deep, "", "");
}

static void lint_statement(struct lint *l, const struct script_statement *s)
{
	char *text = talloc_strndup(l->parent, l->file->text + s->start, s->len);
	PgQueryParseResult parsed = pg_query_parse(text);
	json_t *tree = parsed.error ? NULL : json_loads(parsed.parse_tree, 0, NULL);

	l->ignored = lint_ignored_above(l->parent, l->file, s->start);
	if (tree)
		lint_tree(l, tree);
	else
		unparsed(l, parsed.error);
	json_decref(tree);
	pg_query_free_parse_result(parsed);
	talloc_free(text);
}

int migration_lint(void *parent, const struct migration_file *file, struct lint_made *made, struct migration_finding **ret, uint32_t *ret_n)
{
	struct lint l = { .parent = parent, .file = file, .made = made };

	for (uint32_t i = 0; i < file->n_statements; i++) {
		l.statement = i;
		if (!lint_changes_some_rows(file->text + file->statements[i].start, file->statements[i].len))
			lint_statement(&l, &file->statements[i]);
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}
