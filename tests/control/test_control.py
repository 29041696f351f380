#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""control/ over a fake engine: every document against its schema, authority, malformed requests, floods."""
import fcntl
import grp
import http.client
import json
import os
import pathlib
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(os.environ.get("top_srcdir", ".")).resolve()
BUILD = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
DAEMON = BUILD / "tests/control/fake_daemon"
ORDERS = "/v1/targets/prod%2Forders"
PLAN = "0123456789abcdef"
HOSTILE = "/v1/targets/prod%2F%C3%9Cn%C3%AF%20%22q%22%5C%0A"

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)


def schema(name):
    return json.loads((SOURCE / "schemas" / (name + ".json")).read_text())


def validate(document):
    name = document["format"].split(".")[1]
    jsonschema.Draft202012Validator(schema(name)).validate(document)
    assert "canary" not in json.dumps(document), "a secret is in the document"


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout=20):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = unix(self.path, self.timeout)


def unix(path, timeout=20):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A timeout of Python's would make connect() non-blocking, and that fails at once while the queue is full.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(timeout), 0))
    sock.connect(str(path))
    sock.settimeout(timeout)
    return sock


class Answer:
    def __init__(self, response):
        self.code = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Daemon:
    def __init__(self, *arguments, extra="0", directory=None, limit=None):
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix="dbr-control-"))
        os.chmod(self.dir, 0o755)

        def prepare():
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        self.log = open(self.dir / "log", "w+")
        self.process = subprocess.Popen([str(DAEMON), str(self.dir), extra, *arguments], stdout=subprocess.PIPE, stderr=self.log,
                                        preexec_fn=prepare, text=True)
        self.control = self.dir / "control.sock"
        self.metrics = self.dir / "metrics.sock"
        assert self.process.stdout.readline() == "ready\n", self.stderr()

    def stderr(self):
        return pathlib.Path(self.log.name).read_text()

    def ask(self, method, path, body=None, sock=None, headers=None):
        connection = Connection(sock or self.control)
        connection.request(method, path, body=body, headers=headers or {})
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **kw):
        return self.ask("GET", path, **kw)

    def post(self, path, body=None):
        return self.ask("POST", path, body)

    def raw(self, data, sock=None):
        """Whatever is answered to these bytes, until the end of the connection."""
        client = unix(sock or self.control)
        out = b""
        try:
            client.sendall(data)
            while chunk := client.recv(65536):
                out += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        finally:
            client.close()
        return out

    def stop(self):
        """Ends the daemon: it must end well, under the sanitizers too; returns its last line."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        out = self.process.communicate(timeout=30)[0]
        err = self.stderr()
        self.log.close()
        shutil.rmtree(self.dir)
        assert self.process.returncode == 0, err
        assert "Sanitizer" not in err, err
        return out, err


class WithDaemon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = Daemon()

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def refused(self, answer, code, name):
        self.assertEqual(answer.code, code, answer.body)
        validate(answer.json)
        self.assertEqual(answer.json["error"]["code"], name)
        return answer.json["error"]["message"]


class Documents(WithDaemon):
    def document(self, path, name):
        answer = self.d.get(path)
        self.assertEqual(answer.code, 200, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["Connection"], "close")
        validate(answer.json)
        self.assertEqual(answer.json["format"], "dbreconcile." + name)
        self.assertEqual(answer.json["format_version"], "1.0")
        return answer.json

    def test_status(self):
        doc = self.document("/v1/status", "status")
        self.assertEqual([t["target"] for t in doc["targets"]][:3], ["prod", "prod/orders", "prod/stuck"])
        self.assertEqual(doc["summary"]["targets"], 5)
        self.assertEqual(doc["summary"]["held"], 1)
        held = doc["targets"][1]
        self.assertEqual((held["state"], held["drift"], held["held"], held["blocked"], held["plan"]), ("held", 4, 1, 1, PLAN))
        self.assertIsNone(doc["targets"][4]["last_attempt"])
        self.assertEqual(doc["targets"][0]["last_success"], "2026-11-21T09:30:00Z")
        self.assertEqual(doc["targets"][4]["suspended"], {"reason": "release", "until": None})
        self.assertIn("\\xff", doc["targets"][3]["target"])

    def test_status_of_some(self):
        doc = self.document("/v1/status?target=stage&target=prod%2Forders", "status")
        self.assertEqual([t["target"] for t in doc["targets"]], ["stage", "prod/orders"])
        self.assertEqual(doc["summary"]["targets"], 2)
        self.refused(self.d.get("/v1/status?target=nowhere"), 404, "not_found")

    def test_head(self):
        answer = self.d.ask("HEAD", "/v1/status")
        self.assertEqual((answer.code, answer.body), (200, b""))

    def test_targets(self):
        self.assertEqual(len(self.document("/v1/targets", "targets")["targets"]), 5)

    def test_target(self):
        doc = self.document(ORDERS, "target")
        self.assertEqual(doc["server_version"], "15.8")
        self.assertEqual(doc["drift_by_kind"], {"role": 1, "grant": 3})
        self.assertEqual({c["type"]: c["status"] for c in doc["conditions"]},
                         {"reachable": True, "in_sync": False, "approved": False, "unblocked": False, "migrated": False, "active": True,
                          "schema": False})
        self.assertNotIn("schema", {c["type"] for c in self.document("/v1/targets/prod", "target")["conditions"]})
        self.assertIn("\\xff", doc["blocked"][0]["reason"])
        self.assertTrue(doc["migrations"]["blocked"])
        for name in ("prod", "stage", "prod%2Fstuck"):
            self.document("/v1/targets/" + name, "target")

    def test_plan(self):
        doc = self.document(ORDERS + "/plan", "plan")
        self.assertEqual(doc["summary"], {"add": 1, "change": 1, "remove": 0, "held": 1, "blocked": 1, "unmanaged": 1})
        self.assertEqual(doc["plan"], PLAN)
        self.assertEqual(doc["looked_at"], "2026-11-21T09:30:00Z")
        grant, revoke, blocked, password = doc["changes"]
        self.assertEqual((grant["sign"], grant["kind"], grant["state"]), ("+", "grant", "ready"))
        self.assertEqual(grant["source"], {"file": "/etc/dbreconcile/manifests/orders.conf", "line": 7})
        self.assertIn("GRANT", grant["statements"][0])
        self.assertEqual((revoke["sign"], revoke["state"]), ("-", "held"))
        self.assertEqual(blocked["state"], "blocked")
        self.assertTrue(password["redacted"])
        self.assertIn("<redacted>", password["statements"][0])
        self.assertEqual(doc["unmanaged"][0]["description"], "intern holds SELECT on 12 tables in schema app")
        self.assertEqual(self.document(ORDERS + "/plan?sql=0", "plan")["changes"][0]["statements"], [])
        self.assertEqual(self.document("/v1/targets/prod/plan", "plan")["changes"], [])

    def test_fresh_plan_waits_for_a_look(self):
        self.document(ORDERS + "/plan?fresh=1", "plan")
        begun = time.monotonic()
        self.document("/v1/targets/prod%2Fstuck/plan?fresh=1&timeout=1", "plan")
        self.assertGreaterEqual(time.monotonic() - begun, 0.9)

    def test_migrations(self):
        doc = self.document(ORDERS + "/migrations", "migrations")
        self.assertEqual([m["state"] for m in doc["migrations"]], ["checksum_mismatch", "pending", "missing"])
        self.assertEqual(doc["migrations"][1]["type"], "repeatable")
        self.assertEqual(doc["migrations"][0]["execution_seconds"], 0.015)
        self.refused(self.d.get("/v1/targets/prod/migrations"), 404, "not_found")

    def test_schema_drift(self):
        for doc in (self.document(ORDERS + "/migrations", "migrations"), self.document(ORDERS, "target")):
            total, view, index = doc["schema_drift"]
            self.assertEqual((total["kind"], total["name"], total["change"]), ("column", "app.orders.total", "changed"))
            self.assertEqual(total["parts"], [{"part": "type", "before": "integer", "after": "bigint"},
                                              {"part": "default", "before": "0", "after": None}])
            self.assertEqual(view["parts"], [{"part": "definition", "before": None, "after": None}])
            self.assertEqual((index["change"], index["parts"]), ("added", []))
            self.assertEqual((doc["schema"]["watched"], doc["schema"]["drift"]), (["app"], 250))
            self.assertEqual((doc["schema"]["peers"]["databases"], doc["schema"]["peers"]["reference"]), (12, "prod/first"))
        self.assertIsNone(self.document("/v1/targets/prod", "target")["schema"])
        self.assertEqual(self.document("/v1/migrations", "fleet")["targets"][0]["schema"], {"drift": 250, "differs": 1, "reference": "prod/first"})
        metrics = self.d.get("/metrics").body.decode()
        self.assertIn('dbreconcile_schema_drift_objects{database="prod/orders"} 250\n', metrics)
        self.assertNotIn('dbreconcile_schema_drift_objects{database="prod"}', metrics)

    def test_accept_schema(self):
        answer = self.d.post("/v1/targets/prod%2Forders/migrations/accept-schema")
        self.assertEqual((answer.code, answer.json["action"]), (200, "accept_schema"))
        self.refused(self.d.post("/v1/targets/prod/migrations/accept-schema"), 409, "conflict")

    def test_fleet(self):
        rows = {row["target"]: row for row in self.document("/v1/migrations", "fleet")["targets"]}
        self.assertEqual(list(rows), ["prod/orders"], "only what has migrations")
        row = rows["prod/orders"]
        self.assertEqual((row["state"], row["wave"], row["soak_seconds"], row["version"], row["pending"]), ("blocked", 2, 600, "001", 1))
        self.assertEqual((row["waiting"]["reason"], row["waiting"]["for"], row["waiting"]["count"]), ("soaking", "prod/first", 3))
        self.assertEqual(self.document("/v1/status", "status")["targets"][1]["waiting"]["until"], row["waiting"]["until"])
        self.refused(self.d.get("/v1/migrations?target=nowhere"), 404, "not_found")

    def test_release(self):
        answer = self.d.post("/v1/targets/prod%2Forders/migrations/release")
        self.assertEqual((answer.code, answer.json["action"]), (200, "release"))
        self.refused(self.d.post("/v1/targets/prod/migrations/release"), 409, "conflict")

    def test_daemon(self):
        self.assertEqual(self.document("/v1/ping", "ping")["answer"], "pong")
        version = self.document("/v1/version", "version")
        self.assertRegex(version["libraries"]["libpq"], r"^\d+\.\d+$")
        self.assertEqual(self.document("/v1/config", "config")["file"], "/etc/dbreconcile/dbreconciled.conf")

    def test_spans_have_thousandths(self):
        """No digits of the binary number behind them, such as 138.10599999999999."""
        for _ in range(20):
            self.assertRegex(self.d.get("/v1/ping").body.decode(), r'"uptime_seconds":\d+(\.\d{1,3})?}')

    def test_undo(self):
        answer = self.d.post("/v1/undo/7")
        self.assertEqual(answer.code, 200, answer.body)
        validate(answer.json)
        self.assertEqual((answer.json["change"], answer.json["target"], answer.json["plan"]), (7, "prod/orders", PLAN))
        self.assertEqual(answer.json["next"], f"dbreconcilectl approve prod/orders {PLAN}")
        self.assertIn("change 7 touched", self.refused(self.d.post("/v1/undo/6"), 409, "conflict"))
        self.refused(self.d.post("/v1/undo/8"), 404, "not_found")
        for bad in ("x", "7x", "-7", "99999999999999999999", "7?plan=" + PLAN):
            self.refused(self.d.post("/v1/undo/" + bad), 400, "bad_request")
        self.refused(self.d.get("/v1/undo/7"), 405, "method_not_allowed")

    def test_access_of_what_was_not_looked_at(self):
        self.assertTrue(all(t["looked_at"] is None and t["entries"] == [] for t in self.document("/v1/access", "access")["targets"]))
        self.refused(self.d.get("/v1/access?role=a&object=b"), 400, "bad_request")
        self.refused(self.d.get("/v1/access?target=nowhere"), 404, "not_found")

    def test_import_needs_a_look(self):
        self.assertIn("not been looked at", self.refused(self.d.get("/v1/import/prod"), 409, "conflict"))
        self.refused(self.d.get("/v1/import/nowhere"), 404, "not_found")

    def test_unknown(self):
        self.refused(self.d.get("/v1/nothing"), 404, "not_found")
        self.assertIn("'nowhere'", self.refused(self.d.get("/v1/targets/nowhere"), 404, "not_found"))
        self.refused(self.d.get("/v1/targets/%zz"), 400, "bad_request")
        self.assertIn("unknown argument 'x'", self.refused(self.d.get("/v1/status?x=1"), 400, "bad_request"))
        for method, path, allow in (("PUT", "/v1/status", "GET, HEAD"), ("GET", "/v1/reload", "POST"), ("DELETE", ORDERS, "GET, HEAD"),
                                    ("PATCH", "/v1/reload", "POST"), ("OPTIONS", "/v1/status", "GET, HEAD")):
            answer = self.d.ask(method, path)
            self.refused(answer, 405, "method_not_allowed")
            self.assertEqual(answer.headers["Allow"], allow)

    def test_events(self):
        self.d.post(ORDERS + "/suspend?reason=a")
        self.d.post("/v1/targets/prod/suspend")
        self.d.post(ORDERS + "/resume")
        doc = self.document("/v1/events", "events")
        self.assertEqual(doc["last_id"], doc["events"][-1]["id"])
        self.assertTrue(all(a["id"] < b["id"] for a, b in zip(doc["events"], doc["events"][1:])))
        self.assertEqual(doc["events"][-1]["kind"], "resumed")
        self.assertEqual(doc["events"][-1]["actor"], "uid 0 (root)" if os.getuid() == 0 else doc["events"][-1]["actor"])
        self.assertEqual(doc["events"][-1]["message"], "caf\\xe9")
        one = self.document("/v1/events?target=prod", "events")["events"]
        self.assertEqual({e["target"] for e in one}, {"prod"})
        self.assertEqual(self.document("/v1/events?target=prod&target=prod", "events")["events"], one)
        two = self.document("/v1/events?target=prod&target=prod%2Forders&limit=2", "events")["events"]
        self.assertEqual([e["id"] for e in two], [e["id"] for e in doc["events"] if e["target"] in ("prod", "prod/orders")][-2:])
        self.assertEqual(self.document("/v1/events?after=%d" % doc["last_id"], "events")["events"], [])
        self.assertEqual(self.document("/v1/events?since=2099-01-01T00:00:00Z", "events")["events"], [])
        self.assertTrue(self.document("/v1/events?since=1h", "events")["events"])
        for bad in ("since=yesterday", "limit=0", "limit=-1", "limit=99999999", "after=x", "after=99999999999999999999"):
            self.refused(self.d.get("/v1/events?" + bad), 400, "bad_request")

    def test_follow(self):
        connection = Connection(self.d.control)
        connection.request("GET", "/v1/events?follow=1&target=stage")
        response = connection.getresponse()
        self.assertEqual(response.headers["Content-Type"], "application/x-ndjson")
        self.d.post("/v1/targets/prod/suspend")
        self.d.post("/v1/targets/stage/resume")
        self.d.post("/v1/targets/stage/suspend?reason=release")
        lines = [json.loads(response.readline()) for _ in range(2)]
        for line in lines:
            validate(line)
        self.assertEqual([(e["target"], e["kind"]) for e in lines], [("stage", "resumed"), ("stage", "suspended")])
        connection.close()
        last = self.d.get("/v1/events").json["last_id"]
        connection = Connection(self.d.control)
        connection.request("GET", "/v1/events?follow=1&after=%d" % (last - 1))
        self.assertEqual(json.loads(connection.getresponse().readline())["id"], last)
        connection.close()


class Orders(WithDaemon):
    def test_reconcile(self):
        answer = self.d.post("/v1/reconcile")
        self.assertEqual(answer.code, 202)
        validate(answer.json)
        self.assertEqual(len(answer.json["targets"]), 5)
        answer = self.d.post("/v1/reconcile?target=prod&target=prod%2Forders&target=prod&wait=1&timeout=10s")
        self.assertEqual(answer.code, 200)
        validate(answer.json)
        self.assertEqual((answer.json["waited"], answer.json["timed_out"]), (True, False))
        self.assertEqual([t["target"] for t in answer.json["targets"]], ["prod", "prod/orders"])

    def test_wait_ends_at_its_deadline(self):
        begun = time.monotonic()
        answer = self.d.post("/v1/reconcile", json.dumps({"target": "prod/stuck", "wait": "1500ms"}))
        self.assertEqual(answer.code, 200)
        validate(answer.json)
        self.assertTrue(answer.json["timed_out"])
        self.assertTrue(1.4 < time.monotonic() - begun < 5)

    def test_dry_run_only_looks(self):
        self.assertEqual(self.d.post("/v1/reconcile?dry_run=1&target=prod&wait=1").code, 200)
        self.assertEqual(self.d.get("/v1/events?target=prod").json["events"][-1]["kind"], "look")

    def test_arguments_in_every_form(self):
        for body in ("reason=because&for=2h", '{"reason": "because", "for": 7200}', '{"reason": "because", "for": "2h"}'):
            answer = self.d.post(ORDERS + "/suspend", body)
            self.assertEqual(answer.code, 200, answer.body)
            validate(answer.json)
            self.assertEqual(answer.json["action"], "suspend")
            self.assertIsNotNone(answer.json["until"])
            self.assertEqual(self.d.get(ORDERS).json["status"]["suspended"]["reason"], "because")
        self.assertEqual(self.d.post(ORDERS + "/resume").code, 200)
        again = self.d.post(ORDERS + "/resume")
        self.assertEqual((again.code, again.json["message"]), (200, "it was not suspended"))
        self.refused(self.d.post(ORDERS + "/suspend?for=soon"), 400, "bad_request")
        self.refused(self.d.post(ORDERS + "/suspend?reason=a", '{"reason": "b"}'), 400, "bad_request")
        self.refused(self.d.post(ORDERS + "/suspend", '{"reason": "b", "reason": "c"}'), 400, "bad_request")
        self.refused(self.d.post(ORDERS + "/suspend", '{"reason": ' + "[" * 1000), 400, "bad_request")

    def test_approve(self):
        answer = self.d.post(ORDERS + "/approve?plan=" + PLAN)
        self.assertEqual(answer.code, 200)
        validate(answer.json)
        self.assertEqual(answer.json["plan"], PLAN)
        self.assertIsNotNone(answer.json["until"])
        validate(self.d.post(ORDERS + "/reject", json.dumps({"plan": PLAN})).json)
        self.refused(self.d.post(ORDERS + "/approve?plan=" + PLAN[::-1]), 409, "conflict")
        for bad in ("", "?plan=", "?plan=12", "?plan=" + PLAN.upper(), "?plan=" + PLAN + "0"):
            self.refused(self.d.post(ORDERS + "/approve" + bad), 400, "bad_request")

    def test_ledger_orders(self):
        path = ORDERS + "/migrations/"
        for verb, query in (("baseline", "version=5"), ("repair", ""), ("resolve", "version=001&from_statement=2"),
                            ("resolve", "version=001&applied=1"), ("run", "version=001&out_of_order=1"), ("run", "version=001"),
                            ("undo", ""), ("undo", "version=001")):
            answer = self.d.post(path + verb + "?" + query)
            self.assertEqual(answer.code, 200, answer.body)
            validate(answer.json)
            self.assertEqual(answer.json["format"], "dbreconcile.ledger_order")
            self.assertEqual((answer.json["action"], answer.json["dry_run"], len(answer.json["changes"])), (verb, False, 1))
        self.assertTrue(self.d.post(path + "repair?dry_run=1").json["dry_run"])
        undone = self.d.post(path + "undo?dry_run=1").json
        self.assertEqual((undone["version"], undone["lint"][0]["rule"], undone["lint"][0]["script"]), ("001", "drop-table", "U001__users.sql"))
        for verb, query in (("baseline", ""), ("resolve", "version=1"), ("resolve", "version=1&applied=1&not_applied=1"),
                            ("resolve", "version=1&from_statement=0"), ("resolve", "version=1&from_statement=x"), ("run", ""),
                            ("repair", "version=1"), ("undo", "version=1&out_of_order=1")):
            self.refused(self.d.post(path + verb + "?" + query), 400, "bad_request")
        self.refused(self.d.post(path + "resolve?version=9&applied=1"), 409, "conflict")
        self.refused(self.d.post("/v1/targets/nowhere/migrations/repair"), 404, "not_found")

    def test_reload(self):
        answer = self.d.post("/v1/reload")
        self.assertEqual(answer.code, 200)
        validate(answer.json)
        (self.d.dir / "broken").touch()
        answer = self.d.post("/v1/reload")
        (self.d.dir / "broken").unlink()
        self.refused(answer, 422, "config_invalid")
        self.assertEqual([(e["file"], e["line"]) for e in answer.json["errors"]],
                         [("/etc/dbreconcile/dbreconciled.conf", 3), ("/etc/dbreconcile/dbreconciled.conf", 9)])
        self.assertIn("did you mean", answer.json["errors"][0]["hint"])


class Metrics(WithDaemon):
    def test_exposition(self):
        answer = self.d.get("/metrics", sock=self.d.metrics)
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        text = answer.body.decode()
        for line in ('dbreconcile_database_drift_objects{database="prod/orders",kind="grant"} 3',
                     'dbreconcile_database_in_sync{database="prod"} 1', 'dbreconcile_database_in_sync{database="prod/orders"} 0',
                     'dbreconcile_reconcile_duration_seconds_bucket{le="0.1"} 3',
                     'dbreconcile_reconcile_duration_seconds_bucket{le="+Inf"} 4', 'dbreconcile_reconcile_duration_seconds_sum 301.5',
                     'dbreconcile_ledger_migrations{database="prod/orders",state="checksum_mismatch"} 1',
                     'dbreconcile_migrations_waiting{database="prod/orders"} 1', 'dbreconcile_migrations_failed{database="prod/orders"} 0',
                     'dbreconcile_changes_applied_total{database="prod/orders",kind="grant"} 5',
                     'dbreconcile_databases 5', 'dbreconcile_event_loop_lag_seconds 0.001'):
            self.assertIn(line + "\n", text)
        self.assertIn('dbreconcile_reconcile_failures_total{database="prod/Ünï \\"q\\"', text)
        for name in ("start_time_seconds", "cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds"):
            self.assertRegex(text, r"(?m)^process_%s [0-9.e+]*[1-9][0-9.e+]*$" % name)

    def test_every_series_comes_once(self):
        lines = [l.rsplit(" ", 1)[0] for l in self.d.get("/metrics").body.decode().splitlines() if not l.startswith("#")]
        self.assertEqual(len(lines), len(set(lines)))

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool(self):
        text = self.d.get("/metrics", sock=self.d.metrics).body
        result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        self.assertEqual((result.returncode, result.stdout + result.stderr), (0, b""))

    def test_only_metrics_and_health(self):
        for path in ("/v1/status", "/v1/reload", "/v1/targets", "/"):
            for method in ("GET", "POST"):
                self.refused(self.d.ask(method, path, sock=self.d.metrics), 404, "not_found")
        self.refused(self.d.ask("POST", "/metrics", sock=self.d.metrics), 405, "method_not_allowed")
        self.assertEqual(self.d.get("/livez", sock=self.d.metrics).body, b"ok\n")
        self.assertIn(b"[+]", self.d.get("/readyz?verbose", sock=self.d.metrics).body)
        self.assertEqual(self.d.get("/healthz", sock=self.d.metrics).code, 200)

    def test_requests_are_counted(self):
        self.d.get("/v1/ping")
        self.d.get("/v1/nothing")
        text = self.d.get("/metrics").body.decode()
        self.assertRegex(text, r'control_requests_total{verb="ping",code="200"} [1-9]')
        self.assertRegex(text, r'control_requests_total{verb="other",code="404"} [1-9]')


class Malformed(WithDaemon):
    def tearDown(self):
        self.assertEqual(self.d.get("/v1/ping").code, 200)

    def test_nonsense(self):
        for data in (b"\r\n", b"\0" * 100, b"GET\r\n\r\n", b"GET /v1/ping\r\n\r\n", b"GET /v1/ping HTTP/9.9\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n",
                     b"FOO /v1/ping HTTP/1.1\r\n\r\n", b"GET /v1/ping HTTP/1.1\r\nbroken\r\n\r\n", b"CONNECT /v1/ping HTTP/1.1\r\n\r\n",
                     b"GET http://[::1/ HTTP/1.1\r\n\r\n", b"POST /v1/reload HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                     b"POST /v1/reload HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"POST /v1/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\x16\x03\x01\x02\x00\x01\x00"):
            client = unix(self.d.control)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            out = b""
            try:
                while chunk := client.recv(65536):
                    out += chunk
            except ConnectionResetError:
                pass
            client.close()
            self.assertNotRegex(out, rb"^HTTP/1.\d 2", data)

    def test_limits(self):
        out = self.d.raw(b"GET /v1/ping HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n")
        self.assertRegex(out, rb"^HTTP/1.1 4\d\d|^$")
        out = self.d.raw(b"GET /v1/" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n")
        self.assertRegex(out, rb"^HTTP/1.\d 4\d\d|^$")
        body = b'{"reason": "' + b"a" * 70000 + b'"}'
        out = self.d.raw(b"POST " + ORDERS.encode() + b"/suspend HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertIn(b" 413 ", out.split(b"\r\n")[0])

    def test_one_request_per_connection(self):
        one = b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"
        self.assertEqual(self.d.raw(one * 5).count(b"HTTP/1.1 200"), 1)
        out = self.d.raw(b"GET /v1/ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        self.assertEqual(out.count(b" 200 "), 1)

    def test_every_split(self):
        request = b"POST " + ORDERS.encode() + b"/suspend HTTP/1.1\r\nContent-Length: 8\r\n\r\nreason=x"
        for at in range(1, len(request), 3):
            client = unix(self.d.control)
            client.sendall(request[:at])
            client.sendall(request[at:])
            self.assertIn(b" 200 ", client.recv(65536))
            client.close()

    def test_leaving_early(self):
        # The sockets of the tests before may still be closing: what counts is that none of these stays.
        idle = self.sockets()
        for request in (b"GET /v1/events?follow=1 HTTP/1.1\r\n\r\n", b"POST /v1/reconcile?target=prod%2Fstuck&wait=60 HTTP/1.1\r\n\r\n",
                        b"GET /v1/status HTTP/1.1\r\n\r\n", b"GET /v1/st", b"", b"POST /v1/reload HTTP/1.1\r\nContent-Length: 10\r\n\r\na"):
            for _ in range(10):
                client = unix(self.d.control)
                client.sendall(request)
                client.close()
        # Answered in turn: now all of them were accepted, and none is still to come.
        self.assertEqual(self.d.get("/v1/ping").code, 200)
        deadline = time.monotonic() + 60
        while (left := self.sockets()) > idle and time.monotonic() < deadline:
            select.select([], [], [], 0.05)
        self.assertLessEqual(left, idle)

    def sockets(self):
        n = 0
        for fd in pathlib.Path("/proc/%d/fd" % self.d.process.pid).iterdir():
            try:
                n += os.readlink(fd).startswith("socket:")
            except FileNotFoundError:
                pass
        return n


class Floods(unittest.TestCase):
    def test_half_open_clients_do_not_keep_anybody_out(self):
        d = Daemon()
        idle = []
        try:
            for _ in range(400):
                client = unix(d.control)
                client.send(b"GET /v1/st")
                idle.append(client)
            self.assertEqual(d.get("/v1/ping").code, 200)
            # Evicted, and not dropped at their deadline.
            text = d.get("/metrics", sock=d.metrics).body.decode()
            self.assertGreater(int(re.search(r'rejected_total{reason="evicted"} (\d+)', text).group(1)), 300)
            self.assertLess(int(re.search(r"(?m)^process_open_fds (\d+)", text).group(1)), 64 + 40)
        finally:
            for client in idle:
                client.close()
            d.stop()

    def test_a_slow_client_is_dropped_at_its_deadline(self):
        d = Daemon()
        begun = time.monotonic()
        client = unix(d.control)
        ended = False
        try:
            # One byte now and then keeps every timeout of a read from firing; the absolute deadline is 10 s.
            while not ended and time.monotonic() - begun < 60:
                try:
                    client.send(b"G")
                except (BrokenPipeError, ConnectionResetError):
                    ended = True
                ready, _, _ = select.select([client], [], [], 0.3)
                ended = ended or (bool(ready) and client.recv(10) == b"")
            self.assertTrue(ended)
            text = d.get("/metrics", sock=d.metrics).body.decode()
            self.assertEqual(re.search(r'rejected_total{reason="deadline"} (\d+)', text).group(1), "1")
        finally:
            client.close()
            d.stop()

    def test_no_descriptors_left(self):
        d = Daemon(limit=24)
        clients = []
        try:
            for _ in range(60):
                client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                client.setblocking(False)
                try:
                    client.connect(str(d.control))
                except BlockingIOError:
                    client.close()
                    break
                clients.append(client)
            before = cpu(d.process.pid)
            select.select([], [], [], 1.5)           # the span over which idleness is measured
            self.assertLess(cpu(d.process.pid) - before, 0.4)
            for client in clients:
                client.close()
            clients = []
            self.assertEqual(d.get("/v1/ping").code, 200)
            text = d.get("/metrics").body.decode()
            self.assertGreater(int(re.search(r'rejected_total{reason="descriptors"} (\d+)', text).group(1)), 0)
        finally:
            for client in clients:
                client.close()
            _, err = d.stop()
        self.assertEqual(err.count("no file descriptor is free"), 1, err)

    def test_a_slow_reader_gets_all_and_a_stream_may_be_silent(self):
        """The timeouts of the HTTP library, five seconds without anything to read, ended both."""
        d = Daemon(extra="10000")
        connection = Connection(d.control)
        client = unix(d.control)
        try:
            connection.request("GET", "/v1/events?follow=1&target=stage")
            stream = connection.getresponse()
            client.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            begun, out = time.monotonic(), b""
            while chunk := client.recv(65536):
                out += chunk
                select.select([], [], [], max(0, begun + 7 * len(out) / 4e6 - time.monotonic()))
            self.assertEqual(len(json.loads(out.partition(b"\r\n\r\n")[2])["targets"]), 10005)
            self.assertGreater(time.monotonic() - begun, 6)
            d.post("/v1/targets/stage/suspend?reason=late")
            self.assertEqual(json.loads(stream.readline())["kind"], "suspended")
        finally:
            client.close()
            connection.close()
            d.stop()

    def test_a_large_fleet_delays_nobody(self):
        d = Daemon(extra="10000")
        try:
            doc = d.get("/v1/status").json
            self.assertEqual(len(doc["targets"]), 10005)
            validate(dict(doc, targets=doc["targets"][:50]))
            lines = d.get("/metrics", sock=d.metrics).body.decode().splitlines()
            self.assertEqual(sum(l.startswith("dbreconcile_database_reachable{") for l in lines), 10005)
        finally:
            out, _ = d.stop()
        longest = int(re.search(r"longest turn (\d+) ms", out).group(1))
        self.assertLess(longest, 2000)               # of the processor; 50 without sanitizers on a machine of today that is idle


def cpu(pid):
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Sockets(unittest.TestCase):
    def test_modes(self):
        d = Daemon()
        try:
            self.assertEqual(stat.S_IMODE(os.stat(d.control).st_mode), 0o660)
            self.assertEqual(stat.S_IMODE(os.stat(d.metrics).st_mode), 0o666)
        finally:
            d.stop()

    def test_second_instance_is_refused(self):
        d = Daemon()
        try:
            second = subprocess.run([str(DAEMON), str(d.dir)], capture_output=True, text=True, timeout=20)
            self.assertEqual(second.returncode, 1)
            self.assertIn("another dbreconciled runs", second.stderr)
            self.assertEqual(d.get("/v1/ping").code, 200)
        finally:
            d.stop()

    def test_listener_without_lock_is_respected(self):
        directory = tempfile.mkdtemp(prefix="dbr-control-")
        other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        other.bind(directory + "/control.sock")
        other.listen()
        result = subprocess.run([str(DAEMON), directory], capture_output=True, text=True, timeout=20)
        self.assertEqual(result.returncode, 1)
        self.assertIn("somebody listens on", result.stderr)
        other.close()
        # Now it is stale: a killed daemon leaves the same.
        d = Daemon(directory=directory)
        self.assertEqual(d.get("/v1/ping").code, 200)
        d.process.kill()
        d.process.wait()
        self.assertTrue(d.control.exists())
        d.process.stdout.close()
        d.log.close()
        d = Daemon(directory=directory)
        self.assertEqual(d.get("/v1/ping").code, 200)
        d.stop()

    def test_something_else_is_never_removed(self):
        for plant in (lambda p: p.write_text("x"), lambda p: p.mkdir(), lambda p: p.symlink_to("/dev/null")):
            directory = pathlib.Path(tempfile.mkdtemp(prefix="dbr-control-"))
            plant(directory / "control.sock")
            result = subprocess.run([str(DAEMON), str(directory)], capture_output=True, text=True, timeout=20)
            self.assertEqual(result.returncode, 1)
            self.assertIn("is not a socket", result.stderr)
            self.assertTrue(os.path.lexists(directory / "control.sock"))
            shutil.rmtree(directory)

    def test_unsafe_directory(self):
        directory = tempfile.mkdtemp(prefix="dbr-control-")
        os.chmod(directory, 0o777)
        result = subprocess.run([str(DAEMON), directory], capture_output=True, text=True, timeout=20)
        self.assertEqual(result.returncode, 1)
        self.assertIn("can be written by everybody", result.stderr)
        shutil.rmtree(directory)

    def listen_on(self, family, host, text):
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        d = Daemon("", "%s:%d" % (text, port))
        try:
            connection = http.client.HTTPConnection(host, port, timeout=20)
            connection.request("GET", "/metrics")
            self.assertIn(b"dbreconcile_build_info", connection.getresponse().read())
            connection = http.client.HTTPConnection(host, port, timeout=20)
            connection.request("POST", "/v1/reload")
            self.assertEqual(connection.getresponse().status, 404)
        finally:
            d.stop()

    def test_loopback_listener_of_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        self.listen_on(socket.AF_INET6, "::1", "[::1]")

    def test_loopback_listener(self):
        self.listen_on(socket.AF_INET, "127.0.0.1", "127.0.0.1")
        for bad in ("0.0.0.0:9187", "10.0.0.1:9187", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "localhost", "[::2]:9187", "[::1]:", "[::1]"):
            directory = tempfile.mkdtemp(prefix="dbr-control-")
            result = subprocess.run([str(DAEMON), directory, "0", "", bad], capture_output=True, text=True, timeout=20)
            self.assertEqual(result.returncode, 1, bad)
            self.assertIn("loopback", result.stderr)
            shutil.rmtree(directory)


class Activation(unittest.TestCase):
    def test_sockets_that_were_passed(self):
        """As systemd does it: descriptors from 3 on, their names beside them."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="dbr-control-"))
        sockets = []
        for name in ("given-control", "given-metrics"):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(str(directory / name))
            sock.listen()
            sockets.append(sock)

        def pass_on():
            # Copies first: a socket may have a number that another one is to get, whatever is open already.
            for n, copy in enumerate([fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, 100) for sock in sockets]):
                os.dup2(copy, 3 + n, inheritable=True)

        # The shell gives the environment the number that exec() keeps.
        process = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$1"', str(DAEMON), str(directory)], preexec_fn=pass_on,
                                   close_fds=False, stdout=subprocess.PIPE, text=True,
                                   env=dict(os.environ, LISTEN_FDS="2", LISTEN_FDNAMES="dbreconciled-metrics.socket:control"))
        try:
            self.assertEqual(process.stdout.readline(), "ready\n")
            self.assertEqual(sorted(p.name for p in directory.iterdir()), ["given-control", "given-metrics"])
            for name, path, code in (("given-metrics", "/v1/ping", 200), ("given-control", "/metrics", 200), ("given-control", "/v1/ping", 404)):
                connection = Connection(directory / name)
                connection.request("GET", path)
                self.assertEqual(connection.getresponse().status, code)
                connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
            for sock in sockets:
                sock.close()
        self.assertEqual(process.returncode, 0)
        self.assertTrue((directory / "given-control").exists())     # not ours to remove
        shutil.rmtree(directory)


