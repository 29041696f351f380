# SPDX-License-Identifier: PostgreSQL
"""Throw-away PostgreSQL clusters of every supported major version, on Unix sockets only."""

import os
import re
import shutil
import signal
import stat
import subprocess

import psycopg2

from .users import IS_ROOT, give_to, run_as
from .waiting import seconds, wait_for

MAJORS = [int(major) for major in os.environ.get("DBR_MAJORS", "14 15 16 17 18").split()]
OWNER = "postgres" if IS_ROOT else None

# What every test cluster runs with; a test's own settings come after and win. All statements go to the log, so that a
# test can ask the server what was sent. No autovacuum: it would move the snapshot that tests compare.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "autovacuum": "off",
    "log_statement": "all",
    "log_min_duration_statement": "-1",
    "log_line_prefix": "%m [%p] <%a|%d|%u> ",
    "logging_collector": "off",
    "log_destination": "stderr",
    "lc_messages": "C",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
}

DDL = re.compile(r"\b(CREATE|ALTER|DROP|GRANT|REVOKE|COMMENT ON|SECURITY LABEL|REASSIGN|INSERT|UPDATE|DELETE|TRUNCATE|DO)\b")
LOG_LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] <([^|]*)\|([^|]*)\|([^>]*)> (\w+):  (.*)$")
STATEMENT = re.compile(r"^(?:statement|execute [^:]*): (.*)$", re.S)


def quote_ident(name):
    return '"' + name.replace('"', '""') + '"'


def cache_dir():
    """The same place as tools/lib/cache.sh."""
    if os.environ.get("DBRECONCILE_CACHE"):
        return os.environ["DBRECONCILE_CACHE"]
    if IS_ROOT:
        return "/var/cache/dbreconcile"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dbreconcile")


def bindir(major):
    """Where initdb and postgres of this major version are."""
    places = [f"/usr/lib/postgresql/{major}/bin", f"{cache_dir()}/postgresql/{major}/bin"]
    for place in places:
        if os.access(os.path.join(place, "postgres"), os.X_OK):
            return place
    raise RuntimeError(f"no PostgreSQL {major} in {' or '.join(places)}: run tools/postgres-servers")


def _entries(top, below=""):
    """(path below top, (mode, size, time)) of everything there, directories before what is in them and without size and time."""
    for entry in os.scandir(os.path.join(top, below)):
        path = os.path.join(below, entry.name)
        status = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield path, (status.st_mode,)
            yield from _entries(top, path)
        else:
            yield path, (status.st_mode, status.st_size, status.st_mtime_ns)


def _delete(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):               # not with a directory above it
        os.unlink(path)


