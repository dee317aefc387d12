// Which workers there are: one for each channel instance, each distinct model back end, each skill
// plugin that holds no grant; and one for each call that does.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

// All that the operator's files make of a worker: two specs with one key are the same worker.
std::string key_of(WorkerSpec const& spec) {
    JsonWriter out;
    out.begin('[').string(spec.file->hash()).string(spec.config);
    out.boolean(spec.allow_private).string(name_of(spec.isolation));
    for (auto const& [field, name] : spec.secrets) out.string(field).string(name.text());
    for (auto const& field : spec.reveal) out.string("reveal " + field);
    if (spec.inbound) out.string("inbound " + *spec.inbound);
    for (auto const& rule : spec.egress) {
        out.begin('[').string(rule.host).number(rule.port).boolean(rule.plain);
        for (auto const& method : rule.methods) out.string(method);
        out.boolean(rule.stream).end(']');
    }
    return out.end(']').take();
}

bool is_sound(Worker const& worker) {
    return worker.state() != Worker::State::quarantined && worker.state() != Worker::State::stopped;
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
        spec.reveal = {rules->second.reveal.begin(), rules->second.reveal.end()};
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
            if (auto profile = self->profile(); !profile.empty())
                body.key("profile").raw(profile).pair("profile_digest", hex(blake2b(profile)));
        draft.body = body.end('}').take();
        change.batch.record(std::move(draft));
        commit(std::move(change));
    });
}

// What is no longer as the configuration has it ends when its last call does; what is, stays.
// Workers of skills are made when first needed.
void Flow::open_instances() {
    for (auto it = standing_workers_.begin(); it != standing_workers_.end();) {
        auto const& [id, uses_egress] = it->first;
        auto& worker = it->second.worker;
        auto spec = skill_spec(id, uses_egress);
        if (spec && key_of(*spec) == it->second.key && is_sound(*worker)) {
            ++it;
            continue;
        }
        keep_until_ended(id, worker, nullptr);
        worker->retire();
        it = standing_workers_.erase(it);
    }

    provider_of_model_.clear();
    auto providers = providers_;
    std::erase_if(providers_,
                  [](auto const& open) { return !is_sound(*open.second.provider->worker()); });
    for (auto const& [model, config] : config_->models) provider_for(model);
    std::set<Provider const*> used;
    for (auto const& [model, provider] : provider_of_model_) used.insert(provider.get());
    std::erase_if(providers_,
                  [&](auto const& open) { return !used.contains(open.second.provider.get()); });
    for (auto const& [key, open] : providers) {
        if (used.contains(open.provider.get())) continue;
        keep_until_ended(open.plugin, open.provider->worker(), open.provider);
        open.provider->retire();
    }

    std::vector<InstanceName> gone;
    for (auto const& [name, open] : channels_)
        if (!config_->channels.contains(name)) gone.push_back(name);
    for (auto const& name : gone) close_channel(name);
    for (auto const& [name, channel] : config_->channels) open_channel(name);
    show_ending();
}

void Flow::keep_until_ended(PluginId const& plugin, std::shared_ptr<Worker> const& worker,
                            std::shared_ptr<void> owner) {
    ending_.push_back({plugin, worker, std::move(owner)});
    worker->on_state([this](Worker::State state, std::string const&) {
        // Later: the worker that says so is still at work.
        if (state == Worker::State::stopped && !stopping_)
            deps_.loop->post([this] { show_ending(); });
    });
}

void Flow::show_ending() {
    std::set<PluginId> ended;
    for (auto const& ending : ending_)
        if (ending.worker->state() == Worker::State::stopped) ended.insert(ending.plugin);
    std::erase_if(ending_, [](auto const& ending) {
        return ending.worker->state() == Worker::State::stopped;
    });
    for (auto const& id : ended) deps_.plugins->set_ending(id, false);
    for (auto const& ending : ending_) deps_.plugins->set_ending(ending.plugin, true);
}

// The next of this name is opened when the run of this one has ended: two would be two clients of
// one account.
void Flow::close_channel(InstanceName const& name) {
    auto node = channels_.extract(name);
    if (!node) return;
    auto& open = node.mapped();
    keep_until_ended(open.plugin, open.worker, open.channel);
    closing_.insert(name);
    open.channel->retire([this, name] {
        closing_.erase(name);
        if (!stopping_ && config_->channels.contains(name)) open_channel(name);
    });
}

