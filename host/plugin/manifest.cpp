#include "plugin/manifest.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/schema.hpp"
#include "base/text.hpp"
#include "plugin/exact_text.hpp"

#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>
#include <span>
#include <utility>

namespace parley {

namespace {

constexpr std::array roles = {
    std::string_view(PARLEY_ROLE_CHANNEL), std::string_view(PARLEY_ROLE_PROVIDER),
    std::string_view(PARLEY_ROLE_SKILL), std::string_view(PARLEY_ROLE_HOOK)};
constexpr std::array services = {
    std::string_view(PARLEY_HOST_HTTP),   std::string_view(PARLEY_HOST_STREAM),
    std::string_view(PARLEY_HOST_TIMER),  std::string_view(PARLEY_HOST_KV),
    std::string_view(PARLEY_HOST_REVEAL), std::string_view(PARLEY_HOST_BLOB),
    std::string_view(PARLEY_HOST_WS),     std::string_view(PARLEY_HOST_INBOUND)};
constexpr std::size_t list_most = 256;    // of anything in a manifest
constexpr std::size_t words_most = 4096;  // bytes of any one text in it

Error bad(std::string what) {
    return Error(Fault::bad_input, "the manifest: " + std::move(what));
}

// One object of the manifest: its members are taken by name, and what is left over refuses it.
class Reader {
public:
    static Result<Reader> open(json::value const& value, std::string where,
                               std::initializer_list<std::string_view> known) {
        auto const* fields = value.if_object();
        if (!fields) return bad(where + " is not an object");
        for (auto const& field : *fields) {
            std::string_view key(field.key().data(), field.key().size());
            if (std::find(known.begin(), known.end(), key) != known.end()) continue;
            auto near = nearest(key, known);
            return bad(where + " has an unknown key \"" + visible(clipped(key, 64)) + "\"" +
                       (near.empty() ? "" : "; do you mean \"" + near + "\"?"));
        }
        return Reader(*fields, std::move(where));
    }

    json::value const* find(std::string_view key) const {
        return fields_.if_contains({key.data(), key.size()});
    }
    Error wrong(std::string_view key, std::string_view what) const {
        return bad(where_ + "." + std::string(key) + " " + std::string(what));
    }

    Result<> text(std::string_view key, std::string& out, bool required = false) const {
        auto const* value = find(key);
        if (!value) return required ? Result<>(wrong(key, "is missing")) : ok();
        if (!value->is_string() || value->get_string().size() > words_most)
            return wrong(key, "is not a text, or too long");
        out.assign(value->get_string().data(), value->get_string().size());
        if (required && out.empty()) return wrong(key, "is empty");
        return ok();
    }
    Result<> flag(std::string_view key, bool& out) const {
        auto const* value = find(key);
        if (!value) return ok();
        if (!value->is_bool()) return wrong(key, "is neither true nor false");
        out = value->get_bool();
        return ok();
    }
    template <class Number>
    Result<> number(std::string_view key, Number& out, std::int64_t least,
                    std::int64_t most) const {
        auto const* value = find(key);
        if (!value) return ok();
        if (!value->is_int64() || value->get_int64() < least || value->get_int64() > most)
            return wrong(key, "is not a whole number from " + std::to_string(least) + " to " +
                                  std::to_string(most));
        out = static_cast<Number>(value->get_int64());
        return ok();
    }
    Result<> texts(std::string_view key, std::vector<std::string>& out) const {
        TRY(items, list(key));
        for (auto const* item : items) {
            if (!item->is_string() || item->get_string().empty() ||
                item->get_string().size() > words_most)
                return wrong(key, "holds something that is not a text");
            out.emplace_back(item->get_string().data(), item->get_string().size());
        }
        return ok();
    }
    Result<std::vector<json::value const*>> list(std::string_view key) const {
        std::vector<json::value const*> items;
        auto const* value = find(key);
        if (!value) return items;
        if (!value->is_array() || value->get_array().size() > list_most)
            return wrong(key, "is not a list, or too long");
        for (auto const& item : value->get_array()) items.push_back(&item);
        return items;
    }
    // One word of a closed set; `out` keeps its default when the key is missing.
    template <class Word>
    Result<> word(std::string_view key, Word& out,
                  std::initializer_list<std::pair<std::string_view, Word>> words) const {
        std::string text;
        MUST(this->text(key, text));
        if (!find(key)) return ok();
        for (auto const& [name, value] : words)
            if (text == name) return out = value, ok();
        std::string known;
        for (auto const& [name, value] : words)
            known += (known.empty() ? "" : ", ") + std::string(name);
        return wrong(key, "is not one of " + known);
    }

private:
    Reader(json::object const& fields, std::string where)
        : fields_(fields), where_(std::move(where)) {}
    json::object const& fields_;
    std::string where_;
};

bool is_host(std::string_view host) {
    if (host.starts_with("*.")) host.remove_prefix(2);
    if (host.empty() || host.size() > 253 || host.front() == '.' || host.back() == '.')
        return false;
    return std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':';
    });
}

