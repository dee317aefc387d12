#pragma once

// What the host says before anything else: how this worker is confined and what its plugin may
// ask for. Plain lines, so that the worker needs no JSON.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley::worker {

// How much of the system the plugin sees.
enum class Sandbox {
    strict,   // namespaces, and a root of its own that holds libraries and the granted folders
    reduced,  // the operator's word where the kernel gives no namespaces: all the rest holds
    command,  // the command runner: the system as it is, without the home and the key
};

struct Folder {
    std::string path;
    bool writable = false;
};

struct Setup {
    Sandbox sandbox = Sandbox::strict;
    std::vector<std::string> roles, services;
    std::vector<Folder> folders;
    std::vector<std::string> hidden;  // what a command must not find, folders included
    std::string probe;                // a file among the hidden that must not open
    unsigned long memory_mb = 512, open_files = 64, processes = 0;  // 0: no limit of its own
};

// Lines of "key value". Nothing when a line is not understood: a limit must not be lost.
std::optional<Setup> parse_setup(std::string_view text);

}  // namespace parley::worker
