#pragma once

/* What the program and its libcurl module say to each other: plain C, so that the program needs no
   libcurl to start. Everything happens on the thread that calls. */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PARLEY_CURL_TABLE 1
#define PARLEY_CURL_READ 1
#define PARLEY_CURL_WRITE 2

enum parley_curl_take { PARLEY_CURL_TAKEN, PARLEY_CURL_PAUSE, PARLEY_CURL_ABORT };

enum parley_curl_end {
    PARLEY_CURL_OK,
    PARLEY_CURL_DENIED,   /* may_connect said no to every address */
    PARLEY_CURL_TIMEOUT,
    PARLEY_CURL_ABORTED,  /* a callback said so */
    PARLEY_CURL_FAILED
};


/* All pointers live until add() or perform() returns. */
struct parley_curl_job {
    char const* method;
    char const* url;
    char const* const* headers; /* "Name: value" each */
    size_t header_count;
    char const* body;
    size_t body_size;
    char const* proxy;   /* "" for none */
    char const* ca_file; /* "" for the system's */
    long timeout_ms;     /* 0: none */
    long connect_timeout_ms;
    long idle_seconds; /* a connection that idled longer is not used again */
};

/* `fetch` is what add() or perform() was given. A callback may call nothing of the table. */
struct parley_curl_host {
    void* self;
    void (*watch)(void* self, int socket, int events); /* 0: no longer; before it is closed */
    void (*timer)(void* self, long ms);                /* negative: none */
    int (*may_connect)(void* fetch, char const* address, uint16_t port);
    /* One line of the header as it came; 0 to end the transfer. */
    int (*on_header)(void* fetch, char const* line, size_t size);
    enum parley_curl_take (*on_data)(void* fetch, char const* bytes, size_t size);
    /* Last. `sent` is 0 when no byte of the request can have left. */
    void (*on_end)(void* fetch, enum parley_curl_end how, int sent, char const* why);
};

struct parley_curl_limits {
    long idle_connections, connections;
};

struct parley_curl_table {
    int version;
    void* (*open)(struct parley_curl_host const* host, struct parley_curl_limits const* limits);
    void (*close)(void* engine); /* on_end is not called for what is in flight */
    void* (*add)(void* engine, struct parley_curl_job const* job, void* fetch); /* null: failed */
    void (*remove)(void* engine, void* transfer); /* without on_end */
    void (*resume)(void* engine, void* transfer);
    void (*ready)(void* engine, int socket, int events);
    void (*tick)(void* engine);
    /* Blocking; on_end has been called when it returns. `watch` and `timer` are not used. */
    void (*perform)(struct parley_curl_host const* host, struct parley_curl_job const* job,
                    void* fetch);
};

struct parley_curl_table const* parley_curl_v1(void);

#ifdef __cplusplus
}
#endif
