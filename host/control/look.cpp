// Routes that show what is.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "control/control.hpp"

#include <boost/json/value.hpp>

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace parley {

namespace {

std::string at(std::map<std::string, std::string> const& query, char const* key) {
    auto found = query.find(key);
    return found == query.end() ? "" : found->second;
}

std::uint64_t number_at(std::map<std::string, std::string> const& query, char const* key, std::uint64_t fallback) {
    auto text = at(query, key);
    if (text.empty() || text.size() > 19 || text.find_first_not_of("0123456789") != std::string::npos) return fallback;
    return std::strtoull(text.c_str(), nullptr, 10);
}

// {items, next}: `next` is what to give as after= for the page that follows, or null.
class Page {
public:
    explicit Page(std::map<std::string, std::string> const& query)
        : left_(std::clamp<std::uint64_t>(number_at(query, "limit", 100), 1, limits::list_items)) {
        out_.begin('{').key("items").begin('[');
    }
    // False when the page is full; then the item was not taken.
    bool add(std::string const& json, std::string const& place) {
        if (left_ == 0) {
            has_more_ = true;
            return false;
        }
        --left_;
        last_ = place;
        out_.raw(json);
        return true;
    }
    std::string take() {
        out_.end(']').key("next");
        if (has_more_) out_.string(last_);
        else out_.null();
        return out_.end('}').take();
    }

private:
    JsonWriter out_;
    std::uint64_t left_;
    std::string last_;
    bool has_more_ = false;
};

std::int64_t resident_kb() {
    std::ifstream in("/proc/self/statm");
    std::int64_t whole = 0, resident = 0;
    in >> whole >> resident;
    return resident * 4;
}

}  // namespace

void Control::page(Asked& asked) {
    Response response;
    response.content_type = "text/html; charset=utf-8";
    response.headers.emplace_back("Content-Security-Policy",
                                  "default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
    response.body = "<!doctype html><title>AgentParley</title><p>AgentParley is running. Its API is at "
                    "/api/v1, described by /api/v1/openapi.json.\n";
    asked.reply->send(std::move(response));
}

void Control::health(Asked& asked) { send_json(*asked.reply, R"({"status":"ok"})"); }
void Control::openapi(Asked& asked) { send_json(*asked.reply, openapi_document()); }

void Control::metrics(Asked& asked) {
    std::int64_t pending = 0, open = 0;
    deps_.ledger->scan(Table::approval_due, "", "", [&](auto, auto) { return ++pending < 1'000'000; });
    deps_.ledger->scan(Table::active, "", "", [&](auto, auto) { return ++open < 1'000'000; });
    std::string text;
    auto figure = [&](char const* name, char const* kind, char const* help, std::int64_t value) {
        text += std::string("# HELP parley_") + name + ' ' + help + "\n# TYPE parley_" + name + ' ' + kind +
                "\nparley_" + name + ' ' + std::to_string(value) + '\n';
    };
    text += "# HELP parley_build_info The version that runs.\n# TYPE parley_build_info gauge\n"
            "parley_build_info{version=\"" PARLEY_VERSION "\"} 1\n";
    figure("ledger_records_total", "counter", "Durable records.", static_cast<std::int64_t>(deps_.ledger->durable_head()));
    figure("ledger_queued_bytes", "gauge", "Bytes that wait for the disk.", static_cast<std::int64_t>(deps_.ledger->queued_bytes()));
    figure("sessions_running", "gauge", "Sessions with a turn under way.", open);
    figure("approvals_open", "gauge", "Approvals that are pending.", pending);
    figure("resident_memory_bytes", "gauge", "Resident memory of the host.", resident_kb() * 1024);
    figure("event_streams", "gauge", "Open event streams.", static_cast<std::int64_t>(streams_.size()));
    Response response;
    response.content_type = "text/plain; version=0.0.4";
    response.body = std::move(text);
    asked.reply->send(std::move(response));
}

std::string Control::agent_json(AgentConfig const& agent, bool whole) const {
    JsonWriter out;
    out.begin('{').pair("name", agent.name.text).pair("model", agent.model);
    out.key("skills").begin('[');
    for (auto const& [name, skill] : deps_.flow->skills().all())
        if (may_use(agent, skill.plugin, skill.spec->name, skill.first_party)) out.string(name);
    out.end(']').key("channels").begin('[');
    for (auto const& [name, senders] : agent.authorized_senders) out.string(name.text);
    out.end(']').key("budget").boolean(agent.budget.has_value());
    if (whole) out.pair("soul", agent.soul).pair("instructions", agent.instructions);
    return out.end('}').take();
}

void Control::status(Asked& asked) {
    auto const& config = *deps_.flow->config();
    JsonWriter out;
    out.begin('{').pair("version", 1).pair("parley", PARLEY_VERSION).pair("home", config.home.string());
    out.pair("pid", static_cast<std::int64_t>(getpid())).pair("config", config.digest);
    out.pair("uptime_s", (deps_.ledger->now_us() - started_us_) / 1'000'000);
    out.pair("head", static_cast<std::int64_t>(deps_.ledger->durable_head()));
    out.pair("working", static_cast<std::int64_t>(deps_.flow->working()));
    out.key("agents").begin('[');
    for (auto const& [name, agent] : config.agents) out.raw(agent_json(agent, false));
    out.end(']').key("channels").begin('[');
    for (auto const& [name, channel] : config.channels) out.raw(channel_json(name, false));
    out.end(']').key("plugins").begin('[');
    for (auto const& entry : deps_.plugins->entries()) {
        out.begin('{').pair("id", entry.id.text).pair("state", name_of(entry.state));
        out.pair("isolation", name_of(entry.isolation));
        if (!entry.reason.empty()) out.pair("reason", entry.reason);
        out.end('}');
    }
    out.end(']').key("budgets").begin('[');
    for (auto const& view : deps_.budgets->view(config)) out.raw(to_json(view));
    send_json(*asked.reply, out.end(']').end('}').take());
}

void Control::agents(Asked& asked) {
    Page page(asked.query);
    for (auto const& [name, agent] : deps_.flow->config()->agents)
        if (name.text > at(asked.query, "after") && !page.add(agent_json(agent, false), name.text)) break;
    send_json(*asked.reply, page.take());
}

void Control::agent(Asked& asked) {
    auto const& agents = deps_.flow->config()->agents;
    auto found = agents.find(AgentName(asked.parts[0]));
    if (found == agents.end()) return send_problem(*asked.reply, 404, "no agent " + asked.parts[0]);
    Response response;
    response.body = agent_json(found->second, true);
    response.headers.emplace_back("ETag", '"' + hex(blake2b(found->second.soul + '\0' + found->second.instructions)) + '"');
    asked.reply->send(std::move(response));
}

void Control::channels(Asked& asked) {
    Page page(asked.query);
    for (auto const& [name, channel] : deps_.flow->config()->channels)
        if (name.text > at(asked.query, "after") && !page.add(channel_json(name, false), name.text)) break;
    send_json(*asked.reply, page.take());
}

void Control::channel(Asked& asked) {
    InstanceName name(asked.parts[0]);
    if (!deps_.flow->config()->channels.contains(name)) return send_problem(*asked.reply, 404, "no channel " + name.text);
    send_json(*asked.reply, channel_json(name, true));
}

void Control::sessions(Asked& asked) {
    auto agent = at(asked.query, "agent"), state = at(asked.query, "state");
    if (!state.empty() && !state_named(state)) return send_problem(*asked.reply, 400, "there is no state " + state);
    Page page(asked.query);
    // A filter that matches little still ends: at most this many are looked at for one page.
    std::size_t looked = 0;
    deps_.sessions->list(at(asked.query, "after"), [&](Session const& session) {
        bool fits = (agent.empty() || session.agent.text == agent) && (state.empty() || state == name_of(session.state));
        return (!fits || page.add(to_json(session), session.id.text)) && ++looked < limits::sessions_looked_at;
    });
    send_json(*asked.reply, page.take());
}

void Control::session(Asked& asked) {
    auto session = deps_.sessions->find(SessionId(asked.parts[0]));
    if (!session) return send_problem(*asked.reply, 404, "no session " + asked.parts[0]);
    send_json(*asked.reply, to_json(*session));
}

void Control::session_events(Asked& asked) {
    SessionId id(asked.parts[0]);
    if (!deps_.sessions->find(id)) return send_problem(*asked.reply, 404, "no session " + id.text);
    Page page(asked.query);
    deps_.ledger->session_records(id, number_at(asked.query, "after", 0) + 1, [&](Record const& record) {
        return page.add(to_json(record), std::to_string(record.seq));
    });
    send_json(*asked.reply, page.take());
}

void Control::context(Asked& asked) {
    auto request = deps_.flow->context(SessionId(asked.parts[0]), number_at(asked.query, "at", 0));
    if (!request) return send_error(*asked.reply, request.error());
    send_json(*asked.reply, std::move(*request));
}

void Control::outbox(Asked& asked) {
    Page page(asked.query);
    for (auto const& entry : deps_.flow->outbox())
        if (entry.id.text > at(asked.query, "after") && !page.add(to_json(entry), entry.id.text)) break;
    send_json(*asked.reply, page.take());
}

void Control::approvals(Asked& asked) {
    auto state = at(asked.query, "state");
    if (!state.empty() && !approval_state_named(state)) return send_problem(*asked.reply, 400, "there is no state " + state);
    Page page(asked.query);
    std::size_t looked = 0;
    auto add = [&](Approval const& approval) {
        bool fits = state.empty() || state == name_of(approval.state);
        return (!fits || page.add(to_json(approval, deps_.flow->reach(approval)), approval.id.text)) && ++looked < limits::sessions_looked_at;
    };
    if (state == "pending") {
        // The open ones have an index; history need not be read to find them.
        for (auto const& approval : deps_.approvals->expired(std::numeric_limits<std::int64_t>::max()))
            if (approval.id.text > at(asked.query, "after") && !add(approval)) break;
    } else {
        deps_.approvals->list(at(asked.query, "after"), add);
    }
    send_json(*asked.reply, page.take());
}

void Control::approval(Asked& asked) {
    auto approval = deps_.approvals->find(ApprovalId(asked.parts[0]));
    if (!approval) return send_problem(*asked.reply, 404, "no approval " + asked.parts[0]);
    send_json(*asked.reply, to_json(*approval, deps_.flow->reach(*approval)));
}

void Control::plugins(Asked& asked) {
    Page page(asked.query);
    // By place: ids are not in order here, and two refused files may share one.
    auto const& entries = deps_.plugins->entries();
    for (auto place = number_at(asked.query, "after", 0); place < entries.size(); ++place)
        if (!page.add(to_json(entries[place]), std::to_string(place + 1))) break;
    send_json(*asked.reply, page.take());
}

void Control::plugin(Asked& asked) {
    auto const* entry = deps_.plugins->find(PluginId(asked.parts[0]));
    if (!entry) return send_problem(*asked.reply, 404, "no plugin " + asked.parts[0]);
    send_json(*asked.reply, to_json(*entry));
}

void Control::secrets(Asked& asked) {
    Page page(asked.query);
    for (auto const& secret : deps_.vault->list()) {
        JsonWriter out;
        out.begin('{').pair("name", secret.scope + '/' + secret.key);
        out.pair("version", static_cast<std::int64_t>(secret.version)).pair("set", iso_time(secret.set_us)).end('}');
        if (secret.scope + '/' + secret.key > at(asked.query, "after") && !page.add(out.take(), secret.scope + '/' + secret.key)) break;
    }
    send_json(*asked.reply, page.take());
}

void Control::budgets(Asked& asked) {
    Page page(asked.query);
    auto views = deps_.budgets->view(*deps_.flow->config());
    for (auto place = number_at(asked.query, "after", 0); place < views.size(); ++place)
        if (!page.add(to_json(views[place]), std::to_string(place + 1))) break;
    send_json(*asked.reply, page.take());
}

void Control::ledger_head(Asked& asked) {
    auto record = deps_.ledger->record(deps_.ledger->durable_head());
    JsonWriter out;
    out.begin('{').pair("seq", static_cast<std::int64_t>(deps_.ledger->durable_head()));
    if (record) out.pair("hash", hex(record->hash)).pair("time", iso_time(record->time_us));
    send_json(*asked.reply, out.end('}').take());
}

void Control::ledger_record(Asked& asked) {
    auto const& text = asked.parts[0];
    auto record = text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos
                      ? deps_.ledger->record(std::strtoull(text.c_str(), nullptr, 10))
                      : std::nullopt;
    if (!record) return send_problem(*asked.reply, 404, "no record " + text);
    send_json(*asked.reply, to_json(*record));
}

void Control::ledger_checkpoints(Asked& asked) {
    Page page(asked.query);
    auto after = number_at(asked.query, "after", 0);
    for (auto const& checkpoint : deps_.ledger->checkpoints(limits::list_items))
        if (checkpoint.seq > after && !page.add(to_json(checkpoint), std::to_string(checkpoint.seq))) break;
    send_json(*asked.reply, page.take());
}

}  // namespace parley
