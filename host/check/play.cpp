// The checks that parley-worker-check plays: what it is told to play, and what is made of what it
// says.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/loop.hpp"
#include "base/text.hpp"
#include "check/frames.h"
#include "check/judge.hpp"
#include "check/sample.hpp"
#include "plugin/link.hpp"
#include "plugin/process.hpp"
#include "plugin/setup.hpp"

#include <boost/json/value.hpp>

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <algorithm>
#include <set>

namespace parley {

namespace {

constexpr std::string_view canary = "canary-3f9c1ab77d02e5-of-parley-plugin-check";

// Services that parley-worker-check can play.
constexpr std::string_view doubles[] = {PARLEY_HOST_HTTP, PARLEY_HOST_STREAM, PARLEY_HOST_TIMER,
                                        PARLEY_HOST_KV,   PARLEY_HOST_REVEAL, PARLEY_HOST_BLOB,
                                        PARLEY_HOST_WS,   PARLEY_HOST_INBOUND};

bool is(Rule const& rule, std::string_view name) {
    return rule.name == name;
}

// Why a check says nothing about this plugin; empty when it does.
std::string reason_to_skip(Rule const& rule, Subject const& subject) {
    auto const& manifest = subject.file->manifest();
    bool has_services = !manifest.needs.empty() || !manifest.optional.empty();
    bool reveals = std::any_of(manifest.secrets.begin(), manifest.secrets.end(),
                               [](auto const& f) { return f.tier == SecretField::Tier::reveal; });
    for (auto const& id : manifest.needs)
        if (std::find(std::begin(doubles), std::end(doubles), id) == std::end(doubles))
            return "there is no double of " + id;
    bool goes_out = manifest.asks_for(PARLEY_HOST_HTTP) || manifest.asks_for(PARLEY_HOST_STREAM) ||
                    manifest.asks_for(PARLEY_HOST_WS);
    if ((is(rule, "secret-undeclared") || is(rule, "secret-slot")) && !goes_out && !reveals)
        return "it asks for no service that takes a secret";
    if (is(rule, "secret-canary") && !reveals) return "no secret is ever revealed to it";
    if (is(rule, "egress-undeclared") && !goes_out) return "it asks for no way out";
    if (is(rule, "refusing-host") && !has_services && !manifest.has_role(PARLEY_ROLE_CHANNEL) &&
        !manifest.has_role(PARLEY_ROLE_PROVIDER))
        return "it asks for no service, and streams nothing";
    if (is(rule, "approval-gate") && !manifest.has_role(PARLEY_ROLE_SKILL))
        return "it has no skills";
    if (is(rule, "concurrent-calls") && !subject.spec().grants.empty())
        return "a call that holds a grant has a worker of its own";
    if (is(rule, "process-hygiene") && subject.runs_commands())
        return "it starts commands, which only a sandbox of its own can hold";
    return {};
}

// Verbs that a role leaves open, and the manifest does not.
std::vector<Verb> promised(Manifest const& manifest) {
    std::vector<Verb> out;
    if (manifest.channel.edit) out.push_back(Verb::channel_edit);
    if (manifest.channel.typing) out.push_back(Verb::channel_typing);
    if (manifest.channel.draft) out.push_back(Verb::channel_draft);
    if (std::any_of(manifest.skills.begin(), manifest.skills.end(),
                    [](auto const& skill) { return skill.effect == EffectClass::reconcilable; }))
        out.push_back(Verb::skill_reconcile);
    return out;
}

Result<std::string> script_for(Rule const& rule, Subject const& subject, Verdict& verdict) {
    std::string out;
    auto line = [&out](std::string_view key, std::string_view value) {
        out.append(key).append(" ").append(value).append("\n");
    };
    auto const& manifest = subject.file->manifest();
    line("check", rule.name);
    line("config", subject.config);
    line("canary", canary);
    line("seed", std::to_string(subject.seed));
    line("milliseconds",
         std::to_string(std::chrono::milliseconds(subject.options.fuzz_time).count()));
    line("pending", std::to_string(manifest.pending_calls));
    for (auto const& role : manifest.roles) line("role", role);
    for (auto const& id : manifest.needs) line("require", id);
    for (auto const& id : manifest.optional) line("optional", id);
    for (auto verb : promised(manifest))
        line("promises", std::to_string(static_cast<unsigned>(verb)));
    if (manifest.inbound) {
        for (auto const& body : manifest.inbound->examples)
            line("webhook", JsonWriter().string(body).text());
        if (manifest.inbound->examples.empty()) line("webhook", "\"{}\"");
    }
    std::vector<std::string> missing;
    auto request = [&](char const* key, SampleRequest const& one, std::string const& text) {
        line(key, std::to_string(static_cast<unsigned>(one.verb)) + " " + text);
    };
    for (auto const& one : sample_requests(subject, Fill::least, missing)) {
        request("request", one, one.text);
        request("odd", one, with_odd_member(one.text));
    }
    if (!missing.empty())
        verdict.warn("no arguments were found for the skill " + missing.front() +
                     "; add \"examples\" or \"default\" to its parameters");
    missing.clear();
    // A host keeps one run of an instance.
    for (auto const& one : sample_requests(subject, Fill::all, missing))
        if (one.verb != Verb::channel_run) request("request", one, one.text);
    for (auto const& one : sample_requests(subject, Fill::largest, missing))
        request("large", one, one.text);
    for (auto const& one : sample_previews(subject)) request("preview", one, one.text);
    if (out.size() > limits::worker_message_bytes)
        return Error(Fault::bad_input, "its requests are too large to be played");
    return out;
}

// One process that plays one check.
class Play {
public:
    Play(Loop& loop, Rule const& rule, Subject const& subject, WorkerSpec const& spec)
        : loop_(loop),
          rule_(rule),
          spec_(spec),
          subject_(subject),
          judge_(rule, subject, spec, std::string(canary)) {}

