#include "daemon/daemon.hpp"

#include <cstdlib>

namespace parley {

std::filesystem::path program_folder() {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

namespace {

std::filesystem::path first_of(std::initializer_list<std::filesystem::path> places) {
    std::error_code error;
    for (auto const& place : places)
        if (std::filesystem::exists(place, error))
            return std::filesystem::weakly_canonical(place, error);
    return *places.begin();
}

}  // namespace

std::filesystem::path plugin_folder() {
    if (auto const* given = std::getenv("PARLEY_PLUGINS")) return given;
    auto here = program_folder();
    return first_of({here / "../lib/parley/plugins", here / "../plugins"});
}

std::filesystem::path worker_program() {
    if (auto const* given = std::getenv("PARLEY_WORKER")) return given;
    auto here = program_folder();
    return first_of(
        {here / "../libexec/parley/parley-worker", here / "../host/worker/parley-worker"});
}

std::filesystem::path check_program() {
    auto here = program_folder();
    return first_of({here / "../libexec/parley/parley-worker-check",
                     here / "../host/worker/parley-worker-check"});
}

std::filesystem::path schema_folder() {
    return first_of({program_folder() / "../share/parley/schemas"});
}

std::filesystem::path price_table() {
    return first_of({program_folder() / "../share/parley/prices.json"});
}

std::filesystem::path template_folder() {
    if (auto const* given = std::getenv("PARLEY_TEMPLATES")) return given;
    return first_of({program_folder() / "../share/parley/templates"});
}

}  // namespace parley
