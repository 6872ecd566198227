# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Async events, for clients and for handlers."""
import errno
import threading

import ibclient
from common import PATIENCE, TestCase, main, softverbs
from ibclient import EventType
from verbs import Endpoint


class Events(TestCase):
    devices = ("soft0",)

    def test_names(self):
        registry = self.open()
        self.client(registry)
        for name in ("PORT_ERR", "PORT_ACTIVE", "LID_CHANGE", "PKEY_CHANGE",
                     "SM_CHANGE", "GID_CHANGE", "CLIENT_REREGISTER"):
            softverbs("event", "soft0", name)
            self.seen.wait("event", "soft0", name, 1)

    def test_types_of_a_client(self):
        registry = self.open()
        kinds = ("SM_CHANGE", [EventType.SM_CHANGE], int(EventType.SM_CHANGE),
                 ["SM_CHANGE", EventType.PORT_ERR])
        for kind in kinds:
            self.client(registry, str(kind), events=kind,
                        event=lambda c, d, v, e: self.seen.put(c.name, e.name))
        softverbs("event", "soft0", "PKEY_CHANGE")
        softverbs("event", "soft0", "SM_CHANGE")
        for kind in kinds:
            self.seen.wait(str(kind), "SM_CHANGE")
        self.assertNotIn("PKEY_CHANGE", [item[1] for item in self.seen.items])

    def test_data_is_given(self):
        registry = self.open()
        client = self.client(registry, alloc=lambda c, d: [],
                             event=lambda c, d, value, e: self.seen.put(value))
        with client.alloc_or_get(registry.device("soft0")) as value:
            softverbs("event", "soft0", "SM_CHANGE")
            self.seen.wait(value)

    def test_counted(self):
        registry = self.open(manual=True)
        counts = []
        self.client(registry, event=lambda c, d, v, e: counts.append(e.count))
        softverbs("event", "soft0", "SM_CHANGE", "--count", "10")
        while sum(counts) < 10:
            self.assertTrue(registry.dispatch(PATIENCE), counts)
        self.assertEqual(sum(counts), 10)
        self.assertEqual(registry.stats()["events_read"], 10)

    def test_fatal_is_a_removal(self):
        registry = self.open()
        self.client(registry)
        softverbs("event", "soft0", "DEVICE_FATAL")
        # it is listed still, and so comes back
        self.seen.wait("add", "soft0", times=2)
        first = [item[0] for item in self.seen.items][:3]
        self.assertEqual(first, ["add", "event", "remove"])
        self.assertIn(("event", "soft0", "DEVICE_FATAL", None), self.seen.items)


