/* What the animals share that are woken by a webhook: a channel that hears them and defines
   woken(). After "Expect:" stands what whoever sent it is told: the status, and the body where there
   is one. */
#ifndef PARLEY_ZOO_INBOUND_H
#define PARLEY_ZOO_INBOUND_H

#include <parley/frame.h>
#include <parley/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

extern const char parley_manifest[];

static const parley_host *host;
static const parley_host_inbound_v1 *inbound;
static parley_id run_call;

static void woken(parley_id listener, uint64_t request);

__attribute__((unused)) static parley_status say(parley_id listener, uint64_t request, int status,
                                                 const char *body) {
    char text[256];
    int size = snprintf(text, sizeof text, "{\"status\":%d,\"body\":\"%s\"}", status, body);
    return inbound->answer(host, listener, request, text, (size_t)size);
}

/* Past the worker's own code. */
__attribute__((unused)) static void write_frame(uint16_t type, uint64_t id, const void *body,
                                                uint32_t size) {
    static char bytes[65536];
    parley_frame frame = {size, type, 0, id};
    memcpy(bytes, &frame, sizeof frame);
    memcpy(bytes + sizeof frame, body, size);
    send(3, bytes, sizeof frame + size, MSG_NOSIGNAL);
}
__attribute__((unused)) static void write_answer(parley_id listener, uint64_t request,
                                                 const char *text) {
    static char body[60000];
    memcpy(body, &request, 8);
    size_t size = strlen(text);
    memcpy(body + 8, text, size);
    write_frame(PARLEY_F_INBOUND_ANSWER, listener, body, (uint32_t)(8 + size));
}

static void on_inbound(void *self, parley_id call, parley_id operation, uint32_t kind,
                       const char *bytes, size_t size) {
    static const char key[] = "{\"request\":";
    (void)self;
    if (kind == PARLEY_INBOUND_CLOSED) host->complete(host, call, PARLEY_E_DENIED, bytes, size);
    if (kind != PARLEY_INBOUND_REQUEST || size < sizeof key) return;
    woken(operation, strtoull(bytes + sizeof key - 1, NULL, 10));
}

static parley_status run(void *self, parley_id call, uint32_t timeout_ms, const char *bytes,
                         size_t size) {
    static const char state[] = "{\"type\":\"state\",\"state\":\"connected\"}";
    parley_id operation;
    (void)self, (void)timeout_ms, (void)bytes, (void)size;
    run_call = call;
    if (inbound->listen(host, call, &operation) < 0) return PARLEY_E_INTERNAL;
    host->emit(host, call, state, sizeof state - 1);
    return PARLEY_PENDING;
}
static parley_status send_message(void *self, parley_id call, uint32_t timeout_ms,
                                  const char *bytes, size_t size) {
    (void)self, (void)call, (void)timeout_ms, (void)bytes, (void)size;
    return PARLEY_E_UNSUPPORTED;
}

static parley_status create(const parley_host *given, const char *config, size_t size, void **self) {
    (void)config, (void)size;
    host = given;
    inbound = (const parley_host_inbound_v1 *)host->get_interface(host, PARLEY_HOST_INBOUND);
    *self = (void *)&host;
    return inbound ? PARLEY_OK : PARLEY_E_UNSUPPORTED;
}
static void destroy(void *self) { (void)self; }
static void cancel(void *self, parley_id call) {
    static const char why[] = "{\"code\":\"cancelled\",\"message\":\"as asked\"}";
    (void)self;
    host->complete(host, call, PARLEY_E_CANCELLED, why, sizeof why - 1);
}
static const void *get_interface(void *self, const char *id) {
    static const parley_channel_v1 channel = {sizeof channel, 0, run, send_message, NULL, NULL, NULL};
    static const parley_event_sink_v1 sink = {sizeof sink, 0, on_inbound};
    (void)self;
    if (strcmp(id, PARLEY_ROLE_CHANNEL) == 0) return &channel;
    return strcmp(id, PARLEY_SINK_INBOUND) == 0 ? &sink : NULL;
}

__attribute__((visibility("default"))) const parley_entry parley_plugin_v1 = {
    sizeof(parley_entry), PARLEY_ABI_MAJOR, PARLEY_ABI_MINOR, parley_manifest, PARLEY_MANIFEST_SIZE,
    create,               destroy,          get_interface,    cancel};
#endif
