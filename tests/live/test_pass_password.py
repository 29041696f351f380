# SPDX-License-Identifier: PostgreSQL
"""Passwords of roles: made here, never re-salted when they match, never in clear text on the wire or in a log."""

import os

import pytest
from dbr import wait_for

SECRET = "correct horse battery staple"


def make(daemon, pg, path, user="postgres", source="password_file", **more):
    manifest = f'roles: ( {{ name = "app"; login = true; {source} = "{path}"; }} );\n'
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(user=user), "manifests": ["platform"]},
                  manifests={"platform": manifest}, **more)


def secret_file(tmp_path, text=SECRET):
    path = tmp_path / "secret"
    path.write_text(text + "\n", encoding="utf-8")
    os.chmod(path, 0o600)
    return path


def verifier(pg):
    return pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")


def row(daemon):
    return daemon.json("status")["targets"][0]


def test_password_is_set_once_and_rotated(pg, daemon, tmp_path):
    path = secret_file(tmp_path)
    pg.require_passwords()
    d = make(daemon, pg, path).start()
    d.wait_in_sync()
    assert pg.value("SELECT current_user", user="app", password=SECRET) == "app"
    first = verifier(pg)
    assert first.startswith("SCRAM-SHA-256$4096:")
    mark = pg.log_mark()
    d.reconcile()
    assert verifier(pg) == first and pg.changes(mark) == []
    secret_file(tmp_path, "another secret")
    d.reconcile()
    assert pg.value("SELECT current_user", user="app", password="another secret") == "app"
    pg.sql("ALTER ROLE app PASSWORD 'by hand'")
    d.reconcile()
    assert pg.value("SELECT current_user", user="app", password="another secret") == "app"
    for log in (pg.log_since(), d.log(), d.ctl("events").out, d.ctl("show", "prod").out):
        assert SECRET not in log and "another secret" not in log
        assert "SCRAM-SHA-256$" not in log.replace("SCRAM-SHA-256$4096:redacted", "")


@pytest.mark.majors(15)
def test_unreadable_secret_is_skipped_and_said(pg, daemon, tmp_path):
    d = make(daemon, pg, tmp_path / "missing").start()
    state = wait_for(lambda: row(d)["state"] == "blocked" and row(d), 10, "blocked", d.log_tail)
    assert "missing" in state["message"]
    assert verifier(pg) is None
    os.rename(secret_file(tmp_path), tmp_path / "missing")
    d.wait_in_sync()
    assert verifier(pg) is not None


@pytest.mark.majors(15, 18)
def test_without_the_right_to_read_verifiers(pg, daemon, tmp_path):
    path = secret_file(tmp_path)
    pg.sql("CREATE ROLE manager LOGIN CREATEROLE")
    d = make(daemon, pg, path, user="manager").start()
    d.wait_in_sync()
    first = verifier(pg)
    assert first
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []
    d.stop()
    d.start()
    d.wait_in_sync()
    assert verifier(pg) == first and pg.changes(mark) == []
    secret_file(tmp_path, "another secret")
    d.reconcile()
    assert verifier(pg) != first


@pytest.mark.majors(15)
def test_the_daemon_logs_in_with_a_password_of_its_own(pg, daemon, tmp_path):
    script = tmp_path / "token"
    script.write_text(f"#!/bin/sh\necho '{SECRET}'\n", encoding="utf-8")
    os.chmod(script, 0o755)
    pg.sql(f"CREATE ROLE manager LOGIN SUPERUSER PASSWORD '{SECRET}'")
    pg.require_passwords()
    for source in ({"password_file": str(secret_file(tmp_path))}, {"password_command": str(script)}):
        d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(user="manager"), "manifests": ["platform"], **source},
                   manifests={"platform": 'roles: ( { name = "x"; } );\n'}).start()
        d.wait_in_sync()
        d.stop()
    secret_file(tmp_path, "wrong")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(user="manager"), "manifests": ["platform"],
                        "password_file": str(tmp_path / "secret")}, manifests={"platform": 'roles: ( { name = "x"; } );\n'}).start()
    state = wait_for(lambda: row(d)["state"] == "failed" and row(d), 10, "failed", d.log_tail)
    assert state["failure"] == "auth" and SECRET not in state["message"]
    secret_file(tmp_path)
    d.wait_in_sync(timeout=20)
