// Which workers there are: one for each channel instance, each distinct model back end, each skill
// plugin that holds no grant; and one for each call that does.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

std::string secrets_text(std::map<std::string, SecretName> const& secrets) {
    std::string text;
    for (auto const& [field, name] : secrets) text += field + '=' + name.text() + '\n';
    return text;
}

// A channel's or model's own config is laid over the plugin's, key by key; secrets likewise.
std::map<std::string, SecretName> merged(std::map<std::string, SecretName> base,
                                         std::map<std::string, SecretName> const& over) {
    for (auto const& [field, name] : over) base[field] = name;
    return base;
}

}  // namespace

Result<WorkerSpec> Flow::worker_spec(std::string name, PluginEntry const& plugin,
                                     std::string const& config,
                                     std::map<std::string, SecretName> const& secrets) const {
    auto const& manifest = plugin.file->manifest();
    auto rules = config_->plugins.find(plugin.id);
    WorkerSpec spec;
    spec.name = std::move(name);
    spec.file = plugin.file;
    std::string base = rules == config_->plugins.end() ? "{}" : rules->second.config;
    TRY(laid, lay_over(base, config));
    TRY(resolved, resolve_config(manifest, laid));
    spec.config = std::move(resolved);
    std::optional<std::vector<std::string>> narrowed;
    if (rules != config_->plugins.end()) {
        spec.secrets = merged(rules->second.secrets, secrets);
        spec.allow_private = rules->second.allow_private;
        spec.isolation = rules->second.isolation;
        narrowed = rules->second.egress;
    } else {
        spec.secrets = secrets;
    }
    for (auto const& field : manifest.secrets)
        if (field.required && !spec.secrets.contains(field.name))
            return Error(Fault::bad_input, "its secret '" + field.name +
                                               "' is not bound; add "
                                               "secrets: {" +
                                               field.name + ": SCOPE/KEY}");
    for (auto const& [field, secret] : spec.secrets) {
        if (!manifest.secret(field))
            return Error(Fault::bad_input, "the plugin declares no secret '" + field + "'");
        if (auto there = deps_.workers->secret(secret); !there)
            return Error(Fault::not_found, "the vault has no secret " + secret.text() +
                                               "; set it with: parley secret set " + secret.text());
    }
    TRY(egress, resolve_egress(manifest, spec.config, narrowed));
    spec.egress = std::move(egress);
    spec.home = config_->home;
    spec.key_file = deps_.key_file;
    spec.own_port = deps_.own_port;
    return spec;
}

void Flow::watch(std::shared_ptr<Worker> const& worker, std::string const& name,
                 PluginId const& id) {
    worker->on_state([this, name, id, weak = std::weak_ptr(worker)](Worker::State state,
                                                                    std::string const& reason) {
        if (stopping_) return;
        auto state_of = [&] {
            switch (state) {
                case Worker::State::starting:
                    return PluginState::loading;
                case Worker::State::ready:
                    return PluginState::healthy;
                case Worker::State::restarting:
                    return PluginState::restarting;
                case Worker::State::quarantined:
                    return PluginState::quarantined;
                case Worker::State::stopped:
                    return PluginState::stopped;
            }
            return PluginState::stopped;
        };
        deps_.plugins->set_state(id, state_of(), reason);
        char const* kind = state == Worker::State::ready         ? "plugin.loaded"
                           : state == Worker::State::restarting  ? "plugin.crashed"
                           : state == Worker::State::quarantined ? "plugin.quarantined"
                                                                 : nullptr;
        if (!kind) return;
        auto change = begin_change();
        Draft draft;
        draft.kind = kind;
        JsonWriter body;
        body.begin('{').pair("plugin", id.text).pair("worker", name);
        if (!reason.empty()) body.pair("reason", reason);
        if (auto const* entry = deps_.plugins->find(id); entry && entry->file)
            body.pair("file", entry->file->hash()).pair("version", entry->file->manifest().version);
        if (auto self = weak.lock(); self && state == Worker::State::ready)
            if (auto profile = self->profile(); !profile.empty()) body.key("profile").raw(profile);
        draft.body = body.end('}').take();
        change.batch.record(std::move(draft));
        commit(std::move(change));
    });
}

void Flow::open_instances() {
    // Workers of skills and models are made when first needed, from what is in force then.
    for (auto& [key, worker] : skill_workers_) worker->stop();
    skill_workers_.clear();
    provider_of_model_.clear();
    for (auto it = channels_.begin(); it != channels_.end();) {
        if (config_->channels.contains(it->first)) {
            ++it;
            continue;
        }
        it->second.channel->stop();
        it = channels_.erase(it);
    }
    for (auto const& [name, channel] : config_->channels) open_channel(name, channel);
}

