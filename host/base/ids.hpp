#pragma once

// Names that must not be mistaken for one another are types of their own.
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace parley {

// A name of one kind. It compares and copies; what it may hold is checked where it comes in.
template <class Kind>
struct Name {
    std::string text;

    Name() = default;
    explicit Name(std::string text) : text(std::move(text)) {}
    explicit Name(std::string_view text) : text(text) {}
    explicit Name(char const* text) : text(text) {}

    bool empty() const { return text.empty(); }
    auto operator<=>(Name const&) const = default;
};

using AgentName = Name<struct AgentKind>;        // a folder below agents/
using InstanceName = Name<struct InstanceKind>;  // an entry of channels:, or `api`
using PluginId = Name<struct PluginKind>;        // [a-z0-9][a-z0-9._-]*
using SessionId = Name<struct SessionKind>;      // s-…
using CallId = Name<struct CallKind>;            // c-N, counted within a session
using ApprovalId = Name<struct ApprovalKind>;    // a-…
using OutboxId = Name<struct OutboxKind>;        // o-…

// The place of a record in the one sequence of the host; the first is 1, and 0 means none.
using Seq = std::uint64_t;

// A fresh id: the prefix, a time part that sorts, and 80 random bits, in lower-case base 32.
std::string fresh_id(std::string_view prefix, std::int64_t now_us);
// Random characters of [0-9a-z], five bits each.
std::string fresh_code(int characters);

// True for [a-z0-9][a-z0-9._-]*, at most 64 bytes: agents, instances, plugins, models, scopes.
bool is_name(std::string_view text);

}  // namespace parley

template <class Kind>
struct std::hash<parley::Name<Kind>> {
    std::size_t operator()(parley::Name<Kind> const& name) const noexcept {
        return std::hash<std::string>{}(name.text);
    }
};
