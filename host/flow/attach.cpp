// Files that come with a message, and the one that an agent was allowed to send.
#include "base/text.hpp"
#include "flow/flow.hpp"
#include "plugin/blobs.hpp"
#include "skill/inbox.hpp"

namespace parley {

namespace {

std::string sized(Attachment const& file) {
    return (file.type.empty() ? "" : file.type + ", ") + std::to_string(file.bytes) + " bytes";
}

}  // namespace

// Into the workspace, before the record that says so: a crash in between brings the same message
// again, and its files are found there. What cannot be taken is said, and holds up nothing.
std::vector<Flow::TakenFile> Flow::take_files(AgentName const& agent, Inbound const& message) {
    std::vector<TakenFile> taken;
    auto found = config_->agents.find(agent);
    auto* blobs = deps_.workers->blobs;
    for (auto const& attachment : message.attachments) {
        TakenFile one{attachment, {}, {}};
        // A name may hold a secret as well as a text may.
        if (deps_.mask(one.file.name)) one.file.name = plain_file_name(one.file.name);
        auto put = [&]() -> Result<std::string> {
            if (!blobs || found == config_->agents.end())
                return Error(Fault::unavailable, "there is no place for it");
            TRY(blob, blobs->open(message.instance.text, attachment.blob));
            one.file.bytes = blob->size();
            return put_in_inbox(found->second.workspace, one.file.name, *blob);
        }();
        if (put)
            one.path = *put;
        else
            one.lost = visible(put.error().what);
        taken.push_back(std::move(one));
    }
    return taken;
}

// What the model reads under the person's own words.
std::string Flow::with_files(std::string text, std::vector<TakenFile> const& taken) {
    for (auto const& one : taken) {
        if (!text.empty()) text += '\n';
        text += one.lost.empty()
                    ? "[attached file: " + one.path + " (" + sized(one.file) + ")]"
                    : "[attached file, not taken: " + one.file.name + ": " + one.lost + ']';
    }
    return text;
}

void Flow::write_taken(JsonWriter& out, std::vector<TakenFile> const& taken) {
    out.begin('[');
    for (auto const& one : taken) {
        out.begin('{').pair("digest", one.file.blob).pair("name", one.file.name);
        if (!one.file.type.empty()) out.pair("type", one.file.type);
        out.pair("bytes", static_cast<std::int64_t>(one.file.bytes));
        out.pair(one.lost.empty() ? "path" : "lost", one.lost.empty() ? one.path : one.lost);
        out.end('}');
    }
    out.end(']');
}

// From the plugin that read it to the channel that will send it.
Result<> Flow::hand_over(PluginId const& plugin, InstanceName const& instance,
                         std::vector<Attachment>& files) {
    for (auto& file : files) {
        MUST(deps_.workers->blobs->move(plugin.text, file.blob, instance.text));
        TRY(blob, deps_.workers->blobs->open(instance.text, file.blob));
        file.bytes = blob->size();
        if (deps_.mask(file.name)) file.name = plain_file_name(file.name);
    }
    return ok();
}

}  // namespace parley