void Flow::open_channel(InstanceName const& name, ChannelConfig const& channel) {
    auto close = [&] {
        if (auto open = channels_.find(name); open != channels_.end()) {
            open->second.channel->stop();
            channels_.erase(open);
        }
    };
    auto const* plugin = deps_.plugins->usable(channel.plugin);
    if (!plugin || !plugin->file->manifest().has_role("parley.channel/1")) {
        deps_.trace(2, "channel " + name.text + " is not open: plugin " + channel.plugin.text +
                           " is not usable as a channel");
        return close();
    }
    auto spec = worker_spec(name.text, *plugin, channel.config, channel.secrets);
    if (!spec) {
        deps_.trace(2, "channel " + name.text + " is not open: " + spec.error().what);
        return close();
    }
    std::string key =
        plugin->file->hash() + '\n' + spec->config + '\n' + secrets_text(spec->secrets);
    if (auto open = channels_.find(name); open != channels_.end()) {
        if (open->second.key == key) return;
        close();
    }
    auto worker = Worker::create(*deps_.workers, std::move(*spec));
    watch(worker, name.text, channel.plugin);
    Channel::Sink sink;
    sink.on_message = [this](Inbound message, std::function<void()> taken) {
        receive(std::move(message), std::move(taken));
    };
    sink.on_link = [this, name](Channel::Link link, std::string const& detail) {
        if (stopping_ || link == Channel::Link::connecting) return;
        auto change = begin_change();
        Draft draft;
        draft.kind =
            link == Channel::Link::connected ? "channel.connected" : "channel.disconnected";
        JsonWriter body;
        body.begin('{').pair("instance", name.text).pair("detail", detail).end('}');
        draft.body = body.take();
        change.batch.record(std::move(draft));
        commit(std::move(change));
        if (link == Channel::Link::connected) deps_.loop->post([this, name] { wake_lines(name); });
    };
    channels_[name] = {
        key, Channel::open(
                 *deps_.loop, name, worker,
                 [this, name] { return deps_.ledger->get(Table::cursor, name.text).value_or(""); },
                 std::move(sink))};
}

Provider* Flow::provider_for(std::string const& model) {
    if (auto known = provider_of_model_.find(model); known != provider_of_model_.end())
        return known->second;
    auto found = config_->models.find(model);
    if (found == config_->models.end()) return nullptr;
    auto const* plugin = deps_.plugins->usable(found->second.provider);
    if (!plugin || !plugin->file->manifest().has_role("parley.provider/1")) return nullptr;
    auto spec = worker_spec("model." + model, *plugin, found->second.config, found->second.secrets);
    if (!spec) {
        deps_.trace(2, "model " + model + " cannot be used: " + spec.error().what);
        return nullptr;
    }
    auto key = plugin->file->hash() + '\n' + spec->config + '\n' + secrets_text(spec->secrets);
    auto& provider = providers_[key];
    if (!provider) {
        auto worker = Worker::create(*deps_.workers, std::move(*spec));
        watch(worker, "model." + model, found->second.provider);
        provider = std::make_shared<Provider>(worker, plugin->file->manifest().pending_calls);
    }
    provider_of_model_[model] = provider.get();
    return provider.get();
}

std::shared_ptr<Worker> Flow::skill_worker(SkillEntry const& entry, std::vector<Grant> grants) {
    auto const* plugin = deps_.plugins->usable(entry.plugin);
    if (!plugin) return nullptr;
    auto key = plugin->file->hash() + '\n' + plugin->id.text;
    if (grants.empty())
        if (auto found = skill_workers_.find(key); found != skill_workers_.end())
            return found->second;
    auto spec = worker_spec(entry.plugin.text, *plugin, "{}", {});
    if (!spec) {
        deps_.trace(2, "skill " + entry.name + " cannot run: " + spec.error().what);
        return nullptr;
    }
    if (!entry.spec->uses_egress) spec->egress.clear();
    bool is_own = !grants.empty();
    spec->grants = std::move(grants);
    auto worker = Worker::create(*deps_.workers, std::move(*spec));
    if (is_own) return worker;
    watch(worker, entry.plugin.text, entry.plugin);
    skill_workers_[key] = worker;
    return worker;
}

}  // namespace parley
