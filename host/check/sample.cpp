#include "check/sample.hpp"

#include "base/limits.hpp"
#include "base/pattern.hpp"
#include "base/schema.hpp"
#include "plugin/attachment.hpp"

#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>
#include <optional>

namespace parley {

namespace {

// What people write into texts that must look like something.
constexpr std::string_view candidates[] = {"example",
                                           "a",
                                           "A",
                                           "1",
                                           "0",
                                           "example.org",
                                           "https://service.example/",
                                           "2026-01-31",
                                           "2026-01-31T12:00:00Z",
                                           "12:00",
                                           "ann@service.example",
                                           "a1b2c3d4",
                                           "EXAMPLE",
                                           "en",
                                           "en-GB",
                                           "00000000-0000-0000-0000-000000000000",
                                           "192.0.2.1",
                                           "+4930123456",
                                           "#general",
                                           "id:42",
                                           "1.0.0"};

class Maker {
public:
    Maker(json::value const& root, Fill fill) : root_(root), fill_(fill) {}

    std::optional<json::value> make(json::value const& schema, int depth = 0) {
        if (schema.is_bool() || depth > limits::check_schema_depth)
            return json::value(json::object());
        if (!schema.is_object()) return {};
        if (auto const* value = member(schema, "const")) return *value;
        if (auto const* values = member(schema, "enum"); values && values->is_array())
            return values->get_array().empty() ? std::nullopt
                                               : std::optional(values->get_array().front());
        if (auto const* value = member(schema, "default"); value && fill_ == Fill::least)
            return *value;
        if (auto ref = text_at(schema, "$ref"); ref.starts_with("#")) return make_ref(ref, depth);
        if (auto const* values = member(schema, "examples");
            values && values->is_array() && !values->get_array().empty())
            return values->get_array().front();
        for (auto const* key : {"oneOf", "anyOf", "allOf"})
            if (auto const* ways = member(schema, key);
                ways && ways->is_array() && !ways->get_array().empty() && !member(schema, "type"))
                return make(ways->get_array().front(), depth + 1);
        return make_type(schema, type_of(schema), depth);
    }

private:
    static std::string type_of(json::value const& schema) {
        auto const* type = member(schema, "type");
        if (type && type->is_array() && !type->get_array().empty())
            type = &type->get_array().front();
        if (type && type->is_string()) return std::string(type->get_string());
        for (auto const* key : {"properties", "required", "additionalProperties"})
            if (member(schema, key)) return "object";
        return member(schema, "items") ? "array" : "string";
    }

    std::optional<json::value> make_ref(std::string_view ref, int depth) {
        boost::system::error_code failed;
        auto const* found = root_.find_pointer({ref.data() + 1, ref.size() - 1}, failed);
        return found ? make(*found, depth + 1) : std::nullopt;
    }

    std::optional<json::value> make_type(json::value const& schema, std::string const& type,
                                         int depth) {
        if (type == "null") return json::value(nullptr);
        if (type == "boolean") return json::value(false);
        if (type == "integer" || type == "number") return make_number(schema, type == "integer");
        if (type == "string") return make_text(schema);
        if (type == "array") return make_list(schema, depth);
        return make_object(schema, depth);
    }

    static std::optional<json::value> make_number(json::value const& schema, bool whole) {
        auto read = [&](char const* key) -> std::optional<double> {
            auto const* value = member(schema, key);
            if (!value || !value->is_number()) return {};
            return value->to_number<double>();
        };
        double number = 1;
        if (auto least = read("minimum")) number = std::max(number, *least);
        if (auto least = read("exclusiveMinimum"); least && number <= *least) number = *least + 1;
        if (auto most = read("maximum")) number = std::min(number, *most);
        if (auto most = read("exclusiveMaximum"); most && number >= *most) number = *most - 1;
        if (auto step = read("multipleOf"); step && *step > 0)
            number = *step * static_cast<double>(static_cast<std::int64_t>(number / *step + 0.999));
        if (whole) return json::value(static_cast<std::int64_t>(number));
        return json::value(number);
    }

    std::optional<json::value> make_text(json::value const& schema) const {
        auto least =
            static_cast<std::size_t>(std::max<std::int64_t>(0, int_at(schema, "minLength")));
        auto most = static_cast<std::size_t>(
            std::max<std::int64_t>(0, int_at(schema, "maxLength", limits::check_text_bytes)));
        auto pattern = text_at(schema, "pattern");
        if (!pattern.empty()) {
            auto compiled = Pattern::compile(pattern);
            if (!compiled) return {};
            for (auto text : candidates) {
                Steps steps(limits::schema_steps);
                if (text.size() >= least && text.size() <= most && compiled->found_in(text, steps))
                    return json::value(std::string(text));
            }
            return {};
        }
        if (fill_ == Fill::largest)
            return json::value(std::string(std::min(most, limits::check_text_bytes), 'x'));
        auto format = text_at(schema, "format");
        std::string text = format == "uri"         ? "https://service.example/"
                           : format == "date"      ? "2026-01-31"
                           : format == "date-time" ? "2026-01-31T12:00:00Z"
                           : format == "email"     ? "ann@service.example"
                                                   : "example";
        if (text.size() < least) text.append(least - text.size(), 'e');
        if (text.size() > most) text.resize(most);
        return json::value(std::move(text));
    }

