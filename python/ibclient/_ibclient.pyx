# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# cython: language_level=3
#
# The binding: classes that hold what the library gives out. Policy (closing what was
# forgotten, the end of the interpreter, pyverbs) is in the .py files beside this one.
#
# The GIL and the library's locks: the library holds none in a callback, so a callback
# may wait for the GIL; what may wait for a callback, or sleep, is called without the
# GIL. Each callback is a function without the GIL that looks at `ended` before it
# takes it, and a run_ function with it.
#
# Who owns what: the library has bare pointers only. A Client or EventHandler is in its
# registry's client_set or handler_set for as long as the library may call it, and
# the value of client data is in its Client's `values` from alloc to free. So the
# garbage collector sees all references, and finds the cycles that lead through the
# library, too.
#
# A Device has a reference on the library's. There is one for each incarnation, as long
# as somebody has it: its registry has its address, not a reference. When the
# registry is closed the library's is given back, and the object tells what was known
# last.
import enum
import errno as _errno
import os
import threading
import time

cimport cython
from cpython.exc cimport PyErr_CheckSignals, PyErr_Restore, PyErr_WriteUnraisable
from cpython.ref cimport Py_INCREF, PyObject
from libc cimport errno as c_errno
from libc.errno cimport EIO as _EIO, ENOMEM as _ENOMEM
from libc.limits cimport INT_MAX
from libc.stdint cimport uintptr_t
from libc.stdio cimport fclose
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from ibclient.ibc cimport *

cdef extern from "<stdio.h>" nogil:
    FILE *open_memstream(char **buf, size_t *size)

cdef extern from "<unistd.h>" nogil:
    int getpid()

# The interpreter ends: no callback may want the GIL any more.
cdef bint ended = False

# how long a thread waits in the library before it looks for signals
cdef enum:
    SLICE_MS = 200

include "common.pxi"
include "event.pxi"
include "device.pxi"
include "client.pxi"
include "registry.pxi"


def version():
    """The version of the C library, such as "1.0.0"."""
    return ibc_version().decode()


def end():
    """Call no Python code from the library any more: the interpreter ends."""
    global ended
    ended = True


def has_ended():
    return ended
