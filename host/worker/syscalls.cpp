#include "guards.hpp"
#include "layers.hpp"
#ifdef PARLEY_WATCH
#include "torment/watch.hpp"
#endif

#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace parley::worker {

namespace {

// ---- Lists --------------------------------------------------------------------------------------
// clang-format off

// What libc, libstdc++ and a plugin that computes, sleeps and speaks on its link need.
constexpr int allowed[] = {
    // bytes and descriptors that are there already
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup),
    SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(fcntl), SCMP_SYS(pipe), SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
    // files, as far as mounts and Landlock let them
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(lstat),
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(getdents64),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(chdir),
    SCMP_SYS(fchdir), SCMP_SYS(umask), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir),
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink),
    SCMP_SYS(symlinkat), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
    SCMP_SYS(truncate), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(flock),
    SCMP_SYS(utimensat), SCMP_SYS(futimesat), SCMP_SYS(utimes), SCMP_SYS(utime),
    SCMP_SYS(copy_file_range), SCMP_SYS(sendfile),
    // memory
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
    SCMP_SYS(madvise), SCMP_SYS(msync), SCMP_SYS(mincore), SCMP_SYS(mlock), SCMP_SYS(munlock),
    // threads, waiting and time
    SCMP_SYS(futex), SCMP_SYS(futex_waitv), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list),
    SCMP_SYS(set_tid_address), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(arch_prctl),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler), SCMP_SYS(getcpu), SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(alarm), SCMP_SYS(setitimer),
    SCMP_SYS(getitimer), SCMP_SYS(pause), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    // signals to itself
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack),
    // who and where am I
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getresuid), SCMP_SYS(getresgid),
    SCMP_SYS(getgroups), SCMP_SYS(getpgrp), SCMP_SYS(getpgid), SCMP_SYS(getsid),
    SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
    SCMP_SYS(getrandom), SCMP_SYS(capget),
};

// What a library may try and take a no for. All else ends the worker, with the call's name.
constexpr int refused[] = {
    SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg), SCMP_SYS(setsockopt), SCMP_SYS(execve), SCMP_SYS(execveat),
    SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(setpriority), SCMP_SYS(getpriority),
    SCMP_SYS(ioprio_set), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(chown), SCMP_SYS(fchown),
    SCMP_SYS(lchown), SCMP_SYS(fchownat), SCMP_SYS(setuid), SCMP_SYS(setgid),
    SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setrlimit), SCMP_SYS(setsid),
    SCMP_SYS(setpgid), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setscheduler),
    SCMP_SYS(sched_setparam), SCMP_SYS(memfd_create), SCMP_SYS(mlockall), SCMP_SYS(mlock2),
    SCMP_SYS(inotify_init1), SCMP_SYS(getxattr), SCMP_SYS(lgetxattr), SCMP_SYS(fgetxattr),
    SCMP_SYS(listxattr), SCMP_SYS(flistxattr), SCMP_SYS(setxattr), SCMP_SYS(fsetxattr),
    SCMP_SYS(shmget), SCMP_SYS(shmat), SCMP_SYS(shmctl), SCMP_SYS(mq_open), SCMP_SYS(semget),
    SCMP_SYS(msgget), SCMP_SYS(set_mempolicy), SCMP_SYS(get_mempolicy), SCMP_SYS(mbind),
};

// For commands, which are programs of all kinds: what breaks out of things.
constexpr int dangerous[] = {
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp),
    SCMP_SYS(bpf), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open),
    SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount),
    SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
    SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount),
    SCMP_SYS(fspick), SCMP_SYS(mount_setattr), SCMP_SYS(unshare), SCMP_SYS(setns),
    SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(init_module),
    SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at), SCMP_SYS(acct), SCMP_SYS(swapon), SCMP_SYS(swapoff),
    SCMP_SYS(reboot), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(quotactl),
    SCMP_SYS(fanotify_init), SCMP_SYS(lookup_dcookie), SCMP_SYS(move_pages),
    SCMP_SYS(migrate_pages), SCMP_SYS(pidfd_getfd), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(syslog),
    SCMP_SYS(vhangup), SCMP_SYS(personality),
};

// clang-format on
// ---- The filter ---------------------------------------------------------------------------------

constexpr std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);

// In the program that checks plugins, what is refused is trapped instead, noted, and refused then.
#ifdef PARLEY_WATCH
bool is_watching() {
    return watch::is_on();
}
#else
constexpr bool is_watching() {
    return false;
}
#endif

class Filter {
public:
    // `otherwise`: what becomes of a call that no rule names.
    explicit Filter(std::uint32_t otherwise)
        : context_(seccomp_init(otherwise)), good_(context_ != nullptr) {}
    ~Filter() {
        if (context_) seccomp_release(context_);
    }
    Filter(Filter const&) = delete;

