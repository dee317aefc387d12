// Accepted files are kept: the present one and the one before, in plugins/kept/ID/HASH.so. So an
// upgrade that disappoints is taken back by one command.
#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/file_view.hpp"
#include "plugin/lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace parley {

namespace {

namespace fs = std::filesystem;

Error failed(fs::path const& path) {
    return Error(Fault::unavailable, path.string() + ": " + std::strerror(errno));
}

fs::path kept_path(fs::path const& home, PluginId const& id, std::string const& hash) {
    return home / "plugins" / "kept" / id.text / (hash + ".so");
}

Result<> make_private(fs::path const& folder) {
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failed(folder);
    return ok();
}

Result<> keep(fs::path const& home, PluginFile const& file) {
    auto path = kept_path(home, file.manifest().id, file.hash());
    MUST(make_private(home / "plugins"));
    MUST(make_private(home / "plugins" / "kept"));
    MUST(make_private(path.parent_path()));
    struct stat facts {};
    if (fstat(file.descriptor(), &facts) != 0) return failed(path);
    FileView view(file.descriptor(), static_cast<std::size_t>(facts.st_size));
    if (!view) return failed(path);
    return replace_file(path, view.bytes(), 0600);
}

void forget_others(fs::path const& home, PluginId const& id, LockEntry const& entry) {
    std::error_code error;
    auto folder = kept_path(home, id, "").parent_path();
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        auto stem = it->path().stem().string();
        std::error_code ignored;
        if (stem != entry.hash && stem != entry.previous_hash) fs::remove(it->path(), ignored);
    }
}

}  // namespace

Result<> replace_file(fs::path const& path, std::string_view bytes, mode_t mode) {
    auto fresh = path.string() + ".new";
    int file = open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode);
    if (file < 0) return failed(fresh);
    bool good = true;
    while (good && !bytes.empty()) {
        auto written = write(file, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        good = written > 0;
        if (good) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    good = good && fsync(file) == 0;
    if (close(file) != 0 || !good || rename(fresh.c_str(), path.c_str()) != 0) return failed(fresh);
    int folder = open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fsync(folder) != 0) good = false;
    if (folder >= 0) close(folder);
    return good ? ok() : Result<>(failed(path));
}

Result<> accept(fs::path const& home, PluginLock& lock, PluginFile const& file) {
    auto const& id = file.manifest().id;
    MUST(keep(home, file));
    auto& entry = lock[id];
    if (!entry.hash.empty() && entry.hash != file.hash()) {
        entry.previous_hash = entry.hash;
        entry.previous_rights = entry.rights;
    }
    entry.hash = file.hash();
    entry.rights = rights_of(file.manifest());
    MUST(write_lock(home, lock));
    forget_others(home, id, entry);
    return ok();
}

Result<> roll_back(fs::path const& home, PluginLock& lock, PluginId const& id,
                   fs::path const& path) {
    auto found = lock.find(id);
    if (found == lock.end() || found->second.previous_hash.empty())
        return Error(Fault::not_found, "no earlier file of " + id.text + " was accepted");
    auto kept = PluginFile::read(kept_path(home, id, found->second.previous_hash));
    if (!kept) return Error(Fault::not_found, "the earlier file: " + kept.error().what);
    if ((*kept)->hash() != found->second.previous_hash)
        return Error(Fault::denied, "the kept file is not the one that was accepted");
    struct stat facts {};
    if (fstat((*kept)->descriptor(), &facts) != 0) return failed(path);
    FileView view((*kept)->descriptor(), static_cast<std::size_t>(facts.st_size));
    if (!view) return failed(path);
    // The file first: should the lock not follow, it is refused, and this can be said again.
    MUST(replace_file(path, view.bytes(), 0600));
    return accept(home, lock, **kept);
}

std::string unsigned_reason(fs::path const& path, PluginFile const& file, std::string const& key) {
    auto beside = path.string() + ".sig";
    std::ifstream in(beside, std::ios::binary);
    // One byte more than a signature has shows one that is too long.
    std::string signature(limits::signature_bytes + 1, '\0');
    in.read(signature.data(), static_cast<std::streamsize>(signature.size()));
    signature.resize(static_cast<std::size_t>(in.gcount()));
    if (signature.empty())
        return "it is to be signed, and there is no signature in " +
               fs::path(beside).filename().string();
    struct stat facts {};
    if (fstat(file.descriptor(), &facts) != 0) return "the file cannot be read";
    FileView view(file.descriptor(), static_cast<std::size_t>(facts.st_size));
    auto raw_key = from_hex(key);
    if (!view || !raw_key || !is_signed(view.bytes(), signature, *raw_key))
        return "its signature is not that of the key in signed_by";
    return {};
}

}  // namespace parley
