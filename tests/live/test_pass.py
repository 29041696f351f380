# SPDX-License-Identifier: PostgreSQL
"""The pass: drift is found, corrected, verified, and nothing is sent when there is none."""

import os
import re
import signal
import time

import psycopg2
import pytest
from dbr import wait_for
from dbr.waiting import FACTOR

PLATFORM = """
roles: (
  { name = "owner_role"; login = false; },
  { name = "app"; login = true; connection_limit = 7; comment = "web service"; settings: { statement_timeout = "5min"; }; },
  { name = "reporting"; login = false; },
  { name = "analytics"; login = true; member_of = "reporting"; }
);
"""

ORDERS = """
schemas: ( { name = "app"; owner = "owner_role"; } );
grants: (
  { to = "app"; level = "read-write"; schema = "app"; },
  { to = "reporting"; privileges = [ "SELECT" ]; on = "table app.orders"; }
);
"""


def server(where, *databases, **more):
    return {"name": "prod", "conninfo": where.conninfo(), "manifests": ["platform"],
            "databases": tuple({"name": name, "manifests": ["orders"]} for name in databases), **more}


def make(daemon, where, *databases, daemon_settings=None, **more):
    return daemon(servers=server(where, *databases, **more), manifests={"platform": PLATFORM, "orders": ORDERS},
                  daemon=daemon_settings)


