# SPDX-License-Identifier: PostgreSQL
"""Commands before and after migrations: a dump that succeeds, one that fails, one that hangs. Scenario 6 (recovery)."""

import os
import signal
import stat
import subprocess

import pytest
from dbr import bindir, wait_for
from dbr.daemon import BUILD
from dbr.waiting import seconds
from test_pass_migrations import ONE, TWO, ORDERS, PLATFORM, row, wait_state

pytestmark = pytest.mark.majors(15)


class Hooked:
    """prod/orders with hooks: scripts in a directory of their own, which write what they are told into `said`."""

    def __init__(self, pg, make_daemon, files=None, **scripts):
        self.pg = pg
        pg.create_database("orders")
        options = {key: scripts.pop(key) for key in ("hook_timeout", "password_file") if key in scripts}
        migrations = {"directory": "orders", "user": "migrator", **options}
        self.daemon = make_daemon(manifests={"platform": PLATFORM, "orders": ORDERS}, migrations={"orders": files or {"V001__orders.sql": ONE}})
        self.directory = os.path.join(self.daemon.directory, "hooks")
        self.said = os.path.join(self.daemon.directory, "said")
        for when, text in scripts.items():
            migrations[when] = self.script(when, text) + " one 'two words'"
        self.daemon.write("dbreconciled.conf", self.daemon.settings({
            "name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"],
            "databases": ({"name": "orders", "manifests": ["orders"], "migrations": migrations},)}))

    def script(self, when, text, mode=0o755):
        return self.daemon.write(f"hooks/{when}", f"#!/bin/sh\nset -eu\nSAID={self.said}\n{text}\n".encode(), mode)

    def words(self):
        try:
            with open(self.said, encoding="utf-8") as file:
                return file.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def has(self, table):
        return self.pg.value(f"SELECT to_regclass('app.{table}') IS NOT NULL", dbname="orders")

    def events(self):
        return [(e["kind"], e["object"].split(" (")[0], e["result"]) for e in self.daemon.json("events")["events"] if e["kind"] in ("hook", "migration")]

    def passfiles(self):
        return [name for name in os.listdir(self.daemon.directory) if name.endswith(".pgpass")]


SAY = 'echo "$DBRECONCILE_HOOK $DBRECONCILE_TARGET [$DBRECONCILE_FROM_VERSION] [$DBRECONCILE_TO_VERSION] $# $2 $PGUSER $PGDATABASE ${PGPASSWORD-none}" >> $SAID'


def test_before_and_after(pg, daemon):
    h = Hooked(pg, daemon, {"V001__orders.sql": ONE, "V002__note.sql": TWO}, before=SAY, after=SAY)
    d = h.daemon.start()
    d.wait_in_sync()
    assert h.words() == ["before prod/orders [] [002] 2 two words migrator orders none", "after prod/orders [] [002] 2 two words migrator orders none"]
    assert h.events() == [("hook", "the hook before the migrations", "ok"), ("migration", "V001__orders.sql", "ok"),
                          ("migration", "V002__note.sql", "ok"), ("hook", "the hook after the migrations", "ok")]
    d.reconcile()
    assert len(h.words()) == 2, "nothing pending, nothing called"
    d.migration("orders", "V003__more.sql", "CREATE TABLE app.more (id int);\n")
    wait_for(lambda: len(h.words()) == 4, 15, "the hooks run again", d.log_tail)
    assert h.words()[2].startswith("before prod/orders [002] [003]")


