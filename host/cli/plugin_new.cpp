// `parley plugin new`: a plugin to begin with, copied from the installed templates. What differs
// between plugins stands in them as words of their own, and is replaced.
#include "base/limits.hpp"
#include "base/text.hpp"
#include "cli/context.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

namespace parley {

namespace {

namespace fs = std::filesystem;
using Words = std::map<std::string, std::string, std::less<>>;

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// The folder's name as the last part of an id.
std::string id_for(fs::path const& folder) {
    auto path = fs::absolute(folder).lexically_normal();
    auto name = (path.has_filename() ? path : path.parent_path()).filename().string();
    std::string last;
    for (char c : name.substr(0, limits::plugin_id_bytes / 2)) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (is_lower_or_digit(c))
            last += c;
        else if (!last.empty() && last.back() != '-')
            last += '-';
    }
    if (last.ends_with('-')) last.pop_back();
    return "org.example." + (last.empty() ? "plugin" : last);
}

// The library's name: the role and the id's last part, as a word that C, CMake and Rust all take.
std::string library_for(NewPlugin const& wanted) {
    auto name = wanted.role + '_' + wanted.id.substr(wanted.id.rfind('.') + 1);
    for (char& c : name)
        if (!is_lower_or_digit(c)) c = '_';
    return name;
}

std::string replaced(std::string text, Words const& words) {
    for (auto const& [word, meaning] : words)
        for (auto at = text.find(word); at != text.npos; at = text.find(word, at + meaning.size()))
            text.replace(at, word.size(), meaning);
    return text;
}

Result<> copy_file(fs::path const& from, fs::path const& to, Words const& words) {
    std::ifstream in(from, std::ios::binary);
    std::string const text{std::istreambuf_iterator<char>(in), {}};
    if (!in) return Error(Fault::internal, "cannot read " + from.string());
    std::ofstream out(to, std::ios::binary);
    out << replaced(text, words);
    out.close();
    if (!out) return Error(Fault::internal, "cannot write " + to.string());
    return ok();
}

// The files of these folders, later ones over earlier ones; no folders below them.
Result<std::vector<std::string>> copy_all(std::vector<fs::path> const& from, fs::path const& to,
                                          Words const& words) {
    std::vector<std::string> names;
    std::error_code error;
    fs::create_directories(to, error);
    if (error) return Error(Fault::internal, "cannot make " + to.string() + ": " + error.message());
    for (auto const& folder : from)
        for (auto const& entry : fs::directory_iterator(folder, error)) {
            if (!entry.is_regular_file()) continue;
            MUST(copy_file(entry.path(), to / entry.path().filename(), words));
            names.push_back(entry.path().filename());
        }
    if (error) return Error(Fault::internal, error.message());
    std::sort(names.begin(), names.end());
    return names;
}

// Roles for which a language has a template, as a person reads them.
std::string roles_of(fs::path const& language) {
    std::vector<std::string> roles;
    std::error_code ignored;
    for (auto const& entry : fs::directory_iterator(language, ignored))
        if (entry.is_directory()) roles.push_back(entry.path().filename());
    std::sort(roles.begin(), roles.end());
    std::string out;
    for (auto const& role : roles) out += (out.empty() ? "" : ", ") + role;
    return out;
}

std::string shell_word(std::string const& text) {
    auto plain = [](char c) {
        return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') ||
               std::string_view("/._-=").find(c) != std::string_view::npos;
    };
    if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
    return '\'' + replaced(text, {{"'", "'\\''"}}) + '\'';
}

// An SDK that CMake does not find by itself has to be named.
std::string prefix_option(fs::path const& templates) {
    auto prefix = (templates / "../../..").lexically_normal();
    if (!fs::exists(prefix / "include/parley/plugin.h")) return "";
    auto text = prefix.string();
    while (text.ends_with('/')) text.pop_back();
    if (text == "/usr" || text == "/usr/local") return "";
    return " " + shell_word("-DCMAKE_PREFIX_PATH=" + text);
}

std::vector<std::string> next_commands(NewPlugin const& wanted, fs::path const& templates,
                                       std::string const& library) {
    auto folder = fs::path(wanted.folder), build = folder / "build";
    return {
        "cmake -S " + shell_word(folder) + " -B " + shell_word(build) + prefix_option(templates),
        "cmake --build " + shell_word(build),
        "parley plugin check " + shell_word(build / (library + ".so"))};
}

}  // namespace

bool is_third_party_id(std::string_view id) {
    return id.size() <= limits::plugin_id_bytes && !id.empty() && is_lower_or_digit(id.front()) &&
           is_lower_or_digit(id.back()) && id.find('.') != id.npos &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-';
           });
}

int verb_plugin_new(Context const& context, NewPlugin const& given) {
    auto wanted = given;
    if (wanted.id.empty()) wanted.id = id_for(wanted.folder);
    auto const& templates = context.programs->templates;
    std::error_code error;
    if (!fs::exists(templates / "roles", error))
        return fail("there are no templates at " + templates.string() +
                    "; install the SDK: cmake --install BUILD --component sdk");
    auto language = templates / wanted.language;
    if (!fs::exists(language / wanted.role, error)) {
        fail("there is no template for a " + wanted.role + " in " + wanted.language +
             "; there is one for: " + roles_of(language));
        return 2;
    }
    fs::path folder = wanted.folder;
    if (fs::exists(folder, error) && !fs::is_empty(folder, error))
        return fail(folder.string() + " exists and is not empty");
    if (error) return fail(folder.string() + ": " + error.message());

    auto library = library_for(wanted);
    Words words = {{"org.example.name", wanted.id},
                   {"plugin_name", library},
                   {"parley_rust_folder", (templates / "../rust").lexically_normal().string()}};
    auto files = copy_all({templates / "roles" / wanted.role, language, language / wanted.role},
                          folder, words);
    if (!files) return fail(files.error());

    auto commands = next_commands(wanted, templates, library);
    JsonWriter out;
    out.begin('{').pair("id", wanted.id).pair("language", wanted.language);
    out.pair("role", wanted.role).pair("folder", folder.string());
    out.pair("library", library + ".so").key("files").begin('[');
    for (auto const& file : *files) out.string(file);
    out.end(']').key("next").begin('[');
    for (auto const& command : commands) out.string(command);
    out.end(']').end('}');
    if (print_json(context, out.text())) return 0;
    std::printf("wrote %s: a %s, %s\n\nnext:\n", visible(folder.string()).c_str(),
                wanted.role.c_str(), wanted.id.c_str());
    for (auto const& command : commands) std::printf("  %s\n", visible(command).c_str());
    std::printf("\nREADME.md there says how to run it.\n");
    return 0;
}

}  // namespace parley
