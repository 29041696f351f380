# SPDX-License-Identifier: PostgreSQL
"""What import writes describes what is there: used as the manifest of its target, with authority exact, there is no drift."""
import os

import pytest
from dbr import wait_for
from dbr.waiting import FACTOR
from test_ctl import validate
from test_random_live import TEMPLATE, Pair

PAIRS = int(os.environ.get("DBR_PAIRS", "25" if FACTOR == 1 else "5"))

WORLD = """
CREATE ROLE owner; CREATE ROLE reader LOGIN CONNECTION LIMIT 5 VALID UNTIL '2040-01-02 03:04:05+00'; CREATE ROLE "Odd ""name"".*" NOINHERIT CREATEDB;
CREATE ROLE boss SUPERUSER; CREATE ROLE team; GRANT team TO reader WITH ADMIN OPTION; GRANT team TO boss; GRANT pg_read_all_stats TO reader;
COMMENT ON ROLE reader IS 'reads "all", says: it''s \\ fine';
ALTER ROLE reader SET search_path = app, "$user", 'b c'; ALTER ROLE reader SET work_mem = '12MB'; ALTER ROLE ALL SET lock_timeout = '7s';
ALTER ROLE reader IN DATABASE orders SET statement_timeout = '3min'; ALTER DATABASE orders SET timezone = 'Europe/Vienna';
REVOKE CONNECT, TEMPORARY ON DATABASE orders FROM PUBLIC; GRANT CONNECT ON DATABASE orders TO reader; ALTER DATABASE orders CONNECTION LIMIT 50;
"""
INSIDE = """
CREATE EXTENSION pg_trgm; GRANT EXECUTE ON FUNCTION show_limit() TO reader; REVOKE EXECUTE ON FUNCTION set_limit(real) FROM PUBLIC;
CREATE SCHEMA app AUTHORIZATION owner; CREATE SCHEMA "we.ird *"; GRANT USAGE ON SCHEMA app TO reader, team; REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE TABLE app.a (id int, secret text); CREATE TABLE app.b (id serial); CREATE TABLE "we.ird *"."T.x?" (id int, "c d" int);
CREATE VIEW app.v AS SELECT 1; CREATE TABLE app.p (id int) PARTITION BY LIST (id);
CREATE FUNCTION app.f(a int, b "we.ird *"."T.x?"[], VARIADIC c text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION app.f FROM PUBLIC;
CREATE AGGREGATE app.agg(int) (SFUNC = int4pl, STYPE = int); CREATE PROCEDURE app.pr() LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON PROCEDURE app.pr() TO reader;
CREATE TYPE app.mood AS ENUM ('a'); GRANT USAGE ON TYPE app.mood TO reader WITH GRANT OPTION; REVOKE USAGE ON TYPE app.mood FROM PUBLIC;
ALTER TABLE app.a OWNER TO owner; ALTER TABLE app.b OWNER TO owner; ALTER TABLE app.p OWNER TO "Odd ""name"".*";
GRANT SELECT ON ALL TABLES IN SCHEMA app TO reader; GRANT INSERT, UPDATE ON app.a TO team WITH GRANT OPTION; GRANT SELECT ON app.a TO PUBLIC;
GRANT SELECT ("c d") ON "we.ird *"."T.x?" TO "Odd ""name"".*"; GRANT ALL ON SEQUENCE app.b_id_seq TO team;
SET ROLE team; GRANT INSERT ON app.a TO reader; RESET ROLE;
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA app GRANT SELECT ON TABLES TO reader; ALTER DEFAULT PRIVILEGES FOR ROLE owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE team GRANT USAGE ON TYPES TO reader WITH GRANT OPTION;
ALTER TABLE app.a ENABLE ROW LEVEL SECURITY; ALTER TABLE app.a FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON app.a FOR SELECT TO reader, team USING (secret = current_user AND id > 0);
CREATE POLICY "all of it" ON app.a AS RESTRICTIVE USING (true) WITH CHECK (id <> 7); CREATE POLICY off ON app.b TO owner USING (false);
CREATE SCHEMA many; CREATE TABLE many.x (); CREATE TABLE many.y (); CREATE VIEW many.z AS SELECT 1; GRANT SELECT ON ALL TABLES IN SCHEMA many TO reader, team;
SELECT lo_create(99); GRANT SELECT ON LARGE OBJECT 99 TO reader;
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER srv FOREIGN DATA WRAPPER w; GRANT USAGE ON FOREIGN SERVER srv TO reader; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
"""


def watch(daemon, pg, databases, manifests=None, mode="observe", guard=None):
    named = {name: {"manifests": [name]} if manifests else {} for name in ("platform", *databases)}
    return daemon(servers={"name": "s", "conninfo": pg.conninfo(), **named["platform"],
                           "databases": tuple({"name": name, **named[name]} for name in databases)},
                  manifests=manifests, daemon={"interval": "1h", "mode": mode}, guard=guard).start()


