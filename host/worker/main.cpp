// parley-worker: holds one plugin. It confines itself as the host says, proves it, and only then
// loads the plugin and speaks for it on descriptor 3. It never outlives the host.
#include "link.hpp"
#include "places.hpp"
#include "plugin.hpp"
#include "profile.hpp"
#include "setup.hpp"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace parley::worker {

namespace {

constexpr int link_descriptor = 3, plugin_descriptor = 4;

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out +=
            static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
    }
    out += '"';
}

std::string report(Profile const& profile) {
    std::string out = R"({"frame":1,"abi":1,"profile":[)";
    for (auto const& layer : profile.layers) {
        if (out.back() != '[') out += ',';
        append_quoted(out, layer);
    }
    out += ']';
    if (!profile.failure.empty()) {
        out += ",\"failure\":";
        append_quoted(out, profile.failure);
    }
    return out += '}';
}

int serve() {
    begin_life();
    this_is_the_strand();
    auto link = std::make_unique<SocketLink>(link_descriptor);
    Message message;
    if (!link->receive(message) || message.type != PARLEY_F_SETUP) return 1;
    auto setup = parse_setup(message.body);
    Profile profile;
    std::string path = "/proc/self/fd/" + std::to_string(plugin_descriptor);
    if (!setup) {
        profile.failure = "the worker does not understand the host: different releases?";
    } else {
        bool has_namespaces = setup->sandbox != Sandbox::reduced;
        if (has_namespaces) enter_namespaces(*setup, link_descriptor, profile);
        if (has_namespaces && profile.failure.empty())
            path = arrange(*setup, plugin_descriptor, profile);
        if (profile.failure.empty()) confine(*setup, profile);
        if (profile.failure.empty()) probe(*setup, profile);
    }
    link->send(PARLEY_F_READY, 0, {report(profile)});
    link->flush();
    if (!profile.failure.empty()) return 1;

    if (!link->receive(message) || message.type != PARLEY_F_CREATE) return 0;
    Plugin plugin(*link, *setup);
    if (!plugin.create(path, message.body)) return 1;
    while (link->receive(message)) {
        if (message.type == PARLEY_F_STOP) {
            plugin.destroy();
            break;
        }
        // What is known must not be lost if the next call is the plugin's last.
        if (message.type == PARLEY_F_START) link->flush();
        plugin.handle(message);
    }
    return 0;
}

}  // namespace

}  // namespace parley::worker

// No destructor and no exit handler of the plugin runs: the process is simply over.
int main() {
    _exit(parley::worker::serve());
}
