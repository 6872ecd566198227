# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""What pyverbs needs to send a message between two QPs of one port."""
import time

import pyverbs.enums as e
from pyverbs.addr import AHAttr, GID, GlobalRoute
from pyverbs.cq import CQ
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
from pyverbs.wr import RecvWR, SGE, SendWR

SIZE = 4096


class Endpoint:
    """A QP in a context that is imported from a device, on the PD that is shared, with
    memory. own: in one of its own, on a PD of its own.
    """

    def __init__(self, device, own=False):
        self.context = device.pyverbs_context(own=own)
        if own:
            self.pd = PD(self.context)
        else:
            with device.pd() as shared:
                self.pd = shared.pyverbs_pd(self.context)
        self.cq = CQ(self.context, 16)
        init = QPInitAttr(qp_type=e.IBV_QPT_RC, scq=self.cq, rcq=self.cq,
                          cap=QPCap(max_send_wr=4, max_recv_wr=4))
        self.qp = QP(self.pd, init, QPAttr())
        self.mr = MR(self.pd, SIZE, e.IBV_ACCESS_LOCAL_WRITE)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        for one in (self.qp, self.mr, self.cq, self.pd, self.context):
            one.close()

    def connect(self, other, gid_index):
        """To a QP of the same port."""
        gid = self.context.query_gid(1, gid_index)
        route = GlobalRoute(dgid=GID(gid.gid), sgid_index=gid_index)
        lid = self.context.query_port(1).lid
        attr = QPAttr(port_num=1)
        attr.dest_qp_num = other.qp.qp_num
        attr.path_mtu = e.IBV_MTU_1024
        attr.ah_attr = AHAttr(gr=route, is_global=1, port_num=1, dlid=lid)
        attr.max_rd_atomic = attr.max_dest_rd_atomic = 1
        attr.min_rnr_timer = attr.timeout = 14
        attr.retry_cnt = attr.rnr_retry = 7
        self.qp.to_rts(attr)

    def post_recv(self):
        self.qp.post_recv(RecvWR(sg=[self.sge()], num_sge=1))

    def send(self, text, mr=None):
        """With memory of one's own, or of another's."""
        mr = mr or self.mr
        mr.write(text, len(text))
        sge = SGE(mr.buf, len(text), mr.lkey)
        self.qp.post_send(SendWR(sg=[sge], num_sge=1))

    def sge(self):
        return SGE(self.mr.buf, SIZE, self.mr.lkey)

    def completion(self, seconds=60):
        """The status of the next one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            count, wcs = self.cq.poll()
            if count:
                return wcs[0].status
        raise AssertionError("no completion")


def send_across(device, gid_index=0, own=False):
    """A message from one context to the other; if they are not their own, out of
    memory that was registered in the other: it is of one PD.
    """
    text = "of their own" if own else "through one PD"
    with Endpoint(device, own) as sender, Endpoint(device, own) as receiver:
        sender.connect(receiver, gid_index)
        receiver.connect(sender, gid_index)
        receiver.post_recv()
        with MR((sender if own else receiver).pd, SIZE,
                e.IBV_ACCESS_LOCAL_WRITE) as memory:
            sender.send(text, memory)
            for end in (sender, receiver):
                status = end.completion()
                if status != e.IBV_WC_SUCCESS:
                    raise AssertionError(f"a work completion with status {status}")
        return receiver.mr.read(len(text), 0).decode()