    Result<> begin(std::string const& script) {
        TRY(setup, setup_lines(spec_));
        Process::Told words;
        words.on_line = [this](std::string_view text) { on_line(text); };
        words.on_exit = [this](std::string const& how) { on_exit(how); };
        int descriptor = -1;
        TRY(process, Process::spawn(loop_, subject_.places.check_worker, spec_.file->descriptor(),
                                    descriptor, std::move(words)));
        process_ = std::move(process);
        Link::Told heard;
        heard.on_message = [this](std::uint16_t type, std::uint64_t id, std::string_view body) {
            hear(type, id, body);
        };
        link_ = Link::open(loop_, descriptor, std::move(heard));
        link_->send(PARLEY_F_SETUP, 0, {setup});
        link_->send(PARLEY_F_NOTE, 0, {spec_.file->manifest().text});
        link_->send(PARLEY_F_SCRIPT, 0, {script});
        auto longest = limits::check_time + subject_.options.fuzz_time;
        timer_ = loop_.after(longest, [this, longest] {
            auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest).count();
            verdict.fail("it did not come to an end within " + std::to_string(seconds) + " s");
            stop();
        });
        return ok();
    }

    bool is_over() const { return is_over_; }
    Verdict verdict;

private:
    bool is_clean_room() const {
        return is(rule_, "load-now-local") || is(rule_, "process-hygiene");
    }

    void hear(std::uint16_t type, std::uint64_t id, std::string_view body) {
        if (is_condemned_) return;
        switch (type) {
            case PARLEY_F_READY:
                is_confined_ = body.empty();
                if (!body.empty()) verdict.fail("the sandbox is not complete: " + visible(body));
                return;
            case PARLEY_F_OVER:
                has_ended_ = true;
                return;
            case PARLEY_F_FINDING:
            case PARLEY_F_REMARK: {
                auto space = std::min(body.find(' '), body.size());
                auto rule = body.substr(0, space);
                auto text = visible(clipped(body.substr(std::min(space + 1, body.size())),
                                            limits::check_line_bytes));
                if (rule == "~") {
                    verdict = Verdict::skip(text);
                    return;
                }
                bool is_heard = (rule == rule_.name || rule == "!") &&
                                verdict.lines.size() < limits::check_lines;
                if (!is_heard || !said_.insert(text).second) return;
                type == PARLEY_F_FINDING ? verdict.fail(text) : verdict.warn(text);
                return;
            }
            default:
                judge_.hear(type, id, body, verdict);
        }
    }

