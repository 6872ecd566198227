# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Contexts and PDs of pyverbs that are imported from the library's.

An imported object is another one of pyverbs' for what the library has open. Each
holds a reference on the shared PD of its device: so the context stays open, and the
PD is there, until the last of them is closed. Closing is in __del__() as well, which
comes before the attributes go.

In a cycle that the garbage collector found it would come too early: what was made on
them, and is in the cycle, is destroyed after all __del__(). pyverbs' weak references to
that are gone by then; ours to ourselves tells us so. Then closing is put off until the
collector has done its work.

A context of its own is opened by pyverbs, where a driver cannot import; it lives as
the others do.
"""
import contextlib
import errno
import gc
import os
import weakref

import pyverbs.device
import pyverbs.pd
from pyverbs.pyverbs_error import PyverbsRDMAError
from pyverbs.qp import QP

from ._ibclient import DeviceState

@contextlib.contextmanager
def _os_errors(what):
    """As the binding has them; and nothing but the reference is left."""
    try:
        yield
    except PyverbsRDMAError as e:
        code = e.error_code or errno.EIO
        why = os.strerror(code)
        if code == errno.EOPNOTSUPP:
            why = ("its driver cannot import a context: "
                   "pyverbs_context(own=True) opens another")
        raise OSError(code, f"{what}: {why}") from e


class Context(pyverbs.device.Context):
    """A pyverbs Context of a device."""
    _reference = None

    def __init__(self, pd, own):
        reference = pd.hold()
        try:
            with _os_errors(f"a context of {reference.device.name} for pyverbs"):
                if own:
                    self._open(reference)
                else:
                    self._import(reference)
        except BaseException:
            reference.release()
            raise
        self._reference = reference
        self._own = own
        self._myself = weakref.ref(self)

    def _import(self, reference):
        fd = os.dup(reference.cmd_fd)
        try:
            super().__init__(cmd_fd=fd)
        except BaseException:
            _close_ours(fd, reference.cmd_fd)
            raise

    def _open(self, reference):
        """By name; the device that has it by then may be another one."""
        device = reference.device
        super().__init__(name=device.name)
        ours, theirs = (os.fstat(fd) for fd in (reference.cmd_fd, self.cmd_fd))
        if ours.st_rdev != theirs.st_rdev or device.state != DeviceState.LIVE:
            super().close()
            raise OSError(errno.ENODEV, f"{device.name} went")

    @property
    def ibclient_device(self):
        """The Device that it is of; None once it is closed."""
        return self._reference.device if self._reference else None

    def close(self):
        super().close()
        reference = self._reference
        # pyverbs calls this once more when the attributes are gone: none is made then
        if reference is not None:
            self._reference = None
            reference.release()

    def __del__(self):
        _close_forgotten(self)


class PD(pyverbs.pd.PD):
    """A pyverbs PD, imported: the one that the process shares."""
    _reference = None

    def __init__(self, context, pd):
        if getattr(context, "ibclient_device", None) != pd.device or context._own:
            raise ValueError("the context is not one that is imported from that device")
        reference = pd.hold()
        try:
            with _os_errors(f"the PD of {pd.device.name} for pyverbs"):
                super().__init__(context, handle=reference.handle)
        except BaseException:
            reference.release()
            raise
        self._reference = reference
        self._myself = weakref.ref(self)

    def close(self):
        """Close what was made on it, and give it back."""
        reference = self._reference
        if reference is None:
            super().close()
            return
        self._reference = None
        try:
            _close_children(self)
            # calls close() itself
            self.unimport()
        finally:
            reference.release()

    def __del__(self):
        _close_forgotten(self)


_put_off = []


def _close_forgotten(one):
    if one._reference is None:
        return
    if one._myself() is not None:
        one.close()
    else:
        _put_off.append(one)


def _after_collection(phase, info):
    """PDs go before their contexts."""
    if phase == "stop" and _put_off:
        forgotten, _put_off[:] = _put_off[:], []
        for one in sorted(forgotten, key=lambda one: isinstance(one, Context)):
            one.close()


gc.callbacks.append(_after_collection)


def _close_children(pd):
    """What was made on a PD, QPs first: unimport() takes the PD away before it would
    close them.

    pyverbs shows these to the garbage collector only.
    """
    children = [child for refs in gc.get_referents(pd)
                if isinstance(refs, weakref.WeakSet) for child in list(refs)]
    for child in sorted(children, key=lambda child: not isinstance(child, QP)):
        child.close()


def _close_ours(fd, original):
    """libibverbs has closed fd in some of its failures, and not in others."""
    try:
        if os.path.sameopenfile(fd, original):
            os.close(fd)
    except OSError:
        pass
