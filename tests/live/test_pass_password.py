# SPDX-License-Identifier: PostgreSQL
"""Passwords of roles: made here, never re-salted when they match, never in clear text on the wire or in a log."""

import os

import pytest
from dbr import wait_for
from dbr.waiting import FACTOR

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


PREPARED = {
    "composed": "p\u00e4ssw\u00f6rd", "decomposed": "pa\u0308ss", "no-break space": "two\u00a0words", "ligature": "\ufb01ne \u2168",
    "soft hyphen": "soft\u00adhyphen", "only what goes": "\u00ad\u200b", "forbidden": "tag\ue000ged", "both directions": "\u0627abc\u0628x",
    "right to left": "\u0627\u0628\u0629", "unassigned in Unicode 3.2": "emoji \U0001f600", "wide": "\uff21\uff22\uff23",
}


@pytest.mark.majors(14, 18)
def test_passwords_are_prepared_as_the_server_and_its_clients_do(pg, daemon, tmp_path):
    """Whatever is not ASCII: who knows the password logs in, and what the server made of it is in sync."""
    pg.require_passwords()
    path = secret_file(tmp_path)
    d = make(daemon, pg, path).start()
    d.wait_in_sync()
    wrong = []
    for what, password in list(PREPARED.items())[:None if FACTOR == 1 else 3]:
        secret_file(tmp_path, password)
        d.reconcile()
        try:
            pg.value("SELECT current_user", user="app", password=password)
        except Exception as error:
            wrong.append(f"{what}: nobody logs in with it: {error}")
        pg.sql("SET password_encryption = 'scram-sha-256'; ALTER ROLE app PASSWORD %s", (password,))
        made = verifier(pg)
        d.reconcile()
        if verifier(pg) != made:
            wrong.append(f"{what}: the server's own verifier was replaced")
    assert not wrong, "\n".join(wrong)


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
def test_a_secret_that_changes_while_it_is_set(pg, daemon, tmp_path):
    """What is remembered for a server whose verifiers we may not read is the secret that was set, not one that came meanwhile."""
    path = secret_file(tmp_path)
    pg.sql("CREATE ROLE manager LOGIN CREATEROLE")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(user="manager"), "manifests": ["platform"]}, daemon={"lock_timeout": "30s"},
               manifests={"platform": f'roles: ( {{ name = "app"; login = true; password_file = "{path}"; }} );\n'}).start()
    d.wait_in_sync()
    holder = pg.connect()
    holder.autocommit = False
    holder.cursor().execute("ALTER ROLE app CONNECTION LIMIT 5")
    secret_file(tmp_path, "second secret")
    wait_for(lambda: pg.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'dbreconciled' AND wait_event_type = 'Lock'"), 20,
             "the daemon waits for a lock", d.log_tail)
    secret_file(tmp_path, "third secret")
    holder.rollback()
    holder.close()
    d.reconcile()
    d.reconcile()
    d.stop()
    pg.require_passwords()
    assert pg.value("SELECT current_user", user="app", password="third secret") == "app"


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


@pytest.mark.majors(14, 17)
def test_md5_is_replaced_by_scram(pg, daemon, tmp_path):
    """The same password, stored as md5, is stored as SCRAM; who knows it goes on logging in."""
    path = secret_file(tmp_path)
    pg.sql(f"SET password_encryption = 'md5'; CREATE ROLE app LOGIN PASSWORD '{SECRET}'")
    assert verifier(pg).startswith("md5")
    pg.require_passwords()
    d = make(daemon, pg, path).start()
    d.wait_in_sync()
    first = verifier(pg)
    assert first.startswith("SCRAM-SHA-256$")
    assert pg.value("SELECT current_user", user="app", password=SECRET) == "app"
    mark = pg.log_mark()
    d.reconcile()
    assert verifier(pg) == first and pg.changes(mark) == []


@pytest.mark.majors(15, 18)
def test_a_canary_is_found_nowhere(new_pg, pg, daemon, tmp_path):
    """The clear text is in no log of a server that logs everything, failures included, in none of ours, no document, no file."""
    canary = "cAnArY-7f3a-änd-ümlaut"
    server = new_pg(pg.major, log_statement="all", log_min_duration_statement="0", log_min_error_statement="debug5", log_duration="on",
                    log_connections="on")
    d = daemon(servers={"name": "prod", "conninfo": server.conninfo(), "manifests": ["platform"]},
               manifests={"platform": f'roles: ( {{ name = "app"; login = true; password_file = "{secret_file(tmp_path, canary)}"; }},\n'
                                      '  { name = "late"; login = true; connection_limit = 3; } );\n'}).start()
    d.wait_in_sync()
    # A failing statement with a password in it: the role is dropped under the daemon's hands.
    for turn in range(3):
        secret_file(tmp_path, f"{canary}-{turn}")
        server.sql("DROP ROLE app" if turn == 1 else "SELECT 1")
        d.ctl("reconcile", "--wait")
    seen = {"server log": server.log_since(), "daemon log": d.log(), "metrics": d.http("/metrics").text}
    for path in ("/v1/status", "/v1/targets", "/v1/targets/prod", "/v1/targets/prod/plan", "/v1/events", "/v1/config"):
        seen[path] = d.http(path).text
    for verb in (["diff", "--sql"], ["events"], ["show", "prod"], ["config", "show"]):
        seen[" ".join(verb)] = d.ctl(*verb).out
    d.stop()
    for name in os.listdir(d.directory):
        if os.path.isfile(os.path.join(d.directory, name)):
            with open(os.path.join(d.directory, name), "rb") as file:
                seen[name] = file.read().decode("utf-8", "replace")
    for where, text in seen.items():
        assert "cAnArY" not in text, f"the password is in {where}"
    assert "state.db" in seen and len(seen["server log"]) > 1000


@pytest.mark.majors(15)
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to run the daemon as somebody else")
def test_no_core_file_holds_a_secret(pg, daemon):
    """Not dumpable: the kernel writes no core file of it, and its memory belongs to root, not to the user it runs as."""
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["m"]}, manifests={"m": 'roles: ( { name = "x"; } );\n'},
               user="nobody").start()
    assert os.stat(f"/proc/{d.process.pid}/mem").st_uid == 0
