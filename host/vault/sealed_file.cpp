#include "vault/sealed_file.hpp"

#include "base/text.hpp"

#include <sodium.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace parley {

namespace {

constexpr std::string_view magic = "APV1";
constexpr char format = 1;
constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t mac_bytes = 32;
constexpr std::size_t slots_most = 8;

unsigned char const* raw(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

void append_number(std::string& out, std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(number >> (8 * i) & 255);
}

struct Reader {
    std::string_view rest;
    bool sound = true;

    std::string take(std::size_t size) {
        if (rest.size() < size) {
            sound = false;
            rest = {};
            return {};
        }
        std::string found(rest.substr(0, size));
        rest.remove_prefix(size);
        return found;
    }
    std::uint64_t number(std::size_t bytes) {
        auto text = take(bytes);
        std::uint64_t value = 0;
        for (auto at = text.rbegin(); at != text.rend(); ++at)
            value = value << 8 | static_cast<unsigned char>(*at);
        return value;
    }
};

Error system_error(std::filesystem::path const& path, char const* what) {
    return Error(Fault::internal, path.string() + ": " + what + ": " + std::strerror(errno));
}

bool write_whole(int file, std::string_view bytes) {
    while (!bytes.empty()) {
        auto n = write(file, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

}  // namespace

Descriptor::~Descriptor() {
    if (number >= 0) close(number);
}

std::string SealedFile::bytes() const {
    std::string out(magic);
    out += format;
    out += vault_id;
    append_number(out, generation, 8);
    append_number(out, slots.size(), 1);
    for (auto const& slot : slots) out += slot.about() + slot.nonce + slot.sealed_root;
    append_number(out, entries.size(), 4);
    for (auto const& [nonce, sealed] : entries) {
        out += nonce;
        append_number(out, sealed.size(), 4);
        out += sealed;
    }
    return out;
}

Result<SealedFile> SealedFile::parse(std::string_view bytes, std::string& mac) {
    Reader in{bytes};
    if (in.take(4) != magic) return Error(Fault::bad_input, "it is not a vault file");
    if (in.take(1) != std::string_view(&format, 1))
        return Error(Fault::bad_input, "it is of another version");
    SealedFile file;
    file.vault_id = in.take(16);
    file.generation = in.number(8);
    auto slots = in.number(1);
    if (slots == 0 || slots > slots_most)
        return Error(Fault::bad_input, "it has no slot for a key");
    for (std::uint64_t i = 0; in.sound && i < slots; ++i) {
        Slot slot;
        slot.kind = static_cast<Slot::Kind>(in.number(1));
        slot.salt = in.take(16);
        slot.cost = in.take(8);
        slot.nonce = in.take(nonce_bytes);
        slot.sealed_root = in.take(32 + tag_bytes);
        file.slots.push_back(std::move(slot));
    }
    auto count = in.number(4);
    for (std::uint64_t i = 0; in.sound && i < count; ++i) {
        auto nonce = in.take(nonce_bytes);
        auto sealed = in.take(in.number(4));
        file.entries.emplace_back(std::move(nonce), std::move(sealed));
    }
    mac = in.take(mac_bytes);
    if (!in.sound || !in.rest.empty())
        return Error(Fault::bad_input, "it is cut short or too long");
    return file;
}

namespace {

std::filesystem::path folder_of(std::filesystem::path const& path) {
    return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

Result<std::filesystem::path> write_beside(std::filesystem::path const& path,
                                           std::string_view bytes, std::string_view more) {
    auto temporary = path;
    temporary += ".new";
    unlink(temporary.c_str());
    Descriptor file{
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (file.number < 0) return system_error(temporary, "cannot be made");
    if (!write_whole(file.number, bytes) || !write_whole(file.number, more) ||
        fsync(file.number) != 0) {
        auto error = system_error(temporary, "cannot be written");
        unlink(temporary.c_str());
        return error;
    }
    return temporary;
}

Result<> sync_folder(std::filesystem::path const& path) {
    Descriptor folder{open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder.number < 0 || fsync(folder.number) != 0)
        return system_error(folder_of(path), "cannot be synced");
    return ok();
}

}  // namespace

Result<> replace_file(std::filesystem::path const& path, std::string_view bytes) {
    TRY(temporary, write_beside(path, bytes, {}));
    if (rename(temporary.c_str(), path.c_str()) != 0) {
        auto error = system_error(path, "cannot be replaced");
        unlink(temporary.c_str());
        return error;
    }
    return sync_folder(path);
}

Result<> make_file(std::filesystem::path const& path, std::string_view bytes,
                   std::string_view more) {
    TRY(temporary, write_beside(path, bytes, more));
    // A rename would replace what came there meanwhile; a link does not.
    if (link(temporary.c_str(), path.c_str()) == 0) {
        unlink(temporary.c_str());
        return sync_folder(path);
    }
    bool is_there = errno == EEXIST;
    auto error = system_error(path, "cannot be made");
    if (is_there) error.fault = Fault::conflict;
    unlink(temporary.c_str());
    return error;
}

Result<std::string> read_file(std::filesystem::path const& path, std::size_t bytes_most) {
    Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (file.number < 0) {
        if (errno == ENOENT) return Error(Fault::not_found, path.string() + " does not exist");
        return system_error(path, "cannot be opened");
    }
    std::string text;
    char piece[65536];
    for (ssize_t n; (n = read(file.number, piece, sizeof piece)) != 0;) {
        if (n < 0) return system_error(path, "cannot be read");
        text.append(piece, static_cast<std::size_t>(n));
        if (text.size() > bytes_most)
            return Error(Fault::bad_input, path.string() + " is too large");
    }
    return text;
}

std::string seal(std::string_view plain, std::string_view about, std::string_view nonce,
                 std::string_view key) {
    std::string sealed(plain.size() + tag_bytes, '\0');
    unsigned long long size = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(sealed.data()),
                                               &size, raw(plain), plain.size(), raw(about),
                                               about.size(), nullptr, raw(nonce), raw(key));
    sealed.resize(size);
    return sealed;
}

Result<Secret> unseal(std::string_view sealed, std::string_view about, std::string_view nonce,
                      std::string_view key) {
    if (sealed.size() < tag_bytes || nonce.size() != nonce_bytes)
        return Error(Fault::bad_input, "sealed bytes are cut short");
    std::string plain(sealed.size() - tag_bytes, '\0');
    unsigned long long size = 0;
    int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(
        reinterpret_cast<unsigned char*>(plain.data()), &size, nullptr, raw(sealed), sealed.size(),
        raw(about), about.size(), raw(nonce), raw(key));
    if (failed) return Error(Fault::denied, "the key does not open it");
    auto secret = Secret::from({plain.data(), static_cast<std::size_t>(size)});
    wipe(plain);
    return secret;
}

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    randombytes_buf(bytes.data(), bytes.size());
    return bytes;
}

std::string keyed_digest(std::string_view bytes, std::string_view key) {
    std::string digest(32, '\0');
    crypto_generichash(reinterpret_cast<unsigned char*>(digest.data()), digest.size(), raw(bytes),
                       bytes.size(), raw(key), key.size());
    return digest;
}

}  // namespace parley
