#include "watch.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace parley::worker::watch {

namespace {

// Filled in a signal handler, so of fixed size and without locks.
constexpr std::size_t notes_most = 64, note_bytes = 192;
char notes[notes_most][note_bytes];
std::atomic<std::size_t> note_count{0};
std::size_t notes_read = 0;
bool on = false;
std::vector<std::string> const* granted = nullptr;
std::vector<std::string> const* written = nullptr;

// Where libc, libstdc++ and a loader look by themselves, and read only.
constexpr char const* readable[] = {"/usr/",
                                    "/lib/",
                                    "/lib64/",
                                    "/lib",
                                    "/lib64",
                                    "/usr",
                                    "/etc/ld.so.cache",
                                    "/etc/localtime",
                                    "/etc/ld.so.preload",
                                    "/plugin.so",
                                    "/dev/null",
                                    "/dev/zero",
                                    "/dev/urandom",
                                    "/dev/random",
                                    "/sys/devices/system/cpu/",
                                    "/sys/fs/cgroup/",
                                    "/proc/self/cgroup",
                                    "/proc/self/mountinfo",
                                    "/proc/cpuinfo",
                                    "/proc/stat",
                                    "/proc/meminfo",
                                    "/proc/sys/vm/overcommit_memory",
                                    "/sys/kernel/mm/transparent_hugepage/"};

struct Registers {
    long number;
    std::uint64_t arguments[6];
};

#if defined(__x86_64__)
Registers registers_of(ucontext_t const& context) {
    auto const& r = context.uc_mcontext.gregs;
    auto u = [](greg_t one) { return static_cast<std::uint64_t>(one); };
    return {
        static_cast<long>(r[REG_RAX]),
        {u(r[REG_RDI]), u(r[REG_RSI]), u(r[REG_RDX]), u(r[REG_R10]), u(r[REG_R8]), u(r[REG_R9])}};
}
void set_result(ucontext_t& context, long result) {
    context.uc_mcontext.gregs[REG_RAX] = result;
}
#elif defined(__aarch64__)
Registers registers_of(ucontext_t const& context) {
    auto const& r = context.uc_mcontext.regs;
    return {static_cast<long>(r[8]), {r[0], r[1], r[2], r[3], r[4], r[5]}};
}
void set_result(ucontext_t& context, long result) {
    context.uc_mcontext.regs[0] = static_cast<std::uint64_t>(result);
}
#endif

void note(char const* format, char const* what, char const* more) {
    auto at = note_count.fetch_add(1);
    if (at < notes_most) std::snprintf(notes[at], note_bytes, format, what, more);
}

bool starts_with(char const* text, char const* with) {
    return std::strncmp(text, with, std::strlen(with)) == 0;
}

bool below(char const* path, std::vector<std::string> const& folders) {
    return std::any_of(folders.begin(), folders.end(), [path](auto const& folder) {
        auto size = folder.size();
        return std::strncmp(path, folder.c_str(), size) == 0 &&
               (path[size] == 0 || path[size] == '/');
    });
}

// Without ".." and ".", as the kernel would walk it from the root, links aside.
void plain(char const* path, char (&out)[4096]) {
    std::size_t size = 0;
    out[0] = 0;
    while (*path) {
        while (*path == '/') ++path;
        auto const* end = path;
        while (*end && *end != '/') ++end;
        auto length = static_cast<std::size_t>(end - path);
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            while (size > 0 && out[--size] != '/') {
            }
        } else if (length > 0 && !(length == 1 && path[0] == '.') && size + length + 2 < 4096) {
            out[size++] = '/';
            std::memcpy(out + size, path, length);
            size += length;
        }
        out[size] = 0;
        path = end;
    }
    if (size == 0) out[0] = '/', out[1] = 0;
}

void look_at(char const* path, bool writes) {
    char real[4096];
    plain(path, real);
    if (std::strcmp(real, "/") == 0 && !writes) return;
    if (below(real, writes ? *written : *granted)) return;
    if (std::strcmp(real, "/dev/null") == 0) return;
    if (!writes)
        for (auto const* place : readable) {
            auto length = std::strlen(place);
            if (place[length - 1] == '/' ? starts_with(real, place) : std::strcmp(real, place) == 0)
                return;
        }
    note(writes ? "it would %s %s, which nobody granted to be written"
                : "it would %s %s, which nobody granted",
         writes ? "change" : "look at", real);
}

