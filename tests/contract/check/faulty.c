/* A skill that reads its secret, fetches, and answers: sound in every respect but the one that its
   config names. With -DFAULT_… something is wrong with the file itself. */
#define _GNU_SOURCE
#include <parley/plugin.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const char parley_manifest[];

enum { calls_most = 64 };
struct call {
    parley_id id;
    const char *request; /* only of a faulty one */
    size_t size;
};
static struct call calls[calls_most];
static const parley_host *host;
static char fault[64];
static __thread int strand_mark;
static volatile int ending;

static int is(const char *name) { return strcmp(fault, name) == 0; }

static struct call *find(parley_id id) {
    for (int i = 0; i < calls_most; ++i)
        if (calls[i].id == id) return &calls[i];
    return NULL;
}

static void end(parley_id id, parley_status status, const char *text) {
    struct call *call = find(id);
    if (!call) return;
    call->id = 0;
    host->complete(host, id, status, text, strlen(text));
}

static void fail(parley_id id, const char *code) {
    char text[128] = "{\"code\":\"";
    strcat(strcat(text, code), "\",\"message\":\"it did not work\"}");
    end(id, strcmp(code, "cancelled") == 0 ? PARLEY_E_CANCELLED : PARLEY_E_PEER, text);
}

static void fetch(parley_id id) {
    static const char request[] = "{\"method\":\"GET\",\"url\":\"https://a.faulty.example/\"}";
    const parley_host_http_v1 *http = host->get_interface(host, PARLEY_HOST_HTTP);
    parley_id operation;
    parley_status status = http->start(host, id, request, strlen(request), NULL, 0, &operation);
    if (status >= 0) return;
    if (is("refusing-host")) abort();
    fail(id, "limit");
}

static void *linger(void *nothing) {
    for (;;) pause();
    return nothing;
}

static parley_status invoke(void *self, parley_id id, uint32_t timeout_ms, const char *request,
                            size_t size) {
    struct call *call = find(0);
    (void)self;
    if (!call) return PARLEY_E_LIMIT;
    if (is("concurrent-calls") && calls[0].id) return call = &calls[0], call->id = id, PARLEY_PENDING;
    if (is("large-input") && size > 4096) abort();
    if (is("fuzz") && (size == 0 || request[size - 1] != '}')) abort();
    if (is("unknown-members") && memmem(request, size, "nobody_knows", 12)) return PARLEY_E_INVALID;
    if (is("deadline") && timeout_ms > 0) return PARLEY_PENDING;
    if (is("strand-moves") && !strand_mark) abort();
    if (is("start-returns-fast"))
        for (clock_t until = clock() + CLOCKS_PER_SEC / 8; clock() < until;) continue;
    if (is("failing-allocations")) memset(malloc(10), 1, 10);
    call->id = id;
    call->request = request;
    call->size = size;
    if (is("minimal-host")) {
        const parley_host_kv_v1 *store = host->get_interface(host, PARLEY_HOST_KV);
        parley_id operation;
        store->get(host, id, "a", 1, &operation);
    }
    if (is("refused-is-ended")) return end(id, PARLEY_OK, "{\"content\":\"\"}"), PARLEY_E_INTERNAL;
    if (is("quiet-shutdown")) {
        pthread_t thread;
        pthread_create(&thread, NULL, linger, NULL);
    }
    const parley_host_reveal_v1 *reveal = host->get_interface(host, PARLEY_HOST_REVEAL);
    parley_id operation;
    if (reveal->get(host, id, "key", 3, &operation) < 0) fetch(id);
    return PARLEY_PENDING;
}

static parley_status preview(void *self, parley_id id, uint32_t timeout_ms, const char *request,
                             size_t size) {
    (void)self;
    (void)timeout_ms;
    (void)request;
    (void)size;
    struct call *call = find(0);
    if (!call) return PARLEY_E_LIMIT;
    call->id = id;
    if (is("approval-gate"))
        fetch(id);
    else
        end(id, PARLEY_OK, "{\"text\":\"Looks.\"}");
    return PARLEY_PENDING;
}

static void on_reveal(void *self, parley_id id, parley_id operation, uint32_t kind,
                      const char *bytes, size_t size) {
    (void)self;
    (void)operation;
    if (kind == PARLEY_REVEAL_DONE && is("secret-canary")) host->log(host, PARLEY_LOG_INFO, bytes, size);
    fetch(id);
}

