#include "places.hpp"

#include "guards.hpp"
#include "layers.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

// <sys/mount.h> and <linux/mount.h> do not go together; these are the calls of the former.
extern "C" int mount(char const*, char const*, char const*, unsigned long, void const*);
extern "C" int umount2(char const*, int);

namespace parley::worker {

namespace {

constexpr int detach = 2;  // MNT_DETACH

// ---- Namespaces ---------------------------------------------------------------------------------

bool write_file(char const* path, std::string_view text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    close(file);
    return written;
}

// The outer process: waits for the inner one, ends it when the host says so or is gone, and ends
// the same way. The kernel kills the rest of the pid namespace before waitpid answers, so nothing
// of a call is alive when this process is over.
[[noreturn]] void stand_guard(pid_t inner, int link) {
    close(4);
    int handle = static_cast<int>(syscall(SYS_pidfd_open, inner, 0));
    pollfd watched[] = {{handle, POLLIN, 0}, {link, 0, 0}};
    while (poll(watched, 2, -1) < 0 && errno == EINTR) {
    }
    if (!(watched[0].revents & POLLIN)) kill(inner, SIGKILL);
    int status = 0;
    while (waitpid(inner, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        kill(getpid(), WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// ---- Mounts -------------------------------------------------------------------------------------

// A piece of the tree, held by a descriptor and no longer by its place.
int hold(std::string const& path) {
    return static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                                    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
}

bool restrict_mount(int held, std::uint64_t attributes) {
    mount_attr change{};
    change.attr_set = attributes;
    return syscall(SYS_mount_setattr, held, "", AT_EMPTY_PATH | AT_RECURSIVE, &change,
                   sizeof change) == 0;
}

bool place(int held, std::string const& path) {
    return syscall(SYS_move_mount, held, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

bool make_folders(std::string const& path) {
    for (std::size_t slash = 1; slash != std::string::npos;) {
        slash = path.find('/', slash);
        auto part = path.substr(0, slash);
        if (mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
            struct stat facts {};
            if (stat(part.c_str(), &facts) != 0) return false;
        }
        if (slash != std::string::npos) ++slash;
    }
    return true;
}

bool make_file(std::string const& path) {
    int file = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (file >= 0) close(file);
    return file >= 0;
}

bool exists(std::string const& path) {
    struct stat facts {};
    return lstat(path.c_str(), &facts) == 0;
}

bool tmpfs(std::string const& path, char const* options) {
    return mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

bool make_read_only(std::string const& path, unsigned long more = 0) {
    return mount(nullptr, path.c_str(), nullptr,
                 MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | more, nullptr) == 0;
}

struct Held {
    std::string path;
    int tree;
};

bool hold_folders(Setup const& setup, std::vector<Held>& held, Profile& profile) {
    for (auto const& folder : setup.folders) {
        int tree = hold(folder.path);
        auto attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                          (folder.writable ? 0 : MOUNT_ATTR_RDONLY) |
                          (setup.sandbox == Sandbox::command ? 0 : MOUNT_ATTR_NOEXEC);
        if (tree < 0 || !restrict_mount(tree, static_cast<std::uint64_t>(attributes)))
            return fail(profile, "the granted folder " + folder.path + " cannot be bound");
        held.push_back({folder.path, tree});
    }
    // Outer folders first, or they would cover the inner ones.
    std::sort(held.begin(), held.end(),
              [](auto const& a, auto const& b) { return a.path.size() < b.path.size(); });
    return true;
}

bool place_all(std::vector<Held> const& held, std::string const& root, Profile& profile) {
    for (auto const& [path, tree] : held) {
        if (!make_folders(root + path) || !place(tree, root + path))
            return fail(profile, "the granted folder " + path + " cannot be placed");
        close(tree);
    }
    return true;
}

constexpr char const* devices[] = {"null", "zero", "full", "random", "urandom", "tty"};

std::vector<Held> hold_devices() {
    std::vector<Held> held;
    for (auto const* name : devices)
        if (int tree = hold(std::string("/dev/") + name); tree >= 0) held.push_back({name, tree});
    return held;
}

void place_devices(std::vector<Held> const& held, std::string const& folder) {
    for (auto const& [name, tree] : held) {
        if (make_file(folder + name)) place(tree, folder + name);
        close(tree);
    }
}

// ---- A root of its own --------------------------------------------------------------------------

bool copy_plugin(int plugin, std::string const& path) {
    int file = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0555);
    if (file < 0) return false;
    off_t offset = 0;
    ssize_t n;
    while ((n = sendfile(file, plugin, &offset, 1u << 20)) > 0) {
    }
    return close(file) == 0 && n == 0;
}

// Libraries, as they lie: a link stays a link, a folder is bound.
bool place_libraries(std::string const& root, Profile& profile) {
    for (std::string path : {"/usr", "/lib", "/lib64"}) {
        char target[256];
        auto length = readlink(path.c_str(), target, sizeof target - 1);
        if (length > 0) {
            target[length] = 0;
            if (symlink(target, (root + path).c_str()) != 0) return fail(profile, path);
            continue;
        }
        if (!exists(path)) continue;
        int tree = hold(path);
        if (tree < 0 ||
            !restrict_mount(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) ||
            mkdir((root + path).c_str(), 0755) != 0 || !place(tree, root + path))
            return fail(profile, path + " cannot be bound");
        close(tree);
    }
    return true;
}

// No /proc: the plugin is loaded from a file of the new root, which then cannot be written.
std::string arrange_root(Setup const& setup, int plugin, Profile& profile) {
    std::string const root = "/tmp", file = "/plugin.so";
    std::vector<Held> held;
    if (!hold_folders(setup, held, profile)) return {};
    auto device_trees = hold_devices();
    if (!tmpfs(root, "mode=0755,size=80m,nr_inodes=1k")) return fail(profile, "a new root"), "";
    if (!place_libraries(root, profile)) return {};
    if (!copy_plugin(plugin, root + file)) return fail(profile, "the plugin's copy"), "";
    mkdir((root + "/dev").c_str(), 0755);
    place_devices(device_trees, root + "/dev/");
    if (!place_all(held, root, profile)) return {};
    if (chdir(root.c_str()) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
        umount2(".", detach) != 0 || chdir("/") != 0)
        return fail(profile, "the new root cannot be entered"), "";
    if (!make_read_only("/", MS_NODEV)) return fail(profile, "the new root stays writable"), "";
    profile.layers.push_back("own-root");
    return file;
}

// ---- The system without the house ---------------------------------------------------------------

// Whoever runs as user 0 outside owns the block devices and the kernel's knobs by mere ownership,
// capability or not: so a command gets a /dev and a /proc/sys that hold nothing to hurt with.
bool make_devices(std::vector<Held> const& trees, Profile& profile) {
    if (!tmpfs("/dev", "mode=0755,size=64k,nr_inodes=64")) return fail(profile, "/dev");
    place_devices(trees, "/dev/");
    mkdir("/dev/pts", 0755);
    mkdir("/dev/shm", 01777);
    bool linked = symlink("pts/ptmx", "/dev/ptmx") == 0 &&
                  symlink("/proc/self/fd", "/dev/fd") == 0 &&
                  symlink("/proc/self/fd/0", "/dev/stdin") == 0 &&
                  symlink("/proc/self/fd/1", "/dev/stdout") == 0 &&
                  symlink("/proc/self/fd/2", "/dev/stderr") == 0;
    // A terminal of its own is a comfort that not every kernel grants.
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666");
    if (!linked || !tmpfs("/dev/shm", "mode=1777,size=64m") || !make_read_only("/dev"))
        return fail(profile, "/dev");
    return true;
}

bool make_proc(Profile& profile) {
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
        return fail(profile, "a fresh /proc cannot be mounted");
    for (std::string path :
         {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi"}) {
        if (!exists(path)) continue;
        if (mount(path.c_str(), path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0 ||
            !make_read_only(path, MS_NODEV | MS_NOEXEC))
            return fail(profile, path);
    }
    mount_attr change{};
    change.attr_set = MOUNT_ATTR_RDONLY;
    if (exists("/sys") &&
        syscall(SYS_mount_setattr, AT_FDCWD, "/sys", AT_RECURSIVE, &change, sizeof change) != 0)
        return fail(profile, "/sys stays writable");
    return true;
}

// Covers with an empty folder.
bool cover(std::string const& path, char const* options, Profile& profile) {
    // Below another cover it is gone already; it gets a place again so that nothing can take it.
    if (!make_folders(path) || !tmpfs(path, options))
        return fail(profile, path + " cannot be hidden");
    return true;
}

std::string arrange_command(Setup const& setup, Profile& profile) {
    std::vector<Held> held;
    if (!hold_folders(setup, held, profile)) return {};
    auto device_trees = hold_devices();
    int names = hold("/run/systemd/resolve");  // where /etc/resolv.conf may point

    constexpr char const* empty = "mode=0755,size=64k,nr_inodes=256";
    std::vector<std::string> hidden;
    for (auto const& path : setup.hidden)
        if (exists(path)) hidden.push_back(path);
    std::sort(hidden.begin(), hidden.end(),
              [](auto const& a, auto const& b) { return a.size() < b.size(); });
    if (!cover("/tmp", "mode=1777,size=512m", profile)) return {};
    // /run holds the sockets of those who would run a command on the outside for the asking.
    if (exists("/run")) hidden.insert(hidden.begin(), "/run");
    for (auto const& path : hidden)
        if (!cover(path, empty, profile)) return {};
    if (names >= 0 && make_folders("/run/systemd/resolve")) place(names, "/run/systemd/resolve");
    if (!make_devices(device_trees, profile) || !place_all(held, "", profile)) return {};
    // Read-only last, since the granted folders need their mount points.
    for (auto const& path : hidden)
        if (!make_read_only(path, MS_NODEV)) return fail(profile, path + " stays writable"), "";
    if (!make_proc(profile)) return {};
    profile.layers.push_back("hidden-home");
    // The working folder may lie below a cover.
    if (chdir("/") != 0) return fail(profile, "/"), "";
    return "/proc/self/fd/4";
}

}  // namespace

void enter_namespaces(Setup const& setup, int link, Profile& profile) {
    if (!holds("namespaces")) return profile.layers.push_back("namespaces");
    // A command keeps the network; a plugin's own worker has none.
    bool has_network = setup.sandbox == Sandbox::command;
    auto spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
    if (!has_network) spaces |= CLONE_NEWNET | CLONE_NEWUTS;
    auto user = std::to_string(getuid()), group = std::to_string(getgid());
    if (unshare(spaces) != 0) {
        fail(profile, "the kernel gives this user no user namespaces");
        return;
    }
    if (!write_file("/proc/self/setgroups", "deny") ||
        !write_file("/proc/self/uid_map", user + ' ' + user + " 1") ||
        !write_file("/proc/self/gid_map", group + ' ' + group + " 1")) {
        fail(profile, "the user namespace could not be mapped");
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto inner = fork();
    if (inner < 0) {
        fail(profile, "no process for the pid namespace");
        return;
    }
    if (inner > 0) stand_guard(inner, link);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    profile.layers.push_back(has_network ? "namespaces:user,mount,pid,ipc"
                                         : "namespaces:user,mount,pid,ipc,network,uts");
}

std::string arrange(Setup const& setup, int plugin, Profile& profile) {
    if (!holds("own-root") || !holds("namespaces"))
        return profile.layers.push_back("own-root"), "/proc/self/fd/" + std::to_string(plugin);
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        fail(profile, "mounts cannot be made private");
        return {};
    }
    // The mode of every folder made here is meant as written.
    auto before = umask(0);
    auto path = setup.sandbox == Sandbox::strict ? arrange_root(setup, plugin, profile)
                                                 : arrange_command(setup, profile);
    umask(before);
    return path;
}

}  // namespace parley::worker
