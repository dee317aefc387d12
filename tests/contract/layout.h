/* The golden layout of ABI 1.0, as every plugin that was ever built against it has it compiled in.
   These lines are never edited: what is appended later gets lines of its own. Compiled as C99, C11
   and C++20 by both compilers, which must agree. */
#define PARLEY_HOST_SIDE
#include "parley/frame.h"
#include "parley/plugin.h"

#ifdef __cplusplus
#define HOLDS(what) static_assert(what, #what)
#elif __STDC_VERSION__ >= 201112L
#define HOLDS(what) _Static_assert(what, #what)
#else
#define HOLDS(what) extern int parley_holds[(what) ? 1 : -1]
#endif
#define AT(type, member, offset) HOLDS(offsetof(type, member) == (offset))
#define SIZE(type, size) HOLDS(sizeof(type) == (size))

HOLDS(PARLEY_ABI_MAJOR == 1);
HOLDS(PARLEY_ABI_MINOR == 0);
SIZE(parley_id, 8);
SIZE(parley_status, 4);
SIZE(parley_start_fn, 8);

HOLDS(PARLEY_OK == 0 && PARLEY_PENDING == 1 && PARLEY_PAUSE == 2);
HOLDS(PARLEY_E_INTERNAL == -1 && PARLEY_E_INVALID == -2 && PARLEY_E_UNSUPPORTED == -3);
HOLDS(PARLEY_E_CANCELLED == -4 && PARLEY_E_DEADLINE == -5 && PARLEY_E_DENIED == -6);
HOLDS(PARLEY_E_STALE == -7 && PARLEY_E_LIMIT == -8 && PARLEY_E_PEER == -9);
HOLDS(PARLEY_LOG_DEBUG == 0 && PARLEY_LOG_INFO == 1 && PARLEY_LOG_WARN == 2);
HOLDS(PARLEY_LOG_ERROR == 3);

SIZE(parley_host, 40);
AT(parley_host, struct_size, 0);
AT(parley_host, abi_major, 4);
AT(parley_host, abi_minor, 6);
AT(parley_host, get_interface, 8);
AT(parley_host, complete, 16);
AT(parley_host, emit, 24);
AT(parley_host, log, 32);

SIZE(parley_entry, 56);
AT(parley_entry, struct_size, 0);
AT(parley_entry, abi_major, 4);
AT(parley_entry, abi_minor, 6);
AT(parley_entry, manifest, 8);
AT(parley_entry, manifest_size, 16);
AT(parley_entry, create, 24);
AT(parley_entry, destroy, 32);
AT(parley_entry, get_interface, 40);
AT(parley_entry, cancel, 48);

SIZE(parley_channel_v1, 48);
AT(parley_channel_v1, reserved0, 4);
AT(parley_channel_v1, run, 8);
AT(parley_channel_v1, send, 16);
AT(parley_channel_v1, edit, 24);
AT(parley_channel_v1, typing, 32);
AT(parley_channel_v1, draft, 40);

SIZE(parley_provider_v1, 40);
AT(parley_provider_v1, generate, 8);
AT(parley_provider_v1, list_models, 16);
AT(parley_provider_v1, count_tokens, 24);
AT(parley_provider_v1, embed, 32);

SIZE(parley_skill_v1, 40);
AT(parley_skill_v1, invoke, 8);
AT(parley_skill_v1, reconcile, 16);
AT(parley_skill_v1, preview, 24);
AT(parley_skill_v1, list_dynamic, 32);

SIZE(parley_hook_v1, 16);
AT(parley_hook_v1, on_event, 8);

SIZE(parley_event_sink_v1, 16);
AT(parley_event_sink_v1, on_event, 8);
SIZE(parley_ack_sink_v1, 16);
AT(parley_ack_sink_v1, on_ack, 8);
SIZE(parley_flow_sink_v1, 16);
AT(parley_flow_sink_v1, on_resume, 8);

HOLDS(PARLEY_HTTP_HEAD == 1 && PARLEY_HTTP_DATA == 2 && PARLEY_HTTP_EVENT == 3);
HOLDS(PARLEY_HTTP_DONE == 4 && PARLEY_HTTP_FAILED == 5);
HOLDS(PARLEY_STREAM_OPENED == 1 && PARLEY_STREAM_DATA == 2 && PARLEY_STREAM_CLOSED == 3);
HOLDS(PARLEY_TIMER_FIRED == 1);
HOLDS(PARLEY_KV_DONE == 1 && PARLEY_KV_MISSING == 2 && PARLEY_KV_FAILED == 3);
HOLDS(PARLEY_WS_OPENED == 1 && PARLEY_WS_TEXT == 2 && PARLEY_WS_BINARY == 3);
HOLDS(PARLEY_WS_CLOSED == 4 && PARLEY_WS_FAILED == 5);
HOLDS(PARLEY_REVEAL_DONE == 1 && PARLEY_REVEAL_FAILED == 2);
HOLDS(PARLEY_BLOB_DATA == 1 && PARLEY_BLOB_DONE == 2 && PARLEY_BLOB_FAILED == 3);

SIZE(parley_host_http_v1, 24);
AT(parley_host_http_v1, start, 8);
AT(parley_host_http_v1, stop, 16);
SIZE(parley_host_stream_v1, 32);
AT(parley_host_stream_v1, open, 8);
AT(parley_host_stream_v1, write, 16);
AT(parley_host_stream_v1, close, 24);
SIZE(parley_host_timer_v1, 24);
AT(parley_host_timer_v1, start, 8);
AT(parley_host_timer_v1, stop, 16);
SIZE(parley_host_kv_v1, 32);
AT(parley_host_kv_v1, get, 8);
AT(parley_host_kv_v1, put, 16);
AT(parley_host_kv_v1, remove, 24);
SIZE(parley_host_ws_v1, 32);
AT(parley_host_ws_v1, open, 8);
AT(parley_host_ws_v1, write, 16);
AT(parley_host_ws_v1, close, 24);
SIZE(parley_host_reveal_v1, 16);
AT(parley_host_reveal_v1, get, 8);
SIZE(parley_host_blob_v1, 48);
AT(parley_host_blob_v1, put, 8);
AT(parley_host_blob_v1, write, 16);
AT(parley_host_blob_v1, finish, 24);
AT(parley_host_blob_v1, get, 32);
AT(parley_host_blob_v1, stop, 40);

/* Appended: webhooks. */
HOLDS(PARLEY_INBOUND_REQUEST == 1 && PARLEY_INBOUND_GONE == 2 && PARLEY_INBOUND_CLOSED == 3);
SIZE(parley_host_inbound_v1, 32);
AT(parley_host_inbound_v1, listen, 8);
AT(parley_host_inbound_v1, answer, 16);
AT(parley_host_inbound_v1, stop, 24);

/* The worker link. */
SIZE(parley_frame, 16);
AT(parley_frame, length, 0);
AT(parley_frame, type, 4);
AT(parley_frame, flags, 6);
AT(parley_frame, id, 8);
HOLDS(PARLEY_FRAME_VERSION == 1u);
HOLDS(PARLEY_FRAME_BODY_MAX == 65536u);
HOLDS(PARLEY_MESSAGE_MAX == 33554432u);
