// parley-worker-check: torments one plugin for one check of `parley plugin check`. It confines
// itself exactly as a strict worker, proves it, and only then loads the plugin and plays the host
// for it. What it finds goes to descriptor 3, moved to where no plugin looks for it.
#include "acts.hpp"
#include "check/frames.h"
#include "link.hpp"
#include "places.hpp"
#include "profile.hpp"
#include "setup.hpp"
#include "stage.hpp"
#include "watch.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace parley::worker {

namespace {

constexpr int link_descriptor = 3, plugin_descriptor = 4, link_place = 40;

// The plugin finds nothing at the link's usual place that it could do harm by.
int move_link() {
    int moved = fcntl(link_descriptor, F_DUPFD_CLOEXEC, link_place);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup3(nothing, link_descriptor, O_CLOEXEC);
    close(nothing);
    return moved;
}

// Whoever sees what the sandbox refuses needs a filter that notes it; others are held as in a
// worker.
bool is_watched(std::string_view check) {
    return check == "load-now-local" || check == "process-hygiene";
}

int serve() {
    begin_life();
    // Arenas of our own threads would count against the plugin's memory.
    mallopt(M_ARENA_MAX, 1);
    int descriptor = move_link();
    auto link = std::make_unique<SocketLink>(descriptor);
    Message message;
    if (!link->receive(message) || message.type != PARLEY_F_SETUP) return 1;
    auto setup = parse_setup(message.body);
    if (!link->receive(message) || message.type != PARLEY_F_NOTE) return 1;
    std::string note(message.body);
    if (!link->receive(message) || message.type != PARLEY_F_SCRIPT) return 1;
    auto script = parse_script(message.body);
    Profile profile;
    std::string path;
    if (!setup || !script || setup->sandbox != Sandbox::strict) {
        profile.failure = "the program does not understand the host: different releases?";
    } else {
        script->note = std::move(note);
        enter_namespaces(*setup, descriptor, profile);
        if (profile.failure.empty()) path = arrange(*setup, plugin_descriptor, profile);
        if (is_watched(script->check)) watch::begin(*setup);
        if (profile.failure.empty()) confine(*setup, profile);
        if (profile.failure.empty()) probe(*setup, profile);
        watch::noted();  // the probes
    }
    link->send(PARLEY_F_READY, 0, {profile.failure});
    if (!profile.failure.empty()) return 1;
    Stage stage(*link, *script);
    if (!play(stage, *script, path)) stage.finding("!", "there is no such check in this program");
    link->send(PARLEY_F_OVER, 0, {});
    return 0;
}

}  // namespace

}  // namespace parley::worker

// No destructor and no exit handler of the plugin runs: the process is simply over.
int main() {
    _exit(parley::worker::serve());
}
