#pragma once

// Additions to an operator's file, as text: whatever stands there survives byte for byte. What
// comes out is read again and must say what was said before and the addition, nothing else; a file
// that is shaped otherwise than an addition needs is refused. Nothing here knows what the keys
// mean.
#include "base/result.hpp"
#include "config/yaml.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace parley {

// For values to add. A scalar is text, whatever it looks like, but for true and false.
Yaml yaml_text(std::string text);
Yaml yaml_word(char const* word);
Yaml yaml_list(std::vector<std::string> const& texts);
Yaml yaml_map(std::vector<std::pair<std::string, Yaml>> entries);

// The file with `value` at `path`; mappings on the way there that are missing are made.
// Fault::conflict when something stands there already, or when it cannot be added safely.
Result<std::string> with_value(std::string const& text, std::string const& file,
                               std::vector<std::string> const& path, Yaml const& value);
// The file with one text more in the list at `path`, which must be there.
Result<std::string> with_item(std::string const& text, std::string const& file,
                              std::vector<std::string> const& path, std::string const& item);
// What with_value() would add to an empty file, for a person to add.
std::string yaml_block(std::vector<std::string> const& path, Yaml const& value);

// Replaces a file whose content is `before`, durably, all or nothing. A link to it, its mode and
// its owner stay as they are. Fault::conflict when it holds something else by now, or has other
// names.
Result<> replace_file(std::filesystem::path const& path, std::string const& before,
                      std::string const& text);

}  // namespace parley