    void add(std::uint32_t action, int call) { keep(seccomp_rule_add(context_, action, call, 0)); }
    void add(std::uint32_t action, int call, scmp_arg_cmp comparison) {
        keep(seccomp_rule_add(context_, action, call, 1, comparison));
    }
    // Allowed for the one argument, an error for all others.
    void only(int call, scmp_arg_cmp is_it, scmp_arg_cmp is_not) {
        add(SCMP_ACT_ALLOW, call, is_it);
        if (!is_watching()) add(refuse, call, is_not);
    }
    // Allowed unless the first argument lies in this range.
    void outside(int call, scmp_datum_t first, scmp_datum_t last) {
        add(SCMP_ACT_ALLOW, call, SCMP_A0(SCMP_CMP_LT, first));
        add(SCMP_ACT_ALLOW, call, SCMP_A0(SCMP_CMP_GT, last));
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

#ifdef PARLEY_WATCH
bool contains(std::vector<int> const& list, int call) {
    return std::find(list.begin(), list.end(), call) != list.end();
}

// What no rule names is trapped.
void allow_watched(Filter& filter) {
    for (int call : allowed) {
        if (contains(watch::of_files(), call))
            filter.add(SCMP_ACT_ALLOW, call, SCMP_A5(SCMP_CMP_EQ, watch::cookie));
        else if (contains(watch::of_descriptors(), call))
            filter.outside(call, watch::first_own, watch::last_own);
        else
            filter.add(SCMP_ACT_ALLOW, call);
    }
}

// Are there arguments for which the filter has an error?
bool is_refused(int call) {
    for (int one : {SCMP_SYS(clone), SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(prlimit64),
                    SCMP_SYS(rt_sigaction), SCMP_SYS(ioctl)})
        if (one == call) return true;
    return std::find(std::begin(refused), std::end(refused), call) != std::end(refused);
}
#endif

void take_lists(Filter& filter) {
#ifdef PARLEY_WATCH
    if (is_watching()) return allow_watched(filter);
#endif
    for (int call : allowed) filter.add(SCMP_ACT_ALLOW, call);
    for (int call : refused) filter.add(refuse, call);
}

void filter_plugin(Filter& filter) {
    auto self = static_cast<scmp_datum_t>(getpid());
    // Threads are welcome, processes are not. clone3 hides its flags from a filter; libc then
    // falls back to clone.
    filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    filter.only(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD),
                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    for (int call : {SCMP_SYS(kill), SCMP_SYS(tgkill)})
        filter.only(call, SCMP_A0(SCMP_CMP_EQ, self), SCMP_A0(SCMP_CMP_NE, self));
    // Limits of another process, the host's for one.
    filter.only(SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A0(SCMP_CMP_NE, 0));
    // The name of the call that ended it is the author's only clue: nobody takes the handler away.
    filter.only(SCMP_SYS(rt_sigaction), SCMP_A0(SCMP_CMP_NE, SIGSYS), SCMP_A0(SCMP_CMP_EQ, SIGSYS));
    // Whether standard output is a terminal is all that libc wants of ioctl, and a name of prctl.
    filter.only(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS), SCMP_A1(SCMP_CMP_NE, TCGETS));
    for (auto option : {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA})
        filter.add(SCMP_ACT_ALLOW, SCMP_SYS(prctl),
                   SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option)));
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
    filter.add(refuse, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
}

// ---- A death with a name ------------------------------------------------------------------------

// Says which call it was, then makes it again: the handler is gone by now, so that is the end.
void name_the_call(int, siginfo_t* facts, [[maybe_unused]] void* context) {
#ifdef PARLEY_WATCH
    if (is_watching() && watch::answer(*facts, context, is_refused(facts->si_syscall))) return;
#endif
    char line[96];
    auto* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, facts->si_syscall);
    auto size = std::snprintf(line, sizeof line, "forbidden system call: %s (%d)\n",
                              name ? name : "unknown", facts->si_syscall);
    [[maybe_unused]] auto said = write(2, line, static_cast<std::size_t>(size));
    if (!is_watching()) syscall(facts->si_syscall, 0, 0, 0, 0, 0, 0);
    _exit(1);
}

bool watch_forbidden_calls() {
    struct sigaction action {};
    action.sa_sigaction = name_the_call;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (!is_watching()) action.sa_flags |= static_cast<int>(SA_RESETHAND);
    return sigaction(SIGSYS, &action, nullptr) == 0;
}

}  // namespace

bool filter_calls(Setup const& setup, Profile& profile) {
    bool is_command = setup.sandbox == Sandbox::command;
    Filter filter(is_command ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
    if (is_command) {
        filter_command(filter);
    } else {
        take_lists(filter);
        filter_plugin(filter);
    }
    if (!watch_forbidden_calls() || (holds("filter") && !filter.load()))
        return fail(profile, "the system call filter could not be loaded");
    profile.layers.push_back(is_command ? "seccomp-command" : "seccomp-allowlist");
    return true;
}

}  // namespace parley::worker
