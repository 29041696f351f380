# SPDX-License-Identifier: PostgreSQL
"""Running things as somebody else where we are root, and as ourselves where we are not."""

import os
import pwd
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


class Workspace:
    """A directory under /tmp that others may enter: short, because the path of a socket has 107 bytes at most."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="dbr-")
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
