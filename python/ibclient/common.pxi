# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Errors, exceptions of callbacks, time-outs.

# of each thread: the registries whose callbacks it is in, and where exceptions of an
# alloc() go that the thread itself asked for
_local = threading.local()


cdef str because(int error):
    if error == _errno.EDEADLK:
        return "this would wait for the callback that it is called in"
    if error == _errno.ECHILD:
        return "the registry was opened before fork(): open one in this process"
    if error == _errno.EBADF:
        return "the process has closed file descriptors of the library"
    return os.strerror(error)


cdef object failure(int error, str what):
    return OSError(error, f"{what}: {because(error)}")


cdef int check(int error, str what) except -1:
    if error:
        raise failure(error, what)
    return 0


cdef list callbacks_here():
    try:
        return _local.callbacks
    except AttributeError:
        _local.callbacks = []
        return _local.callbacks


cdef object call(BaseRegistry registry, object fn, tuple args):
    """fn(*args), with the registry among those whose callbacks run in this thread."""
    cdef list here = callbacks_here()
    here.append(registry)
    try:
        return fn(*args)
    finally:
        here.pop()


cdef int refuse_in_callback(BaseRegistry registry, str what) except -1:
    for other in callbacks_here():
        if other is registry:
            raise failure(_errno.EDEADLK, what)
    return 0


cdef int unraisable(object fn, object exc) except -1:
    """Nobody is there to catch it: to sys.unraisablehook()."""
    cdef object kind = type(exc)
    cdef object trace = exc.__traceback__
    cdef PyObject *where = NULL
    # PyErr_Restore() takes the references
    Py_INCREF(kind)
    Py_INCREF(exc)
    if trace is not None:
        Py_INCREF(trace)
        where = <PyObject *>trace
    PyErr_Restore(<PyObject *>kind, <PyObject *>exc, where)
    PyErr_WriteUnraisable(fn)
    return 0


cdef int errno_of(object exc):
    """The errno of an OSError that has one, else 0."""
    if isinstance(exc, OSError) and isinstance(exc.errno, int):
        if 0 < exc.errno < 4096:
            return exc.errno
    return 0


cdef object deadline_of(object timeout):
    if timeout is None:
        return None
    if timeout < 0:
        raise ValueError("a timeout is None, for ever, or not negative")
    return time.monotonic() + timeout


cdef int slice_of(object deadline) except -1:
    """Milliseconds to wait now; 0 when the time is up."""
    if deadline is None:
        return SLICE_MS
    left = (deadline - time.monotonic()) * 1000
    return 0 if left <= 0 else min(SLICE_MS, int(left) + 1)


cdef uint32_t milliseconds(object seconds, str what) except? 0xffffffff:
    if seconds < 0 or seconds * 1000 > INT_MAX:
        raise ValueError(f"{what}: not a number of seconds that is possible here")
    return <uint32_t>(seconds * 1000)
