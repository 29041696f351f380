# SPDX-License-Identifier: PostgreSQL
"""undo: a recorded change is taken back, exactly, when somebody says so twice, and the daemon does not make it again."""

import difflib
import os
import re
import shutil
import sqlite3
import subprocess

import pytest
from dbr import wait_for
from dbr.waiting import FACTOR
from test_pass import make, orders_database, row, wait_state


def changes(d, target=None):
    return [e for e in d.json("events", "-n", "1000")["events"] if e["kind"] == "change" and target in (None, e["target"])]


def change_of(d, pattern, target=None):
    return [e for e in changes(d, target) if re.search(pattern, e["object"]) and e["result"] == "ok"][-1]


def undo(d, change):
    """Asks for it and approves it; waits until it is done."""
    answer = d.json("undo", str(change), expect=0)
    d.ctl("approve", answer["target"], answer["plan"], expect=0)
    d.reconcile(answer["target"], expect=None)
    done = [e for e in changes(d, answer["target"]) if e["object"].startswith(f"UNDO {change}: ")]
    assert done and done[-1]["result"] == "ok", (answer, done, d.log_tail())
    return done[-1]


def has(pg, privilege, role="app", table="app.orders"):
    return pg.value("SELECT has_table_privilege(%s, %s, %s)", (role, table, privilege), dbname="orders")


@pytest.mark.majors(14, 18)
def test_a_change_is_undone_when_it_is_approved_and_not_made_again(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    grant = change_of(d, "GRANT SELECT ON table app.orders TO reporting", "prod/orders")
    mark = pg.log_mark()
    answer = d.json("undo", str(grant["id"]), expect=0)
    assert answer["target"] == "prod/orders" and answer["next"] == f"dbreconcilectl approve prod/orders {answer['plan']}"
    assert [s for s in answer["statements"] if s.startswith("REVOKE")] == ['REVOKE SELECT ON TABLE "app"."orders" FROM "reporting"']
    held = wait_state(d, "prod/orders", "held")
    assert held["plan"] == answer["plan"] and held["held"] == 1
    assert d.json("undo", str(grant["id"]), expect=0)["plan"] == answer["plan"]
    out = d.ctl("diff", "prod/orders", "--cached", expect=1).out
    assert re.search(rf"! UNDO {grant['id']}: REVOKE SELECT ON table app.orders FROM reporting", out) and answer["plan"] in out
    d.reconcile("prod/orders", expect=None)
    assert pg.changes(mark) == [] and has(pg, "SELECT", "reporting")
    d.stop()
    d.start()
    wait_state(d, "prod/orders", "held")
    d.ctl("approve", "prod/orders", answer["plan"], expect=0)
    wait_for(lambda: not has(pg, "SELECT", "reporting"), 10, "the undo", d.log_tail)
    done = wait_for(lambda: [e for e in changes(d) if e["object"].startswith("UNDO") and e["result"] == "ok"], 10, "its event")[-1]
    assert re.fullmatch(r"uid 0 \(root\), approved by uid 0 \(root\)", done["actor"]) and done["plan"] == answer["plan"]
    assert "GRANT SELECT" in done["inverse"] and "REVOKE SELECT" in done["statement"]
    # the manifest still asks for it: held, through passes and a restart
    wait_state(d, "prod/orders", "held")
    d.stop()
    d.start()
    held = wait_state(d, "prod/orders", "held")
    assert f"change {grant['id']} was undone by uid 0 (root)" in held["message"] and "no longer asks for it" in held["message"]
    passes = held["passes"]
    wait_for(lambda: row(d, "prod/orders")["passes"] > passes + 2, 10, "some more passes")
    assert not has(pg, "SELECT", "reporting")
    assert "was undone already" in d.ctl("undo", str(grant["id"]), expect=5).err
    # what else drifts is corrected meanwhile
    pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="orders")
    wait_for(lambda: has(pg, "SELECT"), 10, "drift is gone", d.log_tail)
    assert not has(pg, "SELECT", "reporting")
    # undoing the undo makes it again, and then all is as before
    undo(d, done["id"])
    assert has(pg, "SELECT", "reporting")
    d.wait_in_sync()
    pg.sql("REVOKE SELECT ON app.orders FROM reporting", dbname="orders")
    wait_for(lambda: has(pg, "SELECT", "reporting"), 10, "drift is gone", d.log_tail)


