#include "guards.hpp"
#include "layers.hpp"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace parley::worker {

namespace {

constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// Neither running programs nor making devices, sockets and pipes.
constexpr std::uint64_t writing = reading | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                  LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                  LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                  LANDLOCK_ACCESS_FS_MAKE_SYM;
constexpr std::uint64_t only_folders =
    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM;

// The kernel's own words for what came after the first ABI; Debian 12's headers end at some of
// them.
constexpr std::uint64_t refer = 1u << 13, truncate = 1u << 14;
constexpr std::uint64_t tcp_bind_and_connect = 3, abstract_sockets_and_signals = 3;

struct Ruleset {
    std::uint64_t files, network, scoped;
};

bool allow(int rules, char const* path, std::uint64_t rights, Ruleset const& handled) {
    int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0) return false;
    struct stat facts {};
    fstat(place, &facts);
    if (!S_ISDIR(facts.st_mode)) rights &= ~(only_folders | refer);
    landlock_path_beneath_attr rule{rights & handled.files, place};
    bool done = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    close(place);
    return done;
}

}  // namespace

bool restrict_files(Setup const& setup, Profile& profile) {
    // A command's files are its mounts' business: it is the system without the house.
    if (setup.sandbox == Sandbox::command) return true;
    auto abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return fail(profile, "this kernel has no Landlock");
    // Rights by ABI: 13 first, then refer, truncate and (5) device ioctl.
    unsigned rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
    Ruleset handled{(1ull << rights) - 1, abi >= 4 ? tcp_bind_and_connect : 0,
                    abi >= 6 ? abstract_sockets_and_signals : 0};
    auto size = abi >= 6 ? 24u : abi >= 4 ? 16u : 8u;
    int rules = static_cast<int>(syscall(SYS_landlock_create_ruleset, &handled, size, 0));
    if (rules < 0) return fail(profile, "Landlock refused");
    for (auto const* path : {"/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime",
                             "/plugin.so", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"})
        allow(rules, path, reading, handled);
    allow(rules, "/dev/null", reading | LANDLOCK_ACCESS_FS_WRITE_FILE, handled);
    bool placed = true;
    for (auto const& folder : setup.folders)
        placed &= allow(rules, folder.path.c_str(),
                        folder.writable ? writing | refer | truncate : reading, handled);
    bool held =
        placed && (!holds("landlock") || syscall(SYS_landlock_restrict_self, rules, 0) == 0);
    close(rules);
    if (!held) return fail(profile, "Landlock could not be applied");
    profile.layers.push_back("landlock-" + std::to_string(abi));
    return true;
}

}  // namespace parley::worker