static void on_http(void *self, parley_id id, parley_id operation, uint32_t kind,
                    const char *bytes, size_t size) {
    struct call *call = find(id);
    (void)self;
    (void)operation;
    (void)bytes;
    (void)size;
    if (!call || ending) return;
    if (kind == PARLEY_HTTP_FAILED) fail(id, "peer");
    if (kind != PARLEY_HTTP_DONE) return;
    /* Where the request lay is only looked at by who is faulty. */
    if (is("no-retained-pointers") && call->request[call->size - 1] != '}') abort();
    int is_other = is("no-borrowed-bytes") && call->request[0] != '{';
    end(id, PARLEY_OK, is_other ? "{\"content\":\"other\"}" : "{\"content\":\"seen\"}");
}

static parley_status create(const parley_host *given, const char *config, size_t size, void **self) {
    host = given;
    const char *at = memmem(config, size, "\"fault\":\"", 9);
    memset(fault, 0, sizeof fault);
    if (at) strncpy(fault, at + 9, strcspn(at + 9, "\""));
    strand_mark = 1;
    if (is("create-destroy")) memset(malloc(1000), 1, 1000);
    if (is("older-host") && ((const char *)given)[sizeof *given]) return PARLEY_E_INTERNAL;
    if (is("newer-host") && given->struct_size != sizeof *given) return PARLEY_E_UNSUPPORTED;
    *self = calls;
    return PARLEY_OK;
}

static void destroy(void *self) {
    (void)self;
    if (is("quiet-shutdown")) usleep(10);
    memset(calls, 0, sizeof calls);
}

static void cancel(void *self, parley_id id) {
    (void)self;
    if (is("wrong-state") && !find(id)) abort();
    fail(id, "cancelled");
}

static const void *get_interface(void *self, const char *id) {
    static const parley_skill_v1 sound = {sizeof sound, 0, invoke, NULL, preview, NULL};
    static const parley_skill_v1 reserved = {sizeof reserved, 7, invoke, NULL, preview, NULL};
    static const parley_skill_v1 lacking = {sizeof lacking, 0, NULL, NULL, preview, NULL};
    static const parley_event_sink_v1 http = {sizeof http, 0, on_http};
    static const parley_event_sink_v1 reveal = {sizeof reveal, 0, on_reveal};
    (void)self;
    if (strcmp(id, PARLEY_SINK_HTTP) == 0) return &http;
    if (strcmp(id, PARLEY_SINK_REVEAL) == 0) return &reveal;
    if (is("unknown-interface") && strncmp(id, PARLEY_ROLE_SKILL, strlen(PARLEY_ROLE_SKILL)) == 0)
        return &sound;
    if (strcmp(id, PARLEY_ROLE_SKILL) != 0) return NULL;
    return is("struct-sizes") ? &reserved : is("declared-roles") ? &lacking : &sound;
}

#ifdef FAULT_MANY
#define one(name) __attribute__((constructor)) static void name(void) { ending = 0; }
#define ten(name) one(name##0) one(name##1) one(name##2) one(name##3) one(name##4) \
                  one(name##5) one(name##6) one(name##7) one(name##8) one(name##9)
ten(a) ten(b) ten(c) ten(d) ten(e) ten(f) ten(g)
#endif
#ifdef FAULT_UNDEFINED
extern int nobody_brings_this(void);
int (*const volatile asks)(void) = nobody_brings_this;
#endif
#ifdef FAULT_GO
__asm__(".section .note.go.buildid,\"a\",@note\n.long 4,4,4\n.ascii \"Go\\0\\0\"\n.long 0\n.text\n");
#endif
#ifdef FAULT_SHORT
#define MANIFEST_SIZE (PARLEY_MANIFEST_SIZE - 1)
#else
#define MANIFEST_SIZE PARLEY_MANIFEST_SIZE
#endif

PARLEY_EXPORT const parley_entry parley_plugin_v1 = {
    sizeof(parley_entry), PARLEY_ABI_MAJOR, PARLEY_ABI_MINOR, parley_manifest, MANIFEST_SIZE,
    create,               destroy,          get_interface,    cancel};
