# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Registries: what Registry in _registry.py is made of.


cdef int collect(ibc_device *dev, void *arg) noexcept nogil:
    if ended:
        return _EIO
    with gil:
        return collect_one(dev, <list>arg)


cdef int collect_one(ibc_device *dev, list found) noexcept:
    cdef BaseRegistry registry = found[0]
    try:
        found.append(registry.wrap(dev))
        return 0
    except BaseException as e:
        return failed(registry, e)


cdef class BaseRegistry:

    def __cinit__(self, *args, **kwargs):
        self.devices_by_number = {}
        self.client_set = {}
        self.handler_set = {}

    def __dealloc__(self):
        # Closed by then, or the interpreter ends.
        if self.reg != NULL and not ended:
            ibc_close(self.reg)

    cdef int enter(self) except -1:
        """As long as in_calls is not zero the registry stays open."""
        if self.reg == NULL:
            raise OSError(_errno.EBADF, "the registry is closed")
        self.in_calls += 1
        return 0

    def _open(self, bint shared, uint32_t flags, uint32_t num_threads,
              scan_interval, drain_warn, bytes devices):
        cdef ibc_registry_attr attr
        cdef ibc_registry *reg
        cdef int error = 0
        if self.reg != NULL:
            raise TypeError("a Registry is opened once")
        memset(&attr, 0, sizeof(attr))
        attr.flags = flags
        attr.num_threads = num_threads
        attr.scan_interval_ms = milliseconds(scan_interval, "scan_interval")
        attr.drain_warn_ms = milliseconds(drain_warn, "drain_warn")
        if devices is not None:
            attr.devices = devices
        with nogil:
            reg = ibc_open(NULL if shared else &attr)
            if reg == NULL:
                error = c_errno.errno
        if reg == NULL:
            raise failure(error, "opening a registry")
        self.reg = reg
        self.pid = getpid()
        self.shared = shared
        self.manual = flags & IBC_REGISTRY_MANUAL

    cdef Device wrap(self, ibc_device *dev):
        """The one object of that incarnation."""
        cdef uint64_t number = ibc_device_incarnation(dev)
        cdef Device device = self.known(number)
        if device is not None:
            return device
        if ibc_get_device(dev) == NULL:
            raise failure(c_errno.errno, "a device")
        return self.take(dev, "a device")

    cdef Device take(self, ibc_device *dev, str what):
        """The same, of a reference that it is to have; NULL fails with errno."""
        cdef uint64_t number
        cdef Device device
        if dev == NULL:
            raise failure(c_errno.errno, what)
        number = ibc_device_incarnation(dev)
        device = self.known(number)
        if device is not None:
            ibc_put_device(dev)
            return device
        device = Device.__new__(Device)
        device.registry = self
        device.incarnation = number
        device.dev = dev
        self.devices_by_number[number] = <uintptr_t><void *>device
        return device

    cdef Device known(self, uint64_t number):
        cdef object address = self.devices_by_number.get(number)
        if address is None:
            return None
        return <Device><void *><uintptr_t>address

    cdef bint is_childs(self):
        """This process is a child of the one that opened it."""
        return self.pid != getpid()

    cdef int open_pds(self) except -1:
        """Before the first client: then its callbacks find them."""
        cdef ibc_registry *reg = self.reg
        cdef int error
        if not self.pds_open:
            self.pds_open = True
            with nogil:
                error = ibc_open_pds(reg)
            if error:
                self.pds_open = False
                raise failure(error, "shared PDs")
        return 0

    @property
    def closed(self):
        return self.reg == NULL

    @property
    def clients(self):
        """The clients registered through this object, in their order."""
        return list(self.client_set)

    def fileno(self):
        """The file descriptor of a manual registry: readable when dispatch() has work.
        """
        cdef int fd
        self.enter()
        try:
            fd = ibc_get_fd(self.reg)
            if fd < 0:
                raise failure(c_errno.errno, "the file descriptor of a registry "
                              "(one opened with manual=True has one)")
            return fd
        finally:
            self.in_calls -= 1

    def _dispatch(self):
        """Run what is due; whether there was anything."""
        cdef int error
        self.enter()
        try:
            with nogil:
                error = ibc_dispatch(self.reg, 0)
            if error == _errno.ETIMEDOUT:
                return False
            check(error, "dispatching (of a registry opened with manual=True)"
                  if error == _errno.EINVAL else "dispatching")
            return True
        finally:
            self.in_calls -= 1

    def rescan(self):
        """Read the list of devices now. What changed is told by callbacks."""
        cdef int error
        self.enter()
        try:
            with nogil:
                error = ibc_rescan(self.reg)
            check(error, "reading the list of devices")
        finally:
            self.in_calls -= 1

    def devices(self):
        """The live, opened devices, as they came: none before there is a client."""
        cdef list found = [self]
        cdef int error
        self.enter()
        try:
            with nogil:
                error = ibc_for_each_device(self.reg, collect, <void *>found)
            check(error, "the devices of a registry")
        finally:
            self.in_calls -= 1
        return found[1:]

    def device(self, which):
        """The live, opened device with that name, or with that index."""
        cdef bytes name
        self.enter()
        try:
            if isinstance(which, int):
                return self.take(ibc_get_device_by_index(self.reg, which),
                                 f"the device with index {which}")
            name = os.fsencode(which)
            return self.take(ibc_get_device_by_name(self.reg, name),
                             f"the device {which}")
        finally:
            self.in_calls -= 1

    def stats(self):
        """The counters since it was opened, as a dict: see ibc_query_stats(3)."""
        cdef ibc_stats s
        self.enter()
        try:
            check(ibc_query_stats(self.reg, &s, sizeof(s)),
                  "the counters of a registry")
        finally:
            self.in_calls -= 1
        return {
            "devices_added": s.devices_added, "devices_gone": s.devices_gone,
            "opens_failed": s.opens_failed, "adds": s.adds,
            "adds_failed": s.adds_failed, "removes": s.removes,
            "allocs": s.allocs, "allocs_failed": s.allocs_failed,
            "frees": s.frees, "events_read": s.events_read,
            "events_delivered": s.events_delivered,
            "events_merged": s.events_merged, "scans": s.scans,
            "hints": s.hints, "false_hints": s.false_hints,
        }

    def _dump(self, int format):
        cdef char *text = NULL
        cdef size_t size = 0
        cdef FILE *out
        cdef int error
        self.enter()
        try:
            out = open_memstream(&text, &size)
            if out == NULL:
                raise MemoryError()
            with nogil:
                error = ibc_dump(self.reg, out, format)
                if fclose(out) and not error:
                    error = _ENOMEM
            check(error, "what a registry knows")
            return text[:size].decode("utf-8", "surrogateescape")
        finally:
            self.in_calls -= 1
            free(text)

    # ---- closing; the clients are unregistered before

    cdef int close_handlers(self) except -1:
        for handler in list(self.handler_set):
            (<EventHandler>handler).close()
        return 0

    cdef int close_pds(self) except -1:
        cdef ibc_registry *reg = self.reg
        cdef int error
        if self.pd_refs and not self.is_childs():
            raise OSError(_errno.EBUSY, f"{self.pd_refs} references on PDs of the "
                          "registry are left, of PDs or of pyverbs' contexts and "
                          "PDs: release or close them first")
        if self.pds_open:
            self.pds_open = False
            with nogil:
                error = ibc_close_pds(reg)
            # in a forked child there is nothing to take back
            if error and error != _errno.ECHILD:
                self.pds_open = True
                raise failure(error, "closing the shared PDs of a registry")
        return 0

    def _close(self):
        cdef ibc_registry *reg
        cdef int error
        if self.reg == NULL:
            return
        refuse_in_callback(self, "closing a registry")
        self.close_handlers()
        self.close_pds()
        if self.in_calls and not self.is_childs():
            raise OSError(_errno.EBUSY,
                          "another thread is in a call of the registry")
        for number in list(self.devices_by_number):
            device = self.known(number)
            if device is not None:
                device.forget()
        self.devices_by_number.clear()
        reg = self.reg
        if reg == NULL:
            return
        # from here on nobody comes in
        self.reg = NULL
        with nogil:
            error = ibc_close(reg)
        if error:
            self.reg = reg
            raise failure(error, "closing a registry"
                          + (": clients or references of devices are left"
                             if error == _errno.EBUSY else ""))


REGISTRY_FLAGS = (IBC_REGISTRY_MANUAL, IBC_REGISTRY_NO_OPEN, IBC_REGISTRY_TRACK_REFS)
DUMP_JSON = IBC_DUMP_JSON
DUMP_TEXT = IBC_DUMP_TEXT