# ---- the way there and back ------------------------------------------------------------------------------------------

BEFORE = """
CREATE ROLE owner_a;
CREATE ROLE owner_b CREATEDB CONNECTION LIMIT 2 VALID UNTIL '2031-02-03 04:05:06+00';
CREATE ROLE app LOGIN CONNECTION LIMIT 5 VALID UNTIL '2030-01-01 00:00:00+00' PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy';
CREATE ROLE boss CREATEROLE LOGIN;
CREATE ROLE ro;
CREATE ROLE other;
CREATE ROLE "O'Brien ""x"" \\" LOGIN;
CREATE ROLE grp1;
CREATE ROLE grp2;
CREATE ROLE grp3;
COMMENT ON ROLE app IS 'the old
comment, it''s two lines';
COMMENT ON ROLE ro IS 'stays';
GRANT grp1 TO boss WITH ADMIN OPTION;
GRANT grp2 TO boss WITH ADMIN OPTION;
GRANT grp3 TO ro;
SET SESSION AUTHORIZATION boss;
GRANT grp1 TO app;
GRANT grp2 TO app WITH ADMIN OPTION;
RESET SESSION AUTHORIZATION;
ALTER ROLE app SET work_mem = '8MB';
ALTER ROLE app SET search_path = app, "$user", "Odd, name";
ALTER ROLE app SET statement_timeout = '1min';
ALTER ROLE app SET lock_timeout = '3s';
ALTER ROLE app IN DATABASE orders SET work_mem = '64kB';
ALTER DATABASE orders SET default_transaction_isolation = 'repeatable read';
ALTER ROLE ALL SET lc_messages = 'C';
ALTER DATABASE orders CONNECTION LIMIT 17;
ALTER DATABASE orders OWNER TO owner_a;
GRANT CONNECT, TEMPORARY ON DATABASE orders TO ro WITH GRANT OPTION;
GRANT CREATE ON DATABASE orders TO owner_b;
GRANT CREATE ON TABLESPACE pg_default TO app WITH GRANT OPTION;
"""

INSIDE = """
CREATE SCHEMA app AUTHORIZATION owner_a;
GRANT USAGE ON SCHEMA app TO ro, app WITH GRANT OPTION;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SET ROLE owner_a;
CREATE TABLE app.t1 (id int, a text, b text);
CREATE TABLE app.t2 (id int, a text, b text);
CREATE TABLE app.t3 (id int);
CREATE VIEW app.v AS SELECT 1 AS one;
CREATE SEQUENCE app.s;
CREATE FUNCTION app.f(integer, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1';
CREATE TYPE app.mood AS ENUM ('x');
CREATE DOMAIN app.email AS text;
GRANT SELECT, INSERT ON app.t1 TO ro WITH GRANT OPTION;
GRANT UPDATE ON app.t1 TO ro;
GRANT SELECT, DELETE ON app.t1 TO owner_b WITH GRANT OPTION;
GRANT INSERT ON app.t1 TO owner_b;
GRANT SELECT (a), UPDATE (b) ON app.t2 TO ro;
GRANT SELECT (a) ON app.t1 TO ro WITH GRANT OPTION;
GRANT SELECT ON app.t3 TO app;
GRANT UPDATE (id) ON app.t3 TO app WITH GRANT OPTION;
GRANT SELECT ON app.t2, app.t3, app.v TO PUBLIC;
GRANT USAGE ON SEQUENCE app.s TO ro WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION app.f(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.f(integer, text) TO ro;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO ro WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT INSERT ON TABLES TO app;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
RESET ROLE;
SET ROLE ro;
GRANT SELECT ON app.t1 TO app;
GRANT INSERT ON app.t1 TO other;
RESET ROLE;
ALTER TABLE app.t1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.t2 FORCE ROW LEVEL SECURITY;
CREATE POLICY kept ON app.t1 FOR SELECT TO "O'Brien ""x"" \\" USING (a = current_user) ;
COMMENT ON POLICY kept ON app.t1 IS 'it''s kept';
CREATE POLICY altered ON app.t1 USING (id > 3) WITH CHECK (id > 4);
CREATE POLICY replaced ON app.t1 AS RESTRICTIVE FOR DELETE USING (b IS NOT NULL);
CREATE POLICY gone ON app.t1 FOR INSERT TO ro WITH CHECK (id > 5);
COMMENT ON POLICY gone ON app.t1 IS 'went';
"""

