# SPDX-License-Identifier: PostgreSQL
"""Every kind of object that can be granted on x every way its ACL can drift, as superuser and as a CREATEROLE login.

For each cell drift is made on the server, one pass is ordered, and the cell says what became of it:
  corrected   the live entries are exactly the declared ones again
  blocked     the daemon says that it cannot, with a reason and what to do, and left the object as it was
Anything else fails. After every column a second pass must send nothing.
"""

import pytest

ROLES = ("reader", "writer", "passer")   # declared; reader and passer get something, writer nothing
OWNER, STRANGER = "owner_role", "other_owner"

CLASS = ("pg_class", "relacl", "relowner", "oid = '{0}'::regclass", "r")

# kind: (selector, privilege, name for GRANT ... ON, how to change the owner, (catalog, acl, owner, where, acldefault letter))
KINDS = {
    "table": ("table app.t", "SELECT", "TABLE app.t", "TABLE app.t", CLASS, "app.t"),
    "view": ("view app.v", "SELECT", "TABLE app.v", "VIEW app.v", CLASS, "app.v"),
    "materialized view": ("materialized view app.m", "SELECT", "TABLE app.m", "MATERIALIZED VIEW app.m", CLASS, "app.m"),
    "foreign table": ("foreign table app.f", "SELECT", "TABLE app.f", "FOREIGN TABLE app.f", CLASS, "app.f"),
    "partitioned table": ("partitioned table app.p", "INSERT", "TABLE app.p", "TABLE app.p", CLASS, "app.p"),
    "maintain": ("table app.t2", "MAINTAIN", "TABLE app.t2", "TABLE app.t2", CLASS, "app.t2"),
    "column": ("table app.c", "UPDATE", "TABLE app.c", "TABLE app.c",
               ("pg_attribute", "attacl", "(SELECT relowner FROM pg_class WHERE oid = attrelid)",
                "attrelid = '{0}'::regclass AND attname = 'col'", "c"), "app.c"),
    "sequence": ("sequence app.s", "USAGE", "SEQUENCE app.s", "SEQUENCE app.s", CLASS[:4] + ("s",), "app.s"),
    "function": ("function app.fn(integer, text)", "EXECUTE", "FUNCTION app.fn(int, text)", "FUNCTION app.fn(int, text)",
                 ("pg_proc", "proacl", "proowner", "oid = '{0}'::regprocedure", "f"), "app.fn(int, text)"),
    "procedure": ("procedure app.pr(integer)", "EXECUTE", "PROCEDURE app.pr(int)", "PROCEDURE app.pr(int)",
                  ("pg_proc", "proacl", "proowner", "oid = '{0}'::regprocedure", "f"), "app.pr(int)"),
    "aggregate": ("function app.ag(integer)", "EXECUTE", "FUNCTION app.ag(int)", "AGGREGATE app.ag(int)",
                  ("pg_proc", "proacl", "proowner", "oid = '{0}'::regprocedure", "f"), "app.ag(int)"),
    "type": ("type app.mood", "USAGE", "TYPE app.mood", "TYPE app.mood",
             ("pg_type", "typacl", "typowner", "oid = '{0}'::regtype", "T"), "app.mood"),
    "domain": ("domain app.posint", "USAGE", "DOMAIN app.posint", "DOMAIN app.posint",
               ("pg_type", "typacl", "typowner", "oid = '{0}'::regtype", "T"), "app.posint"),
    "schema": ("schema extra", "CREATE", "SCHEMA extra", "SCHEMA extra",
               ("pg_namespace", "nspacl", "nspowner", "nspname = '{0}'", "n"), "extra"),
    "language": ("language plpgsql", "USAGE", "LANGUAGE plpgsql", "LANGUAGE plpgsql",
                 ("pg_language", "lanacl", "lanowner", "lanname = '{0}'", "l"), "plpgsql"),
    "foreign data wrapper": ("foreign data wrapper w", "USAGE", "FOREIGN DATA WRAPPER w", None,
                             ("pg_foreign_data_wrapper", "fdwacl", "fdwowner", "fdwname = '{0}'", "F"), "w"),
    "foreign server": ("foreign server srv", "USAGE", "FOREIGN SERVER srv", "SERVER srv",
                       ("pg_foreign_server", "srvacl", "srvowner", "srvname = '{0}'", "S"), "srv"),
    "large object": ("large object 424242", "SELECT", "LARGE OBJECT 424242", "LARGE OBJECT 424242",
                     ("pg_largeobject_metadata", "lomacl", "lomowner", "oid = {0}", "L"), "424242"),
    "database": ("database matrix", "CREATE", "DATABASE matrix", "DATABASE matrix",
                 ("pg_database", "datacl", "datdba", "datname = '{0}'", "d"), "matrix"),
    "tablespace": ("tablespace space", "CREATE", "TABLESPACE space", "TABLESPACE space",
                   ("pg_tablespace", "spcacl", "spcowner", "spcname = '{0}'", "t"), "space"),
    "parameter": ("parameter work_mem", "SET", "PARAMETER work_mem", None,
                  ("pg_parameter_acl", "paracl", "10", "parname = '{0}'", "p"), "work_mem"),
}
SHARED = ("database", "tablespace", "parameter")
CASES = ("NULL ACL", "missing", "extra", "wrong grantor", "wrong grant option", "PUBLIC", "object of another owner")

