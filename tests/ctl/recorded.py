# SPDX-License-Identifier: PostgreSQL
"""A server of recorded documents on a Unix socket.

It stands in for the daemon where a test asks how dbreconcilectl prints a document or which exit code an answer becomes:
every document of data/ validates against the schemas, as the daemon's own answers have to (tests/live/test_ctl.py).
"""

import glob
import json
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, urlsplit

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def document(name):
    with open(os.path.join(HERE, "data", name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def schema(format_name):
    """The schema of a document, by its format: dbreconcile.status"""
    with open(os.path.join(TOP, "schemas", format_name.removeprefix("dbreconcile.") + ".json"), encoding="utf-8") as file:
        return json.load(file)


def documents():
    return sorted(os.path.basename(path)[:-5] for path in glob.glob(os.path.join(HERE, "data", "*.json")))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def answer(self, method):
        parts = urlsplit(self.path)
        self.server.recorded.requests.append((method, parts.path, parse_qs(parts.query)))
        status, body = self.server.recorded.routes.get((method, parts.path), (404, document("error-404")))
        if callable(body):
            body(self)
            return
        data = body.encode("utf-8") if isinstance(body, str) else json.dumps(body).encode("ascii")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class Recorded:
    """routes: {("GET", "/v1/status"): (200, document or text or function of the handler)}; requests: what was asked."""

    def __init__(self, path):
        self.path = path
        self.requests = []
        self.routes = {}
        self.server = _Server(path, _Handler)
        self.server.recorded = self
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()
        self.defaults()

    def get(self, path, body, status=200):
        self.routes["GET", path] = (status, body)

    def post(self, path, body, status=200):
        self.routes["POST", path] = (status, body)

    @staticmethod
    def target(name, *more):
        return "/".join(["/v1/targets", quote(name, safe=""), *more])

    def defaults(self):
        for name in ("status", "events", "config", "version", "ping"):
            self.get("/v1/" + name, document(name))
        for name in documents():
            if name.startswith("plan-"):
                plan = document(name)
                self.get(self.target(plan["target"], "plan"), plan)
        self.get(self.target("prod"), document("target"))
        self.get(self.target("prod/orders", "migrations"), document("migrations"))
        self.get("/v1/migrations", document("fleet"))
        self.post(self.target("eu/canary", "migrations", "release"), {**document("ack"), "action": "release"})
        self.post(self.target("eu/canary", "migrations", "accept-schema"), {**document("ack"), "action": "accept_schema"})
        self.post("/v1/reconcile", document("reconcile"))
        self.post("/v1/reload", document("reload"))
        self.post("/v1/undo/1234", document("undo"))
        for action in ("approve", "reject", "suspend", "resume"):
            self.post(self.target("prod", action), {**document("ack"), "action": action})

    def asked(self, method, path):
        return [query for m, p, query in self.requests if (m, p) == (method, path)]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        os.unlink(self.path)


if __name__ == "__main__":
    import sys

    recorded = Recorded(sys.argv[1])
    try:
        recorded.thread.join()
    except KeyboardInterrupt:
        recorded.stop()
