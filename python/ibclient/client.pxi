# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Clients, their callbacks, and their data.


# ---- callbacks, called by the library without the GIL

cdef int on_add(ibc_client *c, ibc_device *dev) noexcept nogil:
    if ended:
        return _EIO
    with gil:
        return run_add(<Client>(<py_client *>c).owner, dev)


cdef void on_remove(ibc_client *c, ibc_device *dev, ibc_client_data *data) \
        noexcept nogil:
    if not ended:
        with gil:
            run_remove(<Client>(<py_client *>c).owner, dev, <py_data *>data)


cdef void on_gone(ibc_client *c, ibc_device *dev) noexcept nogil:
    if not ended:
        with gil:
            run_gone(<Client>(<py_client *>c).owner, dev)


cdef void on_rename(ibc_client *c, ibc_device *dev, const char *old_name) \
        noexcept nogil:
    if not ended:
        with gil:
            run_rename(<Client>(<py_client *>c).owner, dev, old_name)


cdef void on_event(ibc_client *c, ibc_device *dev, ibc_client_data *data,
                   const ibc_event *event) noexcept nogil:
    if not ended:
        with gil:
            run_event(<Client>(<py_client *>c).owner, dev, <py_data *>data, event)


# errno is set last: taking and giving the GIL may change it
cdef ibc_client_data *on_alloc(ibc_client *c, ibc_device *dev) noexcept nogil:
    cdef py_data *data = NULL
    cdef int error = _EIO
    if not ended:
        with gil:
            error = run_alloc(<Client>(<py_client *>c).owner, dev, &data)
    if error:
        c_errno.errno = error
        return NULL
    return &data.base


cdef void on_free(ibc_client_data *data) noexcept nogil:
    if not ended:
        with gil:
            run_free(<Client>(<py_client *>data.client).owner, data.device,
                     <py_data *>data)
    free(data)


cdef void on_done(ibc_client *c) noexcept nogil:
    if not ended:
        with gil:
            run_done(<Client>(<py_client *>c).owner)


# ---- the same with it

cdef int failed(object fn, object exc) noexcept:
    """The errno that the library gets for an exception that is not lost."""
    cdef int error = errno_of(exc)
    if not error:
        unraisable(fn, exc)
    return error if error else _EIO


cdef object value_of(py_data *data):
    return None if data == NULL else <object>data.value


cdef int run_add(Client client, ibc_device *dev) noexcept:
    try:
        call(client.registry, client.fn_add,
             (client, client.registry.wrap(dev)))
        return 0
    except BaseException as e:
        return failed(client.fn_add, e)


cdef void run_remove(Client client, ibc_device *dev, py_data *data) noexcept:
    try:
        call(client.registry, client.fn_remove,
             (client, client.registry.wrap(dev), value_of(data)))
    except BaseException as e:
        unraisable(client.fn_remove, e)


cdef void run_gone(Client client, ibc_device *dev) noexcept:
    try:
        call(client.registry, client.fn_gone, (client, client.registry.wrap(dev)))
    except BaseException as e:
        unraisable(client.fn_gone, e)


cdef void run_rename(Client client, ibc_device *dev, const char *old) noexcept:
    try:
        call(client.registry, client.fn_rename,
             (client, client.registry.wrap(dev), os.fsdecode(<bytes>old)))
    except BaseException as e:
        unraisable(client.fn_rename, e)


cdef void run_event(Client client, ibc_device *dev, py_data *data,
                    const ibc_event *event) noexcept:
    try:
        call(client.registry, client.fn_event,
             (client, client.registry.wrap(dev), value_of(data), event_of(event)))
    except BaseException as e:
        unraisable(client.fn_event, e)


cdef int run_alloc(Client client, ibc_device *dev, py_data **data) noexcept:
    cdef int error
    try:
        value = call(client.registry, client.fn_alloc,
                     (client, client.registry.wrap(dev)))
        if value is None:
            raise TypeError("alloc() has returned None, which is no data")
        data[0] = new_data(client, value)
        return 0
    except BaseException as e:
        # who asked for it in this thread gets the exception itself
        raised = getattr(_local, "raised", None)
        if raised is None:
            return failed(client.fn_alloc, e)
        raised.append(e)
        error = errno_of(e)
        return error if error else _EIO


cdef py_data *new_data(Client client, object value) except NULL:
    cdef py_data *data = <py_data *>calloc(1, sizeof(py_data))
    if data == NULL:
        raise MemoryError()
    try:
        client.values[<uintptr_t>data] = value
    except BaseException:
        free(data)
        raise
    data.value = <void *>value
    return data


