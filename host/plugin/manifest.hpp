#pragma once

// What a plugin says of itself, read from the file without running any of it. Unknown keys refuse
// the plugin at every level: a typo must not widen a right.
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "plugin/signature.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace parley {

enum class EffectClass { pure, idempotent, reconcilable, irreversible };
enum class ApprovalNeed { never, policy, always };
char const* name_of(EffectClass effect);
char const* name_of(ApprovalNeed need);

struct SecretField {
    std::string name;
    // inject: placed by the host. compute: never placed, only what is made with it. reveal: the
    // plugin may have the bytes.
    enum class Tier { inject, compute, reveal } tier = Tier::inject;
    bool required = false;
    std::vector<std::string> slots;  // header:NAME, path:TEXT, query:NAME, body:/pointer, stream
    std::vector<std::string> hosts;  // exact names; "from_config:KEY" binds it to that egress entry
};
struct EgressRule {
    std::string host;         // exact, or *.suffix; empty when from_config
    std::string from_config;  // config key whose URL (or host, with port beside it) is the target
    std::string port_from_config;  // the key beside it, for a stream
    bool plain = false;       // the operator wrote http:// or ws:// there; never set by a manifest
    std::uint16_t port = 0;   // 0: 443
    std::vector<std::string> methods;  // empty: any
    bool stream = false;      // a TCP/TLS stream, not HTTP
    bool ws = false;          // a WebSocket, not HTTP
};
struct GrantNeed {
    std::string name;  // `workspace` is the agent's own folder; `command` is the command runner
    enum class Access { read, write, run } access = Access::read;
    bool required = false;
};
struct SkillSpec {
    std::string name, summary;
    std::vector<std::string> keywords;
    std::string parameters;  // JSON Schema, exact text
    EffectClass effect = EffectClass::irreversible;
    ApprovalNeed approval = ApprovalNeed::always;
    bool uses_egress = false;
    bool sends_files = false;  // its result may carry the target, for the conversation
    bool has_preview = false;  // it can say in its own words what a call would do
    std::vector<std::string> uses_grants;
    std::string target;      // argument that names a file in the first grant: its present content
                             // is part of what is approved
    std::chrono::seconds timeout{120};
};

// Where a hook may stand, and over which text: a message, the reply, the names of the skills that an
// agent is offered, a call's arguments, a skill's result, the summary of a context that became too
// long, a request to a model, the text of its answer.
enum class HookPoint {
    message_in, message_out, skill_list, skill_before, skill_after, compaction, model_before,
    model_after,
};
char const* name_of(HookPoint point);

// What a channel's plugin can do beyond text; the host asks for nothing else.
struct ChannelFeatures {
    bool buttons = false, edit = false, typing = false, draft = false, markdown = false;
    bool commands = false;  // it tells /status, /stop and /new from messages by itself
    bool files = false;     // its send takes attachments
};

// Which requests from outside a channel's plugin hears: those that are signed with a secret, or
// carry it, as this says.
struct InboundNeed {
    enum class Scheme { hmac, token } scheme = Scheme::hmac;
    std::string secret;  // a declared field
    std::string header;  // lower case: where the signature, or the token, stands
    std::string prefix;  // of a signature: "sha256="
    DigestForm encoding = DigestForm::hex;
    KeyForm key = KeyForm::text;
    SignedText signed_text;
    std::string timestamp;           // the header that holds it, in seconds; empty: none
    std::chrono::seconds window{0};  // between it and now, either way
    std::vector<std::string> content_types{"application/json"};
    std::vector<std::string> headers;   // lower case: those that the plugin hears
    std::vector<std::string> examples;  // bodies, for whoever checks the plugin
};

struct HookNeed {
    HookPoint point = HookPoint::message_in;
    bool fails_open = false;  // what it cannot judge passes; undeclared means that it does not
};

struct Manifest {
    PluginId id;
    std::string version, summary;
    int abi_major = 1, abi_minor = 0;
    std::vector<std::string> roles, needs, optional;  // `requires` of the manifest is `needs` here
    std::vector<SecretField> secrets;
    std::vector<EgressRule> egress;
    std::vector<GrantNeed> grants;
    std::string config_schema = R"({"type":"object"})";
    std::vector<SkillSpec> skills;
    std::vector<HookNeed> hooks;
    ChannelFeatures channel;
    std::optional<InboundNeed> inbound;
    int memory_mb = 0;       // 0: the host's default
    int pending_calls = 16;
    Isolation isolation = Isolation::reduced;  // the least that it agrees to run under
    std::string text;        // exact bytes
    Digest digest{};         // of text

    bool has_role(std::string_view role) const;
    bool asks_for(std::string_view service) const;  // it needs it, or uses it where it is
    SecretField const* secret(std::string_view name) const;
};

Result<Manifest> parse_manifest(std::string_view json);
// The note's bytes, by walking program headers with every bound checked. Fault::bad_input says
// what is wrong with the file; Fault::not_found when it is a sound library without a note.
Result<std::string> read_note(std::string_view elf);
// ELF64 shared object of this machine, exactly one export, needed libraries on the list, no
// RPATH, no executable stack, no text relocations.
Result<> check_elf(std::string_view elf);

}  // namespace parley
