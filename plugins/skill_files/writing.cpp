// The skills that change a file. The new content is written beside the old and renamed over it, so
// that a crash leaves one or the other; what was approved is checked on the descriptor that was
// opened, last thing before.
#include "skills.hpp"

#include <fcntl.h>
#include <sodium/crypto_generichash.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace files {

std::string hash_of(std::string_view content) {
    static constexpr char digits[] = "0123456789abcdef";
    unsigned char raw[32];
    crypto_generichash_blake2b(raw, sizeof raw,
                               reinterpret_cast<unsigned char const*>(content.data()),
                               content.size(), nullptr, 0);
    std::string out;
    for (unsigned char const byte : raw) out += {digits[byte >> 4], digits[byte & 15]};
    return out;
}

namespace {

using parley::Json;

// The file as it is now: nothing when it is not there.
struct Present {
    std::optional<std::string> content;
    mode_t mode = 0644;
};

Present look(Place const& place) {
    Present out;
    auto const file = open_if_there(place.folder.get(), place.name);
    if (!file) return out;
    struct stat facts {};
    if (::fstat(file->get(), &facts) == 0) out.mode = facts.st_mode & 0777;
    out.content = read_all(file->get());
    return out;
}

void check_expected(Present const& present, std::string_view expected) {
    if (expected.empty()) return;
    if (!present.content) {
        if (expected == "absent") return;
        throw Problem("the file was removed after this was approved; nothing was written");
    }
    if (expected == "absent") {
        throw Problem("the file was made after this was approved; nothing was written");
    }
    if (hash_of(*present.content) != expected) {
        throw Problem("the file has changed since this was approved; nothing was written. "
                      "Read it again");
    }
}

// A file of our own beside the target, gone again unless it is renamed.
class Draft {
public:
    Draft(Place const& place, mode_t mode) : folder_(place.folder.get()) {
        static std::atomic<unsigned> counter{0};
        auto const now = std::chrono::steady_clock::now().time_since_epoch().count();
        for (int tries = 0; tries < 100; ++tries) {
            name_ = ".parley-" + std::to_string(::getpid()) + "-" + std::to_string(now) + "-" +
                    std::to_string(++counter);
            file_ = open_draft(mode);
            if (file_) break;
            if (errno != EEXIST) give_up(place.name, errno);
        }
        if (!file_) give_up(place.name, EEXIST);
        // Not narrowed by a umask: an existing file keeps its mode.
        ::fchmod(file_.get(), mode);
    }
    Draft(Draft const&) = delete;
    ~Draft() {
        if (!name_.empty()) ::unlinkat(folder_, name_.c_str(), 0);
    }

    void write(std::string_view content) {
        while (!content.empty()) {
            ssize_t const put = ::write(file_.get(), content.data(), content.size());
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) throw Problem(std::string("writing failed: ") + std::strerror(errno));
            content.remove_prefix(static_cast<std::size_t>(put));
        }
        if (::fsync(file_.get()) != 0) {
            throw Problem(std::string("writing failed: ") + std::strerror(errno));
        }
    }

    // `fresh`: there must be nothing under that name, and the kernel sees to it.
    void rename_to(std::string const& name, bool fresh) {
        unsigned const flags = fresh ? RENAME_NOREPLACE : 0;
        if (::renameat2(folder_, name_.c_str(), folder_, name.c_str(), flags) != 0) {
            if (fresh && errno == EEXIST) {
                throw Problem("the file was made meanwhile; nothing was written");
            }
            give_up(name, errno);
        }
        name_.clear();
        ::fsync(folder_);
    }

private:
    Descriptor open_draft(mode_t mode) const {
        return Descriptor(::openat(folder_, name_.c_str(),
                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    }
    int folder_;
    std::string name_;
    Descriptor file_;
};

void replace(Place const& place, Present const& seen, std::string_view content,
             std::string_view expected) {
    if (content.size() > file_bytes) throw Problem("the content would be larger than 8 MiB");
    Draft draft(place, seen.mode);
    draft.write(content);
    // Writing took time: look once more.
    Present const now = look(place);
    check_expected(now, expected);
    if (now.content != seen.content)
        throw Problem("the file changed meanwhile; nothing was written");
    draft.rename_to(place.name, !now.content);
}

std::size_t occurrences(std::string_view text, std::string_view piece) {
    std::size_t count = 0;
    for (std::size_t at = text.find(piece); at != text.npos; at = text.find(piece, at + 1)) ++count;
    return count;
}

}  // namespace

std::string write_file(Tree const& tree, Json const& arguments, Json const& expect) {
    if (!arguments["content"].is_string()) throw Problem("`content` is missing");
    std::string_view const content = arguments["content"].text();
    std::string_view const wanted = arguments["path"].text();
    std::string const path = tree.relative(wanted);
    Place const place = tree.place_for(path);
    Present const present = look(place);
    // A repeat of a call that has taken effect finds its own work.
    if (present.content && *present.content == content)
        return path + " holds exactly this already.";
    std::string_view const expected = expect[wanted].text();
    check_expected(present, expected);
    replace(place, present, content, expected);
    return (present.content ? "Replaced " : "Made ") + path + ", " +
           std::to_string(content.size()) + " bytes.";
}

std::string edit_file(Tree const& tree, Json const& arguments, Json const& expect) {
    std::string_view const old = arguments["old"].text(), fresh = arguments["new"].text();
    if (old.empty()) throw Problem("`old` is empty; give the text to replace");
    if (!arguments["new"].is_string()) throw Problem("`new` is missing");
    if (old == fresh) throw Problem("`old` and `new` are the same");
    std::string_view const wanted = arguments["path"].text();
    std::string const path = tree.relative(wanted);
    // Unlike writing, an edit makes no folders.
    (void)tree.open_file(path);
    Place const place = tree.place_for(path);
    Present const present = look(place);
    if (!present.content) give_up(path, ENOENT);
    std::string_view const expected = expect[wanted].text();
    check_expected(present, expected);

    std::string content = *present.content;
    std::size_t const count = occurrences(content, old);
    if (count == 0)
        throw Problem("`old` does not stand in " + path +
                      "; read the file and copy the text exactly");
    if (count > 1) {
        throw Problem("`old` stands " + std::to_string(count) + " times in " + path +
                      "; give more of the lines around it");
    }
    content.replace(content.find(old), old.size(), fresh);
    replace(place, present, content, expected);
    return "Edited " + path + ".";
}

}  // namespace files
