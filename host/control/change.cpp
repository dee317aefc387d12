// Routes that change something: each hands the wish to the room whose it is, and leaves a record.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "control/control.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <fstream>

namespace parley {

namespace {

Later<> answer_when_done(std::shared_ptr<Reply> reply) {
    return [reply](Result<> result) {
        if (result) send_json(*reply, R"({"done":true})");
        else send_error(*reply, result.error());
    };
}

bool write_text(std::filesystem::path const& path, std::string_view text) {
    auto temporary = path;
    temporary += ".new";
    {
        std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
        out << text;
        if (!out.flush()) return false;
    }
    std::error_code error;
    std::filesystem::permissions(temporary, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
    std::filesystem::rename(temporary, path, error);
    return !error;
}

std::string etag_of(AgentConfig const& agent) {
    return '"' + hex(blake2b(agent.soul + '\0' + agent.instructions)) + '"';
}

}  // namespace

void Control::message(Asked& asked) {
    Flow::ApiMessage message;
    message.agent = AgentName(asked.parts[0]);
    message.text = text_at(*asked.body, "text");
    message.conversation = text_at(*asked.body, "conversation");
    message.message_id = text_at(*asked.body, "message_id");
    message.actor = asked.caller.actor;
    deps_.flow->receive(std::move(message), [reply = asked.reply](Result<Flow::Accepted> accepted) {
        if (!accepted) return send_error(*reply, accepted.error());
        JsonWriter out;
        out.begin('{').pair("session", accepted->session.text);
        out.pair("seq", static_cast<std::int64_t>(accepted->seq));
        send_json(*reply, out.pair("conversation", accepted->conversation).end('}').take());
    });
}

void Control::put_agent(Asked& asked) {
    auto const& config = *deps_.flow->config();
    auto found = config.agents.find(AgentName(asked.parts[0]));
    if (found == config.agents.end()) return send_problem(*asked.reply, 404, "no agent " + asked.parts[0]);
    auto if_match = asked.request.header("if-match");
    if (!if_match) return send_problem(*asked.reply, 428, "send If-Match with the ETag that you read");
    if (*if_match != etag_of(found->second)) return send_problem(*asked.reply, 412, "the agent has changed; read it again");
    auto folder = config.home / "agents" / found->first.text;
    for (auto const& [key, file] : {std::pair("soul", "soul.md"), std::pair("instructions", "instructions.md")}) {
        auto const* text = member(*asked.body, key);
        if (!text) continue;
        if (!text->is_string()) return send_problem(*asked.reply, 400, std::string(key) + " must be text");
        if (!write_text(folder / file, text_at(*asked.body, key)))
            return send_problem(*asked.reply, 500, std::string(file) + " could not be written");
    }
    if (auto reloaded = deps_.reload(); !reloaded) return send_error(*asked.reply, reloaded.error());
    auto again = deps_.flow->config()->agents.find(AgentName(asked.parts[0]));
    Response response;
    response.headers.emplace_back("ETag", etag_of(again->second));
    response.body = agent_json(again->second, true);
    asked.reply->send(std::move(response));
}

void Control::cancel(Asked& asked) {
    deps_.flow->cancel(SessionId(asked.parts[0]), asked.caller.actor, answer_when_done(asked.reply));
}

void Control::resume(Asked& asked) {
    deps_.flow->resume(SessionId(asked.parts[0]), asked.caller.actor, answer_when_done(asked.reply));
}

void Control::resolve(Asked& asked) {
    auto word = text_at(*asked.body, "verdict");
    auto verdict = word == "done"       ? std::optional(Flow::Verdict::done)
                   : word == "not_done" ? std::optional(Flow::Verdict::not_done)
                   : word == "retry"    ? std::optional(Flow::Verdict::retry)
                                        : std::nullopt;
    if (!verdict) return send_problem(*asked.reply, 400, "verdict must be done, not_done or retry");
    deps_.flow->resolve(SessionId(asked.parts[0]), CallId(asked.parts[1]), *verdict,
                        std::string(clipped(text_at(*asked.body, "note"), 2000)), asked.caller.actor,
                        answer_when_done(asked.reply));
}

void Control::outbox_retry(Asked& asked) {
    deps_.flow->retry(OutboxId(asked.parts[0]), asked.caller.actor, answer_when_done(asked.reply));
}

void Control::outbox_drop(Asked& asked) {
    deps_.flow->drop(OutboxId(asked.parts[0]), asked.caller.actor, answer_when_done(asked.reply));
}

void Control::decide(Asked& asked) {
    auto word = text_at(*asked.body, "decision");
    if (word != "approve" && word != "deny")
        return send_problem(*asked.reply, 400, "decision must be approve or deny");
    Approvals::Decision decision;
    decision.id = ApprovalId(asked.parts[0]);
    decision.approve = word == "approve";
    decision.digest = text_at(*asked.body, "digest");
    decision.reason = clipped(text_at(*asked.body, "reason"), 2000);
    decision.actor = asked.caller.actor;
    deps_.flow->decide(std::move(decision), [reply = asked.reply](Result<Approval> approval) {
        if (approval) send_json(*reply, to_json(*approval));
        else send_error(*reply, approval.error());
    });
}

void Control::toggle_plugin(Asked& asked, bool enabled) {
    PluginId id(asked.parts[0]);
    auto const& config = *deps_.flow->config();
    // Switching on never accepts anything new: what the catalogue refuses stays refused.
    if (!config.plugins.contains(id)) return send_problem(*asked.reply, 404, "parley.yaml names no plugin " + id.text);
    if (auto written = write_override(config.home, "plugins/" + id.text + "/enabled", enabled ? "true" : "false"); !written)
        return send_error(*asked.reply, written.error());
    if (auto reloaded = deps_.reload(); !reloaded) return send_error(*asked.reply, reloaded.error());
    JsonWriter body;
    body.begin('{').pair("plugin", id.text).end('}');
    auto const* entry = deps_.plugins->find(id);
    record_and_answer(asked, enabled ? "plugin.enabled" : "plugin.disabled", body.take(),
                      entry ? to_json(*entry) : R"({"done":true})");
}

void Control::plugin_enable(Asked& asked) { toggle_plugin(asked, true); }
void Control::plugin_disable(Asked& asked) { toggle_plugin(asked, false); }

void Control::put_secret(Asked& asked) {
    auto name = parse_secret_name(asked.parts[0] + '/' + asked.parts[1]);
    if (!name) return send_error(*asked.reply, name.error());
    auto const* value = member(*asked.body, "value");
    if (!value || !value->is_string()) return send_problem(*asked.reply, 400, "value must be text");
    auto secret = Secret::from(text_at(*asked.body, "value"));
    auto set = secret ? deps_.vault->set(name->scope, name->key, std::move(*secret), deps_.ledger->now_us())
                      : Result<>(secret.error());
    if (!set) return send_error(*asked.reply, set.error());
    // A channel or model that waited for this secret can open now.
    if (auto reloaded = deps_.reload(); !reloaded) return send_error(*asked.reply, reloaded.error());
    secret_changed(asked, "secret.set", name->text());
}

void Control::remove_secret(Asked& asked) {
    auto name = parse_secret_name(asked.parts[0] + '/' + asked.parts[1]);
    auto removed = name ? deps_.vault->remove(name->scope, name->key) : Result<>(name.error());
    if (!removed) return send_error(*asked.reply, removed.error());
    secret_changed(asked, "secret.removed", name->text());
}

void Control::secret_changed(Asked& asked, char const* kind, std::string const& name) {
    auto generation = std::to_string(deps_.vault->generation());
    Draft draft;
    draft.kind = kind;
    draft.actor = asked.caller.actor;
    draft.body = R"({"secret":")" + name + R"(","generation":)" + generation + '}';
    auto batch = deps_.ledger->begin();
    batch.record(std::move(draft));
    batch.put(Table::meta, vault_generation, generation);
    deps_.ledger->commit(std::move(batch), [reply = asked.reply] { send_json(*reply, R"({"done":true})"); });
}

void Control::put_budget(Asked& asked) {
    auto const& config = *deps_.flow->config();
    auto const& name = asked.parts[0];
    std::string key;
    if (name == "global") key = "budgets/global";
    else if (auto slash = name.find_first_of("/:"); name.starts_with("agent") && slash == 5 &&
             config.agents.contains(AgentName(name.substr(6))))
        key = "agents/" + name.substr(6) + "/budget";
    if (key.empty()) return send_problem(*asked.reply, 404, "no budget " + name + " (global, or agent:NAME)");
    // JSON is YAML; the reader of the file checks it, and a bad one is taken back.
    auto path = config.home / "overrides.yaml";
    std::string before;
    if (std::ifstream in(path); in) before.assign(std::istreambuf_iterator<char>(in), {});
    if (auto written = write_override(config.home, key, to_text(*asked.body)); !written)
        return send_error(*asked.reply, written.error());
    if (auto reloaded = deps_.reload(); !reloaded) {
        write_text(path, before);
        return send_problem(*asked.reply, 400, reloaded.error().what);
    }
    std::string answer = R"({"done":true})";
    for (auto const& view : deps_.budgets->view(*deps_.flow->config()))
        if (view.name == name || (name.size() > 6 && view.name == "agent/" + name.substr(6))) answer = to_json(view);
    send_json(*asked.reply, std::move(answer));
}

void Control::put_token(Asked& asked) {
    auto const& word = asked.parts[0];
    if (word != "admin" && word != "read") return send_problem(*asked.reply, 404, "no token scope " + word);
    auto scope = word == "admin" ? Scope::admin : Scope::read;
    auto rotated = deps_.tokens->rotate(scope, text_at(*asked.body, "hash"));
    if (!rotated) return send_error(*asked.reply, rotated.error());
    drop_stale_streams();
    JsonWriter body;
    body.begin('{').pair("scope", word).end('}');
    record_and_answer(asked, "token.rotated", body.take(), R"({"done":true})");
}

}  // namespace parley
