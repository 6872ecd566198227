# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""RDMA devices that come and go, and what a program keeps for each of them.

The binding of libibclient: ibclient(7) has what is guaranteed. Errors are OSErrors with
the errno of the C function, time-outs are in seconds.

    import ibclient

    with ibclient.Registry() as registry:
        client = ibclient.Client(registry, "mine", add=lambda client, device:
                                 print(device.name, "came"))
        input()
"""
from ._ibclient import (Client, Data, Device, DeviceState, Event, EventHandler,
                        EventType, PD, version)
from ._registry import Registry

__all__ = ["Client", "Data", "Device", "DeviceState", "Event", "EventHandler",
           "EventType", "PD", "Registry", "version"]
__version__ = version()
