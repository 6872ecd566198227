# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Events, and handlers for those of a device, a port or one object.


class EventType(enum.IntEnum):
    """The types of async events, as in enum ibv_event_type."""
    __module__ = "ibclient"
    CQ_ERR = IBV_EVENT_CQ_ERR
    QP_FATAL = IBV_EVENT_QP_FATAL
    QP_REQ_ERR = IBV_EVENT_QP_REQ_ERR
    QP_ACCESS_ERR = IBV_EVENT_QP_ACCESS_ERR
    COMM_EST = IBV_EVENT_COMM_EST
    SQ_DRAINED = IBV_EVENT_SQ_DRAINED
    PATH_MIG = IBV_EVENT_PATH_MIG
    PATH_MIG_ERR = IBV_EVENT_PATH_MIG_ERR
    DEVICE_FATAL = IBV_EVENT_DEVICE_FATAL
    PORT_ACTIVE = IBV_EVENT_PORT_ACTIVE
    PORT_ERR = IBV_EVENT_PORT_ERR
    LID_CHANGE = IBV_EVENT_LID_CHANGE
    PKEY_CHANGE = IBV_EVENT_PKEY_CHANGE
    SM_CHANGE = IBV_EVENT_SM_CHANGE
    SRQ_ERR = IBV_EVENT_SRQ_ERR
    SRQ_LIMIT_REACHED = IBV_EVENT_SRQ_LIMIT_REACHED
    QP_LAST_WQE_REACHED = IBV_EVENT_QP_LAST_WQE_REACHED
    CLIENT_REREGISTER = IBV_EVENT_CLIENT_REREGISTER
    GID_CHANGE = IBV_EVENT_GID_CHANGE
    WQ_FATAL = IBV_EVENT_WQ_FATAL


PORT_EVENTS = frozenset((
    EventType.PORT_ACTIVE, EventType.PORT_ERR, EventType.LID_CHANGE,
    EventType.PKEY_CHANGE, EventType.SM_CHANGE, EventType.CLIENT_REREGISTER,
    EventType.GID_CHANGE))
SRQ_EVENTS = frozenset((EventType.SRQ_ERR, EventType.SRQ_LIMIT_REACHED))
WQ_EVENTS = frozenset((EventType.WQ_FATAL,))
QP_EVENTS = frozenset(EventType) - PORT_EVENTS - SRQ_EVENTS - WQ_EVENTS - {
    EventType.CQ_ERR, EventType.DEVICE_FATAL}


cdef uint64_t mask_of(object types) except? 0xffffffffffffffff:
    """A mask of EventTypes, their numbers or their names; 0 for none at all."""
    cdef uint64_t mask = 0
    if isinstance(types, (int, str)):
        types = (types,)
    for one in types:
        try:
            one = EventType[one] if isinstance(one, str) else int(one)
        except KeyError:
            raise ValueError(f"{one!r} is no type of event: see "
                             "ibclient.EventType") from None
        if not 0 <= one < 64:
            raise ValueError(f"{one!r} is no type of event")
        mask |= <uint64_t>1 << <int>one
    return mask


cdef class Event:
    """An async event.

    type      an EventType; of one that is not known here the number
    name      its name, such as "PORT_ERR"
    count     how many equal events this one stands for
    replayed  True: it happened before the receiver was there
    port      the port's number, of an event of a port; else None
    number    the number of the QP, WQ or SRQ that it is of; else 0
    """

    def __init__(self):
        raise TypeError("events are made by the library")

    @property
    def name(self):
        """The name of the type, without IBV_EVENT_."""
        return getattr(self.type, "name", None) or f"EVENT_{self.type}"

    def __repr__(self):
        of = ""
        if self.port is not None:
            of = f" port {self.port}"
        elif self.number:
            of = f" of {self.number}"
        return (f"<ibclient.Event {self.name}{of} count {self.count}"
                f"{' replayed' if self.replayed else ''}>")


