# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Clients: callbacks, data, exceptions, the fence."""
import errno
import threading

import ibclient
from common import PATIENCE, TestCase, in_threads, main, softverbs, wait_until


class Callbacks(TestCase):

    def test_add_and_remove(self):
        registry = self.open()
        self.client(registry)
        self.assertEqual(self.seen.items, [("add", "soft0"), ("add", "soft1")])
        softverbs("add", "soft2")
        self.seen.wait("add", "soft2")
        softverbs("remove", "soft0")
        self.seen.wait("remove", "soft0", None)
        self.seen.wait("gone", "soft0")
        self.assertEqual([d.name for d in registry.devices()], ["soft1", "soft2"])

    def test_rename(self):
        registry = self.open()
        self.client(registry)
        device = registry.device("soft0")
        softverbs("rename", "soft0", "soft7")
        self.seen.wait("rename", "soft0", "soft7")
        self.assertEqual(device.name, "soft7")
        self.assertIs(registry.device("soft7"), device)

    def test_callbacks_may_be_left_out(self):
        registry = self.open()
        with ibclient.Client(registry) as client:
            softverbs("rename", "soft0", "soft7")
            wait_until(lambda: registry.devices()[0].name == "soft7", "renamed")
            self.assertEqual(client.name, "")
            self.assertErrno(errno.ENOENT, client.get, registry.device("soft1"))
            self.assertErrno(errno.ENOENT, client.alloc_or_get,
                             registry.device("soft1"))
        self.assertFalse(client.registered)
        self.assertErrno(errno.ESHUTDOWN, client.alloc_or_get,
                         registry.device("soft1"))

    def test_the_client_is_given_to_its_callbacks(self):
        registry, seen = self.open(), []

        def add(client, device):
            with client.alloc_or_get(device) as value:
                seen.append((client, value))

        client = self.client(registry, add=add, alloc=lambda c, d: (c, d.name))
        self.assertEqual(seen, [(client, (client, "soft0")),
                                (client, (client, "soft1"))])

    def test_wrong_arguments(self):
        registry = self.open()
        for error, kwargs in ((TypeError, {"add": 1}), (ValueError, {"events": "X"}),
                              (ValueError, {"events": [64]}),
                              (TypeError, {"bogus": print}),
                              (ValueError, {"name": "a\0b"})):
            with self.subTest(kwargs), self.assertRaises(error):
                ibclient.Client(registry, **kwargs)
        with self.assertRaises(TypeError):
            ibclient.Client(None)
        client = self.client(registry)
        with self.assertRaises(TypeError):
            client.__init__(registry)
        with self.assertRaises(ValueError):
            client.unregister(-1)
        self.assertEqual(registry.clients, [client])


class Exceptions(TestCase):
    devices = ("soft0",)

    def refusing(self, exception):
        def add(client, device):
            self.seen.put("tried")
            raise exception
        return add

    def test_add_declines(self):
        registry = self.open()
        client = self.client(registry, add=self.refusing(OSError(
            errno.EOPNOTSUPP, "not wanted")), alloc=lambda c, d: object())
        self.assertErrno(errno.EOPNOTSUPP, client.get, registry.device("soft0"))
        client.unregister(PATIENCE)
        self.assertEqual(self.seen.items, [("tried",)])  # and no remove()

    def test_add_is_tried_again(self):
        left = [OSError(errno.EAGAIN, "later"), OSError(errno.ENOMEM, "later")]

        def add(client, device):
            if left:
                raise left.pop()
            self.seen.put("add", device.name)

        registry = self.open()
        self.client(registry, add=add)
        self.seen.wait("add", "soft0")
        self.assertEqual(registry.stats()["adds_failed"], 2)

    def test_other_exceptions_of_add_are_seen(self):
        fails = [ZeroDivisionError("of add"), OSError("without errno")]
        raised = list(fails)

        def add(client, device):
            if raised:
                raise raised.pop()
            self.seen.put("add", device.name)

        registry = self.open()
        self.client(registry, add=add)
        self.seen.wait("add", "soft0")
        self.assertEqual(registry.stats()["adds_failed"], 2)
        self.assertEqual(self.unraisable, fails[::-1])
        self.assertIsNotNone(fails[0].__traceback__)
        self.unraisable.clear()

    def test_exceptions_of_the_others_are_seen(self):
        def fail(*args):
            self.seen.put("called")
            raise KeyError(len(self.seen.items))

        registry = self.open()
        client = ibclient.Client(registry, "t", remove=fail, gone=fail, rename=fail,
                                 event=fail, free=fail, alloc=lambda c, d: object())
        device = registry.device("soft0")
        client.alloc_or_get(device).release()
        softverbs("event", "soft0", "LID_CHANGE")
        self.seen.wait("called")
        softverbs("rename", "soft0", "soft3")
        self.seen.wait("called", times=2)
        softverbs("remove", "soft3")
        self.seen.wait("called", times=5)
        client.unregister(PATIENCE)
        self.assertEqual([e.args for e in self.unraisable],
                         [(n,) for n in range(1, 6)])
        self.unraisable.clear()

    def test_alloc_raises_to_who_asked(self):
        fails = [OSError(errno.ENOSPC, "full"), ZeroDivisionError("of alloc"), None]

        def alloc(client, device):
            if fails[0] is None:
                return fails[0]
            raise fails[0]

        registry = self.open()
        client = self.client(registry, alloc=alloc)
        device = registry.device("soft0")
        caught = self.assertErrno(errno.ENOSPC, client.alloc_or_get, device)
        self.assertIs(caught, fails.pop(0))
        with self.assertRaises(ZeroDivisionError) as raised:
            client.alloc_or_get(device)
        self.assertIs(raised.exception, fails.pop(0))
        with self.assertRaisesRegex(TypeError, "None"):
            client.alloc_or_get(device)
        self.assertEqual(registry.stats()["allocs_failed"], 3)


