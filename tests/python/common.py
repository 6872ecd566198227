# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""For the tests of the binding: devices of softverbs, waiting, what must not happen."""
import json
import os
import subprocess
import sys
import threading
import time
import unittest

import ibclient

PATIENCE = 60


def softverbs(*words):
    """The command of softverbs; what it said."""
    return subprocess.run([os.environ["IBC_TEST_SOFTVERBS"], *words], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def listed():
    lines = softverbs("list", "-j").splitlines()
    return [json.loads(line)["device"] for line in lines]


class Box:
    """What other threads put in, in order; wait() until it has something."""

    def __init__(self):
        self.items = []
        self._changed = threading.Condition()

    def put(self, *item):
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait(self, *item, times=1):
        with self._changed:
            if not self._changed.wait_for(
                    lambda: self.items.count(item) >= times, PATIENCE):
                raise AssertionError(f"no {item}, but {self.items}")

    def wait_for(self, true):
        """Until one of the items is so; that item."""
        def found():
            return next((i for i in self.items if true(i)), None)
        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, PATIENCE):
                raise AssertionError(f"not among {self.items}")
            return found()


def wait_until(true, what):
    """For what nobody tells of."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not so: {what}")
        time.sleep(0.005)


def in_threads(count, fn):
    """fn(number) in so many threads, begun together; their results."""
    gate = threading.Barrier(count)
    results = [None] * count

    def run(number):
        gate.wait()
        try:
            results[number] = fn(number)
        except BaseException as e:  # for the test to see
            results[number] = e

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            raise AssertionError("a thread does not end")
    return results


class TestCase(unittest.TestCase):
    """Two devices, soft0 and soft1; exceptions that nobody catches fail the test."""
    devices = ("soft0", "soft1")

    def setUp(self):
        self.assertEqual(listed(), [])
        for name in self.devices:
            softverbs("add", name)
        self.unraisable = []
        hook = sys.unraisablehook
        self.addCleanup(setattr, sys, "unraisablehook", hook)
        sys.unraisablehook = lambda args: self.unraisable.append(args.exc_value)
        self.seen = Box()
        self.registries = []

    def tearDown(self):
        for registry in self.registries:
            registry.close(PATIENCE)
        for name in listed():
            softverbs("remove", name, "--timeout", str(PATIENCE * 1000))
        self.assertEqual(self.unraisable, [])

    def open(self, **kwargs):
        """A registry of one's own."""
        kwargs.setdefault("shared", False)
        registry = ibclient.Registry(**kwargs)
        self.registries.append(registry)
        return registry

    def client(self, registry, name="test", **callbacks):
        """A client of which `seen` has the callbacks that are not given."""
        for what, fn in self.recorders().items():
            callbacks.setdefault(what, fn)
        return ibclient.Client(registry, name, **callbacks)

    def recorders(self):
        put = self.seen.put
        return {
            "add": lambda c, d: put("add", d.name),
            "remove": lambda c, d, value: put("remove", d.name, value),
            "gone": lambda c, d: put("gone", d.name),
            "rename": lambda c, d, old: put("rename", old, d.name),
            "event": lambda c, d, value, e: put("event", d.name, e.name, e.port),
        }

    def assertErrno(self, error, fn, *args, **kwargs):
        with self.assertRaises(OSError) as caught:
            fn(*args, **kwargs)
        self.assertEqual(caught.exception.errno, error, caught.exception)
        return caught.exception


def main():
    unittest.main(verbosity=2)