CLUSTER_WIDE = """
authority = "exact";
roles: (
  { name = "newbie"; login = true; connection_limit = 3; valid_until = "2030-05-05"; comment = "new"; settings: { work_mem = "1MB"; };
    member_of = ( "grp3" ); },
  { name = "app"; login = true; createdb = true; connection_limit = 9; valid_until = "2029-09-09"; comment = "the new comment";
    settings: { statement_timeout = "5min"; idle_in_transaction_session_timeout = "1h"; };
    database_settings: ( { database = "orders"; settings: { work_mem = "128kB"; lock_timeout = "1s"; }; } ); },
  { name = "boss"; login = true; inherit = false; },
  { name = "owner_a"; comment = "had none"; }, { name = "owner_b"; createdb = false; connection_limit = -1; },
  { name = "ro"; comment = ""; }, { name = "other"; }, { name = "grp1"; }, { name = "grp2"; }, { name = "grp3"; },
  { name = "obrien"; renamed_from = "O'Brien \\"x\\" \\\\"; }
);
memberships: (
  { role = "grp1"; members = [ "app" ]; admin = true; },
  { role = "grp1"; members = [ "boss" ]; admin = false; },
  { role = "grp2"; members = [ "boss" ]; admin = true; }
);
databases: ( { name = "orders"; owner = "owner_b"; connection_limit = 8; settings: { default_transaction_isolation = "serializable"; }; } );
settings: ( { name = "deadlock_timeout"; value = "2s"; }, { name = "lc_messages"; ensure = "absent"; } );
grants: (
  { to = [ "app", "newbie" ]; privileges = [ "CONNECT" ]; on = "database orders"; },
  { to = "PUBLIC"; privileges = [ ]; on = "database orders"; },
  { to = "ro"; privileges = [ "CREATE" ]; on = "tablespace pg_default"; grant_option = true; }
);
"""

IN_ORDERS = """
authority = "exact";
extensions: ( { name = "pg_prewarm"; } );
schemas: ( { name = "app"; owner = "owner_b"; }, { name = "fresh"; owner = "app"; } );
owners: ( { on = "table app.t1"; owner = "owner_b"; }, { on = "table app.t3"; owner = "owner_b"; }, { on = "sequence app.s"; owner = "owner_b"; },
          { on = "function app.f"; owner = "owner_b"; } );
grants: (
  { to = "app"; level = "read-write"; schema = "app"; },
  { to = "newbie"; level = "read-only"; schema = "app"; },
  { to = "app"; privileges = [ "SELECT" ]; on = "table app.t1"; grant_option = true; },
  { to = "ro"; privileges = [ "SELECT" ]; on = "table app.t2"; columns = [ "id" ]; },
  { to = "PUBLIC"; privileges = [ ]; on = [ "table app.t2", "schema app" ]; }
);
default_privileges: ( { for = "owner_a"; on = "functions"; to = "app"; privileges = [ "EXECUTE" ]; } );
row_security: (
  { table = "app.t1"; enable = false; force = true; policies = (
      { name = "altered"; using = "id > 30"; check = "id > 40"; },
      { name = "replaced"; command = "UPDATE"; to = [ "app" ]; using = "b = 'x'"; },
      { name = "gone"; ensure = "absent"; },
      { name = "added"; command = "SELECT"; to = [ "app" ]; using = "true"; } ); },
  { table = "app.t2"; enable = true; force = false; policies = ( ); }
);
"""

