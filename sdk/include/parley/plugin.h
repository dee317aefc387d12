/* Parley plugin ABI 1: the whole contract between a plugin and the host, in C11.

   A plugin is one .so file. It exports one constant, parley_plugin_v1, and carries its manifest
   (JSON) in an ELF note; the host reads the note before any code of the plugin runs. The plugin
   always runs in a worker process of its own, with no sockets: network, time and storage are
   host services, found by string id.

   Rules that hold for every function here:
   - Only borrowed bytes and 64-bit ids cross. A pointer argument is valid until the call returns;
     who needs the bytes longer copies them. Nothing is ever freed across the line.
   - Text is UTF-8 with an explicit length. Meaning is JSON, described by the schemas in
     share/parley/schemas; members that a reader does not know are ignored.
   - [strand]: the host calls one at a time, maybe from different threads over a life.
     [any]: the plugin may call from any thread, at any time between create and destroy.
   - A struct begins with struct_size, set by the side that owns it. Read a member only after
     PARLEY_HAS. New members are appended; new capabilities get new string ids.
   - Nothing may throw across the line. */
#ifndef PARLEY_PLUGIN_H
#define PARLEY_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PARLEY_ABI_MAJOR 1
#ifndef PARLEY_ABI_MINOR
#define PARLEY_ABI_MINOR 0 /* the oldest that is supported; define a later one to opt in */
#endif

typedef uint64_t parley_id;     /* a call or an operation; never a pointer, never used again */
typedef int32_t parley_status;  /* an open set: unknown negative values mean PARLEY_E_INTERNAL */

enum {
    PARLEY_OK = 0,
    PARLEY_PENDING = 1,        /* started; exactly one complete() will follow */
    PARLEY_PAUSE = 2,          /* taken, but stop until parley.flow-sink/1 says go on */
    PARLEY_E_INTERNAL = -1,    /* a defect */
    PARLEY_E_INVALID = -2,     /* the request makes no sense */
    PARLEY_E_UNSUPPORTED = -3, /* no such verb, id or option */
    PARLEY_E_CANCELLED = -4,
    PARLEY_E_DEADLINE = -5,
    PARLEY_E_DENIED = -6,      /* a rule of the manifest or of the operator says no */
    PARLEY_E_STALE = -7,       /* the call or operation has ended */
    PARLEY_E_LIMIT = -8,       /* too large or too many */
    PARLEY_E_PEER = -9         /* the service on the other side failed */
};

enum { PARLEY_LOG_DEBUG = 0, PARLEY_LOG_INFO = 1, PARLEY_LOG_WARN = 2, PARLEY_LOG_ERROR = 3 };

/* What the host lends. Valid from create() until destroy() returns. */
typedef struct parley_host parley_host;
struct parley_host {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor; /* what the host speaks */

    /* A host service by id, or NULL: not known, or not asked for in the manifest.  [any] */
    const void *(*get_interface)(const parley_host *host, const char *id);

    /* Ends a call, once. `status` 0 with the result, or negative with
       {"code","message","retryable"?,"retry_after_ms"?}. PARLEY_E_STALE when it has ended.  [any] */
    parley_status (*complete)(const parley_host *host, parley_id call, parley_status status,
                              const char *bytes, size_t size);

    /* One item of a call's stream. Copies, never blocks: PARLEY_OK, PARLEY_PAUSE (taken, now wait),
       or an error (not taken).  [any] */
    parley_status (*emit)(const parley_host *host, parley_id call, const char *bytes, size_t size);

    /* A line of diagnostics, for the operator.  [any] */
    void (*log)(const parley_host *host, int32_t level, const char *text, size_t size);
};

/* Every verb has this shape. Returns fast: PARLEY_PENDING (complete() may already have been
   called), or a negative status (nothing was started; complete() must not be called).
   `timeout_ms` 0 means none.  [strand] */
typedef parley_status (*parley_start_fn)(void *self, parley_id call, uint32_t timeout_ms,
                                         const char *request, size_t size);

/* The one exported symbol. */
typedef struct parley_entry {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor; /* the lowest minor that the plugin can live with */
    const void *manifest;          /* the same bytes as the note */
    size_t manifest_size;

    /* Makes the one instance of this worker. `config` is JSON, already checked against the
       manifest's config_schema, defaults filled in, without secrets. Must not block.  [strand] */
    parley_status (*create)(const parley_host *host, const char *config, size_t size, void **self);

    /* No call is open; everything that the plugin started has ended when it returns.  [strand] */
    void (*destroy)(void *self);

    /* A role ("parley.skill/1") or a sink ("parley.http-sink/1"), of static lifetime, or NULL.
       [strand] */
    const void *(*get_interface)(void *self, const char *id);

    /* A wish, not an order: the call still ends by complete().  [strand] */
    void (*cancel)(void *self, parley_id call);
} parley_entry;

