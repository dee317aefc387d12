/* A skill in C11: it counts the words of a text. Every call ends before its verb returns, so there
   is nothing to keep and nothing to cancel. */
#include <parley/json.h>
#include <parley/plugin.h>

enum { TEXT_BYTES = 4 * 4096 + 1, REQUEST_NODES = 64 };

/* The manifest's bytes, in the note that parley_add_plugin() makes. */
extern const char parley_manifest[];

static int64_t words_in(const char *text) {
    int64_t count = 0;
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (*text == '\0') return count;
        ++count;
        text += strcspn(text, " \t\r\n");
    }
}

static parley_status invoke(void *self, parley_id call, uint32_t timeout_ms, const char *request,
                            size_t size) {
    const parley_host *host = self;
    parley_json_node nodes[REQUEST_NODES];
    parley_json document;
    parley_json_value arguments;
    char text[TEXT_BYTES], answer[64], result[128];
    parley_json_out out = parley_json_to(result, sizeof result);
    (void)timeout_ms;
    if (!parley_json_read(&document, request, size, nodes, REQUEST_NODES)) return PARLEY_E_INVALID;
    arguments = parley_json_get(parley_json_root(&document), "arguments");
    if (parley_json_text(parley_json_get(arguments, "text"), text, sizeof text) ==
        PARLEY_JSON_NONE) {
        return PARLEY_E_INVALID;
    }
    snprintf(answer, sizeof answer, "%lld words", (long long)words_in(text));
    parley_json_begin(&out, '{');
    parley_json_key(&out, "content");
    parley_json_string(&out, answer);
    parley_json_key(&out, "error");
    parley_json_bool(&out, 0);
    parley_json_end(&out, '}');
    if (!parley_json_done(&out)) return PARLEY_E_INTERNAL;
    host->complete(host, call, PARLEY_OK, out.text, out.size);
    return PARLEY_PENDING;
}

static const parley_skill_v1 skill = {sizeof(parley_skill_v1), 0, invoke, NULL, NULL, NULL};

/* The plugin has no state: the host's table is all that it needs to remember. */
static parley_status create(const parley_host *host, const char *config, size_t size, void **self) {
    (void)config;
    (void)size;
    *self = (void *)host;
    return PARLEY_OK;
}

static void destroy(void *self) { (void)self; }

static const void *get_interface(void *self, const char *id) {
    (void)self;
    return strcmp(id, PARLEY_ROLE_SKILL) == 0 ? &skill : NULL;
}

static void cancel(void *self, parley_id call) {
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
