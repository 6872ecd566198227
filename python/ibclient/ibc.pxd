# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What the binding uses of <infiniband/ibclient.h> and <infiniband/ibclient_pd.h>.
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.stdio cimport FILE

cdef extern from "infiniband/verbs.h" nogil:
    struct ibv_context:
        int cmd_fd

    struct ibv_pd:
        ibv_context *context
        uint32_t handle

    struct ibv_async_event:
        int event_type

    enum:
        IBV_EVENT_CQ_ERR
        IBV_EVENT_QP_FATAL
        IBV_EVENT_QP_REQ_ERR
        IBV_EVENT_QP_ACCESS_ERR
        IBV_EVENT_COMM_EST
        IBV_EVENT_SQ_DRAINED
        IBV_EVENT_PATH_MIG
        IBV_EVENT_PATH_MIG_ERR
        IBV_EVENT_DEVICE_FATAL
        IBV_EVENT_PORT_ACTIVE
        IBV_EVENT_PORT_ERR
        IBV_EVENT_LID_CHANGE
        IBV_EVENT_PKEY_CHANGE
        IBV_EVENT_SM_CHANGE
        IBV_EVENT_SRQ_ERR
        IBV_EVENT_SRQ_LIMIT_REACHED
        IBV_EVENT_QP_LAST_WQE_REACHED
        IBV_EVENT_CLIENT_REREGISTER
        IBV_EVENT_GID_CHANGE
        IBV_EVENT_WQ_FATAL

cdef extern from "infiniband/ibclient.h" nogil:
    struct ibc_registry:
        pass

    struct ibc_device:
        pass

    struct ibc_event_handler:
        pass

    enum:
        IBC_REGISTRY_MANUAL
        IBC_REGISTRY_NO_OPEN
        IBC_REGISTRY_TRACK_REFS
        IBC_DEVICE_LIVE
        IBC_DEVICE_REMOVING
        IBC_DEVICE_DRAINING
        IBC_DEVICE_GONE
        IBC_EVENT_REPLAYED
        IBC_CLIENT_FREE_UNUSED
        IBC_CLIENT_DEFER_FREE
        IBC_SCOPE_DEVICE
        IBC_SCOPE_PORT
        IBC_DUMP_TEXT
        IBC_DUMP_JSON

    ctypedef int ibc_dump_format "enum ibc_dump_format"

    struct ibc_registry_attr:
        uint32_t flags
        uint32_t num_threads
        uint32_t scan_interval_ms
        uint32_t drain_warn_ms
        const char *devices

    ibc_registry *ibc_open(const ibc_registry_attr *attr)
    int ibc_close(ibc_registry *reg)
    int ibc_get_fd(ibc_registry *reg)
    int ibc_dispatch(ibc_registry *reg, int timeout_ms)
    int ibc_rescan(ibc_registry *reg)

    ibv_context *ibc_device_context(ibc_device *dev)
    const char *ibc_device_name(ibc_device *dev)
    int ibc_device_index(ibc_device *dev)
    uint64_t ibc_device_guid(ibc_device *dev)
    uint64_t ibc_device_incarnation(ibc_device *dev)
    int ibc_device_state(ibc_device *dev)
    bint ibc_device_adopted(ibc_device *dev)
    ibc_device *ibc_get_device(ibc_device *dev)
    void ibc_put_device(ibc_device *dev)
    ibc_device *ibc_get_device_by_name(ibc_registry *reg, const char *name)
    ibc_device *ibc_get_device_by_index(ibc_registry *reg, int index)
    int ibc_for_each_device(ibc_registry *reg,
                            int (*fn)(ibc_device *dev, void *arg) noexcept nogil,
                            void *arg)
    int ibc_remove_device(ibc_device *dev)
    int ibc_wait_drained(ibc_device *dev, int timeout_ms)

    struct ibc_event:
        ibv_async_event async_ "async"
        uint32_t count
        uint32_t flags
        uint32_t element_num

    struct ibc_client_data:
        ibc_device *device
        ibc_client *client

    struct ibc_client:
        uint32_t flags
        const char *name
        int (*add)(ibc_client *client, ibc_device *dev) noexcept nogil
        void (*remove)(ibc_client *client, ibc_device *dev,
                       ibc_client_data *data) noexcept nogil
        void (*gone)(ibc_client *client, ibc_device *dev) noexcept nogil
        void (*rename)(ibc_client *client, ibc_device *dev,
                       const char *old_name) noexcept nogil
        void (*event)(ibc_client *client, ibc_device *dev,
                      ibc_client_data *data,
                      const ibc_event *event) noexcept nogil
        uint64_t event_mask
        ibc_client_data *(*alloc_client_data)(ibc_client *client,
                                              ibc_device *dev) noexcept nogil
        void (*free_client_data)(ibc_client_data *data) noexcept nogil

    int ibc_register_client(ibc_registry *reg, ibc_client *client)
    int ibc_unregister_client_timed(ibc_client *client, int timeout_ms)
    int ibc_unregister_client_async(ibc_client *client,
                                    void (*done)(ibc_client *client) noexcept nogil)
    ibc_client_data *ibc_alloc_or_get_client_data(ibc_device *dev,
                                                  ibc_client *client)
    ibc_client_data *ibc_get_client_data(ibc_device *dev, ibc_client *client)
    void ibc_hold_client_data(ibc_client_data *data)
    bint ibc_put_client_data(ibc_client_data *data)
    int ibc_init_client_data(ibc_client_data *data, ibc_device *dev,
                             ibc_client *client)
    int ibc_set_client_data(ibc_device *dev, ibc_client *client,
                            ibc_client_data *data)

    struct ibc_event_filter:
        uint32_t scope
        uint32_t port_num
        uint64_t type_mask

    ibc_event_handler *ibc_register_event_handler(
        ibc_device *dev, const ibc_event_filter *filter,
        void (*fn)(ibc_device *dev, const ibc_event *event,
                   void *arg) noexcept nogil,
        void *arg)
    int ibc_unregister_event_handler(ibc_event_handler *handler)

    int ibc_dump(ibc_registry *reg, FILE *out, ibc_dump_format format)

    struct ibc_stats:
        uint64_t devices_added, devices_gone, opens_failed
        uint64_t adds, adds_failed, removes
        uint64_t allocs, allocs_failed, frees
        uint64_t events_read, events_delivered, events_merged
        uint64_t scans, hints, false_hints

    int ibc_query_stats(ibc_registry *reg, ibc_stats *stats, size_t size)
    const char *ibc_version()

cdef extern from "infiniband/ibclient_pd.h" nogil:
    struct ibc_pd:
        ibv_pd *pd

    int ibc_open_pds(ibc_registry *reg)
    int ibc_close_pds(ibc_registry *reg)
    ibc_pd *ibc_get_pd(ibc_device *dev)
    void ibc_hold_pd(ibc_pd *pd)
    void ibc_put_pd(ibc_pd *pd)
