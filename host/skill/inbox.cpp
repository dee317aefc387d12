#include "skill/inbox.hpp"

#include "base/limits.hpp"
#include "skill/beneath.hpp"

#include <stdio.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace parley {

namespace {

constexpr mode_t file_mode = 0644, folder_mode = 0755;  // as the agent's own

Error failed(std::string const& what) {
    return Error(Fault::unavailable, what + ": " + std::strerror(errno));
}

Result<Descriptor> open_inbox(std::filesystem::path const& workspace) {
    Descriptor root(open(workspace.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (root.number < 0) return Error(Fault::not_found, "the agent has no workspace");
    if (mkdirat(root.number, "inbox", folder_mode) != 0 && errno != EEXIST)
        return failed("inbox cannot be made");
    Descriptor inbox(open_beneath(root.number, "inbox", O_RDONLY | O_DIRECTORY));
    if (inbox.number < 0) return failed("inbox is no folder of the workspace");
    return inbox;
}

// report.pdf, report-2.pdf, …
std::string numbered(std::string const& name, int number) {
    if (number == 1) return name;
    auto dot = name.rfind('.');
    if (dot == name.npos || dot == 0) dot = name.size();
    return name.substr(0, dot) + '-' + std::to_string(number) + name.substr(dot);
}

bool holds_the_same(int file, Blobs::Reader const& blob) {
    struct stat facts {};
    if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) ||
        static_cast<std::uint64_t>(facts.st_size) != blob.size())
        return false;
    std::string piece(limits::blob_read_bytes, '\0');
    for (std::uint64_t at = 0; at < blob.size();) {
        auto count = pread(file, piece.data(), piece.size(), static_cast<off_t>(at));
        if (count <= 0) return false;
        auto bytes = blob.read(at, static_cast<std::uint64_t>(count));
        if (!bytes || *bytes != std::string_view(piece).substr(0, static_cast<std::size_t>(count)))
            return false;
        at += static_cast<std::uint64_t>(count);
    }
    return true;
}

Result<> write_all(int file, Blobs::Reader const& blob) {
    for (std::uint64_t at = 0; at < blob.size();) {
        TRY(bytes, blob.read(at, limits::blob_read_bytes));
        for (std::string_view left = bytes; !left.empty();) {
            auto count = write(file, left.data(), left.size());
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return failed("it cannot be written");
            left.remove_prefix(static_cast<std::size_t>(count));
        }
        at += bytes.size();
    }
    return fdatasync(file) == 0 ? ok() : Result<>(failed("it cannot be synced"));
}

// A file of our own in the inbox, gone again unless it gets a name.
class Draft {
public:
    static Result<Draft> make(int inbox) {
        static unsigned number = 0;
        for (int tries = 0; tries < limits::inbox_same_names; ++tries) {
            auto name = ".parley-" + std::to_string(getpid()) + '-' + std::to_string(++number);
            int file = openat(inbox, name.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file_mode);
            if (file >= 0) return Draft(inbox, std::move(name), file);
            if (errno != EEXIST) break;
        }
        return failed("it cannot be written");
    }
    Draft(Draft&& other) noexcept
        : inbox_(other.inbox_),
          name_(std::exchange(other.name_, {})),
          file_(std::move(other.file_)) {}
    ~Draft() {
        if (!name_.empty()) unlinkat(inbox_, name_.c_str(), 0);
    }
    int file() const { return file_.number; }
    // The kernel sees to it that nothing is replaced; false: errno says why.
    bool call(std::string const& name) {
        if (renameat2(inbox_, name_.c_str(), inbox_, name.c_str(), RENAME_NOREPLACE) != 0)
            return false;
        name_.clear();
        return true;
    }

private:
    Draft(int inbox, std::string name, int file)
        : inbox_(inbox), name_(std::move(name)), file_(file) {}
    int inbox_;
    std::string name_;
    Descriptor file_;
};

}  // namespace

Result<std::string> put_in_inbox(std::filesystem::path const& workspace, std::string const& name,
                                 Blobs::Reader const& blob) {
    TRY(inbox, open_inbox(workspace));
    std::optional<Draft> draft;
    for (int number = 1; number <= limits::inbox_same_names; ++number) {
        auto candidate = numbered(name, number);
        struct stat taken {};
        if (fstatat(inbox.number, candidate.c_str(), &taken, AT_SYMLINK_NOFOLLOW) == 0) {
            Descriptor there(open_beneath(inbox.number, candidate, O_RDONLY | O_NOCTTY));
            if (there.number >= 0 && holds_the_same(there.number, blob))
                return "inbox/" + candidate;
            continue;
        }
        if (!draft) {
            TRY(made, Draft::make(inbox.number));
            MUST(write_all(made.file(), blob));
            draft.emplace(std::move(made));
        }
        if (draft->call(candidate)) {
            if (fsync(inbox.number) != 0) return failed("inbox cannot be synced");
            return "inbox/" + candidate;
        }
        if (errno != EEXIST) return failed("it cannot be given its name");
    }
    return Error(Fault::over_budget, "inbox holds too many files of that name");
}

}  // namespace parley
