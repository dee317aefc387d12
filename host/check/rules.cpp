#include "check/rules.hpp"

namespace parley {

namespace {

using Kind = Rule::Kind;

constexpr Rule rules[] = {
    {1, "elf-sane", Kind::file},
    {2, "note-present", Kind::file},
    {3, "manifest-json", Kind::file},
    {4, "manifest-schema", Kind::file},
    {5, "id-version", Kind::file},
    {6, "one-export", Kind::file},
    {7, "no-gnu-unique", Kind::file},
    {8, "undefined-symbols", Kind::file},
    {9, "needed-allowlist", Kind::file},
    {10, "hardened", Kind::file},
    {11, "glibc-floor", Kind::file},
    {12, "ctor-count", Kind::file},
    {13, "runtime-detect", Kind::file},
    {14, "strip-stable", Kind::file},
    {15, "signature", Kind::file},
    {17, "load-now-local", Kind::play},
    {18, "entry-matches-manifest", Kind::play},
    {19, "struct-sizes", Kind::play},
    {20, "unknown-interface", Kind::play},
    {21, "declared-roles", Kind::play},
    {22, "minimal-host", Kind::play},
    {23, "older-host", Kind::play},
    {24, "newer-host", Kind::play},
    {25, "create-destroy", Kind::play},
    {26, "two-instances", Kind::play},
    {27, "bad-config", Kind::play},
    {28, "wrong-state", Kind::play},
    {29, "start-returns-fast", Kind::play},
    {30, "completes-once", Kind::play},
    {31, "refused-is-ended", Kind::play},
    {32, "response-schema", Kind::play},
    {33, "no-retained-pointers", Kind::play},
    {34, "no-borrowed-bytes", Kind::play},
    {35, "cancel-latency", Kind::play},
    {36, "deadline", Kind::play},
    {37, "backpressure", Kind::play},
    {38, "stale-id", Kind::play},
    {39, "concurrent-calls", Kind::play},
    {40, "strand-moves", Kind::play},
    {42, "refusing-host", Kind::play},
    {43, "unknown-members", Kind::play},
    {44, "large-input", Kind::play},
    {45, "secret-undeclared", Kind::play},
    {46, "secret-slot", Kind::play},
    {47, "secret-canary", Kind::play},
    {48, "egress-undeclared", Kind::play},
    {49, "approval-gate", Kind::play},
    {50, "process-hygiene", Kind::play},
    {52, "crash-containment", Kind::worker},
    {53, "quiet-shutdown", Kind::play},
    {54, "fuzz", Kind::play},
    {55, "failing-allocations", Kind::play},
};

}  // namespace

std::string Rule::code() const {
    auto digits = std::to_string(number);
    return (number < 10 ? "C0" : "C") + digits;
}

std::span<Rule const> check_rules() {
    return rules;
}

}  // namespace parley
