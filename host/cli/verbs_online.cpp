// Verbs that ask a running host.
#include "base/text.hpp"
#include "cli/context.hpp"

#include <algorithm>
#include <cstdio>

namespace parley {

namespace {

constexpr char api[] = "/api/v1";

// A body's most telling members, short.
std::string gist(json::value const& body) {
    std::string out;
    for (auto const* key :
         {"text",     "skill",    "arguments",    "content",    "why",         "reason",
          "detail",   "instance", "conversation", "model",      "fallback_of", "code",
          "next",     "stop",     "tokens_in",    "tokens_out", "usd",         "plugin",
          "approval", "evidence", "verdict",      "message",    "summary",     "sender",
          "count",    "secret",   "scope",        "attachments"}) {
        auto const* value = member(body, key);
        if (!value) continue;
        std::string text = value->is_string()
                               ? visible({value->get_string().data(), value->get_string().size()})
                               : visible(to_text(*value));
        for (char& c : text)
            if (c == '\n') c = ' ';
        if (text.size() > 160) text = std::string(clipped(text, 157)) + "...";
        out += (out.empty() ? "" : "  ") + std::string(key) + "=" + text;
    }
    return out;
}

}  // namespace

std::string record_line(json::value const& record) {
    auto line = std::to_string(int_at(record, "seq"));
    line.insert(0, line.size() < 6 ? 6 - line.size() : 0, ' ');
    line += "  " + std::string(text_at(record, "time").substr(0, 19)) + "  " +
            std::string(text_at(record, "kind"));
    for (auto const* key : {"session", "call"})
        if (auto text = text_at(record, key); !text.empty()) line += "  " + std::string(text);
    if (auto const* body = member(record, "body"))
        if (auto text = gist(*body); !text.empty()) line += "  " + text;
    return line;
}

int verb_list(Context const& context, std::string const& path,
              std::initializer_list<char const*> columns) {
    auto text = context.ask_text("GET", api + path);
    if (!text) return fail(text.error());
    if (print_json(context, *text)) return 0;
    auto list = parse_json(*text);
    if (!list) return fail(list.error());
    print_table(*list, columns);
    return 0;
}

int verb_show(Context const& context, std::string const& path) {
    auto text = context.ask_text("GET", api + path);
    if (!text) return fail(text.error());
    if (print_json(context, *text)) return 0;
    auto value = parse_json(*text);
    if (!value) return fail(value.error());
    print_members(*value);
    return 0;
}

int verb_status(Context const& context) {
    auto text = context.ask_text("GET", std::string(api) + "/status");
    if (!text) return fail(text.error());
    if (print_json(context, *text)) return 0;
    auto status = parse_json(*text);
    if (!status) return fail(status.error());
    std::printf("parley %s, up %lld s, home %s, %lld records\n",
                std::string(text_at(*status, "parley")).c_str(),
                static_cast<long long>(int_at(*status, "uptime_s")),
                std::string(text_at(*status, "home")).c_str(),
                static_cast<long long>(int_at(*status, "head")));
    auto section = [&](char const* title, char const* key,
                       std::initializer_list<char const*> columns) {
        auto const* list = member(*status, key);
        if (!list || !list->is_array() || list->get_array().empty()) return;
        std::printf("\n%s\n", title);
        json::object wrapped;
        wrapped["items"] = *list;
        print_table(wrapped, columns);
    };
    section("agents", "agents", {"name", "model"});
    section("channels", "channels", {"name", "plugin", "agent", "link", "detail"});
    section("plugins", "plugins", {"id", "state", "isolation", "reason"});
    section("budgets", "budgets",
            {"name", "limit_usd", "per", "on_limit", "spent_usd", "reserved_usd", "resets"});
    return 0;
}

int verb_post(Context const& context, std::string const& path, std::string const& body,
              char const* done) {
    auto text = context.ask_text("POST", api + path, body);
    if (!text) return fail(text.error());
    if (!print_json(context, *text)) std::printf("%s\n", done);
    return 0;
}

void print_approval(json::value const& approval) {
    auto word = [&](char const* key) { return std::string(text_at(approval, key)); };
    std::printf("approval %s is %s, requested %s, expires %s\n\n%s\n", word("id").c_str(),
                word("state").c_str(), word("requested").c_str(), word("expires").c_str(),
                word("shown").c_str());
    if (!word("preview").empty())
        std::printf("in the plugin's own words, which nobody has checked:\n%s\n\n",
                    word("preview").c_str());
    std::printf("digest %s\n", word("digest").c_str());
    auto const* reach = member(approval, "reach");
    if (!reach || !reach->is_array()) return;
    for (auto const& one : reach->get_array()) {
        auto of = [&](char const* key) { return std::string(text_at(one, key)); };
        std::printf("asked: %s on %s: %s%s%s\n", of("approver").c_str(), of("channel").c_str(),
                    of("state").c_str(), of("why").empty() ? "" : ", ", of("why").c_str());
    }
}

int verb_approval_show(Context const& context, std::string const& id) {
    auto text = context.ask_text("GET", std::string(api) + "/approvals/" + percent_encoded(id));
    if (!text) return fail(text.error());
    if (print_json(context, *text)) return 0;
    auto approval = parse_json(*text);
    if (!approval) return fail(approval.error());
    print_approval(*approval);
    if (text_at(*approval, "state") == "pending")
        std::printf(
            "\ndecide with: parley approval approve %s\n         or: parley approval deny %s "
            "--reason TEXT\n",
            id.c_str(), id.c_str());
    return 0;
}

int verb_decide(Context const& context, std::string const& id, bool approve, std::string digest,
                std::string const& reason) {
    auto path = std::string(api) + "/approvals/" + percent_encoded(id);
    if (digest.empty()) {
        auto approval = context.ask("GET", path);
        if (!approval) return fail(approval.error());
        digest = text_at(*approval, "digest");
        // What is decided is what was read just now; show it, so that a person sees what they said
        // yes to.
        if (!context.json) std::printf("%s", std::string(text_at(*approval, "shown")).c_str());
    }
    JsonWriter body;
    body.begin('{').pair("decision", approve ? "approve" : "deny").pair("digest", digest);
    if (!reason.empty()) body.pair("reason", reason);
    auto text = context.ask_text("POST", path + "/decision", body.end('}').take());
    if (!text) return fail(text.error());
    if (!print_json(context, *text))
        std::printf("%s %s\n", approve ? "approved" : "denied", id.c_str());
    return 0;
}

int verb_replay(Context const& context, std::string const& session) {
    std::string after = "0";
    while (true) {
        auto page = context.ask("GET", std::string(api) + "/sessions/" + percent_encoded(session) +
                                           "/events?limit=500&after=" + after);
        if (!page) return fail(page.error());
        for (auto const& record : member(*page, "items")->get_array())
            std::printf("%s\n",
                        context.json ? to_text(record).c_str() : record_line(record).c_str());
        after = text_at(*page, "next");
        if (after.empty()) return 0;
    }
}

int verb_context(Context const& context, std::string const& session, std::string const& at) {
    auto text = context.ask_text("GET", std::string(api) + "/sessions/" + percent_encoded(session) +
                                            "/context" + (at.empty() ? "" : "?at=" + at));
    if (!text) return fail(text.error());
    std::printf("%s\n", text->c_str());
    return 0;
}

int verb_tail(Context const& context, bool follow, long count) {
    auto head = context.ask("GET", std::string(api) + "/ledger/head");
    if (!head) return fail(head.error());
    auto last = int_at(*head, "seq");
    auto first = std::max<std::int64_t>(0, last - count);
    std::string pending;
    auto done = local_stream(
        context.target(), std::string(api) + "/events?after=" + std::to_string(first),
        [&](std::string_view bytes) {
            pending += bytes;
            std::size_t used = 0;
            bool go_on = follow || first < last;
            for (std::size_t end; go_on && (end = pending.find('\n', used)) != std::string::npos;
                 used = end + 1) {
                std::string_view line(pending.data() + used, end - used);
                if (!line.starts_with("data: ")) continue;
                auto record = parse_json(line.substr(6));
                if (!record) continue;
                std::printf("%s\n",
                            context.json ? to_text(*record).c_str() : record_line(*record).c_str());
                std::fflush(stdout);
                if (!follow && int_at(*record, "seq") >= last) go_on = false;
            }
            pending.erase(0, used);
            return go_on;
        });
    if (!done && done.error().fault != Fault::cancelled) return fail(done.error());
    return 0;
}

int verb_channel_test(Context const& context, std::string const& name) {
    auto channel = context.ask("GET", std::string(api) + "/channels/" + percent_encoded(name));
    if (!channel) return fail(channel.error());
    auto link = std::string(text_at(*channel, "link")),
         detail = std::string(text_at(*channel, "detail"));
    if (!print_json(context, to_text(*channel)))
        std::printf("%s is %s%s%s\n", name.c_str(), link.c_str(), detail.empty() ? "" : ": ",
                    visible(detail).c_str());
    return link == "connected" ? 0 : 1;
}

}  // namespace parley