bool is_slot(std::string_view slot) {
    if (slot == "stream") return true;
    for (std::string_view kind : {"header:", "query:", "path:", "body:/"})
        if (slot.starts_with(kind) && slot.size() > kind.size()) return true;
    return false;
}

bool is_version(std::string_view text) {
    // major.minor.patch and, after - or +, what semantic versioning allows there.
    int numbers = 0;
    while (numbers < 3) {
        auto digits = text.find_first_not_of("0123456789");
        auto number = text.substr(0, digits);
        if (number.empty() || number.size() > 9 || (number.size() > 1 && number[0] == '0'))
            return false;
        text.remove_prefix(number.size());
        if (++numbers == 3) break;
        if (text.empty() || text[0] != '.') return false;
        text.remove_prefix(1);
    }
    if (text.empty()) return true;
    if ((text[0] != '-' && text[0] != '+') || text.size() == 1 || text.size() > 128) return false;
    return text.find_first_not_of(
               "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-+") == text.npos;
}

bool is_skill_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == text.npos;
}

Result<> known(std::vector<std::string> const& list, std::span<std::string_view const> all,
               char const* what, bool must) {
    std::set<std::string_view> seen;
    for (auto const& item : list) {
        if (!seen.insert(item).second) return bad(std::string(what) + " names " + item + " twice");
        if (must && std::find(all.begin(), all.end(), item) == all.end())
            return bad(std::string(what) + " names " + visible(item) +
                       ", which this host does not have");
    }
    return ok();
}

Result<SecretField> read_secret(json::value const& value, std::string const& where) {
    TRY(reader,
        Reader::open(value, where, {"name", "tier", "required", "slots", "hosts", "summary"}));
    SecretField field;
    std::string summary;
    MUST(reader.text("name", field.name, true));
    MUST(reader.text("summary", summary));
    MUST(reader.word<SecretField::Tier>("tier", field.tier,
                                        {{"inject", SecretField::Tier::inject},
                                         {"compute", SecretField::Tier::compute},
                                         {"reveal", SecretField::Tier::reveal}}));
    MUST(reader.flag("required", field.required));
    MUST(reader.texts("slots", field.slots));
    MUST(reader.texts("hosts", field.hosts));
    if (!is_name(field.name)) return reader.wrong("name", "is not a plain name");
    for (auto const& slot : field.slots)
        if (!is_slot(slot))
            return reader.wrong("slots", "holds \"" + visible(slot) +
                                             "\"; a slot is header:NAME, "
                                             "query:NAME, path:TEXT, body:/pointer or stream");
        else if (field.tier == SecretField::Tier::compute && !slot.starts_with("header:"))
            return reader.wrong("slots", "holds \"" + visible(slot) +
                                             "\"; what is computed goes into a header alone");
    for (auto const& host : field.hosts)
        if (!host.starts_with("from_config:") && (!is_host(host) || host.starts_with("*.")))
            return reader.wrong("hosts",
                                "holds \"" + visible(host) + "\", which is not an exact name");
    return field;
}

