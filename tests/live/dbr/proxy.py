# SPDX-License-Identifier: PostgreSQL
"""A bad network between the daemon and a server: freezes, drops, delays, refuses."""

import os
import socket
import struct
import threading
import time

PROTOCOL_3 = 3 << 16


class _Link:
    """One client connection and its connection to the server."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.server = proxy.connect_upstream()
        self.database = None
        self.head = b""
        for source, sink, from_client in ((self.client, self.server, True), (self.server, self.client, False)):
            threading.Thread(target=self._pump, args=(source, sink, from_client), daemon=True).start()

    def _learn_database(self, data):
        # Skips SSLRequest and GSSENCRequest (8 bytes each); then the start-up packet names the database.
        self.head += data
        while len(self.head) >= 8:
            length, code = struct.unpack("!II", self.head[:8])
            if len(self.head) < length:
                return
            if code >> 16 == 3:
                words = self.head[8:length].split(b"\0")
                pairs = dict(zip(words[0::2], words[1::2]))
                self.database = pairs.get(b"database", pairs.get(b"user", b"")).decode()
                return
            self.head = self.head[max(length, 8):]

    def _pump(self, source, sink, from_client):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if from_client and self.database is None:
                    self._learn_database(data)
                self.proxy.pass_on(self, data, from_client)
                sink.sendall(data)
        except OSError:
            pass
        self.close()

    def close(self):
        for sock in (self.client, self.server):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.proxy.forget(self)


class Proxy:
    """Listens on `host` (a socket directory, port 5432) or with tcp=True on 127.0.0.1:`port`, and forwards to a Postgres.

    freeze() stops forwarding, for all or for one database; connections stay open and new ones are accepted and stay silent:
    what a firewall does that forgot a connection. drop() closes connections; refuse() stops listening; `delay` seconds are
    added to every packet. `watch` is called as watch(database, data, from_client) before bytes are passed on, and may call
    freeze() or drop() itself, for "lost exactly at COMMIT".
    """

    def __init__(self, server, workspace, tcp=False):
        self.upstream = os.path.join(server.host, f".s.PGSQL.{server.port}")
        self.lock = threading.Condition()
        self.links = set()
        self.accepted = 0
        self.frozen_all = False
        self.frozen = set()
        self.closed = False
        self.delay = 0
        self.watch = None
        self.tcp = tcp
        self.port = 5432
        self.host = "127.0.0.1" if tcp else workspace.directory("proxy")
        self.listener = None
        self.acceptor = None
        self.allow()

    def conninfo(self, dbname="postgres", user="postgres", **more):
        words = dict(host=self.host, port=self.port, dbname=dbname, user=user, **more)
        return " ".join(f"{name}={value}" for name, value in words.items())

    def connect_upstream(self):
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(self.upstream)
        return upstream

    # Faults

    def freeze(self, database=None):
        with self.lock:
            if database is None:
                self.frozen_all = True
            else:
                self.frozen.add(database)

    def thaw(self, database=None):
        with self.lock:
            if database is None:
                self.frozen_all = False
                self.frozen.clear()
            else:
                self.frozen.discard(database)
            self.lock.notify_all()

    def drop(self, database=None):
        """Close the connections there are (of one database, or all)."""
        with self.lock:
            links = [link for link in self.links if database is None or link.database == database]
        for link in links:
            link.close()
        return len(links)

    def refuse(self):
        """Stop listening: a server that is down. A drop() after it leaves no connection; before it, a client may come back."""
        listener, self.listener = self.listener, None
        if listener is not None:
            # shutdown() wakes the accepting thread; close() alone does not.
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            # Whatever was accepted is known from here on, so that a drop() finds it.
            if self.acceptor is not threading.current_thread():
                self.acceptor.join()
            listener.close()
            if not self.tcp:
                os.unlink(os.path.join(self.host, f".s.PGSQL.{self.port}"))

    def allow(self):
        """Listen (again), on the same address."""
        if self.tcp:
            listener = socket.socket(socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, 0 if self.port == 5432 else self.port))
            self.port = listener.getsockname()[1]
        else:
            path = os.path.join(self.host, f".s.PGSQL.{self.port}")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            os.chmod(path, 0o777)
        listener.listen(512)
        self.listener = listener
        self.acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self.acceptor.start()

    def close(self):
        self.refuse()
        with self.lock:
            self.closed = True
            self.lock.notify_all()
        self.drop()

    # Used by the links

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                link = _Link(self, client)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.accepted += 1
                self.links.add(link)

    def pass_on(self, link, data, from_client):
        if self.watch is not None:
            self.watch(link.database, data, from_client)
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            self.lock.wait_for(lambda: self.closed or not (self.frozen_all or link.database in self.frozen))
            if self.closed:
                raise OSError("proxy closed")

    def forget(self, link):
        with self.lock:
            self.links.discard(link)
