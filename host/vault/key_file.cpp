#include "vault/key_file.hpp"

#include "base/text.hpp"
#include "vault/sealed_file.hpp"

#include <sodium.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace parley {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t key_file_bytes_most = 2 * key_bytes + 8;

Error denied(fs::path const& path, std::string const& why) {
    return Error(Fault::denied, "the vault's key " + path.string() + ' ' + why);
}

// Is any folder above `path` the folder `home`, by what it is and not by its name?
bool lies_inside(fs::path const& path, fs::path const& home) {
    struct stat wanted {
    }, facts{};
    if (stat(home.c_str(), &wanted) != 0) return false;
    std::error_code ignored;
    for (auto folder = fs::weakly_canonical(path, ignored).parent_path();;
         folder = folder.parent_path()) {
        bool is_it = stat(folder.c_str(), &facts) == 0 && facts.st_dev == wanted.st_dev &&
                     facts.st_ino == wanted.st_ino;
        if (is_it || folder == folder.parent_path()) return is_it;
    }
}

Result<> check_facts(fs::path const& path, int file) {
    struct stat facts {};
    if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) ||
        (facts.st_uid != geteuid() && facts.st_uid != 0))
        return denied(path, "must be a plain file of your own");
    if (facts.st_mode & 077)
        return Error(Fault::denied,
                     "others can read the vault's key; mend it with: chmod 600 " + path.string());
    return ok();
}

Result<Secret> key_from(fs::path const& path, std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    auto bytes = from_hex(text);
    if (!bytes || bytes->size() != key_bytes) {
        if (bytes) wipe(*bytes);
        return Error(Fault::bad_input, path.string() + " does not hold a key of 64 hex digits");
    }
    auto key = Secret::from(*bytes);
    wipe(*bytes);
    return key;
}

}  // namespace

Result<Secret> read_key_file(fs::path const& path, fs::path const& home) {
    if (lies_inside(path, home))
        return denied(
            path, "must not lie inside the home; move it elsewhere and set PARLEY_VAULT_KEY_FILE");
    Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    if (file.number < 0 && errno == ELOOP)
        return denied(path, "must be a plain file of your own, not a link");
    if (file.number < 0 && errno == EACCES) return denied(path, "cannot be read by this user");
    if (file.number < 0)
        return Error(Fault::not_found, "the vault's key file " + path.string() +
                                           " is missing; set PARLEY_VAULT_KEY_FILE to where it is");
    MUST(check_facts(path, file.number));
    char text[key_file_bytes_most];
    auto size = read(file.number, text, sizeof text);
    auto key = key_from(path, {text, size > 0 ? static_cast<std::size_t>(size) : 0});
    sodium_memzero(text, sizeof text);
    return key;
}

Result<> make_key_file_unless_there(fs::path const& path) {
    struct stat facts {};
    // A link that leads nowhere is something as well.
    if (lstat(path.c_str(), &facts) == 0) return ok();
    std::error_code error;
    auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (!fs::exists(folder, error)) {
        fs::create_directories(folder, error);
        if (error) return Error(Fault::internal, folder.string() + ": " + error.message());
        fs::permissions(folder, fs::perms::owner_all, error);
    }
    auto key = random_bytes(key_bytes);
    auto text = hex(key);
    wipe(key);
    auto made = make_file(path, text, "\n");
    wipe(text);
    return made;
}

}  // namespace parley