def imported(daemon, pg, databases, guard=None):
    """The manifests of everything, from a daemon that has none."""
    d = watch(daemon, pg, databases, guard=guard)
    wait_for(lambda: all(r["last_success"] is not None for r in d.json("status")["targets"]), 60, "every target has been looked at",
             lambda: d.ctl("status").out)
    texts = {name: d.ctl("import", "s" if name == "platform" else f"s/{name}", expect=0).out for name in ("platform", *databases)}
    document = d.http(d.target_path(f"s/{databases[0]}").replace("/v1/targets", "/v1/import")).json()
    validate(document)
    assert document["manifest"] == texts[databases[0]]
    d.stop()
    return texts


def no_drift(d, texts):
    d.ctl("reconcile", "--wait")
    found = []
    for row in d.json("status")["targets"]:
        name = row["database"] or "platform"
        if row["state"] != "in_sync" or row["drift"]:
            found.append(f"{row['target']}: {row['state']}: {row['message']}\n{d.ctl('diff', row['target']).out}\n{texts[name]}")
    assert not found, f"{len(found)} targets\n" + "\n".join(found[:2])


@pytest.mark.majors(14, 16, 18)
def test_random_worlds_are_described(pg, daemon):
    made = [Pair(number, os.environ.get("DBR_SEED", "import"), pg.major) for number in range(PAIRS)]
    pg.create_database("pattern", TEMPLATE)
    for pair in made:
        pg.sql(f"CREATE DATABASE {pair.database} TEMPLATE pattern")
        pg.sql(";".join(pair.create_roles()))
    for pair in made:
        pair.make_live(pg)
    databases = [pair.database for pair in made]
    texts = imported(daemon, pg, databases)
    no_drift(watch(daemon, pg, databases, texts), texts)


@pytest.mark.majors(14, 15, 18)
def test_everything_that_a_manifest_can_say_is_described(pg, daemon):
    pg.create_database("orders")
    pg.sql(WORLD)
    if pg.major >= 15:
        pg.sql("GRANT SET ON PARAMETER log_min_duration_statement TO reader")
    if pg.major >= 16:
        pg.sql("CREATE ROLE late; GRANT team TO late WITH INHERIT FALSE, SET TRUE")
    pg.sql(INSIDE, dbname="orders")
    texts = imported(daemon, pg, ["orders"])
    d = watch(daemon, pg, ["orders"], texts)
    no_drift(d, texts)
    assert 'authority = "exact"' in texts["orders"] and "SCRAM" not in texts["platform"] and texts["orders"].count('"table many.*"') == 2
    for said in ('"language plpgsql"', '"function public.set_limit(real)"'):
        assert said in texts["orders"], texts["orders"]
    assert "similarity" not in texts["orders"], "what an extension has by itself is nobody's wish"
    d.stop()
    # and it is no empty word: what is changed by hand comes back
    d = watch(daemon, pg, ["orders"], texts, mode="enforce")
    d.reconcile()
    mark = pg.log_mark()
    pg.sql("REVOKE SELECT ON app.v FROM reader; GRANT DELETE ON app.b TO reader; ALTER TABLE app.b OWNER TO team; DROP POLICY off ON app.b", dbname="orders")
    pg.sql("ALTER ROLE reader SET work_mem = '1MB'; GRANT CONNECT ON DATABASE orders TO PUBLIC; ALTER ROLE reader CONNECTION LIMIT 6")
    d.reconcile()
    assert pg.changes(mark)
    assert pg.sql("SELECT has_table_privilege('reader', 'app.v', 'SELECT'), has_table_privilege('reader', 'app.b', 'DELETE'), "
                  "(SELECT tableowner FROM pg_tables WHERE tablename = 'b'), (SELECT count(*) FROM pg_policies WHERE policyname = 'off')",
                  dbname="orders") == [(True, False, "owner", 1)]
    assert pg.sql("SELECT rolconnlimit, (SELECT bool_or(setconfig::text LIKE '%work_mem=12MB%') FROM pg_db_role_setting), "
                  "(SELECT datacl::text LIKE '%{=%' OR datacl::text LIKE '%,=%' FROM pg_database WHERE datname = 'orders') FROM pg_roles WHERE rolname = 'reader'") == [(5, True, False)]


