# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Devices, and the PD of each that all libraries of the process share.


class DeviceState(enum.IntEnum):
    """The life of one incarnation of a device."""
    __module__ = "ibclient"
    LIVE = IBC_DEVICE_LIVE
    REMOVING = IBC_DEVICE_REMOVING
    DRAINING = IBC_DEVICE_DRAINING
    GONE = IBC_DEVICE_GONE


cdef str guid_of(ibc_device *dev):
    cdef uint64_t guid = ibc_device_guid(dev)
    return (<char *>&guid)[:sizeof(guid)].hex(":", 2)


@cython.no_gc_clear
cdef class Device:
    """One incarnation of an RDMA device.

    It may be kept as long as one likes; it keeps neither the device's context
    nor a removal. Two are equal if they are the same incarnation of the same device.
    """

    def __init__(self):
        raise TypeError("devices are found in a Registry, or given to a callback")

    def __dealloc__(self):
        if self.dev != NULL:
            self.registry.devices_by_number.pop(self.incarnation, None)
            ibc_put_device(self.dev)

    cdef ibc_device *use(self) except NULL:
        if self.dev == NULL:
            raise failure(_errno.ENODEV,
                          f"{self.last_name}: its registry was closed")
        return self.dev

    cdef int forget(self) except -1:
        """The registry is being closed: keep what is known, and not the device."""
        cdef ibc_device *dev = self.dev
        if dev == NULL:
            return 0
        try:
            self.last_name = self.name
        except OSError:
            # in a forked child nothing is told
            self.last_name = "?"
        self.last_index = self.index
        self.last_guid = self.guid
        self.last_adopted = self.adopted
        self.dev = NULL
        ibc_put_device(dev)
        return 0

    @property
    def name(self):
        """Today's name: a device can be renamed."""
        cdef const char *name
        if self.dev == NULL:
            return self.last_name
        name = ibc_device_name(self.dev)
        if name == NULL:
            raise failure(c_errno.errno, "the name of a device")
        return os.fsdecode(name)

    @property
    def index(self):
        """The kernel's index, or -1 where it is not known."""
        return self.last_index if self.dev == NULL else ibc_device_index(self.dev)

    @property
    def guid(self):
        """The node GUID, as in "0200:00ff:fe00:0001"."""
        return self.last_guid if self.dev == NULL else guid_of(self.dev)

    @property
    def state(self):
        """A DeviceState."""
        if self.dev == NULL:
            return DeviceState.GONE
        return DeviceState(ibc_device_state(self.dev))

    @property
    def adopted(self):
        """True: somebody else opened its context."""
        return (self.last_adopted if self.dev == NULL
                else ibc_device_adopted(self.dev))

    def remove(self):
        """Begin its removal. It is opened again once it has left the list and
        returned.
        """
        cdef ibc_device *dev
        cdef int error
        self.registry.enter()
        try:
            dev = self.use()
            with nogil:
                error = ibc_remove_device(dev)
            check(error, f"removing {self.name}")
        finally:
            self.registry.in_calls -= 1

    def wait_drained(self, timeout=None):
        """Wait until it is gone: all data is freed, its context closed.

        timeout is in seconds, None for ever. TimeoutError says that it was not
        enough.
        """
        deadline = deadline_of(timeout)
        cdef ibc_device *dev
        cdef int error, ms
        self.registry.enter()
        try:
            dev = self.use()
            while True:
                ms = slice_of(deadline)
                with nogil:
                    error = ibc_wait_drained(dev, ms)
                if error != _errno.ETIMEDOUT or \
                        (deadline is not None and time.monotonic() >= deadline):
                    break
                PyErr_CheckSignals()
            check(error, f"waiting until {self.name} has drained")
        finally:
            self.registry.in_calls -= 1

    def on_event(self, callback, *, port=None, qp_num=None, srq_num=None,
                 wq_num=None, types=()):
        """Have callback(device, event) called for events; returns an EventHandler.

        Without more for every event of the device; with port for those of that port,
        0 for all ports; with qp_num, srq_num or wq_num for those of that one object.
        types are EventTypes or their names: only those.
        """
        cdef uint64_t of_scope = 0
        objects = ((qp_num, QP_EVENTS), (srq_num, SRQ_EVENTS), (wq_num, WQ_EVENTS))
        if not callable(callback):
            raise TypeError("the callback cannot be called")
        given = [one for one in objects if one[0] is not None]
        if len(given) + (port is not None) > 1:
            raise ValueError("give one of port, qp_num, srq_num and wq_num")
        if given:
            of_scope = mask_of(given[0][1])
        return handle(self, callback, port, given[0][0] if given else None, of_scope,
                      mask_of(types))

    def pd(self):
        """A reference on the PD that all libraries of the process share: a PD.

        It keeps the context of the device open, and a removal waits for it.
        """
        cdef BaseRegistry registry = self.registry
        cdef BasePD pd = PD.__new__(PD)
        cdef ibc_device *dev
        cdef ibc_pd *got
        cdef int error = 0
        registry.enter()
        try:
            registry.open_pds()
            dev = self.use()
            with nogil:
                got = ibc_get_pd(dev)
                if got == NULL:
                    error = c_errno.errno
            if got == NULL:
                raise failure(error, f"the shared PD of {self.name}")
            pd.device = self
            pd.pd = got
            registry.pd_refs += 1
        finally:
            registry.in_calls -= 1
        return pd

    def pyverbs_context(self, *, own=False):
        """A pyverbs Context of the device, imported from the library's; own: another
        one, where a driver cannot import. On that there is no shared PD.

        It is closed with close(), at the end of a `with` block, or when nobody has
        it any more, and a removal of the device waits for that.
        """
        with self.pd() as pd:
            return pd.pyverbs_context(own=own)

    def __eq__(self, other):
        if not isinstance(other, Device):
            return NotImplemented
        return self.incarnation == (<Device>other).incarnation

    def __hash__(self):
        return hash(self.incarnation)

    def __repr__(self):
        return (f"<ibclient.Device {self.name} incarnation {self.incarnation} "
                f"{self.state.name}>")


