/* SPDX-License-Identifier: PostgreSQL */
/*
 * The text of every catalog query, in one table.
 *
 * Rules that a unit test checks with PostgreSQL's own parser: every relation, function and type is qualified with
 * pg_catalog, one SELECT each, nothing that writes. Operators stay plain: search_path is pinned to
 * "pg_catalog, pg_temp", where pg_temp is never searched for operators; only QUERY_ASSERT_SESSION, which runs before
 * that is proved, uses none.
 *
 * Names of schemas come from a join (the snapshot's), names of owners from pg_get_userbyid() and names inside ACLs from
 * aclitemout (the current ones): both only after grouping, so they cost by group and not by object.
 *
 * Text of shared catalogs may be in the encoding of another database. Functions that look at characters (left, strpos,
 * split_part, regular expressions) may refuse such bytes and fail the whole read; octet_length, starts_with and
 * comparison in the C collation do not.
 */
#include "catalog/query.h"

#include <stddef.h>

#include "catalog/schema_query.h"

#define CATALOG(name) "'pg_catalog." name "'::pg_catalog.regclass"
#define OWNER(column) "pg_catalog.pg_get_userbyid(" column ")"

/* Schemas that users make, and public. */
#define USER_SCHEMA(n) "NOT pg_catalog.starts_with(" n ".nspname::pg_catalog.text, 'pg_')" \
	" AND " n ".nspname <> 'information_schema'"
/* Objects that initdb made are below; what a user makes is here or above (FirstNormalObjectId). */
#define USER_OID(column) column " >= 16384"

/* Members of extensions, by the index on the referenced object: reads as many rows as there are members, not as there
   are dependencies. */
#define EXTENSION_MEMBERS(catalog) \
	"(SELECT m.objid FROM pg_catalog.pg_depend m WHERE m.refclassid = " CATALOG("pg_extension") \
	" AND m.classid = " CATALOG(catalog) " AND m.deptype = 'e')"
#define IN_EXTENSION(catalog, oid) oid " IN " EXTENSION_MEMBERS(catalog)
/* What the extension's script granted: the baseline of its members. */
#define INITIAL_ACL(catalog, oid, sub) \
	"(SELECT i.initprivs FROM pg_catalog.pg_init_privs i WHERE i.objoid = " oid " AND i.classoid = " CATALOG(catalog) \
	" AND i.objsubid = " sub ")"

/* A text of a shared catalog: cutting it would need to look at its characters. */
#define BOUNDED(value) \
	"CASE WHEN pg_catalog.octet_length(" value ") > 65536 THEN '(too long to be read)' ELSE " value " END"
#define UTC(value) "pg_catalog.to_char(pg_catalog.timezone('UTC', " value "), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
/* One row more than decode accepts tells it that there are too many. */
#define AT_MOST " LIMIT 1000001"

/* --- of every look --- */

/*
 * pg_control_system() is executable by everybody until somebody revokes that. The right to call a function is checked
 * when a plan starts, used or not, so CASE alone does not guard it: query_to_xml() plans its text only when it is called.
 */
#define SYSTEM_IDENTIFIER \
	"CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN pg_catalog.substring(" \
	"pg_catalog.query_to_xml('SELECT c.system_identifier FROM pg_catalog.pg_control_system() c', false, true, '')" \
	"::pg_catalog.text, '<system_identifier>([0-9]+)</system_identifier>') END"

static const char facts_sql[] =
	"SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.pg_is_in_recovery(), " SYSTEM_IDENTIFIER ","
	" r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls,"
	" pg_catalog.has_table_privilege(" CATALOG("pg_authid") "::pg_catalog.oid, 'SELECT'),"
	" (SELECT b.rolname FROM pg_catalog.pg_roles b WHERE b.oid = 10), d.datname, d.oid,"
	" pg_catalog.pg_current_snapshot(), " UTC("pg_catalog.clock_timestamp()")
	" FROM pg_catalog.pg_roles r, pg_catalog.pg_database d"
	" WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()";

static const char place_sql[] =
	"SELECT pg_catalog.pg_is_in_recovery(), d.oid, " SYSTEM_IDENTIFIER ", pg_catalog.pg_backend_pid()"
	" FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