Result<EgressRule> read_egress(json::value const& value, std::string const& where) {
    TRY(reader,
        Reader::open(value, where,
                     {"host", "from_config", "port", "port_from_config", "methods", "stream", "ws"}));
    EgressRule rule;
    MUST(reader.text("host", rule.host));
    MUST(reader.text("from_config", rule.from_config));
    MUST(reader.text("port_from_config", rule.port_from_config));
    MUST(reader.number("port", rule.port, 1, 65535));
    MUST(reader.texts("methods", rule.methods));
    MUST(reader.flag("stream", rule.stream));
    MUST(reader.flag("ws", rule.ws));
    if (rule.host.empty() == rule.from_config.empty())
        return reader.wrong("host", "or from_config must be given, and not both");
    if (!rule.host.empty() && !is_host(rule.host))
        return reader.wrong("host", "is not a lower-case host name");
    if (rule.stream && rule.from_config.empty() && rule.port == 0)
        return reader.wrong("port", "is missing; a stream has no usual one");
    if (rule.ws && (rule.stream || !rule.methods.empty()))
        return reader.wrong("ws", "goes with neither stream nor methods");
    if (!rule.port_from_config.empty() && !(rule.stream && !rule.from_config.empty()))
        return reader.wrong("port_from_config", "goes with from_config of a stream only");
    for (auto const& method : rule.methods)
        if (method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != method.npos)
            return reader.wrong("methods", "holds something that is not an upper-case method");
    return rule;
}

Result<GrantNeed> read_grant(json::value const& value, std::string const& where) {
    TRY(reader, Reader::open(value, where, {"name", "access", "required"}));
    GrantNeed grant;
    MUST(reader.text("name", grant.name, true));
    MUST(reader.word<GrantNeed::Access>("access", grant.access,
                                        {{"read", GrantNeed::Access::read},
                                         {"write", GrantNeed::Access::write},
                                         {"run", GrantNeed::Access::run}}));
    MUST(reader.flag("required", grant.required));
    if (!is_name(grant.name)) return reader.wrong("name", "is not a plain name");
    if ((grant.access == GrantNeed::Access::run) != (grant.name == "command"))
        return reader.wrong("access", "run belongs to the grant `command`, and only to it");
    return grant;
}

Result<SkillSpec> read_skill(json::value const& value, std::string const& where,
                             Manifest const& manifest) {
    TRY(reader, Reader::open(value, where,
                             {"name", "summary", "keywords", "parameters", "effect", "approval",
                              "uses", "timeout_s", "target", "preview"}));
    SkillSpec skill;
    MUST(reader.text("name", skill.name, true));
    MUST(reader.text("summary", skill.summary, true));
    MUST(reader.texts("keywords", skill.keywords));
    MUST(reader.text("target", skill.target));
    MUST(reader.flag("preview", skill.has_preview));
    MUST(reader.word<EffectClass>("effect", skill.effect,
                                  {{"pure", EffectClass::pure},
                                   {"idempotent", EffectClass::idempotent},
                                   {"reconcilable", EffectClass::reconcilable},
                                   {"irreversible", EffectClass::irreversible}}));
    MUST(reader.word<ApprovalNeed>("approval", skill.approval,
                                   {{"never", ApprovalNeed::never},
                                    {"policy", ApprovalNeed::policy},
                                    {"always", ApprovalNeed::always}}));
    std::int64_t seconds = limits::skill_call_time / std::chrono::seconds(1);
    MUST(reader.number("timeout_s", seconds, 1,
                       limits::skill_call_time_longest / std::chrono::seconds(1)));
    skill.timeout = std::chrono::seconds(seconds);
    if (!is_skill_name(skill.name)) return reader.wrong("name", "is not [a-z0-9_], at most 64");
    // What can change something is never run unasked just because its author says so.
    if (skill.approval == ApprovalNeed::never && skill.effect != EffectClass::pure)
        skill.approval = ApprovalNeed::policy;

    auto const* parameters = reader.find("parameters");
    if (!parameters) return reader.wrong("parameters", "is missing");
    if (auto sound = check_is_schema(*parameters); !sound)
        return reader.wrong("parameters", sound.error().what);
    skill.parameters = to_text(*parameters);

    if (auto const* uses = reader.find("uses")) {
        TRY(inner, Reader::open(*uses, where + ".uses", {"egress", "grants", "files"}));
        MUST(inner.flag("egress", skill.uses_egress));
        MUST(inner.flag("files", skill.sends_files));
        MUST(inner.texts("grants", skill.uses_grants));
        for (auto const& name : skill.uses_grants)
            if (std::none_of(manifest.grants.begin(), manifest.grants.end(),
                             [&](auto const& grant) { return grant.name == name; }))
                return inner.wrong("grants", "names " + visible(name) + ", which is not declared");
    }
    if (!skill.target.empty() && skill.uses_grants.empty())
        return reader.wrong("target", "needs a grant to look into");
    // What left is not taken back, and it must be what was shown to a person.
    if (skill.sends_files && (skill.effect != EffectClass::irreversible || skill.target.empty()))
        return reader.wrong("uses.files", "needs a target and the effect irreversible");
    return skill;
}

