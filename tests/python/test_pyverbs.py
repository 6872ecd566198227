# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Contexts and PDs that are imported by pyverbs, and how long they live."""
import errno
import gc
import json
import os
import weakref

import pyverbs.enums as e
from pyverbs.device import Context
from pyverbs.mr import MR
from pyverbs.pd import PD

import ibclient
from common import PATIENCE, TestCase, main, softverbs, wait_until
from verbs import Endpoint, send_across


def contexts():
    """What is open, and what is in it."""
    lines = softverbs("list", "-j").splitlines()
    return [one for line in lines for one in json.loads(line)["contexts"]]


def qps():
    return sum(len(context["qps"]) for context in contexts())


class Import(TestCase):
    devices = ("soft0",)

    def setUp(self):
        super().setUp()
        self.registry = self.open()
        self.one = self.client(self.registry, alloc=lambda c, d: object())
        self.device = self.registry.device("soft0")

    def test_context(self):
        with self.device.pyverbs_context() as context:
            self.assertIsInstance(context, Context)
            self.assertEqual(context.name, "soft0")
            self.assertEqual(context.ibclient_device, self.device)
            self.assertGreater(context.query_device().max_qp, 0)
            with PD(context) as pd, MR(pd, 100, e.IBV_ACCESS_LOCAL_WRITE) as mr:
                self.assertGreater(mr.lkey, 0)
        self.assertIsNone(context.ibclient_device)
        context.close()

    def test_pd_is_the_shared_one(self):
        with self.device.pd() as one, self.device.pd() as two:
            self.assertEqual(one.handle, two.handle)
            with one.pyverbs_pd() as pd:
                self.assertIsInstance(pd, PD)
                self.assertEqual(pd.handle, two.handle)
        self.assertTrue(one.released)
        self.assertErrno(errno.ENODEV, lambda: one.handle)
        self.assertErrno(errno.ENODEV, one.hold)
        self.assertErrno(errno.ENODEV, one.pyverbs_context)

    def test_a_message_goes_through_it(self):
        self.assertEqual(send_across(self.device), "through one PD")
        self.registry.close(PATIENCE)

    def test_memory_of_another_pd_does_not(self):
        # that the test before this one sees the difference
        with Endpoint(self.device) as one, Endpoint(self.device) as two:
            one.connect(two, 0)
            two.connect(one, 0)
            two.post_recv()
            with PD(one.context) as pd, \
                    MR(pd, 100, e.IBV_ACCESS_LOCAL_WRITE) as other:
                one.send("x", other)
                self.assertEqual(one.completion(), e.IBV_WC_LOC_PROT_ERR)

    def test_wrong_context(self):
        softverbs("add", "soft1")
        self.seen.wait("add", "soft1")
        other = self.registry.device("soft1").pyverbs_context()
        with self.device.pd() as pd:
            own = self.device.pyverbs_context(own=True)
            for context in (other, own, Context(name="soft0")):
                with self.assertRaises(ValueError):
                    pd.pyverbs_pd(context)
                context.close()

    def test_a_removal_waits_for_them(self):
        context = self.device.pyverbs_context()
        with self.device.pd() as shared:
            pd = shared.pyverbs_pd(context)
        mr = MR(pd, 100, e.IBV_ACCESS_LOCAL_WRITE)
        self.device.remove()
        self.seen.wait("remove", "soft0", None)
        self.assertErrno(errno.ENODEV, self.device.pd)
        self.assertErrno(errno.ENODEV, self.device.pyverbs_context)
        context.query_device()
        with self.assertRaises(TimeoutError):
            self.device.wait_drained(0.05)
        mr.close()
        pd.close()
        with self.assertRaises(TimeoutError):
            self.device.wait_drained(0.05)
        context.close()
        self.device.wait_drained(PATIENCE)
        self.assertEqual(contexts(), [])

    def test_forgotten_ones_are_closed(self):
        context = self.device.pyverbs_context()
        with self.device.pd() as shared:
            pd = shared.pyverbs_pd(context)
        mr = MR(pd, 100, e.IBV_ACCESS_LOCAL_WRITE)
        cycle = [context, pd, mr]
        cycle.append(cycle)
        self.assertErrno(errno.EBUSY, self.registry.close, PATIENCE)
        del context, pd, mr, cycle
        gc.collect()
        self.registry.close(PATIENCE)
        self.assertEqual(contexts(), [])

    def test_closed_with_what_is_on_them(self):
        # a context closes its PD, and this what was made on it, before it goes
        for last in ("pd", "context"):
            end = Endpoint(self.device)
            self.assertEqual(qps(), 1)
            getattr(end, last).close()
            self.assertEqual(qps(), 0)
            end.close()
        self.registry.close(PATIENCE)
        self.assertEqual(contexts(), [])

    def test_data_of_a_client_is_pyverbs(self):
        # a PD of one's own as client data: made once, and closed with the device
        freed = []

        class Mine:
            def __init__(self, device):
                self.context = device.pyverbs_context()
                self.pd = PD(self.context)

            def close(self):
                self.pd.close()
                self.context.close()
                freed.append(True)

        client = ibclient.Client(self.registry, "own",
                                 alloc=lambda c, d: Mine(d),
                                 free=lambda c, d, mine: mine.close())
        with client.alloc_or_get(self.device) as mine:
            ref = weakref.ref(mine)
            self.assertGreaterEqual(mine.pd.handle, 0)
        del mine
        softverbs("remove", "soft0", "--timeout", str(PATIENCE * 1000))
        self.seen.wait("gone", "soft0")
        self.assertEqual(freed, [True])
        wait_until(lambda: ref() is None, "it is freed")

    def test_own(self):
        before = len(contexts())
        with self.device.pyverbs_context(own=True) as context:
            self.assertEqual(len(contexts()), before + 1)
            self.assertEqual(context.ibclient_device, self.device)
            self.device.remove()
            with self.assertRaises(TimeoutError):
                self.device.wait_drained(0.05)
            PD(context).close()
        self.device.wait_drained(PATIENCE)
        self.assertEqual(contexts(), [])

    def test_own_of_another_device_is_none(self):
        # the name is another device's by the time it is opened
        with self.device.pd() as pd:
            self.device.remove()
            self.assertErrno(errno.ENODEV, pd.pyverbs_context, own=True)
        self.device.wait_drained(PATIENCE)
        self.assertEqual(contexts(), [])

    def test_messages_of_own_ones(self):
        self.assertEqual(send_across(self.device, own=True), "of their own")

    def test_no_descriptor_is_left(self):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            with self.device.pyverbs_context(), self.device.pd() as pd:
                pd.pyverbs_pd().close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_failures_leave_nothing(self):
        softverbs("fault", "soft0", "import_pd=ENOMEM")
        before = len(os.listdir("/proc/self/fd"))
        with self.device.pd() as pd:
            context = pd.pyverbs_context()
            self.assertErrno(errno.ENOMEM, pd.pyverbs_pd, context)
            context.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        softverbs("fault", "soft0", "none")
        self.registry.close(PATIENCE)


class Fault(TestCase):
    devices = ()

    def test_no_pd(self):
        softverbs("add", "soft0")
        softverbs("fault", "soft0", "alloc_pd=ENOMEM")
        registry = self.open()
        self.client(registry)
        device = registry.device("soft0")
        self.assertErrno(errno.ENOMEM, device.pd)
        softverbs("fault", "soft0", "none")
        device.pd().release()


if __name__ == "__main__":
    main()
