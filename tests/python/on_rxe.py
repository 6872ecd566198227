# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The binding on two soft-RoCE devices of a kernel: on_rxe.py DEVICE DEVICE

Devices are deleted, added, renamed and disturbed by the commands rdma and ip. A delete
blocks until the last who has the device open closes it.
"""
import errno
import os
import subprocess
import sys

import ibclient
from common import PATIENCE, Box
from pyverbs.pd import PD
from verbs import send_across

FIRST, SECOND = sys.argv[1:]


def begin(*words):
    # what has a copy of the device's descriptors would hold the delete back
    return subprocess.Popen(words, close_fds=True)


def ended(process):
    assert process.wait(PATIENCE) == 0, process.args


def run(*words):
    ended(begin(*words))


def delete(name):
    return begin("rdma", "link", "delete", name)


class Mine:
    """A context and PD of pyverbs as data of a device."""

    def __init__(self, device):
        self.context = device.pyverbs_context(own=True)
        self.pd = PD(self.context)

    def close(self):
        self.pd.close()
        self.context.close()


def hear(seen, client, device):
    """What a client hears when a port goes down and comes up, and of a rename."""
    with device.on_event(lambda d, e: seen.put("handler", e.name, e.port), port=1):
        run("ip", "link", "set", "ibc-" + FIRST, "down")
        seen.wait("event", FIRST, "PORT_ERR", 1)
        seen.wait("handler", "PORT_ERR", 1)
        run("ip", "link", "set", "ibc-" + FIRST, "up")
        seen.wait("event", FIRST, "PORT_ACTIVE", 1)
        seen.wait("handler", "PORT_ACTIVE", 1)
    run("rdma", "dev", "set", FIRST, "name", "renamed")
    seen.wait("rename", FIRST, "renamed")
    assert device.name == "renamed"
    run("rdma", "dev", "set", "renamed", "name", FIRST)
    seen.wait("rename", "renamed", FIRST)


def import_or_not(device):
    """With today's rdma-core rxe cannot; then the error says what can be done."""
    try:
        with device.pd() as pd, pd.pyverbs_context() as context:
            with pd.pyverbs_pd(context) as imported:
                assert imported.handle == pd.handle
            assert send_across(device) == "through one PD"
            print("measured: rxe imports a context")
    except OSError as e:
        assert e.errno == errno.EOPNOTSUPP, e
        assert "own=True" in str(e)
        print(f"measured: {e}")


def removed(registry, seen, client):
    """A delete ends when what pyverbs has is closed, and not before."""
    device = registry.device(SECOND)
    held = client.get(device)
    context = device.pyverbs_context(own=True)
    deleting = delete(SECOND)
    seen.wait("remove", SECOND)
    context.query_device()
    held.release()
    seen.wait("free", SECOND)
    try:
        deleting.wait(0.5)
        raise AssertionError("the delete did not wait for the context")
    except subprocess.TimeoutExpired:
        pass
    context.close()
    ended(deleting)
    seen.wait("gone", SECOND)
    assert device.state == ibclient.DeviceState.GONE
    run("rdma", "link", "add", SECOND, "type", "rxe", "netdev", "ibc-" + SECOND)
    seen.wait("add", SECOND, 2)


def main():
    seen = Box()
    counts = {}

    def add(client, device):
        client.alloc_or_get(device).release()
        counts[device.name] = counts.get(device.name, 0) + 1
        seen.put("add", device.name, counts[device.name])

    def free(client, device, mine):
        mine.close()
        seen.put("free", device.name)

    with ibclient.Registry() as registry:
        client = ibclient.Client(
            registry, "rxe", add=add, free=free, alloc=lambda c, d: Mine(d),
            remove=lambda c, d, mine: seen.put("remove", d.name),
            gone=lambda c, d: seen.put("gone", d.name),
            rename=lambda c, d, old: seen.put("rename", old, d.name),
            event=lambda c, d, mine, e: seen.put("event", d.name, e.name, e.port))
        assert [d.name for d in registry.devices()] == [FIRST, SECOND]
        device = registry.device(FIRST)
        assert send_across(device, own=True) == "of their own"
        import_or_not(device)
        hear(seen, client, device)
        removed(registry, seen, client)
    ended(delete(FIRST))
    ended(delete(SECOND))
    assert os.listdir("/sys/class/infiniband") == []


main()
