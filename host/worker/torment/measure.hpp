#pragma once

// How much of the process there is: threads, descriptors, memory, and what belongs to all of it. No
// /proc is needed, for there is none.
#include <array>
#include <cstddef>
#include <string>

namespace parley::worker {

std::size_t thread_count();      // without /proc: each id of this pid namespace is asked
std::size_t descriptor_count();  // above the standard three, without the link and the file
std::size_t heap_bytes();        // that libc has handed out
bool has_memory_left(std::size_t megabytes);

// What a plugin may not change, since all of the process shares it.
struct Surroundings {
    std::string folder, locale;
    unsigned mask = 0;
    std::size_t variables = 0;
    std::array<void*, 65> handlers{};

    static Surroundings now();
    // Names what differs, or nothing.
    std::string changes(Surroundings const& later) const;
};

}  // namespace parley::worker
