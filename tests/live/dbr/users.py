# SPDX-License-Identifier: PostgreSQL
"""Running things as somebody else where we are root, and as ourselves where we are not."""

import os
import pwd
import re
import shutil
import tempfile

IS_ROOT = os.geteuid() == 0


def run_as(user):
    """Arguments for subprocess that start a program as `user` (None: as we are)."""
    if not IS_ROOT or user in (None, "root"):
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give_to(path, user):
    """Make `user` the owner of a file, or of a directory and all below it."""
    if not IS_ROOT or user is None:
        return
    entry = pwd.getpwnam(user)
    os.chown(path, entry.pw_uid, entry.pw_gid)
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            give_to(os.path.join(path, name), user)


MEMORY = "/dev/shm"
NEEDED = 3 << 30         # for each worker: five clusters, and one of them with two hundred databases


def _in_memory():
    """Whether clusters fit into memory: to make a database there costs a tenth of what it costs on most disks. $TMPDIR overrides."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return False
    with open("/proc/meminfo", encoding="ascii") as file:
        available = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))
    room = os.statvfs(MEMORY)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return not room.f_flag & os.ST_NOEXEC and min(available, room.f_bavail * room.f_frsize) > workers * NEEDED


def _remove_what_was_left():
    """What a run that was killed left in memory, which nobody would get back."""
    for entry in os.scandir(MEMORY):
        owner = re.fullmatch(r"dbr-(\d+)-\w+", entry.name)
        if owner and entry.stat(follow_symlinks=False).st_uid == os.geteuid() and not os.path.exists(f"/proc/{owner.group(1)}"):
            shutil.rmtree(entry.path, ignore_errors=True)


class Workspace:
    """A directory in memory or under /tmp that others may enter: short, because the path of a socket has 107 bytes at most."""

    def __init__(self):
        in_memory = _in_memory()
        if in_memory:
            _remove_what_was_left()
        self.path = tempfile.mkdtemp(prefix=f"dbr-{os.getpid()}-", dir=MEMORY if in_memory else None)
        os.chmod(self.path, 0o755)
        self.count = 0

    def directory(self, name, user=None):
        self.count += 1
        path = os.path.join(self.path, f"{name}{self.count}")
        os.mkdir(path, 0o755)
        give_to(path, user)
        return path

    def remove(self):
        if not os.environ.get("DBR_KEEP"):
            shutil.rmtree(self.path, ignore_errors=True)