void Flow::open_channel(InstanceName const& name) {
    if (closing_.contains(name)) return;
    auto const& channel = config_->channels.at(name);
    auto& why_closed = news_[name].why_closed;
    why_closed.clear();
    auto const* plugin = deps_.plugins->usable(channel.plugin);
    if (!plugin || !plugin->file->manifest().has_role("parley.channel/1")) {
        why_closed = "plugin " + channel.plugin.text + " is not usable as a channel";
        deps_.trace(2, "channel " + name.text + " is not open: " + why_closed);
        return close_channel(name);
    }
    auto spec = worker_spec(name.text, *plugin, channel.config, channel.secrets);
    if (!spec) {
        why_closed = spec.error().what;
        deps_.trace(2, "channel " + name.text + " is not open: " + why_closed);
        return close_channel(name);
    }
    if (channel.inbound) spec->inbound = webhook_url(*config_, name);
    auto inbound = spec->inbound;
    auto key = key_of(*spec);
    if (auto open = channels_.find(name); open != channels_.end())
        return open->second.key == key && is_sound(*open->second.worker) ? void()
                                                                         : close_channel(name);
    auto worker = Worker::create(*deps_.workers, std::move(*spec));
    watch(worker, name.text, channel.plugin);
    Channel::Sink sink;
    sink.on_message = [this](Inbound message, std::function<void()> taken) {
        receive(std::move(message), std::move(taken));
    };
    sink.on_link = [this, name](Channel::Link link, std::string const& detail) {
        if (stopping_ || link == Channel::Link::connecting) return;
        if (link != Channel::Link::connected && !detail.empty()) {
            auto& news = news_[name];
            news.last_error_us = deps_.ledger->now_us();
            news.last_error = visible(detail);
        }
        auto change = begin_change();
        Draft draft;
        draft.kind =
            link == Channel::Link::connected ? "channel.connected" : "channel.disconnected";
        JsonWriter body;
        body.begin('{').pair("instance", name.text).pair("detail", detail).end('}');
        draft.body = body.take();
        change.batch.record(std::move(draft));
        commit(std::move(change));
        if (link == Channel::Link::connected)
            deps_.loop->post([this, name] {
                wake_lines(name);
                tend_cards();
            });
    };
    auto last_cursor = [this, name] {
        return deps_.ledger->get(Table::cursor, name.text).value_or("");
    };
    auto opened = Channel::open(*deps_.loop, name, worker, last_cursor, std::move(sink), inbound);
    channels_[name] = {std::move(key), channel.plugin, worker, std::move(opened)};
}

std::shared_ptr<Provider> Flow::provider_for(std::string const& model) {
    if (auto known = provider_of_model_.find(model); known != provider_of_model_.end())
        return known->second;
    auto found = config_->models.find(model);
    if (found == config_->models.end()) return nullptr;
    auto const& id = found->second.provider;
    auto const* plugin = deps_.plugins->usable(id);
    if (!plugin || !plugin->file->manifest().has_role("parley.provider/1")) return nullptr;
    auto spec = worker_spec("model." + model, *plugin, found->second.config, found->second.secrets);
    if (!spec) {
        deps_.trace(2, "model " + model + " cannot be used: " + spec.error().what);
        return nullptr;
    }
    // Models of one back end share its worker.
    auto& open = providers_[key_of(*spec)];
    if (!open.provider) {
        auto worker = Worker::create(*deps_.workers, std::move(*spec));
        watch(worker, "model." + model, id);
        open = {id, std::make_shared<Provider>(worker, plugin->file->manifest().pending_calls)};
    }
    return provider_of_model_[model] = open.provider;
}

Result<WorkerSpec> Flow::skill_spec(PluginId const& id, bool uses_egress) const {
    auto const* plugin = deps_.plugins->usable(id);
    if (!plugin) return Error(Fault::unavailable, "plugin " + id.text + " is not usable");
    TRY(spec, worker_spec(id.text, *plugin, "{}", {}));
    if (!uses_egress) spec.egress.clear();
    return spec;
}

std::shared_ptr<Worker> Flow::standing_worker(PluginId const& id, bool uses_egress) {
    auto place = std::pair(id, uses_egress);
    if (auto found = standing_workers_.find(place); found != standing_workers_.end())
        return found->second.worker;
    auto spec = skill_spec(id, uses_egress);
    if (!spec) {
        deps_.trace(2, "plugin " + id.text + " cannot run: " + spec.error().what);
        return nullptr;
    }
    auto key = key_of(*spec);
    auto worker = Worker::create(*deps_.workers, std::move(*spec));
    watch(worker, id.text, id);
    standing_workers_[place] = {std::move(key), worker};
    return worker;
}

// A call that holds a grant has a worker of its own, which dies with it.
std::shared_ptr<Worker> Flow::skill_worker(SkillEntry const& entry, std::vector<Grant> grants) {
    if (grants.empty()) return standing_worker(entry.plugin, entry.spec->uses_egress);
    auto spec = skill_spec(entry.plugin, entry.spec->uses_egress);
    if (!spec) {
        deps_.trace(2, "skill " + entry.name + " cannot run: " + spec.error().what);
        return nullptr;
    }
    spec->grants = std::move(grants);
    return Worker::create(*deps_.workers, std::move(*spec));
}

}  // namespace parley