class Postgres:
    """One cluster. `host` is its socket directory, `port` is always 5432 (there is no TCP unless a test asks for it)."""

    port = 5432

    def __init__(self, major, workspace, settings=None):
        self.major = major
        self.bin = bindir(major)
        self.directory = workspace.directory(f"pg{major}-", OWNER)
        self.host = self.directory
        self.data = os.path.join(self.directory, "data")
        self.pristine = os.path.join(self.directory, "pristine")
        self.log_file = os.path.join(self.directory, "log")
        self.settings = dict(SETTINGS, **(settings or {}))
        self.process = None
        self.stopped = set()
        self.dirty = False
        self._initdb()
        self.start()

    def _run(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.directory, **run_as(OWNER))
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"

    def _initdb(self):
        self._run(os.path.join(self.bin, "initdb"), "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
                  "--locale=C.UTF-8", "--wal-segsize=1")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            for name, value in self.settings.items():
                conf.write(f"{name} = '{value}'\n")
            conf.write(f"unix_socket_directories = '{self.host}'\nport = {self.port}\n")
        self._run("cp", "-a", self.data, self.pristine)
        self.clean = dict(_entries(self.pristine))

    # Life

    def start(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([os.path.join(self.bin, "postgres"), "-D", self.data], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.directory, start_new_session=True, **run_as(OWNER))
        give_to(self.log_file, OWNER)
        wait_for(self._accepts, 30, f"PostgreSQL {self.major} accepts connections", self.log_tail)

    def _accepts(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL {self.major} ended with {self.process.returncode}:\n{self.log_tail()}")
        try:
            self.connect().close()
        except psycopg2.OperationalError as error:
            raise AssertionError(str(error)) from None
        return True

    def stop(self, how="fast"):
        """End the server: "smart", "fast" or "immediate". What was stopped with SIGSTOP runs again first."""
        if self.process is None:
            return
        for pid in list(self.stopped):
            self.resume_backend(pid)
        self.process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
        try:
            self.process.wait(seconds(30))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"PostgreSQL {self.major} did not stop ({how}):\n{self.log_tail()}") from None
        self.process = None

    def restart(self, how="fast"):
        self.stop(how)
        self.start()

    def reset(self):
        """Everything as initdb left it: same system identifier, empty log."""
        self.stop("immediate")
        self._restore()
        os.truncate(self.log_file, 0)
        self.start()
        self.dirty = False

    def _restore(self):
        """The data directory again as it was made. What has the size, time and mode that it had then was not written since:
        of a thousand files a test changes a few, and to copy them all would be most of the work of many tests."""
        for path in [path for path, what in _entries(self.data) if self.clean.get(path) != what]:
            _delete(os.path.join(self.data, path))
        for path, (mode, *_) in self.clean.items():
            source, target = os.path.join(self.pristine, path), os.path.join(self.data, path)
            if os.path.lexists(target):
                continue
            if stat.S_ISDIR(mode):
                os.mkdir(target)
                shutil.copystat(source, target)
            else:
                shutil.copy2(source, target)
            owner = os.stat(source)
            os.chown(target, owner.st_uid, owner.st_gid)

    def remove(self):
        self.stop("immediate")
        if not os.environ.get("DBR_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def reload(self):
        """Reload the configuration and wait until a new connection runs under it."""
        before = self.value("SELECT pg_conf_load_time()")
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.value("SELECT pg_conf_load_time()") > before, 10, "the server has reloaded its configuration")

    def set_hba(self, *lines):
        """Replace pg_hba.conf; a line for `postgres` over the socket always stands first."""
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as hba:
            hba.write("\n".join(("local all postgres trust",) + lines) + "\n")
        self.reload()

    def require_passwords(self):
        """Everybody but postgres has to log in with a SCRAM password."""
        self.set_hba("local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256")

    # Talking to it

    def conninfo(self, dbname="postgres", user="postgres", **more):
        """For the daemon's configuration. Values must not need quoting."""
        words = dict(host=self.host, port=self.port, dbname=dbname, user=user, **more)
        return " ".join(f"{name}={value}" for name, value in words.items())

    def connect(self, dbname="postgres", user="postgres", password=None, autocommit=True, **more):
        connection = psycopg2.connect(host=self.host, port=self.port, dbname=dbname, user=user, password=password,
                                      connect_timeout=60, **{"application_name": "test", **more})
        connection.autocommit = autocommit
        return connection

    def sql(self, query, args=None, dbname="postgres", user="postgres", password=None, **more):
        """Run one query (or several without arguments) and return the rows of the last one; [] without rows."""
        connection = self.connect(dbname, user, password, **more)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, args)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, query, args=None, **where):
        rows = self.sql(query, args, **where)
        assert len(rows) == 1 and len(rows[0]) == 1, f"one value expected from {query!r}, got {rows!r}"
        return rows[0][0]

    def allowed(self, query, dbname="postgres", user="postgres", password=None):
        """Whether the role may run this: False on insufficient_privilege, any other error passes through."""
        try:
            self.sql(query, dbname=dbname, user=user, password=password)
        except psycopg2.errors.InsufficientPrivilege:
            return False
        return True

    def create_database(self, name, *statements):
        self.sql("CREATE DATABASE " + quote_ident(name))
        for statement in statements:
            self.sql(statement, dbname=name)
        return name

    # Faults

    def backends(self, dbname=None, application_name="dbreconciled"):
        """Process ids of the backends of this application (a prefix), in one database or in all."""
        return [row[0] for row in self.sql(
            "SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, %s) AND (%s IS NULL OR datname = %s) "
            "AND pid <> pg_backend_pid() ORDER BY pid", (application_name, dbname, dbname))]

    def kill_backends(self, dbname=None, application_name="dbreconciled"):
        """End them, and wait until they are gone: the signal alone is not yet the end."""
        pids = self.backends(dbname, application_name)
        self.sql("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", (pids,))
        wait_for(lambda: not self.sql("SELECT pid FROM pg_stat_activity WHERE pid = ANY (%s)", (pids,)), 10, "the backends are gone", self.log_tail)
        return pids

    def stop_backend(self, pid):
        """Freeze one backend (SIGSTOP). It runs again before the cluster ends."""
        os.kill(pid, signal.SIGSTOP)
        self.stopped.add(pid)

    def resume_backend(self, pid):
        self.stopped.discard(pid)
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    # What the server saw

    def log_mark(self):
        """A place in the server's log, for log_since() and statements()."""
        return os.path.getsize(self.log_file)

    def log_since(self, mark=0):
        with open(self.log_file, "rb") as log:
            log.seek(mark)
            return log.read().decode("utf-8", "replace")

    def log_tail(self, lines=40):
        if not os.path.exists(self.log_file):
            return "(removed)"
        return "\n".join(self.log_since().splitlines()[-lines:])

    def statements(self, mark=0, application_name="dbreconciled"):
        """[(database, user, statement)] that an application (a prefix) sent since the mark, as the server logged them."""
        found, current = [], None
        for line in self.log_since(mark).splitlines():
            match = LOG_LINE.match(line)
            if match is None:
                if current is not None:
                    current[2] += "\n" + line.removeprefix("\t")
                continue
            current = None
            _pid, application, database, user, level, text = match.groups()
            statement = STATEMENT.match(text)
            if level == "LOG" and statement and application.startswith(application_name):
                current = [database, user, statement.group(1)]
                found.append(current)
        return [tuple(item) for item in found]

    def changes(self, mark=0, application_name="dbreconciled"):
        """Those of statements() that change something: for "a second pass sends no DDL"."""
        return [item for item in self.statements(mark, application_name) if _is_change(item[2])]


def _is_change(statement):
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", " ", statement, flags=re.S)
    return not re.match(r"\s*(BEGIN|START TRANSACTION)\b[^;]*$", bare, re.I) and DDL.search(bare.upper()) is not None
