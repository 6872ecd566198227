# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What the classes of _ibclient.pyx hold.
from libc.stdint cimport uint32_t, uint64_t
from ibclient.ibc cimport *

# The library's structs, each with what leads back to the object. Python objects in
# them are borrowed: see the top of _ibclient.pyx.
cdef struct py_client:
    ibc_client base
    void *owner

cdef struct py_data:
    ibc_client_data base
    void *value

cdef struct py_handler:
    void *owner
    uint64_t type_mask
    uint32_t number
    bint has_number

cdef class BaseRegistry:
    cdef ibc_registry *reg
    cdef readonly bint shared
    cdef readonly bint manual
    cdef int in_calls
    cdef bint pds_open
    cdef int pd_refs
    cdef int pid
    cdef dict devices_by_number
    cdef dict client_set
    cdef dict handler_set
    cdef object __weakref__

    cdef int enter(self) except -1
    cdef Device wrap(self, ibc_device *dev)
    cdef Device take(self, ibc_device *dev, str what)
    cdef bint is_childs(self)
    cdef Device known(self, uint64_t number)
    cdef int close_handlers(self) except -1
    cdef int close_pds(self) except -1
    cdef int open_pds(self) except -1

cdef class Device:
    cdef readonly BaseRegistry registry
    cdef readonly uint64_t incarnation
    cdef ibc_device *dev
    cdef object last_name
    cdef object last_index
    cdef object last_guid
    cdef bint last_adopted
    cdef object __weakref__

    cdef ibc_device *use(self) except NULL
    cdef int forget(self) except -1

cdef class Client:
    cdef readonly BaseRegistry registry
    cdef readonly bint registered
    cdef py_client *c
    cdef bytes encoded
    cdef object fn_add, fn_remove, fn_gone, fn_rename, fn_event
    cdef object fn_alloc, fn_free, fn_done
    cdef object finished
    cdef dict values
    cdef object __weakref__

    cdef int finish(self) except -1
    cdef object hold(self, Device device, ibc_client_data *data)

cdef class BaseData:
    cdef readonly Client client
    cdef readonly Device device
    cdef readonly object value
    cdef py_data *data
    cdef object __weakref__

    cdef drop(self)

cdef class BasePD:
    cdef readonly Device device
    cdef ibc_pd *pd
    cdef object __weakref__

    cdef drop(self)
    cdef ibc_pd *use(self) except NULL

cdef class Event:
    cdef readonly object type
    cdef readonly unsigned int count
    cdef readonly bint replayed
    cdef readonly object port
    cdef readonly unsigned int number

cdef class EventHandler:
    cdef readonly Device device
    cdef py_handler *h
    cdef ibc_event_handler *handler
    cdef object fn
    cdef object finished
    cdef object __weakref__