def test_pg_dump_with_the_password_of_the_migration_user(pg, daemon):
    """As in the documentation: the dump is that of the database before the migration, and no password is seen."""
    dump = f'ls -l "$PGPASSFILE" >> $SAID; exec {bindir(15)}/pg_dump --format=plain --file={{0}}/"$DBRECONCILE_FROM_VERSION".sql'
    h = Hooked(pg, daemon)
    d = h.daemon
    password = d.write("secret", b"se:c\\ret\n", 0o600)
    d.manifest("platform", PLATFORM.replace('name = "migrator"; login = true;', f'name = "migrator"; login = true; password_file = "{password}";'))
    before = h.script("before", dump.format(d.directory))
    text = open(d.config_file, encoding="utf-8").read()
    d.write("dbreconciled.conf", text.replace('user = "migrator";', f'user = "migrator"; before = "{before}";'))
    pg.require_passwords()
    d.start()
    d.wait_in_sync()
    pg.sql("INSERT INTO app.orders VALUES (4711)", dbname="orders")
    d.migration("orders", "V002__note.sql", TWO)
    wait_for(lambda: os.path.exists(os.path.join(d.directory, "001.sql")), 15, "the dump is there", d.log_tail)
    d.wait_in_sync()
    with open(os.path.join(d.directory, "001.sql"), encoding="utf-8") as file:
        dumped = file.read()
    assert "4711" in dumped and "CREATE TABLE app.orders" in dumped and "note" not in dumped
    assert h.words()[0].startswith("-rw------- ") and h.passfiles() == []
    assert "se:c" not in d.log() and "se:c" not in str(d.json("events"))


def test_a_failing_before_stops_everything(pg, daemon):
    long = "é" * 400      # of which the end is shown, from a whole character on
    h = Hooked(pg, daemon, before=f"echo '{long} no space left!' >&2; echo called >> $SAID; exit 3")
    d = h.daemon.start()
    blocked = wait_state(d, "blocked")
    assert "before the migrations" in blocked["message"] and "exit code 3: ééé" in blocked["message"] and "ééé no space left!" in blocked["message"]
    assert "dbreconcilectl reconcile prod/orders" in blocked["message"]
    assert not h.has("orders") and h.events() == [("hook", "the hook before the migrations", "failed")]
    assert d.json("migrations", "--all")["targets"][0]["state"] == "failed"
    passes = row(d)["passes"]
    wait_for(lambda: row(d)["passes"] >= passes + 2, 15, "passes go on", d.log_tail)
    assert h.words() == ["called"], "it is not called again and again"
    h.script("before", "echo better >> $SAID")
    d.ctl("reconcile", "--wait", "prod/orders", expect=0)
    d.wait_in_sync()
    assert h.words() == ["called", "better"] and h.has("orders")


def test_once_calls_a_failing_hook_once(pg, daemon):
    h = Hooked(pg, daemon, before="echo called >> $SAID; exit 3")
    result = h.daemon.once(timeout=30)
    assert result.code == 5 and "exit code 3" in result.err and h.words() == ["called"]
    assert h.daemon.once(timeout=30).code == 5 and h.words() == ["called"] * 2, "each run of --once is an order"


def test_an_order_that_fails_again_says_so(pg, daemon):
    h = Hooked(pg, daemon, before="echo called >> $SAID; exit 3")
    d = h.daemon.start()
    wait_state(d, "blocked")
    answer = d.json("reconcile", "--wait", "prod/orders", expect=5)
    assert [(t["state"], "exit code 3" in t["message"]) for t in answer["targets"]] == [("blocked", True)]
    assert h.words() == ["called"] * 2


def test_a_failing_after_is_reported_and_can_be_repeated(pg, daemon):
    h = Hooked(pg, daemon, after="echo no such host >&2; exit 1")
    d = h.daemon.start()
    failed = wait_state(d, "failed")
    assert "after the migrations" in failed["message"] and "no such host" in failed["message"] and h.has("orders")
    assert pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders")
    d.stop()
    h.script("after", SAY)
    d.start()
    wait_state(d, "failed")
    d.ctl("reconcile", "--wait", "prod/orders", expect=0)
    d.wait_in_sync()
    assert h.words() == ["after prod/orders [001] [001] 2 two words migrator orders none"]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


HANG = "sleep 1000 & echo $! >> $SAID; echo $$ >> $SAID; echo still at it; wait"


def test_a_hanging_hook_is_killed_with_all_it_started(pg, daemon):
    h = Hooked(pg, daemon, before=HANG, hook_timeout="3s")
    d = h.daemon.start()
    blocked = wait_state(d, "blocked")
    assert "did not end within 3 s: still at it" in blocked["message"]
    pids = [int(word) for word in h.words()]
    assert len(pids) == 2
    wait_for(lambda: not any(alive(pid) for pid in pids), 10, "its whole group is gone")


