#include "check/check.hpp"

#include "base/limits.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"
#include "check/sample.hpp"
#include "check/subject.hpp"
#include "plugin/lock.hpp"

#include <boost/json/value.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

namespace parley {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Kind = CheckOutcome::Kind;

constexpr Kind kinds[] = {Kind::pass, Kind::warn, Kind::skip, Kind::fail, Kind::crash};

// Folders that grants name, empty and gone afterwards.
class Scratch {
public:
    Scratch() {
        auto pattern = (fs::temp_directory_path() / "parley-check-XXXXXX").string();
        if (mkdtemp(pattern.data())) path_ = pattern;
    }
    Scratch(Scratch const&) = delete;
    ~Scratch() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    fs::path const& path() const { return path_; }

private:
    fs::path path_;
};

Verdict run_one(Rule const& rule, Subject const& subject) {
    if (rule.kind == Rule::Kind::file) return check_file(rule, subject);
    if (!subject.file) return Verdict::skip("the host would refuse the file: " + subject.refusal);
    if (!subject.no_config.empty()) {
        if (std::string_view(rule.name) != "bad-config")
            return Verdict::skip("there is no config to make it with");
        Verdict verdict;
        verdict.fail(subject.no_config + " (--config)");
        return verdict;
    }
    return rule.kind == Rule::Kind::play ? check_play(rule, subject) : check_worker(rule, subject);
}

// A check in a process of its own, and what it says: the name of its outcome, then its lines.
class Child {
public:
    Child(Rule const& rule, Subject const& subject, std::size_t index)
        : index(index), rule_(rule), begun_(Clock::now()) {
        int ends[2];
        if (pipe(ends) != 0) return;
        pid_ = fork();
        if (pid_ == 0) {
            close(ends[0]);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            say(ends[1], run_one(rule, subject));
            _exit(0);
        }
        close(ends[1]);
        end_ = ends[0];
        // Longer than any check gives itself.
        deadline_ = begun_ + 3 * limits::check_time + subject.options.fuzz_time;
    }
    Child(Child const&) = delete;
    ~Child() {
        if (end_ >= 0) close(end_);
    }

    int descriptor() const { return end_; }
    Clock::time_point deadline() const { return deadline_; }
    // True when it has said everything.
    bool hear() {
        char buffer[4096];
        auto size = read(end_, buffer, sizeof buffer);
        if (size > 0) text_.append(buffer, static_cast<std::size_t>(size));
        return size == 0 || (size < 0 && errno != EINTR);
    }
    void kill() { ::kill(pid_, SIGKILL); }

    CheckOutcome outcome() {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        CheckOutcome out;
        out.rule = &rule_;
        out.milliseconds =
            std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun_).count();
        std::istringstream in(text_);
        std::string word, line;
        std::getline(in, word);
        bool is_known = false;
        for (auto kind : kinds)
            if (word == name_of(kind)) out.kind = kind, is_known = true;
        while (std::getline(in, line)) out.lines.push_back(line);
        if (is_known) return out;
        out.kind = Kind::crash;
        out.lines = {WIFSIGNALED(status)
                         ? "the check itself died of signal " + std::to_string(WTERMSIG(status))
                         : "the check said nothing"};
        return out;
    }

    std::size_t const index;

private:
    static void say(int end, Verdict const& verdict) {
        std::string text = std::string(name_of(verdict.kind)) + "\n";
        for (auto line : verdict.lines) {
            std::replace(line.begin(), line.end(), '\n', ' ');
            text += line + "\n";
        }
        for (std::string_view left = text; !left.empty();) {
            auto size = write(end, left.data(), left.size());
            if (size < 0) return;
            left.remove_prefix(static_cast<std::size_t>(size));
        }
    }

    Rule const& rule_;
    Clock::time_point begun_, deadline_;
    pid_t pid_ = -1;
    int end_ = -1;
    std::string text_;
};

std::vector<CheckOutcome> run_all(std::vector<Rule const*> const& rules, Subject const& subject,
                                  std::function<void(CheckOutcome const&)> const& told) {
    std::vector<CheckOutcome> outcomes(rules.size());
    std::vector<std::unique_ptr<Child>> children;
    std::size_t next = 0, first_untold = 0;
    auto most =
        std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, limits::check_processes);
    while (next < rules.size() || !children.empty()) {
        while (children.size() < most && next < rules.size()) {
            children.push_back(std::make_unique<Child>(*rules[next], subject, next));
            ++next;
        }
        std::vector<pollfd> watched;
        for (auto const& child : children) watched.push_back({child->descriptor(), POLLIN, 0});
        poll(watched.data(), watched.size(), 200);
        for (std::size_t i = children.size(); i-- > 0;) {
            auto& child = *children[i];
            bool is_late = Clock::now() > child.deadline();
            if (is_late) child.kill();
            if (!is_late && (!watched[i].revents || !child.hear())) continue;
            outcomes[child.index] = child.outcome();
            children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
        }
        for (; first_untold < outcomes.size() && outcomes[first_untold].rule; ++first_untold)
            if (told) told(outcomes[first_untold]);
    }
    return outcomes;
}