def orders_database(pg, name="orders"):
    pg.sql("DO $$ BEGIN CREATE ROLE owner_role; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    return pg.create_database(name, "CREATE SCHEMA app AUTHORIZATION owner_role", "CREATE TABLE app.orders (id int)")


def row(daemon, target):
    return {r["target"]: r for r in daemon.json("status")["targets"]}[target]


def wait_state(daemon, target, state, timeout=20):
    return wait_for(lambda: row(daemon, target)["state"] == state and row(daemon, target), timeout, f"{target} is {state}",
                    lambda: daemon.ctl("status").out + daemon.log_tail())


def test_everything_is_made_and_a_second_pass_sends_nothing(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    assert pg.sql("SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = 'app'") == [(True, 7)]
    assert pg.value("SELECT pg_has_role('analytics', 'reporting', 'MEMBER')")
    assert pg.value("SELECT setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = setrole WHERE rolname = 'app'") == \
        ["statement_timeout=5min"]
    assert pg.value("SELECT has_table_privilege('app', 'app.orders', 'INSERT')", dbname="orders")
    assert pg.value("SELECT has_table_privilege('reporting', 'app.orders', 'SELECT')", dbname="orders")
    mark, passes = pg.log_mark(), row(d, "prod/orders")["passes"]
    d.reconcile()
    assert row(d, "prod/orders")["passes"] > passes
    assert pg.statements(mark), "a pass that was ordered looks"
    assert pg.changes(mark) == []
    d.stop()
    once = d.once()
    assert once.code == 0
    assert pg.changes(mark) == []


@pytest.mark.majors(14, 18)
def test_a_quiet_cluster_is_asked_one_question(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders", daemon_settings={"interval": "1s", "full_interval": "1h"}).start()
    d.wait_in_sync()
    d.reconcile()
    wait_for(lambda: "pg_current_snapshot()::pg_catalog.text" in pg.log_since(), 10, "the quiet check")
    passes = row(d, "prod/orders")["passes"]
    wait_for(lambda: row(d, "prod/orders")["passes"] > passes + 1, 10, "another pass")
    mark, passes = pg.log_mark(), row(d, "prod/orders")["passes"]
    wait_for(lambda: row(d, "prod/orders")["passes"] > passes + 3, 10, "some more passes")
    assert {text for _, _, text in pg.statements(mark)} == {"SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text"}


@pytest.mark.majors(15)
def test_drift_is_corrected_within_an_interval(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    pg.sql("REVOKE SELECT ON app.orders FROM app, reporting; ALTER ROLE app CONNECTION LIMIT 3", dbname="orders")
    wait_for(lambda: pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT') AND "
                              "has_table_privilege('reporting', 'app.orders', 'SELECT')", dbname="orders") and
             pg.value("SELECT rolconnlimit = 7 FROM pg_roles WHERE rolname = 'app'"), 5, "drift is gone", d.log_tail)
    d.wait_in_sync()


@pytest.mark.majors(14, 18)
def test_drift_is_corrected_at_once_when_ordered(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders", daemon_settings={"interval": "1h"}).start()
    d.wait_in_sync()
    pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="orders")
    d.reconcile("prod/orders")
    assert pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders")
    events = d.json("events")["events"]
    change = [e for e in events if e["kind"] == "change" and "app.orders" in (e["statement"] or "").replace('"', '')][-1]
    assert change["result"] == "ok" and change["target"] == "prod/orders"
    assert re.search(r"REVOKE .*SELECT.* FROM \"?app", change["inverse"])


@pytest.mark.majors(15)
@pytest.mark.parametrize("how", ["mode", "option", "suspended"])
def test_who_may_not_write_writes_nothing(pg, daemon, how):
    orders_database(pg)
    d = make(daemon, pg, "orders", daemon_settings={"mode": "observe"} if how == "mode" else None)
    if how == "suspended":
        d.start()
        d.wait_in_sync()
        d.ctl("suspend", "prod/orders", "--reason=test", expect=0)
        pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="orders")
        mark = pg.log_mark()
        d.ctl("reconcile", "--wait", "prod/orders")
        assert row(d, "prod/orders")["state"] == "suspended" and row(d, "prod/orders")["drift"] > 0
        d.stop()
        d.start()        # it survives a restart
        wait_for(lambda: row(d, "prod/orders")["passes"] > 0, 10, "a pass")
        assert row(d, "prod/orders")["state"] == "suspended"
        assert pg.changes(mark) == []
        d.ctl("resume", "prod/orders", expect=0)
        d.wait_in_sync()
        return
    mark = pg.log_mark()
    d.start(*(["--observe"] if how == "option" else []))
    wait_state(d, "prod", "drift")
    wait_state(d, "prod/orders", "drift")
    assert "role" in str(d.json("show", "prod"))
    d.ctl("reconcile", "--wait")
    assert pg.changes(mark) == []
    d.stop()
    assert d.once("--observe").code == 1
    assert pg.changes(mark) == []


@pytest.mark.majors(15)
def test_start_before_the_server_is_up(pg, daemon, proxy):
    orders_database(pg)
    gate = proxy(pg)
    gate.refuse()
    d = make(daemon, gate, "orders").start()
    down = wait_state(d, "prod", "unreachable")
    assert down["failure"] == "connect" and down["message"]
    below = wait_state(d, "prod/orders", "unreachable")
    assert below["message"].startswith("server prod is not reachable") and below["mode"] == "enforce"
    gate.allow()
    d.wait_in_sync(timeout=20)
    gate.refuse()
    gate.drop()
    wait_state(d, "prod", "unreachable")
    gate.allow()
    d.wait_in_sync(timeout=20)


@pytest.mark.majors(15)
def test_failures_name_what_to_do(pg, daemon):
    pg.sql("CREATE ROLE nobody_logs_in")
    d = daemon(servers=[server(pg, "absent"), {**server(pg), "name": "second", "conninfo": pg.conninfo(user="no_such_role")}],
               manifests={"platform": PLATFORM, "orders": ORDERS}).start()
    d.wait_in_sync("prod")
    assert "absent" in wait_state(d, "prod/absent", "failed")["message"]
    assert wait_state(d, "second", "failed")["failure"] == "auth"
    pg.create_database("absent", "CREATE SCHEMA app", "CREATE TABLE app.orders (id int)")
    d.reconcile("prod/absent", expect=(0, 5))
    d.wait_in_sync("prod/absent")


@pytest.mark.majors(15)
def test_databases_appear_and_vanish(pg, daemon):
    orders_database(pg, "tenant_1")
    d = daemon(servers={**server(pg), "databases": ({"match": "tenant_*", "manifests": ["orders"]},)},
               manifests={"platform": PLATFORM, "orders": ORDERS}).start()
    d.wait_in_sync()
    assert "prod/tenant_1" in d.ctl("status").out
    orders_database(pg, "later")                 # it appears with all that is in it: the daemon would make the schema itself
    pg.sql("ALTER DATABASE later RENAME TO tenant_2")
    wait_for(lambda: "prod/tenant_2" in d.ctl("status").out, 10, "the new database is a target")
    d.wait_in_sync("prod/tenant_2")
    assert pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="tenant_2")
    wait_for(lambda: not pg.backends("tenant_1"), 10, "no connection stays open")
    pg.sql("DROP DATABASE tenant_1 WITH (FORCE)")
    wait_for(lambda: "prod/tenant_1" not in d.ctl("status").out, 10, "the target is gone")


@pytest.mark.majors(15)
def test_held_plans_wait_for_approval_and_are_used_once(pg, daemon):
    orders_database(pg)
    d = daemon(servers=server(pg), manifests={"platform": PLATFORM}, guard={"max_drops": 0}).start()
    d.wait_in_sync()
    pg.sql("CREATE ROLE legacy")
    d.manifest("platform", PLATFORM.replace('roles: (', 'roles: ( { name = "legacy"; ensure = "absent"; },'))
    d.reload()
    held = wait_state(d, "prod", "held")
    assert held["plan"] in held["message"] and "approve" in held["message"]
    assert d.ctl("approve", "prod", "0123456789abcdef").code != 0
    d.ctl("approve", "prod", held["plan"], expect=0)
    d.wait_in_sync("prod")
    assert pg.sql("SELECT 1 FROM pg_roles WHERE rolname = 'legacy'") == []
    pg.sql("CREATE ROLE legacy")
    again = wait_state(d, "prod", "held")
    d.ctl("reject", "prod", again["plan"], expect=0)
    wait_for(lambda: "rejected" in row(d, "prod")["message"], 10, "the rejection is shown")
    assert pg.sql("SELECT 1 FROM pg_roles WHERE rolname = 'legacy'")


@pytest.mark.majors(15)
def test_sigterm_inside_a_transaction_ends_cleanly(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    other = pg.connect()
    other.autocommit = False
    other.cursor().execute("ALTER ROLE app CONNECTION LIMIT 9; ALTER ROLE reporting CREATEDB")
    pg.sql("ALTER ROLE analytics NOLOGIN")
    # The plan is made from what is committed; the transaction then waits for our row lock until lock_timeout.
    holder = pg.connect()
    holder.autocommit = False
    holder.cursor().execute("ALTER ROLE analytics CONNECTION LIMIT 5")
    wait_for(lambda: pg.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'dbreconciled' AND wait_event_type = 'Lock'"), 10,
             "the daemon waits for a lock", d.log_tail)
    d.stop(timeout=12)
    holder.rollback()
    other.rollback()
    assert pg.value("SELECT NOT rolcanlogin FROM pg_roles WHERE rolname = 'analytics'"), "rolled back"
    d.start()
    d.wait_in_sync()
    assert not [e for e in d.json("events")["events"] if e["result"] == "started"]


@pytest.mark.majors(15)
def test_a_suspension_lets_the_transaction_under_way_end_and_no_other_begin(pg, daemon):
    d = make(daemon, pg, daemon_settings={"lock_timeout": "30s"}).start()
    d.wait_in_sync()
    holder = pg.connect()
    holder.autocommit = False
    pg.sql("ALTER ROLE app CONNECTION LIMIT 9; REVOKE reporting FROM analytics")
    holder.cursor().execute("ALTER ROLE app CONNECTION LIMIT 5")
    wait_for(lambda: pg.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'dbreconciled' AND wait_event_type = 'Lock'"), 20,
             "the daemon waits for a lock", d.log_tail)
    d.ctl("suspend", "prod", expect=0)
    holder.rollback()
    d.reconcile("prod", expect=1)
    assert pg.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'") == 7
    assert not pg.sql("SELECT 1 FROM pg_auth_members WHERE roleid = 'reporting'::regrole"), "it would have been the next transaction"
    d.ctl("resume", "prod", expect=0)
    d.wait_in_sync()
    assert pg.sql("SELECT 1 FROM pg_auth_members WHERE roleid = 'reporting'::regrole")


@pytest.mark.majors(15)
def test_a_commit_that_was_cut_off_is_asked_after(pg, daemon, proxy):
    orders_database(pg)
    gate = proxy(pg)
    d = make(daemon, gate, "orders").start()
    d.wait_in_sync()
    seen = []

    def watch(database, data, from_client):
        """The server gets COMMIT, the daemon never gets the answer."""
        if database != "orders" or "cut" in seen:
            return
        if from_client and b"GRANT" in data:
            seen.append("grant")
        elif from_client and "grant" in seen and b"COMMIT" in data:
            seen.append("commit")
        elif not from_client and "commit" in seen:
            seen.append("cut")
            gate.drop("orders")

    gate.watch = watch
    pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="orders")
    wait_for(lambda: "cut" in seen, 10, "COMMIT is sent and its answer lost", d.log_tail)
    wait_for(lambda: "in doubt since its connection was lost: committed" in d.log(), 20, "the doubt is settled", d.log_tail)
    d.wait_in_sync()
    grants = [e for e in d.json("events")["events"] if e["kind"] == "change" and e["target"] == "prod/orders" and
              "GRANT" in (e["statement"] or "")]
    assert {e["result"] for e in grants} == {"ok"}


@pytest.mark.majors(15)
def test_each_failed_change_says_its_own_reason(pg, daemon, proxy):
    """A group fails at its second change and is tried again one by one; then the connection breaks at the first."""
    pg.create_database("orders", "CREATE SCHEMA app CREATE TABLE a (id int) CREATE TABLE b (id int)", """
        CREATE FUNCTION refuse_b() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN IF current_query() LIKE '%"b"%' THEN RAISE 'not b'; END IF; END $$""",
                       "CREATE EVENT TRIGGER refuse_b ON ddl_command_end WHEN TAG IN ('GRANT') EXECUTE FUNCTION refuse_b()")
    gate = proxy(pg)
    d = daemon(servers={"name": "prod", "conninfo": gate.conninfo(), "manifests": ["platform"],
                        "databases": ({"name": "orders", "manifests": ["orders"]},)},
               manifests={"platform": 'roles: ( { name = "app"; } );\n', "orders": """
                   grants: ( { to = "app"; privileges = [ "SELECT" ]; on = "table app.a"; },
                             { to = "app"; privileges = [ "INSERT" ]; on = "table app.b"; } );\n"""})
    seen = []

    def watch(database, data, from_client):
        if database == "orders" and from_client and b"GRANT" in data:
            seen.append(data)
            if len(seen) == 2:
                gate.drop("orders")

    gate.watch = watch
    d.start()
    wait_for(lambda: len(seen) > 2, 20, "it is tried again on another connection", d.log_tail)
    failed = [e for e in d.json("events")["events"] if e["result"] == "failed" and e["target"] == "prod/orders"][:3]
    assert [(e["object"].split()[-3], e["message"]) for e in failed] == [
        ("app.a", "rolled back with its group"), ("app.b", "not b"), ("app.a", "the connection was lost before COMMIT: rolled back")], failed


@pytest.mark.majors(15)
def test_a_stranger_is_not_asked_after_a_commit(pg, new_pg, daemon, proxy):
    """Behind the address stands another cluster by then. It is refused as such; its opinion of our transaction is worth nothing."""
    stranger = new_pg(15)
    orders_database(pg)
    orders_database(stranger)
    for _ in range(200):
        pg.sql("SELECT pg_current_xact_id()")
    gate = proxy(pg)
    d = make(daemon, gate, "orders").start()
    d.wait_in_sync()
    seen = []

    def watch(database, data, from_client):
        if database == "orders" and from_client and "cut" not in seen and b"GRANT" in data:
            seen.append("grant")
        elif database == "orders" and not from_client and seen == ["grant", "commit"]:
            seen.append("cut")
            gate.upstream = os.path.join(stranger.host, f".s.PGSQL.{stranger.port}")
            gate.drop("orders")
        elif database == "orders" and from_client and seen == ["grant"] and b"COMMIT" in data:
            seen.append("commit")

    gate.watch = watch
    pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="orders")
    wait_for(lambda: "cut" in seen, 10, "COMMIT is sent and its answer lost", d.log_tail)
    refused = wait_state(d, "prod/orders", "failed")
    assert refused["failure"] == "identity" and "another cluster answers" in refused["message"], refused
    assert "in doubt since its connection was lost" not in d.log()
    d.ctl("approve", "prod/orders", re.search(r"dbreconcilectl approve prod/orders ([0-9a-f]{16})", refused["message"]).group(1), expect=0)
    wait_for(lambda: "in doubt since its connection was lost: not known" in d.log(), 20, "the doubt is settled", d.log_tail)


