# SPDX-License-Identifier: PostgreSQL
"""What the live tests are made of: real servers, the real daemon, the real operator's tool, and a bad network."""

from .daemon import Daemon, Result, http
from .libconfig import libconfig
from .postgres import MAJORS, Postgres, bindir
from .proxy import Proxy
from .waiting import wait_for

__all__ = ["Daemon", "MAJORS", "Postgres", "Proxy", "Result", "bindir", "http", "libconfig", "wait_for"]
