# SPDX-License-Identifier: PostgreSQL
"""undo: a recorded change is taken back, exactly, when somebody says so twice, and the daemon does not make it again."""

import re

import pytest
from dbr import wait_for
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
    done = changes(d, answer["target"])[-1]
    assert done["result"] == "ok" and done["object"].startswith(f"UNDO {change}: "), (done, d.log_tail())
    return done


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