def test_the_daemon_answers_while_a_hook_runs_and_stops_with_it(pg, daemon):
    h = Hooked(pg, daemon, before=HANG)
    d = h.daemon.start()
    pids = wait_for(lambda: len(h.words()) == 2 and [int(word) for word in h.words()], 15, "the hook runs", d.log_tail)
    assert d.json("migrations", "--all")["targets"][0]["state"] == "running"
    pg.sql("CREATE ROLE stranger")
    d.ctl("reconcile", "--wait", "prod", expect=0, timeout=20)
    d.stop(timeout=20)
    wait_for(lambda: not any(alive(pid) for pid in pids), 10, "nothing is left of it")
    assert not h.has("orders") and h.passfiles() == []
    h.script("before", "true")
    d.start()
    d.wait_in_sync()


def test_a_password_file_of_a_killed_daemon_is_removed(pg, daemon):
    h = Hooked(pg, daemon, before=HANG)
    d = h.daemon
    left = d.write("hook-999999999-1.pgpass", b"*:*:*:migrator:secret", 0o600)
    beside = d.write("kept/hook-999999999-2.pgpass", b"*:*:*:migrator:secret", 0o600)       # where --once puts it when there is no /run/dbreconcile
    text = open(d.config_file, encoding="utf-8").read()
    d.write("dbreconciled.conf", text.replace(d.state_file, os.path.join(d.directory, "kept/state.db")))
    other = d.write(f"hook-{os.getpid()}-1.pgpass", b"of somebody who lives", 0o600)
    d.start()
    assert not os.path.exists(left) and not os.path.exists(beside) and os.path.exists(other)
    os.unlink(other)
    pids = wait_for(lambda: len(h.words()) == 2 and [int(word) for word in h.words()], 15, "the hook runs", d.log_tail)
    d.kill()
    os.killpg(pids[1], signal.SIGKILL)


@pytest.mark.parametrize("how", ["file", "directory", "missing"])
def test_what_others_can_write_is_not_run(pg, daemon, how):
    h = Hooked(pg, daemon, before="echo called >> $SAID")
    path = os.path.join(h.directory, "before")
    if how == "missing":
        os.unlink(path)
    else:
        place = path if how == "file" else h.directory
        os.chmod(place, stat.S_IMODE(os.stat(place).st_mode) | stat.S_IWOTH)
    blocked = wait_state(h.daemon.start(), "blocked")
    assert ("No such file" if how == "missing" else "can be written by group or others") in blocked["message"]
    assert h.words() == [] and not h.has("orders")


def test_the_configuration_says_what_a_hook_may_be(pg, daemon):
    h = Hooked(pg, daemon)
    d = h.daemon
    text = open(d.config_file, encoding="utf-8").read()
    for command, reason in (("pg_dump -Fc", "is not a whole path"), ("/bin/echo 'open", "a quote is not closed"), (" ", "it is empty")):
        d.write("dbreconciled.conf", text.replace('user = "migrator";', f'user = "migrator"; before = "{command}";'))
        result = d.ctl("config", "check", d.config_file, expect=7)
        assert "before" in result.out + result.err and reason in result.out + result.err, result


@pytest.mark.skipif(subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, capture_output=True).returncode != 0,
                    reason="a namespace of processes cannot be made here")
def test_process_1_of_a_container_waits_for_orphans(pg, daemon):
    """What a hook leaves behind comes to process 1, which also has to pass on that it is to end."""
    h = Hooked(pg, daemon, before="(sleep 0.1) > /dev/null 2>&1 &\n(sleep 0.2) > /dev/null 2>&1 &")
    with open(h.daemon.log_file, "ab") as log:
        outer = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", os.path.join(BUILD, "dbreconciled"), "-c", h.daemon.config_file],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(lambda: os.path.exists(h.daemon.control_socket) and h.has("orders"), 20, "the migration has run", h.daemon.log_tail)

        def children(pid):
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                return [int(word) for word in file.read().split()]

        first = children(outer.pid)[0]
        wait_for(lambda: len(children(first)) == 1, 10, "process 1 has one child", lambda: str(children(first)))
        os.kill(first, signal.SIGTERM)
        assert outer.wait(seconds(10)) == 0, h.daemon.log_tail()
        assert h.daemon.log().endswith("stopping\n")
    finally:
        outer.kill()
        outer.wait()
