/* SPDX-License-Identifier: PostgreSQL */
/*
 * What migrations make, an object a row: kind, name, the relation it belongs
 * to, and its definition in parts (migrate/schema.h names them). Nothing of it
 * depends on oids, owners, privileges or on where things are stored, so two
 * databases that the same files made give the same rows.
 *
 * $1 patterns of schemas (LIKE), $2 and $3 the schema and the tables of the
 * ledger. The rules of query.c hold: search_path is pinned, so that pg_get_*()
 * qualifies every name.
 */
#include "catalog/schema_query.h"

#define CATALOG(name) "'pg_catalog." name "'::pg_catalog.regclass"
#define QUOTE(name) "pg_catalog.quote_ident(" name "::pg_catalog.text)"
#define QUALIFIED(n, name) QUOTE(n ".nspname") " || '.' || " QUOTE(name)

#define WATCHED(n) n ".nspname::pg_catalog.text LIKE ANY ($1::pg_catalog.text[])" \
	" AND NOT pg_catalog.starts_with(" n ".nspname::pg_catalog.text, 'pg_') AND " n ".nspname <> 'information_schema'"
#define NO_EXTENSION(catalog, oid) oid " NOT IN (SELECT m.objid FROM pg_catalog.pg_depend m" \
	" WHERE m.refclassid = " CATALOG("pg_extension") " AND m.classid = " CATALOG(catalog) " AND m.deptype = 'e')"

/* Relation c of schema n. */
#define RELATION QUALIFIED("n", "c.relname")
#define FROM_RELATIONS " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
#define WATCHED_RELATION(kinds) "c.oid >= 16384 AND " WATCHED("n") " AND c.relkind IN (" kinds ") AND c.relpersistence <> 't'" \
	" AND NOT (n.nspname = $2::pg_catalog.name AND c.relname = ANY ($3::pg_catalog.name[])) AND " NO_EXTENSION("pg_class", "c.oid")

#define LISTED(array, which) "nullif(pg_catalog.array_to_string(ARRAY(SELECT o.x FROM pg_catalog.unnest(" array ") AS o(x)" which \
	" ORDER BY o.x COLLATE \"C\"), ', '), '')"
#define SORTED(array) LISTED(array, "")
/* Of relations and columns: without what the server itself notes there (pg_attver of 15.20 counts the changes of a column). */
#define OPTIONS(array) LISTED(array, " WHERE NOT pg_catalog.starts_with(o.x, 'pg_')")
#define NONE(n) NONE_##n
#define NONE_1 ", NULL"
#define NONE_2 NONE_1 NONE_1
#define NONE_3 NONE_2 NONE_1
#define NONE_4 NONE_2 NONE_2
#define NONE_5 NONE_4 NONE_1
#define NONE_6 NONE_4 NONE_2
#define NONE_7 NONE_4 NONE_3

/* What a partition has from its parent is left out: the parent is watched. */
#define TABLES \
	"SELECT 'A' AS kind, " RELATION " AS name, NULL AS parent," \
	" CASE c.relkind WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS p1," \
	" CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END AS p2, pg_catalog.pg_get_partkeydef(c.oid) AS p3," \
	" pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS p4," \
	" (SELECT pg_catalog.string_agg(" QUALIFIED("m", "i.relname") ", ', ' ORDER BY h.inhseqno) FROM pg_catalog.pg_inherits h" \
	" JOIN pg_catalog.pg_class i ON i.oid = h.inhparent JOIN pg_catalog.pg_namespace m ON m.oid = i.relnamespace" \
	" WHERE h.inhrelid = c.oid) AS p5, " OPTIONS("c.reloptions") " AS p6," \
	" CASE c.relreplident WHEN 'd' THEN 'default' WHEN 'f' THEN 'full' WHEN 'n' THEN 'nothing' ELSE (SELECT " QUOTE("i.relname") \
	" FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid AND x.indisreplident) END AS p7," \
	" (SELECT a.amname::pg_catalog.text FROM pg_catalog.pg_am a WHERE a.oid = c.relam) AS p8," \
	" (SELECT s.srvname || ' ' || coalesce(" SORTED("f.ftoptions") ", '') FROM pg_catalog.pg_foreign_table f" \
	" JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) AS hidden" \
	FROM_RELATIONS " WHERE " WATCHED_RELATION("'r', 'p', 'f'")

#define VIEWS \
	"SELECT 'B', " RELATION ", NULL, CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, " OPTIONS("c.reloptions") NONE(6) \
	", pg_catalog.pg_get_viewdef(c.oid)" FROM_RELATIONS " WHERE " WATCHED_RELATION("'v', 'm'")