cdef Event event_of(const ibc_event *event):
    cdef Event e = Event.__new__(Event)
    try:
        e.type = EventType(event.async_.event_type)
    except ValueError:
        e.type = event.async_.event_type
    e.count = event.count
    e.replayed = event.flags & IBC_EVENT_REPLAYED
    if e.type in PORT_EVENTS:
        e.port = event.element_num
    else:
        e.number = event.element_num
    return e


# Most events are not for who wants those of one object: that needs no GIL.
cdef void on_handler(ibc_device *dev, const ibc_event *event, void *arg) \
        noexcept nogil:
    cdef py_handler *h = <py_handler *>arg
    if ended:
        return
    if h.has_number and (event.element_num != h.number or
                         not h.type_mask >> event.async_.event_type & 1):
        return
    with gil:
        run_handler(<EventHandler>h.owner, event)


cdef void run_handler(EventHandler handler, const ibc_event *event) noexcept:
    try:
        call(handler.device.registry, handler.fn,
             (handler.device, event_of(event)))
    except BaseException as e:
        unraisable(handler.fn, e)


cdef class EventHandler:
    """A handler that Device.on_event() registered. Ends with close(), or `with`."""

    def __init__(self):
        raise TypeError("handlers are made by Device.on_event()")

    def __dealloc__(self):
        # one that could not be closed is still the library's
        if self.handler == NULL:
            free(self.h)

    def close(self):
        """Unregister: a fence. The callback does not run any more, and never will.

        In the handler's own callback it returns at once, and this call is the last.
        """
        cdef BaseRegistry registry = self.device.registry
        cdef ibc_event_handler *handler = self.handler
        cdef int error
        if handler == NULL:
            self._await_other()
            return
        registry.enter()
        self.handler = NULL
        try:
            with nogil:
                error = ibc_unregister_event_handler(handler)
            if error and error != _errno.ECHILD:
                self.handler = handler
                raise failure(error, "unregistering an event handler")
            registry.handler_set.pop(self, None)
            self.finished.set()
        finally:
            registry.in_calls -= 1

    def _await_other(self):
        """Another thread is about it, or it is done."""
        while not callbacks_here() and not self.finished.wait(SLICE_MS / 1000):
            if self.handler != NULL:
                self.close()

    @property
    def closed(self):
        return self.finished.is_set()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


cdef EventHandler handle(Device device, object fn, object port, object number,
                         uint64_t of_scope, uint64_t mask):
    cdef BaseRegistry registry = device.registry
    cdef EventHandler h = EventHandler.__new__(EventHandler)
    cdef ibc_event_filter filter
    cdef ibc_event_handler *handler
    cdef ibc_device *dev
    cdef int error = 0
    if of_scope and mask and not mask & of_scope:
        raise failure(_errno.EINVAL, "no event of these types can be of that object")
    mask = mask & of_scope if of_scope and mask else mask or of_scope
    h.device = device
    h.fn = fn
    h.finished = threading.Event()
    h.h = <py_handler *>calloc(1, sizeof(py_handler))
    if h.h == NULL:
        raise MemoryError()
    h.h.owner = <void *>h
    h.h.type_mask = mask
    if number is not None:
        h.h.number = number
        h.h.has_number = True
    memset(&filter, 0, sizeof(filter))
    filter.scope = IBC_SCOPE_DEVICE
    filter.type_mask = mask
    if port is not None:
        filter.scope = IBC_SCOPE_PORT
        filter.port_num = port
    registry.enter()
    try:
        dev = device.use()
        # from here on it may be called
        registry.handler_set[h] = None
        with nogil:
            handler = ibc_register_event_handler(dev, &filter, on_handler, h.h)
            if handler == NULL:
                error = c_errno.errno
        if handler == NULL:
            del registry.handler_set[h]
            raise failure(error, f"a handler for events of {device.name}")
        h.handler = handler
    finally:
        registry.in_calls -= 1
    return h
