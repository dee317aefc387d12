#include "control/routes.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "control/control.hpp"

namespace parley {

std::vector<Route> const& routes() {
    using C = Control;
    static std::vector<Route> const table{
        {"GET", "/", Access::open, &C::page, "Where the API is"},
        {"GET", "/health", Access::open, &C::health, "Is the host up?"},
        {"GET", "/api/v1/openapi.json", Access::open, &C::openapi, "This document"},
        {"GET", "/metrics", Access::read, &C::metrics, "Figures for Prometheus"},
        {"GET", "/api/v1/status", Access::read, &C::status, "What runs, what does not, and why"},
        {"GET", "/api/v1/agents", Access::read, &C::agents, "Agents"},
        {"GET", "/api/v1/agents/{name}", Access::read, &C::agent, "One agent"},
        {"PUT", "/api/v1/agents/{name}", Access::admin, &C::put_agent, "Write soul and instructions (If-Match)"},
        {"POST", "/api/v1/agents/{name}/messages", Access::admin, &C::message, "Say something to an agent"},
        {"GET", "/api/v1/channels", Access::read, &C::channels, "Channel instances"},
        {"GET", "/api/v1/channels/{name}", Access::read, &C::channel, "One channel instance, with refused senders"},
        {"GET", "/api/v1/sessions", Access::read, &C::sessions, "Sessions (agent=, state=, after=, limit=)"},
        {"GET", "/api/v1/sessions/{id}", Access::read, &C::session, "One session"},
        {"GET", "/api/v1/sessions/{id}/events", Access::read, &C::session_events, "A session's records (after=, limit=)"},
        {"GET", "/api/v1/sessions/{id}/context", Access::read, &C::context, "The exact request that the provider was given (at=)"},
        {"POST", "/api/v1/sessions/{id}/cancel", Access::admin, &C::cancel, "End a session"},
        {"POST", "/api/v1/sessions/{id}/resume", Access::admin, &C::resume, "Let a stopped session go on"},
        {"POST", "/api/v1/sessions/{id}/calls/{call}/resolution", Access::admin, &C::resolve, "Decide an unknown outcome"},
        {"GET", "/api/v1/outbox", Access::read, &C::outbox, "Messages that wait or of which nobody knows"},
        {"POST", "/api/v1/outbox/{id}/retry", Access::admin, &C::outbox_retry, "Send one again"},
        {"POST", "/api/v1/outbox/{id}/drop", Access::admin, &C::outbox_drop, "Give one up"},
        {"GET", "/api/v1/approvals", Access::read, &C::approvals, "Approvals (state=, after=, limit=)"},
        {"GET", "/api/v1/approvals/{id}", Access::read, &C::approval, "One approval, whole"},
        {"POST", "/api/v1/approvals/{id}/decision", Access::admin, &C::decide, "Approve or deny exactly what was shown"},
        {"GET", "/api/v1/plugins", Access::read, &C::plugins, "Plugins and why each is or is not running"},
        {"GET", "/api/v1/plugins/{id}", Access::read, &C::plugin, "One plugin"},
        {"POST", "/api/v1/plugins/{id}/enable", Access::admin, &C::plugin_enable, "Switch a plugin on"},
        {"POST", "/api/v1/plugins/{id}/disable", Access::admin, &C::plugin_disable, "Switch a plugin off"},
        {"GET", "/api/v1/secrets", Access::admin, &C::secrets, "Names of secrets"},
        {"PUT", "/api/v1/secrets/{scope}/{key}", Access::admin, &C::put_secret, "Set a secret"},
        {"DELETE", "/api/v1/secrets/{scope}/{key}", Access::admin, &C::remove_secret, "Remove a secret"},
        {"GET", "/api/v1/budgets", Access::read, &C::budgets, "Budgets and what was spent"},
        {"PUT", "/api/v1/budgets/{name}", Access::admin, &C::put_budget, "Change a budget (global, or agent:NAME)"},
        {"PUT", "/api/v1/tokens/{scope}", Access::admin, &C::put_token, "Rotate a token by its hash"},
        {"GET", "/api/v1/events", Access::read, &C::events, "Records as they become durable, as server-sent events"},
        {"GET", "/api/v1/ledger/head", Access::read, &C::ledger_head, "The last durable record"},
        {"GET", "/api/v1/ledger/verify", Access::read, &C::ledger_verify, "Verify the whole chain"},
        {"GET", "/api/v1/ledger/export", Access::read, &C::ledger_export, "Records as NDJSON (from=, to=)"},
        {"GET", "/api/v1/ledger/checkpoints", Access::read, &C::ledger_checkpoints, "Signed checkpoints"},
        {"GET", "/api/v1/ledger/{seq}", Access::read, &C::ledger_record, "One record"},
    };
    return table;
}

namespace {

std::vector<std::string_view> segments(std::string_view path) {
    std::vector<std::string_view> list;
    for (std::size_t at = 1; at <= path.size();) {
        auto end = std::min(path.find('/', at), path.size());
        list.push_back(path.substr(at, end - at));
        at = end + 1;
    }
    return list;
}

bool fits(std::string_view pattern, std::vector<std::string_view> const& path,
          std::vector<std::string_view>& parts) {
    auto wanted = segments(pattern);
    if (wanted.size() != path.size()) return false;
    parts.clear();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i].starts_with('{') && !path[i].empty()) parts.push_back(path[i]);
        else if (wanted[i] != path[i]) return false;
    }
    return true;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Result<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0) return Error(Fault::bad_input, "a percent sign without two hex digits");
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    if (!is_utf8(out) || out.find('\0') != std::string::npos)
        return Error(Fault::bad_input, "the path or query is not text");
    return out;
}