// Which argument is the path, and which the folder that it is seen from.
struct Shape {
    int call, folder, path;
    bool writes;
    int flags;  // the argument with O_WRONLY and the like, or -1
};
constexpr Shape shapes[] = {
#ifdef SYS_open
    {SYS_open, -1, 0, false, 1},       {SYS_stat, -1, 0, false, -1},
    {SYS_lstat, -1, 0, false, -1},     {SYS_access, -1, 0, false, -1},
    {SYS_mkdir, -1, 0, true, -1},      {SYS_rmdir, -1, 0, true, -1},
    {SYS_unlink, -1, 0, true, -1},     {SYS_rename, -1, 1, true, -1},
    {SYS_link, -1, 1, true, -1},       {SYS_symlink, -1, 1, true, -1},
    {SYS_chmod, -1, 0, true, -1},
#endif
    {SYS_openat, 0, 1, false, 2},      {SYS_openat2, 0, 1, false, -1},
    {SYS_newfstatat, 0, 1, false, -1}, {SYS_statx, 0, 1, false, -1},
    {SYS_faccessat, 0, 1, false, -1},  {SYS_faccessat2, 0, 1, false, -1},
    {SYS_mkdirat, 0, 1, true, -1},     {SYS_unlinkat, 0, 1, true, -1},
    {SYS_renameat2, 2, 3, true, -1},   {SYS_linkat, 2, 3, true, -1},
    {SYS_symlinkat, 1, 2, true, -1},   {SYS_fchmodat, 0, 1, true, -1},
    {SYS_truncate, -1, 0, true, -1},
};

void look_at(Shape const& shape, Registers const& call) {
    auto const* path = reinterpret_cast<char const*>(call.arguments[shape.path]);
    if (!path || !*path) return;  // the descriptor itself
    // What lies below a folder that it has open was looked at when that was opened.
    bool is_below = *path != '/' && shape.folder >= 0 &&
                    static_cast<int>(call.arguments[shape.folder]) != AT_FDCWD;
    if (is_below) return;
    bool writes = shape.writes;
    if (shape.flags >= 0)
        writes = call.arguments[shape.flags] & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
    if (call.number == SYS_openat2 && call.arguments[2])
        writes = reinterpret_cast<open_how const*>(call.arguments[2])->flags &
                 (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
    look_at(path, writes);
}

}  // namespace

void begin(Setup const& setup) {
    auto* reads = new std::vector<std::string>;
    auto* writes = new std::vector<std::string>;
    for (auto const& folder : setup.folders) {
        reads->push_back(folder.path);
        if (folder.writable) writes->push_back(folder.path);
    }
    granted = reads;
    written = writes;
    on = true;
}

bool is_on() {
    return on;
}

std::vector<int> const& of_files() {
    static auto const calls = [] {
        std::vector<int> out;
        for (auto const& shape : shapes) out.push_back(shape.call);
        return out;
    }();
    return calls;
}

std::vector<int> const& of_descriptors() {
    static std::vector<int> const calls{
        SYS_read,   SYS_write,    SYS_readv,   SYS_writev,   SYS_close,      SYS_dup,    SYS_fcntl,
        SYS_sendto, SYS_recvfrom, SYS_recvmsg, SYS_shutdown, SYS_getsockopt, SYS_pread64};
    return calls;
}

bool answer(siginfo_t const& facts, void* context, bool is_refused) {
    auto& machine = *static_cast<ucontext_t*>(context);
    auto call = registers_of(machine);
    call.number = facts.si_syscall;
    for (auto const& shape : shapes) {
        if (shape.call != call.number) continue;
        look_at(shape, call);
        auto const* a = call.arguments;
        int before = errno;
        auto result = syscall(call.number, a[0], a[1], a[2], a[3], a[4], cookie);
        set_result(machine, result < 0 ? -errno : result);
        errno = before;
        return true;
    }
    auto* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, facts.si_syscall);
    auto const& list = of_descriptors();
    if (std::find(list.begin(), list.end(), call.number) != list.end())
        note("it would %s a descriptor that is not its own%s", name ? name : "use", "");
    else if (is_refused)
        note("it makes the system call %s, which the sandbox refuses%s", name ? name : "?", "");
    else
        return false;
    set_result(machine, -EPERM);
    return true;
}

std::vector<std::string> noted() {
    std::vector<std::string> out;
    auto count = std::min<std::size_t>(note_count.load(), notes_most);
    for (; notes_read < count; ++notes_read) out.emplace_back(notes[notes_read]);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

}  // namespace parley::worker::watch