@pytest.mark.majors(15)
def test_somebody_fights_back(pg, daemon):
    pg.sql("CREATE ROLE app LOGIN")
    d = daemon(servers=server(pg), manifests={"platform": PLATFORM}, daemon={"interval": "1s"}).start()
    d.wait_in_sync()

    def fight():
        try:
            pg.sql("ALTER ROLE app CONNECTION LIMIT 1")
        except psycopg2.errors.InternalError_ as error:      # both at the same moment
            assert "tuple concurrently updated" in str(error)
        return row(d, "prod")["state"] == "blocked"

    wait_for(fight, 30, "the daemon gives the item up", d.log_tail, every=0.1)
    assert "flapping" in row(d, "prod")["message"]
    mark = pg.log_mark()
    passes = row(d, "prod")["passes"]
    wait_for(lambda: row(d, "prod")["passes"] > passes + 2, 10, "more passes")
    assert pg.changes(mark) == []
    d.ctl("reconcile", "--wait", "prod", expect=0)
    assert pg.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'") == 7


@pytest.mark.majors(15)
def test_another_cluster_behind_the_name_is_not_touched(pg, new_pg, daemon):
    d = daemon(servers=server(pg), manifests={"platform": PLATFORM}).start()
    d.wait_in_sync()
    d.stop()
    other = new_pg(15)
    text = open(d.config_file, encoding="utf-8").read()
    d.write("dbreconciled.conf", text.replace(pg.host, other.host))
    d.start()
    refused = wait_state(d, "prod", "failed")
    assert refused["failure"] == "identity"
    # and so it stays: a refusal is no matter of one attempt
    again = wait_for(lambda: row(d, "prod")["pass_failures"] >= refused["pass_failures"] + 3 and row(d, "prod"), 20, "more attempts", d.log_tail)
    d.ctl("reconcile", "--wait", "prod")
    assert again["failure"] == row(d, "prod")["failure"] == "identity"
    assert other.changes() == []
    approval = re.search(r"approve prod ([0-9a-f]{16})", refused["message"]).group(1)
    d.ctl("approve", "prod", approval, expect=0)
    d.wait_in_sync("prod")
    assert other.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'") == 7


