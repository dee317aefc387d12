/* A plugin whose tables hold no more than they must, and end where its memory ends: a skill that
   knows `invoke` alone, and sinks with nothing in them. A worker that reads past struct_size dies
   of it. */
#include "../../contract/minor/guarded.h"
#include "parley/plugin.h"

extern char const parley_manifest[];

static parley_host const* host;

/* "hold" and "flood" stay open, with an event or leave to go on to come; all else is answered. */
static parley_status invoke(void* self, parley_id call, uint32_t timeout_ms, char const* request,
                            size_t size) {
    static char much[300 * 1024];
    parley_id operation;
    (void)self;
    (void)timeout_ms;
    if (size == 4 && memcmp(request, "hold", 4) == 0) {
        parley_host_kv_v1 const* kv =
            (parley_host_kv_v1 const*)host->get_interface(host, PARLEY_HOST_KV);
        kv->get(host, call, "key", 3, &operation);
    } else if (size == 5 && memcmp(request, "flood", 5) == 0) {
        memset(much, ' ', sizeof much);
        host->emit(host, call, much, sizeof much);
    } else {
        host->complete(host, call, PARLEY_OK, request, size);
    }
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
    host->complete(host, call, PARLEY_E_CANCELLED, "{}", 2);
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
