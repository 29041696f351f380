#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""The installed service under a real systemd as PID 1, in a container made by debootstrap.

Needs root, systemd-nspawn and a container in the cache: `tests/systemd/boot.py --prepare` makes it (network, once).
Without them it is skipped. The build must be without sanitizers, whose memory maps the unit forbids."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
CACHE = pathlib.Path("/var/cache/dbreconcile/container-bookworm")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb", "LANG": "C.UTF-8"}
SERVICE = "dbreconciled.service"
SOURCE = pathlib.Path(os.environ.get("top_srcdir", ".")).resolve()
POSTGRESQL = pathlib.Path("/usr/lib/postgresql/15/bin")


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def prepare():
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    work = tempfile.mkdtemp(prefix=".container-", dir=CACHE.parent)
    subprocess.run(["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus", "bookworm", work], check=True)
    os.chmod(work, 0o755)
    shutil.rmtree(CACHE, ignore_errors=True)
    os.rename(work, CACHE)


def make_variable(name):
    """A variable of the build's Makefile, expanded."""
    recipe = "include Makefile\ndbr-print:\n\t@echo '$(%s)'\n" % name
    return subprocess.run(["make", "-s", "-f", "-", "dbr-print"], cwd=BUILD, input=recipe, capture_output=True, text=True,
                          env=dict(os.environ, MAKEFLAGS="", MAKELEVEL="")).stdout.strip()


