// What is wrong with a home, and how to mend it. It changes nothing.
#include "base/clock.hpp"
#include "base/limits.hpp"
#include "cli/context.hpp"
#include "config/config.hpp"
#include "config/prices.hpp"
#include "plugin/catalogue.hpp"
#include "vault/ask.hpp"
#include "vault/vault.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

namespace parley {

namespace {

struct Finding {
    bool good, is_warning;
    std::string what;
};

// Can this machine give a command runner its namespaces? By clone, since a process that was only
// forked from one with threads may not unshare.
bool namespaces_work() {
    auto child = static_cast<pid_t>(
        syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
    if (child == 0) _exit(0);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

class Doctor {
public:
    explicit Doctor(Context const& context) : context_(context) {}

    void look() {
        if (!check("home", check_home(context_.home))) return;
        auto config = load_config(context_.home);
        if (!config)
            add(false, "configuration: " + config.error().what);
        else {
            add(true, "configuration: " + std::to_string(config->agents.size()) + " agents, " +
                          std::to_string(config->models.size()) + " models, " +
                          std::to_string(config->channels.size()) + " channels");
            for (auto const& key : config->overrides) add(true, "overrides.yaml changes " + key);
            look_at_prices(*config);
        }
        auto vault =
            Vault::open(context_.home / "vault/secrets.vault", {vault_key_path(), ask_passphrase});
        if (check("vault", vault)) {
            auto tokens = Tokens::load(context_.home / "tokens", **vault);
            if (check("tokens", tokens))
                for (auto scope : {Scope::admin, Scope::read})
                    if (!tokens->has(scope))
                        add(false, std::string("tokens: there is no ") +
                                       (scope == Scope::admin ? "admin" : "read") +
                                       " token; make one with: parley token rotate " +
                                       (scope == Scope::admin ? "admin" : "read"));
            if (config) look_at_secrets(*config, **vault);
        }
        std::error_code error;
        add(std::filesystem::exists(context_.programs->worker, error),
            "worker program: " + context_.programs->worker.string());
        add(namespaces_work(),
            namespaces_work()
                ? "namespaces: usable"
                : "namespaces: this kernel refuses them to this user, so the shell skill will be "
                  "refused; "
                  "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)");
        if (config) look_at_plugins(*config);
        add(true, context_.host_answers() ? "host: running"
                                          : "host: not running; start it with: parley run");
    }

    int report() const {
        bool sound = true;
        JsonWriter out;
        out.begin('{').key("findings").begin('[');
        for (auto const& finding : findings_) {
            sound = sound && finding.good;
            out.begin('{').key("good").boolean(finding.good);
            if (finding.is_warning) out.key("warning").boolean(true);
            out.pair("what", finding.what).end('}');
        }
        out.end(']').key("sound").boolean(sound).end('}');
        if (!print_json(context_, out.text()))
            for (auto const& finding : findings_)
                std::printf("%s  %s\n",
                            finding.is_warning ? "warn"
                            : finding.good     ? "ok  "
                                               : "WRONG",
                            finding.what.c_str());
        return sound ? 0 : 1;
    }

private:
    void add(bool good, std::string what) { findings_.push_back({good, false, std::move(what)}); }
    // It works, and will cost somebody something.
    void warn(std::string what) { findings_.push_back({true, true, std::move(what)}); }

    template <class T>
    bool check(char const* name, Result<T> const& result) {
        add(bool(result), std::string(name) + ": " + (result ? "good" : result.error().what));
        return bool(result);
    }

    void look_at_secrets(Config const& config, Vault const& vault) {
        auto need = [&](std::string const& where,
                        std::map<std::string, SecretName> const& secrets) {
            for (auto const& [field, name] : secrets)
                if (!vault.has(name.scope, name.key))
                    add(false, where + " needs the secret " + name.text() +
                                   "; set it with: parley secret set " + name.text());
        };
        for (auto const& [id, plugin] : config.plugins) need("plugin " + id.text, plugin.secrets);
        for (auto const& [name, model] : config.models) need("model " + name, model.secrets);
        for (auto const& [name, channel] : config.channels)
            need("channel " + name.text, channel.secrets);
    }

    void look_at_prices(Config& config) {
        auto table = PriceTable::load(context_.programs->prices);
        if (!table) return add(false, "prices: " + table.error().what);
        table->apply(config);
        std::string from_table;
        for (auto const& [name, model] : config.models)
            if (model.price_source.starts_with("table"))
                from_table += (from_table.empty() ? "" : ", ") + name;
        auto days = table->days_old(SystemClock().now_us());
        if (!from_table.empty() && days > limits::price_table_days)
            warn("prices: the table is of " + table->date() + ", " + std::to_string(days) +
                 " days old; give a price of your own in parley.yaml to: " + from_table);
        else if (!from_table.empty())
            add(true, "prices: from the table of " + table->date() + ": " + from_table);
        for (auto const& [agent, rules] : config.agents)
            for (auto const& name : models_in_order(config, rules.model))
                if (!config.models.at(name).price && has_money_cap(config, rules))
                    warn("model " + name + " has no price, and agent " + agent.text +
                         " is under a budget in money, which cannot count it; give the model a "
                         "price in parley.yaml (zeros mean free)");
    }

    static bool has_money_cap(Config const& config, AgentConfig const& agent) {
        auto const is_money = [](std::optional<BudgetConfig> const& budget) {
            return budget && budget->limit_nano_usd;
        };
        return is_money(config.global_budget) || is_money(agent.budget);
    }

    void look_at_plugins(Config const& config) {
        Catalogue catalogue;
        catalogue.scan(context_.programs->plugins, config);
        for (auto const& entry : catalogue.entries())
            if (entry.state == PluginState::refused)
                add(false, "plugin " + entry.id.text + ": " + entry.reason);
        for (auto const& [id, plugin] : config.plugins)
            if (plugin.enabled && plugin.isolation == Isolation::reduced)
                add(true,
                    "plugin " + id.text + ": runs with reduced isolation, as parley.yaml says");
        for (auto const& hook : config.hooks)
            if (auto const* entry = catalogue.usable(hook.plugin);
                !entry || entry->file->manifest().hooks.empty())
                add(false, "hook " + hook.plugin.text +
                               " cannot be used, so no message passes; enable it, or take it out "
                               "of hooks in parley.yaml");
        for (auto const& [id, plugin] : config.plugins)
            if (plugin.enabled && !catalogue.find(id))
                add(false, "plugin " + id.text + " is enabled, but there is no such file in " +
                               context_.programs->plugins.string() + " or " +
                               (config.home / "plugins").string());
    }

    Context const& context_;
    std::vector<Finding> findings_;
};

}  // namespace

int verb_doctor(Context const& context) {
    Doctor doctor(context);
    doctor.look();
    return doctor.report();
}

}  // namespace parley
