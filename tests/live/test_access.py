# SPDX-License-Identifier: PostgreSQL
"""access tells every path by which a role can do something: the server's own has_*_privilege() say the same."""
import os
from urllib.parse import quote

import pytest
from dbr import wait_for
from dbr.waiting import FACTOR
from test_ctl import validate
from test_random_live import TEMPLATE, Pair

PAIRS = int(os.environ.get("DBR_PAIRS", "15" if FACTOR == 1 else "4"))

# What the server says: every privilege of every role that the daemon tells of.
ORACLE = """
WITH r AS (SELECT oid, rolname FROM pg_roles WHERE rolname = ANY (%s)),
     n AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)')
SELECT r.rolname::text, 'table', n.nspname::text, c.relname::text, p FROM r, n, pg_class c, unnest(%s) p
  WHERE c.relnamespace = n.oid AND c.relkind IN ('r','v','m','p') AND has_table_privilege(r.oid, c.oid, p)
UNION ALL SELECT r.rolname::text, 'sequence', n.nspname::text, c.relname::text, p FROM r, n, pg_class c, unnest(ARRAY['SELECT','UPDATE','USAGE']) p
  WHERE c.relnamespace = n.oid AND c.relkind = 'S' AND has_sequence_privilege(r.oid, c.oid, p)
UNION ALL SELECT r.rolname::text, 'function', n.nspname::text, f.proname || '(' || pg_get_function_identity_arguments(f.oid) || ')', 'EXECUTE' FROM r, n, pg_proc f
  WHERE f.pronamespace = n.oid AND f.prokind = 'f' AND has_function_privilege(r.oid, f.oid, 'EXECUTE')
UNION ALL SELECT r.rolname::text, 'type', n.nspname::text, t.typname::text, 'USAGE' FROM r, n, pg_type t
  WHERE t.typnamespace = n.oid AND t.typtype = 'e' AND has_type_privilege(r.oid, t.oid, 'USAGE')
UNION ALL SELECT r.rolname::text, 'schema', NULL, n.nspname::text, p FROM r, n, unnest(ARRAY['USAGE','CREATE']) p WHERE has_schema_privilege(r.oid, n.oid, p)
UNION ALL SELECT r.rolname::text, 'column', n.nspname::text, c.relname || '.' || a.attname, p
  FROM r, n, pg_class c, pg_attribute a, unnest(ARRAY['SELECT','INSERT','UPDATE','REFERENCES']) p
  WHERE c.relnamespace = n.oid AND a.attrelid = c.oid AND a.attnum > 0 AND c.relkind IN ('r','v','m','p') AND has_column_privilege(r.oid, c.oid, a.attnum, p)
"""
COLUMNS = "SELECT n.nspname::text, c.relname::text, array_agg(a.attname::text) FROM pg_class c, pg_namespace n, pg_attribute a WHERE n.oid = c.relnamespace AND " \
    "a.attrelid = c.oid AND a.attnum > 0 AND c.relkind IN ('r','v','m','p') AND nspname !~ '^(pg_|information_schema)' GROUP BY 1, 2"
OBJECTS = "SELECT n.nspname::text, c.relname::text, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END FROM pg_class c, pg_namespace n " \
    "WHERE n.oid = c.relnamespace AND c.relkind IN ('r','v','m','p','S') AND nspname !~ '^(pg_|information_schema)'"
SCHEMAS = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'"
TABLES = {"table", "view", "materialized view", "partitioned table", "foreign table"}


def ask(d, **query):
    answer = d.http("/v1/access?" + "&".join(f"{k}={quote(v)}" for k, v in query.items()))
    assert answer.status == 200, answer
    return validate(answer.json())


