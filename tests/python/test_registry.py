# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Registries and devices."""
import errno
import gc
import unittest

import ibclient
from common import TestCase, main, softverbs, wait_until


class Registries(TestCase):

    def test_devices_are_listed(self):
        registry = self.open()
        self.assertEqual(registry.devices(), [])  # nobody wants any yet
        self.client(registry)
        names = [device.name for device in registry.devices()]
        self.assertEqual(names, ["soft0", "soft1"])

    def test_lookups(self):
        registry = self.open()
        self.client(registry)
        soft1 = registry.device("soft1")
        self.assertEqual(soft1.name, "soft1")
        self.assertIs(registry.device(soft1.index), soft1)
        self.assertIs(registry.devices()[1], soft1)
        self.assertErrno(errno.ENODEV, registry.device, "soft2")
        self.assertErrno(errno.ENODEV, registry.device, 1000)
        with self.assertRaises(TypeError):
            registry.device(None)

    def test_what_a_device_says(self):
        registry = self.open()
        self.client(registry)
        device = registry.device("soft0")
        told = registry.dump()["devices"][0]
        self.assertEqual(
            {"name": device.name, "index": device.index, "guid": device.guid,
             "incarnation": device.incarnation, "adopted": device.adopted,
             "state": device.state.name.lower()},
            {key: told[key] for key in ("name", "index", "guid", "incarnation",
                                        "adopted", "state")})
        self.assertIs(device.registry, registry)
        self.assertIn("soft0", repr(device))

    def test_identity(self):
        registry, other = self.open(), self.open()
        self.client(registry)
        self.client(other)
        one, two = registry.devices()
        self.assertEqual(one, registry.device("soft0"))
        self.assertNotEqual(one, two)
        self.assertNotEqual(one, other.device("soft0"))  # another context
        self.assertNotEqual(one, "soft0")
        self.assertEqual(len({one, two, registry.device("soft0")}), 2)

    def test_an_object_is_made_anew(self):
        registry = self.open()
        self.client(registry)
        first = hash(registry.device("soft0"))
        gc.collect()
        self.assertEqual(hash(registry.device("soft0")), first)

    def test_returned_is_another(self):
        registry = self.open()
        self.client(registry)
        device = registry.device("soft0")
        softverbs("remove", "soft0")
        softverbs("add", "soft0")
        self.seen.wait("add", "soft0", times=2)
        again = registry.device("soft0")
        self.assertEqual(again.name, device.name)
        self.assertNotEqual(again, device)
        self.assertEqual(device.state, ibclient.DeviceState.GONE)
        self.assertEqual(again.state, ibclient.DeviceState.LIVE)

    def test_remove_and_wait(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: object())
        device = registry.device("soft0")
        with client.alloc_or_get(device):
            device.remove()
            device.remove()  # idempotent
            with self.assertRaises(TimeoutError):
                device.wait_drained(0.01)
            self.seen.wait_for(lambda i: i[:2] == ("remove", "soft0"))
            wait_until(lambda: device.state == ibclient.DeviceState.DRAINING,
                       "it drains")
        device.wait_drained(60)
        self.assertEqual(device.state, ibclient.DeviceState.GONE)
        self.seen.wait("gone", "soft0")

    def test_patterns(self):
        for patterns in ("soft1,none*", ["soft1", "none*"], "*1"):
            registry = self.open(devices=patterns)
            self.client(registry)
            self.assertEqual([d.name for d in registry.devices()], ["soft1"])

    def test_no_open(self):
        registry = self.open(no_open=True)
        self.client(registry)
        self.assertEqual(registry.devices(), [])

    def test_shared(self):
        with ibclient.Registry() as one, ibclient.Registry() as two:
            self.assertTrue(one.shared and two.shared)
            self.client(one)
            self.assertEqual(len(two.devices()), 2)
            self.assertEqual(two.devices(), one.devices())
            self.assertEqual(two.clients, [])
        self.assertTrue(one.closed)

    def test_rescan_and_stats(self):
        registry = self.open()
        self.client(registry)
        before = registry.stats()
        registry.rescan()
        after = registry.stats()
        self.assertGreater(after["scans"], before["scans"])
        self.assertEqual(after["devices_added"], 2)
        # as the library's own JSON has them
        self.assertEqual(after.keys(), registry.dump()["stats"].keys())

    def test_dump(self):
        registry = self.open(track_refs=True)
        client = self.client(registry, "dumped", alloc=lambda c, d: object())
        with client.alloc_or_get(registry.device("soft0")):
            dump = registry.dump()
            of_soft0 = {c["name"]: c for c in dump["devices"][0]["clients"]}
            self.assertEqual(len(of_soft0["dumped"]["holders"]), 1)
        self.assertEqual(dump["version"], ibclient.version())
        self.assertIn("dumped", registry.dump_text())

    def test_wrong_arguments(self):
        for kwargs in ({"shared": True, "manual": True}, {"num_threads": -1},
                       {"scan_interval": -1}, {"drain_warn": 1e12},
                       {"devices": "a\0b"}, {"manual": True, "num_threads": 1},
                       {"num_threads": 100000}, {"devices": [1]}):
            with self.subTest(kwargs), self.assertRaises(
                    (ValueError, OverflowError, TypeError, OSError)):
                ibclient.Registry(**kwargs).close()
        registry = self.open()
        with self.assertRaises(TypeError):
            registry.__init__(manual=True)
        self.assertErrno(errno.EINVAL, registry.fileno)
        self.assertErrno(errno.EINVAL, registry.dispatch)
        for timeout in (-1, -0.5):
            with self.assertRaises(ValueError):
                registry.dispatch(timeout)
        for kind in (ibclient.Device, ibclient.Event, ibclient.EventHandler,
                     ibclient.PD, ibclient.Data):
            with self.assertRaises(TypeError):
                kind()

    def test_after_close(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: object())
        device = registry.device("soft0")
        handler = device.on_event(print)
        guid, index = device.guid, device.index
        registry.close()
        registry.close()
        self.assertTrue(registry.closed)
        self.assertTrue(handler.closed)
        self.assertFalse(client.registered)
        self.assertEqual((device.name, device.guid, device.index, device.state),
                         ("soft0", guid, index, ibclient.DeviceState.GONE))
        self.assertFalse(device.adopted)
        for fn in (registry.devices, registry.stats, registry.dump,
                   registry.rescan, registry.fileno, device.remove,
                   device.wait_drained, device.pd, device.pyverbs_context):
            self.assertErrno(errno.EBADF, fn)
        self.assertErrno(errno.EBADF, ibclient.Client, registry, "late")
        self.assertErrno(errno.ESHUTDOWN, client.get, device)
        handler.close()

    def test_versions(self):
        self.assertRegex(ibclient.version(), r"^\d+\.\d+\.\d+$")
        self.assertEqual(ibclient.__version__, ibclient.version())


class Nothing(unittest.TestCase):

    def test_no_devices(self):
        with ibclient.Registry(shared=False) as registry:
            ibclient.Client(registry, "test")
            self.assertEqual(registry.devices(), [])


if __name__ == "__main__":
    main()