def check_requirements():
    if os.getuid() != 0:
        skip("needs root")
    if not shutil.which("systemd-nspawn"):
        skip("systemd-nspawn is not installed (Debian: systemd-container)")
    if not CACHE.is_dir():
        skip("there is no container: run tests/systemd/boot.py --prepare")
    trial = subprocess.run(["systemd-nspawn", "--register=no", "--keep-unit", "-q", "--volatile=overlay", "-D", str(CACHE), "/bin/true"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if trial.returncode != 0:
        skip("containers cannot be started here: " + trial.stderr.strip())
    if "sanitize" in make_variable("SANITIZER_FLAGS"):
        skip("a build with sanitizers; the plain build runs this")
    if make_variable("systemdsystemunitdir") not in ("/lib/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system"):
        skip("this build puts its units where no systemd looks")


def wait_for(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("not within %d s: %s" % (seconds, what))
        time.sleep(0.1)
    return value


class Server:
    """PostgreSQL outside of the container, which sees the directory with its socket."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        shutil.chown(directory, "postgres", "postgres")
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
        subprocess.run(self.user + [str(POSTGRESQL / "initdb"), "-D", str(directory / "data"), "-U", "postgres", "-A", "trust", "-N"],
                       check=True, stdout=subprocess.DEVNULL, cwd=directory)
        (directory / "data/pg_hba.conf").write_text("local all migrator scram-sha-256\nlocal all all trust\n")
        self.log = open(directory.parent / "postgresql.log", "w")
        self.process = subprocess.Popen(self.user + [str(POSTGRESQL / "postgres"), "-D", str(directory / "data"), "-c", "listen_addresses=",
                                                     "-c", "unix_socket_directories=" + str(directory), "-c", "fsync=off"],
                                        stdout=self.log, stderr=self.log, cwd=directory)
        wait_for("PostgreSQL", lambda: self.psql("SELECT 1", ok=None).returncode == 0)

    def psql(self, query, ok=True):
        return subprocess.run([str(POSTGRESQL / "psql"), "-X", "-At", "-h", str(self.directory), "-U", "postgres", "-d", "postgres", "-c", query],
                              capture_output=True, text=True, check=bool(ok))

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.log.close()


class Container:
    def __init__(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="dbreconcile-boot-", dir="/var/tmp"))
        self.work.chmod(0o711)
        self.root = self.work / "root"
        self.postgresql = self.work / "postgresql"
        subprocess.run(["cp", "-a", "--reflink=auto", str(CACHE), str(self.root)], check=True)
        self.install()
        self.server = Server(self.postgresql) if POSTGRESQL.is_dir() else None

    def install(self):
        subprocess.run(["make", "-s", "-C", str(BUILD), "install", "DESTDIR=" + str(self.root)], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, MAKEFLAGS="", MAKELEVEL=""))
        self.etc = pathlib.Path(make_variable("sysconfdir")) / "dbreconcile"
        self.run_dir = pathlib.Path(make_variable("runstatedir")) / "dbreconcile"
        libraries = self.root / "usr/local/lib/dbreconcile-test"
        libraries.mkdir(parents=True)
        programs = [BUILD / "dbreconciled", BUILD / "dbreconcilectl"]
        if POSTGRESQL.is_dir():
            programs.append(POSTGRESQL / "pg_dump")
            shutil.copy(POSTGRESQL / "pg_dump", self.root / "usr/local/bin")
        for program in programs:
            out = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
            for path in re.findall(r"=> (/\S+)", out):
                if not (self.root / path.lstrip("/")).exists():
                    shutil.copy(path, libraries)
        (self.root / "etc/ld.so.conf.d/dbreconcile-test.conf").write_text("/usr/local/lib/dbreconcile-test\n")
        subprocess.run(["chroot", str(self.root), "ldconfig"], check=True)
        self.write_config("60s")
        drop_in = self.root / "etc/systemd/system/dbreconciled.service.d"
        drop_in.mkdir(parents=True)
        (drop_in / "test.conf").write_text("[Service]\nWatchdogSec=3s\nRestartSec=200ms\n")

    def write_config(self, interval):
        """One server that is not there: a start before the database is up is normal."""
        path = self.root / str(self.etc).lstrip("/") / "dbreconciled.conf"
        path.write_text('daemon: { interval = "%s"; };\nservers: ( { name = "absent"; conninfo = "host=/nonexistent user=x"; } );\n'
                        'control: { admin_groups = [ "dbreconcile-admin" ]; };\n' % interval)
        path.chmod(0o640)
        if (self.root / "etc/group").read_text().count("dbreconcile:"):
            shutil.chown(path, 0, int(re.search(r"(?m)^dbreconcile:x:(\d+)", (self.root / "etc/group").read_text()).group(1)))

    def boot(self):
        self.console = open(self.work / "console", "w")
        self.nspawn = subprocess.Popen(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "-b", "-D",
                                        str(self.root), *(["--bind=%s:/srv/postgresql" % self.postgresql] if self.server else [])], stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console)
        self.leader = wait_for("the container's init", self.find_leader)
        wait_for("the boot", lambda: self.run("systemctl is-system-running", ok=None).stdout.strip() in ("running", "degraded"), 180)

    def find_leader(self):
        """The child that is process 1 in there; the one that sets up the container for it is gone a moment later."""
        if self.nspawn.poll() is not None:
            raise AssertionError("systemd-nspawn has ended with %d" % self.nspawn.returncode)
        for child in pathlib.Path("/proc/%d/task/%d/children" % (self.nspawn.pid, self.nspawn.pid)).read_text().split():
            try:
                status = pathlib.Path("/proc/%s/status" % child).read_text()
            except FileNotFoundError:
                continue
            if re.search(r"(?m)^NSpid:\t\d+\t1$", status):
                return int(child)
        return None

    def run(self, command, ok=True, user=None):
        """A shell command inside; ok True: must succeed, False: must fail, None: either."""
        words = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--"]
        if user:
            words += ["runuser", "-u", user, "--"]
        result = subprocess.run(words + ["/bin/sh", "-c", command], capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        if ok is not None and (result.returncode == 0) != ok:
            raise AssertionError("%s: exit %d\n%s%s\n%s" % (command, result.returncode, result.stdout, result.stderr, self.journal()))
        return result

    def journal(self):
        words = ["nsenter", "-t", str(self.leader), "-m", "-p", "-r", "--", "journalctl", "--no-pager", "-n", "40", "-u", SERVICE]
        return subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT).stdout

    def show(self, name):
        return self.run("systemctl show -p %s --value %s" % (name, SERVICE)).stdout.strip()

    def end(self):
        if self.nspawn.poll() is None:
            self.run("systemctl poweroff", ok=None)
            try:
                self.nspawn.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
        self.console.close()
        if self.server:
            self.server.end()
        shutil.rmtree(self.work)


class Boot(unittest.TestCase):
    """In the order of their numbers: the container goes on from one to the next."""

    @classmethod
    def setUpClass(cls):
        cls.c = Container()
        try:
            cls.c.boot()
            cls.c.run("useradd operator1 && usermod -aG dbreconcile-admin operator1 && useradd stranger")
        except BaseException:
            cls.c.end()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.c.end()

    def test_1_users_and_directories(self):
        for path, want in ((self.c.etc, "750 root dbreconcile"), (self.c.etc / "credentials", "700 root root")):
            self.assertEqual(self.c.run("stat -c '%%a %%U %%G' %s" % path).stdout.strip(), want)
        self.c.write_config("60s")

    def test_2_socket_activation(self):
        self.assertEqual(self.c.run("systemctl is-active " + SERVICE, ok=False).stdout.strip(), "inactive")
        self.c.run("systemctl start dbreconciled-control.socket dbreconciled-metrics.socket")
        self.assertEqual(self.c.run("stat -c '%%a %%U %%G' %s/control.sock" % self.c.run_dir).stdout.strip(),
                         "660 dbreconcile dbreconcile-admin")
        self.c.run("dbreconcilectl ping", user="operator1")
        self.assertEqual(self.c.run("systemctl is-active " + SERVICE).stdout.strip(), "active")
        self.assertEqual(self.c.show("StatusText").split(":")[0], "1 database")
        status = self.c.run("cat /proc/%s/status" % self.c.show("MainPID")).stdout
        uid = self.c.run("id -u dbreconcile").stdout.strip()
        self.assertRegex(status, r"(?m)^Uid:(\t%s){4}$" % uid)
        self.assertRegex(status, r"(?m)^Cap(Prm|Eff):\t0+$")

    def test_3_who_may(self):
        self.assertEqual(self.c.run("dbreconcilectl ping", ok=False, user="stranger").returncode, 4)
        self.c.run("dbreconcilectl status", ok=None, user="operator1")
        self.c.run("dbreconcilectl suspend absent --reason=test", user="operator1")
        events = json.loads(self.c.run("dbreconcilectl events -o json").stdout)["events"]
        self.assertRegex(events[-1]["actor"], r"^uid \d+ \(operator1\)$")
        self.c.run("dbreconcilectl resume absent")

    def test_4_reload(self):
        self.c.write_config("90s")
        self.c.run("systemctl reload " + SERVICE)
        self.assertIn('"90s"', self.c.run("dbreconcilectl config show").stdout.replace("1min30s", '"90s"'))
        self.c.write_config("nonsense")
        self.c.run("systemctl reload " + SERVICE, ok=False)
        self.assertEqual(self.c.run("systemctl is-active " + SERVICE).stdout.strip(), "active")
        self.assertIn("dbreconcile_config_last_reload_successful 0\n", self.c.run("dbreconcilectl metrics").stdout)
        wait_for("the status to say so", lambda: "refused" in self.c.show("StatusText"))
        self.c.write_config("60s")
        self.c.run("systemctl kill -s HUP --kill-who=main " + SERVICE)
        wait_for("the signal to reload", lambda: "reload_successful 1\n" in self.c.run("dbreconcilectl metrics").stdout)

    def test_5_journal(self):
        entries = [json.loads(line) for line in self.c.run("journalctl -o json DBRECONCILE_TARGET=absent").stdout.splitlines()]
        self.assertTrue(entries)
        self.assertEqual({e["SYSLOG_IDENTIFIER"] for e in entries}, {"dbreconciled"})
        self.assertTrue(all(e["_SYSTEMD_UNIT"] == SERVICE for e in entries))
        self.assertTrue(any("MESSAGE_ID" in e for e in entries))
        self.c.run("journalctl --update-catalog")
        explained = self.c.run("journalctl -x --no-pager DBRECONCILE_TARGET=absent").stdout
        self.assertIn("Defined-By: dbreconcile", explained)

    def test_6_watchdog(self):
        before = self.c.show("MainPID")
        self.c.run("kill -STOP " + before)
        wait_for("the watchdog", lambda: self.c.show("MainPID") not in (before, "0") and self.c.show("ActiveState") == "active", 60)
        self.assertEqual(self.c.show("NRestarts"), "1")
        self.assertIn("Watchdog timeout", self.c.run("journalctl --no-pager -u " + SERVICE).stdout)
        self.c.run("dbreconcilectl ping")
        # And a loop that turns is never taken for a dead one: it goes on being fed.
        begun = self.fed()
        wait_for("the watchdog to be fed for three of its spans", lambda: self.fed() > begun + 9, 30)
        self.assertEqual(self.c.show("NRestarts"), "1")

    def fed(self):
        return int(self.c.show("WatchdogTimestampMonotonic")) / 1e6

    def test_7_stop(self):
        begun = time.monotonic()
        self.c.run("systemctl stop dbreconciled-control.socket dbreconciled-metrics.socket " + SERVICE)
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual(self.c.show("Result"), "success")
        self.assertEqual(self.c.show("ExecMainStatus"), "0")
        self.assertEqual(self.c.run("dbreconcilectl ping", ok=False).returncode, 3)

    def test_8_without_socket_units(self):
        self.c.run("systemctl mask --now dbreconciled-control.socket dbreconciled-metrics.socket")
        self.c.run("systemctl start " + SERVICE)
        self.assertEqual(self.c.run("stat -c '%%a %%U' %s/control.sock" % self.c.run_dir).stdout.strip(), "660 dbreconcile")
        self.c.run("dbreconcilectl ping")
        self.c.run("systemctl kill -s KILL --kill-who=main " + SERVICE)
        wait_for("the restart", lambda: self.c.run("dbreconcilectl ping", ok=None).returncode == 0)
        self.c.run("systemctl stop " + SERVICE)
        self.c.run("systemctl unmask dbreconciled-control.socket dbreconciled-metrics.socket")

    def install_file(self, path, text, mode=0o640):
        """Readable for the service."""
        at = self.c.root / str(path).lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
        at.chmod(mode)
        self.c.run("chown root:dbreconcile %s" % path)

    def test_9_a_hook_runs_in_the_sandbox(self):
        """The dump of docs/migrations.md, with the password as a credential and the drop-in as it is installed."""
        if not self.c.server:
            self.skipTest("PostgreSQL 15 is not installed")
        etc = self.c.etc
        guide = (SOURCE / "docs/migrations.md").read_text()
        self.c.server.psql("CREATE DATABASE orders")
        self.install_file(etc / "hooks/dump", re.search(r"```sh\n(#!/bin/sh\n# /etc/dbreconcile/hooks/dump\n.*?)```", guide, re.S).group(1), 0o755)
        self.c.run("chmod 755 %s/hooks" % etc)
        self.install_file(etc / "manifests/platform.conf", 'roles: ( { name = "migrator"; login = true; password_credential = "migrator"; } );\n')
        self.install_file(etc / "manifests/orders.conf", 'schemas: ( { name = "app"; owner = "migrator"; } );\n')
        self.install_file(etc / "migrations/orders/V1__t.sql", "CREATE TABLE app.t (id int);\n")
        self.install_file(etc / "credentials/migrator", "secret\n", 0o600)
        self.install_file(etc / "dbreconciled.conf", '''daemon: { mode = "enforce"; interval = "60s"; };
servers: ( { name = "prod"; conninfo = "host=/srv/postgresql user=postgres"; manifests = [ "platform" ];
    databases = ( { name = "orders"; manifests = [ "orders" ];
        migrations: { directory = "orders"; user = "migrator"; password_credential = "migrator"; before = "%s/hooks/dump"; }; } ); } );
''' % etc)
        self.c.run("find %s/manifests %s/migrations -type d -exec chgrp dbreconcile {} + -exec chmod 750 {} +" % (etc, etc))
        self.c.run("install -d -o dbreconcile -g dbreconcile -m 700 /var/backups/dbreconcile")
        drop_ins = "/etc/systemd/system/dbreconciled.service.d/"
        self.install_file(drop_ins + "credential.conf", "[Service]\nLoadCredential=migrator:%s/credentials/migrator\n" % etc, 0o644)
        self.c.run("systemctl daemon-reload && systemctl start " + SERVICE)
        self.c.run("dbreconcilectl reconcile --wait", ok=False)
        shown = self.c.run("dbreconcilectl show prod/orders", ok=None).stdout
        self.assertIn("Read-only file system", shown)
        self.assertIn("blocked", shown)
        self.install_file(drop_ins + "hooks.conf", (SOURCE / "systemd/examples/hooks.conf").read_text(), 0o644)
        self.c.run("systemctl daemon-reload && systemctl restart " + SERVICE)
        self.c.run("dbreconcilectl reconcile --wait")
        self.assertEqual(self.c.run("cd /var/backups/dbreconcile && stat -c '%n %a %U' *").stdout, "orders-empty.dump 600 dbreconcile\n")
        self.assertEqual(self.c.run("head -c 5 /var/backups/dbreconcile/orders-empty.dump").stdout, "PGDMP")
        self.assertEqual(self.c.run("ls /var/lib/dbreconcile %s/lib/dbreconcile 2>/dev/null | grep -c pgpass" % make_variable("localstatedir"), ok=None).stdout, "0\n")
        self.c.run("systemctl stop " + SERVICE)

    def test_9_bad_configuration_is_not_tried_again(self):
        self.c.write_config("nonsense")
        self.c.run("systemctl start " + SERVICE, ok=False)
        self.assertEqual(self.c.show("ExecMainStatus"), "6")
        self.assertEqual(self.c.show("NRestarts"), "0")
        self.assertIn("dbreconciled.conf:1", self.c.journal())


if __name__ == "__main__":
    if sys.argv[1:] == ["--prepare"]:
        if not CACHE.is_dir():
            prepare()
        sys.exit(0)
    check_requirements()
    unittest.main(verbosity=2)
