// One channel instance as an operator looks at it: what it is, whom it let in and whom not, what
// waits, and, in words with the way on, what stands between a message there and its answer.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "control/control.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <iterator>

namespace parley {

namespace {

// What else is counted as refused are no people: decisions, signatures, the sum of many.
bool is_person(std::string_view sender) {
    constexpr std::string_view types[] = {"id:", "account:", "mask:", "nick:"};
    return std::any_of(std::begin(types), std::end(types),
                       [&](auto type) { return sender.starts_with(type); });
}

class Look {
public:
    Look(ControlDeps const& deps, InstanceName const& name)
        : deps_(deps),
          config_(*deps.flow->config()),
          name_(name),
          channel_(config_.channels.at(name)),
          open_(deps.flow->channel(name)),
          plugin_(deps.plugins->find(channel_.plugin)) {}

    std::string brief() {
        begin();
        return out_.end('}').take();
    }

    std::string whole(std::int64_t started_us) {
        begin();
        add_plugin();
        add_secrets();
        add_agent();
        add_news(started_us);
        add_people();
        add_conversations();
        add_outbox();
        out_.key("problems").begin('[');
        for (auto const& problem : problems_) out_.string(problem);
        return out_.end(']').end('}').take();
    }

private:
    void begin() {
        out_.begin('{').pair("name", name_.text).pair("plugin", channel_.plugin.text);
        out_.pair("agent", channel_.agent.text);
        out_.pair("link", open_ ? name_of(open_->link()) : "closed");
        out_.pair("detail", open_ ? open_->detail() : why_closed());
    }

    std::string why_closed() const {
        if (!plugin_) return "there is no plugin " + channel_.plugin.text;
        auto const& why = deps_.flow->news(name_).why_closed;
        if (deps_.plugins->usable(channel_.plugin) && !why.empty()) return why;
        return std::string("plugin ") + name_of(plugin_->state) +
               (plugin_->reason.empty() ? "" : ": " + plugin_->reason);
    }

    void add_plugin() {
        out_.pair("plugin_state", plugin_ ? name_of(plugin_->state) : "missing");
        if (plugin_ && !plugin_->reason.empty()) out_.pair("plugin_reason", plugin_->reason);
        auto const& id = channel_.plugin.text;
        if (!plugin_)
            problem("there is no plugin " + id + "; see: parley plugin list");
        else if (plugin_->state == PluginState::disabled)
            problem("plugin " + id + " is switched off; switch it on with: parley plugin enable " +
                    id);
        else if (!deps_.plugins->usable(channel_.plugin) ||
                 plugin_->state == PluginState::quarantined)
            problem(why_closed() + "; see: parley plugin show " + id);
        else if (!open_)
            problem("the channel is not open: " + why_closed());
        else if (open_->link() != Channel::Link::connected)
            problem(std::string("it is not connected (") + name_of(open_->link()) +
                    (open_->detail().empty() ? "" : ": " + open_->detail()) + ")");
    }

    void add_secrets() {
        std::map<std::string, SecretName> bound;
        if (auto rules = config_.plugins.find(channel_.plugin); rules != config_.plugins.end())
            bound = rules->second.secrets;
        for (auto const& [field, secret] : channel_.secrets) bound[field] = secret;
        out_.key("secrets").begin('[');
        for (auto const& [field, secret] : bound) {
            bool is_set = deps_.vault->has(secret.scope, secret.key);
            out_.begin('{').pair("field", field).pair("secret", secret.text());
            out_.key("set").boolean(is_set).end('}');
            if (!is_set)
                problem("the vault has no secret " + secret.text() +
                        "; set it with: parley secret set " + secret.text());
        }
        out_.end(']');
        if (!plugin_ || !plugin_->file) return;
        for (auto const& field : plugin_->file->manifest().secrets)
            if (field.required && !bound.contains(field.name))
                problem("its secret '" + field.name +
                        "' is not bound; write in parley.yaml, at the channel: secrets: {" +
                        field.name + ": SCOPE/KEY}");
    }

    void add_agent() {
        auto agent = config_.agents.find(channel_.agent);
        auto model = agent == config_.agents.end() ? config_.models.end()
                                                   : config_.models.find(agent->second.model);
        if (model == config_.models.end()) return;
        out_.pair("model", model->first);
        auto const& provider = model->second.provider;
        if (auto const* entry = deps_.plugins->find(provider);
            !deps_.plugins->usable(provider) || entry->state == PluginState::quarantined)
            problem("model " + model->first + " cannot be asked: plugin " + provider.text + " is " +
                    (entry ? name_of(entry->state) : "missing") + "; see: parley plugin list");
        for (auto const& [field, secret] : model->second.secrets)
            if (!deps_.vault->has(secret.scope, secret.key))
                problem("model " + model->first + " has no secret " + secret.text() +
                        "; set it with: parley secret set " + secret.text());
    }