static const char assert_session_sql[] =
	"SELECT s.name, pg_catalog.current_setting(s.name, true) FROM (VALUES "
	"('search_path'::pg_catalog.text), ('role'), ('session_authorization'), ('is_superuser'), ('server_version_num'),"
	" ('server_encoding'), ('client_encoding'), ('standard_conforming_strings'), ('backslash_quote'),"
	" ('quote_all_identifiers'), ('row_security'), ('check_function_bodies'), ('synchronous_commit'),"
	" ('client_min_messages'), ('default_transaction_read_only'), ('default_transaction_isolation'),"
	" ('default_transaction_deferrable'), ('transaction_read_only'), ('TimeZone'), ('DateStyle'), ('IntervalStyle'),"
	" ('bytea_output'), ('extra_float_digits'), ('xmloption'), ('array_nulls'), ('transform_null_equals'),"
	" ('password_encryption'), ('scram_iterations'), ('createrole_self_grant'), ('session_replication_role'),"
	" ('event_triggers'), ('restrict_nonsystem_relation_kind'), ('statement_timeout'), ('lock_timeout'),"
	" ('idle_in_transaction_session_timeout'), ('idle_session_timeout'), ('transaction_timeout'), ('exit_on_error'),"
	" ('local_preload_libraries'), ('default_tablespace'), ('temp_tablespaces'),"
	" ('default_table_access_method'), ('lc_messages'), ('jit'), ('application_name'))"
	" AS s(name)"
	" UNION ALL SELECT 'pg_backend_pid()', pg_catalog.pg_backend_pid()::pg_catalog.text"
	" UNION ALL SELECT 'pg_is_in_recovery()', CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END"
	" UNION ALL SELECT 'system_identifier', " SYSTEM_IDENTIFIER
	" UNION ALL SELECT 'current_user', current_user::pg_catalog.text"
	" UNION ALL SELECT 'session_user', session_user::pg_catalog.text"
	" UNION ALL SELECT 'current_database', pg_catalog.current_database()::pg_catalog.text";

/* --- a server's shared catalogs --- */

/* The attributes as bits, in the order of enum role_attr: a column costs us as much as a comparison of a role does.
   No end and infinity are the same; the beginning of time is not, and sorts before every date. */
#define BIT(column, value) "r." column "::pg_catalog.int4 * " value
#define ROLES(source, verifier) \
	"SELECT r.oid, r.rolname, r.rolsuper::pg_catalog.int4 + " BIT("rolinherit", "2") " + " BIT("rolcreaterole", "4") \
	" + " BIT("rolcreatedb", "8") " + " BIT("rolcanlogin", "16") " + " BIT("rolreplication", "32") \
	" + " BIT("rolbypassrls", "64") ", r.rolconnlimit, CASE WHEN pg_catalog.isfinite(r.rolvaliduntil) THEN " UTC("r.rolvaliduntil") \
	" WHEN r.rolvaliduntil < 'infinity' THEN '-infinity' END, " verifier ", " BOUNDED("d.description") \
	" FROM pg_catalog." source " r LEFT JOIN pg_catalog.pg_shdescription d ON d.objoid = r.oid" \
	" AND d.classoid = " CATALOG("pg_authid") \
	" ORDER BY r.rolname" AT_MOST

/* Grouped: the members of one role by the same grantor with the same options. A membership of a role that a race has left
   behind drops out with the inner joins; its grantor may be gone (to 15). */
#define MEMBERSHIPS(inherit, set) \
	"SELECT g.rolname, b.rolname, a.admin, a.inherit, a.set, a.n, a.members" \
	" FROM (SELECT x.roleid, x.grantor, x.admin_option AS admin, " inherit " AS inherit, " set " AS set," \
	" pg_catalog.count(*) AS n, pg_catalog.array_agg(m.rolname) AS members" \
	" FROM pg_catalog.pg_auth_members x JOIN pg_catalog.pg_roles m ON m.oid = x.member GROUP BY 1, 2, 3, 4, 5) a" \
	" JOIN pg_catalog.pg_roles g ON g.oid = a.roleid LEFT JOIN pg_catalog.pg_roles b ON b.oid = a.grantor" AT_MOST

/* "name=value" is split by the decoder. A row of a role or database that is gone must not read as one for all. */
static const char settings_sql[] =
	"SELECT r.rolname, d.datname, c.setting"
	" FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)"
	" LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
	" WHERE (s.setrole = 0 OR r.oid IS NOT NULL) AND (s.setdatabase = 0 OR d.oid IS NOT NULL)" AT_MOST;

static const char databases_sql[] =
	"SELECT d.oid, d.datname, " OWNER("d.datdba") ", d.datallowconn, d.datconnlimit, d.datacl"
	" FROM pg_catalog.pg_database d ORDER BY d.datname" AT_MOST;

/* --- objects: kind, schema, owner, in an extension, acl, initial acl, number, names [, more] --- */

static const char tablespaces_sql[] =
	"SELECT 't', NULL, " OWNER("t.spcowner") ", false, t.spcacl, NULL, 1, ARRAY[t.spcname]"
	" FROM pg_catalog.pg_tablespace t ORDER BY t.spcname" AT_MOST;

/* A row only where something was granted. Owned by the bootstrap superuser, as PostgreSQL itself has it. */
static const char parameters_sql[] =
	"SELECT 'p', NULL, " OWNER("10::pg_catalog.oid") ", false, p.paracl, NULL, 1, ARRAY[p.parname]"
	" FROM pg_catalog.pg_parameter_acl p ORDER BY p.parname COLLATE \"C\"" AT_MOST;

