/* A skill of either minor, in C: it says which of the host's functions it finds. */
#include "parley/plugin.h"

#include <string.h>

static char const manifest[] = "{}";

static parley_status answer(parley_host const* host, parley_id call, char const* text) {
    host->emit(host, call, "\"on\"", 4);
    host->complete(host, call, PARLEY_OK, text, strlen(text));
    return PARLEY_PENDING;
}

static parley_status invoke(void* self, parley_id call, uint32_t timeout_ms, char const* request,
                            size_t size) {
    parley_host const* host = (parley_host const*)self;
    (void)timeout_ms;
    (void)request;
    (void)size;
#if defined(LATER_HEADER) && !defined(RECKLESS)
    if (!PARLEY_HAS(host, added)) return answer(host, call, "\"the host has nothing added\"");
#endif
#ifdef LATER_HEADER
    host->added(host);
#endif
    return answer(host, call, "\"done\"");
}

static parley_status added(void* self, parley_id call, uint32_t timeout_ms, char const* request,
                           size_t size) {
    (void)timeout_ms;
    (void)request;
    (void)size;
    return answer((parley_host const*)self, call, "\"the added verb\"");
}

static const parley_skill_v1 skill = {sizeof(parley_skill_v1),
                                      0,
                                      invoke,
                                      NULL,
                                      NULL,
                                      added
#ifdef LATER_HEADER
                                      ,
                                      added
#endif
};

static parley_status create(parley_host const* host, char const* config, size_t size, void** self) {
    (void)config;
    (void)size;
    *self = (void*)host;
    return PARLEY_OK;
}

static void destroy(void* self) {
    (void)self;
}

static void const* get_interface(void* self, char const* id) {
    (void)self;
    return strcmp(id, PARLEY_ROLE_SKILL) == 0 ? &skill : NULL;
}

static void cancel(void* self, parley_id call) {
    (void)self;
    (void)call;
}

const parley_entry parley_plugin_v1 = {sizeof(parley_entry),
                                       PARLEY_ABI_MAJOR,
                                       PARLEY_ABI_MINOR,
                                       manifest,
                                       2,
                                       create,
                                       destroy,
                                       get_interface,
                                       cancel};