#define PARLEY_HAS(p, member)                                                                 \
    ((p)->struct_size >= offsetof(__typeof__(*(p)), member) + sizeof((p)->member) && (p)->member)

#if defined(__GNUC__)
#define PARLEY_EXPORT __attribute__((visibility("default")))
#else
#define PARLEY_EXPORT
#endif

#if !defined(PARLEY_HOST_SIDE)
extern PARLEY_EXPORT const parley_entry parley_plugin_v1;
#endif

/* ---- Roles: what a plugin offers. A verb that it lacks is NULL. ------------------------------ */

#define PARLEY_ROLE_CHANNEL "parley.channel/1"
typedef struct parley_channel_v1 {
    uint32_t struct_size, reserved0;
    parley_start_fn run;    /* emits messages and states until it is cancelled; see the schemas */
    parley_start_fn send;   /* one message out, split as the service needs */
    parley_start_fn edit;   /* optional */
    parley_start_fn typing; /* optional */
    parley_start_fn draft;  /* optional: the reply so far, while it is being written */
} parley_channel_v1;

#define PARLEY_ROLE_PROVIDER "parley.provider/1"
typedef struct parley_provider_v1 {
    uint32_t struct_size, reserved0;
    parley_start_fn generate;     /* emits chunks: text, reasoning, call, usage, stop */
    parley_start_fn list_models;  /* optional */
    parley_start_fn count_tokens; /* optional */
    parley_start_fn embed;        /* optional */
} parley_provider_v1;

#define PARLEY_ROLE_SKILL "parley.skill/1"
typedef struct parley_skill_v1 {
    uint32_t struct_size, reserved0;
    parley_start_fn invoke;
    parley_start_fn reconcile;    /* needed for effect "reconcilable"; may only read */
    parley_start_fn preview;      /* optional; runs with no rights */
    parley_start_fn list_dynamic; /* optional; must be declared */
} parley_skill_v1;

#define PARLEY_ROLE_HOOK "parley.hook/1"
typedef struct parley_hook_v1 {
    uint32_t struct_size, reserved0;
    parley_start_fn on_event;
} parley_hook_v1;

/* ---- Sinks: where a plugin hears from the host. --------------------------------------------- */

/* Every event of an operation that the plugin started. After the last kind (marked so) the
   operation is gone. `call` is the call that the operation was started under.  [strand] */
typedef void (*parley_event_fn)(void *self, parley_id call, parley_id operation, uint32_t kind,
                                const char *bytes, size_t size);

typedef struct parley_event_sink_v1 {
    uint32_t struct_size, reserved0;
    parley_event_fn on_event;
} parley_event_sink_v1;

#define PARLEY_SINK_HTTP "parley.http-sink/1"
enum {
    PARLEY_HTTP_HEAD = 1,  /* {"status":200,"headers":[["name","value"],…]} */
    PARLEY_HTTP_DATA = 2,  /* bytes of the body */
    PARLEY_HTTP_EVENT = 3, /* with "framing":"sse": {"event":"message","data":"…","id":"…"} */
    PARLEY_HTTP_DONE = 4,  /* last: the body is complete */
    PARLEY_HTTP_FAILED = 5 /* last: {"code","message","retryable","sent":bool} */
};

#define PARLEY_SINK_STREAM "parley.stream-sink/1"
enum {
    PARLEY_STREAM_OPENED = 1, /* {"peer":"address:port","tls":bool} */
    PARLEY_STREAM_DATA = 2,
    PARLEY_STREAM_CLOSED = 3 /* last: {} when the peer closed, or {"code","message"} */
};

#define PARLEY_SINK_TIMER "parley.timer-sink/1"
enum { PARLEY_TIMER_FIRED = 1 /* last */ };

#define PARLEY_SINK_KV "parley.kv-sink/1"
enum { PARLEY_KV_DONE = 1, /* last: the value, or nothing after put and remove */
       PARLEY_KV_MISSING = 2, /* last: get found nothing */
       PARLEY_KV_FAILED = 3 /* last: {"code","message"} */ };

#define PARLEY_SINK_BLOB "parley.blob-sink/1"
enum {
    PARLEY_BLOB_DATA = 1,  /* of a get */
    PARLEY_BLOB_DONE = 2,  /* last: {"blob":"b-…","bytes":number}, of a get too */
    PARLEY_BLOB_FAILED = 3 /* last: {"code","message"} */
};

/* A cursor that came with an inbound message is durable: the plugin may now tell its service. */
#define PARLEY_SINK_ACK "parley.ack-sink/1"
typedef struct parley_ack_sink_v1 {
    uint32_t struct_size, reserved0;
    void (*on_ack)(void *self, parley_id call, const char *cursor, size_t size); /* [strand] */
} parley_ack_sink_v1;