    void on_line(std::string_view text) {
        if (is_condemned_) return;
        if (text.starts_with("forbidden system call: ")) {
            last_words_ = text;
        } else if (is_clean_room()) {
            verdict.fail("it writes to standard output or error: " + visible(clipped(text, 120)));
            stop();  // the rest would take its time
        }
    }

    void on_exit(std::string const& how) {
        if (link_ && !is_condemned_) link_->drain();
        auto death = how.starts_with("the worker ") ? "it " + how.substr(11) : how;
        bool was_told = verdict.kind == CheckOutcome::Kind::fail;
        if (!has_ended_ && !is_condemned_ && (!was_told || is_confined_)) {
            if (is(rule_, "failing-allocations") && !was_told)
                verdict.warn("an allocation fails in a call, and " + death +
                             "; a worker that runs out of memory is started again");
            else if (!last_words_.empty())
                verdict.crash(visible(last_words_));
            else if (how != "the worker ended with status 0")
                verdict.crash(death);
            else if (!was_told)
                verdict.crash("it ended its process");
        }
        over();
    }

    void stop() {
        is_condemned_ = true;
        if (process_) process_->kill();
    }

    void over() {
        is_over_ = true;
        timer_.reset();
        if (link_) link_->close();
    }

    Loop& loop_;
    Rule const& rule_;
    WorkerSpec const& spec_;
    Subject const& subject_;
    Judge judge_;
    std::shared_ptr<Process> process_;
    std::shared_ptr<Link> link_;
    Loop::Handle timer_;
    std::string last_words_;
    std::set<std::string> said_;
    bool is_confined_ = false, has_ended_ = false, is_condemned_ = false, is_over_ = false;
};

// Documents that are wrong by the schema, of which the host must refuse each before the plugin sees
// it.
void check_bad_configs(Subject const& subject, Verdict& verdict) {
    auto const& manifest = subject.file->manifest();
    auto schema = parse_json(manifest.config_schema);
    auto good = parse_json(subject.config);
    if (!schema || !good || !good->is_object()) return;
    auto must_refuse = [&](json::object const& config, std::string const& what) {
        if (resolve_config(manifest, to_text(config)))
            verdict.fail("the config_schema takes a config " + what);
    };
    if (auto const* more = member(*schema, "additionalProperties");
        more && more->is_bool() && !more->get_bool()) {
        auto config = good->get_object();
        config["x_nobody_knows"] = 1;
        must_refuse(config, "with a key that nobody knows");
    } else if (member(*schema, "properties")) {
        verdict.warn(
            "the config_schema takes any key: say \"additionalProperties\": false, or a "
            "typo of the operator goes unnoticed");
    }
    if (auto const* required = member(*schema, "required"); required && required->is_array())
        for (auto const& name : required->get_array()) {
            if (!name.is_string()) continue;
            auto config = good->get_object();
            config.erase(name.get_string());
            auto const* properties = member(*schema, "properties");
            auto const* property =
                properties ? member(*properties, std::string_view(name.get_string())) : nullptr;
            if (property && member(*property, "default")) continue;
            must_refuse(config, "without " + std::string(name.get_string()));
        }
}

}  // namespace

Verdict check_play(Rule const& rule, Subject const& subject) {
    if (auto why = reason_to_skip(rule, subject); !why.empty()) return Verdict::skip(why);
    Verdict verdict;
    if (is(rule, "bad-config")) check_bad_configs(subject, verdict);
    auto script = script_for(rule, subject, verdict);
    if (!script) return verdict.fail(script.error().what), verdict;
    auto spec = subject.spec();
    Loop loop;
    std::vector<std::unique_ptr<Play>> plays;
    for (int count = is(rule, "two-instances") ? 2 : 1; count > 0; --count) {
        plays.push_back(std::make_unique<Play>(loop, rule, subject, spec));
        if (auto begun = plays.back()->begin(*script); !begun)
            return verdict.fail(begun.error().what), verdict;
    }
    auto all_over = [&] {
        return std::all_of(plays.begin(), plays.end(),
                           [](auto const& play) { return play->is_over(); });
    };
    while (!all_over()) loop.run_for(std::chrono::milliseconds(100));
    for (auto const& play : plays) {
        verdict.kind = std::max(verdict.kind, play->verdict.kind);
        for (auto& one : play->verdict.lines) verdict.lines.push_back(std::move(one));
    }
    return verdict;
}

}  // namespace parley