# What pg_dumpall -g and pg_dump read, as it stands in the catalogs. An access control list that is equal to the default is the
# default; in which order it holds its entries says nothing.
ACL = """(SELECT string_agg(format('%%s=%%s/%%s%%s', CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, x.privilege_type,
         x.grantor::regrole, CASE WHEN x.is_grantable THEN '*' ELSE '' END), ' ' ORDER BY x.grantee::regrole::text, x.privilege_type, x.grantor::regrole::text)
         FROM aclexplode(coalesce(%s, acldefault('%s', %s))) x)"""
SHARED = [
    "SELECT 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,"
    " rolpassword, coalesce(rolvaliduntil, 'infinity')::text, shobj_description(oid, 'pg_authid') FROM pg_authid",
    "SELECT 'member', roleid::regrole::text, member::regrole::text, grantor::regrole::text, to_jsonb(m) - 'oid' - 'roleid' - 'member' - 'grantor'"
    " FROM pg_auth_members m",
    "SELECT 'setting', setrole::regrole::text, coalesce(datname, '-'), setconfig::text FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase",
    f"SELECT 'database', datname, datdba::regrole::text, datconnlimit, {ACL % ('datacl', 'd', 'datdba')} FROM pg_database",
    f"SELECT 'tablespace', spcname, spcowner::regrole::text, {ACL % ('spcacl', 't', 'spcowner')} FROM pg_tablespace",
]
LOCAL = [
    f"SELECT 'schema', nspname, nspowner::regrole::text, {ACL % ('nspacl', 'n', 'nspowner')} FROM pg_namespace WHERE nspname !~ '^pg_'",
    f"SELECT 'relation', oid::regclass::text, relowner::regrole::text, relrowsecurity, relforcerowsecurity, {ACL % ('relacl', 'r', 'relowner')}"
    " FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind <> 'S'",
    f"SELECT 'sequence', oid::regclass::text, relowner::regrole::text, {ACL % ('relacl', 's', 'relowner')}"
    " FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'S'",
    f"SELECT 'column', attrelid::regclass::text, attname, {ACL % ('attacl', 'c', 'relowner')} FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
    " WHERE relnamespace = 'app'::regnamespace AND attnum > 0",
    f"SELECT 'routine', oid::regprocedure::text, proowner::regrole::text, {ACL % ('proacl', 'f', 'proowner')} FROM pg_proc WHERE pronamespace = 'app'::regnamespace",
    f"SELECT 'type', oid::regtype::text, typowner::regrole::text, {ACL % ('typacl', 'T', 'typowner')} FROM pg_type WHERE typnamespace = 'app'::regnamespace",
    "SELECT 'default', defaclrole::regrole::text, defaclnamespace::regnamespace::text, defaclobjtype::text, (SELECT array_agg(x::text ORDER BY x::text)"
    " FROM unnest(defaclacl) x)::text FROM pg_default_acl",
    "SELECT 'policy', polrelid::regclass::text, polname, polcmd::text, polpermissive, (SELECT array_agg(r::regrole::text ORDER BY 1) FROM unnest(polroles) r)::text,"
    " pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy') FROM pg_policy",
    "SELECT 'extension', extname, extversion FROM pg_extension",
]


PARAMETERS = f"SELECT 'parameter', parname, {ACL % ('paracl', 'p', '10')} FROM pg_parameter_acl"


def snapshot(pg):
    found = []
    for where, queries in (("postgres", SHARED + [PARAMETERS] * (pg.major >= 15)), ("orders", LOCAL)):
        for query in queries:
            found += sorted((tuple(map(str, r)) for r in pg.sql(query, dbname=where)))
    return found


