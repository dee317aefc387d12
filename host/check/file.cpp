// The checks that read the file and run nothing.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/schema.hpp"
#include "base/text.hpp"
#include "check/subject.hpp"
#include "plugin/elf_facts.hpp"
#include "plugin/lock.hpp"
#include "plugin/manifest.hpp"

#include <boost/json/value.hpp>

#include <dlfcn.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace parley {

namespace {

constexpr std::size_t named_most = 6;  // of symbols in one line
// What Debian 12 has: the oldest system that AgentParley runs on.
std::map<std::string_view, std::vector<unsigned>> const floor_versions{
    {"GLIBC", {2, 36}}, {"GLIBCXX", {3, 4, 30}}, {"CXXABI", {1, 3, 13}}, {"GCC", {12, 0, 0}}};
// Functions that answer with an error in the sandbox, or change what all of the process shares.
std::set<std::string_view> const unwelcome{
    "fork",         "vfork",      "_Fork",      "execl",   "execle", "execlp",   "execv",
    "execve",       "execvp",     "execvpe",    "fexecve", "system", "popen",    "posix_spawn",
    "posix_spawnp", "socket",     "socketpair", "connect", "bind",   "listen",   "accept",
    "accept4",      "signal",     "sigaction",  "setenv",  "putenv", "unsetenv", "clearenv",
    "exit",         "_exit",      "quick_exit", "dlopen",  "chdir",  "fchdir",   "umask",
    "setlocale",    "ptrace",     "mount",      "umount2", "chroot", "setns",    "unshare",
    "setsid",       "getaddrinfo"};

std::string listed(std::set<std::string> const& names) {
    std::string out;
    std::size_t count = 0;
    for (auto const& name : names) {
        if (++count > named_most)
            return out + " and " + std::to_string(names.size() - named_most) + " more";
        out += (out.empty() ? "" : ", ") + visible(clipped(name, 80));
    }
    return out;
}

// "GLIBC_2.34" in its parts; nothing when it is another kind of name.
std::optional<std::pair<std::string, std::vector<unsigned>>> read_version(std::string_view text) {
    auto line = text.find('_');
    if (line == text.npos) return {};
    std::pair<std::string, std::vector<unsigned>> out;
    out.first = text.substr(0, line);
    for (auto rest = text.substr(line + 1); !rest.empty();) {
        unsigned number = 0;
        auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
        if (error != std::errc()) return {};
        out.second.push_back(number);
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        if (!rest.empty()) rest.remove_prefix(1);
    }
    return out;
}

// A sanitizer stands between a plugin and libc without versions. Then this process has it too, and
// knows what it brings.
bool is_of_sanitizer([[maybe_unused]] std::string const& name) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return dlsym(RTLD_DEFAULT, name.c_str()) != nullptr;
#else
    return false;
#endif
}

class FileCheck {
public:
    explicit FileCheck(Subject const& subject)
        : subject_(subject),
          facts_(read_elf_facts(subject.bytes)),
          note_(read_note(subject.bytes)) {}

    Verdict run(int number) {
        static std::map<int, void (FileCheck::*)()> const checks{
            {1, &FileCheck::elf_sane},      {2, &FileCheck::note_present},
            {3, &FileCheck::manifest_json}, {4, &FileCheck::manifest_schema},
            {5, &FileCheck::id_version},    {6, &FileCheck::one_export},
            {7, &FileCheck::no_gnu_unique}, {8, &FileCheck::undefined_symbols},
            {9, &FileCheck::needed},        {10, &FileCheck::hardened},
            {11, &FileCheck::glibc_floor},  {12, &FileCheck::constructors},
            {13, &FileCheck::runtime},      {14, &FileCheck::strip_stable},
            {15, &FileCheck::signature}};
        if (number > 1 && number != 15 && !facts_) return Verdict::skip("it is no sound ELF file");
        bool reads_manifest = number == 3 || number == 4 || number == 5 || number == 14;
        if (reads_manifest && !note_) return Verdict::skip("there is no manifest");
        (this->*checks.at(number))();
        return std::move(verdict_);
    }

private:
    void elf_sane() {
        if (!facts_) return verdict_.fail(facts_.error().what);
        if (facts_->is_program) verdict_.fail("a program, not a library");
        if (subject_.file) return;
        // What the host says of the file itself: its owner, its mode, its size.
        auto read = PluginFile::read(subject_.options.file);
        if (!read && read.error().fault == Fault::denied) verdict_.fail(read.error().what);
    }

    void note_present() {
        if (!note_) verdict_.fail(note_.error().what);
    }

    void manifest_json() {
        if (note_->size() > limits::manifest_bytes) verdict_.fail("the manifest is too large");
        if (auto value = parse_json(*note_); !value) verdict_.fail(value.error().what);
    }

