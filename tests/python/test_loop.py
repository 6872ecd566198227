# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Registries without a thread: dispatch(), selectors, asyncio, signals."""
import asyncio
import os
import selectors
import signal
import threading
import time

import ibclient
from common import PATIENCE, TestCase, main, softverbs


class Manual(TestCase):
    devices = ("soft0",)

    def dispatch_until(self, registry, *item):
        end = time.monotonic() + PATIENCE
        while item not in self.seen.items:
            self.assertLess(time.monotonic(), end, self.seen.items)
            registry.dispatch(1)

    def test_callbacks_run_in_dispatch(self):
        registry, threads = self.open(manual=True), []
        self.assertTrue(registry.manual)
        self.client(registry, add=lambda c, d: (
            threads.append(threading.get_ident()), self.seen.put("add", d.name)))
        softverbs("add", "soft1")
        self.assertNotIn(("add", "soft1"), self.seen.items)
        self.dispatch_until(registry, "add", "soft1")
        self.assertEqual(set(threads), {threading.get_ident()})

    def test_nothing_comes(self):
        calls = []

        class Counting(ibclient.Registry):
            def _dispatch(self):
                calls.append(self)
                return super()._dispatch()

        with Counting(manual=True) as registry:
            self.client(registry)
            while registry.dispatch():
                pass
            calls.clear()
            self.assertFalse(registry.dispatch(0.02))
            self.assertLess(len(calls), 5)  # it does not spin

    def test_selectors(self):
        registry = self.open(manual=True)
        self.client(registry)
        with selectors.DefaultSelector() as selector:
            selector.register(registry, selectors.EVENT_READ)
            softverbs("event", "soft0", "SM_CHANGE")
            while ("event", "soft0", "SM_CHANGE", 1) not in self.seen.items:
                self.assertTrue(selector.select(PATIENCE), self.seen.items)
                registry.dispatch()

    def test_asyncio(self):
        async def lives():
            loop = asyncio.get_running_loop()
            came, went = asyncio.Event(), asyncio.Event()
            registry = self.open(manual=True)
            self.client(registry, gone=lambda c, d: went.set(), add=lambda c, d:
                        came.set() if d.name == "soft1" else None)
            loop.add_reader(registry, registry.dispatch)
            for command, event in (("add", came), ("remove", went)):
                process = await asyncio.create_subprocess_exec(
                    os.environ["IBC_TEST_SOFTVERBS"], command, "soft1")
                await asyncio.wait_for(event.wait(), PATIENCE)
                self.assertEqual(await process.wait(), 0)
            loop.remove_reader(registry)
            registry.close()

        asyncio.run(lives())

    def test_a_signal_interrupts(self):
        registry = self.open(manual=True)
        self.client(registry)
        while registry.dispatch():
            pass
        self.interrupted(lambda: registry.dispatch(None))

    def test_a_signal_interrupts_other_waits(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: object())
        device = registry.device("soft0")
        with client.alloc_or_get(device):
            self.interrupted(device.wait_drained)
            self.interrupted(client.unregister)
        client.unregister()

    def interrupted(self, wait):
        class Alarm(Exception):
            pass

        def handler(signum, frame):
            raise Alarm

        old = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            self.assertRaises(Alarm, wait)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)

    def test_two_threads_dispatch(self):
        registry = self.open(manual=True)
        self.client(registry)
        ended = threading.Event()

        def dispatch():
            while not ended.is_set():
                registry.dispatch(0.05)

        threads = [threading.Thread(target=dispatch) for _ in range(2)]
        for thread in threads:
            thread.start()
        for times in range(1, 6):
            softverbs("add", "soft1")
            self.seen.wait("add", "soft1", times=times)
            softverbs("remove", "soft1", "--timeout", str(PATIENCE * 1000))
        self.seen.wait("gone", "soft1", times=5)
        ended.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
