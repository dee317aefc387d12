#include "base/schema.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"

#include <boost/json/value.hpp>

#include <regex.h>

#include <cmath>
#include <functional>
#include <set>

namespace parley {

namespace {

constexpr std::size_t steps_most = 200'000;
constexpr std::size_t pattern_bytes_most = 256;

std::string_view view(json::string_view text) {
    return {text.data(), text.size()};
}

std::size_t characters(std::string_view text) {
    std::size_t count = 0;
    for (char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    return count;
}

bool is_integer(json::value const& value) {
    return value.is_int64() || value.is_uint64() ||
           (value.is_double() && std::floor(value.get_double()) == value.get_double());
}

double number_of(json::value const& value) {
    if (value.is_int64()) return static_cast<double>(value.get_int64());
    if (value.is_uint64()) return static_cast<double>(value.get_uint64());
    return value.get_double();
}

bool is_number(json::value const& value) {
    return value.is_number();
}

bool has_type(json::value const& value, std::string_view type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_bool();
    if (type == "null") return value.is_null();
    if (type == "integer") return is_integer(value);
    return type == "number" && is_number(value);
}

bool same(json::value const& a, json::value const& b) {
    if (is_number(a) && is_number(b)) return number_of(a) == number_of(b);
    if (a.kind() != b.kind()) return false;
    if (a.is_array()) {
        auto const &x = a.get_array(), &y = b.get_array();
        if (x.size() != y.size()) return false;
        for (std::size_t i = 0; i < x.size(); ++i)
            if (!same(x[i], y[i])) return false;
        return true;
    }
    if (a.is_object()) {
        auto const &x = a.get_object(), &y = b.get_object();
        if (x.size() != y.size()) return false;
        for (auto const& member : x) {
            auto const* other = y.if_contains(member.key());
            if (!other || !same(member.value(), *other)) return false;
        }
        return true;
    }
    return a == b;
}

// A POSIX expression searched for in text: it has no look-around, and its time is bounded by the
// sizes of both.
struct Pattern {
    regex_t compiled{};
    bool sound = false;
    explicit Pattern(std::string const& text) {
        sound = text.size() <= pattern_bytes_most && text.find('\0') == std::string::npos &&
                regcomp(&compiled, text.c_str(), REG_EXTENDED | REG_NOSUB) == 0;
    }
    ~Pattern() {
        if (sound) regfree(&compiled);
    }
    Pattern(Pattern const&) = delete;
    bool found_in(std::string const& text) const {
        return regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
    }
};

class Checker {
public:
    explicit Checker(json::value const& root) : root_(root) {}

    Result<> check(json::value const& schema, json::value const& value, std::string const& at,
                   std::size_t depth);

private:
    Result<> wrong(std::string const& at, std::string const& what) const {
        return Error(Fault::bad_input, (at.empty() ? "the value" : at) + ": " + what);
    }
    Result<> check_reference(std::string_view reference, json::value const& value,
                             std::string const& at, std::size_t depth);
    Result<> check_object(json::object const& schema, json::object const& value,
                          std::string const& at, std::size_t depth);
    Result<> check_array(json::object const& schema, json::array const& value,
                         std::string const& at, std::size_t depth);
    Result<> check_text(json::object const& schema, json::string const& value,
                        std::string const& at);
    Result<> check_number(json::object const& schema, json::value const& value,
                          std::string const& at);
    Result<> check_choices(json::object const& schema, json::value const& value,
                           std::string const& at, std::size_t depth);

    json::value const& root_;
    std::size_t steps_ = 0;
};

double bound(json::object const& schema, char const* key, double fallback) {
    auto const* found = schema.if_contains(key);
    return found && is_number(*found) ? number_of(*found) : fallback;
}

Result<> Checker::check(json::value const& schema, json::value const& value, std::string const& at,
                        std::size_t depth) {
    if (depth > limits::json_depth || ++steps_ > steps_most)
        return wrong(at, "the schema is too deep or too costly to apply");
    if (schema.is_bool()) {
        if (schema.get_bool()) return ok();
        return wrong(at, "nothing is allowed here");
    }
    auto const* rules = schema.if_object();
    if (!rules) return wrong(at, "its schema is no schema");
    if (auto const* reference = rules->if_contains("$ref"))
        MUST(check_reference(view(reference->get_string()), value, at, depth));
    if (auto const* type = rules->if_contains("type")) {
        bool fits = type->is_string() && has_type(value, view(type->get_string()));
        if (type->is_array())
            for (auto const& one : type->get_array())
                fits = fits || has_type(value, view(one.get_string()));
        if (!fits) return wrong(at, "it must be of type " + to_text(*type));
    }
    if (auto const* only = rules->if_contains("const"); only && !same(*only, value))
        return wrong(at, "it must be " + to_text(*only));
    if (auto const* list = rules->if_contains("enum")) {
        bool found = false;
        for (auto const& one : list->get_array()) found = found || same(one, value);
        if (!found) return wrong(at, "it must be one of " + to_text(*list));
    }
    MUST(check_choices(*rules, value, at, depth));
    if (value.is_object()) return check_object(*rules, value.get_object(), at, depth);
    if (value.is_array()) return check_array(*rules, value.get_array(), at, depth);
    if (value.is_string()) return check_text(*rules, value.get_string(), at);
    if (is_number(value)) return check_number(*rules, value, at);
    return ok();
}

Result<> Checker::check_reference(std::string_view reference, json::value const& value,
                                  std::string const& at, std::size_t depth) {
    auto const* target = &root_;
    if (!reference.starts_with('#')) return wrong(at, "its schema refers to another document");
    boost::system::error_code error;
    if (reference.size() > 1)
        target = root_.find_pointer(json::string_view(reference.data() + 1, reference.size() - 1),
                                    error);
    if (error || !target) return wrong(at, "its schema refers to nothing");
    return check(*target, value, at, depth + 1);
}

Result<> Checker::check_choices(json::object const& schema, json::value const& value,
                                std::string const& at, std::size_t depth) {
    if (auto const* all = schema.if_contains("allOf"))
        for (auto const& one : all->get_array()) MUST(check(one, value, at, depth + 1));
    if (auto const* any = schema.if_contains("anyOf")) {
        bool fits = false;
        for (auto const& one : any->get_array())
            fits = fits || bool(check(one, value, at, depth + 1));
        if (!fits) return wrong(at, "it fits none of the forms that are allowed");
    }
    if (auto const* exactly = schema.if_contains("oneOf")) {
        int fits = 0;
        for (auto const& one : exactly->get_array()) fits += bool(check(one, value, at, depth + 1));
        if (fits != 1) return wrong(at, "it must fit exactly one of the forms that are allowed");
    }
    if (auto const* not_this = schema.if_contains("not"))
        if (check(*not_this, value, at, depth + 1))
            return wrong(at, "it has a form that is not allowed");
    return ok();
}

Result<> Checker::check_object(json::object const& schema, json::object const& value,
                               std::string const& at, std::size_t depth) {
    if (auto const* required = schema.if_contains("required"))
        for (auto const& name : required->get_array())
            if (!value.contains(name.get_string()))
                return wrong(at, "'" + std::string(view(name.get_string())) + "' is missing");
    auto size = static_cast<double>(value.size());
    if (size < bound(schema, "minProperties", 0) || size > bound(schema, "maxProperties", 1e18))
        return wrong(at, "it has the wrong number of members");
    auto const* properties = schema.if_contains("properties");
    auto const* others = schema.if_contains("additionalProperties");
    auto const* names = schema.if_contains("propertyNames");
    for (auto const& member : value) {
        auto place = at + '/' + std::string(view(member.key()));
        if (names) MUST(check(*names, json::value(member.key()), place, depth + 1));
        auto const* rule =
            properties ? properties->get_object().if_contains(member.key()) : nullptr;
        if (rule)
            MUST(check(*rule, member.value(), place, depth + 1));
        else if (others && others->is_bool() && !others->get_bool())
            return wrong(place, "there is no such member");
        else if (others)
            MUST(check(*others, member.value(), place, depth + 1));
    }
    return ok();
}

Result<> Checker::check_array(json::object const& schema, json::array const& value,
                              std::string const& at, std::size_t depth) {
    auto size = static_cast<double>(value.size());
    if (size < bound(schema, "minItems", 0) || size > bound(schema, "maxItems", 1e18))
        return wrong(at, "it has the wrong number of items");
    std::size_t first = 0;
    if (auto const* prefix = schema.if_contains("prefixItems"))
        for (; first < prefix->get_array().size() && first < value.size(); ++first)
            MUST(check(prefix->get_array()[first], value[first], at + '/' + std::to_string(first),
                       depth + 1));
    if (auto const* items = schema.if_contains("items"))
        for (auto i = first; i < value.size(); ++i)
            MUST(check(*items, value[i], at + '/' + std::to_string(i), depth + 1));
    auto const* unique = schema.if_contains("uniqueItems");
    if (unique && unique->is_bool() && unique->get_bool())
        for (std::size_t i = 0; i < value.size(); ++i)
            for (std::size_t j = 0; j < i; ++j) {
                if (++steps_ > steps_most) return wrong(at, "the schema is too costly to apply");
                if (same(value[i], value[j])) return wrong(at, "an item stands twice");
            }
    return ok();
}

Result<> Checker::check_text(json::object const& schema, json::string const& value,
                             std::string const& at) {
    auto size = static_cast<double>(characters(view(value)));
    if (size < bound(schema, "minLength", 0)) return wrong(at, "the text is too short");
    if (size > bound(schema, "maxLength", 1e18)) return wrong(at, "the text is too long");
    if (auto const* pattern = schema.if_contains("pattern")) {
        Pattern expression(std::string(view(pattern->get_string())));
        if (!expression.sound) return wrong(at, "its schema holds a pattern that cannot be used");
        if (!expression.found_in(std::string(view(value))))
            return wrong(at, "it must match " + to_text(*pattern));
    }
    return ok();
}

Result<> Checker::check_number(json::object const& schema, json::value const& value,
                               std::string const& at) {
    auto number = number_of(value);
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    if (number < bound(schema, "minimum", -infinity)) return wrong(at, "the number is too small");
    if (number > bound(schema, "maximum", infinity)) return wrong(at, "the number is too large");
    if (schema.contains("exclusiveMinimum") && number <= bound(schema, "exclusiveMinimum", 0))
        return wrong(at, "the number is too small");
    if (schema.contains("exclusiveMaximum") && number >= bound(schema, "exclusiveMaximum", 0))
        return wrong(at, "the number is too large");
    if (auto const* step = schema.if_contains("multipleOf")) {
        auto ratio = number / number_of(*step);
        if (std::floor(ratio) != ratio)
            return wrong(at, "it must be a multiple of " + to_text(*step));
    }
    return ok();
}

// What a keyword's value must be, for a schema to be one.
enum class Form {
    schema,
    schemas,
    named_schemas,
    texts,
    text,
    whole,
    number,
    positive,
    boolean,
    type,
    list,
    any,
    reference
};

std::pair<char const*, Form> const keywords[] = {{"type", Form::type},
                                                 {"enum", Form::list},
                                                 {"const", Form::any},
                                                 {"properties", Form::named_schemas},
                                                 {"required", Form::texts},
                                                 {"additionalProperties", Form::schema},
                                                 {"propertyNames", Form::schema},
                                                 {"minProperties", Form::whole},
                                                 {"maxProperties", Form::whole},
                                                 {"items", Form::schema},
                                                 {"prefixItems", Form::schemas},
                                                 {"minItems", Form::whole},
                                                 {"maxItems", Form::whole},
                                                 {"uniqueItems", Form::boolean},
                                                 {"minLength", Form::whole},
                                                 {"maxLength", Form::whole},
                                                 {"pattern", Form::text},
                                                 {"minimum", Form::number},
                                                 {"maximum", Form::number},
                                                 {"exclusiveMinimum", Form::number},
                                                 {"exclusiveMaximum", Form::number},
                                                 {"multipleOf", Form::positive},
                                                 {"anyOf", Form::schemas},
                                                 {"oneOf", Form::schemas},
                                                 {"allOf", Form::schemas},
                                                 {"not", Form::schema},
                                                 {"$defs", Form::named_schemas},
                                                 {"$ref", Form::reference},
                                                 {"title", Form::any},
                                                 {"description", Form::any},
                                                 {"default", Form::any},
                                                 {"examples", Form::any},
                                                 {"format", Form::any},
                                                 {"$schema", Form::any},
                                                 {"$id", Form::any},
                                                 {"$comment", Form::any},
                                                 {"deprecated", Form::any},
                                                 {"readOnly", Form::any},
                                                 {"writeOnly", Form::any}};

Error not_schema(std::string const& at, std::string const& what) {
    return Error(Fault::bad_input, "the schema" + (at.empty() ? "" : " at " + at) + ": " + what);
}

Result<> is_schema(json::value const& schema, std::string const& at, std::size_t depth);

bool is_type_name(json::value const& value) {
    for (auto const* name : {"object", "array", "string", "boolean", "null", "integer", "number"})
        if (value.is_string() && view(value.get_string()) == name) return true;
    return false;
}

bool is_text_list(json::value const& value) {
    if (!value.is_array()) return false;
    for (auto const& one : value.get_array())
        if (!one.is_string()) return false;
    return true;
}

Result<> has_form(Form form, json::value const& value, std::string const& at, std::size_t depth) {
    bool fits = true;
    switch (form) {
        case Form::any:
            break;
        case Form::schema:
            return is_schema(value, at, depth + 1);
        case Form::schemas:
            if (!value.is_array() || value.get_array().empty())
                return not_schema(at, "it must be a list of schemas");
            for (auto const& one : value.get_array()) MUST(is_schema(one, at, depth + 1));
            break;
        case Form::named_schemas:
            if (!value.is_object()) return not_schema(at, "it must be an object of schemas");
            for (auto const& one : value.get_object())
                MUST(is_schema(one.value(), at + '/' + std::string(view(one.key())), depth + 1));
            break;
        case Form::texts:
            fits = is_text_list(value);
            break;
        case Form::text:
            fits = value.is_string() && Pattern(std::string(view(value.get_string()))).sound;
            break;
        case Form::whole:
            fits = is_number(value) && is_integer(value) && number_of(value) >= 0;
            break;
        case Form::number:
            fits = is_number(value);
            break;
        case Form::positive:
            fits = is_number(value) && number_of(value) > 0;
            break;
        case Form::boolean:
            fits = value.is_bool();
            break;
        case Form::list:
            fits = value.is_array() && !value.get_array().empty();
            break;
        case Form::reference:
            fits = value.is_string() && value.get_string().starts_with('#');
            break;
        case Form::type:
            fits = is_type_name(value);
            if (value.is_array()) {
                fits = !value.get_array().empty();
                for (auto const& one : value.get_array()) fits = fits && is_type_name(one);
            }
            break;
    }
    if (!fits) return not_schema(at, "its value cannot be used");
    return ok();
}

Result<> is_schema(json::value const& schema, std::string const& at, std::size_t depth) {
    if (depth > limits::json_depth) return not_schema(at, "it is too deep");
    if (schema.is_bool()) return ok();
    if (!schema.is_object()) return not_schema(at, "it must be an object or a boolean");
    for (auto const& member : schema.get_object()) {
        auto name = view(member.key());
        auto place = at + '/' + std::string(name);
        bool known = false;
        for (auto const& [keyword, form] : keywords)
            if (name == keyword) {
                known = true;
                MUST(has_form(form, member.value(), place, depth));
            }
        if (!known) return not_schema(place, "this keyword is not supported");
    }
    return ok();
}

}  // namespace

Result<> check_is_schema(json::value const& schema) {
    return is_schema(schema, "", 0);
}

Result<> check_schema(json::value const& schema, json::value const& value) {
    MUST(check_is_schema(schema));
    return Checker(schema).check(schema, value, "", 0);
}

json::value with_defaults(json::value const& schema, json::value value) {
    auto const* properties = member(schema, "properties");
    if (!properties || !properties->is_object() || !value.is_object()) return value;
    for (auto const& property : properties->get_object())
        if (auto const* preset = member(property.value(), "default");
            preset && !value.get_object().contains(property.key()))
            value.get_object().emplace(property.key(), *preset);
    return value;
}

}  // namespace parley
