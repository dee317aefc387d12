// A provider without a model: it answers plain text with the same text, and performs scripts. It
// is stateless: which step of a script comes now is read from the request.
#include "parley/plugin.hpp"
#include "script.hpp"

#include <algorithm>
#include <cstdlib>
#include <deque>

namespace rehearsal {
namespace {

using parley::Call;
using parley::Emit;
using parley::Host;
using parley::Json;
using parley::json_of;
using Kind = Action::Kind;

constexpr std::size_t chunk_bytes = 16 * 1024;
constexpr std::size_t remembered_failures = 1000;
constexpr std::string_view hint =
    "\n\n(I am the rehearsal model: a script, not a mind. Say /help to see what I can play.)";

// What a request says, as far as a script needs to know.
struct Scene {
    Json messages;
    std::string_view last_text;      // of the last user message
    std::size_t step = 0;            // answers given since then
    std::vector<Json> results;       // of the calls since then
    std::size_t request_bytes = 0;
};

Scene scene_of(Json const& request) {
    Scene out;
    out.messages = request["messages"];
    out.request_bytes = request.raw().size();
    for (Json const message : out.messages) {
        std::string_view const role = message["role"].text();
        if (role == "user") {
            out.last_text = message["text"].text();
            out.step = 0;
            out.results.clear();
        } else if (role == "assistant") {
            ++out.step;
        } else if (role == "skill") {
            out.results.push_back(message);
        }
    }
    return out;
}

std::string results_of(Scene const& scene) {
    std::string out;
    for (Json const& result : scene.results) {
        if (!out.empty()) out += '\n';
        out += std::string(result["name"].text()) + ": " + std::string(result["content"].text());
    }
    return out.empty() ? "Done." : out;
}

std::string context_of(Json const& request, Scene const& scene) {
    std::string out = "model " + std::string(request["model"].text()) + ", system " +
                      std::to_string(request["system"].text().size()) + " bytes, skills";
    for (Json const skill : request["skills"]) out += " " + std::string(skill["name"].text());
    out += ", messages";
    for (Json const message : scene.messages) out += " " + std::string(message["role"].text());
    return out;
}

Step reply(std::string text) { return {{.kind = Kind::text, .text = std::move(text)}}; }

Step step_for(Scene const& scene, bool obeys) {
    if (scene.last_text.starts_with("Summarise the conversation")) {
        auto const others = std::max<std::size_t>(scene.messages.size(), 1) - 1;
        return reply("Summary of " + std::to_string(others) + " messages.");
    }
    if (obeys && is_script(scene.last_text)) {
        std::vector<Step> steps = parse_script(scene.last_text);
        if (scene.step < steps.size()) return std::move(steps[scene.step]);
        return {{.kind = Kind::results}};
    }
    std::string said = "You said: " + std::string(scene.last_text);
    if (scene.messages.size() == 1) said += hint;
    return reply(std::move(said));
}

// One answer on its way out. It lives in the callbacks of its call, and goes with the call's end.
class Performance : public std::enable_shared_from_this<Performance> {
public:
    Performance(Host& host, Call call, Json request, Scene scene, Step step)
        : host_(host), call_(std::move(call)), request_(std::move(request)),
          scene_(std::move(scene)), actions_(step.begin(), step.end()) {}

    void begin() {
        call_.on_cancel([self = shared_from_this()] {
            self->call_.fail("cancelled", "the answer was cancelled");
        });
        call_.on_resume([self = shared_from_this()] { self->go_on(); });
        go_on();
    }

private:
    // Acts until something has to be waited for, or nothing is left.
    void go_on() {
        while (call_.is_open() && !actions_.empty()) {
            Action action = std::move(actions_.front());
            actions_.pop_front();
            if (!act(std::move(action))) return;
        }
        if (call_.is_open()) finish();
    }

    // False: something else goes on from here, later or never.
    bool act(Action action) {
        switch (action.kind) {
            case Kind::text: return say("text", std::move(action));
            case Kind::reasoning: return say("reasoning", std::move(action));
            case Kind::fill: return fill(action.number);
            case Kind::call: return ask_for(action);
            case Kind::wait: return wait(std::chrono::milliseconds(action.number));
            case Kind::bad_utf8: return emit("{\"type\":\"text\",\"text\":\"\xff\xfe\"}");
            case Kind::results: return say("text", {.text = results_of(scene_)});
            case Kind::context: return say("text", {.text = context_of(request_, scene_)});
            case Kind::usage: usage_ = {action.number, action.second}; return true;
            case Kind::stop: stop_ = action.text; return true;
            case Kind::fail:
                call_.fail(action.name, "the script says so", action.flag);
                return false;
            case Kind::cut: call_.complete_ok(); return false;
            case Kind::crash: std::abort();
            case Kind::hang: return false;
        }
        return true;
    }