def dump(pg):
    """pg_dumpall -g, byte for byte, and pg_dump -s, where their version (Debian's, 15) can read the server."""
    where = "/usr/lib/postgresql/15/bin:/usr/bin"
    if pg.major > 15 or shutil.which("pg_dumpall", path=where) is None:
        return None
    texts = []
    for args in (["pg_dumpall", "-g"], ["pg_dump", "-s", "-C", "orders"]):
        done = subprocess.run([shutil.which(args[0], path=where), *args[1:], "-h", pg.host, "-p", "5432", "-U", "postgres"],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        texts.append(re.sub(r"(?m)^\\(un)?restrict .*\n", "", done.stdout))
    # in which order the list of an object holds its entries is the server's
    texts[1] = re.sub(r"SET SESSION AUTHORIZATION (.*);\n(.*)\nRESET SESSION AUTHORIZATION;\n", r"GRANT as \1: \2\n", texts[1])
    texts[1] = re.sub(r"(?m)(^GRANT .*\n)+", lambda grants: "".join(sorted(grants[0].splitlines(True))), texts[1])
    return texts


def approve_all(d, *targets):
    """Until nothing is held any more."""
    for _ in range(20):
        held = [r for r in d.json("status")["targets"] if r["held"]]
        d.ctl("reconcile", "--wait")
        held = [r for r in d.json("status")["targets"] if r["held"]]
        for r in held:
            d.ctl("approve", r["target"], r["plan"], expect=(0, 5))      # 5: it is another plan by now, since its server has changed
        if not held and all(r["state"] == "in_sync" for r in d.json("status")["targets"]):
            return
    raise AssertionError(d.ctl("status").out + d.ctl("diff", "--cached").out)


def undo_all(d):
    undone = set()
    while True:                  # what is declared anew when, say, an owner is back, is a change too, and the newest
        made = [e for e in changes(d) if e["result"] == "ok" and not e["object"].startswith("UNDO") and e["id"] not in undone]
        if not made:
            return
        undo(d, made[-1]["id"])
        undone.add(made[-1]["id"])
        assert len(undone) < 200


@pytest.mark.skipif(FACTOR != 1, reason="runs without sanitizers: tests/unit/test_convergence.c undoes as much with them")
@pytest.mark.majors(14, 18)
def test_everything_comes_back(pg, daemon):
    pg.create_database("orders")
    pg.sql(BEFORE)
    wide = CLUSTER_WIDE
    if pg.major >= 15:
        pg.sql("GRANT SET ON PARAMETER work_mem TO ro WITH GRANT OPTION; GRANT ALTER SYSTEM ON PARAMETER work_mem TO app")
        wide = wide.replace("grants: (", """grants: (
            { to = "app"; privileges = [ "SET" ]; on = [ "parameter work_mem", "parameter lock_timeout" ]; },""")
    pg.sql(INSIDE, dbname="orders")
    before, dumped = snapshot(pg), dump(pg)
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["wide"], "databases": ({"name": "orders", "manifests": ["orders"]},)},
               manifests={"wide": wide, "orders": IN_ORDERS}, daemon={"interval": "1h"},
               guard={"max_revokes": 1000, "max_drops": 100, "max_percent": 100}).start()
    approve_all(d)
    made = changes(d)
    assert {e["result"] for e in made} == {"ok"} and len(made) > 60, d.ctl("events").out
    assert snapshot(pg) != before
    undo_all(d)
    after = snapshot(pg)
    assert after == before, "\n".join(f"{'-' if r in before else '+'} {r}" for r in sorted(set(before) ^ set(after)))
    if dumped is not None:
        for was, now in zip(dumped, dump(pg)):
            assert now == was, "\n".join(difflib.unified_diff(was.split("\n"), now.split("\n"), lineterm=""))


# ---- what is refused -------------------------------------------------------------------------------------------------

REFUSALS = """
roles: (
  { name = "owner_role"; login = false; },
  { name = "app"; login = true; connection_limit = 7; comment = "web service"; password_file = "%s"; },
  { name = "nobody_grants"; },
  { name = "guarded"; connection_limit = 5; },
  { name = "reporting"; login = false; }
);
memberships: ( { role = "reporting"; members = [ "app" ]; } );
"""


