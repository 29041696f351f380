# SPDX-License-Identifier: PostgreSQL
"""A daemon that looks for years must not make the catalogs grow: passes without drift write nothing at all.

DBR_PASSES in the environment says how many passes are made (1000; 40 with sanitizers, which are slow).
"""

import os

import pytest
from dbr import wait_for

PASSES = int(os.environ.get("DBR_PASSES", "40" if os.environ.get("DBR_DEADLINE_FACTOR") else "1000"))

PLATFORM = """
authority = "exact";
roles: ( { name = "owner_role"; login = false; settings: { statement_timeout = "5min"; }; }, { name = "app"; login = true; },
  { name = "reader"; login = true; member_of = "app"; } );
"""
TABLES = """
authority = "exact";
schemas: ( { name = "app"; owner = "owner_role"; } );
grants: ( { to = "app"; level = "read-write"; schema = "app"; }, { to = "reader"; privileges = [ "SELECT" ]; on = "table app.t1"; columns = [ "id" ]; } );
row_security: ( { table = "app.t2"; enable = true; policies = ( { name = "p"; to = [ "app" ]; using = "id > 0"; } ); } );
"""

CATALOGS = ("pg_class", "pg_authid", "pg_default_acl", "pg_attribute", "pg_namespace", "pg_policy", "pg_auth_members",
            "pg_db_role_setting", "pg_shdepend", "pg_init_privs", "pg_depend")


def sizes(pg):
    return {name: size for name, size in pg.sql("SELECT c::text, pg_relation_size(c) FROM unnest(%s::text[]::regclass[]) AS c",
                                                (list(CATALOGS),), dbname="big")}


def next_xid(pg):
    """Of the whole cluster: whoever writes anywhere takes one."""
    return pg.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")


@pytest.mark.majors(18)
def test_passes_without_drift_leave_the_catalogs_as_they_are(new_pg, daemon):
    pg = new_pg(18, autovacuum="off")
    pg.sql("CREATE ROLE owner_role")
    pg.create_database("big", "CREATE SCHEMA app AUTHORIZATION owner_role; SET ROLE owner_role; DO $$ BEGIN FOR i IN 1..2000 LOOP "
                       "EXECUTE format('CREATE TABLE app.t%s (id int PRIMARY KEY, note text)', i); END LOOP; END $$")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "keep_connections": 1,
                        "databases": ({"name": "big", "manifests": ["tables"]},)},
               manifests={"platform": PLATFORM, "tables": TABLES}, daemon={"interval": "7d", "full_interval": "7d"}).start()
    d.wait_in_sync(timeout=60)
    d.reconcile()
    before, xid = sizes(pg), next_xid(pg)
    passes = d.http("/v1/status").json()["targets"][1]["passes"]
    for _ in range(PASSES):
        answer = d.http("/v1/reconcile?wait=1&timeout=60s", "POST", timeout=90)
        assert answer.status == 200, answer.text
    done = d.http("/v1/status").json()["targets"][1]["passes"] - passes
    assert done >= PASSES
    assert next_xid(pg) == xid, f"{next_xid(pg) - xid} transactions wrote in {done} passes"
    assert sizes(pg) == before