class Data(TestCase):
    devices = ("soft0",)

    def test_made_once_for_all_threads(self):
        made, asking = [], []

        def alloc(client, device):
            made.append(object())
            wait_until(lambda: len(asking) == 8, "all threads ask")
            return made[-1]

        def ask(number):
            asking.append(number)
            return client.alloc_or_get(device)

        for kind in ({}, {"num_threads": 4}, {"track_refs": True}):
            made.clear()
            asking.clear()
            registry = self.open(shared=False, **kind)
            client = self.client(registry, alloc=alloc,
                                 free=lambda c, d, v: self.seen.put("free", v))
            device = registry.device("soft0")
            refs = in_threads(8, ask)
            self.assertEqual(len(made), 1)
            self.assertEqual([ref.value for ref in refs], made * 8)
            self.assertEqual(registry.stats()["allocs"], 1)
            device.remove()
            self.seen.wait("remove", "soft0", made[0])
            for ref in refs[1:]:
                ref.release()
            self.assertNotIn(("free", made[0]), self.seen.items)
            refs[0].release()
            self.seen.wait("free", made[0])
            device.wait_drained(PATIENCE)
            registry.close(PATIENCE)

    def test_losers_get_the_errno(self):
        def alloc(client, device):
            tried.append(device)
            raise OSError(errno.ENOSPC, "full")

        tried = []
        registry = self.open()
        client = self.client(registry, alloc=alloc)
        device = registry.device("soft0")
        errors = in_threads(8, lambda n: client.alloc_or_get(device))
        self.assertEqual({e.errno for e in errors}, {errno.ENOSPC})
        self.assertEqual(len(tried), registry.stats()["allocs_failed"])

    def test_references(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: [d.name],
                             free=lambda c, d, v: self.seen.put("free", d.name))
        device = registry.device("soft0")
        self.assertErrno(errno.ENOENT, client.get, device)
        with client.alloc_or_get(device) as value:
            self.assertEqual(value, ["soft0"])
            with client.get(device) as same:
                self.assertIs(same, value)
        ref = client.get(device)
        more = ref.hold()
        self.assertIs(more.value, value)
        self.assertEqual((more.client, more.device), (client, device))
        ref.release()
        ref.release()
        self.assertTrue(ref.released)
        self.assertIsNone(ref.value)
        self.assertErrno(errno.ENODEV, ref.hold)
        self.assertFalse(more.released)
        device.remove()
        self.assertErrno(errno.ENODEV, client.get, device)
        self.seen.wait("remove", "soft0", value)
        self.assertNotIn(("free", "soft0"), self.seen.items)
        del more  # forgotten is released
        self.seen.wait("free", "soft0")
        device.wait_drained(PATIENCE)

    def test_free_unused(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: object(), free_unused=True,
                             free=lambda c, d, v: self.seen.put("free"))
        device = registry.device("soft0")
        with client.alloc_or_get(device) as value:
            pass
        self.assertEqual(self.seen.items[-1], ("free",))
        with client.alloc_or_get(device) as other:
            self.assertIsNot(other, value)

    def test_defer_free(self):
        registry = self.open()
        where = []
        client = self.client(registry, alloc=lambda c, d: object(), free_unused=True,
                             defer_free=True,
                             free=lambda c, d, v: (where.append(
                                 threading.get_native_id()), self.seen.put("free")))
        client.alloc_or_get(registry.device("soft0")).release()
        self.seen.wait("free")
        self.assertNotEqual(where[0], threading.get_native_id())

    def test_set(self):
        registry = self.open()
        client = self.client(registry,
                             free=lambda c, d, v: self.seen.put("free", v))
        device = registry.device("soft0")
        client.set(device, "one")
        with client.get(device) as value:
            self.assertEqual(value, "one")
            client.set(device, "two")
            self.assertNotIn(("free", "one"), self.seen.items)
        self.seen.wait("free", "one")
        self.assertEqual(client.get(device).value, "two")
        client.set(device, None)
        self.seen.wait("free", "two")
        self.assertErrno(errno.ENOENT, client.get, device)
        device.remove()
        self.assertErrno(errno.ENODEV, client.set, device, "three")

    def test_of_another_registry(self):
        one, two = self.open(), self.open()
        client = self.client(one, alloc=lambda c, d: object())
        self.client(two)
        device = two.device("soft0")
        self.assertErrno(errno.EINVAL, client.get, device)
        self.assertErrno(errno.EINVAL, client.alloc_or_get, device)
        self.assertErrno(errno.EINVAL, client.set, device, 1)
        for wrong in (None, "soft0"):
            with self.assertRaises(TypeError):
                client.get(wrong)