@pytest.mark.majors(15)
def test_a_standby_is_not_written_and_is_used_once_promoted(new_pg, daemon):
    pg = new_pg(15)
    orders_database(pg)
    pg.stop()
    open(os.path.join(pg.data, "standby.signal"), "w", encoding="utf-8").close()
    pg.start()
    d = make(daemon, pg, "orders").start()
    refused = wait_state(d, "prod", "failed")
    assert refused["failure"] == "identity" and "not the primary" in refused["message"]
    wait_for(lambda: row(d, "prod")["pass_failures"] >= refused["pass_failures"] + 3, 20, "more attempts", d.log_tail)
    assert row(d, "prod")["failure"] == "identity" and pg.changes() == []
    assert row(d, "prod/orders")["failure"] == "identity"
    pg.sql("SELECT pg_promote()")
    d.wait_in_sync()


@pytest.mark.majors(15)
def test_a_database_that_was_made_anew_is_not_touched(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    pg.sql("DROP DATABASE orders WITH (FORCE)")
    orders_database(pg)
    refused = wait_state(d, "prod/orders", "failed")
    wait_for(lambda: row(d, "prod/orders")["failure"] == "identity", 20, "the new oid is noticed", d.log_tail)
    refused = row(d, "prod/orders")
    wait_for(lambda: row(d, "prod/orders")["pass_failures"] >= refused["pass_failures"] + 3, 30, "more attempts", d.log_tail)
    assert not pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders")
    approval = re.search(r"approve prod/orders ([0-9a-f]{16})", row(d, "prod/orders")["message"]).group(1)
    d.ctl("approve", "prod/orders", approval, expect=0)
    d.wait_in_sync()


@pytest.mark.majors(15)
def test_one_frozen_database_delays_no_other(new_pg, daemon, proxy):
    pg = new_pg(15, max_connections=60)
    orders_database(pg, "template_orders")
    n = 200 if FACTOR == 1 else 40      # with sanitizers it is the code that is looked at, not the crowd
    for i in range(n):
        pg.sql(f"CREATE DATABASE d{i:03d} TEMPLATE template_orders")
    gate = proxy(pg)
    gate.freeze("d030")
    d = daemon(servers={**server(gate), "databases": ({"match": "d???", "manifests": ["orders"]},), "max_connections": 8},
               manifests={"platform": PLATFORM, "orders": ORDERS},
               daemon={"interval": "5s", "connect_timeout": "10min", "pass_timeout": "20min"}).start()

    def all_but_one():
        rows = {r["target"]: r["state"] for r in d.json("status")["targets"]}
        bad = {t: s for t, s in rows.items() if s != "in_sync" and t != "prod/d030"}
        assert len(rows) == n + 1 and not bad, f"{len(rows)} targets, not in sync: {dict(list(bad.items())[:5])}"
        return True

    began = time.monotonic()
    wait_for(all_but_one, 60, "all other databases are in sync", d.log_tail)
    assert row(d, "prod/d030")["state"] == "pending"
    pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="d007")
    wait_for(lambda: pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="d007"), 12,
             "drift beside the frozen one is corrected", d.log_tail)
    assert row(d, "prod/d030")["state"] == "pending", "it has been frozen all the time"
    print(f"{time.monotonic() - began:.1f} s, lag {d.metrics().get('dbreconcile_event_loop_lag_seconds')}")
    gate.thaw()
    wait_state(d, "prod/d030", "in_sync", 60)