Result<ChannelFeatures> read_channel(json::value const& value) {
    TRY(reader, Reader::open(value, "channel", {"features"}));
    std::vector<std::string> names;
    MUST(reader.texts("features", names));
    ChannelFeatures features;
    std::pair<char const*, bool*> const all[] = {
        {"buttons", &features.buttons},   {"edit", &features.edit},
        {"typing", &features.typing},     {"draft", &features.draft},
        {"markdown", &features.markdown}, {"commands", &features.commands},
        {"files", &features.files}};
    for (auto const& name : names) {
        auto known = std::find_if(std::begin(all), std::end(all),
                                  [&](auto const& one) { return name == one.first; });
        if (known == std::end(all))
            return reader.wrong("features",
                                "names \"" + visible(clipped(name, 64)) + "\", which is none");
        if (std::exchange(*known->second, true))
            return reader.wrong("features", "names " + name + " twice");
    }
    return features;
}

bool is_lower_header(std::string_view name) {
    return !name.empty() && name.size() <= 128 &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == name.npos;
}

Result<> read_verify(json::value const& value, Manifest const& manifest, InboundNeed& need) {
    TRY(reader, Reader::open(value, "inbound.verify",
                             {"scheme", "secret", "header", "prefix", "encoding", "key", "signed",
                              "timestamp", "window_s"}));
    if (!reader.find("scheme")) return reader.wrong("scheme", "is missing");
    MUST(reader.word<InboundNeed::Scheme>(
        "scheme", need.scheme,
        {{"hmac-sha256", InboundNeed::Scheme::hmac}, {"token", InboundNeed::Scheme::token}}));
    MUST(reader.text("secret", need.secret, true));
    MUST(reader.text("header", need.header, true));
    if (!is_lower_header(need.header))
        return reader.wrong("header", "is no header's name in lower case");
    auto const* field = manifest.secret(need.secret);
    if (!field) return reader.wrong("secret", "names one that is not declared");
    if (field->tier == SecretField::Tier::reveal)
        return reader.wrong("secret", "names one that the plugin may read, who could sign then");
    if (need.scheme == InboundNeed::Scheme::token) {
        for (auto const* key : {"prefix", "encoding", "key", "signed", "timestamp", "window_s"})
            if (reader.find(key)) return reader.wrong(key, "says nothing about a token");
        return ok();
    }
    if (field->tier != SecretField::Tier::compute)
        return reader.wrong("secret", "names one that is not of tier compute");
    MUST(reader.text("prefix", need.prefix));
    MUST(reader.word<DigestForm>("encoding", need.encoding,
                                 {{"hex", DigestForm::hex}, {"base64", DigestForm::base64}}));
    MUST(reader.word<KeyForm>("key", need.key,
                              {{"text", KeyForm::text}, {"base64", KeyForm::base64}}));
    if (need.prefix.find(' ') != std::string::npos)
        return reader.wrong("prefix", "holds a space, which parts two signatures");
    std::string text = "{body}";
    MUST(reader.text("signed", text));
    auto parsed = parse_signed_text(text);
    if (!parsed) return reader.wrong("signed", parsed.error().what);
    need.signed_text = std::move(*parsed);
    MUST(reader.text("timestamp", need.timestamp));
    if (need.timestamp.empty()) {
        if (reader.find("window_s")) return reader.wrong("window_s", "goes with a timestamp only");
        return ok();
    }
    if (!need.signed_text.holds(need.timestamp))
        return reader.wrong("timestamp", "names a header that is not signed");
    std::int64_t seconds = 300;
    MUST(reader.number("window_s", seconds, 1,
                       limits::inbound_window_longest / std::chrono::seconds(1)));
    need.window = std::chrono::seconds(seconds);
    return ok();
}