static const char schemas_sql[] =
	"SELECT 'n', NULL, " OWNER("n.nspowner") ", n.ext, n.nspacl,"
	" CASE WHEN n.ext THEN " INITIAL_ACL("pg_namespace", "n.oid", "0") " END, 1, ARRAY[n.nspname]"
	" FROM (SELECT s.oid, s.nspname, s.nspowner, s.nspacl, " IN_EXTENSION("pg_namespace", "s.oid") " AS ext"
	" FROM pg_catalog.pg_namespace s WHERE " USER_SCHEMA("s") ") n ORDER BY n.nspname" AT_MOST;

/* Both halves group the same way. The members of extensions are a half of their own, so that looking for their initial
   ACL costs the 20,000 other tables nothing. aclitem[] can be hashed but not sorted: order by its text, after grouping. */
#define RELATION_KEYS "c.relnamespace, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity"
#define RELATION_KINDS "c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'"

static const char relations_sql[] =
	"SELECT g.relkind, n.nspname, " OWNER("g.relowner") ", g.ext, g.relacl, g.initial, g.n, g.names,"
	" g.relrowsecurity, g.relforcerowsecurity"
	" FROM (SELECT " RELATION_KEYS ", false AS ext, NULL::pg_catalog.aclitem[] AS initial, pg_catalog.count(*) AS n,"
	" pg_catalog.array_agg(c.relname) AS names"
	" FROM pg_catalog.pg_class c WHERE " USER_OID("c.oid") " AND " RELATION_KINDS
	" AND c.oid NOT IN " EXTENSION_MEMBERS("pg_class")
	" GROUP BY " RELATION_KEYS
	" UNION ALL SELECT " RELATION_KEYS ", true, i.initprivs, pg_catalog.count(*), pg_catalog.array_agg(c.relname)"
	" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_init_privs i"
	" ON i.objoid = c.oid AND i.classoid = " CATALOG("pg_class") " AND i.objsubid = 0"
	" WHERE " IN_EXTENSION("pg_class", "c.oid") " AND " USER_OID("c.oid") " AND " RELATION_KINDS
	" GROUP BY " RELATION_KEYS ", i.initprivs"
	") g JOIN pg_catalog.pg_namespace n ON n.oid = g.relnamespace WHERE " USER_SCHEMA("n")
	" ORDER BY n.nspname, g.relkind, g.relowner, g.relacl::pg_catalog.text COLLATE \"C\"" AT_MOST;

/* To 16, dropped columns keep their ACL. */
static const char columns_sql[] =
	"SELECT g.relkind, n.nspname, " OWNER("g.relowner") ", g.ext, g.attacl, g.initial, g.n, g.names, g.attname"
	" FROM (SELECT a.relnamespace, a.relkind, a.relowner, a.attname, a.attacl, a.ext, a.initial, pg_catalog.count(*) AS n,"
	" pg_catalog.array_agg(a.relname) AS names"
	" FROM (SELECT c.relnamespace, c.relkind, c.relowner, c.relname, t.attname, t.attacl, t.ext,"
	" CASE WHEN t.ext THEN " INITIAL_ACL("pg_class", "t.attrelid", "t.attnum") " END AS initial"
	" FROM (SELECT k.attrelid, k.attnum, k.attname, k.attacl, " IN_EXTENSION("pg_class", "k.attrelid") " AS ext"
	" FROM pg_catalog.pg_attribute k WHERE k.attacl IS NOT NULL AND NOT k.attisdropped"
	" AND " USER_OID("k.attrelid") " OFFSET 0) t"
	" JOIN pg_catalog.pg_class c ON c.oid = t.attrelid WHERE " RELATION_KINDS ") a"
	" GROUP BY a.relnamespace, a.relkind, a.relowner, a.attname, a.attacl, a.ext, a.initial"
	") g JOIN pg_catalog.pg_namespace n ON n.oid = g.relnamespace WHERE " USER_SCHEMA("n")
	" ORDER BY n.nspname, g.relkind, g.relowner, g.attname, g.attacl::pg_catalog.text COLLATE \"C\"" AT_MOST;

/*
 * The constructors of range types depend on their type ('i') and belong to the bootstrap superuser: nobody grants on
 * them. They are written in "internal" (language 12), as hardly any other function of a user is, so that the index is
 * asked for few; LIMIT keeps the planner from hashing pg_depend for it.
 */
