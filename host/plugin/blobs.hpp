#pragma once

// Bytes that are too many for a message: what people attach, and what an agent sends them. A blob
// is a file HOME/blobs/OWNER/ID, named by its content; whose folder it lies in may read it.
#include "base/hash.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace parley {

struct Blob {
    std::string id;  // "b-" and 64 hex digits
    std::uint64_t bytes = 0;
};
std::string to_text(Blob const& blob);  // {"blob","bytes"}, as plugins are told
bool is_blob_id(std::string_view text);

class Blobs {
public:
    // Makes the folder, removes what a crash left unfinished, counts what is there. Forgets what is
    // older than limits::blob_time, now and every hour; and the oldest of an owner that would keep
    // too much.
    static Result<std::unique_ptr<Blobs>> open(Loop& loop, std::filesystem::path folder);

    // One that is being written; dropped unless it is finished.
    class Draft {
    public:
        ~Draft();
        Draft(Draft const&) = delete;
        Result<> add(std::string_view bytes);  // Fault::over_budget beyond a bound
        Result<Blob> finish();                 // it is durable then

    private:
        friend class Blobs;
        Draft(Blobs& blobs, std::string owner, std::filesystem::path path, int file)
            : blobs_(blobs), owner_(std::move(owner)), path_(std::move(path)), file_(file) {}
        Blobs& blobs_;
        std::string const owner_;
        std::filesystem::path const path_;
        int file_;
        std::uint64_t bytes_ = 0;
        Hasher digest_{"parley.blob/1"};
    };
    Result<std::unique_ptr<Draft>> begin(std::string const& owner);

    // One that is being read. It stays readable when it is forgotten meanwhile.
    class Reader {
    public:
        ~Reader();
        Reader(Reader const&) = delete;
        std::uint64_t size() const { return size_; }
        Result<std::string> read(std::uint64_t from, std::uint64_t bytes) const;

    private:
        friend class Blobs;
        Reader(int file, std::uint64_t size) : file_(file), size_(size) {}
        int const file_;
        std::uint64_t const size_;
    };
    // It is this owner's then, and no longer that one's. Fault::not_found as for open().
    Result<> move(std::string const& from, std::string_view id, std::string const& to);
    // Fault::not_found for whatever is not a blob of this owner.
    Result<std::unique_ptr<Reader>> open(std::string const& owner, std::string_view id) const;

    void forget_old(std::filesystem::file_time_type now);

private:
    struct Kept {
        std::uint64_t bytes = 0;
        std::size_t files = 0;
    };
    Blobs(Loop& loop, std::filesystem::path folder) : loop_(loop), folder_(std::move(folder)) {}
    void sweep();
    void count(std::filesystem::path const& folder, std::filesystem::file_time_type oldest);
    Result<std::filesystem::path> folder_of(std::string const& owner) const;
    void make_room(std::string const& owner);
    bool has_room(std::string const& owner, std::uint64_t bytes) const;

    Loop& loop_;
    std::filesystem::path const folder_;
    std::map<std::string, Kept, std::less<>> kept_;  // by owner; drafts count as they grow
    std::uint64_t all_bytes_ = 0, next_ = 0;
    Loop::Handle timer_;
};

}  // namespace parley