Result<InboundNeed> read_inbound(json::value const& value, Manifest const& manifest) {
    TRY(reader, Reader::open(value, "inbound", {"verify", "content_types", "headers", "examples"}));
    InboundNeed need;
    auto const* verify = reader.find("verify");
    if (!verify) return reader.wrong("verify", "is missing: nothing unverified reaches a plugin");
    MUST(read_verify(*verify, manifest, need));
    if (reader.find("content_types")) {
        need.content_types.clear();
        MUST(reader.texts("content_types", need.content_types));
        if (need.content_types.empty()) return reader.wrong("content_types", "is empty");
        for (auto const& type : need.content_types)
            if (type.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.+-/") != type.npos ||
                std::count(type.begin(), type.end(), '/') != 1)
                return reader.wrong("content_types", "holds \"" + visible(type) +
                                                         "\", which is no type in lower case");
    }
    MUST(reader.texts("examples", need.examples));
    MUST(reader.texts("headers", need.headers));
    if (need.headers.size() > limits::inbound_header_most)
        return reader.wrong("headers", "names too many");
    for (auto const& name : need.headers) {
        if (!is_lower_header(name))
            return reader.wrong("headers", "holds something that is no name in lower case");
        // What proves who sends is for the host alone.
        if (name == need.header || name == "authorization" || name == "proxy-authorization" ||
            name == "cookie")
            return reader.wrong("headers", "names " + name + ", which a plugin does not hear");
    }
    return need;
}

Result<HookNeed> read_hook(json::value const& value, std::string const& where) {
    TRY(reader, Reader::open(value, where, {"point", "fail"}));
    HookNeed need;
    std::string point;
    MUST(reader.text("point", point, true));
    MUST(reader.word<HookPoint>("point", need.point,
                                {{"message.in", HookPoint::message_in},
                                 {"message.out", HookPoint::message_out},
                                 {"skill.list", HookPoint::skill_list},
                                 {"skill.before", HookPoint::skill_before},
                                 {"skill.after", HookPoint::skill_after},
                                 {"compaction", HookPoint::compaction},
                                 {"model.before", HookPoint::model_before},
                                 {"model.after", HookPoint::model_after}}));
    MUST(reader.word<bool>("fail", need.fails_open, {{"closed", false}, {"open", true}}));
    return need;
}

Result<> read_limits(json::value const& value, Manifest& manifest) {
    TRY(reader, Reader::open(value, "limits", {"memory_mb", "pending_calls", "chunk_bytes"}));
    MUST(reader.number("memory_mb", manifest.memory_mb, 16, 65536));
    MUST(reader.number("pending_calls", manifest.pending_calls, 1, 4096));
    int chunk_bytes = 0;  // a promise of the plugin that this host does not need
    return reader.number("chunk_bytes", chunk_bytes, 1, PTRDIFF_MAX);
}