cdef class BasePD:

    def __init__(self):
        raise TypeError("use Device.pd()")

    def __dealloc__(self):
        self.drop()

    cdef drop(self):
        cdef ibc_pd *pd = self.pd
        if pd != NULL:
            self.pd = NULL
            self.device.registry.pd_refs -= 1
            with nogil:
                ibc_put_pd(pd)

    cdef ibc_pd *use(self) except NULL:
        if self.pd == NULL:
            raise failure(_errno.ENODEV, "this reference on a PD was released")
        return self.pd

    def release(self):
        """Give the reference back. What was made on it is destroyed by then."""
        self.drop()

    def hold(self):
        """One reference more, to be released by itself."""
        cdef BasePD pd = PD.__new__(PD)
        ibc_hold_pd(self.use())
        pd.device = self.device
        pd.pd = self.pd
        self.device.registry.pd_refs += 1
        return pd

    @property
    def handle(self):
        """The kernel's handle, for who imports it."""
        return self.use().pd.handle

    @property
    def cmd_fd(self):
        """The file descriptor of its context. It is the library's: duplicate it."""
        return self.use().pd.context.cmd_fd

    @property
    def released(self):
        return self.pd == NULL

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.drop()


class PD(BasePD):
    """A reference on a device's PD that all libraries of the process share."""
    __module__ = "ibclient"
    __slots__ = ()

    def __del__(self):
        self.release()

    def pyverbs_context(self, *, own=False):
        """As Device.pyverbs_context(), with a reference of its own."""
        from ibclient import _pyverbs
        return _pyverbs.Context(self, own)

    def pyverbs_pd(self, context=None):
        """This PD as one of pyverbs, imported, in a context that pyverbs_context()
        gave or in a new one. It holds a reference of its own.
        """
        from ibclient import _pyverbs
        return _pyverbs.PD(context or _pyverbs.Context(self, False), self)
