#include "provider/provider.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

struct Provider::InFlight {
    std::uint64_t handle = 0, call = 0;
    std::string request;
    Sink sink;
    Answer answer;
    std::string broken;  // why the answer can not be believed
    int left = 0;        // operations of which a byte may have left this machine
    bool suspect = false, died_in_company = false;
};

namespace {

// Of a stop's reason and a failure's code, which go into records as they are.
constexpr std::size_t word_bytes = 64;

std::optional<std::int64_t> count_at(json::value const& value, std::string_view key) {
    auto number = int_at(value, key, -1);
    if (number < 0 || number > (std::int64_t(1) << 40)) return {};
    return number;
}

}  // namespace

std::uint64_t Provider::generate(std::string request, Manner manner, Sink sink) {
    auto call = std::make_shared<InFlight>();
    call->handle = ++last_handle_;
    call->request = std::move(request);
    call->sink = std::move(sink);
    call->suspect = manner == Manner::suspect;
    if (may_start(*call)) start(call);
    else waiting_.push_back(call);
    return call->handle;
}

void Provider::cancel(std::uint64_t handle) {
    auto is_it = [&](auto const& call) { return call->handle == handle; };
    if (auto open = std::find_if(open_.begin(), open_.end(), is_it); open != open_.end()) {
        worker_->cancel((*open)->call);
        return;
    }
    auto waits = std::find_if(waiting_.begin(), waiting_.end(), is_it);
    if (waits == waiting_.end()) return;
    auto call = *waits;
    waiting_.erase(waits);
    AnswerFault fault;
    fault.fault = Fault::cancelled;
    fault.code = "cancelled";
    fault.message = "cancelled before it was asked";
    call->sink.on_fault(std::move(fault));
}

// Adds one chunk; returns what is wrong with it, or nothing.
static std::string add_chunk(Answer& answer, std::string_view bytes, std::string_view& text) {
    // Read before it is counted, so bounded first: a state is no part of what a model said, and is
    // not paid for by its size.
    if (bytes.size() > limits::answer_bytes)
        return "the answer is larger than " + std::to_string(limits::answer_bytes) + " bytes";
    if (!is_utf8(bytes)) return "the answer is not UTF-8";
    auto value = parse_json(bytes);
    if (!value) return "a chunk of the answer is " + value.error().what;
    auto type = text_at(*value, "type");
    if (type == "state") {
        if (!answer.state.empty()) return "the answer has two states";
        answer.state = text_at(*value, "value");
        if (answer.state.size() <= limits::answer_state_bytes) return {};
        return "the answer's state is larger than " + std::to_string(limits::answer_state_bytes) +
               " bytes";
    }
    answer.bytes += static_cast<std::int64_t>(bytes.size());
    if (static_cast<std::size_t>(answer.bytes) > limits::answer_bytes)
        return "the answer is larger than " + std::to_string(limits::answer_bytes) + " bytes";
    if (type == "text") {
        auto size = answer.text.size();
        answer.text += text_at(*value, "text");
        text = std::string_view(answer.text).substr(size);
    } else if (type == "reasoning") {
        answer.reasoning += text_at(*value, "text");
    } else if (type == "call") {
        // Taken for none, they would make another call than the model wanted.
        if (auto const* written = member(*value, "arguments"); !written || !written->is_string())
            return "a call whose arguments are not text";
        Answer::Call call{std::string(text_at(*value, "name")),
                          std::string(text_at(*value, "arguments"))};
        if (answer.calls.size() >= limits::calls_per_answer) return "the answer has too many calls";
        if (call.name.empty() || call.name.size() > limits::call_name_bytes)
            return "a call without a usable name";
        if (call.arguments.size() > limits::skill_arguments_bytes)
            return "a call with arguments larger than " +
                   std::to_string(limits::skill_arguments_bytes) + " bytes";
        answer.calls.push_back(std::move(call));
    } else if (type == "usage") {
        answer.input = count_at(*value, "input");
        answer.output = count_at(*value, "output");
        answer.cache_read = count_at(*value, "cache_read");
        answer.cache_write = count_at(*value, "cache_write");
        answer.thought = count_at(*value, "reasoning");
    } else if (type == "stop") {
        answer.stop = clipped(text_at(*value, "reason"), word_bytes);
        answer.detail = clipped(text_at(*value, "detail"), limits::answer_detail_bytes);
    }
    return {};
}

