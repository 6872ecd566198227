# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""What is forgotten, the end of the interpreter, fork, and what a process is left with."""
import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import warnings
import weakref

import ibclient
from common import PATIENCE, TestCase, listed, main, softverbs, wait_until

START = """
import os, sys, threading, ibclient
def open(**kwargs):
    r = ibclient.Registry(**kwargs)
    c = ibclient.Client(r, "end", add=lambda c, d: print("add", d.name),
        remove=lambda c, d, v: print("remove", d.name, v),
        event=lambda c, d, v, e: print("event"),
        alloc=lambda c, d: "data", free=lambda c, d, v: print("free", v))
    return r, c
"""


class End(TestCase):
    devices = ("soft0",)

    def run_python(self, code, status=0, *options):
        """What it printed. It ends in time, and by itself."""
        done = subprocess.run(
            [sys.executable, "-u", *options, "-c", START + code],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=PATIENCE)
        self.assertEqual(done.returncode, status, done)
        self.stderr = done.stderr
        return done.stdout.splitlines()

    whole = ["add soft0", "remove soft0 data", "free data"]

    def test_with_all_left_open(self):
        for kind in ("", "shared=False", "manual=True", "num_threads=3"):
            said = self.run_python(f"""
r, c = open({kind})
c.alloc_or_get(r.device("soft0")).release()
h = r.device("soft0").on_event(print)
""")
            self.assertEqual(said, self.whole, kind)

    def test_by_an_exception_or_exit(self):
        for end, status in (("sys.exit(3)", 3), ("raise ValueError", 1)):
            said = self.run_python(f"""
r, c = open()
c.alloc_or_get(r.device("soft0")).release()
{end}
""", status)
            self.assertEqual(said, self.whole)

    def test_with_pyverbs_left_open(self):
        said = self.run_python("""
r, c = open()
context = r.device("soft0").pyverbs_context()
with r.device("soft0").pd() as shared:
    pd = shared.pyverbs_pd(context)
""")
        self.assertEqual(said, ["add soft0", "remove soft0 None"])
        self.assertNotIn("rror", self.stderr)

    def test_with_data_that_is_held(self):
        said = self.run_python("""
import ibclient._registry
ibclient._registry._PATIENCE = 0.5
r, c = open()
sys.held = c.alloc_or_get(r.device("soft0"))
""")
        self.assertEqual(said[:2], self.whole[:2])

    def test_at_once(self):
        said = self.run_python("""
r, c = open()
print("end")
os._exit(4)
""", 4)
        self.assertEqual(said, ["add soft0", "end"])

    def test_while_events_come(self):
        # a storm, and threads of Python's that are in the middle of everything
        for _ in range(5):
            self.run_python("""
import subprocess
r, c = open(num_threads=2)
device = r.device("soft0")
device.on_event(lambda d, e: None)
seen = threading.Event()
ibclient.Client(r, "seen", event=lambda c, d, v, e: seen.set())
def use():
    while True:
        try:
            c.alloc_or_get(device).release()
        except OSError:
            return
for _ in range(3):
    threading.Thread(target=use, daemon=True).start()
storm = subprocess.Popen([os.environ["IBC_TEST_SOFTVERBS"], "event", "soft0",
                          "SM_CHANGE", "--count", "20000"])
seen.wait()
storm.kill()
storm.wait()
""")

    def test_killed_in_the_middle(self):
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", START + 'open(); input()'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "add soft0\n")
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        process.stdin.close()
        process.stdout.close()

    def test_fork(self):
        said = self.run_python("""
r, c = open()
device = r.device("soft0")
ref = c.alloc_or_get(device)
context = device.pyverbs_context()
child = os.fork()
if not child:
    for fn in (r.devices, r.rescan, r.stats, c.unregister_async,
               lambda: c.get(device), device.wait_drained,
               lambda: ibclient.Client(r, "child")):
        try:
            fn()
            print("no error of", fn)
        except OSError as e:
            if e.errno != 10:
                print(fn, e)
    r.close()
    with ibclient.Registry() as own:
        ibclient.Client(own, "child")
        print([d.name for d in own.devices()])
    sys.exit(7)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ref.release()
context.close()
r.close()
""")
        self.assertEqual(said, ["add soft0", "['soft0']", "child 7",
                                "remove soft0 data", "free data"])

    def test_fork_with_all_left_open(self):
        said = self.run_python("""
r, c = open(num_threads=2)
child = os.fork()
if not child:
    sys.exit(7)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""")
        self.assertEqual(said, ["add soft0", "child 7", "remove soft0 None"])


