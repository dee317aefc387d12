/* A plugin that is only ever read: what it offers stands in its manifest. */
#include <parley/plugin.h>

extern const char parley_manifest[];

static parley_status create(const parley_host *host, const char *config, size_t size, void **self) {
    (void)host, (void)config, (void)size, (void)self;
    return PARLEY_E_UNSUPPORTED;
}
static void destroy(void *self) { (void)self; }
static const void *get_interface(void *self, const char *id) {
    (void)self, (void)id;
    return NULL;
}
static void cancel(void *self, parley_id call) { (void)self, (void)call; }

const parley_entry parley_plugin_v1 = {
    sizeof(parley_entry), PARLEY_ABI_MAJOR, PARLEY_ABI_MINOR, parley_manifest, PARLEY_MANIFEST_SIZE,
    create, destroy, get_interface, cancel};
