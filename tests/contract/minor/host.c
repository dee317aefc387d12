/* A host of either minor, as a program: loads the plugin that is named, with each table right
   before a page that cannot be read, makes its calls, and prints what came of them. Built against
   the real header it is of minor 0; against the later one that CMakeLists.txt makes, of minor 1. */
#define PARLEY_HOST_SIDE
#include "guarded.h"

#include "parley/plugin.h"

#include <dlfcn.h>
#include <stdio.h>

static int answers;

static void const* get_interface(parley_host const* host, char const* id) {
    (void)host;
    (void)id;
    return NULL;
}

static parley_status complete(parley_host const* host, parley_id call, parley_status status,
                              char const* bytes, size_t size) {
    (void)host;
    ++answers;
    printf("call %d: %d %.*s\n", (int)call, (int)status, (int)size, bytes);
    return PARLEY_OK;
}

static parley_status emit(parley_host const* host, parley_id call, char const* bytes, size_t size) {
    (void)host;
    printf("item of %d: %.*s\n", (int)call, (int)size, bytes);
    return PARLEY_OK;
}

static void log_line(parley_host const* host, int32_t level, char const* text, size_t size) {
    (void)host;
    printf("log %d: %.*s\n", (int)level, (int)size, text);
}

#if PARLEY_ABI_MINOR >= 1
static void added(parley_host const* host) {
    (void)host;
    printf("the added function of the host was called\n");
}
#endif

static void make_call(parley_start_fn verb, void* self, parley_id call) {
    static char const request[] = "{\"arguments\": {}}";
    int before = answers;
    parley_status started = verb(self, call, 0, request, sizeof request - 1);
    if (started != PARLEY_PENDING || answers != before + 1)
        printf("call %d was not answered\n", (int)call);
}

int main(int count, char** words) {
    parley_host table = {
        sizeof(parley_host),
        PARLEY_ABI_MAJOR,
        PARLEY_ABI_MINOR,
        get_interface,
        complete,
        emit,
        log_line
#if PARLEY_ABI_MINOR >= 1
        ,
        added
#endif
    };
    parley_host const* host = (parley_host const*)guarded(&table);
    void* library = count == 2 ? dlopen(words[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    parley_entry const* entry =
        library ? (parley_entry const*)guarded(dlsym(library, "parley_plugin_v1")) : NULL;
    parley_skill_v1 const* skill;
    void* self = NULL;
    if (!entry) {
        fprintf(stderr, "no plugin: %s\n", dlerror());
        return 2;
    }
    if (entry->abi_major != PARLEY_ABI_MAJOR || entry->abi_minor > PARLEY_ABI_MINOR) {
        printf("refused: it needs minor %d\n", entry->abi_minor);
        return 0;
    }
    if (entry->create(host, "{}", 2, &self) != PARLEY_OK) return 3;
    if (guarded(entry->get_interface(self, "parley.unheard-of/1")) != NULL) return 4;
    skill = (parley_skill_v1 const*)guarded(entry->get_interface(self, PARLEY_ROLE_SKILL));
    make_call(skill->invoke, self, 2);
    if (PARLEY_HAS(skill, list_dynamic)) make_call(skill->list_dynamic, self, 4);
#if PARLEY_ABI_MINOR >= 1
    if (PARLEY_HAS(skill, added))
        make_call(skill->added, self, 6);
    else
        printf("the skill has no added verb\n");
#endif
    entry->cancel(self, 2);
    entry->destroy(self);
    return 0;
}