def told(document, columns, objects, schemas):
    """The same set from a document: without what takes a SET ROLE first."""
    found = set()
    for target in document["targets"]:
        assert not target["truncated"]
        for e in target["entries"]:
            if e["set_role"] or e["kind"] is None:
                continue
            kind = "table" if e["kind"] in TABLES else e["kind"]
            assert e["count"] == len(e["objects"])
            names = [(e["schema"], name) for name in e["objects"]]
            if e["how"] == "predefined":
                names = [(None, s) for s in schemas] if kind == "schema" else [(s, n) for s, n, k in objects if k == kind]
            for schema, name in names:
                for privilege in e["privileges"]:
                    if e["column"]:
                        found.add((e["role"], "column", schema, f"{name}.{e['column']}", privilege))
                        continue
                    found.add((e["role"], kind, schema, name, privilege))
                    if kind == "table" and privilege in ("SELECT", "INSERT", "UPDATE", "REFERENCES"):
                        found |= {(e["role"], "column", schema, f"{name}.{c}", privilege) for c in columns[schema, name]}
    return {f for f in found if f[1] in ("table", "sequence", "function", "type", "schema", "column") and not (f[1] == "schema" and f[4] not in ("USAGE", "CREATE"))}


@pytest.mark.majors(14, 16, 18)
def test_the_server_says_the_same(pg, daemon):
    made = [Pair(number, os.environ.get("DBR_SEED", "access"), pg.major) for number in range(PAIRS)]
    pg.create_database("pattern", TEMPLATE)
    for pair in made:
        pg.sql(f"CREATE DATABASE {pair.database} TEMPLATE pattern")
        pg.sql(";".join(pair.create_roles()))
        pg.sql(f"GRANT pg_read_all_data TO {pair.c}; GRANT {pair.c} TO {pair.x}; ALTER DATABASE {pair.database} OWNER TO {pair.own}"
               if pair.number % 3 == 0 else f"GRANT pg_write_all_data TO {pair.b}")
    for pair in made:
        pair.make_live(pg)
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "databases": tuple({"name": p.database} for p in made)},
               daemon={"interval": "1h", "mode": "observe"}).start()
    wait_for(lambda: all(r["last_success"] is not None for r in d.json("status")["targets"]), 60, "every target has been looked at")
    privileges = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", *(["MAINTAIN"] if pg.major >= 17 else [])]
    wrong, n = [], 0
    for pair in made:
        columns = {(s, t): c for s, t, c in pg.sql(COLUMNS, dbname=pair.database)}
        objects, schemas = pg.sql(OBJECTS, dbname=pair.database), [s for s, in pg.sql(SCHEMAS, dbname=pair.database)]
        server = set(pg.sql(ORACLE, (pair.roles, privileges), dbname=pair.database))
        ours = set()
        for role in pair.roles:
            ours |= told(ask(d, role=role, target=f"s/{pair.database}"), columns, objects, schemas)
        n += len(server)
        if ours != server:
            wrong.append(f"{pair.database}: told and not so {sorted(ours - server, key=str)[:6]}, so and not told {sorted(server - ours, key=str)[:6]}")
    assert n > 100 * PAIRS and not wrong, f"{len(wrong)} of {len(made)}\n" + "\n".join(wrong[:4])