static AnswerFault fault_from(Error const& error) {
    AnswerFault fault;
    fault.fault = error.fault;
    fault.code = name_of(error.fault);
    fault.message = error.what;
    if (auto detail = parse_json(error.what)) {
        fault.code = std::string(clipped(text_at(*detail, "code", fault.code), word_bytes));
        fault.message = text_at(*detail, "message", error.what);
        fault.retryable = bool_at(*detail, "retryable");
        auto wait = std::clamp<std::int64_t>(int_at(*detail, "retry_after_ms"), 0, 3'600'000);
        fault.retry_after = std::chrono::milliseconds(wait);
    }
    return fault;
}

void Provider::start(std::shared_ptr<InFlight> call) {
    ++pending_;
    tries_suspect_ |= call->suspect;
    open_.push_back(call);
    CallSink sink;
    sink.on_emit = [this, call](std::string_view bytes) {
        if (!call->broken.empty()) return;
        std::string_view text;
        call->broken = add_chunk(call->answer, bytes, text);
        if (!call->broken.empty()) worker_->cancel(call->call);
        else if (!text.empty() && call->sink.on_text) call->sink.on_text(text);
    };
    // Model calls carry no mark; whether anything left is asked all the same, since a call that
    // never left costs nothing.
    sink.egress = [call](int change) { call->left += change; };
    sink.on_done = [this, call](Result<std::string> result) {
        --pending_;
        if (call->suspect) tries_suspect_ = false;
        bool died = !result && result.error().fault == Fault::peer_gone;
        // Its company is told once, by the first to go: who starts meanwhile did not die with it.
        if (died && !call->died_in_company && open_.size() > 1)
            for (auto const& other : open_) other->died_in_company = true;
        open_.erase(std::remove(open_.begin(), open_.end(), call), open_.end());
        next();
        if (result && call->broken.empty() && !call->answer.stop.empty()) {
            call->sink.on_answer(std::move(call->answer));
            return end_when_idle();
        }
        AnswerFault fault;
        if (!result) fault = fault_from(result.error());
        if (died) fault.retryable = call->died_in_company;
        if (result) fault.code = "cut_off", fault.message = "the answer ended before it was complete",
             fault.retryable = true;
        if (!call->broken.empty()) {
            fault.fault = Fault::peer_failed;
            fault.code = "peer";
            fault.message = call->broken;
            fault.retryable = false;
        }
        fault.left = call->left > 0;
        fault.bytes = call->answer.bytes;
        fault.input = call->answer.input;
        fault.output = call->answer.output;
        fault.cache_read = call->answer.cache_read;
        fault.cache_write = call->answer.cache_write;
        call->sink.on_fault(std::move(fault));
        end_when_idle();
    };
    CallOptions options;
    options.timeout = limits::model_call_time;
    call->call = worker_->start(Verb::provider_generate, std::move(call->request), options, sink);
}

void Provider::retire() {
    retiring_ = true;
    end_when_idle();
}

void Provider::end_when_idle() {
    if (retiring_ && open_.empty() && waiting_.empty()) worker_->retire();
}

bool Provider::may_start(InFlight const& call) const {
    return pending_ < pending_most_ && !(call.suspect && tries_suspect_);
}

void Provider::next() {
    auto found = std::find_if(waiting_.begin(), waiting_.end(),
                              [&](auto const& call) { return may_start(*call); });
    if (found == waiting_.end()) return;
    auto call = *found;
    waiting_.erase(found);
    start(std::move(call));
}

}  // namespace parley
