// Talking to an agent from the terminal: one message with -m, or a conversation.
#include "base/text.hpp"
#include "cli/context.hpp"

#include <cstdio>
#include <iostream>
#include <optional>

namespace parley {

namespace {

enum class End { replied, parked, stopped, lost };

// A conversation of the API, followed through the event stream.
class Chat {
public:
    Chat(Context const& context, ChatOptions const& options)
        : context_(context), options_(options) {}

    Result<> attach() {
        if (options_.session.empty()) return ok();
        TRY(session, context_.ask("GET", "/api/v1/sessions/" + percent_encoded(options_.session)));
        if (text_at(session, "channel") != "api")
            return Error(Fault::conflict, "session " + options_.session +
                                              " belongs to the channel " +
                                              std::string(text_at(session, "channel")));
        options_.agent = text_at(session, "agent");
        // The API's conversations are kept below their agent's name.
        std::string conversation(text_at(session, "conversation"));
        auto prefix = options_.agent + '/';
        conversation_ =
            conversation.starts_with(prefix) ? conversation.substr(prefix.size()) : conversation;
        return ok();
    }

    Result<End> say(std::string const& text, bool streams) {
        JsonWriter body;
        body.begin('{').pair("text", text);
        if (!conversation_.empty()) body.pair("conversation", conversation_);
        TRY(accepted,
            context_.ask("POST", "/api/v1/agents/" + percent_encoded(options_.agent) + "/messages",
                         body.end('}').take()));
        session_ = text_at(accepted, "session");
        conversation_ = text_at(accepted, "conversation");
        return follow(std::to_string(int_at(accepted, "seq")), streams);
    }

    // Reads on until the turn that the message belongs to has come to an end of some kind.
    Result<End> follow(std::string after, bool streams) {
        streams_ = streams;
        end_.reset();
        std::string pending;
        auto path = "/api/v1/events?deltas=" + std::string(streams ? "1" : "0") +
                    "&session=" + session_ + "&after=" + after;
        auto done = local_stream(context_.target(), path, [&](std::string_view bytes) {
            pending += bytes;
            std::size_t used = 0;
            for (std::size_t gap; !end_ && (gap = pending.find("\n\n", used)) != std::string::npos;
                 used = gap + 2)
                take(std::string_view(pending).substr(used, gap - used));
            pending.erase(0, used);
            return !end_;
        });
        if (end_) return *end_;
        if (!done) return done.error();
        return End::lost;
    }

    std::string reply, why, approvals, last_seq = "0";
    bool streamed = false;

private:
    void take(std::string_view frame) {
        bool is_delta = frame.starts_with("event: delta");
        auto at = frame.find("data: ");
        if (at == std::string_view::npos) return;
        auto value = parse_json(frame.substr(at + 6));
        if (!value) return;
        if (is_delta) {
            streamed = true;
            std::printf("%s", visible(text_at(*value, "text")).c_str());
            std::fflush(stdout);
            return;
        }
        last_seq = std::to_string(int_at(*value, "seq"));
        auto kind = text_at(*value, "kind");
        auto const* body = member(*value, "body");
        if (kind == "message.queued" && body && !bool_at(*body, "notice")) {
            reply = text_at(*body, "text");
            end_ = End::replied;
        } else if (kind == "message.queued" && body) {
            why = text_at(*body, "text");
            if (parked_) end_ = End::parked;
            if (failed_ || stopped_) end_ = End::stopped;
        } else if (kind == "session.parked" && body) {
            approvals = text_at(*body, "approvals");
            parked_ = true;
        } else if (kind == "session.woken") {
            parked_ = false;
        } else if (kind == "turn.failed") {
            failed_ = true;
        } else if (kind == "session.stopped") {
            stopped_ = true;
        } else if (kind == "session.finished") {
            why = "the session was cancelled";
            end_ = End::stopped;
        } else if (kind == "turn.started") {
            failed_ = stopped_ = parked_ = false;
        }
    }

    Context const& context_;
    ChatOptions options_;
    std::string conversation_, session_;
    std::optional<End> end_;
    bool streams_ = false, parked_ = false, failed_ = false, stopped_ = false;
};

int once(Context const& context, ChatOptions const& options) {
    Chat chat(context, options);
    if (auto attached = chat.attach(); !attached) return fail(attached.error());
    auto end = chat.say(options.text, false);
    if (!end) return fail(end.error());
    switch (*end) {
        case End::replied:
            std::printf("%s\n", visible(chat.reply).c_str());
            return 0;
        case End::parked:
            std::fprintf(stderr, "%s\n", visible(chat.why).c_str());
            return 3;
        case End::stopped:
            std::fprintf(stderr, "%s\n", visible(chat.why).c_str());
            return 1;
        case End::lost:
            break;
    }
    return fail("the host went away; the message is kept, look with: parley session list");
}

// Shows each approval whole and asks for a decision.
bool decide_here(Context const& context, std::string ids) {
    for (std::size_t at = 0; at < ids.size();) {
        auto end = std::min(ids.find(',', at), ids.size());
        auto id = ids.substr(at, end - at);
        at = end + 1;
        auto approval = context.ask("GET", "/api/v1/approvals/" + percent_encoded(id));
        if (!approval) return fail(approval.error()) == 0;
        print_approval(*approval);
        std::printf("\napprove? [y/N, or a reason to deny] ");
        std::fflush(stdout);
        std::string line;
        if (!std::getline(std::cin, line)) return false;
        bool yes = line == "y" || line == "yes";
        auto reason = yes || line == "n" || line == "no" ? "" : line;
        // The digest of what stands above: a person decides what they have seen.
        if (verb_decide(context, id, yes, std::string(text_at(*approval, "digest")), reason) != 0)
            return false;
    }
    return true;
}

}  // namespace

int verb_chat(Context const& context, ChatOptions const& options) {
    if (options.has_text) return once(context, options);
    Chat chat(context, options);
    if (auto attached = chat.attach(); !attached) return fail(attached.error());
    bool person = is_terminal(0);
    if (person) std::printf("talking to %s; end with Ctrl-D\n", options.agent.c_str());
    std::string line;
    while (true) {
        if (person) std::printf("> ");
        std::fflush(stdout);
        if (!std::getline(std::cin, line)) break;
        if (line.empty()) continue;
        chat.streamed = false;
        auto end = chat.say(line, person);
        while (end && *end == End::parked) {
            std::printf("\n%s\n", visible(chat.why).c_str());
            auto seen = chat.last_seq;
            if (!decide_here(context, chat.approvals)) return 3;
            chat.streamed = false;
            end = chat.follow(seen, person);
        }
        if (!end) return fail(end.error());
        if (*end == End::lost) return fail("the host went away");
        if (*end == End::stopped)
            std::printf("%s\n", visible(chat.why).c_str());
        else
            std::printf("%s\n", chat.streamed ? "" : visible(chat.reply).c_str());
    }
    return 0;
}

}  // namespace parley