/* Numbered without the gaps of dropped columns. */
#define COLUMNS \
	"SELECT 'C', " RELATION " || '.' || " QUOTE("a.attname") ", " RELATION ", pg_catalog.format_type(a.atttypid, a.atttypmod)," \
	" CASE WHEN a.attnotnull THEN 'yes' ELSE 'no' END," \
	" CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END," \
	" CASE WHEN a.attgenerated <> '' THEN a.attgenerated::pg_catalog.text || ' ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) END," \
	" CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END," \
	" CASE WHEN a.attcollation <> t.typcollation THEN (SELECT " QUALIFIED("m", "o.collname") " FROM pg_catalog.pg_collation o" \
	" JOIN pg_catalog.pg_namespace m ON m.oid = o.collnamespace WHERE o.oid = a.attcollation) END," \
	" pg_catalog.concat_ws(' ', a.attstorage, CASE WHEN a.attcompression <> '' THEN a.attcompression END, " OPTIONS("a.attoptions") ")," \
	" pg_catalog.row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum)::pg_catalog.text, NULL" \
	FROM_RELATIONS " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid" \
	" LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum" \
	" WHERE " WATCHED_RELATION("'r', 'p', 'f'") " AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped"

/* NOT NULL is the column's, whatever PostgreSQL 18 calls it. */
#define CONSTRAINTS \
	"SELECT 'D', " RELATION " || '.' || " QUOTE("k.conname") ", " RELATION ", pg_catalog.pg_get_constraintdef(k.oid)" NONE(7) ", NULL" \
	FROM_RELATIONS " JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid" \
	" WHERE " WATCHED_RELATION("'r', 'p', 'f'") " AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND k.conislocal"

/* Not those of constraints, nor one that is being built at this moment. */
#define INDEXES \
	"SELECT 'E', " QUOTE("n.nspname") " || '.' || " QUOTE("i.relname") ", " RELATION ", pg_catalog.pg_get_indexdef(x.indexrelid)," \
	" CASE WHEN x.indisvalid THEN 'yes' ELSE 'no' END" NONE(6) ", NULL" \
	FROM_RELATIONS " JOIN pg_catalog.pg_index x ON x.indrelid = c.oid JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid" \
	" WHERE " WATCHED_RELATION("'r', 'p', 'm'") " AND NOT i.relispartition AND x.indislive" \
	" AND x.indexrelid NOT IN (SELECT k.conindid FROM pg_catalog.pg_constraint k WHERE k.contype IN ('p', 'u', 'x'))" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index b WHERE b.index_relid = x.indexrelid)"

#define TRIGGERS \
	"SELECT 'F', " RELATION " || '.' || " QUOTE("g.tgname") ", " RELATION "," \
	" CASE g.tgenabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' ELSE 'always' END," \
	" pg_catalog.pg_get_triggerdef(g.oid)" NONE(6) ", NULL" \
	FROM_RELATIONS " JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid" \
	" WHERE " WATCHED_RELATION("'r', 'p', 'f', 'v'") " AND NOT g.tgisinternal AND g.tgparentid = 0"

#define RULES \
	"SELECT 'G', " RELATION " || '.' || " QUOTE("r.rulename") ", " RELATION "," \
	" CASE r.ev_enabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' ELSE 'always' END" NONE(7) \
	", pg_catalog.pg_get_ruledef(r.oid)" \
	FROM_RELATIONS " JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid" \
	" WHERE " WATCHED_RELATION("'r', 'p', 'v'") " AND r.rulename <> '_RETURN'"

#define STATISTICS \
	"SELECT 'H', " QUOTE("m.nspname") " || '.' || " QUOTE("s.stxname") ", " RELATION ", pg_catalog.pg_get_statisticsobjdef(s.oid)" NONE(7) ", NULL" \
	FROM_RELATIONS " JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = c.oid JOIN pg_catalog.pg_namespace m ON m.oid = s.stxnamespace" \
	" WHERE " WATCHED_RELATION("'r', 'p', 'f', 'm'")

#define SEQUENCES \
	"SELECT 'I', " RELATION ", (SELECT " QUALIFIED("m", "o.relname") OWNED "), pg_catalog.format_type(s.seqtypid, NULL)," \
	" s.seqstart::pg_catalog.text, s.seqincrement::pg_catalog.text, s.seqmin::pg_catalog.text, s.seqmax::pg_catalog.text," \
	" s.seqcache::pg_catalog.text, CASE WHEN s.seqcycle THEN 'yes' ELSE 'no' END," \
	" (SELECT " QUALIFIED("m", "o.relname") " || '.' || " QUOTE("a.attname") OWNED "), NULL" \
	FROM_RELATIONS " JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid WHERE " WATCHED_RELATION("'S'")
#define OWNED \
	" FROM pg_catalog.pg_depend w JOIN pg_catalog.pg_class o ON o.oid = w.refobjid" \
	" JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace" \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = w.refobjid AND a.attnum = w.refobjsubid" \
	" WHERE w.classid = " CATALOG("pg_class") " AND w.objid = c.oid AND w.refclassid = " CATALOG("pg_class") \
	" AND w.refobjsubid > 0 AND w.deptype IN ('a', 'i') LIMIT 1"

