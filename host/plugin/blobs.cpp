#include "plugin/blobs.hpp"

#include "base/guard.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

namespace parley {

namespace fs = std::filesystem;

namespace {

constexpr char const* draft_prefix = ".draft-";

Error disk(std::string const& what) {
    return Error(Fault::unavailable, what + ": " + std::strerror(errno));
}

Error not_there(std::string_view id) {
    return Error(Fault::not_found, "there is no blob " + visible(clipped(id, 80)));
}

Result<> sync_folder(fs::path const& folder) {
    int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool synced = file >= 0 && fsync(file) == 0;
    if (file >= 0) close(file);
    return synced ? ok() : Result<>(disk("the folder of blobs cannot be synced"));
}

}  // namespace

std::string to_text(Blob const& blob) {
    JsonWriter out;
    out.begin('{').pair("blob", blob.id).pair("bytes", static_cast<std::int64_t>(blob.bytes));
    return out.end('}').take();
}

bool is_blob_id(std::string_view text) {
    return text.size() == 66 && text.starts_with("b-") &&
           text.find_first_not_of("0123456789abcdef", 2) == text.npos;
}

Result<std::unique_ptr<Blobs>> Blobs::open(Loop& loop, fs::path folder) {
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return disk(folder.string() + " cannot be made");
    std::unique_ptr<Blobs> blobs(new Blobs(loop, std::move(folder)));
    std::error_code error;
    for (fs::directory_iterator owners(blobs->folder_, error), end; !error && owners != end;
         owners.increment(error)) {
        if (!owners->is_directory(error)) continue;
        for (fs::directory_iterator files(owners->path(), error); !error && files != end;
             files.increment(error))
            if (files->path().filename().string().starts_with(draft_prefix))
                unlink(files->path().c_str());
    }
    if (error)
        return Error(Fault::unavailable,
                     blobs->folder_.string() + " cannot be read: " + error.message());
    blobs->sweep();
    return blobs;
}

void Blobs::sweep() {
    forget_old(fs::file_time_type::clock::now());
    timer_ = loop_.after(limits::blob_sweep_time, [this] { sweep(); });
}

// Drafts stay, and so does what they have been counted for.
void Blobs::forget_old(fs::file_time_type now) {
    kept_.clear();
    all_bytes_ = 0;
    std::error_code error;
    for (fs::directory_iterator owners(folder_, error), end; !error && owners != end;
         owners.increment(error))
        if (owners->is_directory(error)) count(owners->path(), now - limits::blob_time);
}

void Blobs::count(fs::path const& folder, fs::file_time_type oldest) {
    std::error_code error;
    auto& kept = kept_[folder.filename().string()];
    for (fs::directory_iterator files(folder, error), end; !error && files != end;
         files.increment(error)) {
        std::error_code gone;
        auto written = files->last_write_time(gone);
        auto bytes = files->file_size(gone);
        if (gone) continue;
        bool is_draft = files->path().filename().string().starts_with(draft_prefix);
        if (!is_draft && written < oldest) {
            unlink(files->path().c_str());
            continue;
        }
        kept.bytes += bytes;
        kept.files += 1;
        all_bytes_ += bytes;
    }
}

Result<fs::path> Blobs::folder_of(std::string const& owner) const {
    if (!is_name(owner)) return Error(Fault::bad_input, "the owner of a blob has no plain name");
    auto folder = folder_ / owner;
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return disk("the folder of blobs cannot be made");
    return folder;
}

bool Blobs::has_room(std::string const& owner, std::uint64_t bytes) const {
    auto found = kept_.find(owner);
    auto kept = found == kept_.end() ? Kept{} : found->second;
    return kept.files < limits::blob_instance_files &&
           kept.bytes + bytes <= limits::blob_instance_bytes &&
           all_bytes_ + bytes <= limits::blob_total_bytes;
}

// The oldest of that owner go, until the largest there can be has room. Drafts stay.
void Blobs::make_room(std::string const& owner) {
    struct Old {
        fs::file_time_type written;
        fs::path path;
        std::uint64_t bytes;
    };
    std::vector<Old> files;
    std::error_code error;
    for (fs::directory_iterator at(folder_ / owner, error), end; !error && at != end;
         at.increment(error)) {
        std::error_code gone;
        Old one{at->last_write_time(gone), at->path(), at->file_size(gone)};
        if (!gone && is_blob_id(one.path.filename().string())) files.push_back(std::move(one));
    }
    std::sort(files.begin(), files.end(),
              [](Old const& a, Old const& b) { return a.written < b.written; });
    auto& kept = kept_[owner];
    for (auto const& one : files) {
        if (has_room(owner, limits::blob_bytes)) return;
        if (unlink(one.path.c_str()) != 0) continue;
        kept.bytes -= one.bytes;
        kept.files -= 1;
        all_bytes_ -= one.bytes;
    }
}

Result<> Blobs::move(std::string const& from, std::string_view id, std::string const& to) {
    TRY(blob, open(from, id));
    if (from == to) return ok();
    TRY(folder, folder_of(to));
    auto bytes = blob->size();
    auto path = folder / id;
    struct stat before {};
    bool is_known = lstat(path.c_str(), &before) == 0;
    if (!has_room(to, bytes)) make_room(to);
    if (!has_room(to, bytes))
        return Error(Fault::over_budget, "the instance keeps too many bytes in blobs");
    if (rename((folder_ / from / id).c_str(), path.c_str()) != 0)
        return disk("a blob cannot be given away");
    kept_[from].bytes -= bytes;
    kept_[from].files -= 1;
    if (is_known) {
        all_bytes_ -= bytes;
    } else {
        kept_[to].bytes += bytes;
        kept_[to].files += 1;
    }
    MUST(sync_folder(folder));
    return sync_folder(folder_ / from);
}

Result<std::unique_ptr<Blobs::Draft>> Blobs::begin(std::string const& owner) {
    TRY(folder, folder_of(owner));
    if (!has_room(owner, 0)) make_room(owner);
    auto& kept = kept_[owner];
    if (kept.files >= limits::blob_instance_files)
        return Error(Fault::over_budget, "the instance keeps too many blobs");
    auto path = folder / (draft_prefix + std::to_string(next_++));
    int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return disk("a blob cannot be written");
    kept.files += 1;
    return std::unique_ptr<Draft>(new Draft(*this, owner, std::move(path), file));
}

Blobs::Draft::~Draft() {
    if (file_ < 0) return;
    close(file_);
    unlink(path_.c_str());
    auto& kept = blobs_.kept_[owner_];
    kept.bytes -= bytes_;
    kept.files -= 1;
    blobs_.all_bytes_ -= bytes_;
}

Result<> Blobs::Draft::add(std::string_view bytes) {
    auto& kept = blobs_.kept_[owner_];
    if (bytes_ + bytes.size() > limits::blob_bytes)
        return Error(Fault::over_budget, "a blob may not be larger than " +
                                             std::to_string(limits::blob_bytes >> 20) + " MiB");
    if (!blobs_.has_room(owner_, bytes.size())) blobs_.make_room(owner_);
    if (kept.bytes + bytes.size() > limits::blob_instance_bytes)
        return Error(Fault::over_budget, "the instance keeps too many bytes in blobs");
    if (blobs_.all_bytes_ + bytes.size() > limits::blob_total_bytes)
        return Error(Fault::over_budget, "all instances together keep too many bytes in blobs");
    digest_.raw(bytes);
    while (!bytes.empty()) {
        auto count = ::write(file_, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return disk("a blob cannot be written");
        auto written = static_cast<std::size_t>(count);
        bytes.remove_prefix(written);
        bytes_ += written;
        kept.bytes += written;
        blobs_.all_bytes_ += written;
    }
    // What is on its way to the disk already need not be waited for at the end.
    sync_file_range(file_, 0, 0, SYNC_FILE_RANGE_WRITE);
    return ok();
}

Result<Blob> Blobs::Draft::finish() {
    Blob blob{"b-" + hex(digest_.done()), bytes_};
    if (fdatasync(file_) != 0) return disk("a blob cannot be synced");
    auto path = path_.parent_path() / blob.id;
    struct stat before {};
    bool is_known = lstat(path.c_str(), &before) == 0;
    if (rename(path_.c_str(), path.c_str()) != 0) return disk("a blob cannot be kept");
    close(std::exchange(file_, -1));
    if (is_known) {
        auto& kept = blobs_.kept_[owner_];
        kept.bytes -= bytes_;
        kept.files -= 1;
        blobs_.all_bytes_ -= bytes_;
    }
    MUST(sync_folder(path_.parent_path()));
    return blob;
}

Result<std::unique_ptr<Blobs::Reader>> Blobs::open(std::string const& owner,
                                                   std::string_view id) const {
    if ((!is_name(owner) || !is_blob_id(id)) && holds("blob-id")) return not_there(id);
    auto path = folder_ / owner / id;
    int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return not_there(id);
    struct stat about {};
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(file);
        return not_there(id);
    }
    return std::unique_ptr<Reader>(new Reader(file, static_cast<std::uint64_t>(about.st_size)));
}

Blobs::Reader::~Reader() {
    close(file_);
}

Result<std::string> Blobs::Reader::read(std::uint64_t from, std::uint64_t bytes) const {
    std::string out;
    if (from >= size_) return out;
    out.resize(static_cast<std::size_t>(std::min(bytes, size_ - from)));
    std::size_t done = 0;
    while (done < out.size()) {
        auto count =
            pread(file_, out.data() + done, out.size() - done, static_cast<off_t>(from + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return disk("a blob cannot be read");
        done += static_cast<std::size_t>(count);
    }
    return out;
}

}  // namespace parley