/* An emit that answered PARLEY_PAUSE may go on. */
#define PARLEY_SINK_FLOW "parley.flow-sink/1"
typedef struct parley_flow_sink_v1 {
    uint32_t struct_size, reserved0;
    void (*on_resume)(void *self, parley_id call); /* [strand] */
} parley_flow_sink_v1;

/* ---- Host services: what a plugin may ask for, each named in its manifest. ------------------- */
/* Every request names an open call and is admitted only under that call's rights. A negative
   status means that nothing was started and no event will come. */

#define PARLEY_HOST_HTTP "parley.host.http/1"
typedef struct parley_host_http_v1 {
    uint32_t struct_size, reserved0;
    /* `request`: {"method","url","headers":[["name","value"],…]?,"timeout_ms"?,
                   "framing":"none"|"sse"?,"max_bytes"?,
                   "inject":[{"slot":"header:Authorization","secret":"api_key","prefix":"Bearer "?,
                              "suffix"?,"encode":"none"|"percent"|"base64"?}]?,
                   "body_blob":"b-…"?, "to_blob":bool?,
                   "parts":[{"name","value"} or {"name","blob","filename"?,"type"?}]?}
       "body_blob": the body is that blob. "parts": the host makes a multipart/form-data body of
       them, and sets Content-Type. "to_blob": the body of a 2xx answer is put as a blob; no
       PARLEY_HTTP_DATA comes, and PARLEY_HTTP_DONE says {"blob","bytes"}.
       Slots: header:NAME, query:NAME, path:TEXT (that segment is replaced), body:/json/pointer.
       A secret of tier compute is never placed: "encode" is "hmac-sha256-hex" or
       "hmac-sha256-base64", "signed" says over what ("{webhook-id}.{body}": headers of this
       request, then literal text, the body last), "key" is "text" or "base64"; a header alone.
       Events go to parley.http-sink/1.  [any] */
    parley_status (*start)(const parley_host *host, parley_id call, const char *request,
                           size_t request_size, const char *body, size_t body_size,
                           parley_id *operation);
    parley_status (*stop)(const parley_host *host, parley_id operation); /* no event follows [any] */
} parley_host_http_v1;

#define PARLEY_HOST_STREAM "parley.host.stream/1"
typedef struct parley_host_stream_v1 {
    uint32_t struct_size, reserved0;
    /* `request`: {"host","port","tls":bool?,"timeout_ms"?}. Events go to parley.stream-sink/1. [any] */
    parley_status (*open)(const parley_host *host, parley_id call, const char *request,
                          size_t size, parley_id *operation);
    /* Copies and queues. `inject` is NULL, or a JSON array as above with slot "stream:TEXT": the
       first TEXT in these bytes is replaced; declared as slot "stream" in the manifest.
       PARLEY_PAUSE means taken; more waits until data has left.  [any] */
    parley_status (*write)(const parley_host *host, parley_id operation, const char *bytes,
                           size_t size, const char *inject, size_t inject_size);
    parley_status (*close)(const parley_host *host, parley_id operation); /* no event follows [any] */
} parley_host_stream_v1;

#define PARLEY_HOST_TIMER "parley.host.timer/1"
typedef struct parley_host_timer_v1 {
    uint32_t struct_size, reserved0;
    parley_status (*start)(const parley_host *host, parley_id call, uint32_t after_ms,
                           parley_id *operation); /* [any] */
    parley_status (*stop)(const parley_host *host, parley_id operation); /* [any] */
} parley_host_timer_v1;

/* A small durable store of the instance: keys up to 256 bytes, values up to 64 KiB. */
#define PARLEY_HOST_KV "parley.host.kv/1"
typedef struct parley_host_kv_v1 {
    uint32_t struct_size, reserved0;
    parley_status (*get)(const parley_host *host, parley_id call, const char *key, size_t key_size,
                         parley_id *operation); /* [any] */
    parley_status (*put)(const parley_host *host, parley_id call, const char *key, size_t key_size,
                         const char *value, size_t size, parley_id *operation); /* [any] */
    parley_status (*remove)(const parley_host *host, parley_id call, const char *key,
                            size_t key_size, parley_id *operation); /* [any] */
} parley_host_kv_v1;

/* Bytes that are too many for a message: attachments, in and out. A blob is named by its content,
   and is there for the instance that put it alone. */
#define PARLEY_HOST_BLOB "parley.host.blob/1"
typedef struct parley_host_blob_v1 {
    uint32_t struct_size, reserved0;
    /* Events go to parley.blob-sink/1. write as often as needed, then finish.  [any] */
    parley_status (*put)(const parley_host *host, parley_id call, parley_id *operation);
    /* Copies and queues. PARLEY_PAUSE means taken; more waits until data has been stored.  [any] */
    parley_status (*write)(const parley_host *host, parley_id operation, const char *bytes,
                           size_t size);
    parley_status (*finish)(const parley_host *host, parley_id operation); /* [any] */
    /* `request`: {"blob":"b-…","offset":number?,"bytes":number?}.  [any] */
    parley_status (*get)(const parley_host *host, parley_id call, const char *request, size_t size,
                         parley_id *operation);
    parley_status (*stop)(const parley_host *host, parley_id operation); /* no event follows [any] */
} parley_host_blob_v1;