/* Without those that a type brings with it. The text of a body is never told, only that it is another. */
#define FUNCTIONS \
	"SELECT 'J', " QUALIFIED("n", "p.proname") " || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', NULL," \
	" CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' ELSE 'function' END," \
	" pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid), l.lanname::pg_catalog.text," \
	" pg_catalog.concat_ws(' ', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END," \
	" CASE WHEN p.proisstrict THEN 'strict' END, CASE WHEN p.proleakproof THEN 'leakproof' END," \
	" CASE p.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' END, 'cost', p.procost, 'rows', p.prorows," \
	" CASE WHEN p.prosupport <> 0::pg_catalog.oid THEN 'support ' || p.prosupport::pg_catalog.text END)," \
	" CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END, " SORTED("p.proconfig") ", NULL," \
	" pg_catalog.concat_ws(' ', p.prosrc, p.probin, pg_catalog.pg_get_function_sqlbody(p.oid)," \
	" (SELECT pg_catalog.concat_ws(' ', a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn," \
	" a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify," \
	" a.aggmfinalmodify, a.aggsortop::pg_catalog.regoperator, pg_catalog.format_type(a.aggtranstype, NULL), a.aggtransspace," \
	" pg_catalog.format_type(a.aggmtranstype, NULL), a.aggmtransspace, a.agginitval, a.aggminitval)" \
	" FROM pg_catalog.pg_aggregate a WHERE a.aggfnoid = p.oid))" \
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang" \
	" WHERE p.oid >= 16384 AND " WATCHED("n") " AND " NO_EXTENSION("pg_proc", "p.oid") \
	" AND p.oid NOT IN (SELECT i.objid FROM pg_catalog.pg_depend i WHERE i.classid = " CATALOG("pg_proc") " AND i.deptype = 'i')"

#define COLLATION_OF(type) \
	" CASE WHEN " type ".typcollation NOT IN (0, 100) THEN (SELECT " QUALIFIED("m", "o.collname") " FROM pg_catalog.pg_collation o" \
	" JOIN pg_catalog.pg_namespace m ON m.oid = o.collnamespace WHERE o.oid = " type ".typcollation) END"
#define TYPES \
	"SELECT 'K', " QUALIFIED("n", "t.typname") ", NULL," \
	" CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range' ELSE 'base' END," \
	" CASE t.typtype WHEN 'e' THEN (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel::pg_catalog.text), ', '" \
	" ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)" \
	" WHEN 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod)" \
	" WHEN 'c' THEN (SELECT pg_catalog.string_agg(" QUOTE("a.attname") " || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', '" \
	" ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)" \
	" WHEN 'r' THEN (SELECT pg_catalog.concat_ws(' ', pg_catalog.format_type(r.rngsubtype, NULL), o.opcname, r.rngcanonical, r.rngsubdiff)" \
	" FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid)" \
	" ELSE pg_catalog.concat_ws(' ', t.typlen, t.typbyval, t.typalign, t.typstorage, t.typinput, t.typoutput) END," \
	" CASE WHEN t.typtype = 'd' THEN CASE WHEN t.typnotnull THEN 'yes' ELSE 'no' END END," \
	" CASE WHEN t.typtype = 'd' THEN t.typdefault END," \
	" CASE WHEN t.typtype = 'd' THEN (SELECT pg_catalog.string_agg(" QUOTE("k.conname") " || ' ' || pg_catalog.pg_get_constraintdef(k.oid), ', '" \
	" ORDER BY k.conname) FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') END," \
	COLLATION_OF("t") NONE(2) ", NULL" \
	" FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace" \
	" LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid AND t.typtype = 'c'" \
	" WHERE t.oid >= 16384 AND " WATCHED("n") " AND t.typtype IN ('e', 'd', 'c', 'r', 'b')" \
	" AND (t.typtype <> 'c' OR c.relkind = 'c') AND t.typisdefined" \
	" AND NOT (t.typtype = 'b' AND EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid))" \
	" AND " NO_EXTENSION("pg_type", "t.oid")

/* Short parts as they are, with "=" before them; long ones, and what is never told, as "#" and a digest. */
#define DIGEST(value) "'#' || pg_catalog.\"left\"(pg_catalog.encode(pg_catalog.sha256(" \
	"pg_catalog.convert_to(" value ", pg_catalog.getdatabaseencoding())), 'hex'), 32)"
#define PART(value) "CASE WHEN pg_catalog.octet_length(" value ") > 200 THEN " DIGEST(value) " ELSE '=' || " value " END"

const char schema_objects_sql[] =
	"SELECT u.kind, u.name, u.parent, " PART("u.p1") ", " PART("u.p2") ", " PART("u.p3") ", " PART("u.p4") ", " PART("u.p5") ", "
	PART("u.p6") ", " PART("u.p7") ", " PART("u.p8") ", " DIGEST("u.hidden") " FROM (" TABLES " UNION ALL " VIEWS " UNION ALL " COLUMNS
	" UNION ALL " CONSTRAINTS " UNION ALL " INDEXES " UNION ALL " TRIGGERS " UNION ALL " RULES " UNION ALL " STATISTICS " UNION ALL "
	SEQUENCES " UNION ALL " FUNCTIONS " UNION ALL " TYPES ") u ORDER BY u.kind, u.name COLLATE \"C\" LIMIT 500001";