class Fence(TestCase):

    def test_waits_for_data_and_callbacks(self):
        registry = self.open(num_threads=2)
        client = self.client(registry, alloc=lambda c, d: object(),
                             free=lambda c, d, v: self.seen.put("free"))
        ref = client.alloc_or_get(registry.device("soft0"))
        with self.assertRaises(TimeoutError):
            client.unregister(0.05)
        self.assertTrue(client.registered)
        # from several threads at once: all return when it is done
        waiting = threading.Semaphore(0)

        def unregister(number):
            if number == 4:
                for _ in range(4):
                    waiting.acquire()
                self.assertNotIn(("free",), self.seen.items)
                self.assertTrue(client.registered)
                ref.release()
                return True
            waiting.release()
            client.unregister()
            return ("free",) in self.seen.items and not client.registered

        self.assertEqual(in_threads(5, unregister), [True] * 5)
        self.assertEqual(registry.clients, [])
        client.unregister()

    def test_waits_for_its_callback(self):
        go, entered = threading.Event(), threading.Event()

        def event(client, device, value, event):
            entered.set()
            go.wait(PATIENCE)
            self.seen.put("left")

        registry = self.open()
        client = self.client(registry, event=event)
        softverbs("event", "soft0", "SM_CHANGE")
        entered.wait(PATIENCE)
        with self.assertRaises(TimeoutError):
            client.unregister(0.05)
        go.set()
        client.unregister(PATIENCE)
        self.assertIn(("left",), self.seen.items)

    def test_in_callbacks(self):
        def event(client, device, value, event):
            for fn in (client.unregister, registry.close, device.wait_drained):
                try:
                    fn()
                except OSError as e:
                    self.seen.put("errno", e.errno)
            client.unregister_async(lambda c: self.seen.put("done", c.registered))

        registry = self.open()
        client = self.client(registry, event=event)
        softverbs("event", "soft0", "SM_CHANGE")
        self.seen.wait("done", False)
        self.assertEqual(self.seen.items.count(("errno", errno.EDEADLK)), 3)
        self.assertFalse(client.registered)
        self.seen.wait("remove", "soft1", None)
        self.assertErrno(errno.EINVAL, client.unregister_async)

    def test_unregister_waits_for_the_asynchronous_one(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: object())
        ref = client.alloc_or_get(registry.device("soft0"))
        client.unregister_async()
        self.assertErrno(errno.EBUSY, client.unregister_async)
        self.assertErrno(errno.ESHUTDOWN, client.get, registry.device("soft0"))
        with self.assertRaises(TimeoutError):
            client.unregister(0.05)
        ref.release()
        client.unregister(PATIENCE)
        self.assertFalse(client.registered)

    def test_close_waits(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: object())
        ref = client.alloc_or_get(registry.device("soft0"))
        with self.assertRaises(TimeoutError):
            registry.close(0.05)
        self.assertFalse(registry.closed)
        ref.release()
        registry.close(PATIENCE)
        self.assertTrue(registry.closed)

    def test_close_with_another_thread_inside(self):
        registry = self.open()
        client = self.client(registry)
        device = registry.device("soft0")
        began = threading.Event()

        def wait(number):
            if number == 0:
                began.set()
                try:
                    return device.wait_drained(PATIENCE)
                except OSError as e:
                    return e.errno
            began.wait()
            while True:
                try:
                    registry.close()
                    return "closed"
                except OSError as e:
                    self.assertEqual(e.errno, errno.EBUSY)
                    client.unregister()
                    device.remove()

        self.assertEqual(in_threads(2, wait)[1], "closed")


if __name__ == "__main__":
    main()
