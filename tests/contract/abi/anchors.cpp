// One exported function for each type of plugin.h, so that abidiff has a way to it: a struct, a
// function type (each on its own, since a change in it is otherwise hidden by the suppression that
// lets structs grow), a set of constants. test_abi.py fails when one has none.
#define PARLEY_HOST_SIDE
#include "parley/plugin.h"

#define ANCHOR extern "C" __attribute__((visibility("default"))) void
#define STRUCT(type) \
    ANCHOR anchor_##type(type*) {}
#define CONSTANTS(first) \
    ANCHOR anchor_##first(decltype(first)) {}
#ifdef WITHOUT_FUNCTION_ANCHORS
#define FUNCTION(type)
#define MEMBER(type, member)
#else
#define FUNCTION(type) \
    ANCHOR anchor_##type(type) {}
#define MEMBER(type, member) \
    ANCHOR anchor_##type##_##member(decltype(type::member)) {}
#endif

FUNCTION(parley_start_fn)
FUNCTION(parley_event_fn)

CONSTANTS(PARLEY_OK)
CONSTANTS(PARLEY_LOG_DEBUG)
CONSTANTS(PARLEY_HTTP_HEAD)
CONSTANTS(PARLEY_STREAM_OPENED)
CONSTANTS(PARLEY_TIMER_FIRED)
CONSTANTS(PARLEY_KV_DONE)
CONSTANTS(PARLEY_REVEAL_DONE)
CONSTANTS(PARLEY_BLOB_DATA)
CONSTANTS(PARLEY_WS_OPENED)
CONSTANTS(PARLEY_INBOUND_REQUEST)

STRUCT(parley_host)
MEMBER(parley_host, get_interface)
MEMBER(parley_host, complete)
MEMBER(parley_host, emit)
MEMBER(parley_host, log)

STRUCT(parley_entry)
MEMBER(parley_entry, create)
MEMBER(parley_entry, destroy)
MEMBER(parley_entry, get_interface)
MEMBER(parley_entry, cancel)

STRUCT(parley_channel_v1)
STRUCT(parley_provider_v1)
STRUCT(parley_skill_v1)
STRUCT(parley_hook_v1)

STRUCT(parley_event_sink_v1)
STRUCT(parley_ack_sink_v1)
MEMBER(parley_ack_sink_v1, on_ack)
STRUCT(parley_flow_sink_v1)
MEMBER(parley_flow_sink_v1, on_resume)

STRUCT(parley_host_http_v1)
MEMBER(parley_host_http_v1, start)
MEMBER(parley_host_http_v1, stop)
STRUCT(parley_host_stream_v1)
MEMBER(parley_host_stream_v1, open)
MEMBER(parley_host_stream_v1, write)
MEMBER(parley_host_stream_v1, close)
STRUCT(parley_host_timer_v1)
MEMBER(parley_host_timer_v1, start)
MEMBER(parley_host_timer_v1, stop)
STRUCT(parley_host_kv_v1)
MEMBER(parley_host_kv_v1, get)
MEMBER(parley_host_kv_v1, put)
MEMBER(parley_host_kv_v1, remove)
STRUCT(parley_host_ws_v1)
MEMBER(parley_host_ws_v1, open)
MEMBER(parley_host_ws_v1, write)
MEMBER(parley_host_ws_v1, close)
STRUCT(parley_host_reveal_v1)
MEMBER(parley_host_reveal_v1, get)
STRUCT(parley_host_blob_v1)
MEMBER(parley_host_blob_v1, put)
MEMBER(parley_host_blob_v1, write)
MEMBER(parley_host_blob_v1, finish)
MEMBER(parley_host_blob_v1, get)
MEMBER(parley_host_blob_v1, stop)
STRUCT(parley_host_inbound_v1)
MEMBER(parley_host_inbound_v1, listen)
MEMBER(parley_host_inbound_v1, answer)
MEMBER(parley_host_inbound_v1, stop)