static const char routines_sql[] =
	"SELECT CASE WHEN g.procedure THEN 'P' ELSE 'R' END, n.nspname, " OWNER("g.proowner") ", g.ext, g.proacl, g.initial,"
	" g.n, g.names FROM (SELECT p.pronamespace, p.procedure, p.proowner, p.proacl, p.ext, p.initial,"
	" pg_catalog.count(*) AS n,"
	" pg_catalog.array_agg(p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')') AS names"
	" FROM (SELECT f.pronamespace, f.prokind = 'p' AS procedure, f.proowner, f.proacl, f.proname, f.proargtypes, f.ext,"
	" CASE WHEN f.ext THEN " INITIAL_ACL("pg_proc", "f.oid", "0") " END AS initial"
	" FROM (SELECT o.oid, o.pronamespace, o.prokind, o.proowner, o.proacl, o.proname, o.proargtypes,"
	" " IN_EXTENSION("pg_proc", "o.oid") " AS ext"
	" FROM pg_catalog.pg_proc o WHERE " USER_OID("o.oid") " AND (o.prolang <> 12 OR (SELECT 1 FROM pg_catalog.pg_depend i"
	" WHERE i.classid = " CATALOG("pg_proc") " AND i.objid = o.oid AND i.deptype = 'i' LIMIT 1) IS NULL) OFFSET 0) f) p"
	" GROUP BY p.pronamespace, p.procedure, p.proowner, p.proacl, p.ext, p.initial"
	") g JOIN pg_catalog.pg_namespace n ON n.oid = g.pronamespace WHERE " USER_SCHEMA("n")
	" ORDER BY n.nspname, g.procedure, g.proowner, g.proacl::pg_catalog.text COLLATE \"C\"" AT_MOST;

/*
 * Types of their own: domains, enums, ranges, base types that are no arrays, stand-alone composite types; and row types
 * and multiranges only where somebody granted on them. A stand-alone composite type differs from the row type of a
 * table only in pg_class, where no index leads to its relkind; but it has no storage, and those few are found by
 * (reltablespace, relfilenode) = (0, 0).
 */
static const char types_sql[] =
	"SELECT CASE WHEN g.domain THEN 'd' ELSE 'T' END, n.nspname, " OWNER("g.typowner") ", g.ext, g.typacl, g.initial, g.n,"
	" g.names FROM (SELECT t.typnamespace, t.domain, t.typowner, t.typacl, t.ext, t.initial, pg_catalog.count(*) AS n,"
	" pg_catalog.array_agg(t.typname) AS names"
	" FROM (SELECT y.typnamespace, y.typtype = 'd' AS domain, y.typowner, y.typacl, y.typname, y.ext,"
	" CASE WHEN y.ext THEN " INITIAL_ACL("pg_type", "y.oid", "0") " END AS initial"
	" FROM (SELECT x.oid, x.typnamespace, x.typtype, x.typowner, x.typacl, x.typname,"
	" " IN_EXTENSION("pg_type", "x.oid") " AS ext"
	" FROM (SELECT o.oid, o.typnamespace, o.typtype, o.typowner, o.typacl, o.typname FROM pg_catalog.pg_type o"
	" WHERE " USER_OID("o.oid") " AND CASE o.typtype WHEN 'c' THEN o.typacl IS NOT NULL WHEN 'm' THEN o.typacl IS NOT NULL"
	" WHEN 'b' THEN o.typsubscript::pg_catalog.oid <> 'pg_catalog.array_subscript_handler'::pg_catalog.regproc"
	" ELSE o.typtype <> 'p' END"
	" UNION ALL SELECT o.oid, o.typnamespace, o.typtype, o.typowner, o.typacl, o.typname FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_type o ON o.oid = c.reltype"
	" WHERE c.reltablespace = 0 AND c.relfilenode = 0 AND c.relkind = 'c' AND " USER_OID("c.oid") " AND o.typacl IS NULL"
	") x OFFSET 0) y) t"
	" GROUP BY t.typnamespace, t.domain, t.typowner, t.typacl, t.ext, t.initial"
	") g JOIN pg_catalog.pg_namespace n ON n.oid = g.typnamespace WHERE " USER_SCHEMA("n")
	" ORDER BY n.nspname, g.domain, g.typowner, g.typacl::pg_catalog.text COLLATE \"C\"" AT_MOST;

/* Only trusted languages can be granted on; those of initdb (plpgsql, sql) too. */
static const char languages_sql[] =
	"SELECT 'l', NULL, " OWNER("l.lanowner") ", l.ext, l.lanacl,"
	" CASE WHEN l.ext THEN " INITIAL_ACL("pg_language", "l.oid", "0") " END, 1, ARRAY[l.lanname]"
	" FROM (SELECT o.oid, o.lanname, o.lanowner, o.lanacl, " IN_EXTENSION("pg_language", "o.oid") " AS ext"
	" FROM pg_catalog.pg_language o WHERE o.lanpltrusted) l ORDER BY l.lanname" AT_MOST;

static const char foreign_sql[] =
	"SELECT f.kind, NULL, " OWNER("f.owner") ", f.ext, f.acl, f.initial, 1, ARRAY[f.name]"
	" FROM (SELECT 'F' AS kind, w.fdwname AS name, w.fdwowner AS owner, w.fdwacl AS acl, w.ext,"
	" CASE WHEN w.ext THEN " INITIAL_ACL("pg_foreign_data_wrapper", "w.oid", "0") " END AS initial"
	" FROM (SELECT o.*, " IN_EXTENSION("pg_foreign_data_wrapper", "o.oid") " AS ext FROM"
	" pg_catalog.pg_foreign_data_wrapper o) w"
	" UNION ALL SELECT 'S', s.srvname, s.srvowner, s.srvacl, s.ext,"
	" CASE WHEN s.ext THEN " INITIAL_ACL("pg_foreign_server", "s.oid", "0") " END"
	" FROM (SELECT o.*, " IN_EXTENSION("pg_foreign_server", "o.oid") " AS ext FROM pg_catalog.pg_foreign_server o) s"
	") f ORDER BY f.kind, f.name" AT_MOST;