/* Whole messages both ways, over wss:// or, where the operator wrote it, ws://. Fragments, masks and
   pings are the host's business; it offers no extension and follows no redirect. */
#define PARLEY_HOST_WS "parley.host.ws/1"
typedef struct parley_host_ws_v1 {
    uint32_t struct_size, reserved0;
    /* `request`: {"url","headers":[["name","value"],…]?,"subprotocols":["name",…]?,"timeout_ms"?,
                   "max_bytes"?: of one message that comes,"inject"?: as for HTTP, with slots
                   header, query and path}. Events go to parley.ws-sink/1.  [any] */
    parley_status (*open)(const parley_host *host, parley_id call, const char *request,
                          size_t size, parley_id *operation);
    /* Copies and queues one whole message, PARLEY_WS_TEXT (which must be UTF-8) or PARLEY_WS_BINARY.
       `inject` is NULL, or a JSON array as above, with slot "stream:TEXT", or "body:/json/pointer"
       for a message that is JSON. PARLEY_PAUSE means taken; more waits until data has left.  [any] */
    parley_status (*write)(const parley_host *host, parley_id operation, uint32_t kind,
                           const char *bytes, size_t size, const char *inject,
                           size_t inject_size);
    /* What was written leaves first, then a goodbye: code 1000, 1001 or 3000 to 4999, and a reason of
       at most 123 bytes of UTF-8. No event follows.  [any] */
    parley_status (*close)(const parley_host *host, parley_id operation, uint32_t code,
                           const char *reason, size_t size);
} parley_host_ws_v1;

#define PARLEY_SINK_WS "parley.ws-sink/1"
enum {
    PARLEY_WS_OPENED = 1, /* {"peer":"address:port","subprotocol":"" or one of those offered} */
    PARLEY_WS_TEXT = 2,   /* one whole message, UTF-8 */
    PARLEY_WS_BINARY = 3, /* one whole message */
    PARLEY_WS_CLOSED = 4, /* last: {"code","reason"} as the peer said goodbye; 1005: without a code */
    PARLEY_WS_FAILED = 5  /* last: {"code","message","retryable","sent":bool,
                             "status"?: what the server answered instead of 101} */
};

/* The bytes of a secret, for a plugin that cannot do with the host placing it: the manifest declares
   the field with "tier": "reveal", and the operator's `reveal:` grants it. */
#define PARLEY_HOST_REVEAL "parley.host.reveal/1"
typedef struct parley_host_reveal_v1 {
    uint32_t struct_size, reserved0;
    parley_status (*get)(const parley_host *host, parley_id call, const char *name, size_t size,
                         parley_id *operation); /* [any] */
} parley_host_reveal_v1;

#define PARLEY_SINK_REVEAL "parley.reveal-sink/1"
enum { PARLEY_REVEAL_DONE = 1, /* last: the bytes, overwritten when the event returns */
       PARLEY_REVEAL_FAILED = 2 /* last: {"code","message"} */ };

/* Webhooks: requests from outside that the host has verified by the manifest's `inbound`, for a
   channel whose operator has switched them on. */
#define PARLEY_HOST_INBOUND "parley.host.inbound/1"
typedef struct parley_host_inbound_v1 {
    uint32_t struct_size, reserved0;
    /* Hears requests until the channel's run, `call`, ends; one listener at a time. [any] */
    parley_status (*listen)(const parley_host *host, parley_id call, parley_id *operation);
    /* Answers a request of that listener, once: {"status","body"?,"content_type"?,
       "retry_after_s"?}. What it made the plugin emit is durable by then: wait for the
       acknowledgement. PARLEY_E_STALE when it was answered already, or waits no more.  [any] */
    parley_status (*answer)(const parley_host *host, parley_id operation, uint64_t request,
                            const char *answer, size_t size);
    parley_status (*stop)(const parley_host *host, parley_id operation); /* no event follows [any] */
} parley_host_inbound_v1;

#define PARLEY_SINK_INBOUND "parley.inbound-sink/1"
enum { PARLEY_INBOUND_REQUEST = 1, /* {"request":N,"headers":[["name","value"],…],"body":"text"} */
       PARLEY_INBOUND_GONE = 2,    /* {"request":N}: nobody waits for its answer any more */
       PARLEY_INBOUND_CLOSED = 3 /* last: {"code","message"} */ };

#ifdef __cplusplus
}
#endif
#endif
