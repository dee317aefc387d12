#include "config/yaml.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>

namespace parley {

namespace {

struct Builder {
    std::string const& file;
    std::size_t nodes = 0;
    std::string error;

    void fail(YAML::Mark const& mark, std::string const& what) {
        if (error.empty())
            error = file + ':' + std::to_string(mark.line + 1) + ':' +
                    std::to_string(mark.column + 1) + ": " + what;
    }

    Yaml build(YAML::Node const& node, std::size_t depth) {
        Yaml out;
        auto mark = node.Mark();
        out.line = mark.line + 1;
        out.column = mark.column + 1;
        // Aliases are expanded here, so a bomb of them is counted and ends.
        if (++nodes > limits::yaml_nodes || depth > limits::json_depth) {
            fail(mark, "the file is too deep or has too many entries");
            return out;
        }
        switch (node.Type()) {
            case YAML::NodeType::Scalar:
                out.kind = Yaml::Kind::scalar;
                out.text = node.Scalar();
                out.quoted = node.Tag() == "!";
                if (!out.quoted && (out.text == "null" || out.text == "~"))
                    out.kind = Yaml::Kind::null;
                break;
            case YAML::NodeType::Sequence:
                out.kind = Yaml::Kind::list;
                for (auto const& item : node) {
                    out.items.push_back(build(item, depth + 1));
                    if (!error.empty()) return out;
                }
                break;
            case YAML::NodeType::Map: {
                out.kind = Yaml::Kind::map;
                std::set<std::string> seen;
                for (auto const& pair : node) {
                    if (!pair.first.IsScalar()) {
                        fail(pair.first.Mark(), "a key must be plain text");
                        return out;
                    }
                    if (!seen.insert(pair.first.Scalar()).second) {
                        fail(pair.first.Mark(),
                             "the key '" + pair.first.Scalar() + "' stands twice");
                        return out;
                    }
                    out.keys.push_back(build(pair.first, depth + 1));
                    out.keys.back().kind = Yaml::Kind::scalar;
                    out.items.push_back(build(pair.second, depth + 1));
                    if (!error.empty()) return out;
                }
                break;
            }
            default:
                break;
        }
        return out;
    }
};

// Hears a document and keeps nothing.
class Nothing final : public YAML::EventHandler {
    void OnDocumentStart(YAML::Mark const&) override {}
    void OnDocumentEnd() override {}
    void OnNull(YAML::Mark const&, YAML::anchor_t) override {}
    void OnAlias(YAML::Mark const&, YAML::anchor_t) override {}
    void OnScalar(YAML::Mark const&, std::string const&, YAML::anchor_t,
                  std::string const&) override {}
    void OnSequenceStart(YAML::Mark const&, std::string const&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(YAML::Mark const&, std::string const&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

// The library's own way to load all documents never ends on a file such as ", x": there is always
// one more document, of nothing. So they are counted here, and only up to two.
bool is_one_document(std::string const& text) {
    std::istringstream in(text);
    YAML::Parser parser(in);
    Nothing nothing;
    return !parser.HandleNextDocument(nothing) || !parser.HandleNextDocument(nothing);
}

// The numbers of JSON, with a plus where YAML allows one; `063.0` and `1.` stay text.
bool has_number_form(std::string_view text) {
    auto digits = [&] {
        auto count = std::min(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(count);
        return count;
    };
    auto take = [&](std::string_view any) {
        if (text.empty() || any.find(text[0]) == any.npos) return false;
        text.remove_prefix(1);
        return true;
    };
    take("+-");
    bool leads_with_zero = text.starts_with('0');
    auto count = digits();
    if (count == 0 || (leads_with_zero && count > 1)) return false;
    if (take(".") && digits() == 0) return false;
    if (take("eE")) {
        take("+-");
        if (digits() == 0) return false;
    }
    return text.empty();
}

void write_json(JsonWriter& out, Yaml const& node) {
    switch (node.kind) {
        case Yaml::Kind::null:
            out.null();
            return;
        case Yaml::Kind::list:
            out.begin('[');
            for (auto const& item : node.items) write_json(out, item);
            out.end(']');
            return;
        case Yaml::Kind::map:
            out.begin('{');
            for (std::size_t i = 0; i < node.keys.size(); ++i) {
                out.key(node.keys[i].text);
                write_json(out, node.items[i]);
            }
            out.end('}');
            return;
        case Yaml::Kind::scalar:
            break;
    }
    if (!node.quoted && (node.text == "true" || node.text == "false"))
        out.boolean(node.text == "true");
    else if (!node.quoted && node.text.size() < 19 && has_number_form(node.text) &&
             std::isfinite(std::strtod(node.text.c_str(), nullptr)))
        out.raw(node.text[0] == '+' ? std::string_view(node.text).substr(1)
                                    : std::string_view(node.text));
    else
        out.string(node.text);
}

}  // namespace

Yaml const* Yaml::find(std::string_view key) const {
    for (std::size_t i = 0; i < keys.size(); ++i)
        if (keys[i].text == key) return &items[i];
    return nullptr;
}

void Complaints::add(std::string const& file, Yaml const& at, std::string const& what) {
    add(file + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) + ": " + what);
}

std::string Complaints::take() {
    if (!text_.empty()) text_.pop_back();
    return std::move(text_);
}

Result<Yaml> parse_yaml(std::string_view text, std::string const& file) {
    if (text.size() > limits::config_bytes)
        return Error(Fault::bad_input, file + ":1:1: the file is larger than " +
                                           std::to_string(limits::config_bytes) + " bytes");
    if (!is_utf8(text)) return Error(Fault::bad_input, file + ":1:1: the file is not UTF-8");
    if (text.find('\0') != std::string_view::npos)
        return Error(Fault::bad_input, file + ":1:1: the file holds a NUL byte");
    try {
        std::string const whole(text);
        if (!is_one_document(whole))
            return Error(Fault::bad_input, file + ":1:1: the file is not one YAML document");
        Builder builder{file, 0, {}};
        auto tree = builder.build(YAML::Load(whole), 0);
        if (!builder.error.empty()) return Error(Fault::bad_input, builder.error);
        if (tree.kind == Yaml::Kind::null) tree.kind = Yaml::Kind::map;
        return tree;
    } catch (YAML::Exception const& failure) {
        return Error(Fault::bad_input, file + ':' + std::to_string(failure.mark.line + 1) + ':' +
                                           std::to_string(failure.mark.column + 1) + ": " +
                                           failure.msg);
    } catch (std::exception const& failure) {
        return Error(Fault::bad_input, file + ":1:1: " + failure.what());
    }
}

std::string yaml_to_json(Yaml const& node) {
    JsonWriter out;
    write_json(out, node);
    return out.take();
}

}  // namespace parley