@pytest.mark.majors(15)
def test_a_frozen_backend_of_the_server_itself(pg, daemon):
    orders_database(pg)
    d = make(daemon, pg, "orders", daemon_settings={"interval": "1s", "statement_timeout": "2s"}).start()
    d.wait_in_sync()
    frozen = wait_for(lambda: pg.backends("postgres"), 5, "the kept connection")[0]
    pg.stop_backend(frozen)
    pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="orders")
    wait_for(lambda: pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders"), 15,
             "the database goes on", d.log_tail)
    pg.resume_backend(frozen)
    d.wait_in_sync()


@pytest.mark.majors(15)
def test_two_daemons_with_one_state_do_not_run(pg, daemon):
    d = make(daemon, pg).start()
    second = daemon(config=open(d.config_file, encoding="utf-8").read())
    second.spawn()
    assert second.wait() == 70
    assert "another dbreconciled" in second.log()
    assert d.running()


@pytest.mark.majors(15)
def test_exit_codes(pg, daemon, tmp_path):
    d = make(daemon, pg)
    assert d.once("--observe").code == 1
    assert d.once().code == 0
    assert d.once("--observe").code == 0
    bad = make(daemon, pg, "no_such_database")
    assert bad.once().code == 5
    bad.write("dbreconciled.conf", "daemon: { intervall = 3; };\n")
    assert bad.once().code == 6
    os.unlink(bad.config_file)
    result = bad.once()
    assert result.code == 6 and bad.config_file in result.err