OBJECTS = f"""
CREATE SCHEMA app AUTHORIZATION {OWNER}; CREATE SCHEMA extra AUTHORIZATION {OWNER};
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER srv FOREIGN DATA WRAPPER w; ALTER SERVER srv OWNER TO {OWNER};
ALTER LANGUAGE plpgsql OWNER TO {OWNER};
CREATE TABLE app.t (i int); CREATE TABLE app.t2 (i int); CREATE TABLE app.c (id int, col int);
CREATE VIEW app.v AS SELECT 1 AS x; CREATE MATERIALIZED VIEW app.m AS SELECT 1 AS x;
CREATE FOREIGN TABLE app.f (i int) SERVER srv; CREATE TABLE app.p (i int) PARTITION BY LIST (i);
CREATE SEQUENCE app.s;
CREATE FUNCTION app.fn(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.pr(int) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE app.ag(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE TYPE app.mood AS ENUM ('a'); CREATE DOMAIN app.posint AS int;
SELECT lo_create(424242);
"""


class Matrix:
    def __init__(self, pg, login, workspace):
        self.pg, self.login = pg, login
        self.kinds = {k: v for k, v in KINDS.items() if not (k == "parameter" and pg.major < 15) and not (k == "maintain" and pg.major < 17)}
        self.cells = {}
        where = workspace.directory("ts", "postgres")
        for role in (*ROLES, OWNER, STRANGER):
            pg.sql(f"CREATE ROLE {role}")
        pg.create_database("matrix", OBJECTS)
        for name in ("t", "t2", "c", "p"):
            pg.sql(f"ALTER TABLE app.{name} OWNER TO {OWNER}", dbname="matrix")
        for kind, entry in self.kinds.items():
            if entry[3] and kind not in ("tablespace", "table", "maintain", "column", "partitioned table"):
                pg.sql(f"ALTER {entry[3]} OWNER TO {OWNER}", dbname="matrix")
        pg.sql(f"CREATE TABLESPACE space OWNER {OWNER} LOCATION '{where}'")
        pg.sql("GRANT USAGE ON SCHEMA app TO passer", dbname="matrix")
        if login == "admin":
            pg.sql("CREATE ROLE admin LOGIN CREATEROLE")
            options = " WITH INHERIT TRUE, SET TRUE, ADMIN TRUE" if pg.major >= 16 else ""
            for role in (OWNER, "passer", "reader", "writer"):
                pg.sql(f"GRANT {role} TO admin{options}")

    # What cannot be done without superuser: nobody but a superuser can own these.
    def out_of_reach(self, kind):
        return self.login == "admin" and kind in ("foreign data wrapper", "parameter")

    def manifests(self):
        platform = ["roles: (" + ", ".join(f'{{ name = "{r}"; login = false; }}' for r in ROLES) + ");"]
        inside = ['authority = "exact";']
        for shared, text in ((True, platform), (False, inside)):
            grants = []
            for kind, (selector, privilege, *_rest) in self.kinds.items():
                if (kind in SHARED) != shared:
                    continue
                columns = ' columns = [ "col" ];' if kind == "column" else ""
                for to, option in (("reader", "false"), ("passer", "true")):
                    grants.append(f'{{ to = "{to}"; privileges = "{privilege}"; on = "{selector}";{columns} grant_option = {option}; }}')
                grants.append(f'{{ to = "PUBLIC"; privileges = [ ]; on = "{selector}"; }}')
            if not shared:
                grants.append('{ to = "passer"; privileges = "USAGE"; on = "schema app"; }')
            text.append("grants: (" + ",\n".join(grants) + ");")
        platform.insert(0, 'authority = "exact";')
        return {"platform": "\n".join(platform) + "\n", "inside": "\n".join(inside) + "\n"}

    def entries(self, kind):
        """{(grantee, grantor, privilege, grantable)} of those that are not the owner, and the owner."""
        catalog, acl, owner, where, letter = self.kinds[kind][4]
        rows = self.pg.sql(
            f"SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END, pg_get_userbyid(a.grantor)::text, "
            f"a.privilege_type, a.is_grantable, pg_get_userbyid({owner})::text "
            f"FROM {catalog} LEFT JOIN LATERAL aclexplode(coalesce({acl}, acldefault('{letter}', {owner}))) a ON true "
            f"WHERE {where.format(self.kinds[kind][5])}", dbname="matrix")
        return {(g, by, p, o) for g, by, p, o, owner_name in rows if g != owner_name and p is not None}

    def wanted(self, kind):
        privilege = self.kinds[kind][1]
        return {("reader", privilege, False), ("passer", privilege, True)}

    def is_exact(self, kind):
        return {(g, p, o) for g, _by, p, o in self.entries(kind) if g != "admin"} == self.wanted(kind)

    def on(self, kind):
        _selector, privilege, words, *_rest = self.kinds[kind]
        return f"{privilege} (col)" if kind == "column" else privilege, words

    def drift(self, kind, case):
        privilege, words = self.on(kind)
        run = lambda text: self.pg.sql(text, dbname="matrix")   # noqa: E731
        if case == "missing":
            run(f"REVOKE {privilege} ON {words} FROM reader")
        elif case == "extra":
            run(f"GRANT {privilege} ON {words} TO writer")
        elif case == "wrong grantor":
            run(f"SET ROLE passer; GRANT {privilege} ON {words} TO writer; RESET ROLE")
        elif case == "wrong grant option":
            run(f"GRANT {privilege} ON {words} TO reader WITH GRANT OPTION")
        elif case == "PUBLIC":
            run(f"GRANT {privilege} ON {words} TO PUBLIC")
        elif case == "object of another owner":
            if self.kinds[kind][3]:
                run(f"ALTER {self.kinds[kind][3]} OWNER TO {STRANGER}")
            run(f"GRANT {privilege} ON {words} TO writer")

    def restore(self, kind):
        """Back to the declared state, by hand, after a cell that the daemon could not correct."""
        privilege, words = self.on(kind)
        if self.kinds[kind][3]:
            self.pg.sql(f"ALTER {self.kinds[kind][3]} OWNER TO {OWNER}", dbname="matrix")
        self.pg.sql(f"GRANT {privilege} ON {words} TO passer WITH GRANT OPTION", dbname="matrix")
        self.pg.sql(f"SET ROLE passer; REVOKE {privilege} ON {words} FROM writer; RESET ROLE", dbname="matrix")
        for grantee in ("writer", "PUBLIC"):
            self.pg.sql(f"REVOKE {privilege} ON {words} FROM {grantee}", dbname="matrix")
        if kind == "database":
            self.pg.sql("REVOKE ALL ON DATABASE matrix FROM PUBLIC")
            if self.login == "admin":
                self.pg.sql("GRANT CONNECT ON DATABASE matrix TO admin")
        self.pg.sql(f"REVOKE GRANT OPTION FOR {privilege} ON {words} FROM reader", dbname="matrix")
        self.pg.sql(f"GRANT {privilege} ON {words} TO reader", dbname="matrix")
        self.pg.sql(f"GRANT {privilege} ON {words} TO passer WITH GRANT OPTION", dbname="matrix")

    def blocked_words(self, d):
        lines = []
        for plan in d.json("diff", "--cached")["plans"]:
            lines += [c for c in plan["changes"] if c["state"] == "blocked"]
        return lines

    def is_reported(self, d, kind):
        name = self.kinds[kind][5].split("(")[0].split(".")[-1]
        return [c for c in self.blocked_words(d) if name in c["description"] and c["reason"]]

    def column(self, d, case):
        for kind in self.kinds:
            if case != "NULL ACL":
                self.drift(kind, case)
        d.ctl("reconcile", "--wait")
        failed = []
        for kind in self.kinds:
            if self.is_exact(kind):
                self.cells[kind, case] = "corrected"
            elif self.is_reported(d, kind):
                self.cells[kind, case] = "blocked"
            else:
                self.cells[kind, case] = "WRONG"
                failed.append(f"{kind}: wanted {self.wanted(kind)}, there is {self.entries(kind)}")
        mark = self.pg.log_mark()
        d.ctl("reconcile", "--wait")
        again = self.pg.changes(mark)
        assert not failed and again == [], f"{case}: {failed} second pass: {again}\n{d.ctl('diff').out}"
        for kind in self.kinds:
            if self.cells[kind, case] == "blocked" or case == "object of another owner":
                self.restore(kind)

    def table(self):
        width = max(len(k) for k in self.kinds)
        lines = [" " * width + "  " + "  ".join(f"{c:>{max(len(c), 9)}}" for c in CASES)]
        for kind in self.kinds:
            lines.append(f"{kind:{width}}  " + "  ".join(f"{self.cells.get((kind, c), '-'):>{max(len(c), 9)}}" for c in CASES))
        return "\n".join(lines)


