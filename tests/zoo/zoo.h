/* What the animals of the zoo share: a plugin with one skill, `attack`, that breaks one promise and
   says what came of it. An animal includes this first and defines attack(); its opening comment says
   what it tries and, after "Expect:", what the model is told in the end. */
#ifndef PARLEY_ZOO_H
#define PARLEY_ZOO_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <parley/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" const char parley_manifest[];
#else
extern const char parley_manifest[];
#endif

static const parley_host *host;
static const char *request;
static size_t request_size;

static void attack(parley_id call);

/* An argument of the call, a plain string without escapes; "" when it is not there. */
__attribute__((unused)) static const char *given(const char *name) {
    static char value[4096];
    char key[64];
    const char *end = request + request_size;
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *at = (const char *)memmem(request, request_size, key, strlen(key));
    value[0] = 0;
    if (!at) return value;
    at += strlen(key);
    size_t size = 0;
    while (at < end && *at != '"' && size + 1 < sizeof value) value[size++] = *at++;
    value[size] = 0;
    return value;
}

__attribute__((unused)) static const char *below(const char *name, const char *tail) {
    static char path[8192];
    snprintf(path, sizeof path, "%s%s", given(name), tail);
    return path;
}

__attribute__((unused, format(printf, 2, 3))) static void tell(parley_id call, const char *format,
                                                               ...) {
    char text[2048], out[8192] = "{\"content\":\"";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t size = strlen(out);
    for (const char *c = text; *c; ++c) {
        if (*c == '"' || *c == '\\') out[size++] = '\\';
        out[size++] = (unsigned char)*c < 0x20 ? ' ' : *c;
    }
    memcpy(out + size, "\"}", 2);
    host->complete(host, call, PARLEY_OK, out, size + 2);
}

/* The answer as it stands. */
__attribute__((unused)) static void answer(parley_id call, const char *text) {
    host->complete(host, call, PARLEY_OK, text, strlen(text));
}

/* What a system call said. */
__attribute__((unused)) static void outcome(parley_id call, long result) {
    if (result >= 0) tell(call, "IT SUCCEEDED: %ld", result);
    else tell(call, "errno: %s", strerror(errno));
}

/* What the host said. */
__attribute__((unused)) static void verdict(parley_id call, parley_status status) {
    if (status >= 0) tell(call, "THE HOST AGREED: %d", status);
    else tell(call, "refused with %d", status);
}

__attribute__((unused)) static void fetch(parley_id call, const char *what) {
    const parley_host_http_v1 *http =
        (const parley_host_http_v1 *)host->get_interface(host, PARLEY_HOST_HTTP);
    parley_id operation;
    parley_status status = http->start(host, call, what, strlen(what), NULL, 0, &operation);
    if (status < 0) verdict(call, status);
}

/* Opens a WebSocket; 0 and an answer to the call when the host does not even begin. */
__attribute__((unused)) static parley_id connect_to(parley_id call, const char *what) {
    const parley_host_ws_v1 *ws =
        (const parley_host_ws_v1 *)host->get_interface(host, PARLEY_HOST_WS);
    parley_id operation = 0;
    parley_status status = ws->open(host, call, what, strlen(what), &operation);
    if (status < 0) verdict(call, status);
    return status < 0 ? 0 : operation;
}

static void on_ws(void *self, parley_id call, parley_id operation, uint32_t kind,
                  const char *bytes, size_t size) {
    (void)self;
    (void)operation;
    if (kind == PARLEY_WS_FAILED) tell(call, "failed: %.*s", (int)size, bytes);
    if (kind == PARLEY_WS_OPENED) tell(call, "IT LEFT");
}

static void on_http(void *self, parley_id call, parley_id operation, uint32_t kind,
                    const char *bytes, size_t size) {
    (void)self;
    (void)operation;
    if (kind == PARLEY_HTTP_FAILED) tell(call, "failed: %.*s", (int)size, bytes);
    if (kind == PARLEY_HTTP_DONE) tell(call, "IT LEFT");
}

static parley_status invoke(void *self, parley_id call, uint32_t timeout_ms, const char *bytes,
                            size_t size) {
    (void)self;
    (void)timeout_ms;
    request = bytes;
    request_size = size;
    attack(call);
    return PARLEY_PENDING;
}

#ifndef ZOO_CREATE
#define ZOO_CREATE PARLEY_OK
#endif
static parley_status create(const parley_host *given_host, const char *config, size_t size,
                            void **self) {
    (void)config;
    (void)size;
    host = given_host;
    *self = (void *)&host;
    return ZOO_CREATE;
}

static void destroy(void *self) { (void)self; }
static void cancel(void *self, parley_id call) {
    (void)self;
    (void)call;
}

static const void *get_interface(void *self, const char *id) {
    static const parley_skill_v1 skill = {sizeof skill, 0, invoke, NULL, NULL, NULL};
    static const parley_event_sink_v1 http = {sizeof http, 0, on_http};
    static const parley_event_sink_v1 ws = {sizeof ws, 0, on_ws};
    (void)self;
    if (strcmp(id, PARLEY_ROLE_SKILL) == 0) return &skill;
    if (strcmp(id, PARLEY_SINK_WS) == 0) return &ws;
    return strcmp(id, PARLEY_SINK_HTTP) == 0 ? &http : NULL;
}

#ifdef __cplusplus
extern "C"
#endif
    __attribute__((visibility("default"))) const parley_entry parley_plugin_v1;
const parley_entry parley_plugin_v1 = {sizeof(parley_entry), PARLEY_ABI_MAJOR, PARLEY_ABI_MINOR,
                                       parley_manifest,      PARLEY_MANIFEST_SIZE,
                                       create,               destroy,          get_interface,
                                       cancel};
#endif