def as_user(uid, gid, groups, function):
    """Runs function in a child with other rights; returns what it printed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            os.write(write, str(function()).encode())
        finally:
            os._exit(0)
    os.close(write)
    out = os.read(read, 65536).decode()
    os.close(read)
    os.waitpid(pid, 0)
    return out


@unittest.skipUnless(os.getuid() == 0, "needs root to ask as somebody else")
class Authority(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nobody = pwd.getpwnam("nobody")
        cls.group = grp.getgrnam("games")
        cls.d = Daemon("games")
        os.chmod(cls.d.control, 0o666)      # so that authority alone decides here

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def code(self, method, path, uid, gid, groups):
        return int(as_user(uid, gid, groups, lambda: self.d.ask(method, path).code))

    def test_socket_belongs_to_the_group(self):
        self.assertEqual(os.stat(self.d.control).st_gid, self.group.gr_gid)

    def test_every_route_for_everybody(self):
        text = (SOURCE / "src/control/routes.c").read_text()
        posts = re.findall(r'"POST", (DBR_PATH_\w+)(?: "([^"]*)")?', text)
        self.assertEqual(len(posts), 14)
        names = dict(re.findall(r'#define (DBR_PATH_\w+)\s+"([^"]+)"', (SOURCE / "include/dbreconcile/protocol.h").read_text()))
        uid, gid = self.nobody.pw_uid, self.nobody.pw_gid
        for name, rest in posts:
            path = names[name] + re.sub(r"{\w+}", "prod", rest)
            self.assertEqual(self.code("POST", path, uid, gid, []), 403, path)
            self.assertNotEqual(self.code("POST", path, uid, gid, [self.group.gr_gid]), 403, path)
            self.assertNotEqual(self.code("POST", path, uid, self.group.gr_gid, []), 403, path)
            self.assertNotEqual(self.code("POST", path, 0, 0, []), 403, path)
        self.assertEqual(self.code("GET", "/v1/status", uid, gid, []), 200)

    def test_refusal_comes_before_arguments(self):
        self.assertEqual(self.code("POST", ORDERS + "/approve?nonsense=1", self.nobody.pw_uid, self.nobody.pw_gid, []), 403)

    def test_a_user_added_to_the_group_later(self):
        """Membership by the user's entry counts, without a new login."""
        member = next((u for u in pwd.getpwall() if u.pw_gid == self.group.gr_gid and u.pw_uid != 0), None)
        if not member:
            self.skipTest("nobody is in group games here")
        self.assertEqual(self.code("POST", "/v1/reload", member.pw_uid, self.nobody.pw_gid, []), 200)

    def test_who_asked_is_recorded(self):
        self.code("POST", "/v1/targets/stage/resume", self.nobody.pw_uid, self.nobody.pw_gid, [self.group.gr_gid])
        actor = self.d.get("/v1/events?target=stage").json["events"][-1]["actor"]
        self.assertEqual(actor, "uid %d (nobody)" % self.nobody.pw_uid)
        self.d.post("/v1/targets/stage/suspend?reason=release")


if __name__ == "__main__":
    if not DAEMON.exists():
        subprocess.run(["make", "-s", "-C", str(BUILD), "tests/control/fake_daemon"], check=True, stdout=sys.stderr)
    unittest.main(verbosity=2)
