#include "profile.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <sched.h>
#include <seccomp.h>
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

namespace {

bool fail(Profile& profile, std::string what) {
    if (profile.failure.empty()) profile.failure = what + ": " + std::strerror(errno);
    return false;
}

// ---- Limits -------------------------------------------------------------------------------------

bool limit(int resource, rlim_t most) {
    rlimit wanted{most, most}, now{};
    getrlimit(static_cast<__rlimit_resource>(resource), &now);
    if (now.rlim_max != RLIM_INFINITY && wanted.rlim_max > now.rlim_max)
        wanted.rlim_max = wanted.rlim_cur = now.rlim_max;
    return setrlimit(static_cast<__rlimit_resource>(resource), &wanted) == 0;
}

bool set_limits(Setup const& setup, Profile& profile) {
    bool set = limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, setup.open_files);
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // their shadow is address space
    set = set && limit(RLIMIT_AS, static_cast<rlim_t>(setup.memory_mb) << 20);
#endif
    // Counted within the user namespace of the call, so other work of this user does not matter.
    if (setup.processes > 0) set = set && limit(RLIMIT_NPROC, setup.processes);
    if (!set) return fail(profile, "limits could not be set");
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
    if (!bounded && setup.sandbox != Sandbox::plain)
        return fail(profile, "capabilities could not be dropped");
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2]{};
    if (syscall(SYS_capset, &header, none) != 0)
        return fail(profile, "capabilities could not be cleared");
    profile.layers.push_back("no-capabilities");
    return true;
}

// ---- Landlock -----------------------------------------------------------------------------------

// A plain worker has no business with files: it may read what the loader and libc need, no more.
// A kernel without Landlock leaves this layer out of the report; the strict profile will refuse.
bool landlock(Setup const& setup, Profile& profile) {
    if (setup.sandbox != Sandbox::plain) return true;
    auto abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return true;
    // Rights by ABI: 13 first, then refer, truncate and (5) device ioctl.
    unsigned rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
    struct {
        std::uint64_t files, network, scoped;
    } handled{(1ull << rights) - 1, abi >= 4 ? 3ull : 0, abi >= 6 ? 3ull : 0};
    auto size = abi >= 6 ? 24u : abi >= 4 ? 16u : 8u;
    int rules = static_cast<int>(syscall(SYS_landlock_create_ruleset, &handled, size, 0));
    if (rules < 0) return fail(profile, "Landlock refused");
    constexpr char const* readable[] = {
        "/usr",           "/lib",      "/lib64",       "/etc/ld.so.cache",
        "/etc/localtime", "/dev/null", "/dev/urandom", "/dev/random"};
    for (auto const* path : readable) {
        int place = open(path, O_PATH | O_CLOEXEC);
        if (place < 0) continue;
        struct stat facts {};
        fstat(place, &facts);
        std::uint64_t allowed = LANDLOCK_ACCESS_FS_READ_FILE;
        if (S_ISDIR(facts.st_mode)) allowed |= LANDLOCK_ACCESS_FS_READ_DIR;
        landlock_path_beneath_attr rule{allowed, place};
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        close(place);
    }
    bool held = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    if (!held) return fail(profile, "Landlock could not be applied");
    profile.layers.push_back("landlock-" + std::to_string(abi));
    return true;
}

// ---- System calls -------------------------------------------------------------------------------

// What no plugin and no command needs, and what breaks out of things.
constexpr int dangerous[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kcmp),
    SCMP_SYS(bpf),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(acct),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(reboot),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(quotactl),
    SCMP_SYS(fanotify_init),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(move_pages),
    SCMP_SYS(migrate_pages),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(syslog),
    SCMP_SYS(vhangup),
    SCMP_SYS(personality),
};

// The worker has no sockets but its link, starts no program and touches no other process.
constexpr int not_without_command[] = {
    SCMP_SYS(socket),          SCMP_SYS(socketpair),
    SCMP_SYS(connect),         SCMP_SYS(bind),
    SCMP_SYS(listen),          SCMP_SYS(accept),
    SCMP_SYS(accept4),         SCMP_SYS(execve),
    SCMP_SYS(execveat),        SCMP_SYS(fork),
    SCMP_SYS(vfork),           SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_open),      SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(process_madvise), SCMP_SYS(process_mrelease),
    SCMP_SYS(setpriority),     SCMP_SYS(ioprio_set),
    SCMP_SYS(mknod),           SCMP_SYS(mknodat),
    SCMP_SYS(setuid),          SCMP_SYS(setgid),
    SCMP_SYS(setresuid),       SCMP_SYS(setresgid),
};

class Filter {
public:
    Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)) { good_ = context_ != nullptr; }
    ~Filter() {
        if (context_) seccomp_release(context_);
    }
    void add(std::uint32_t action, int call) { keep(seccomp_rule_add(context_, action, call, 0)); }
    void add(std::uint32_t action, int call, scmp_arg_cmp comparison) {
        keep(seccomp_rule_add(context_, action, call, 1, comparison));
    }
    bool load() {
        if (!good_) return false;
        // The filter is searched as a tree: every system call of the plugin pays for it.
        seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        return seccomp_load(context_) == 0;
    }

private:
    void keep(int outcome) {
        if (outcome != 0) good_ = false, errno = -outcome;
    }
    scmp_filter_ctx context_;
    bool good_;
};

constexpr std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);

// The strict profile (an allowlist, all namespaces for every worker) will stand beside these two.
void filter_plugin(Filter& filter) {
    auto self = static_cast<scmp_datum_t>(getpid());
    for (int call : dangerous) filter.add(SCMP_ACT_KILL_PROCESS, call);
    for (int call : not_without_command) filter.add(refuse, call);
    // Threads are welcome, processes are not. clone3 hides its flags from a filter; libc then
    // falls back to clone.
    filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    filter.add(refuse, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    filter.add(refuse, SCMP_SYS(kill), SCMP_A0(SCMP_CMP_NE, self));
    filter.add(refuse, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_NE, self));
    // Limits of another process, the host's for one.
    filter.add(refuse, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_NE, 0));
}

void filter_command(Filter& filter) {
    for (int call : dangerous) filter.add(refuse, call);
    filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    for (std::uint64_t space : {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET,
                                CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP})
        filter.add(refuse, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, space, space));
    // Families above netlink are rare, and rich in kernel defects.
    filter.add(SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
    // Typing into a terminal that is not one's own.
    filter.add(refuse, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, 0x5412));
}

bool filter_calls(Setup const& setup, Profile& profile) {
    Filter filter;
    if (setup.sandbox == Sandbox::command)
        filter_command(filter);
    else
        filter_plugin(filter);
    if (!filter.load()) return fail(profile, "the system call filter could not be loaded");
    profile.layers.push_back(setup.sandbox == Sandbox::command ? "seccomp-command" : "seccomp");
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
    if (prctl(PR_SET_DUMPABLE, 0) != 0) {
        fail(profile, "not dumpable");
        return;
    }
    if (!landlock(setup, profile)) return;
    filter_calls(setup, profile);
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
    }
    if (setup.sandbox != Sandbox::plain)
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
