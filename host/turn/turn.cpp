#include "turn/turn.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

constexpr CallPhase phases[] = {CallPhase::wanted, CallPhase::parked,  CallPhase::started,
                                CallPhase::sent,   CallPhase::unknown, CallPhase::settled};

CallPhase phase_named(std::string_view name) {
    for (auto phase : phases)
        if (name == name_of(phase)) return phase;
    return CallPhase::sent;  // The careful reading: it may have acted.
}

}  // namespace

char const* name_of(CallPhase phase) {
    switch (phase) {
        case CallPhase::wanted:
            return "wanted";
        case CallPhase::parked:
            return "parked";
        case CallPhase::started:
            return "started";
        case CallPhase::sent:
            return "sent";
        case CallPhase::unknown:
            return "unknown";
        case CallPhase::settled:
            return "settled";
    }
    return "sent";
}

std::vector<Step> Turn::begin() {
    ++model_calls_;
    return {AskModel{}};
}

std::vector<Step> Turn::model_answered(std::string text, std::vector<WantedCall> const& calls) {
    calls_.clear();
    if (calls.empty()) return {GiveReply{std::move(text)}};
    std::vector<Step> steps;
    for (auto const& call : calls) {
        steps.push_back(ConsiderCall{calls_.size()});
        calls_.push_back({call.id, call.skill, CallPhase::wanted, {}});
    }
    return steps;
}

std::vector<Step> Turn::model_failed(std::string why) {
    return {GiveUp{std::move(why)}};
}

std::vector<Step> Turn::due() {
    if (calls_.empty()) return {};
    auto is_open = [](OpenCall const& call) { return call.phase != CallPhase::settled; };
    if (std::any_of(calls_.begin(), calls_.end(), is_open)) return {};
    if (model_calls_ >= limits::model_calls_per_turn)
        return {GiveUp{"the turn has asked the model " + std::to_string(model_calls_) +
                       " times, which is the limit"}};
    calls_.clear();
    ++model_calls_;
    return {AskModel{}};
}

std::vector<Step> Turn::resume() const {
    if (calls_.empty()) return {AskModel{}};
    std::vector<Step> steps;
    for (std::size_t i = 0; i < calls_.size(); ++i)
        if (calls_[i].phase == CallPhase::wanted) steps.push_back(ConsiderCall{i});
    return steps;
}

bool Turn::waits_for_approval() const {
    bool parked = false;
    for (auto const& call : calls_) {
        if (call.phase == CallPhase::parked)
            parked = true;
        else if (call.phase != CallPhase::settled)
            return false;
    }
    return parked;
}

bool Turn::has(CallPhase phase) const {
    return std::any_of(calls_.begin(), calls_.end(),
                       [phase](OpenCall const& call) { return call.phase == phase; });
}

std::size_t Turn::find(std::string_view call) const {
    for (std::size_t i = 0; i < calls_.size(); ++i)
        if (calls_[i].id.text == call) return i;
    return std::string::npos;
}

std::string Turn::to_json() const {
    JsonWriter out;
    out.begin('{').pair("number", number_).pair("model_calls", model_calls_);
    if (!calls_.empty()) {
        out.key("calls").begin('[');
        for (auto const& call : calls_) {
            out.begin('{').pair("id", call.id.text).pair("skill", call.skill);
            out.pair("phase", name_of(call.phase));
            if (!call.approval.empty()) out.pair("approval", call.approval);
            out.end('}');
        }
        out.end(']');
    }
    return out.end('}').take();
}

Result<Turn> Turn::from_json(std::string_view text) {
    TRY(value, parse_json(text));
    Turn turn(int_at(value, "number"));
    turn.model_calls_ = static_cast<int>(int_at(value, "model_calls"));
    if (auto const* calls = member(value, "calls"); calls && calls->is_array())
        for (auto const& call : calls->get_array())
            turn.calls_.push_back({CallId(text_at(call, "id")), std::string(text_at(call, "skill")),
                                   phase_named(text_at(call, "phase")),
                                   std::string(text_at(call, "approval"))});
    return turn;
}

}  // namespace parley
