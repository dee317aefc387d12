#include "profile.hpp"

#include "guards.hpp"
#include "layers.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace parley::worker {

bool fail(Profile& profile, std::string const& what) {
    if (profile.failure.empty()) profile.failure = what + ": " + std::strerror(errno);
    return false;
}

namespace {

// ---- Limits -------------------------------------------------------------------------------------

bool limit(int resource, rlim_t most) {
    rlimit wanted{most, most}, now{};
    getrlimit(static_cast<__rlimit_resource>(resource), &now);
    if (now.rlim_max != RLIM_INFINITY && wanted.rlim_max > now.rlim_max)
        wanted.rlim_max = wanted.rlim_cur = now.rlim_max;
    return setrlimit(static_cast<__rlimit_resource>(resource), &wanted) == 0;
}

bool set_limits(Setup const& setup, Profile& profile) {
    bool set = holds("limits") && limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, setup.open_files);
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // their shadow is address space
    set = set && limit(RLIMIT_AS, static_cast<rlim_t>(setup.memory_mb) << 20);
#endif
    // Counted within the user namespace of the call, so other work of this user does not matter.
    if (setup.processes > 0) set = set && limit(RLIMIT_NPROC, setup.processes);
    if (!set && holds("limits")) return fail(profile, "limits could not be set");
    profile.layers.push_back("limits");
    return true;
}

// ---- Capabilities -------------------------------------------------------------------------------

// After this not even user 0 of a namespace can mount, unmount or trace: an exec gives nothing
// back.
bool drop_capabilities(Setup const& setup, Profile& profile) {
    bool bounded = true;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    constexpr unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    bounded = prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) == 0 && bounded;
    for (int capability = 0; capability < 64; ++capability) {
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0) break;
        bounded = prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0 && bounded;
    }
    // An ordinary user outside a namespace may not do the above and has nothing to drop.
    if (!bounded && setup.sandbox != Sandbox::reduced)
        return fail(profile, "capabilities could not be dropped");
    if (!holds("capabilities")) return profile.layers.push_back("no-capabilities"), true;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2]{};
    if (syscall(SYS_capset, &header, none) != 0)
        return fail(profile, "capabilities could not be cleared");
    profile.layers.push_back("no-capabilities");
    return true;
}

// ---- Probes -------------------------------------------------------------------------------------

void must_fail(Profile& profile, char const* act, long outcome) {
    if (outcome < 0) {
        profile.layers.push_back(std::string("refused:") + act);
    } else if (profile.failure.empty()) {
        profile.failure = std::string("a forbidden act succeeded: ") + act;
    }
}

}  // namespace

void begin_life() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    setsid();
    umask(077);
    // A command that the plugin starts must not inherit the link or the file.
    fcntl(3, F_SETFD, FD_CLOEXEC);
    fcntl(4, F_SETFD, FD_CLOEXEC);
    close_range(5, ~0u, 0);
}

void confine(Setup const& setup, Profile& profile) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        fail(profile, "no_new_privs");
        return;
    }
    profile.layers.push_back("no-new-privs");
    if (!set_limits(setup, profile) || !drop_capabilities(setup, profile)) return;
    if (holds("not-dumpable") && prctl(PR_SET_DUMPABLE, 0) != 0) {
        fail(profile, "not dumpable");
        return;
    }
    if (restrict_files(setup, profile)) filter_calls(setup, profile);
}

void probe(Setup const& setup, Profile& profile) {
    if (setup.sandbox == Sandbox::command) {
        // Were the filter gone, the missing capability would still say no; either is enough.
        for (auto const& path : setup.hidden)
            must_fail(profile, "unmount", umount2(path.c_str(), MNT_DETACH));
        must_fail(profile, "remount", mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr));
    } else {
        must_fail(profile, "socket", socket(AF_INET, SOCK_STREAM, 0));
        auto child = fork();
        if (child == 0) _exit(0);
        must_fail(profile, "process", child);
        must_fail(profile, "file", open("/etc/passwd", O_RDONLY | O_CLOEXEC));
        must_fail(profile, "new-file", open("/parley-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    if (setup.sandbox != Sandbox::reduced)
        must_fail(profile, "host-processes", getpid() == 1 ? -1 : 0);
    if (setup.sandbox == Sandbox::command) {
        char own[16] = {};
        auto length = readlink("/proc/self", own, sizeof own - 1);
        must_fail(profile, "host-proc", length == 1 && own[0] == '1' ? -1 : 0);
    }
    if (!setup.probe.empty())
        must_fail(profile, "key", open(setup.probe.c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace parley::worker