    std::optional<json::value> make_list(json::value const& schema, int depth) {
        json::array list;
        auto count = int_at(schema, "minItems", fill_ == Fill::least ? 0 : 1);
        auto const* items = member(schema, "items");
        for (std::int64_t i = 0; i < count && i < 64; ++i) {
            auto one = items ? make(*items, depth + 1) : json::value("example");
            if (!one) return {};
            list.push_back(std::move(*one));
        }
        return json::value(std::move(list));
    }

    std::optional<json::value> make_object(json::value const& schema, int depth) {
        json::object out;
        auto const* required = member(schema, "required");
        auto is_required = [&](std::string_view name) {
            return required && required->is_array() &&
                   std::any_of(required->get_array().begin(), required->get_array().end(),
                               [name](auto const& one) {
                                   return one.is_string() && one.get_string() == name;
                               });
        };
        if (auto const* properties = member(schema, "properties");
            properties && properties->is_object())
            for (auto const& field : properties->get_object()) {
                std::string name(field.key());
                if (fill_ == Fill::least && !is_required(name)) continue;
                auto value = make(field.value(), depth + 1);
                if (value)
                    out.emplace(name, std::move(*value));
                else if (is_required(name))
                    return {};
            }
        return json::value(std::move(out));
    }

    json::value const& root_;
    Fill fill_;
};

void add_call(JsonWriter& out, Subject const& subject, SkillSpec const& skill,
              json::value const& arguments) {
    out.begin('{').pair("skill", skill.name).key("arguments").raw(to_text(arguments));
    out.pair("call", "check-1").pair("session", "check").pair("agent", "check");
    out.pair("key", "check-key-1").key("grants").begin('{');
    for (auto const& grant : subject.spec().grants)
        if (std::find(skill.uses_grants.begin(), skill.uses_grants.end(), grant.name) !=
            skill.uses_grants.end())
            out.pair(grant.name, grant.path.string());
    out.end('}');
    auto target = skill.target.empty() ? "" : text_at(arguments, skill.target);
    if (!target.empty()) out.key("expect").begin('{').pair(target, "absent").end('}');
    out.pair("timeout_ms", std::chrono::milliseconds(skill.timeout).count()).end('}');
}

std::string long_words(Fill fill, std::size_t most) {
    if (fill != Fill::largest) return "Hello, what can you do?";
    std::string text;
    while (text.size() + 8 < most) text += "word \xc3\xa9 ";
    return text;
}

// The blob is there wherever a double lends blobs.
std::vector<Attachment> one_file() {
    return {{"b-" + std::string(64, '0'), "report.txt", "text/plain", 19}};
}

// A host asks for nothing but what the manifest says that the channel can do.
void add_channel(std::vector<SampleRequest>& out, ChannelFeatures const& can, bool hears_webhooks,
                 Fill fill) {
    auto text = long_words(fill, limits::message_text_bytes);
    auto add = [&out](Verb verb, auto const& write) {
        JsonWriter words;
        words.begin('{').pair("conversation", "someone");
        write(words);
        out.push_back({verb, words.end('}').take()});
    };
    auto dress = [&](JsonWriter& words) {
        words.pair("text", text);
        if (fill == Fill::least) return;
        if (can.markdown) words.key("markdown").boolean(true);
        if (!can.buttons) return;
        words.key("buttons").begin('[').begin('[').begin('{').pair("text", "Yes");
        words.pair("data", "check-1").end('}').end(']').end(']');
    };
    out.push_back(
        {Verb::channel_run,
         hears_webhooks
             ? R"({"instance":"check","inbound":{"url":"https://parley.example/hooks/check"}})"
             : R"({"instance":"check"})"});
    add(Verb::channel_send, [&](auto& words) {
        dress(words.pair("id", "check-1"));
        if (can.files && fill != Fill::least)
            write_attachments(words.key("attachments"), one_file());
    });
    if (can.edit) add(Verb::channel_edit, [&](auto& words) { dress(words.pair("id", "1")); });
    if (can.typing) add(Verb::channel_typing, [](auto&) {});
    if (can.draft)
        add(Verb::channel_draft, [&](auto& words) { words.pair("draft", 1).pair("text", text); });
}

std::string hook_text(HookPoint point, Fill fill) {
    switch (point) {
        case HookPoint::skill_list:
            return R"(["org.example.check:look"])";
        case HookPoint::skill_before:
            return R"({"what":"here"})";
        case HookPoint::model_before:
            return R"({"model":"check","max_output_tokens":64,"messages":)"
                   R"([{"role":"user","text":"Hello."}]})";
        default:
            return long_words(fill, limits::message_text_bytes);
    }
}

void add_provider(std::vector<SampleRequest>& out, Fill fill) {
    JsonWriter words;
    words.begin('{').pair("model", "check").pair("max_output_tokens", 64);
    words.pair("system", "You are being checked.").key("messages").begin('[');
    words.begin('{').pair("role", "user").pair("text", long_words(fill, 1u << 20)).end('}');
    if (fill != Fill::least) {
        words.begin('{').pair("role", "assistant").pair("text", "").key("calls").begin('[');
        words.begin('{').pair("id", "1").pair("name", "look").pair("arguments", "{}").end('}');
        words.end(']').end('}');
        words.begin('{').pair("role", "skill").pair("call", "1").pair("name", "look");
        words.pair("content", "nothing").end('}');
    }
    words.end(']');
    if (fill != Fill::least) {
        words.key("skills").begin('[').begin('{').pair("name", "look").pair("description", "Look.");
        words.key("parameters").raw(R"({"type":"object"})").end('}').end(']');
    }
    auto text = words.end('}').take();
    out.push_back({Verb::provider_generate, text});
    out.push_back({Verb::provider_count_tokens, text});
    out.push_back({Verb::provider_list_models, "{}"});
}

}  // namespace

Result<json::value> sample_of(json::value const& schema, Fill fill) {
    auto made = Maker(schema, fill).make(schema);
    if (!made) return Error(Fault::bad_input, "no value was found that its schema allows");
    MUST(check_schema(schema, *made));
    return std::move(*made);
}

Result<std::string> sample_config(Manifest const& manifest) {
    TRY(schema, parse_json(manifest.config_schema));
    auto made = Maker(schema, Fill::least).make(schema);
    json::object config = made && made->is_object() ? made->get_object() : json::object();
    for (auto const& rule : manifest.egress) {
        if (rule.from_config.empty()) continue;
        auto const* properties = member(schema, "properties");
        auto const* property = properties ? member(*properties, rule.from_config) : nullptr;
        if (property && !member(*property, "default"))
            config[rule.from_config] = rule.stream ? "service.example"
                                       : rule.ws   ? "wss://service.example/v1"
                                                   : "https://service.example/v1";
    }
    return resolve_config(manifest, to_text(config));
}

std::vector<SampleRequest> sample_requests(Subject const& subject, Fill fill,
                                           std::vector<std::string>& missing) {
    std::vector<SampleRequest> out;
    auto const& manifest = subject.file->manifest();
    if (manifest.has_role(PARLEY_ROLE_CHANNEL))
        add_channel(out, manifest.channel, manifest.inbound.has_value(), fill);
    if (manifest.has_role(PARLEY_ROLE_PROVIDER)) add_provider(out, fill);
    for (auto const& skill : manifest.skills) {
        auto schema = parse_json(skill.parameters);
        auto arguments = schema ? sample_of(*schema, fill) : Result<json::value>(schema.error());
        if (!arguments && fill != Fill::least) arguments = sample_of(*schema, Fill::least);
        if (!arguments) {
            missing.push_back(skill.name);
            continue;
        }
        JsonWriter words;
        add_call(words, subject, skill, *arguments);
        out.push_back({Verb::skill_invoke, words.text()});
        if (skill.effect == EffectClass::reconcilable)
            out.push_back({Verb::skill_reconcile, words.text()});
    }
    for (auto const& hook : manifest.hooks) {
        JsonWriter words;
        words.begin('{').pair("point", name_of(hook.point)).pair("agent", "check");
        words.pair("session", "check").pair("instance", "check").pair("conversation", "someone");
        if (hook.point == HookPoint::message_in) words.pair("sender", "id:42");
        bool is_call =
            hook.point == HookPoint::skill_before || hook.point == HookPoint::skill_after;
        if (is_call) words.pair("skill", "org.example.check:look");
        words.pair("text", hook_text(hook.point, fill));
        out.push_back({Verb::hook_on_event, words.end('}').take()});
    }
    return out;
}

std::vector<SampleRequest> sample_previews(Subject const& subject) {
    std::vector<SampleRequest> out;
    for (auto const& skill : subject.file->manifest().skills) {
        auto schema = parse_json(skill.parameters);
        auto arguments =
            schema ? sample_of(*schema, Fill::least) : Result<json::value>(schema.error());
        if (!arguments) continue;
        JsonWriter words;
        words.begin('{').pair("skill", skill.name).key("arguments").raw(to_text(*arguments));
        out.push_back({Verb::skill_preview, words.end('}').take()});
    }
    return out;
}

std::string with_odd_member(std::string const& request) {
    std::string out = R"({"x_nobody_knows":{"a":[1,null,{"b":"c"}]})";
    if (request.size() > 2) out += ',';
    return out + request.substr(1);
}

}  // namespace parley