    void manifest_schema() {
        if (auto read = parse_manifest(*note_); !read) verdict_.fail(read.error().what);
        std::ifstream in(subject_.places.schemas / "parley.manifest.1.json", std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        auto document = parse_json(text.str());
        if (!document)
            return verdict_.warn("the SDK's schemas are not installed at " +
                                 subject_.places.schemas.string());
        auto value = parse_json(*note_);
        auto schema = Schema::open(std::move(*document), UnknownKeywords::ignored);
        if (!value || !schema) return;
        if (auto fits = schema->check(*value); !fits) verdict_.fail(fits.error().what);
    }

    void id_version() {
        auto value = parse_json(*note_);
        if (!value) return verdict_.fail("the manifest cannot be read");
        auto id = text_at(*value, "id"), version = text_at(*value, "version");
        if (!is_name(id)) verdict_.fail("the id is not [a-z0-9][a-z0-9._-]*, at most 64");
        if (id.find('.') == id.npos)
            verdict_.warn(
                "the id has no dot, as only those of a release may: call it like "
                "org.example." +
                visible(clipped(id, 64)));
        auto read = parse_manifest(*note_);
        if (!read && read.error().what.find("version") != std::string::npos)
            verdict_.fail(read.error().what);
        else if (version.empty())
            verdict_.fail("there is no version");
    }

    void one_export() {
        std::set<std::string> others;
        ElfFacts::Symbol const* entry = nullptr;
        for (auto const& symbol : facts_->exports) {
            if (symbol.name == "parley_plugin_v1")
                entry = &symbol;
            else
                others.insert(symbol.name);
        }
        if (!entry) return verdict_.fail("it does not export parley_plugin_v1");
        if (!others.empty()) verdict_.fail("it exports " + listed(others) + " as well");
        if (!entry->is_object) verdict_.fail("parley_plugin_v1 is not an object");
        if (entry->address < facts_->relro_begin || entry->address >= facts_->relro_end)
            verdict_.fail("parley_plugin_v1 can be written after loading; make it const");
    }

    void no_gnu_unique() {
        std::set<std::string> names;
        for (auto const* list : {&facts_->imports, &facts_->exports})
            for (auto const& symbol : *list)
                if (symbol.is_unique) names.insert(symbol.name);
        if (!names.empty())
            verdict_.warn(listed(names) + ": unique in the process; compile with -fno-gnu-unique");
    }

    void undefined_symbols() {
        std::set<std::string> strange, unwanted;
        bool runs = subject_.file && subject_.runs_commands();
        for (auto const& symbol : facts_->imports) {
            if (unwelcome.contains(symbol.name) && !runs) unwanted.insert(symbol.name);
            auto version = read_version(symbol.version);
            bool is_known = version && floor_versions.contains(version->first);
            // What start-up code asks for where it is, is weak.
            if (!is_known && !symbol.is_weak && !is_of_sanitizer(symbol.name))
                strange.insert(symbol.name);
        }
        if (!strange.empty())
            verdict_.fail("it expects somebody to bring " + listed(strange) +
                          "; link with --no-undefined");
        if (!unwanted.empty())
            verdict_.warn("it imports " + listed(unwanted) +
                          ": refused in the sandbox, or not a plugin's to change");
    }

    void needed() {
        if (!facts_->strange.empty())
            verdict_.fail("it needs " + listed({facts_->strange.begin(), facts_->strange.end()}) +
                          "; link it statically");
    }

    void hardened() {
        if (facts_->has_path) verdict_.fail("an RPATH or RUNPATH");
        if (facts_->has_filter) verdict_.fail("an audit or filter library");
        if (facts_->has_text_relocations) verdict_.fail("text relocations: compile with -fPIC");
        if (facts_->has_executable_stack)
            verdict_.fail("an executable stack: link with -z noexecstack");
        if (facts_->has_writable_code) verdict_.fail("a segment that is writable and executable");
        if (facts_->relro_end == 0) verdict_.fail("no RELRO: link with -z relro");
        if (!facts_->binds_now) verdict_.fail("lazy binding: link with -z now");
    }

    void glibc_floor() {
        std::map<std::string, std::vector<unsigned>> newest;
        for (auto const& symbol : facts_->imports)
            if (auto version = read_version(symbol.version))
                newest[version->first] = std::max(newest[version->first], version->second);
        std::string above;
        for (auto const& [library, version] : newest) {
            auto floor = floor_versions.find(library);
            if (floor == floor_versions.end() || version <= floor->second) continue;
            std::string text;
            for (auto number : version) text += (text.empty() ? "" : ".") + std::to_string(number);
            above += (above.empty() ? "" : ", ") + library + " " + text;
        }
        if (!above.empty()) verdict_.warn("it needs " + above + ", newer than Debian 12 has");
    }

    void constructors() {
        if (facts_->constructors > limits::check_constructors)
            verdict_.warn(std::to_string(facts_->constructors) + " constructors run on loading");
    }

    void runtime() {
        if (facts_->is_go)
            verdict_.fail("a Go image: its runtime takes signal handlers that the sandbox keeps");
    }

    void strip_stable() {
        if (!facts_->note_is_loaded)
            verdict_.fail("the note is not part of a loaded segment; strip would remove it");
    }

    void signature() {
        auto const& options = subject_.options;
        if (options.signature.empty()) {
            verdict_ = Verdict::skip("--signature and --signed-by were not given");
            return;
        }
        std::ifstream in(options.signature, std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        auto key = from_hex(options.signed_by);
        if (!in) return verdict_.fail(options.signature.string() + " cannot be read");
        if (!key || !is_signed(subject_.bytes, text.str(), *key))
            verdict_.fail("it is not that key's signature of these bytes");
    }

    Subject const& subject_;
    Result<ElfFacts> facts_;
    Result<std::string> note_;
    Verdict verdict_;
};

}  // namespace

Verdict check_file(Rule const& rule, Subject const& subject) {
    return FileCheck(subject).run(rule.number);
}

}  // namespace parley