class Handlers(TestCase):
    devices = ("soft0",)

    def listen(self, device, name, **kwargs):
        return device.on_event(
            lambda d, e: self.seen.put(name, d.name, e.name, e.port, e.number,
                                       e.replayed), **kwargs)

    def test_scopes(self):
        softverbs("add", "soft3", "--ports", "2")
        registry = self.open()
        self.client(registry)
        device = registry.device("soft3")
        self.listen(device, "all")
        self.listen(device, "port 2", port=2)
        self.listen(device, "ports", port=0, types=["SM_CHANGE"])
        softverbs("event", "soft3", "SM_CHANGE", "--port", "1")
        self.seen.wait("all", "soft3", "SM_CHANGE", 1, 0, False)
        self.seen.wait("ports", "soft3", "SM_CHANGE", 1, 0, False)
        softverbs("event", "soft3", "LID_CHANGE", "--port", "2")
        self.seen.wait("port 2", "soft3", "LID_CHANGE", 2, 0, False)
        self.seen.wait("all", "soft3", "LID_CHANGE", 2, 0, False)
        heard = [i[0] for i in self.seen.items if i[0] not in ("add", "event")]
        self.assertEqual(sorted(heard), ["all", "all", "port 2", "ports"])

    def test_of_one_qp(self):
        registry = self.open()
        self.client(registry)
        device = registry.device("soft0")
        with Endpoint(device) as one, Endpoint(device) as other:
            number = one.qp.qp_num
            self.listen(device, "one", qp_num=number)
            self.listen(device, "fatal", qp_num=number, types="QP_FATAL")
            self.listen(device, "all")
            for qp in (other, one):
                for name in ("COMM_EST", "QP_FATAL"):
                    softverbs("event", "soft0", name, "--qp", str(qp.qp.qp_num))
            self.seen.wait("all", "soft0", "QP_FATAL", None, number, False)
            self.seen.wait("one", "soft0", "QP_FATAL", None, number, False)
            # neither a port's number nor another object's is this QP's
            self.listen(device, "wq", wq_num=number)
            self.listen(device, "low", qp_num=1)
            softverbs("event", "soft0", "SM_CHANGE", "--port", "1")
            self.seen.wait("all", "soft0", "SM_CHANGE", 1, 0, False)
        heard = [i[:3] for i in self.seen.items
                 if i[0] in ("one", "fatal", "wq", "low")]
        self.assertEqual(sorted(heard), [
            ("fatal", "soft0", "QP_FATAL"), ("one", "soft0", "COMM_EST"),
            ("one", "soft0", "QP_FATAL")])

    def test_replayed(self):
        registry = self.open()
        self.client(registry)
        softverbs("event", "soft0", "PORT_ERR")
        self.seen.wait("event", "soft0", "PORT_ERR", 1)
        self.listen(registry.device("soft0"), "late", port=1)
        self.seen.wait("late", "soft0", "PORT_ERR", 1, 0, True)

    def test_wrong_arguments(self):
        registry = self.open()
        self.client(registry)
        device = registry.device("soft0")
        for error, kwargs in ((ValueError, {"port": 1, "qp_num": 2}),
                              (ValueError, {"types": "NONE"}),
                              (OverflowError, {"port": -1}),
                              (TypeError, {"qp_num": "x"})):
            with self.subTest(kwargs), self.assertRaises(error):
                device.on_event(print, **kwargs)
        with self.assertRaises(TypeError):
            device.on_event(None)
        self.assertErrno(errno.EINVAL, device.on_event, print, qp_num=1,
                         types="PORT_ERR")
        self.assertErrno(errno.EINVAL, device.on_event, print, port=1,
                         types="QP_FATAL")
        device.remove()
        self.assertErrno(errno.ENODEV, device.on_event, print)

    def test_close_is_a_fence(self):
        registry = self.open()
        self.client(registry)
        entered, go, closed = (threading.Event() for _ in range(3))

        def heard(device, event):
            entered.set()
            go.wait(PATIENCE)
            self.seen.put("heard", closed.is_set())

        handler = registry.device("soft0").on_event(heard)
        softverbs("event", "soft0", "SM_CHANGE")
        entered.wait(PATIENCE)

        def close():
            handler.close()
            closed.set()

        threads = [threading.Thread(target=close) for _ in range(3)]
        for thread in threads:
            thread.start()
        self.assertFalse(closed.wait(0.05))
        self.assertFalse(handler.closed)
        go.set()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertTrue(handler.closed)
        self.assertIn(("heard", False), self.seen.items)

    def test_close_in_its_own_callback(self):
        registry = self.open()
        self.client(registry)
        given = []

        def heard(device, event):
            given[0].close()
            self.seen.put("heard")

        given.append(registry.device("soft0").on_event(heard, types="SM_CHANGE"))
        softverbs("event", "soft0", "SM_CHANGE")
        self.seen.wait("heard")
        self.assertTrue(given[0].closed)
        softverbs("event", "soft0", "SM_CHANGE")
        self.seen.wait("event", "soft0", "SM_CHANGE", 1, times=2)
        with registry.device("soft0").on_event(print) as handler:
            self.assertFalse(handler.closed)
        self.assertTrue(handler.closed)
        self.assertEqual(self.seen.items.count(("heard",)), 1)

    def test_exceptions_are_seen(self):
        registry = self.open()
        self.client(registry)

        def fail(device, event):
            raise ZeroDivisionError

        registry.device("soft0").on_event(fail)
        softverbs("event", "soft0", "SM_CHANGE")
        registry.device("soft0").on_event(lambda d, e: self.seen.put("next"))
        softverbs("event", "soft0", "PKEY_CHANGE")
        self.seen.wait("next")
        self.assertEqual({type(e) for e in self.unraisable}, {ZeroDivisionError})
        self.unraisable.clear()


class Types(TestCase):
    devices = ()

    def test_event_types(self):
        self.assertEqual(EventType.CQ_ERR, 0)
        self.assertEqual(EventType.WQ_FATAL, 19)
        self.assertEqual(len(EventType), 20)
        self.assertEqual(ibclient.DeviceState(0).name, "LIVE")


if __name__ == "__main__":
    main()
