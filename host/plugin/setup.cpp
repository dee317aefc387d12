#include "plugin/setup.hpp"

#include "base/limits.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <filesystem>

namespace parley {

namespace {

bool is_line(std::string const& text) {
    return text.find_first_of("\n\r") == text.npos;
}

}  // namespace

Result<std::string> setup_lines(WorkerSpec const& spec) {
    auto const& manifest = spec.file->manifest();
    std::string out = "frame 1\n";
    auto line = [&out](std::string_view key, std::string const& value) {
        out.append(key).append(" ").append(value).append("\n");
        return is_line(value);
    };
    bool good = true;
    for (auto const& role : manifest.roles) good &= line("role", role);
    for (auto const& id : manifest.needs) good &= line("service", id);
    for (auto const& id : manifest.optional) good &= line("service", id);
    auto memory = manifest.memory_mb > 0
                      ? std::min<std::size_t>(static_cast<std::size_t>(manifest.memory_mb),
                                              limits::worker_memory_mb)
                      : limits::worker_memory_mb;
    bool command = false;
    for (auto const& grant : spec.grants)
        if (grant.access == GrantNeed::Access::run) command = true;
    // A command's children live under the same bound, and compilers and browsers are large.
    line("memory_mb", std::to_string(command ? limits::command_memory_mb : memory));
    if (command) line("processes", std::to_string(limits::command_processes));
    line("open_files",
         std::to_string(command ? limits::command_open_files : limits::worker_open_files));
    bool reduced = spec.isolation == Isolation::reduced;
    if (reduced && manifest.isolation == Isolation::strict)
        return Error(Fault::denied,
                     "its manifest asks for strict isolation, and the operator's "
                     "configuration says reduced");
    if (reduced && command)
        return Error(Fault::denied,
                     "a command is never run without namespaces, whatever "
                     "`isolation` says");
    line("sandbox", command ? "command" : reduced ? "reduced" : "strict");
    for (auto const& grant : spec.grants) {
        if (grant.access == GrantNeed::Access::run) continue;
        if (!grant.path.is_absolute())
            return Error(Fault::bad_input, "the grant " + grant.name + " is not an absolute path");
        good &= line(grant.access == GrantNeed::Access::write ? "write" : "read",
                     grant.path.lexically_normal().string());
    }
    if (command) {
        if (spec.home.empty() || !spec.home.is_absolute())
            return Error(Fault::internal, "a command runner without a home to hide");
        std::vector<std::filesystem::path> hidden{spec.home};
        if (!spec.key_file.empty()) {
            hidden.push_back(spec.key_file.parent_path());
            good &= line("probe", spec.key_file.string());
        }
        for (auto const& path : hidden) {
            std::error_code missing;
            auto real = std::filesystem::canonical(path, missing);
            if (missing) continue;
            if (real == "/" || real == "/usr" || real == "/proc")
                return Error(Fault::denied,
                             real.string() +
                                 " cannot be hidden from a command; "
                                 "keep the home and the key in folders of their own");
            good &= line("hide", real.string());
        }
    }
    if (!good) return Error(Fault::bad_input, "a path of a grant holds a line break");
    return out;
}

std::string missing_layer(WorkerSpec const& spec, json::value const& report) {
    bool command = std::any_of(spec.grants.begin(), spec.grants.end(), [](auto const& grant) {
        return grant.access == GrantNeed::Access::run;
    });
    std::vector<char const*> layers{"no-new-privs", "limits", "no-capabilities", "seccomp"};
    if (!command) layers.push_back("landlock");
    if (command)
        layers.push_back("hidden-home");
    else if (spec.isolation == Isolation::strict)
        layers.push_back("own-root");
    if (command || spec.isolation == Isolation::strict) layers.push_back("namespaces");
    auto const* named = member(report, "profile");
    for (auto const* layer : layers) {
        auto is_it = [&](json::value const& one) {
            return one.is_string() && std::string_view(one.get_string()).starts_with(layer);
        };
        if (!named || !named->is_array() ||
            std::none_of(named->get_array().begin(), named->get_array().end(), is_it))
            return layer;
    }
    return {};
}

}  // namespace parley
