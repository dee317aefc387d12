#pragma once

// YAML as a tree of our own with places, so that every complaint can say file, line and column.
// Only this room's .cpp files see the library.
#include "base/result.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Yaml {
    enum class Kind { null, scalar, list, map } kind = Kind::null;
    std::string text;          // of a scalar
    bool quoted = false;       // a quoted scalar is a string whatever it looks like
    std::vector<Yaml> items;   // of a list, or the values of a map
    std::vector<Yaml> keys;    // of a map
    int line = 0, column = 0;  // from 1

    Yaml const* find(std::string_view key) const;
};

// Collects what is wrong with one file after another.
class Complaints {
public:
    void add(std::string const& file, Yaml const& at, std::string const& what);
    void add(std::string const& line) { text_ += line + '\n'; }
    bool any() const { return !text_.empty(); }
    std::string take();

private:
    std::string text_;
};

// Empty files are an empty map. Duplicate keys, aliases beyond limits::yaml_nodes, bytes that are
// not UTF-8 and files over limits::config_bytes are errors.
Result<Yaml> parse_yaml(std::string_view text, std::string const& file);
// As JSON text, scalars typed by YAML's core schema.
std::string yaml_to_json(Yaml const& node);

}  // namespace parley