static const char large_objects_sql[] =
	"SELECT 'L', NULL, " OWNER("g.lomowner") ", false, g.lomacl, NULL, g.n, g.names"
	" FROM (SELECT o.lomowner, o.lomacl, pg_catalog.count(*) AS n, pg_catalog.array_agg(o.oid) AS names"
	" FROM pg_catalog.pg_largeobject_metadata o GROUP BY o.lomowner, o.lomacl) g"
	" ORDER BY g.lomowner, g.lomacl::pg_catalog.text COLLATE \"C\"" AT_MOST;

/* --- the rest of a database --- */

/* A row of a schema that is gone must not read as a global one. */
static const char default_acls_sql[] =
	"SELECT " OWNER("a.defaclrole") ", n.nspname, a.defaclobjtype, a.defaclacl"
	" FROM pg_catalog.pg_default_acl a LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace"
	" WHERE a.defaclnamespace = 0 OR n.oid IS NOT NULL"
	" ORDER BY 1, n.nspname NULLS FIRST, a.defaclobjtype" AT_MOST;

/* session_replication_role is pinned to "origin"; a login is over by now. */
static const char event_triggers_sql[] =
	"SELECT t.evtname, t.evtfoid::pg_catalog.regprocedure, " OWNER("p.proowner") ", t.evttags"
	" FROM pg_catalog.pg_event_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.evtfoid"
	" WHERE t.evtenabled = ANY ('{O,A}') AND t.evtevent <> 'login' ORDER BY t.evtname" AT_MOST;

static const char extensions_sql[] =
	"SELECT x.extname, x.extversion, n.nspname, " OWNER("x.extowner") ", x.extrelocatable"
	" FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace ORDER BY x.extname" AT_MOST;

/* Reads every control file of the server: asked for only when a manifest is about extensions. The last: only a superuser may
   create its default version. */
static const char available_extensions_sql[] =
	"SELECT a.name, a.default_version, coalesce(v.superuser AND NOT v.trusted, false)"
	" FROM pg_catalog.pg_available_extensions() a"
	" LEFT JOIN pg_catalog.pg_available_extension_versions() v ON v.name = a.name AND v.version = a.default_version"
	" ORDER BY a.name" AT_MOST;

/* PUBLIC is "PUBLIC" among the roles; a role of that name, which is legal, comes in quotes. pg_get_expr() is NULL when the
   table is gone meanwhile, hence the flags. An expression over a megabyte comes cut and so equals no wanted one.
   Grouped: the tables of a schema that have the same policy.
   The OFFSET 0 keep the planner from reading all of pg_class, or the schemas once for each policy. */
static const char policies_sql[] =
	"SELECT n.nspname, g.tables, g.polname, g.polcmd, g.polpermissive,"
	" ARRAY(SELECT CASE WHEN u.o = 0 THEN 'PUBLIC' WHEN " OWNER("u.o") " = 'PUBLIC' THEN '\"PUBLIC\"'"
	" ELSE " OWNER("u.o") " END FROM pg_catalog.unnest(g.polroles) AS u(o)),"
	" g.has_using, g.using, g.has_check, g.check, g.comment, g.n"
	" FROM (SELECT p.relnamespace, p.polname, p.polcmd, p.polpermissive, p.polroles,"
	" p.polqual IS NOT NULL AS has_using,"
	" pg_catalog.\"left\"(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 1048576) AS using,"
	" p.polwithcheck IS NOT NULL AS has_check,"
	" pg_catalog.\"left\"(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), 1048576) AS check,"
	" (SELECT pg_catalog.\"left\"(s.description, 65536) FROM pg_catalog.pg_description s"
	" WHERE s.objoid = p.oid AND s.classoid = " CATALOG("pg_policy") " AND s.objsubid = 0) AS comment,"
	" pg_catalog.count(*) AS n, pg_catalog.array_agg(p.relname) AS tables"
	" FROM (SELECT o.*, c.relname, c.relnamespace FROM pg_catalog.pg_policy o"
	" CROSS JOIN LATERAL (SELECT t.relname, t.relnamespace, t.relpersistence"
	" FROM pg_catalog.pg_class t WHERE t.oid = o.polrelid OFFSET 0) c WHERE c.relpersistence <> 't' OFFSET 0) p"
	" GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 OFFSET 0) g"
	" JOIN pg_catalog.pg_namespace n ON n.oid = g.relnamespace WHERE " USER_SCHEMA("n") AT_MOST;