@pytest.mark.majors(15)
def test_once_that_was_interrupted_is_no_success(pg, daemon, proxy):
    gate = proxy(pg)
    gate.freeze()
    d = make(daemon, gate)
    d.spawn("--once")
    wait_for(lambda: gate.accepted, 15, "it connects", d.log_tail)
    d.process.send_signal(signal.SIGTERM)
    assert d.wait() == 5


@pytest.mark.majors(15)
def test_verbose_outlasts_a_reload(pg, daemon):
    d = make(daemon, pg).start("--verbose")
    d.wait_in_sync()
    d.reload()
    mark = len(d.log())
    d.reconcile()
    assert "due: queued" in d.log()[mark:]


@pytest.mark.majors(15)
def test_a_bad_reload_changes_nothing(pg, daemon):
    d = make(daemon, pg).start()
    d.wait_in_sync()
    before = time.time()
    d.reload()
    d.manifest("platform", 'roles: ( { nam = "x"; } );\n')
    d.ctl("reload", expect=7)
    metrics = d.metrics()
    assert metrics["dbreconcile_config_last_reload_successful"] == 0
    assert metrics["dbreconcile_config_last_reload_success_timestamp_seconds"] >= before - 0.002, "when the good one was accepted"
    d.process.send_signal(signal.SIGHUP)
    d.reconcile(expect=0)
    d.manifest("platform", PLATFORM.replace("connection_limit = 7", "connection_limit = 8"))
    d.process.send_signal(signal.SIGHUP)
    wait_for(lambda: pg.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'") == 8, 10, "the new generation runs", d.log_tail)


@pytest.mark.majors(15)
def test_a_full_connection_table(new_pg, daemon):
    pg = new_pg(15, max_connections=8, superuser_reserved_connections=1)
    pg.sql("CREATE ROLE manager LOGIN CREATEROLE; GRANT pg_monitor TO manager")
    held = []
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(user="manager"), "manifests": ["platform"]},
               manifests={"platform": 'roles: ( { name = "x"; login = false; } );\n'})
    while True:
        try:
            held.append(pg.connect(user="manager"))
        except psycopg2.OperationalError:
            break
    d.start()
    full = wait_state(d, "prod", "unreachable")
    assert full["failure"] == "too_many_connections" and "max_connections" in full["message"]
    for connection in held:
        connection.close()
    d.wait_in_sync("prod")


@pytest.mark.majors(14, 18)
def test_settings_of_every_role(pg, daemon):
    """ALTER ROLE ALL SET, compared by unit; in an exact manifest what is not declared there goes."""
    pg.sql("ALTER ROLE ALL SET work_mem = '8192kB'; ALTER ROLE ALL SET statement_timeout = '1h'; ALTER ROLE ALL SET jit = 'off'")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["all"]},
               manifests={"all": 'authority = "exact";\nsettings: { work_mem = "8MB"; statement_timeout = "5min"; };\n'}).start()
    d.wait_in_sync()
    assert pg.value("SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0") == \
        ["work_mem=8192kB", "statement_timeout=5min"]
    assert pg.value("SHOW statement_timeout") == "5min"
    pg.sql("ALTER ROLE ALL RESET ALL")
    d.reconcile()
    assert pg.value("SHOW work_mem") == "8MB"