class Forgotten(TestCase):
    devices = ("soft0",)

    def forget(self, tie):
        """A registry in a cycle with all that it knows; a weak reference to it."""
        registry = ibclient.Registry(shared=False)
        client = self.client(registry, alloc=lambda c, d: [d, c])
        device = registry.device("soft0")
        handler = device.on_event(lambda d, e: None)
        with client.alloc_or_get(device) as value:
            value.extend([registry, handler])
        tie(registry, client, device)
        return weakref.ref(registry)

    def collected(self, ref):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gc.collect()
        self.assertEqual([w.category for w in caught], [ResourceWarning])
        self.assertIn("was not closed", str(caught[0].message))
        self.seen.wait_for(lambda i: i[:2] == ("remove", "soft0"))

        def freed():
            gc.collect()
            return ref() is None
        wait_until(freed, "the registry is freed")

    def test_a_cycle_is_collected(self):
        self.collected(self.forget(lambda *all: None))

    def test_with_a_reference_in_the_cycle(self):
        def tie(registry, client, device):
            registry.mine = client.get(device)
        self.collected(self.forget(tie))

    def test_with_pyverbs_in_the_cycle(self):
        def tie(registry, client, device):
            registry.context = device.pyverbs_context()
            with device.pd() as pd:
                registry.pd = pd.pyverbs_pd(registry.context)
        self.collected(self.forget(tie))

    def test_in_a_callback(self):
        registry = self.open()

        def event(client, device, value, event):
            self.forget(lambda *all: None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gc.collect()
            self.seen.put("collected")

        self.client(registry, event=event)
        softverbs("event", "soft0", "SM_CHANGE")
        self.seen.wait("collected")
        self.seen.wait_for(lambda i: i[:2] == ("remove", "soft0"))


class Left(TestCase):
    """What is there after many rounds is what was there after some."""
    devices = ("soft0",)
    ROUNDS = 1000

    def round(self, number):
        with ibclient.Registry(shared=False, manual=number % 2) as registry:
            client = ibclient.Client(registry, "round",
                                     add=lambda c, d: c.alloc_or_get(d).release(),
                                     remove=lambda c, d, v: None,
                                     alloc=lambda c, d: d.pyverbs_context(),
                                     free=lambda c, d, v: v.close())
            device = registry.device("soft0")
            with device.on_event(print), client.get(device), device.pd() as pd:
                with pd.pyverbs_context() as context:
                    for _ in range(5):
                        pd.pyverbs_pd(context).close()
            try:
                registry.device("none")
            except OSError as e:
                assert e.errno == errno.ENODEV
            client.set(device, None)
            client.unregister()

    @staticmethod
    def there():
        gc.collect()
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
        return (len(gc.get_objects()), len(os.listdir("/proc/self/fd")),
                threading.active_count(), len(os.listdir("/proc/self/task")),
                pages * resource.getpagesize())

    def test_nothing(self):
        for number in range(self.ROUNDS // 5):
            self.round(number)
        before = self.there()
        for number in range(self.ROUNDS):
            self.round(number)
        after = self.there()
        print(f"measured: {self.ROUNDS} rounds: objects {before[0]} to {after[0]}, "
              f"resident {before[4] >> 10} to {after[4] >> 10} KiB")
        # a few objects come and go in Python itself; one a round would be 1000
        self.assertLess(after[0] - before[0], 100)
        self.assertEqual(after[1:4], before[1:4])
        # 300 bytes a round
        self.assertLess(after[4] - before[4], 300 * 1024)
        self.assertEqual(listed(), ["soft0"])


if __name__ == "__main__":
    main()