// Each item of a list by the reader of its kind; names must not repeat.
template <class Item, class Read>
Result<> read_all(Reader const& top, char const* key, std::vector<Item>& out, Read read) {
    TRY(items, top.list(key));
    for (std::size_t i = 0; i < items.size(); ++i) {
        TRY(item, read(*items[i], std::string(key) + "[" + std::to_string(i) + "]"));
        if constexpr (requires { item.name; })
            for (auto const& other : out)
                if (other.name == item.name) return top.wrong(key, "names " + item.name + " twice");
        out.push_back(std::move(item));
    }
    return ok();
}

Result<> read_abi(Reader const& top, Manifest& manifest) {
    auto const* abi = top.find("abi");
    if (!abi) return top.wrong("abi", "is missing");
    TRY(reader, Reader::open(*abi, "abi", {"major", "minor"}));
    MUST(reader.number("major", manifest.abi_major, 0, 65535));
    MUST(reader.number("minor", manifest.abi_minor, 0, 65535));
    if (manifest.abi_major == PARLEY_ABI_MAJOR && manifest.abi_minor <= PARLEY_ABI_MINOR)
        return ok();
    return bad("the plugin needs ABI " + std::to_string(manifest.abi_major) + "." +
               std::to_string(manifest.abi_minor) + "; this host speaks " +
               std::to_string(PARLEY_ABI_MAJOR) + "." + std::to_string(PARLEY_ABI_MINOR));
}

// What each part may say depends on what others declare.
Result<> check_together(Manifest const& manifest) {
    if (manifest.roles.empty()) return bad("roles is empty");
    if (!manifest.skills.empty() && !manifest.has_role(PARLEY_ROLE_SKILL))
        return bad("there are skills, but roles does not name " PARLEY_ROLE_SKILL);
    if (manifest.hooks.empty() == manifest.has_role(PARLEY_ROLE_HOOK))
        return bad("hooks and the role " PARLEY_ROLE_HOOK " belong together");
    for (std::size_t i = 0; i < manifest.hooks.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (manifest.hooks[i].point == manifest.hooks[j].point)
                return bad("hooks names a point twice");
    if (manifest.inbound.has_value() != manifest.asks_for(PARLEY_HOST_INBOUND))
        return bad("inbound and the service " PARLEY_HOST_INBOUND " belong together");
    for (auto const& field : manifest.secrets)
        for (auto const& host : field.hosts) {
            if (!host.starts_with("from_config:")) continue;
            auto key = host.substr(12);
            if (std::none_of(manifest.egress.begin(), manifest.egress.end(),
                             [&](auto const& rule) { return rule.from_config == key; }))
                return bad("the secret " + field.name + " is bound to " + visible(host) +
                           ", which is not in egress");
        }
    return ok();
}

}  // namespace

char const* name_of(EffectClass effect) {
    switch (effect) {
        case EffectClass::pure:
            return "pure";
        case EffectClass::idempotent:
            return "idempotent";
        case EffectClass::reconcilable:
            return "reconcilable";
        case EffectClass::irreversible:
            return "irreversible";
    }
    return "irreversible";
}

char const* name_of(HookPoint point) {
    switch (point) {
        case HookPoint::message_in:
            return "message.in";
        case HookPoint::message_out:
            return "message.out";
        case HookPoint::skill_list:
            return "skill.list";
        case HookPoint::skill_before:
            return "skill.before";
        case HookPoint::skill_after:
            return "skill.after";
        case HookPoint::compaction:
            return "compaction";
        case HookPoint::model_before:
            return "model.before";
        case HookPoint::model_after:
            return "model.after";
    }
    return "";
}

char const* name_of(ApprovalNeed need) {
    switch (need) {
        case ApprovalNeed::never:
            return "never";
        case ApprovalNeed::policy:
            return "policy";
        case ApprovalNeed::always:
            return "always";
    }
    return "always";
}

bool Manifest::has_role(std::string_view role) const {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
}

