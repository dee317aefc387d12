// Plugins: what is there, and what the operator accepts.
#include "base/text.hpp"
#include "cli/open_home.hpp"
#include "plugin/catalogue.hpp"
#include "plugin/lock.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>

namespace parley {

namespace {

Result<Catalogue> scanned(Context const& context) {
    TRY(config, load_config(context.home));
    Catalogue catalogue;
    catalogue.scan(context.programs->plugins, config);
    return catalogue;
}

// A running host records what it finds changed; else it is recorded here.
int note_lock(Context const& context, std::string const& id, std::string const& hash,
              std::string const& words) {
    JsonWriter body;
    body.begin('{').pair("plugin", id).pair("hash", hash).end('}');
    if (!context.host_answers()) {
        auto home = OpenHome::take(context.home);
        if (!home) return fail(home.error());
        if (auto noted = (*home)->record("plugin.locked", body.text()); !noted)
            return fail(noted.error());
    }
    return say(context, body.text(),
               words + "; a running host takes it up with: parley plugin enable " + id);
}

}  // namespace

int verb_plugin_list(Context const& context) {
    if (context.host_answers())
        return verb_list(context, "/plugins", {"id", "version", "state", "isolation", "reason"});
    auto catalogue = scanned(context);
    if (!catalogue) return fail(catalogue.error());
    JsonWriter out;
    out.begin('{').key("items").begin('[');
    for (auto const& entry : catalogue->entries()) out.raw(to_json(entry));
    out.end(']').key("next").null().end('}');
    if (!print_json(context, out.text()))
        print_table(*parse_json(out.text()), {"id", "version", "state", "isolation", "reason"});
    return 0;
}

int verb_plugin_show(Context const& context, std::string const& id) {
    std::string text;
    if (context.host_answers()) {
        auto answer = context.ask_text("GET", "/api/v1/plugins/" + percent_encoded(id));
        if (!answer) return fail(answer.error());
        text = std::move(*answer);
    } else {
        auto catalogue = scanned(context);
        if (!catalogue) return fail(catalogue.error());
        auto const* entry = catalogue->find(PluginId(id));
        if (!entry) return fail("there is no plugin " + id);
        text = to_json(*entry);
    }
    auto plugin = parse_json(text);
    if (!plugin) return fail(plugin.error());
    // Our documents begin with a version of their own, so the plugin's is named as `check` names
    // it.
    if (auto* members = context.json ? plugin->if_object() : nullptr;
        members && members->contains("version")) {
        (*members)["plugin_version"] = (*members)["version"];
        members->erase("version");
    }
    if (!print_json(context, to_text(*plugin))) print_members(*plugin);
    return 0;
}

// Shows the rights that a third party's file asks for, and asks before they are accepted.
int verb_plugin_lock(Context const& context, std::string const& id, bool yes) {
    auto catalogue = scanned(context);
    if (!catalogue) return fail(catalogue.error());
    auto const* entry = catalogue->find(PluginId(id));
    if (!entry || !entry->file)
        return fail("there is no readable plugin " + id + (entry ? ": " + entry->reason : ""));
    if (entry->first_party)
        return say(context, one("plugin", id), id + " is our own and needs no lock");
    auto lock = read_lock(context.home);
    if (!lock) return fail(lock.error());
    auto rights = rights_of(entry->file->manifest());
    auto before = lock->find(PluginId(id));
    if (!context.json) {
        std::printf("%s %s\nfile %s\nhash %s\n", id.c_str(),
                    entry->file->manifest().version.c_str(), entry->path.c_str(),
                    entry->file->hash().c_str());
        for (auto const& right : rights) {
            bool known = before != lock->end() &&
                         std::find(before->second.rights.begin(), before->second.rights.end(),
                                   right) != before->second.rights.end();
            std::printf("  %c %s\n",
                        before == lock->end() ? ' '
                        : known               ? ' '
                                              : '+',
                        visible(right).c_str());
        }
        if (before != lock->end())
            for (auto const& right : before->second.rights)
                if (std::find(rights.begin(), rights.end(), right) == rights.end())
                    std::printf("  - %s\n", visible(right).c_str());
    }
    if (!yes) {
        if (!is_terminal(0)) return fail("not accepted: say --yes, or run it in a terminal");
        std::printf("accept? [y/N] ");
        std::fflush(stdout);
        std::string line;
        if (!std::getline(std::cin, line) || (line != "y" && line != "yes"))
            return fail("not accepted");
    }
    if (auto accepted = accept(context.home, *lock, *entry->file); !accepted)
        return fail(accepted.error());
    return note_lock(context, id, (*lock)[PluginId(id)].hash, "accepted");
}

int verb_plugin_rollback(Context const& context, std::string const& id) {
    auto catalogue = scanned(context);
    if (!catalogue) return fail(catalogue.error());
    auto const* entry = catalogue->find(PluginId(id));
    if (!entry || entry->first_party) return fail("there is no third party's plugin " + id);
    auto lock = read_lock(context.home);
    if (!lock) return fail(lock.error());
    if (auto back = roll_back(context.home, *lock, PluginId(id), entry->path); !back)
        return fail(back.error());
    return note_lock(context, id, (*lock)[PluginId(id)].hash, "the file accepted before is back");
}

}  // namespace parley