    void add_news(std::int64_t started_us) {
        auto const& news = deps_.flow->news(name_);
        out_.pair("since", iso_time(started_us));
        if (news.last_in_us) out_.pair("last_in", iso_time(news.last_in_us));
        if (news.last_out_us) out_.pair("last_out", iso_time(news.last_out_us));
        if (!news.last_error_us) return;
        out_.key("last_error").begin('{').pair("time", iso_time(news.last_error_us));
        out_.pair("text", news.last_error).end('}');
    }

    void add_people() {
        auto of_channel = [&] { return " " + name_.text + " SENDER"; };
        out_.key("approvers").begin('[');
        for (auto const& id : channel_.approvers) out_.string(id);
        out_.end(']').key("approver_places").begin('[');
        for (auto const& id : channel_.approvers) {
            auto place = deps_.ledger->get(Table::place, name_.text + '/' + id);
            out_.begin('{').pair("approver", id);
            if (place) out_.pair("conversation", *place);
            out_.end('}');
            if (!place)
                problem("approver " + id +
                        " has not written there in private yet, so no card can reach them");
        }
        if (channel_.approvers.empty() && config_.approvals_notify.empty())
            problem(
                "nobody can decide approvals in a chat; name who may with: parley channel "
                "allow --approver" +
                of_channel());

        std::vector<std::string> authorized;
        if (auto agent = config_.agents.find(channel_.agent); agent != config_.agents.end())
            if (auto list = agent->second.authorized_senders.find(name_);
                list != agent->second.authorized_senders.end())
                authorized = list->second;
        out_.end(']').key("authorized").begin('[');
        for (auto const& id : authorized) out_.string(id);
        if (authorized.empty())
            problem("nobody may speak there; let somebody in with: parley channel allow" +
                    of_channel());
        out_.end(']').key("refused").begin('[');
        for (auto const& refused : deps_.gate->refused(name_)) {
            out_.begin('{').pair("sender", refused.sender).pair("count", refused.count);
            out_.pair("last", iso_time(refused.last_us)).end('}');
            if (is_person(refused.sender))
                problem(refused.sender + " was refused; to let them in: parley channel allow " +
                        name_.text + ' ' + shell_word(refused.sender));
        }
        out_.end(']');
    }

    void add_conversations() {
        std::vector<std::shared_ptr<Session const>> owners;
        std::vector<std::string> ids;
        deps_.ledger->scan(Table::binding, name_.text + '/', "", [&](auto, auto id) {
            ids.emplace_back(id);
            return ids.size() < limits::list_items;
        });
        for (auto const& id : ids)
            if (auto session = deps_.sessions->find(SessionId(id)))
                owners.push_back(std::move(session));
        std::stable_sort(owners.begin(), owners.end(), [](auto const& one, auto const& other) {
            return one->updated_us > other->updated_us;
        });
        if (owners.size() > limits::channel_conversations)
            owners.resize(limits::channel_conversations);
        out_.key("conversations").begin('[');
        for (auto const& session : owners) {
            out_.begin('{').pair("conversation", session->conversation);
            out_.pair("session", session->id.text).pair("state", name_of(session->state));
            if (!session->reason.empty()) out_.pair("reason", session->reason);
            if (auto actor = parse_json(session->last_actor))
                out_.pair("sender", text_at(*actor, "sender"));
            out_.pair("updated", iso_time(session->updated_us)).end('}');
            auto where =
                "session " + session->id.text + " (conversation " + session->conversation + ")";
            if (session->state == SessionState::stopped)
                problem(where + " is stopped (" + session->reason + "): " + session->detail);
            if (session->state == SessionState::awaiting_approval)
                problem(where + " waits for an approval; see: parley approval list");
        }
        out_.end(']');
    }

    void add_outbox() {
        std::map<std::string, std::int64_t> counts{
            {"queued", 0}, {"sent", 0}, {"unknown", 0}, {"failed", 0}};
        JsonWriter messages;
        messages.begin('[');
        for (auto const& entry : deps_.flow->outbox()) {
            if (entry.instance != name_) continue;
            ++counts[entry.stage];
            messages.begin('{').pair("id", entry.id.text).pair("state", entry.stage);
            messages.pair("conversation", entry.conversation).pair("detail", entry.detail);
            messages.end('}');
        }
        out_.key("outbox").begin('{');
        for (auto const& [stage, count] : counts) out_.pair(stage, count);
        out_.key("messages").raw(messages.end(']').take()).end('}');
        if (auto lost = counts["unknown"] + counts["failed"])
            problem(std::to_string(lost) +
                    " messages did not arrive, or nobody knows; see: parley outbox list");
    }

    void problem(std::string words) { problems_.push_back(std::move(words)); }

    ControlDeps const& deps_;
    Config const& config_;
    InstanceName const& name_;
    ChannelConfig const& channel_;
    Channel const* open_;
    PluginEntry const* plugin_;
    JsonWriter out_;
    std::vector<std::string> problems_;
};

}  // namespace

std::string Control::channel_json(InstanceName const& name, bool whole) const {
    Look look(deps_, name);
    return whole ? look.whole(started_us_) : look.brief();
}

}  // namespace parley