cdef void run_free(Client client, ibc_device *dev, py_data *data) noexcept:
    try:
        value = client.values.pop(<uintptr_t>data)
        if client.fn_free is not None:
            call(client.registry, client.fn_free,
                 (client, client.registry.wrap(dev), value))
        else:
            # its own end is a callback as well
            drop = [value]
            value = None
            call(client.registry, drop.clear, ())
    except BaseException as e:
        unraisable(client.fn_free, e)


cdef void run_done(Client client) noexcept:
    try:
        client.finish()
        done, client.fn_done = client.fn_done, None
        if done is not None:
            call(client.registry, done, (client,))
    except BaseException as e:
        unraisable(client, e)


# ---- clients

cdef class Client:
    """A user of a registry, registered as soon as it is made.

    Client(registry, name, *, add, remove, gone, rename, event, alloc, free, events,
    free_unused, defer_free): all callbacks may be left out, all get the client first:

    add(client, device)     a device came. An OSError refuses it: EOPNOTSUPP for good,
                            another errno until it is tried again.
    remove(client, device, value)
                            it goes; value is the client's data of it, or None
    gone(client, device)    all data of it is freed, and its context closed
    rename(client, device, old_name)
    event(client, device, value, event)
                            an async event of it; with events only those types
    alloc(client, device)   returns the data of the device: any object but None
    free(client, device, value)
                            after the last reference on it was released
    """

    def __init__(self, BaseRegistry registry not None, str name="", *, add=None,
                 remove=None, gone=None, rename=None, event=None, alloc=None,
                 free=None, events=(), bint free_unused=False,
                 bint defer_free=False):
        cdef ibc_registry *reg
        cdef int error
        if self.c != NULL:
            raise TypeError("a Client is registered once")
        for fn in (add, remove, gone, rename, event, alloc, free):
            if fn is not None and not callable(fn):
                raise TypeError(f"{fn!r} cannot be called")
        if "\0" in name:
            raise ValueError("a name has no NUL")
        self.c = <py_client *>calloc(1, sizeof(py_client))
        if self.c == NULL:
            raise MemoryError()
        self.registry = registry
        self.encoded = os.fsencode(name)
        self.fn_add, self.fn_remove, self.fn_gone = add, remove, gone
        self.fn_rename, self.fn_event = rename, event
        self.fn_alloc, self.fn_free = alloc, free
        self.values = {}
        self.finished = threading.Event()
        self.c.owner = <void *>self
        fill(&self.c.base, self)
        self.c.base.event_mask = mask_of(events)
        if free_unused:
            self.c.base.flags |= IBC_CLIENT_FREE_UNUSED
        if defer_free:
            self.c.base.flags |= IBC_CLIENT_DEFER_FREE
        registry.enter()
        try:
            registry.open_pds()
            # from here on callbacks come
            self.registered = True
            registry.client_set[self] = None
            reg = registry.reg
            with nogil:
                error = ibc_register_client(reg, &self.c.base)
            if error:
                self.finish()
                raise failure(error, f"registering the client {name!r}")
        finally:
            registry.in_calls -= 1

    def __dealloc__(self):
        # what is still registered when the interpreter ends stays the library's
        if not self.registered:
            free(self.c)

    cdef int finish(self) except -1:
        self.registered = False
        self.registry.client_set.pop(self, None)
        self.finished.set()
        return 0

    @property
    def name(self):
        return os.fsdecode(self.encoded)

    def unregister(self, timeout=None):
        """Unregister: a full fence.

        remove() runs for each device, and all references on data are waited for; then
        no callback of the client runs, nor ever will. timeout is in seconds, None for
        ever; after a TimeoutError call it again. Of several threads that call it all
        return when it is done.
        """
        deadline = deadline_of(timeout)
        cdef int error, ms
        self.registry.enter()
        try:
            while self.registered:
                ms = slice_of(deadline)
                with nogil:
                    error = ibc_unregister_client_timed(&self.c.base, ms)
                if not self.registered:
                    break
                if error == 0 or error == _errno.ECHILD:
                    self.finish()
                    break
                if error == _errno.EBUSY:
                    # another thread is in there, or it goes on by itself
                    self.finished.wait(ms / 1000)
                elif error != _errno.ETIMEDOUT:
                    raise failure(error, f"unregistering the client {self.name!r}")
                if deadline is not None and time.monotonic() >= deadline and \
                        self.registered:
                    raise failure(_errno.ETIMEDOUT,
                                  f"unregistering the client {self.name!r}")
                PyErr_CheckSignals()
        finally:
            self.registry.in_calls -= 1

    def unregister_async(self, done=None):
        """The same without waiting, in a callback too: then done(client) is called."""
        cdef int error
        self.registry.enter()
        try:
            self.fn_done = done
            with nogil:
                error = ibc_unregister_client_async(&self.c.base, on_done)
            check(error, f"unregistering the client {self.name!r}")
        finally:
            self.registry.in_calls -= 1

    def get(self, Device device not None):
        """The data of a device, with a reference: a Data.

        OSError: ENOENT, there is none; ENODEV, the device goes; ESHUTDOWN, the client
        does; EOPNOTSUPP, add() did not want the device.
        """
        cdef ibc_client_data *data = NULL
        if self.registered:
            data = ibc_get_client_data(device.use(), &self.c.base)
        if data == NULL:
            raise failure(c_errno.errno if self.registered else _errno.ESHUTDOWN,
                          f"data of {device.name}")
        return self.hold(device, data)

    def alloc_or_get(self, Device device not None):
        """The data of a device; alloc() makes it if there is none: a Data.

        However many threads ask, alloc() makes it once. What it raises is raised here in
        the thread that it ran in; others get its errno.
        """
        cdef ibc_client_data *data
        cdef ibc_device *dev
        cdef int error = 0
        cdef list raised = []
        outer = getattr(_local, "raised", None)
        if not self.registered:
            raise failure(_errno.ESHUTDOWN, f"data of {device.name}")
        self.registry.enter()
        try:
            dev = device.use()
            _local.raised = raised
            with nogil:
                data = ibc_alloc_or_get_client_data(dev, &self.c.base)
                if data == NULL:
                    error = c_errno.errno
        finally:
            _local.raised = outer
            self.registry.in_calls -= 1
        if data != NULL:
            return self.hold(device, data)
        if raised:
            raise raised.pop()
        raise failure(error, f"data of {device.name}")

    def set(self, Device device not None, value):
        """Make value the data of a device, in place of what there is; None: no data."""
        cdef py_data *data = NULL
        cdef ibc_device *dev
        cdef int error
        if not self.registered:
            raise failure(_errno.ESHUTDOWN, f"data of {device.name}")
        self.registry.enter()
        try:
            dev = device.use()
            if value is not None:
                data = new_data(self, value)
                error = ibc_init_client_data(&data.base, dev, &self.c.base)
                if error:
                    del self.values[<uintptr_t>data]
                    free(data)
                    raise failure(error, f"data of {device.name}")
            with nogil:
                error = ibc_set_client_data(dev, &self.c.base,
                                            &data.base if data != NULL else NULL)
                if data != NULL:
                    ibc_put_client_data(&data.base)
            check(error, f"data of {device.name}")
        finally:
            self.registry.in_calls -= 1

    cdef object hold(self, Device device, ibc_client_data *data):
        """data comes with the reference that the object is to have."""
        cdef BaseData ref = Data.__new__(Data)
        ref.client = self
        ref.device = device
        ref.value = <object>(<py_data *>data).value
        ref.data = <py_data *>data
        return ref

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.unregister()

    def __repr__(self):
        return (f"<ibclient.Client {self.name!r} "
                f"{'registered' if self.registered else 'unregistered'}>")


