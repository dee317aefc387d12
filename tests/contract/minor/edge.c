/* A plugin whose tables hold no more than they must, and end where its memory ends: a skill that
   knows `invoke` alone, and sinks with nothing in them. A worker that reads past struct_size dies
   of it. */
#include "guarded.h"

#include "parley/plugin.h"

extern char const parley_manifest[];

static parley_host const* host;

static parley_status invoke(void* self, parley_id call, uint32_t timeout_ms, char const* request,
                            size_t size) {
    static char const answer[] = "{\"content\": \"no further\", \"error\": false}";
    (void)self;
    (void)timeout_ms;
    (void)request;
    (void)size;
    host->complete(host, call, PARLEY_OK, answer, sizeof answer - 1);
    return PARLEY_PENDING;
}

static parley_status create(parley_host const* lender, char const* config, size_t size,
                            void** self) {
    (void)config;
    (void)size;
    host = lender;
    *self = (void*)lender;
    return PARLEY_OK;
}

static void destroy(void* self) {
    (void)self;
}

static void const* get_interface(void* self, char const* id) {
    const parley_skill_v1 skill = {
        offsetof(parley_skill_v1, reconcile), 0, invoke, NULL, NULL, NULL};
    const parley_event_sink_v1 sink = {offsetof(parley_event_sink_v1, on_event), 0, NULL};
    (void)self;
    if (strcmp(id, PARLEY_ROLE_SKILL) == 0) return guarded(&skill);
    return strstr(id, "-sink/1") ? guarded(&sink) : NULL;
}

static void cancel(void* self, parley_id call) {
    (void)self;
    (void)call;
}

const parley_entry parley_plugin_v1 = {sizeof(parley_entry),
                                       PARLEY_ABI_MAJOR,
                                       PARLEY_ABI_MINOR,
                                       parley_manifest,
                                       PARLEY_MANIFEST_SIZE,
                                       create,
                                       destroy,
                                       get_interface,
                                       cancel};
