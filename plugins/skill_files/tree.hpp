#pragma once

// The granted folder, and the only way into it. Every name is resolved by the kernel beneath the
// folder's own descriptor, with no symbolic link on the way, so that no name, link or race leads
// outside. It throws Problem, whose text is meant for the model.
#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace files {

constexpr std::size_t file_bytes = 8u << 20;   // larger files are not for a model
constexpr std::size_t sent_bytes = 20u << 20;  // and larger ones are no blob

struct Problem : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Descriptor {
public:
    explicit Descriptor(int number = -1) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~Descriptor();
    int get() const { return number_; }
    explicit operator bool() const { return number_ >= 0; }

private:
    int number_;
};

struct Entry {
    std::string name;
    struct stat facts {};
};

// A place for a file: the descriptor of its folder, and its name in there.
struct Place {
    Descriptor folder;
    std::string name;
};

class Tree {
public:
    explicit Tree(std::string root);

    // What the model wrote as a path, relative to the root and plain: no `..`, no `.`, no empty
    // parts. Empty for the root itself. An absolute path is taken if it lies inside the root.
    std::string relative(std::string_view path) const;

    // The others take a path as relative() gives it.
    Descriptor open_folder(std::string const& path) const;
    // A regular file of at most so many bytes, for reading.
    Descriptor open_file(std::string const& path, std::size_t most = file_bytes) const;
    bool is_folder(std::string const& path) const;
    // Folders that are missing on the way are made.
    Place place_for(std::string const& path) const;

private:
    Descriptor root_;
    std::string root_path_;
};

// Opens one name in a folder under the same rules. An invalid descriptor: errno says why.
Descriptor open_beneath(int folder, std::string const& path, int flags);

// Nothing when there is no such name; Problem when it is no regular file.
std::optional<Descriptor> open_if_there(int folder, std::string const& name);

std::string read_all(int file, std::size_t most = file_bytes);

// Sorted by name, at most `most`; the flag says that there were more.
std::pair<std::vector<Entry>, bool> entries_of(Descriptor folder, std::size_t most);

[[noreturn]] void give_up(std::string_view path, int problem);

}  // namespace files