cdef int fill(ibc_client *c, Client client) except -1:
    c.name = client.encoded
    if client.fn_add is not None:
        c.add = on_add
    if client.fn_remove is not None:
        c.remove = on_remove
    if client.fn_gone is not None:
        c.gone = on_gone
    if client.fn_rename is not None:
        c.rename = on_rename
    if client.fn_event is not None:
        c.event = on_event
    if client.fn_alloc is not None:
        c.alloc_client_data = on_alloc
    c.free_client_data = on_free
    return 0


cdef class BaseData:

    def __init__(self):
        raise TypeError("use Client.get() or Client.alloc_or_get()")

    def __dealloc__(self):
        self.drop()

    cdef drop(self):
        cdef py_data *data = self.data
        if data != NULL:
            self.data = NULL
            self.value = None
            with nogil:
                ibc_put_client_data(&data.base)

    def release(self):
        """Give the reference back; the value is not to be used any more."""
        self.drop()

    def hold(self):
        """One reference more, to be released by itself."""
        if self.data == NULL:
            raise failure(_errno.ENODEV, "this reference on data was released")
        ibc_hold_client_data(&self.data.base)
        return self.client.hold(self.device, &self.data.base)

    @property
    def released(self):
        return self.data == NULL

    def __enter__(self):
        return self.value

    def __exit__(self, *unused):
        self.drop()


class Data(BaseData):
    """A reference on a client's data of a device, until release() or the end of a
    `with` block, which gets the value. It keeps the device's context open, and a
    removal waits for it.
    """
    __module__ = "ibclient"
    __slots__ = ()

    def __del__(self):
        self.release()
