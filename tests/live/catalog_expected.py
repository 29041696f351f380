# SPDX-License-Identifier: PostgreSQL
"""What catalog_look must print, asked from the server the long way: object by object, every list exploded by the server
itself, names by joins. Nothing here is shared with the queries and decoders under test."""

PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN", "EXECUTE", "USAGE", "CREATE",
              "CONNECT", "TEMPORARY", "SET", "ALTER SYSTEM"]

# (class, word, oid, sub, schema, name, column, owner, acl, letter of acldefault, row security, forced)
SHARED = """
    SELECT 'pg_database'::regclass AS class, 'database' AS word, oid, 0 AS sub, NULL::name AS schema, datname::text AS name,
           NULL::text AS col, datdba AS owner, datacl AS acl, 'd'::"char" AS letter, false AS rls, false AS forced FROM pg_database
    UNION ALL SELECT 'pg_tablespace'::regclass, 'tablespace', oid, 0, NULL, spcname, NULL, spcowner, spcacl, 't', false, false FROM pg_tablespace
"""
PARAMETERS = """
    UNION ALL SELECT 'pg_parameter_acl'::regclass, 'parameter', oid, 0, NULL, parname, NULL, 10, paracl, 'p', false, false FROM pg_parameter_acl
"""
LOCAL = """
    SELECT 'pg_namespace'::regclass AS class, 'schema' AS word, n.oid, 0 AS sub, NULL::name AS schema, n.nspname::text AS name,
           NULL::text AS col, n.nspowner AS owner, n.nspacl AS acl, 'n'::"char" AS letter, false AS rls, false AS forced FROM ns n
    UNION ALL SELECT 'pg_class'::regclass, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
             WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'sequence' END, c.oid, 0, n.nspname, c.relname, NULL,
             c.relowner, c.relacl, CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relrowsecurity, c.relforcerowsecurity
      FROM pg_class c JOIN ns n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
    UNION ALL SELECT 'pg_class'::regclass, 'column', c.oid, a.attnum, n.nspname, c.relname, a.attname, c.relowner, a.attacl, NULL, false, false
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ns n ON n.oid = c.relnamespace
     WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.relpersistence <> 't'
    UNION ALL SELECT 'pg_proc'::regclass, CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.oid, 0, n.nspname,
             p.proname || '(' || coalesce((SELECT string_agg(format_type(u.t, NULL), ', ' ORDER BY u.i)
                                             FROM unnest(p.proargtypes) WITH ORDINALITY u(t, i)), '') || ')',
             NULL, p.proowner, p.proacl, 'f', false, false
      FROM pg_proc p JOIN ns n ON n.oid = p.pronamespace
     WHERE NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')
    UNION ALL SELECT 'pg_type'::regclass, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, t.oid, 0, n.nspname, t.typname, NULL,
             t.typowner, t.typacl, 'T', false, false
      FROM pg_type t JOIN ns n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
     WHERE t.typtype IN ('d', 'e', 'r') OR (t.typtype = 'c' AND (c.relkind = 'c' OR t.typacl IS NOT NULL))
        OR (t.typtype = 'b' AND t.typcategory <> 'A') OR (t.typtype = 'm' AND t.typacl IS NOT NULL)
    UNION ALL SELECT 'pg_language'::regclass, 'language', oid, 0, NULL, lanname, NULL, lanowner, lanacl, 'l', false, false
      FROM pg_language WHERE lanpltrusted
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, 'foreign data wrapper', oid, 0, NULL, fdwname, NULL, fdwowner, fdwacl, 'F', false,
             false FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::regclass, 'foreign server', oid, 0, NULL, srvname, NULL, srvowner, srvacl, 'S', false, false
      FROM pg_foreign_server
    UNION ALL SELECT 'pg_largeobject'::regclass, 'large object', oid, 0, NULL, oid::text, NULL, lomowner, lomacl, 'L', false, false
      FROM pg_largeobject_metadata
"""
OBJECTS = """
WITH ns AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'), o AS ({objects}), x AS (
    SELECT o.*, d.objid IS NOT NULL AS ext, i.initprivs FROM o
    LEFT JOIN pg_depend d ON d.classid = o.class AND d.objid = o.oid AND d.objsubid = 0 AND d.deptype = 'e'
    LEFT JOIN pg_init_privs i ON i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = o.sub AND d.objid IS NOT NULL
)
"""
LISTED = OBJECTS + """
SELECT 'object', x.word, x.schema, x.name, x.col, w.rolname, x.ext, x.rls, x.forced,
       CASE WHEN x.acl IS NULL THEN 'default' ELSE 'explicit' END, CASE WHEN x.initprivs IS NOT NULL THEN 'initial' END
  FROM x LEFT JOIN pg_roles w ON w.oid = x.owner WHERE x.word <> 'database'
"""
GRANTS = OBJECTS + """
SELECT l.what, x.word, x.schema, x.name, x.col, e.rolname, b.rolname,
       string_agg(l.privilege_type || CASE WHEN l.is_grantable THEN '*' ELSE '' END, ',' ORDER BY array_position(%(order)s, l.privilege_type))
  FROM x CROSS JOIN LATERAL (
       SELECT 'grant' AS what, a.* FROM aclexplode(coalesce(x.acl, acldefault(x.letter, x.owner))) a
       UNION ALL SELECT 'initial', a.* FROM aclexplode(x.initprivs) a) l
  LEFT JOIN pg_roles e ON e.oid = l.grantee LEFT JOIN pg_roles b ON b.oid = l.grantor
 GROUP BY l.what, x.class, x.word, x.oid, x.sub, x.schema, x.name, x.col, e.rolname, b.rolname
"""