@pytest.mark.parametrize("login", ["superuser", "admin"])
def test_matrix(pg, daemon, workspace, login, record_property):
    m = Matrix(pg, login, workspace)
    if login == "admin":
        pg.sql("GRANT CONNECT ON DATABASE matrix TO admin")
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(user="postgres" if login == "superuser" else "admin"),
                        "manifests": ["platform"], "databases": ({"name": "matrix", "manifests": ["inside"]},)},
               manifests=m.manifests(), daemon={"interval": "1h"}, guard={"max_revokes": 1000, "max_percent": 100}).start()
    try:
        for case in CASES:
            m.column(d, case)
    finally:
        record_property("table", f"PostgreSQL {pg.major}, daemon as {login}:\n{m.table()}")
    for (kind, case), cell in m.cells.items():
        if login == "superuser":
            assert cell == "corrected", f"{kind}, {case}: a superuser can correct it"
        elif m.out_of_reach(kind) and case in ("missing", "wrong grantor"):
            assert cell == "corrected", f"{kind}, {case}: the login inherits the grant option of passer, and may act as passer"
        elif m.out_of_reach(kind) or case == "object of another owner":
            assert cell == "blocked", f"{kind}, {case}: the login is no member of the owner"
        else:
            assert cell == "corrected", f"{kind}, {case}: the login is a member of the owner"