@pytest.mark.majors(15)
def test_kept_connections_serve_the_next_pass(pg, daemon):
    """Up to keep_connections databases are asked over the connection of their last pass; a killed one costs nothing."""
    names = ["k1", "k2", "k3"]
    for name in names:
        orders_database(pg, name)
    d = make(daemon, pg, *names, keep_connections=2, daemon_settings={"interval": "1h"}).start()
    d.wait_in_sync()

    def kept():
        return {name: pids[0] for name in names if (pids := [pid for (pid,) in pg.sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'dbreconciled'", (name,))])}

    def two():
        there = kept()
        return there if len(there) == 2 else None

    before = wait_for(two, 10, "two connections stay", lambda: str(kept()))
    mark = pg.log_mark()
    d.reconcile()
    assert wait_for(two, 10, "the third has ended", lambda: str(kept())) == before, "the same backends answered"
    assert pg.changes(mark) == []
    for name in before:
        pg.kill_backends(name)
    pg.sql("REVOKE SELECT ON app.orders FROM reporting", dbname=list(before)[0])
    d.reconcile()
    assert pg.value("SELECT has_table_privilege('reporting', 'app.orders', 'SELECT')", dbname=list(before)[0])
    wait_for(lambda: len(kept()) == 2 and not set(kept().values()) & set(before.values()), 10, "two others stay", lambda: str(kept()))


@pytest.mark.majors(15)
def test_kept_connections_end_when_what_they_were_made_with_changes(pg, daemon):
    """Timeouts are in force on the server from the beginning of a connection: those of the configuration that runs."""
    d = make(daemon, pg).start()
    d.wait_in_sync()

    def backend():
        return pg.value("SELECT pid FROM pg_stat_activity WHERE application_name = 'dbreconciled'")

    kept = wait_for(backend, 10, "a connection stays", d.log_tail)
    d.write("dbreconciled.conf", d.settings(server(pg), {"pass_timeout": "4min"}))
    d.reload()
    d.reconcile()
    assert backend() == kept
    d.write("dbreconciled.conf", d.settings(server(pg), {"statement_timeout": "90s"}))
    d.reload()
    d.reconcile()
    wait_for(lambda: backend() not in (None, kept), 10, "another connection, with the new statement_timeout", d.log_tail)


@pytest.mark.majors(15)
def test_what_no_manifest_names_is_listed_and_left_alone(pg, daemon):
    """Roles and schemas that are somebody else's; ignored ones are not even listed, and keep what they hold."""
    orders_database(pg)
    pg.sql("CREATE ROLE datadog; CREATE ROLE intern LOGIN; CREATE ROLE dba_eve")
    pg.sql("CREATE SCHEMA theirs; CREATE SCHEMA scratch; GRANT SELECT ON app.orders TO datadog, intern", dbname="orders")
    exact = ORDERS.replace("\nschemas:", '\nauthority = "exact";\nunmanaged_grantees = "revoke";\nschemas:', 1)
    d = daemon(servers=server(pg, "orders"), manifests={"platform": PLATFORM, "orders": exact},
               guard={"ignored_roles": ["datadog*"], "protected_roles": ["dba_*"], "max_percent": 100}).start()
    d.wait_in_sync()
    assert not pg.value("SELECT has_table_privilege('intern', 'app.orders', 'SELECT')", dbname="orders")
    assert pg.value("SELECT has_table_privilege('datadog', 'app.orders', 'SELECT')", dbname="orders")
    assert d.http("/v1/targets/prod").json()["unmanaged_roles"] == {"count": 1, "names": ["intern"]}
    assert d.http("/v1/targets/prod%2Forders/plan").json()["unmanaged_schemas"] == {"count": 3, "names": ["public", "scratch", "theirs"]}
    assert "3 that no manifest names: public, scratch, theirs" in d.ctl("show", "prod/orders").out
    assert "1 that no manifest names: intern" in d.ctl("show", "prod").out


@pytest.mark.majors(14, 18)
def test_a_rename_keeps_everything_and_waits_without_noise(pg, daemon):
    """What is about a role that is still to be renamed waits for it: nothing is tried that must fail."""
    orders_database(pg)
    d = make(daemon, pg, "orders").start()
    d.wait_in_sync()
    oids = dict(pg.sql("SELECT rolname, oid FROM pg_roles"))
    mark = pg.log_mark()
    platform = PLATFORM.replace('name = "app";', 'name = "shop"; renamed_from = "app";') \
        .replace('name = "reporting";', 'name = "reports"; renamed_from = "reporting";').replace('member_of = "reporting"', 'member_of = "reports"')
    d.manifest("platform", platform)
    d.manifest("orders", ORDERS.replace('"app"; level', '"shop"; level').replace('"reporting"', '"reports"'))
    d.reload()
    wait_state(d, "prod/orders", "blocked")
    # A role that nobody logs in as is renamed at once, the other one waits.
    assert dict(pg.sql("SELECT rolname, oid FROM pg_roles"))["reports"] == oids["reporting"]
    assert "role shop does not exist yet; see the plan of target prod" in row(d, "prod/orders")["message"]
    plan = d.http("/v1/targets/prod/plan").json()["plan"]
    assert d.ctl("approve", "prod", plan).code == 0
    d.wait_in_sync()
    assert dict(pg.sql("SELECT rolname, oid FROM pg_roles"))["shop"] == oids["app"]
    assert pg.value("SELECT has_table_privilege('shop', 'app.orders', 'INSERT')", dbname="orders")
    assert [c for c in pg.changes(mark) if not re.search("ALTER ROLE .* RENAME TO", str(c))] == []
    assert not [line for line in pg.log_since(mark).splitlines() if "ERROR:" in line]


@pytest.mark.majors(15)
def test_sequences_that_columns_own_follow_their_tables(pg, daemon):
    """In whichever order they are declared: alone they are refused."""
    pg.sql("CREATE ROLE owner_role; CREATE ROLE other")
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE TABLE app.t (id serial)", "ALTER TABLE app.t OWNER TO other")
    d = make(daemon, pg, "orders", daemon_settings={"interval": "1h"})
    d.manifest("orders", 'owners: ( { on = "sequence app.*"; owner = "owner_role"; }, { on = "table app.*"; owner = "owner_role"; } );')
    d.manifest("platform", 'roles: ( { name = "owner_role"; } );')
    d.start()
    d.reconcile()
    assert [(e["kind"], e["result"]) for e in d.json("events")["events"] if e["kind"] == "change"] == [("change", "ok")] * 2, d.ctl("events").out
    assert pg.value("SELECT relowner::regrole::text FROM pg_class WHERE relname = 't_id_seq'", dbname="orders") == "owner_role"


@pytest.mark.majors(15)
def test_what_fails_is_tried_once_a_pass(pg, daemon):
    """A change that the server refuses is not repeated in the rounds of the same pass when nothing else made progress."""
    orders_database(pg)
    d = make(daemon, pg, "orders", daemon_settings={"interval": "1h"}).start()
    d.wait_in_sync()
    pg.sql("CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no grants today'; END$$; "
           "CREATE EVENT TRIGGER no ON ddl_command_end WHEN TAG IN ('GRANT') EXECUTE FUNCTION no()", dbname="orders")
    pg.sql("REVOKE SELECT ON app.orders FROM reporting", dbname="orders")
    mark, before = pg.log_mark(), row(d, "prod/orders")["pass_failures"]
    assert d.ctl("reconcile", "--wait", "prod/orders").code == 5
    assert "no grants today" in row(d, "prod/orders")["message"]

    def once_a_pass():       # it is tried again soon, in another pass, which may have begun
        failed = row(d, "prod/orders")["pass_failures"] - before
        tried = sum("ERROR:  no grants today" in line for line in pg.log_since(mark).splitlines())
        assert tried == failed == row(d, "prod/orders")["pass_failures"] - before, (tried, failed)
        return True
    wait_for(once_a_pass, 20, "as often tried as passes have failed", d.log_tail)


@pytest.mark.majors(15)
def test_many_databases_ordered_together_do_not_wait_for_their_server(pg, daemon):
    """The server is looked at first: else each handful of connections would wait for what it finds, two seconds at a time."""
    names = [f"orders_{i}" for i in range(30)]
    pg.sql("CREATE ROLE owner_role")
    for name in names:
        pg.create_database(name, "CREATE SCHEMA app AUTHORIZATION owner_role", "CREATE TABLE app.orders (id int)")
    d = make(daemon, pg, *names, max_connections=3, daemon_settings={"interval": "1h"}).start()
    d.wait_in_sync(timeout=60)
    began = time.monotonic()
    d.reconcile(timeout=120)
    assert time.monotonic() - began < 15 * FACTOR