/* Is there anything that would run somebody else's code when we read or write the table? What its columns, defaults,
   constraints and indexes are made of may depend on tables and constraints alone, everything else that a user made
   (functions, operators, types, domains, operator classes) is refused; so is an access method that is not heap. */
#define USER_CODE(classid, objid) \
	"EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = " CATALOG(classid) " AND d.objid = " objid \
	" AND d.refobjid >= 16384 AND d.refclassid NOT IN (" CATALOG("pg_class") ", " CATALOG("pg_constraint") ", " \
	CATALOG("pg_namespace") "))"

#define LEDGER_PLAIN_SO_FAR \
	"c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition AND NOT c.relhasrules AND NOT c.relrowsecurity" \
	" AND NOT c.relforcerowsecurity AND c.reloftype = 0"
#define LEDGER_PLAIN(which) \
	LEDGER_PLAIN_SO_FAR \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid" which ")" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid)" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid)" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid OR h.inhparent = c.oid)" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0" \
	" AND a.atttypid >= 16384)" \
	" AND NOT " USER_CODE("pg_class", "c.oid") \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_attrdef a WHERE a.adrelid = c.oid AND " USER_CODE("pg_attrdef", "a.oid") ")" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid" \
	" AND " USER_CODE("pg_constraint", "k.oid") ")" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid" \
	" AND " USER_CODE("pg_class", "x.indexrelid") ")"
#define LEDGER_READABLE "pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')"
#define LEDGER_FROM \
	" FROM (SELECT) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1::pg_catalog.name" \
	" LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2::pg_catalog.name"
#define LEDGER(plain) \
	"SELECT n.oid IS NOT NULL, " OWNER("n.nspowner") ", c.oid, c.relkind, " OWNER("c.relowner") ", " plain ", " LEDGER_READABLE LEDGER_FROM

static const char ledger_found_sql[] = LEDGER(LEDGER_PLAIN_SO_FAR);
static const char ledger_relation_sql[] = LEDGER(LEDGER_PLAIN(""));
/* The triggers of foreign keys do not fire when a table is read. */
static const char foreign_ledger_sql[] = LEDGER(LEDGER_PLAIN(" AND NOT t.tgisinternal"));

static const char ledger_oids_sql[] =
	"SELECT n.oid IS NOT NULL, (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = $2::pg_catalog.name),"
	" (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = $3::pg_catalog.name)"
	" FROM (SELECT) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1::pg_catalog.name";

/* An error when it is not: what follows in a pipeline is not run then. */
static const char ledger_same_sql[] =
	"SELECT 1 / CASE WHEN c.oid = $3::pg_catalog.oid AND " LEDGER_PLAIN("") " AND " LEDGER_READABLE
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s WHERE s.relnamespace = n.oid AND s.relname = $4::pg_catalog.name)"
	" THEN 1 ELSE 0 END" LEDGER_FROM;

/* --- on demand --- */

/* Objects can be described only from inside their database, and are only as samples. Sessions come as deptype 's'. */
static const char role_dependencies_sql[] =
	"SELECT " OWNER("x.refobjid") ", x.datname, x.deptype, x.relname, pg_catalog.count(*),"
	" pg_catalog.string_agg(CASE WHEN x.nth <= 3 AND x.here THEN"
	" pg_catalog.\"left\"(pg_catalog.pg_describe_object(x.classid, x.objid, x.objsubid), 512) END, ', ' ORDER BY x.objid)"
	" FROM (SELECT s.refobjid, s.deptype, s.classid, s.objid, s.objsubid, d.datname, c.relname,"
	" s.dbid = 0 OR d.datname = pg_catalog.current_database() AS here,"
	" pg_catalog.row_number() OVER (PARTITION BY s.refobjid, s.dbid, s.deptype, s.classid ORDER BY s.objid) AS nth"
	" FROM pg_catalog.pg_shdepend s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid"
	" LEFT JOIN pg_catalog.pg_class c ON c.oid = s.classid"
	" WHERE s.deptype <> 'p' AND s.refclassid = " CATALOG("pg_authid")
	" AND s.refobjid IN (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1::pg_catalog.name[]))) x"
	" GROUP BY x.refobjid, x.datname, x.deptype, x.relname"
	" UNION ALL SELECT a.usename, a.datname, 's', 'pg_stat_activity', pg_catalog.count(*), NULL"
	" FROM pg_catalog.pg_stat_activity a WHERE a.usename = ANY ($1::pg_catalog.name[]) GROUP BY 1, 2"
	" ORDER BY 1, 2 NULLS FIRST, 3, 4" AT_MOST;

/* Schemas of these names come with an empty relation. */
#define NAMED_SCHEMAS " UNION ALL SELECT s.nspname, '', 0, -1 FROM pg_catalog.pg_namespace s WHERE s.nspname = ANY ($1::pg_catalog.name[])"