    // A long text leaves in chunks, so that a slow reader can pause it.
    bool say(std::string_view type, Action action) {
        std::string_view const chunk = parley::utf8_cut(action.text, chunk_bytes);
        output_bytes_ += chunk.size();
        bool const go = chunk.empty() || emit(json_of("type", type, "text", chunk));
        if (chunk.size() < action.text.size()) {
            action.text.erase(0, chunk.size());
            action.kind = type == "text" ? Kind::text : Kind::reasoning;
            actions_.push_front(std::move(action));
        }
        return go;
    }

    bool fill(std::int64_t left) {
        auto const size = std::min<std::int64_t>(left, chunk_bytes);
        if (size == 0) return true;
        if (left > size) actions_.push_front({.kind = Kind::fill, .number = left - size});
        output_bytes_ += static_cast<std::size_t>(size);
        std::string const text(static_cast<std::size_t>(size), 'x');
        return emit(json_of("type", "text", "text", text));
    }

    bool ask_for(Action const& action) {
        if (stop_.empty()) stop_ = "calls";
        output_bytes_ += action.text.size();
        std::string const id = "rehearsal-" + std::to_string(scene_.step + 1) + "-" +
                               std::to_string(++calls_);
        return emit(json_of("type", "call", "id", id, "name", action.name, "arguments",
                            action.text));
    }

    bool wait(std::chrono::milliseconds time) {
        host_.timer(call_, time, [self = shared_from_this()] { self->go_on(); });
        return false;
    }

    bool emit(std::string const& item) {
        Emit const answer = call_.emit(item);
        if (answer == Emit::refused) call_.fail("internal", "the host refused an item");
        return answer == Emit::taken;
    }

    void finish() {
        auto const tokens = [](std::size_t bytes) {
            return static_cast<std::int64_t>(bytes + 3) / 4;
        };
        auto const [input, output] =
            usage_.value_or(std::pair{tokens(scene_.request_bytes), tokens(output_bytes_)});
        emit(json_of("type", "usage", "input", input, "output", output));
        emit(json_of("type", "stop", "reason", stop_.empty() ? "end" : stop_));
        call_.complete_ok();
    }

    Host& host_;
    Call call_;
    Json request_;
    Scene scene_;
    std::deque<Action> actions_;
    std::optional<std::pair<std::int64_t, std::int64_t>> usage_;
    std::string stop_;
    std::size_t output_bytes_ = 0, calls_ = 0;
};

class Rehearsal final : public parley::Provider {
public:
    Rehearsal(Host& host, Json const& config)
        : host_(host), obeys_(config["script"].boolean(true)) {}

    void generate(Call call, Json request) override {
        Scene scene = scene_of(request);
        Step step = step_for(scene, obeys_);
        forget_spent_failures(scene, step);
        std::make_shared<Performance>(host_, std::move(call), std::move(request), std::move(scene),
                                      std::move(step))
            ->begin();
    }

private:
    // "/fail CODE retryable 2" fails twice and then lets the rest of the step happen. The attempts
    // are the one thing that this plugin remembers, and only while its worker lives.
    void forget_spent_failures(Scene const& scene, Step& step) {
        auto const counted = std::find_if(step.begin(), step.end(), [](Action const& action) {
            return action.kind == Kind::fail && action.number > 0;
        });
        if (counted == step.end()) return;
        if (failures_.size() > remembered_failures) failures_.clear();
        auto& times =
            failures_[std::to_string(scene.messages.size()) + std::string(scene.last_text)];
        if (times++ < counted->number) return;
        failures_.erase(std::to_string(scene.messages.size()) + std::string(scene.last_text));
        step.erase(counted);
    }

    Host& host_;
    bool obeys_;
    std::map<std::string, std::int64_t> failures_;
};

}  // namespace
}  // namespace rehearsal

PARLEY_PLUGIN(rehearsal::Rehearsal)