@pytest.mark.majors(15)
def test_an_object_and_who_can_reach_it(pg, daemon):
    pg.create_database("orders", "CREATE ROLE boss SUPERUSER; CREATE ROLE owner; CREATE ROLE team; CREATE ROLE dev; CREATE ROLE trainee NOINHERIT; CREATE ROLE reader",
                       "GRANT team TO dev; GRANT dev TO trainee; GRANT pg_read_all_data TO reader",
                       "CREATE SCHEMA app AUTHORIZATION owner; CREATE TABLE app.t (id int, secret text); ALTER TABLE app.t OWNER TO owner",
                       "GRANT USAGE ON SCHEMA app TO dev; GRANT SELECT ON app.t TO team WITH GRANT OPTION; GRANT UPDATE (id) ON app.t TO PUBLIC",
                       "ALTER TABLE app.t ENABLE ROW LEVEL SECURITY")
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "databases": ({"name": "orders"},)}, daemon={"interval": "1h", "mode": "observe"}).start()
    wait_for(lambda: all(r["last_success"] is not None for r in d.json("status")["targets"]), 30, "every target has been looked at")
    document = ask(d, object="table app.t", target="s/orders")
    entries = {(e["role"], e["how"], e["through"], tuple(e["privileges"])): e for e in document["targets"][0]["entries"]}
    assert set(entries) >= {("PUBLIC", "public", "PUBLIC", ("UPDATE",)), ("boss", "superuser", "boss", ()), ("team", "grant", "team", ("SELECT",)),
                            ("dev", "grant", "team", ("SELECT",)), ("trainee", "grant", "team", ("SELECT",)),
                            ("reader", "predefined", "pg_read_all_data", ("SELECT",))}, entries
    assert any(e["role"] == "owner" and e["how"] == "owner" and not e["row_security"] for e in entries.values())
    dev, trainee, team = (entries[r, "grant", "team", ("SELECT",)] for r in ("dev", "trainee", "team"))
    assert dev["set_role"] is None and dev["schema_usage"] and dev["row_security"] and dev["grantable"] == ["SELECT"]
    assert trainee["set_role"] == "team" or trainee["set_role"] == "dev", trainee
    assert not team["schema_usage"]
    shown = d.ctl("access", "table app.t", "s/orders", expect=0).out
    for words in ("after SET ROLE", "member of team", "no USAGE on the schema", "row security", "pg_read_all_data", "superuser", "(and may grant them)"):
        assert words in shown, shown
    shown = d.ctl("access", "dev", "s/orders", expect=0).out
    assert "table app.t" in shown and "PUBLIC" in shown and "boss" not in shown, shown
    assert d.ctl("access", "nobody_at_all").code != 0
    assert d.http("/v1/access?object=nonsense").status == 400 and d.http("/v1/access?role=a&object=b").status == 400
    assert d.http("/v1/access?role=dev&target=nowhere").status == 404
    everything = validate(d.http("/v1/access").json())
    assert {t["target"] for t in everything["targets"]} == {"s", "s/orders"}


@pytest.mark.majors(15)
def test_columns_predefined_roles_and_everybody(pg, daemon):
    """Policies decide for who has only columns, and for pg_read_all_data; PUBLIC can be asked for like a role."""
    pg.sql("CREATE ROLE clerk; CREATE ROLE reader; GRANT pg_read_all_data TO reader")
    pg.create_database("orders", "CREATE SCHEMA app", "GRANT USAGE ON SCHEMA app TO PUBLIC", "CREATE TABLE app.t (id int, v int)", "CREATE TABLE app.open (id int)",
                       "ALTER TABLE app.t ENABLE ROW LEVEL SECURITY", "GRANT UPDATE (v) ON app.t TO clerk", "GRANT SELECT (id) ON app.open TO clerk",
                       "GRANT SELECT ON app.open TO PUBLIC")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "databases": ({"name": "orders"},)}, daemon={"mode": "observe"}).start()
    d.wait_in_sync()

    def paths(*args):
        rows = d.ctl("-o", "tsv", "--no-legend", "access", *args, "prod/orders", expect=0).out.splitlines()
        return {(row.split("\t")[1], row.split("\t")[3]): row.split("\t")[5] for row in rows}
    clerk = paths("clerk")
    assert clerk["clerk", "column v of table app.t"] == "row security decides which rows"
    assert clerk["clerk", "column id of table app.open"] == ""
    assert paths("table app.t")["reader", "every table"] == "row security decides which rows"
    assert paths("table app.open")["reader", "every table"] == ""
    assert ("PUBLIC", "table app.open") in paths("PUBLIC") and all(role == "PUBLIC" for role, _ in paths("PUBLIC"))
