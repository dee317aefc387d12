#include "hunger.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace parley::worker {

namespace {

thread_local std::uint64_t left = 0;
std::atomic<bool> starved{false};

}  // namespace

Hunger::Hunger(std::uint64_t allocation) {
    left = allocation;
}
Hunger::~Hunger() {
    left = 0;
}
Fed::Fed() : before_(std::exchange(left, 0)) {}
Fed::~Fed() {
    left = before_;
}

bool has_starved() {
    return starved.exchange(false);
}

}  // namespace parley::worker

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

bool fails() {
    using parley::worker::left;
    if (left == 0 || --left > 0) return false;
    parley::worker::starved = true;
    errno = ENOMEM;
    return true;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

[[gnu::visibility("default")]] void* malloc(std::size_t size) {
    return fails() ? nullptr : __libc_malloc(size);
}
[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t size) {
    return fails() ? nullptr : __libc_calloc(count, size);
}
[[gnu::visibility("default")]] void* realloc(void* memory, std::size_t size) {
    return fails() ? nullptr : __libc_realloc(memory, size);
}
}

#endif
