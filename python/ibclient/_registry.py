# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Registries as programs see them, and what is done about those that they forget."""
import atexit
import errno
import json
import os
import select
import threading
import time
import warnings
import weakref

from . import _ibclient

# what is closed when the interpreter ends
_open = weakref.WeakSet()

# Then there is no longer wait than this for callbacks and for who has data.
_PATIENCE = 5.0


def _left(deadline):
    return None if deadline is None else max(0.0, deadline - time.monotonic())


class Registry(_ibclient.BaseRegistry):
    """A registry of RDMA devices.

    Without arguments the one that all libraries of the process share, or with shared=
    False, or any other argument, one of one's own:

    manual          no thread: callbacks run in dispatch(), see fileno()
    no_open         opens no device by itself
    track_refs      remember who holds data, for dump()
    num_threads     that dispatch; 0: one
    scan_interval   seconds between readings of the device list, where nothing tells of
                    changes; 0: chosen by what works
    drain_warn      seconds until the log warns of a removal that is held up; 0: ten
    devices         names of devices, shell patterns, as a list or with commas

    To be closed with close() or `with`.
    """

    def __init__(self, *, shared=None, manual=False, no_open=False,
                 track_refs=False, num_threads=0, scan_interval=0, drain_warn=0,
                 devices=None):
        given = (manual, no_open, track_refs, num_threads, scan_interval,
                 drain_warn, devices is not None)
        if shared is None:
            shared = not any(given)
        elif shared and any(given):
            raise ValueError("the shared registry takes no other arguments")
        if devices is not None and not isinstance(devices, str):
            devices = ",".join(devices)
        if devices is not None and "\0" in devices:
            raise ValueError("a pattern has no NUL")
        flags = sum(flag for flag, wanted
                    in zip(_ibclient.REGISTRY_FLAGS, given) if wanted)
        self._open(shared, flags, num_threads, scan_interval, drain_warn,
                   None if devices is None else os.fsencode(devices))
        _open.add(self)

    def close(self, timeout=None):
        """Unregister its clients and handlers, and close it.

        timeout is in seconds, None for ever; after an OSError call it again. Its devices
        tell only what was known last from then on. EBUSY: PDs, or contexts and PDs of
        pyverbs, are left.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        for client in reversed(self.clients):
            client.unregister(_left(deadline))
        self._close()
        _open.discard(self)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def __del__(self):
        # in a process that ends nothing can be done any more
        if self.closed or _ibclient.has_ended():
            return
        warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self)
        # What the fence is to wait for may be freed only when this has returned.
        threading.Thread(target=self._close_forgotten, daemon=True,
                         name="ibclient-close").start()

    def _close_forgotten(self):
        while not _ibclient.has_ended():
            try:
                return self.close()
            except OSError as e:
                # what pyverbs has is closed when the collector is done
                if e.errno != errno.EBUSY:
                    raise
            time.sleep(0.05)

    def dispatch(self, timeout=0):
        """Run what is due in a manual registry; False if nothing came in that time.

        timeout is in seconds, None for ever.
        """
        if timeout is not None and timeout < 0:
            raise ValueError("a timeout is None, for ever, or not negative")
        deadline = None if timeout is None else time.monotonic() + timeout
        poll = None
        while not self._dispatch():
            left = _left(deadline)
            if left == 0:
                return False
            if poll is None:
                poll = select.poll()
                poll.register(self.fileno(), select.POLLIN)
            # it handles signals, which the library would wait through
            poll.poll(None if left is None else left * 1000)
        return True

    def dump(self):
        """What the registry knows, as ibc_dump(3) has it in JSON."""
        return json.loads(self._dump(_ibclient.DUMP_JSON))

    def dump_text(self):
        """The same for people."""
        return self._dump(_ibclient.DUMP_TEXT)

    def __repr__(self):
        kind = "shared" if self.shared else "manual" if self.manual else "own"
        return f"<ibclient.Registry {kind}{', closed' if self.closed else ''}>"


@atexit.register
def _at_exit():
    """The last moment at which callbacks can run."""
    deadline = time.monotonic() + _PATIENCE
    for registry in list(_open):
        try:
            registry.close(_left(deadline))
        except OSError:
            pass
    _ibclient.end()
