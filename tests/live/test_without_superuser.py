# SPDX-License-Identifier: PostgreSQL
"""A login like that of a managed service: CREATEROLE, CREATEDB, no pg_authid, no superuser. What it cannot do is known before
anything is tried, and what the plan tells an administrator to run is what helps."""

import re

import pytest
from dbr import wait_for

PLATFORM = """
roles: (
  { name = "theirs"; login = true; connection_limit = 3; comment = "made by somebody else"; settings: { log_statement = "ddl"; }; },
  { name = "replica"; login = true; replication = true; },
  { name = "ours"; login = true; member_of = "pg_monitor"; settings: { work_mem = "8MB"; }; },
  { name = "boss"; login = false; }
);
"""

ORDERS = """
schemas: ( { name = "made"; owner = "boss"; }, { name = "moved"; owner = "ours"; } );
extensions: ( { name = "pg_trgm"; }, { name = "file_fdw"; } );
grants: ( { to = "ours"; level = "read-write"; schema = "made"; } );
row_security: ( { table = "moved.t"; enable = true; policies = ( { name = "p"; to = [ "ours" ]; using = "id > 0"; } ); } );
"""


def world(pg, service=False):
    pg.sql("CREATE ROLE admin LOGIN CREATEROLE CREATEDB; CREATE ROLE theirs LOGIN; CREATE ROLE holder")
    if service:
        pg.sql("CREATE ROLE rds_superuser; GRANT rds_superuser TO admin")
    pg.create_database("orders", "CREATE SCHEMA moved AUTHORIZATION holder; CREATE TABLE moved.t (id int); ALTER TABLE moved.t OWNER TO holder")
    pg.sql("REVOKE ALL ON DATABASE orders FROM PUBLIC; GRANT CONNECT ON DATABASE orders TO admin")


def make(daemon, pg, manifest=ORDERS):
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(user="admin"), "manifests": ["platform"],
                           "databases": ({"name": "orders", "manifests": ["orders"]},)},
                  manifests={"platform": PLATFORM, "orders": manifest}, guard={"allow_privileged": True})


def blocked(d, target):
    changes = d.http(f"/v1/targets/{target.replace('/', '%2F')}/plan").json()["changes"]
    return [c for c in changes if c["state"] == "blocked"]


def settled(d, target):
    def rest():
        row = {r["target"]: r for r in d.json("status")["targets"]}[target]
        return row["state"] in ("blocked", "in_sync", "held") and row
    return wait_for(rest, 30, f"{target} is at rest", lambda: d.ctl("status").out + d.log_tail())


def tried_and_failed(pg, mark):
    """Errors that the server had to tell our login."""
    return [line for line in pg.log_since(mark).splitlines() if "dbreconciled" in line and re.search(r"\b(ERROR|WARNING):", line)]


def statements(remedy):
    return re.sub(r"^as a superuser, (or its owner, )?run once: ", "", remedy)


def test_what_the_login_cannot_do_is_known_and_what_helps_helps(pg, daemon):
    world(pg)
    mark = pg.log_mark()
    d = make(daemon, pg).start()
    settled(d, "prod")
    settled(d, "prod/orders")
    ran = []
    for _ in range(12):
        found = [(target, c) for target in ("prod", "prod/orders") for c in blocked(d, target)]
        if not found:
            break
        assert tried_and_failed(pg, mark) == [], "known before it is tried"
        for target, change in found:
            assert change["reason"] and change["remedy"], change
            if not re.match(r"(as a superuser, run once: )?(GRANT|ALTER|CREATE|SET|BEGIN|COMMENT)", change["remedy"]):
                continue         # words: it follows from another one
            if statements(change["remedy"]) not in ran:
                ran.append(statements(change["remedy"]))
                pg.sql(ran[-1], dbname="orders")
        d.ctl("reconcile", "--wait")
        settled(d, "prod/orders")
    approve_policies(d)
    d.wait_in_sync()
    assert tried_and_failed(pg, mark) == []
    text = "\n".join(ran)
    assert "CREATE EXTENSION" in text and "REPLICATION" in text and 'GRANT CREATE ON DATABASE "orders" TO "admin"' in text, text
    assert ('GRANT SET ON PARAMETER log_statement TO "admin"' if pg.major >= 15 else "log_statement") in text
    if pg.major >= 16:
        assert 'GRANT "theirs" TO "admin" WITH ADMIN OPTION' in text and 'GRANT "pg_monitor" TO "admin" WITH ADMIN OPTION' in text
    assert pg.value("SELECT count(*) FROM pg_extension WHERE extname IN ('pg_trgm', 'file_fdw')", dbname="orders") == 2
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


def approve_policies(d):
    plan = d.http("/v1/targets/prod%2Forders/plan").json()["plan"]
    if plan:
        assert d.ctl("approve", "prod/orders", plan).code == 0


@pytest.mark.majors(15, 18)
def test_the_admin_of_a_managed_service_is_let_try(pg, daemon):
    """Its provider allows it extensions that are not trusted; the catalogs do not show that."""
    world(pg, service=True)
    pg.sql("GRANT CREATE ON DATABASE orders TO admin")
    d = make(daemon, pg, 'extensions: ( { name = "file_fdw"; } );\n').start()
    wait_for(lambda: "permission denied to create extension" in d.ctl("status", "-o", "wide").out + d.log_tail(), 20, "it was tried",
             d.log_tail)


@pytest.mark.majors(14, 16)
def test_without_createrole_nothing_of_a_role_is_tried(pg, daemon):
    world(pg)
    pg.sql("ALTER ROLE admin NOCREATEROLE")
    mark = pg.log_mark()
    d = make(daemon, pg).start()
    settled(d, "prod")
    reasons = {c["reason"] for c in blocked(d, "prod")}
    assert "dbreconcile's login has no CREATEROLE" in reasons
    assert 'ALTER ROLE "admin" CREATEROLE' in {c["remedy"] for c in blocked(d, "prod")}
    d.ctl("reconcile", "--wait")
    assert tried_and_failed(pg, mark) == []