/* By what VACUUM and ANALYZE left in pg_class: nothing is opened, so nobody is waited for. */
static const char relation_sizes_sql[] =
	"SELECT n.nspname, c.relname, (greatest(c.relpages, 0)::pg_catalog.int8 + coalesce(t.relpages, 0)"
	" + coalesce((SELECT pg_catalog.sum(i.relpages) FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid"
	" WHERE x.indrelid = c.oid), 0)) * pg_catalog.current_setting('block_size')::pg_catalog.int8, c.reltuples::pg_catalog.int8"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid"
	" WHERE c.relname = ANY ($1::pg_catalog.name[]) AND " USER_SCHEMA("n") NAMED_SCHEMAS " ORDER BY 1, 2" AT_MOST;

/* As the files are: for who decides by it. Of an index its table's; with partitions, and those that inherit directly. */
static const char exact_sizes_sql[] =
	"SELECT n.nspname, c.relname, coalesce((SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(p.relid))"
	" FROM pg_catalog.pg_partition_tree(r.rel) p), pg_catalog.pg_total_relation_size(r.rel) + coalesce((SELECT"
	" pg_catalog.sum(pg_catalog.pg_total_relation_size(h.inhrelid)) FROM pg_catalog.pg_inherits h WHERE h.inhparent = r.rel), 0), 0)"
	"::pg_catalog.int8, c.reltuples::pg_catalog.int8"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" CROSS JOIN LATERAL (SELECT coalesce((SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = c.oid), c.oid)"
	"::pg_catalog.regclass AS rel) r"
	" WHERE c.relname = ANY ($1::pg_catalog.name[]) AND " USER_SCHEMA("n") NAMED_SCHEMAS " ORDER BY 1, 2" AT_MOST;

/* Of users, and not those that the ledgers are; rather the ledger of another tool than one beside ours, and that than any other. */
static const char user_tables_sql[] =
	"SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND " USER_OID("c.oid") " AND " USER_SCHEMA("n")
	" AND NOT (n.nspname = $1::pg_catalog.name AND c.relname = ANY ($2::pg_catalog.name[]))"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = " CATALOG("pg_class") " AND d.objid = c.oid AND d.deptype = 'e')"
	" ORDER BY c.relname = ANY ('{flyway_schema_history,schema_version}'::pg_catalog.name[]) DESC,"
	" n.nspname = $1::pg_catalog.name DESC, 1, 2 LIMIT 1";

/* Whoever builds one CONCURRENTLY holds this lock on the table while he works; so does VACUUM, for a while. */
static const char index_leftovers_sql[] =
	"SELECT n.nspname, i.relname, c.relname FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid"
	" JOIN pg_catalog.pg_class c ON c.oid = x.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace"
	" WHERE NOT x.indisvalid AND i.relkind = 'i' AND " USER_SCHEMA("n")
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation' AND l.relation = c.oid"
	" AND l.mode = 'ShareUpdateExclusiveLock' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
	" WHERE d.datname = pg_catalog.current_database())) ORDER BY 1, 2 LIMIT 20";

static const char old_transactions_sql[] =
	"SELECT pg_catalog.count(*), coalesce(pg_catalog.date_part('epoch', pg_catalog.max(pg_catalog.now() - a.xact_start))::pg_catalog.int8, 0),"
	" (pg_catalog.array_agg(a.pid ORDER BY a.xact_start))[1]"
	" FROM pg_catalog.pg_stat_activity a WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()"
	" AND a.backend_type = 'client backend' AND a.xact_start < pg_catalog.now() - '1 minute'::pg_catalog.interval";

static const char advisory_lock_sql[] =
	"SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
	" AND l.classid = $1::pg_catalog.oid AND l.objid = $2::pg_catalog.oid"
	" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))";

#define ALWAYS 0, 999999, false
#define VERIFIERS 0, 999999, true

