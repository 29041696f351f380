# SPDX-License-Identifier: PostgreSQL
"""Migrations against psql and dbmate, in one run: `tools/bench migrations` calls this with everything running.

apply     100 trivial files on an empty database. What is compared is how long each program's session lasted, as the server
          logs it: connect, lock, ledger, files, disconnect. psql runs the same files in one session, a transaction each,
          without any ledger.
check     1,000 files applied, nothing to do. What the daemon's pass takes longer than over the same database without
          migrations, against the bare query of the ledger on a kept connection. The programs that are started for it are
          shown by their wall time.
"""

import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time

HOST, CONTROL, PROGRAMS, LOG, FILES, DBMATE, RUNS = sys.argv[1:7] + [int(sys.argv[7])]


class Control(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost", timeout=300)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(CONTROL)


def ask(method, path):
    connection = Control()
    connection.request(method, path)
    answer = connection.getresponse()
    document = json.loads(answer.read())
    assert answer.status < 300, document
    return document


def reconcile(target):
    ask("POST", f"/v1/reconcile?target={target.replace('/', '%2F')}&wait=1&timeout=300s")
    document = ask("GET", f"/v1/targets/{target.replace('/', '%2F')}")
    assert document["status"]["state"] == "in_sync", json.dumps(document["status"], indent=1)
    return document["last_duration_seconds"] * 1000


def psql(database, *args, text=None):
    return subprocess.run(["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-U", "postgres", "-d", database, *args],
                          input=text, text=True, capture_output=True, check=True).stdout


def session_ms(database, application):
    """The last session of a program, from the server's log; it is written at the end of the session."""
    pattern = re.compile(r"<%s\|%s> LOG:  disconnection: session time: (\d+):(\d+):([\d.]+)" % (re.escape(application), database))
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open(LOG, encoding="utf-8", errors="replace") as log:
            found = pattern.findall(log.read())
        if found:
            hours, minutes, seconds = found[-1]
            return (int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000
        time.sleep(0.02)
    raise SystemExit(f"the server's log shows no session of {application} in {database}")


def line(name, values):
    print(f"  {name:<52} {statistics.median(values):9.2f} {min(values):9.2f} {max(values):9.2f}")


def verdict(name, ratio, goal):
    print(f"  {name:<52} {ratio:9.2f} {'':>19}  <= {goal:.2f}  {'met' if ratio <= goal else 'MISSED'}", flush=True)


def ratio(a, b):
    return statistics.median(a) / statistics.median(b)


def dropped(database, ms):
    """Else the daemon looks at the databases of all runs before while it runs the files of this one."""
    psql("postgres", "-c", f"DROP DATABASE {database} WITH (FORCE)")
    return ms


def apply_dbmate(run):
    database = f"dbmate_{run}"
    psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE empty")
    began = time.monotonic()
    subprocess.run([DBMATE, "--no-dump-schema", "--url", f"postgres://postgres@localhost/{database}?host={HOST}&sslmode=disable",
                    "--migrations-dir", os.path.join(FILES, "dbmate"), "up"], check=True, capture_output=True, text=True)
    return dropped(database, (time.monotonic() - began) * 1000)


def apply_psql(run):
    database = f"psql_{run}"
    psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE empty")
    names = sorted(os.listdir(os.path.join(FILES, "hundred")))
    script = "".join(f"BEGIN;\n\\i {FILES}/hundred/{name}\nCOMMIT;\n" for name in names)
    psql(database, text="SET lock_timeout = '5s';\n" + script)
    return dropped(database, session_ms(database, "psql"))


def apply_daemon(run):
    database = f"hundred_{run}"
    psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE empty")
    reconcile("bench")
    began = time.monotonic()
    while time.monotonic() < began + 60:
        rows = [r for r in ask("GET", "/v1/status")["targets"] if r["target"] == f"bench/{database}"]
        if rows and rows[0]["state"] == "in_sync":
            break
        time.sleep(0.05)
    assert psql(database, "-c", "SELECT count(*) FROM dbreconcile.migration_ledger WHERE success").strip() == "100"
    return dropped(database, session_ms(database, "dbreconciled migrations"))


def bench_apply():
    rows = {"psql": [], "daemon": [], "dbmate": []}
    for run in range(RUNS):
        rows["psql"].append(apply_psql(run))
        rows["daemon"].append(apply_daemon(run))
        if DBMATE:
            rows["dbmate"].append(apply_dbmate(run))
    print(f"  {'100 trivial migrations, ms':<52} {'median':>9} {'min':>9} {'max':>9}")
    line("psql, session, a transaction each, no ledger", rows["psql"])
    line("daemon, session of the migration user, with ledger", rows["daemon"])
    if DBMATE:
        line("dbmate up, whole program", rows["dbmate"])
    verdict("daemon / psql", ratio(rows["daemon"], rows["psql"]), 1.3)


class LedgerQuery:
    """Milliseconds of each run as psql's \\timing has them: sent, executed, fetched; on one connection, prepared."""
    QUERY = ("SELECT installed_rank, version, description, type, script, checksum, installed_by, installed_on, execution_time, success "
             "FROM dbreconcile.migration_ledger ORDER BY installed_rank")

    def __init__(self):
        self.psql = subprocess.Popen(["stdbuf", "-oL", "psql", "-X", "-q", "-At", "-h", HOST, "-U", "postgres", "-d", "thousand"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.psql.stdin.write(f"PREPARE q AS {self.QUERY};\n\\o /dev/null\nEXECUTE q;\n\\timing on\n")

    def run(self):
        self.psql.stdin.write("EXECUTE q;\n")
        self.psql.stdin.flush()
        while not (found := re.match(r"Time: ([\d.]+) ms", self.psql.stdout.readline())):
            pass
        return float(found.group(1))


def timed(*command):
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return (time.monotonic() - began) * 1000


def bench_check():
    psql("postgres", "-c", "CREATE DATABASE thousand TEMPLATE empty")
    reconcile("bench")
    reconcile("bench/thousand")
    assert psql("thousand", "-c", "SELECT count(*) FROM dbreconcile.migration_ledger WHERE success").strip() == "1000"
    psql("postgres", "-c", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'thousand'")
    psql("postgres", "-c", "CREATE DATABASE plain TEMPLATE thousand")
    reconcile("bench")
    runs = max(RUNS * 5, 51)
    for target in ("bench/plain", "bench/thousand"):
        for _ in range(5):
            reconcile(target)
    # In turn, so that whatever else the machine does hits all.
    plain, full, bare = [], [], []
    query = LedgerQuery()
    for _ in range(runs):
        plain.append(reconcile("bench/plain"))
        full.append(reconcile("bench/thousand"))
        bare.append(query.run())
    query.psql.communicate()
    extra = [b - a for a, b in zip(plain, full)]
    print(f"  {'nothing to do, 1,000 applied, ms':<52} {'median':>9} {'min':>9} {'max':>9}")
    line("the ledger's query, kept connection", bare)
    line("daemon, pass over the database without migrations", plain)
    line("daemon, pass with them", full)
    line("  the check", extra)
    line("psql, whole program, the ledger's query", [timed("psql", "-X", "-h", HOST, "-U", "postgres", "-d", "thousand", "-o", "/dev/null", "-c",
                                                           "SELECT * FROM dbreconcile.migration_ledger") for _ in range(RUNS)])
    line("dbreconcilectl migrations bench/thousand", [timed(os.path.join(PROGRAMS, "dbreconcilectl"), "-s", CONTROL, "migrations",
                                                            "bench/thousand") for _ in range(RUNS)])
    verdict("the check / the ledger's query", ratio(extra, bare), 1.5)


bench_apply()
bench_check()