def refused(d, number, *words, code=5):
    result = d.ctl("undo", str(number), expect=code)
    assert result.out == "" and all(word in result.err for word in words), result.err


@pytest.mark.majors(18)
def test_every_refusal_says_why(pg, daemon):
    orders_database(pg)
    pg.sql("CREATE ROLE guarded CONNECTION LIMIT 1")
    d = make(daemon, pg, "orders")
    secret = d.write("secret", "a long and good password".encode(), mode=0o600)
    d.manifest("platform", REFUSALS % secret)
    d.manifest("orders", """
        schemas: ( { name = "app"; owner = "owner_role"; } );
        grants: ( { to = "app"; privileges = [ "SELECT" ]; on = "table app.orders"; } );""")
    d.start()
    d.wait_in_sync()
    refused(d, 99999, "there is no change 99999", code=2)
    refused(d, change_of(d, "SET PASSWORD")["id"], "has no inverse", "password before it is not known")
    d.ctl("reload", expect=0)
    refused(d, [e for e in d.json("events")["events"] if e["kind"] == "reload"][-1]["id"], "is no change", "the files before it")
    # a later change touched it, which must be undone first
    limit = change_of(d, "ALTER ROLE guarded CONNECTION LIMIT 5")["id"]
    d.manifest("platform", (REFUSALS % secret).replace("connection_limit = 5", "connection_limit = 6"))
    d.ctl("reload", expect=0)
    d.reconcile("prod")
    later = change_of(d, "ALTER ROLE guarded CONNECTION LIMIT 6")["id"]
    refused(d, limit, f"change {later} touched the same object later", f"dbreconcilectl undo {later}")
    # undone, it is out of the way; and what was undone cannot be undone again
    done = undo(d, later)
    assert pg.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'guarded'") == 5
    refused(d, later, f"was undone already, by change {done['id']}", f"dbreconcilectl undo {done['id']}")
    undo(d, limit)
    assert pg.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'guarded'") == 1
    # suspended, observing, protected
    grant = change_of(d, "GRANT SELECT ON table app.orders TO app")["id"]
    d.ctl("suspend", "prod/orders", expect=0)
    refused(d, grant, "prod/orders is suspended", "dbreconcilectl resume prod/orders")
    d.ctl("resume", "prod/orders", expect=0)
    member = change_of(d, "GRANT ROLE reporting TO app")["id"]
    d.write("conf.d/guard.conf", 'guard: { protected_roles = [ "app" ]; };')
    d.ctl("reload", expect=0)
    refused(d, member, "role app is protected", "guard.protected_roles")
    os.unlink(os.path.join(d.directory, "conf.d/guard.conf"))
    d.ctl("reload", expect=0)
    # rejected, it is dropped, and can be asked for again
    first = d.json("undo", str(member), expect=0)
    assert first["already"] is False and d.json("undo", str(member), expect=0)["already"] is True
    d.ctl("reject", "prod", first["plan"], expect=0)
    second = d.json("undo", str(member), expect=0)
    assert second["plan"] != first["plan"] and second["already"] is False
    d.ctl("approve", "prod", first["plan"], expect=5)
    d.ctl("reject", "prod", second["plan"], expect=0)
    d.stop()
    # the record of an earlier version, another cluster, a target that is gone, observing
    with sqlite3.connect(d.state_file) as state:
        state.execute("UPDATE event SET record = NULL WHERE id = ?", (grant,))
        state.execute("UPDATE event SET record = replace(record, 'system ', 'system 1') WHERE id = ?", (member,))
    state.close()
    d.start()
    refused(d, grant, "too little was recorded", "earlier version")
    refused(d, member, "another cluster")
    comment = change_of(d, "COMMENT ON ROLE app")["id"]
    d.stop()
    d.start("--observe")
    refused(d, comment, "prod is in observe mode", "enforce")
    d.stop()
    d.write("dbreconciled.conf", d.settings({"name": "other", "conninfo": pg.conninfo(), "manifests": ["platform"]}))
    d.start()
    refused(d, comment, "is not configured any more")


