#include "hook/hook.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

std::size_t most_bytes(HookPoint point) {
    switch (point) {
        case HookPoint::message_in:
        case HookPoint::message_out:
            return limits::message_text_bytes;
        case HookPoint::skill_before:
            return limits::skill_arguments_bytes;
        case HookPoint::skill_list:
        case HookPoint::skill_after:
        case HookPoint::compaction:
        case HookPoint::model_after:
            return limits::answer_bytes;
        case HookPoint::model_before:
            return limits::worker_message_bytes;
    }
    return 0;
}

std::string request_of(HookEvent const& event) {
    JsonWriter out;
    out.begin('{').pair("point", name_of(event.point)).pair("agent", event.agent.text);
    if (!event.session.text.empty()) out.pair("session", event.session.text);
    if (!event.instance.text.empty()) out.pair("instance", event.instance.text);
    if (!event.conversation.empty()) out.pair("conversation", event.conversation);
    if (!event.sender.empty()) out.pair("sender", event.sender);
    if (!event.skill.empty()) out.pair("skill", event.skill);
    return out.pair("text", event.text).end('}').take();
}

// Both are JSON lists of names; a hook may take names away.
bool is_part_of(std::string_view some, std::string_view all) {
    auto few = parse_json(some), many = parse_json(all);
    if (!few || !many || !few->is_array() || !many->is_array()) return false;
    auto const& known = many->get_array();
    return std::all_of(few->get_array().begin(), few->get_array().end(), [&](auto const& name) {
        return std::find(known.begin(), known.end(), name) != known.end();
    });
}

// What a hook said, checked before anybody believes it.
struct Verdict {
    enum class Kind { pass, replace, reject } kind = Kind::pass;
    std::string text;
};

Result<Verdict> verdict_from(HookEvent const& event, Result<std::string> const& answer) {
    if (!answer) {
        auto told = parse_json(answer.error().what);
        auto words = told ? text_at(*told, "message", answer.error().what) : answer.error().what;
        return Error(answer.error().fault, std::string(words));
    }
    auto bad = [](char const* what) { return Error(Fault::peer_failed, what); };
    auto value = parse_json(*answer);
    if (!value) return bad("its answer is not JSON");
    auto action = text_at(*value, "action");
    if (action == "pass") return Verdict{};
    if (action == "reject")
        return Verdict{Verdict::Kind::reject,
                       visible(clipped(text_at(*value, "reason"), limits::hook_reason_bytes))};
    auto const* text = member(*value, "text");
    if (action != "replace" || !text || !text->is_string())
        return bad("its answer is none of pass, replace with a text, and reject");
    Verdict verdict{Verdict::Kind::replace, std::string(text->get_string())};
    if (verdict.text.size() > most_bytes(event.point)) return bad("its text is too long");
    if (event.point == HookPoint::skill_before && !parse_json(verdict.text))
        return bad("its arguments are not JSON");
    if (event.point == HookPoint::skill_list && !is_part_of(verdict.text, event.text))
        return bad("its list is not some of the skills that it was given");
    if (event.point == HookPoint::model_before && verdict.text != event.text)
        return bad("a request to a model can be refused, not changed");
    return verdict;
}

}  // namespace

// One text on its way, with a chain of its own: a reload may change the other.
struct Hooks::Run {
    HookEvent event;
    HookOutcome outcome;
    std::vector<HookLink> chain;
    std::size_t at = 0;
    WorkerOf worker_of;
    std::function<void(HookOutcome)> done;
};

HookNeed const* HookLink::at(HookPoint point) const {
    static constexpr HookNeed shut{};
    if (!is_usable) return &shut;
    for (auto const& need : points)
        if (need.point == point) return &need;
    return nullptr;
}

std::vector<HookLink> hook_chain(Config const& config, Catalogue const& plugins) {
    std::vector<HookLink> chain;
    for (auto const& wanted : config.hooks) {
        HookLink link;
        link.plugin = wanted.plugin;
        auto const* entry = plugins.usable(wanted.plugin);
        link.is_usable = entry && !entry->file->manifest().hooks.empty();
        if (link.is_usable) link.points = entry->file->manifest().hooks;
        for (auto& need : link.points) need.fails_open = need.fails_open && !wanted.fails_closed;
        chain.push_back(std::move(link));
    }
    return chain;
}

bool Hooks::listens(HookPoint point) const {
    return std::any_of(chain_.begin(), chain_.end(),
                       [&](HookLink const& link) { return link.at(point) != nullptr; });
}

void Hooks::run(HookEvent event, std::function<void(HookOutcome)> done) const {
    auto run = std::make_shared<Run>();
    run->outcome.text = event.text;
    if (!listens(event.point)) return done(std::move(run->outcome));
    run->event = std::move(event);
    run->chain = chain_;
    run->worker_of = worker_of_;
    run->done = std::move(done);
    step(std::move(run));
}

void Hooks::step(std::shared_ptr<Run> run) {
    auto point = run->event.point;
    while (run->at < run->chain.size() && !run->chain[run->at].at(point)) ++run->at;
    if (run->outcome.is_rejected || run->at == run->chain.size())
        return run->done(std::move(run->outcome));

    auto const& link = run->chain[run->at];
    CallSink sink;
    sink.on_done = [run](Result<std::string> answer) {
        auto const& asked = run->chain[run->at++];
        bool fails_open = asked.at(run->event.point)->fails_open;
        auto& outcome = run->outcome;
        auto verdict = verdict_from(run->event, answer);
        HookNote note{asked.plugin, HookNote::Kind::changed, run->event.text, {}};
        if (!verdict) {
            note.kind = HookNote::Kind::failed;
            note.why = visible(clipped(verdict.error().what, limits::hook_reason_bytes));
            outcome.is_rejected = !fails_open;
        } else if (verdict->kind == Verdict::Kind::reject) {
            note.kind = HookNote::Kind::rejected;
            note.why = verdict->text;
            outcome.is_rejected = true;
        } else if (verdict->kind == Verdict::Kind::replace && verdict->text != run->event.text) {
            run->event.text = outcome.text = std::move(verdict->text);
        } else {
            return step(run);
        }
        if (outcome.is_rejected)
            outcome.why = asked.plugin.text +
                          (note.kind == HookNote::Kind::failed ? " failed" : "") +
                          (note.why.empty() ? "" : ": " + note.why);
        outcome.notes.push_back(std::move(note));
        step(run);
    };
    auto worker = link.is_usable ? run->worker_of(link.plugin) : nullptr;
    if (!worker) return sink.on_done(Error(Fault::unavailable, "the plugin cannot run now"));
    CallOptions options;
    options.timeout = limits::hook_time;
    worker->start(Verb::hook_on_event, request_of(run->event), options, std::move(sink));
}

}  // namespace parley