ROLES = """
SELECT 'role', r.rolname, r.oid, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls,
       r.rolconnlimit, CASE WHEN r.rolvaliduntil = '-infinity' THEN '-infinity' WHEN r.rolvaliduntil < 'infinity' THEN
       to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END, {verifier}, shobj_description(r.oid, 'pg_authid')
  FROM {roles} r
"""
MEMBERSHIPS = """
SELECT 'membership', g.rolname, m.rolname, b.rolname, a.admin_option, {options} FROM pg_auth_members a
  JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member LEFT JOIN pg_roles b ON b.oid = a.grantor
"""
SETTINGS = """
SELECT 'setting', r.rolname, d.datname, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1) FROM pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) c LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
"""
DATABASES = """
SELECT 'database', d.datname, d.oid, r.rolname, d.datallowconn, d.datconnlimit, CASE WHEN d.datacl IS NULL THEN 'default' ELSE 'explicit' END
  FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
"""
DEFAULT_ACLS = """
SELECT 'default_acl', r.rolname, n.nspname, a.defaclobjtype FROM pg_default_acl a JOIN pg_roles r ON r.oid = a.defaclrole
  LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace
"""
DEFAULT_GRANTS = """
SELECT 'default_grant', r.rolname, n.nspname, a.defaclobjtype, e.rolname, b.rolname,
       string_agg(l.privilege_type || CASE WHEN l.is_grantable THEN '*' ELSE '' END, ',' ORDER BY array_position(%(order)s, l.privilege_type))
  FROM pg_default_acl a JOIN pg_roles r ON r.oid = a.defaclrole LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace
 CROSS JOIN aclexplode(a.defaclacl) l LEFT JOIN pg_roles e ON e.oid = l.grantee LEFT JOIN pg_roles b ON b.oid = l.grantor
 GROUP BY a.oid, r.rolname, n.nspname, a.defaclobjtype, e.rolname, b.rolname
"""
EVENT_TRIGGERS = """
SELECT 'event_trigger', t.evtname, t.evtfoid::regprocedure, r.rolname, coalesce(t.evttags::text, '') FROM pg_event_trigger t
  JOIN pg_proc p ON p.oid = t.evtfoid JOIN pg_roles r ON r.oid = p.proowner WHERE t.evtenabled NOT IN ('D', 'R') AND t.evtevent <> 'login'
"""
EXTENSIONS = """
SELECT 'extension', x.extname, x.extversion, n.nspname, r.rolname, x.extrelocatable, a.default_version FROM pg_extension x
  JOIN pg_namespace n ON n.oid = x.extnamespace JOIN pg_roles r ON r.oid = x.extowner
  LEFT JOIN pg_available_extensions a ON a.name = x.extname
"""
POLICIES = """
SELECT 'policy', schemaname, tablename, policyname, CASE cmd WHEN 'ALL' THEN '*' WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a'
       WHEN 'UPDATE' THEN 'w' WHEN 'DELETE' THEN 'd' END, permissive = 'PERMISSIVE', qual, with_check,
       (SELECT obj_description(p.oid, 'pg_policy') FROM pg_policy p WHERE p.polname = v.policyname AND p.polrelid =
        (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = v.tablename AND n.nspname = v.schemaname))
  FROM pg_policies v
"""
POLICY_ROLES = """
SELECT 'policy_role', n.nspname, c.relname, p.polname, CASE WHEN o = 0 THEN 'PUBLIC' WHEN r.rolname = 'PUBLIC' THEN '"PUBLIC"' ELSE r.rolname END
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN unnest(p.polroles) o
  LEFT JOIN pg_roles r ON r.oid = o
"""
AVAILABLE = "SELECT 'available', name FROM pg_available_extensions"

# rolinherit decides in versions up to 15, where every member may SET ROLE; later each grant says so.
OPTIONS = {True: "a.inherit_option, a.set_option", False: "m.rolinherit, true"}


def cell(value):
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def lines(pg, queries, **where):
    connection = pg.connect(options="-c TimeZone=UTC -c search_path=pg_catalog", **where)
    try:
        with connection.cursor() as cursor:
            found = []
            for query in queries:
                cursor.execute(query, {"order": PRIVILEGES})
                found += ["\t".join(cell(value) for value in row) for row in cursor.fetchall()]
        return sorted(found)
    finally:
        connection.close()


def server(pg, readable=True, **where):
    objects = SHARED + (PARAMETERS if pg.major >= 15 else "")
    roles = ROLES.format(roles="pg_authid" if readable else "pg_roles", verifier="r.rolpassword" if readable else "NULL")
    return lines(pg, [roles, MEMBERSHIPS.format(options=OPTIONS[pg.major >= 16]), SETTINGS, DATABASES,
                      LISTED.format(objects=objects), GRANTS.format(objects=objects)], **where)


def database(pg, **where):
    return lines(pg, [LISTED.format(objects=LOCAL), GRANTS.format(objects=LOCAL), DEFAULT_ACLS, DEFAULT_GRANTS, EVENT_TRIGGERS, EXTENSIONS, POLICIES,
                      POLICY_ROLES, AVAILABLE], **where)