/* The first row that fits wins. */
static const struct row {
	enum query_id id;
	int min, max;              /* server_version_num */
	bool needs_verifiers;
	struct query query;
} table[] = {
	{ QUERY_FACTS, ALWAYS, { "facts", facts_sql, 0 } },
	{ QUERY_PLACE, ALWAYS, { "place", place_sql, 0 } },
	{ QUERY_ASSERT_SESSION, ALWAYS, { "assert_session", assert_session_sql, 0 } },
	{ QUERY_ROLES, VERIFIERS, { "roles_verifiers", ROLES("pg_authid", "r.rolpassword"), 0 } },
	{ QUERY_ROLES, ALWAYS, { "roles", ROLES("pg_roles", "NULL"), 0 } },
	{ QUERY_MEMBERSHIPS, 160000, 999999, false, { "memberships", MEMBERSHIPS("x.inherit_option", "x.set_option"), 0 } },
	{ QUERY_MEMBERSHIPS, ALWAYS, { "memberships_15", MEMBERSHIPS("m.rolinherit", "true"), 0 } },
	{ QUERY_SETTINGS, ALWAYS, { "settings", settings_sql, 0 } },
	{ QUERY_DATABASES, ALWAYS, { "databases", databases_sql, 0 } },
	{ QUERY_TABLESPACES, ALWAYS, { "tablespaces", tablespaces_sql, 0 } },
	{ QUERY_PARAMETERS, 150000, 999999, false, { "parameters", parameters_sql, 0 } },
	{ QUERY_SCHEMAS, ALWAYS, { "schemas", schemas_sql, 0 } },
	{ QUERY_RELATIONS, ALWAYS, { "relations", relations_sql, 0 } },
	{ QUERY_COLUMNS, ALWAYS, { "columns", columns_sql, 0 } },
	{ QUERY_ROUTINES, ALWAYS, { "routines", routines_sql, 0 } },
	{ QUERY_TYPES, ALWAYS, { "types", types_sql, 0 } },
	{ QUERY_LANGUAGES, ALWAYS, { "languages", languages_sql, 0 } },
	{ QUERY_FOREIGN, ALWAYS, { "foreign", foreign_sql, 0 } },
	{ QUERY_LARGE_OBJECTS, ALWAYS, { "large_objects", large_objects_sql, 0 } },
	{ QUERY_DEFAULT_ACLS, ALWAYS, { "default_acls", default_acls_sql, 0 } },
	{ QUERY_EVENT_TRIGGERS, ALWAYS, { "event_triggers", event_triggers_sql, 0 } },
	{ QUERY_EXTENSIONS, ALWAYS, { "extensions", extensions_sql, 0 } },
	{ QUERY_AVAILABLE_EXTENSIONS, ALWAYS, { "available_extensions", available_extensions_sql, 0 } },
	{ QUERY_POLICIES, ALWAYS, { "policies", policies_sql, 0 } },
	{ QUERY_LEDGER_FOUND, ALWAYS, { "ledger_found", ledger_found_sql, 2 } },
	{ QUERY_LEDGER_RELATION, ALWAYS, { "ledger_relation", ledger_relation_sql, 2 } },
	{ QUERY_FOREIGN_LEDGER, ALWAYS, { "foreign_ledger", foreign_ledger_sql, 2 } },
	{ QUERY_LEDGER_OIDS, ALWAYS, { "ledger_oids", ledger_oids_sql, 3 } },
	{ QUERY_LEDGER_SAME, ALWAYS, { "ledger_same", ledger_same_sql, 4 } },
	{ QUERY_SNAPSHOT, ALWAYS, { "snapshot", "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text", 0 } },
	{ QUERY_ROLE_DEPENDENCIES, ALWAYS, { "role_dependencies", role_dependencies_sql, 1 } },
	{ QUERY_RELATION_SIZES, ALWAYS, { "relation_sizes", relation_sizes_sql, 1 } },
	{ QUERY_EXACT_SIZES, ALWAYS, { "exact_sizes", exact_sizes_sql, 1 } },
	{ QUERY_USER_TABLES, ALWAYS, { "user_tables", user_tables_sql, 2 } },
	{ QUERY_INDEX_LEFTOVERS, ALWAYS, { "index_leftovers", index_leftovers_sql, 0 } },
	{ QUERY_OLD_TRANSACTIONS, ALWAYS, { "old_transactions", old_transactions_sql, 0 } },
	{ QUERY_ADVISORY_LOCK, ALWAYS, { "advisory_lock", advisory_lock_sql, 2 } },
	{ QUERY_SCHEMA_OBJECTS, ALWAYS, { "schema_objects", schema_objects_sql, 3 } },
	{ QUERY_XACT_STATUS, ALWAYS, { "xact_status", "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8)", 1 } },
};

const struct query *query_get(enum query_id id, int version_num, bool can_read_verifiers)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct row *row = &table[i];

		if (row->id == id && version_num >= row->min && version_num <= row->max &&
		    (can_read_verifiers || !row->needs_verifiers))
			return &row->query;
	}
	return NULL;
}

static unsigned add(enum query_id id, int version_num, enum query_id *v, unsigned n)
{
	if (query_get(id, version_num, false))
		v[n++] = id;
	return n;
}

unsigned query_server_look(int version_num, bool can_read_verifiers, enum query_id *v)
{
	unsigned n = 0;

	(void)can_read_verifiers;      /* changes the text of QUERY_ROLES, not the list */
	n = add(QUERY_FACTS, version_num, v, n);
	for (enum query_id id = QUERY_ROLES; id <= QUERY_PARAMETERS; id++)
		n = add(id, version_num, v, n);
	return n;
}

unsigned query_database_look(int version_num, bool with_ledger, bool with_available_extensions, enum query_id *v)
{
	unsigned n = add(QUERY_FACTS, version_num, v, 0);

	for (enum query_id id = QUERY_SCHEMAS; id <= QUERY_POLICIES; id++)
		if (id != QUERY_AVAILABLE_EXTENSIONS || with_available_extensions)
			n = add(id, version_num, v, n);
	if (with_ledger)
		n = add(QUERY_LEDGER_FOUND, version_num, v, n);
	return n;
}