MESSY = """
CREATE ROLE app; CREATE ROLE rds_iam; CREATE ROLE "PUBLIC"; CREATE ROLE far VALID UNTIL '20000-01-01'; CREATE ROLE gone VALID UNTIL '-infinity';
CREATE ROLE "two
roles: ( { name = ""nobody's""; superuser = true; } ); #";
GRANT "PUBLIC", rds_iam, "two
roles: ( { name = ""nobody's""; superuser = true; } ); #" TO app;
COMMENT ON ROLE app IS E'pasted \\u0092 from\\x0b\\x7f elsewhere'; ALTER ROLE app SET my.bell = E'\\x07'; ALTER ROLE app SET "ünï.cöde" = 'x';
ALTER DATABASE bare OWNER TO "two
roles: ( { name = ""nobody's""; superuser = true; } ); #";
"""
MESSY_INSIDE = """
CREATE SCHEMA "a(b"; CREATE TABLE "a(b".t (id int, a text); CREATE FUNCTION "a(b".f("a(b".t, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE SCHEMA "n
l"; CREATE TABLE "n
l"."t
t" (id int, "c
d" int); CREATE FUNCTION "a(b"."g
h"() RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT USAGE ON SCHEMA "n
l" TO app; GRANT INSERT, UPDATE ("c
d") ON "n
l"."t
t" TO app; GRANT EXECUTE ON FUNCTION "a(b".f("a(b".t, int) TO app; REVOKE EXECUTE ON FUNCTION "a(b"."g
h"() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA "n
l" GRANT SELECT ON TABLES TO far; ALTER TABLE "n
l"."t
t" ENABLE ROW LEVEL SECURITY; CREATE POLICY "p
q" ON "n
l"."t
t" TO app USING ("c
d" > 1); CREATE POLICY ctl ON "a(b".t USING (a ~ E'[\\x01-\\x1f]'); CREATE POLICY nothing ON "a(b".t; CREATE POLICY "its own" ON "a(b".t TO "PUBLIC" USING (true);
CREATE POLICY "x
roles: ( ); #" ON "a(b".t TO "PUBLIC" USING (true);
ALTER DEFAULT PRIVILEGES FOR ROLE "two
roles: ( { name = ""nobody's""; superuser = true; } ); #" GRANT SELECT ON TABLES TO app;
"""


@pytest.mark.majors(15, 18)
def test_what_no_manifest_can_name_is_left_out_and_left_alone(pg, daemon):
    """Names with line ends, roles named as everybody is, text that is not plain, and what has nothing to be declared."""
    pg.create_database("orders")
    pg.create_database("bare", "DROP SCHEMA public", "CREATE SCHEMA alone")
    pg.sql(MESSY)
    pg.sql(MESSY_INSIDE, dbname="orders")
    guard = {"ignored_roles": ["rds*"], "max_revokes": 0}
    texts = imported(daemon, pg, ["orders", "bare"], guard)
    for text in texts.values():
        notes, _, declared = text.partition("\nauthority = ")
        assert all(line.startswith("#") for line in notes.splitlines() if line) and "\nroles: ( )" not in declared and "nobody's" not in declared, text
    for said in ("policy nothing", "policy its own", "x\\x0aroles", "valid_until of role far"):
        assert said in texts["orders"] + texts["platform"], texts
    d = watch(daemon, pg, ["orders", "bare"], texts, guard=guard)
    no_drift(d, texts)
    d.stop()
    mark = pg.log_mark()
    d = watch(daemon, pg, ["orders", "bare"], texts, mode="enforce", guard=guard)
    d.reconcile()
    assert pg.changes(mark) == []
    held = """SELECT has_column_privilege('app', E'"n\\nl"."t\\nt"', E'c\\nd', 'UPDATE'), has_table_privilege('app', E'"n\\nl"."t\\nt"', 'INSERT'),
              has_function_privilege('app', '"a(b".f("a(b".t, int)', 'EXECUTE'), (SELECT string_agg(pg_get_expr(polqual, polrelid), ' ' ORDER BY polname) FROM pg_policy)"""
    before = pg.sql(held, dbname="orders")
    pg.sql("""REVOKE UPDATE ("c\nd"), INSERT ON "n\nl"."t\nt" FROM app; REVOKE EXECUTE ON FUNCTION "a(b".f("a(b".t, int) FROM app; DROP POLICY "p\nq" ON "n\nl"."t\nt";"""
           """ALTER POLICY ctl ON "a(b".t USING (true)""", dbname="orders")
    pg.sql("ALTER ROLE app RESET my.bell; COMMENT ON ROLE app IS NULL")
    d.reconcile(expect=None)
    for row in d.json("status")["targets"]:
        if row["held"]:                          # the policy: who sees which rows is asked for
            d.ctl("approve", row["target"], row["plan"], expect=0)
    d.reconcile()
    assert pg.sql(held, dbname="orders") == before
    assert pg.sql("SELECT shobj_description('app'::regrole, 'pg_authid'), (SELECT setting FROM pg_db_role_setting, unnest(setconfig) setting WHERE setting ~ 'bell')") == [
        ("pasted \x92 from\x0b\x7f elsewhere", "my.bell=\x07")]


@pytest.mark.majors(15)
def test_what_was_not_looked_at_is_not_described(pg, daemon):
    d = daemon(servers={"name": "s", "conninfo": "host=/nonexistent user=x", "manifests": ["platform"]},
               manifests={"platform": 'roles: ( { name = "x"; } );\n'}).start()
    answer = d.ctl("import", "s")
    assert answer.code == 5 and "not been looked at" in answer.err, answer
    assert d.ctl("import", "nobody").code != 0
