/* The worker link: how parley and parley-worker speak. Frozen with ABI 1; plugins never see it.

   A stream socket, descriptor 3 of the worker. A frame is a header of 16 bytes, little endian,
   and a body of at most 64 KiB. PARLEY_MORE says that the next frame of the same type and id goes
   on with the message; a whole message is at most 32 MiB. Call ids are minted by the host and even;
   operation ids are minted by the worker and odd. */
#ifndef PARLEY_FRAME_H
#define PARLEY_FRAME_H

#include <stdint.h>

#define PARLEY_FRAME_VERSION 1u
#define PARLEY_FRAME_BODY_MAX 65536u
#define PARLEY_MESSAGE_MAX (32u << 20)
#define PARLEY_MORE 1u
/* What a call's emit, or an operation's write, may use before the first PARLEY_F_CREDIT. An item is
   taken while credit is above zero, so the last one may go below. */
#define PARLEY_CREDIT 262144

typedef struct parley_frame {
    uint32_t length; /* of the body */
    uint16_t type;
    uint16_t flags;
    uint64_t id;
} parley_frame;

/* host -> worker.  Numbers in bodies are little endian. "blob" is u32 length, bytes. */
enum {
    PARLEY_F_SETUP = 1,    /* lines of "key value": sandbox, limits, folders; so that the worker needs
                              no JSON. The plugin's sealed file is descriptor 4 of the worker. */
    PARLEY_F_CREATE = 2,   /* config bytes */
    PARLEY_F_START = 3,    /* id = call; u32 verb (role << 8 | index), u32 timeout_ms, request */
    PARLEY_F_CANCEL = 4,   /* id = call */
    PARLEY_F_CREDIT = 5,   /* id = call; u32 bytes more that emit may use. id = operation of a
                              stream, blob or WebSocket: bytes more that write may use */
    PARLEY_F_EVENT = 6,    /* id = operation; u64 call, u32 service, u32 kind, bytes */
    PARLEY_F_ACK = 7,      /* id = call; cursor bytes */
    PARLEY_F_STOP = 8      /* destroy and exit */
};
/* worker -> host. */
enum {
    PARLEY_F_READY = 33,    /* JSON: {"frame","abi","profile":[…]} after SETUP, before dlopen */
    PARLEY_F_CREATED = 34,  /* i32 status, JSON detail; after dlopen and create */
    PARLEY_F_EMIT = 35,     /* id = call */
    PARLEY_F_COMPLETE = 36, /* id = call; i32 status, bytes */
    PARLEY_F_LOG = 37,      /* i32 level, text */
    PARLEY_F_HTTP_START = 38, /* id = operation; u64 call, blob request, body */
    PARLEY_F_STREAM_OPEN = 39, /* id = operation; u64 call, request */
    PARLEY_F_STREAM_WRITE = 40, /* id = operation; blob inject (may be empty), bytes */
    PARLEY_F_TIMER_START = 41, /* id = operation; u64 call, u32 after_ms */
    PARLEY_F_KV = 42,       /* id = operation; u64 call, u32 verb (1 get, 2 put, 3 remove), blob key, value */
    PARLEY_F_END = 43,      /* id = operation: stop or close it */
    PARLEY_F_REVEAL = 44,   /* id = operation; u64 call, name of the secret field */
    PARLEY_F_BLOB_PUT = 45, /* id = operation; u64 call */
    PARLEY_F_BLOB_WRITE = 46, /* id = operation; bytes */
    PARLEY_F_BLOB_FINISH = 47, /* id = operation */
    PARLEY_F_BLOB_GET = 48, /* id = operation; u64 call, request */
    PARLEY_F_WS_OPEN = 49,  /* id = operation; u64 call, request */
    PARLEY_F_WS_WRITE = 50, /* id = operation; u32 kind, blob inject (may be empty), one message */
    PARLEY_F_WS_CLOSE = 51, /* id = operation, which is over; u32 code, reason */
    PARLEY_F_INBOUND_LISTEN = 52, /* id = operation; u64 call */
    PARLEY_F_INBOUND_ANSWER = 53  /* id = operation; u64 request, JSON. The events of this operation
                                     begin with that u64, which the plugin does not see */
};

enum { PARLEY_V_CHANNEL = 1, PARLEY_V_PROVIDER = 2, PARLEY_V_SKILL = 3, PARLEY_V_HOOK = 4 };
enum { PARLEY_S_HTTP = 1, PARLEY_S_STREAM = 2, PARLEY_S_TIMER = 3, PARLEY_S_KV = 4,
       PARLEY_S_REVEAL = 5, PARLEY_S_BLOB = 6, PARLEY_S_WS = 7, PARLEY_S_INBOUND = 8 };

/* What a goodbye may say: RFC 6455, 7.4.2 and 5.5. */
#define PARLEY_WS_CODE_OK(code) \
    ((code) == 1000u || (code) == 1001u || ((code) >= 3000u && (code) <= 4999u))
#define PARLEY_WS_REASON_MAX 123u

#endif