@pytest.mark.majors(18)
def test_an_undo_that_the_server_refuses_is_tried_once(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    made = change_of(d, "CREATE ROLE analytics")["id"]
    for later in [e["id"] for e in changes(d, "prod") if "analytics" in e["object"] and e["id"] > made][::-1]:
        undo(d, later)
    pg.sql("CREATE TABLE held_by_it (); ALTER TABLE held_by_it OWNER TO analytics")
    answer = d.json("undo", str(made), expect=0)
    d.ctl("approve", "prod", answer["plan"], expect=0)
    failed = wait_for(lambda: [e for e in changes(d, "prod") if e["object"].startswith(f"UNDO {made}:")], 10, "the event")[-1]
    failed = wait_for(lambda: [e for e in changes(d, "prod") if e["id"] == failed["id"] and e["result"] == "failed"], 10, "its result")[-1]
    assert failed["sqlstate"] == "2BP01"
    refused(d, failed["id"], "was not made")
    d.ctl("reconcile", "--wait", "prod")
    assert len([e for e in changes(d, "prod") if e["object"].startswith(f"UNDO {made}:")]) == 1
    assert d.json("undo", str(made), expect=0)["already"] is False


AS_A_GUEST = """
authority = "exact";
roles: (
  { name = "app"; connection_limit = 4; comment = "new"; settings: { work_mem = "2MB"; }; }, { name = "made"; login = true; },
  { name = "reader"; }, { name = "grp"; }, { name = "keeper"; ensure = "external"; }
);
memberships: ( { role = "grp"; members = [ "made" ]; }, { role = "grp"; members = [ "app" ]; admin = true; } );
"""

OF_A_GUEST = """
authority = "exact";
schemas: ( { name = "app"; owner = "keeper"; } );
owners: ( { on = "table app.t"; owner = "keeper"; } );
grants: ( { to = "app"; level = "read-only"; schema = "app"; }, { to = "reader"; privileges = [ "INSERT" ]; on = "table app.t"; grant_option = true; } );
"""


@pytest.mark.majors(14, 18)
def test_a_login_without_superuser_undoes_what_it_made(pg, daemon):
    pg.sql("CREATE ROLE admin LOGIN CREATEROLE")
    pg.sql("CREATE ROLE app CONNECTION LIMIT 3; CREATE ROLE reader; CREATE ROLE grp; CREATE ROLE keeper; ALTER ROLE app SET work_mem = '1MB';"
           " ALTER ROLE app SET lock_timeout = '1s'; COMMENT ON ROLE app IS 'old'; GRANT keeper TO admin WITH ADMIN OPTION", user="postgres")
    if pg.major >= 16:
        pg.sql("GRANT app, reader, grp TO admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    pg.sql("GRANT grp TO app", user="admin")
    pg.create_database("orders")
    pg.sql("GRANT CREATE ON DATABASE orders TO keeper, admin")
    pg.sql("CREATE SCHEMA app AUTHORIZATION admin; SET ROLE admin; CREATE TABLE app.t (a int, b int); GRANT SELECT, INSERT ON app.t TO reader WITH GRANT OPTION;"
           " GRANT UPDATE ON app.t TO keeper; GRANT SELECT (a) ON app.t TO reader; GRANT USAGE ON SCHEMA app TO reader", dbname="orders")
    before = snapshot(pg)
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(user="admin"), "manifests": ["wide"],
                        "databases": ({"name": "orders", "manifests": ["orders"]},)},
               manifests={"wide": AS_A_GUEST, "orders": OF_A_GUEST}, daemon={"interval": "1h"},
               guard={"max_revokes": 1000, "max_drops": 100, "max_percent": 100})
    d.start()
    approve_all(d)
    undo_all(d)
    assert snapshot(pg) == before, "\n".join(f"{'-' if r in before else '+'} {r}" for r in sorted(set(before) ^ set(snapshot(pg))))


