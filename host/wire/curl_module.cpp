#include "wire/curl_module.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace parley {
namespace {

// Beside the program, then where `make install` puts it; the last is a build tree's.
std::vector<std::filesystem::path> places() {
    std::error_code error;
    auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    std::vector<std::filesystem::path> list;
    if (!error) list = {program, program / "../lib/parley"};
    list.emplace_back(PARLEY_MODULE_FOLDER);
    if (!error) list.push_back(program / "../../lib/parley");
    return list;
}

Result<parley_curl_table const*> load() {
    std::string tried;
    for (auto const& place : places()) {
        auto file = (place / "libparley_curl.so").lexically_normal();
        std::error_code error;
        if (!std::filesystem::exists(file, error)) {
            tried += " " + file.string();
            continue;
        }
        auto* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library) return Error(Fault::unavailable, std::string("HTTP client: ") + ::dlerror());
        auto entry =
            reinterpret_cast<decltype(&parley_curl_v1)>(::dlsym(library, "parley_curl_v1"));
        if (!entry || entry()->version != PARLEY_CURL_TABLE)
            return Error(Fault::unavailable,
                         "HTTP client: " + file.string() + " is another version's");
        return entry();
    }
    return Error(Fault::unavailable, "HTTP client: libparley_curl.so is in none of" + tried);
}

}  // namespace

Result<parley_curl_table const*> curl_table() {
    static auto const table = load();
    return table;
}

std::string ca_file_from_environment() {
    auto const* file = ::secure_getenv("PARLEY_CA_FILE");
    return file ? file : "";
}

}  // namespace parley
