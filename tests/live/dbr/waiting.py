# SPDX-License-Identifier: PostgreSQL
"""Waiting for an event, with a deadline. No test sleeps for a fixed time."""

import os
import time

# Slow machines and sanitizers: one number stretches every deadline.
FACTOR = float(os.environ.get("DBR_DEADLINE_FACTOR", "1"))
# A deadline is written as it suits an idle machine, and says when a test gives up; how fast something is it does not say.
PATIENCE = 4


def seconds(deadline):
    return deadline * FACTOR * PATIENCE


def wait_for(predicate, deadline=10, what="", seen=None, every=0.02):
    """Call `predicate` until it returns something true, and return that.

    An AssertionError counts as "not yet", so a predicate may be a function full of asserts. When the deadline passes, the
    failure tells `what` was expected, what the predicate said last, and what `seen()` says, if given.
    """
    end = time.monotonic() + seconds(deadline)
    last = None
    while True:
        try:
            last = predicate()
            if last:
                return last
        except AssertionError as error:
            last = error
        if time.monotonic() >= end:
            break
        time.sleep(every)
    text = f"within {seconds(deadline):g} s expected: {what or predicate.__name__}\nlast answer: {last!r}"
    if isinstance(last, AssertionError):
        text = f"within {seconds(deadline):g} s expected: {what or predicate.__name__}\nlast answer: {last}"
    if seen is not None:
        text += f"\nseen: {seen()}"
    raise AssertionError(text)