@pytest.mark.majors(18)
def test_an_undo_whose_commit_was_cut_off_is_not_done_twice(pg, daemon, proxy):
    orders_database(pg)
    gate = proxy(pg)
    d = make(daemon, gate, "orders").start()
    d.wait_in_sync()
    grant = change_of(d, "GRANT SELECT ON table app.orders TO reporting", "prod/orders")["id"]
    seen = set()

    def watch(database, data, from_client):
        """The server gets COMMIT, the daemon never gets the answer."""
        if from_client and b"REVOKE SELECT" in data:
            seen.add("revoke")
        elif from_client and "revoke" in seen and b"COMMIT" in data:
            seen.add("commit")
        elif not from_client and "commit" in seen and "cut" not in seen:
            seen.add("cut")
            gate.drop("orders")

    gate.watch = watch
    answer = d.json("undo", str(grant), expect=0)
    mark = pg.log_mark()
    d.ctl("approve", "prod/orders", answer["plan"], expect=0)
    wait_for(lambda: "cut" in seen, 10, "COMMIT is sent and its answer lost", d.log_tail)
    wait_for(lambda: [e for e in changes(d) if e["object"].startswith("UNDO") and e["result"] == "ok"], 20, "the doubt is settled", d.log_tail)
    held = wait_state(d, "prod/orders", "held")
    assert f"change {grant} was undone" in held["message"]
    assert len([e for e in changes(d) if e["object"].startswith("UNDO")]) == 1
    assert len([text for text in pg.changes(mark) if "REVOKE SELECT" in str(text)]) == 1
    assert not has(pg, "SELECT", "reporting")


@pytest.mark.majors(18)
def test_each_undo_is_decided_alone_or_all_together(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    grants = [change_of(d, what, "prod/orders")["id"] for what in ("GRANT SELECT ON table app.orders TO reporting", "GRANT .*UPDATE.* ON table app.orders TO app")]
    one, two = (d.json("undo", str(g), expect=0) for g in grants)
    held = wait_for(lambda: row(d, "prod/orders")["held"] == 2 and row(d, "prod/orders"), 10, "both are held", d.log_tail)
    assert held["plan"] not in (one["plan"], two["plan"])
    d.ctl("approve", "prod/orders", one["plan"], expect=0)
    wait_for(lambda: not has(pg, "SELECT", "reporting"), 10, "the first undo", d.log_tail)
    d.reconcile("prod/orders", expect=None)
    assert has(pg, "UPDATE"), "the other was not approved"
    d.ctl("reject", "prod/orders", two["plan"], expect=0)
    d.reconcile("prod/orders", expect=None)
    assert row(d, "prod/orders")["held"] == 1 and has(pg, "UPDATE")
    # all that is held: what was undone is made again, and the other undo is made
    d.json("undo", str(grants[1]), expect=0)
    held = wait_for(lambda: row(d, "prod/orders")["held"] == 2 and row(d, "prod/orders"), 10, "both are held", d.log_tail)
    d.ctl("approve", "prod/orders", held["plan"], expect=0)
    wait_for(lambda: has(pg, "SELECT", "reporting") and not has(pg, "UPDATE"), 10, "both", d.log_tail)


@pytest.mark.majors(18)
def test_what_is_not_declared_any_more_stays_undone(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    grant = change_of(d, "GRANT SELECT ON table app.orders TO reporting", "prod/orders")["id"]
    d.manifest("orders", 'schemas: ( { name = "app"; owner = "owner_role"; } );')
    d.reload()
    d.wait_in_sync()
    assert has(pg, "SELECT", "reporting"), "a line that goes takes nothing away"
    undo(d, grant)
    d.wait_in_sync()
    assert not has(pg, "SELECT", "reporting")
    passes = row(d, "prod/orders")["passes"]
    wait_for(lambda: row(d, "prod/orders")["passes"] > passes + 2, 10, "some more passes")
    assert not has(pg, "SELECT", "reporting") and row(d, "prod/orders")["state"] == "in_sync"