bool Manifest::asks_for(std::string_view service) const {
    return std::find(needs.begin(), needs.end(), service) != needs.end() ||
           std::find(optional.begin(), optional.end(), service) != optional.end();
}

SecretField const* Manifest::secret(std::string_view name) const {
    auto found = std::find_if(secrets.begin(), secrets.end(),
                              [name](auto const& field) { return field.name == name; });
    return found == secrets.end() ? nullptr : &*found;
}

Result<Manifest> parse_manifest(std::string_view text) {
    if (text.size() > limits::manifest_bytes) return bad("it is too large");
    auto value = parse_json(text);
    if (!value) return bad(value.error().what);
    TRY(top, Reader::open(*value, "top",
                          {"manifest", "id", "version", "summary", "abi", "roles", "requires",
                           "optional", "secrets", "egress", "grants", "config_schema", "skills",
                           "hooks", "channel", "inbound", "limits", "isolation"}));
    Manifest manifest;
    int format = 0;
    MUST(top.number("manifest", format, 0, INT32_MAX));
    if (format != 1) return top.wrong("manifest", "is not 1: another format, or none");
    MUST(read_abi(top, manifest));
    std::string id;
    MUST(top.text("id", id, true));
    if (!is_name(id)) return top.wrong("id", "is not [a-z0-9][a-z0-9._-]*, at most 64");
    manifest.id = PluginId(id);
    MUST(top.text("version", manifest.version, true));
    if (!is_version(manifest.version)) return top.wrong("version", "is not major.minor.patch");
    MUST(top.text("summary", manifest.summary));
    MUST(top.texts("roles", manifest.roles));
    MUST(top.texts("requires", manifest.needs));
    MUST(top.texts("optional", manifest.optional));
    MUST(known(manifest.roles, roles, "roles", true));
    MUST(known(manifest.needs, services, "requires", true));
    MUST(known(manifest.optional, services, "optional", false));
    MUST(read_all(top, "secrets", manifest.secrets, read_secret));
    MUST(read_all(top, "egress", manifest.egress, read_egress));
    MUST(read_all(top, "grants", manifest.grants, read_grant));
    MUST(read_all(top, "hooks", manifest.hooks, read_hook));
    if (auto const* channel = top.find("channel")) {
        if (!manifest.has_role(PARLEY_ROLE_CHANNEL))
            return top.wrong("channel", "stands there without the role " PARLEY_ROLE_CHANNEL);
        TRY(features, read_channel(*channel));
        manifest.channel = features;
    }
    if (auto const* inbound = top.find("inbound")) {
        if (!manifest.has_role(PARLEY_ROLE_CHANNEL))
            return top.wrong("inbound", "stands there without the role " PARLEY_ROLE_CHANNEL);
        TRY(need, read_inbound(*inbound, manifest));
        manifest.inbound = std::move(need);
    }
    MUST(read_all(top, "skills", manifest.skills, [&](auto const& item, std::string const& where) {
        return read_skill(item, where, manifest);
    }));
    if (auto const* schema = top.find("config_schema")) {
        if (auto sound = check_is_schema(*schema); !sound)
            return top.wrong("config_schema", sound.error().what);
        manifest.config_schema = exact_text(text, {"config_schema"}, to_text(*schema));
    }
    for (std::size_t i = 0; i < manifest.skills.size(); ++i) {
        auto& skill = manifest.skills[i];
        skill.parameters = exact_text(text, {"skills", std::to_string(i), "parameters"},
                                      std::move(skill.parameters));
    }
    std::string isolation;
    MUST(top.text("isolation", isolation));
    if (isolation == "strict")
        manifest.isolation = Isolation::strict;
    else if (!isolation.empty() && isolation != "reduced")
        return top.wrong("isolation", "is neither strict nor reduced");
    if (auto const* bounds = top.find("limits")) MUST(read_limits(*bounds, manifest));
    MUST(check_together(manifest));
    manifest.text = text;
    manifest.digest = blake2b(text);
    return manifest;
}

}  // namespace parley
