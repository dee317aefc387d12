#include "measure.hpp"

#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

extern char** environ;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace parley::worker {

namespace {

constexpr int descriptors_most = 1024;
constexpr int first_free = 5;  // below: standard ones, the link's and the file's places

}  // namespace

std::size_t thread_count() {
    long last = 0;
    std::thread([&last] { last = syscall(SYS_gettid); }).join();
    std::size_t count = 0;
    for (long id = 1; id < last; ++id)
        if (syscall(SYS_tgkill, getpid(), id, 0) == 0) ++count;
    return count;
}

std::size_t descriptor_count() {
    std::size_t count = 0;
    for (int number = first_free; number < descriptors_most; ++number)
        if (fcntl(number, F_GETFD) >= 0) ++count;
    return count;
}

std::size_t heap_bytes() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return __sanitizer_get_current_allocated_bytes();
#else
    auto facts = mallinfo2();
    return facts.uordblks + facts.hblkhd;
#endif
}

bool has_memory_left(std::size_t megabytes) {
    auto size = megabytes << 20;
    auto* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    munmap(memory, size);
    return true;
}

Surroundings Surroundings::now() {
    Surroundings out;
    char folder[4096] = "";
    out.folder = getcwd(folder, sizeof folder) ? folder : "";
    out.mask = umask(0);
    umask(out.mask);
    auto const* locale = setlocale(LC_ALL, nullptr);
    out.locale = locale ? locale : "";
    while (environ && environ[out.variables]) ++out.variables;
    for (std::size_t number = 1; number < out.handlers.size(); ++number) {
        if (number == SIGSYS) continue;  // the filter lets nobody ask
        struct sigaction action {};
        if (sigaction(static_cast<int>(number), nullptr, &action) == 0)
            out.handlers[number] = reinterpret_cast<void*>(action.sa_handler);
    }
    return out;
}

std::string Surroundings::changes(Surroundings const& later) const {
    std::string out;
    auto add = [&out](std::string const& what) { out += (out.empty() ? "" : ", ") + what; };
    if (folder != later.folder) add("the working folder");
    if (mask != later.mask) add("the umask");
    if (locale != later.locale) add("the locale");
    if (variables != later.variables) add("the environment");
    for (std::size_t number = 1; number < handlers.size(); ++number)
        if (handlers[number] != later.handlers[number])
            add("the handler of signal " + std::to_string(number));
    return out;
}

}  // namespace parley::worker
