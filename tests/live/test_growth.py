# SPDX-License-Identifier: PostgreSQL
"""Passes without drift write nothing: catalogs stay the size they were, and no transaction id is used.

$DBR_PASSES says how many passes there are (1,000 take less than a minute)."""

import os

import pytest

PASSES = int(os.environ.get("DBR_PASSES", "100"))
SIZES = ("SELECT c, pg_relation_size(c::regclass) FROM unnest(ARRAY['pg_class', 'pg_attribute', 'pg_authid', 'pg_auth_members', 'pg_default_acl', "
         "'pg_proc', 'pg_namespace', 'pg_policy', 'pg_depend', 'pg_db_role_setting']) c ORDER BY 1")


@pytest.mark.majors(18)
def test_passes_without_drift_leave_no_trace(pg, daemon):
    pg.sql("CREATE ROLE owner_role; CREATE ROLE reader")
    pg.create_database("orders", "CREATE SCHEMA app AUTHORIZATION owner_role",
                       "DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE app.t%s (id int)', i); END LOOP; END $$")
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "databases": ({"name": "orders", "manifests": ["orders"]},)},
               manifests={"orders": 'authority = "exact"; roles: ( { name = "owner_role"; }, { name = "reader"; } );\n'
                                    'grants: ( { to = "reader"; level = "read-only"; schema = "app"; } );\n'}, daemon={"interval": "1h"}).start()
    d.reconcile()
    before = pg.sql(SIZES, dbname="orders")
    xid = int(pg.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))
    for _ in range(PASSES):
        d.reconcile()
    assert pg.sql(SIZES, dbname="orders") == before
    assert int(pg.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")) == xid
