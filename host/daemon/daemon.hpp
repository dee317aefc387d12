#pragma once

// Builds every room in plan order, keeps the host running, and takes the rooms down in reverse. It
// connects and decides nothing.
#include <filesystem>

namespace parley {

// Runs the host on this home until it is told to stop; the process's exit code. What plugins fetch
// is kept on the tape `record`, or comes from the tape `replay`, where one is named.
int run_host(std::filesystem::path const& home, std::filesystem::path const& record,
             std::filesystem::path const& replay);

// The folder of our own plugins, the program that holds one, and what `parley plugin new` copies:
// beside this program in a build tree, else where they are installed. $PARLEY_PLUGINS,
// $PARLEY_WORKER and $PARLEY_TEMPLATES say otherwise.
std::filesystem::path plugin_folder();
std::filesystem::path worker_program();
std::filesystem::path program_folder();  // of this very program
// What `parley plugin check` needs: its own program, and the schemas of the SDK.
std::filesystem::path check_program();
std::filesystem::path schema_folder();
std::filesystem::path template_folder();
// What models cost at their vendors.
std::filesystem::path price_table();

}  // namespace parley