Result<Match> match(std::string_view method, std::string_view path) {
    Match found;
    if (!path.starts_with('/')) return found;
    auto given = segments(path);
    std::vector<std::string_view> parts;
    for (auto const& route : routes()) {
        if (!fits(route.path, given, parts)) continue;
        // A fixed word is listed before the pattern that would also take it.
        if (found.path_is_known && found.route) break;
        found.path_is_known = true;
        // A word and a pattern that both fit may share a method.
        if (found.allow.find(route.method) == std::string::npos)
            found.allow += (found.allow.empty() ? "" : ", ") + std::string(route.method);
        if (route.method != method) continue;
        found.route = &route;
        for (auto part : parts) {
            TRY(decoded, percent_decoded(part));
            found.parts.push_back(std::move(decoded));
        }
    }
    return found;
}

Result<std::map<std::string, std::string>> parse_query(std::string_view query) {
    std::map<std::string, std::string> values;
    while (!query.empty()) {
        auto end = std::min(query.find('&'), query.size());
        auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        auto equals = pair.find('=');
        TRY(key, percent_decoded(pair.substr(0, equals)));
        TRY(value, percent_decoded(equals == std::string_view::npos ? "" : pair.substr(equals + 1)));
        if (!values.emplace(std::move(key), std::move(value)).second)
            return Error(Fault::bad_input, "a query parameter stands twice");
    }
    return values;
}

std::string openapi_document() {
    JsonWriter out;
    out.begin('{').pair("openapi", "3.1.0").key("info").begin('{');
    out.pair("title", "AgentParley").pair("version", PARLEY_VERSION).end('}');
    out.key("components").begin('{').key("securitySchemes").begin('{');
    for (auto const* scope : {"read", "admin"})
        out.key(scope).begin('{').pair("type", "http").pair("scheme", "bearer").end('}');
    out.end('}').end('}').key("paths").begin('{');
    std::vector<std::string_view> done;
    for (auto const& route : routes()) {
        if (std::find(done.begin(), done.end(), route.path) != done.end()) continue;
        done.push_back(route.path);
        out.key(route.path).begin('{');
        for (auto const& same : routes()) {
            if (same.path != route.path) continue;
            std::string method(same.method);
            for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
            out.key(method).begin('{').pair("summary", same.summary);
            out.pair("x-scope", same.access == Access::open ? "none" : same.access == Access::read ? "read" : "admin");
            out.key("security").begin('[');
            if (same.access == Access::read) out.begin('{').key("read").begin('[').end(']').end('}');
            if (same.access != Access::open) out.begin('{').key("admin").begin('[').end(']').end('}');
            out.end(']').key("parameters").begin('[');
            for (auto segment : segments(same.path))
                if (segment.starts_with('{'))
                    out.begin('{').pair("name", segment.substr(1, segment.size() - 2)).pair("in", "path")
                        .key("required").boolean(true).key("schema").begin('{').pair("type", "string")
                        .end('}').end('}');
            out.end(']').key("responses").begin('{').key("200").begin('{').pair("description", "done").end('}');
            out.key("default").begin('{').pair("description", "problem").key("content").begin('{');
            out.key("application/problem+json").begin('{').end('}').end('}').end('}');
            out.end('}').end('}');
        }
        out.end('}');
    }
    return out.end('}').end('}').take();
}

}  // namespace parley
