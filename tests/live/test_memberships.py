# SPDX-License-Identifier: PostgreSQL
"""Memberships: options and grantors as PostgreSQL 16 has them, the creator's edge, time limits, groups of providers."""

import datetime

import pytest
from dbr import wait_for


def make(daemon, pg, manifest, user="postgres", **guard):
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(user=user), "manifests": ["platform"]}, manifests={"platform": manifest},
                  guard={"max_percent": 100, **guard})


def edges(pg, role):
    """{member: (admin, inherit, set)}: what holds, over all grantors; before 16 every membership can be set."""
    if pg.major >= 16:
        query = ("SELECT u.rolname, bool_or(admin_option), bool_or(inherit_option), bool_or(set_option) FROM pg_auth_members m "
                 "JOIN pg_roles g ON g.oid = roleid JOIN pg_roles u ON u.oid = member WHERE g.rolname = %s GROUP BY 1")
    else:
        query = ("SELECT u.rolname, admin_option, u.rolinherit, true FROM pg_auth_members m JOIN pg_roles g ON g.oid = roleid "
                 "JOIN pg_roles u ON u.oid = member WHERE g.rolname = %s")
    return {name: tuple(options) for name, *options in pg.sql(query, (role,))}


def quiet(pg, d):
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


def test_options_are_given_and_taken_one_by_one(pg, daemon):
    pg.sql("CREATE ROLE team; CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE eve LOGIN; GRANT team TO ann WITH ADMIN OPTION")
    d = make(daemon, pg, """
authority = "exact";
roles: ( { name = "team"; login = false; }, { name = "ann"; }, { name = "bob"; }, { name = "eve"; } );
memberships: ( { role = "team"; members = [ "ann" ]; admin = false; }, { role = "team"; members = [ "bob" ]; admin = true; inherit = false; set = true; } );
""").start()
    d.wait_in_sync()
    assert edges(pg, "team") == {"ann": (False, True, True), "bob": (True, pg.major < 16, True)}
    quiet(pg, d)
    # Each option changed by hand is put back alone; who is in no manifest's list goes.
    if pg.major >= 16:
        pg.sql("GRANT team TO bob WITH INHERIT TRUE; GRANT team TO ann WITH ADMIN TRUE; GRANT team TO eve WITH SET FALSE")
    else:
        pg.sql("GRANT team TO eve; GRANT team TO ann WITH ADMIN OPTION")
    d.reconcile()
    assert edges(pg, "team") == {"ann": (False, True, True), "bob": (True, pg.major < 16, True)}
    quiet(pg, d)


@pytest.mark.majors(16, 18)
def test_the_same_membership_by_two_grantors(pg, daemon):
    """What holds is the union: an option that is not wanted goes from every row, each as its own grantor."""
    pg.sql("CREATE ROLE team; CREATE ROLE boss LOGIN; CREATE ROLE ann LOGIN; GRANT team TO boss WITH ADMIN OPTION; GRANT team TO ann WITH SET FALSE")
    pg.sql("GRANT team TO ann WITH INHERIT TRUE, SET TRUE", user="boss")
    assert pg.value("SELECT count(*) FROM pg_auth_members WHERE member = 'ann'::regrole") == 2
    d = make(daemon, pg, 'roles: ( { name = "team"; login = false; }, { name = "ann"; } );\n'
             'memberships: ( { role = "team"; members = [ "ann" ]; set = false; inherit = true; } );\n').start()
    d.wait_in_sync()
    assert edges(pg, "team")["ann"] == (False, True, False)
    quiet(pg, d)


@pytest.mark.majors(14, 16, 18)
def test_the_edge_that_a_creator_gets_is_no_drift(pg, daemon):
    """16: who makes a role is its ADMIN, by the bootstrap superuser; he cannot change that, and nobody should try."""
    pg.sql("CREATE ROLE admin LOGIN CREATEROLE")
    d = make(daemon, pg, 'authority = "exact";\nroles: ( { name = "team"; login = false; }, { name = "ann"; login = true; member_of = "team"; } );\n',
             user="admin").start()
    d.wait_in_sync()
    assert ("admin" in edges(pg, "team")) == (pg.major >= 16)
    assert edges(pg, "team")["ann"][0] is False
    quiet(pg, d)


@pytest.mark.majors(18)
def test_what_looks_like_a_creators_edge_is_none_without_createrole(pg, daemon):
    """ADMIN alone is enough to let oneself in."""
    pg.sql("CREATE ROLE maker LOGIN CREATEROLE; CREATE ROLE ann LOGIN; SET ROLE maker; CREATE ROLE team; RESET ROLE;"
           " GRANT team TO ann WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    d = make(daemon, pg, 'authority = "exact";\nroles: ( { name = "team"; }, { name = "ann"; }, { name = "maker"; } );\n').start()
    d.wait_in_sync()
    assert edges(pg, "team") == {"maker": (True, False, False)}
    pg.sql("ALTER ROLE maker NOCREATEROLE")
    d.reconcile()
    assert edges(pg, "team") == {}
    quiet(pg, d)


@pytest.mark.majors(15, 18)
def test_a_membership_ends_when_its_time_is_over(pg, daemon):
    pg.sql("CREATE ROLE oncall; CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN")
    manifest = ('roles: ( { name = "oncall"; login = false; }, { name = "ann"; }, { name = "bob"; } );\n'
                'memberships: ( { role = "oncall"; members = [ "ann" ]; until = "%s"; },\n'
                '  { role = "oncall"; members = [ "bob" ]; until = "2020-01-01"; } );\n')
    d = make(daemon, pg, manifest % "2099-01-01").start()
    wait_for(lambda: "ann" in edges(pg, "oncall"), 10, "ann is a member", d.log_tail)
    assert "bob" not in edges(pg, "oncall")
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
    d.manifest("platform", manifest % f"{ends:%Y-%m-%dT%H:%M:%SZ}")
    d.reload()
    wait_for(lambda: edges(pg, "oncall") == {}, 20, "her time is over", lambda: d.ctl("diff").out + d.log_tail())
    assert datetime.datetime.now(datetime.timezone.utc) >= ends.replace(microsecond=0)
    d.wait_in_sync()


@pytest.mark.majors(15, 18)
def test_groups_of_the_provider_and_predefined_roles(pg, daemon):
    """They are named, never declared or altered; one that is not there is said."""
    pg.sql("CREATE ROLE rds_iam")
    d = make(daemon, pg, 'roles: ( { name = "app"; login = true; member_of = [ "rds_iam", "pg_monitor" ]; },\n'
             '  { name = "job"; login = true; member_of = "cloudsqliamuser"; } );\n').start()
    wait_for(lambda: "app" in edges(pg, "rds_iam") and "app" in edges(pg, "pg_monitor"), 15, "both groups", d.log_tail)
    assert d.ctl("reconcile", "--wait").code == 5
    assert "role cloudsqliamuser does not exist on this server" in d.ctl("diff").out
    pg.sql("CREATE ROLE cloudsqliamuser")
    d.reconcile()
    assert "job" in edges(pg, "cloudsqliamuser")
    quiet(pg, d)
