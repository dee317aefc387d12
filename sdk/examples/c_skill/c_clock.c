/* A whole plugin in C11, with nothing but parley/plugin.h: one skill, which tells the time. */
#define _POSIX_C_SOURCE 200809L /* for gmtime_r */

#include <parley/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The manifest's bytes, in the note that parley_add_plugin() makes. */
extern const char parley_manifest[];

typedef struct clock_plugin {
    const parley_host *host;
} clock_plugin;

static parley_status invoke(void *self, parley_id call, uint32_t timeout_ms, const char *request,
                            size_t size) {
    const clock_plugin *plugin = self;
    char result[128];
    char text[64];
    time_t now = time(NULL);
    struct tm parts;
    (void)timeout_ms;
    (void)request; /* only this skill, and it has no arguments */
    (void)size;
    if (!gmtime_r(&now, &parts)) return PARLEY_E_INTERNAL;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    snprintf(result, sizeof result, "{\"content\":\"%s\",\"error\":false}", text);
    /* Ending a call before its verb returns is fine: the answer is PENDING all the same. */
    plugin->host->complete(plugin->host, call, PARLEY_OK, result, strlen(result));
    return PARLEY_PENDING;
}

static const parley_skill_v1 skill = {sizeof(parley_skill_v1), 0, invoke, NULL, NULL, NULL};

static parley_status create(const parley_host *host, const char *config, size_t size, void **self) {
    clock_plugin *plugin = malloc(sizeof *plugin);
    (void)config;
    (void)size;
    if (!plugin) return PARLEY_E_INTERNAL;
    plugin->host = host;
    *self = plugin;
    return PARLEY_OK;
}

static void destroy(void *self) { free(self); }

static const void *get_interface(void *self, const char *id) {
    (void)self;
    return strcmp(id, PARLEY_ROLE_SKILL) == 0 ? &skill : NULL;
}

/* Every call has ended when its verb returns, so there is nothing to cancel. */
static void cancel(void *self, parley_id call) {
    (void)self;
    (void)call;
}

const parley_entry parley_plugin_v1 = {
    sizeof(parley_entry), PARLEY_ABI_MAJOR, PARLEY_ABI_MINOR, parley_manifest, PARLEY_MANIFEST_SIZE,
    create, destroy, get_interface, cancel};