Result<std::vector<Rule const*>> chosen(CheckOptions const& options) {
    auto compile = [](std::string const& text, char const* option) -> Result<Pattern> {
        auto pattern = Pattern::compile(text);
        if (!pattern)
            return Error(Fault::bad_input, std::string(option) + ": " + pattern.error().what);
        return std::move(*pattern);
    };
    TRY(include, compile(options.include, "--include"));
    TRY(exclude, compile(options.exclude, "--exclude"));
    std::vector<Rule const*> rules;
    for (auto const& rule : check_rules()) {
        auto name = rule.code() + " " + rule.name;
        Steps steps(limits::schema_steps);
        if (!options.include.empty() && !include.found_in(name, steps)) continue;
        if (!options.exclude.empty() && exclude.found_in(name, steps)) continue;
        rules.push_back(&rule);
    }
    if (rules.empty()) return Error(Fault::bad_input, "no check is called that");
    return rules;
}

Result<std::string> read_bytes(fs::path const& path) {
    std::ifstream in(path, std::ios::binary);
    std::error_code failed;
    auto size = fs::file_size(path, failed);
    if (!in || failed) return Error(Fault::not_found, path.string() + " cannot be read");
    if (size > limits::plugin_file_bytes)
        return Error(Fault::not_found, path.string() + " is too large for a plugin");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void read_subject(Subject& subject) {
    auto file = PluginFile::read(subject.options.file);
    if (!file) {
        subject.refusal = file.error().what;
        return;
    }
    subject.file = std::move(*file);
    auto const& manifest = subject.file->manifest();
    auto config = subject.options.config.empty() ? sample_config(manifest)
                                                 : resolve_config(manifest, subject.options.config);
    if (config)
        subject.config = std::move(*config);
    else
        subject.no_config = "no config is valid: " + config.error().what;
}

}  // namespace

char const* name_of(CheckOutcome::Kind kind) {
    switch (kind) {
        case Kind::pass:
            return "pass";
        case Kind::warn:
            return "warn";
        case Kind::skip:
            return "skip";
        case Kind::fail:
            return "fail";
        case Kind::crash:
            return "crash";
    }
    return "";
}

void Verdict::note(CheckOutcome::Kind worse, std::string what) {
    kind = std::max(kind, worse);
    if (lines.size() < limits::check_lines) lines.push_back(std::move(what));
}

std::size_t CheckReport::count(CheckOutcome::Kind kind) const {
    return static_cast<std::size_t>(std::count_if(
        outcomes.begin(), outcomes.end(), [kind](auto const& one) { return one.kind == kind; }));
}

bool CheckReport::is_good() const {
    return std::none_of(outcomes.begin(), outcomes.end(),
                        [](auto const& one) { return one.is_bad(); });
}

bool Subject::runs_commands() const {
    auto const& grants = file->manifest().grants;
    return std::any_of(grants.begin(), grants.end(),
                       [](auto const& grant) { return grant.access == GrantNeed::Access::run; });
}

WorkerSpec Subject::spec() const {
    auto const& manifest = file->manifest();
    WorkerSpec out;
    out.name = manifest.id.text;
    out.file = file;
    out.config = config;
    if (auto rules = resolve_egress(manifest, config, {})) out.egress = std::move(*rules);
    // A whole domain is the operator's to allow; here nobody forbids it.
    for (auto const& rule : manifest.egress)
        if (rule.host.starts_with("*.")) out.egress.push_back(rule);
    for (auto const& grant : manifest.grants) {
        if (grant.access == GrantNeed::Access::run) continue;
        auto place = folder / grant.name;
        std::error_code ignored;
        fs::create_directories(place, ignored);
        out.grants.push_back({grant.name, place, grant.access});
    }
    return out;
}

Result<CheckReport> check_plugin(CheckOptions const& options, CheckPlaces const& places,
                                 std::function<void(CheckOutcome const&)> const& told) {
    TRY(rules, chosen(options));
    if (options.signature.empty() != options.signed_by.empty())
        return Error(Fault::bad_input, "--signature and --signed-by go together");
    Scratch scratch;
    Subject subject{options, places, {}, {}, {}, {}, {}, scratch.path(), options.seed};
    if (subject.seed == 0) subject.seed = std::random_device{}();
    TRY(bytes, read_bytes(options.file));
    subject.bytes = std::move(bytes);
    read_subject(subject);
    if (!options.config.empty() && !subject.no_config.empty())
        return Error(Fault::bad_input, "--config: " + subject.no_config);
    CheckReport report;
    report.seed = subject.seed;
    if (subject.file) {
        auto const& manifest = subject.file->manifest();
        report.id = manifest.id.text;
        report.version = manifest.version;
        report.hash = subject.file->hash();
        report.rights = rights_of(manifest);
    }
    report.outcomes = run_all(rules, subject, told);
    return report;
}

}  // namespace parley
