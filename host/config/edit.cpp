#include "config/edit.hpp"

#include "base/json.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>

namespace parley {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t step = 2;  // of indentation

// Something to insert, and where.
struct Insertion {
    std::size_t at = 0;
    std::string text;
};

bool same(Yaml const& one, Yaml const& other) {
    if (one.kind != other.kind || one.items.size() != other.items.size()) return false;
    if (one.kind == Yaml::Kind::scalar) return yaml_to_json(one) == yaml_to_json(other);
    for (std::size_t i = 0; i < one.items.size(); ++i) {
        bool is_map = one.kind == Yaml::Kind::map;
        auto const* counterpart = is_map ? other.find(one.keys[i].text) : &other.items[i];
        if (!counterpart || !same(one.items[i], *counterpart)) return false;
    }
    return true;
}

std::string in_quotes(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

// Without quotes where nobody could read it as anything but this text.
std::string scalar_text(Yaml const& node) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    if (!node.quoted) return node.text;
    auto const& text = node.text;
    bool is_plain = !text.empty() && text.find_first_not_of(plain) == std::string::npos &&
                    std::isalpha(static_cast<unsigned char>(text[0]));
    for (auto const* word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
        is_plain = is_plain && text != word;
    return is_plain ? text : in_quotes(text);
}

std::string flow_text(Yaml const& node) {
    std::string out;
    switch (node.kind) {
        case Yaml::Kind::null:
            return "null";
        case Yaml::Kind::scalar:
            return scalar_text(node);
        case Yaml::Kind::list:
            for (auto const& item : node.items) out += (out.empty() ? "" : ", ") + flow_text(item);
            return '[' + out + ']';
        case Yaml::Kind::map:
            for (std::size_t i = 0; i < node.keys.size(); ++i)
                out += (out.empty() ? "" : ", ") + scalar_text(node.keys[i]) + ": " +
                       flow_text(node.items[i]);
            return '{' + out + '}';
    }
    return out;
}

// A mapping of several entries gets a line for each, anything else one line.
std::string block_text(std::size_t indent, std::string const& key, Yaml const& value, bool opens) {
    auto line = std::string(indent, ' ') + scalar_text(yaml_text(key)) + ':';
    bool is_block = value.kind == Yaml::Kind::map && (opens || value.keys.size() > 1);
    if (!is_block) return line + ' ' + flow_text(value) + '\n';
    line += '\n';
    for (std::size_t i = 0; i < value.keys.size(); ++i)
        line += block_text(indent + step, value.keys[i].text, value.items[i], false);
    return line;
}

// The missing part of a path around a value; nested ones stand in lines of their own.
std::string nested_text(std::size_t indent, std::vector<std::string> const& keys,
                        Yaml const& value) {
    std::string out;
    for (std::size_t i = 0; i + 1 < keys.size(); ++i, indent += step)
        out += std::string(indent, ' ') + scalar_text(yaml_text(keys[i])) + ":\n";
    return out + block_text(indent, keys.back(), value, false);
}

Yaml nested(std::vector<std::string> const& keys, Yaml value) {
    for (auto key = keys.rbegin(); key + 1 != keys.rend(); ++key)
        value = yaml_map({{*key, std::move(value)}});
    return value;
}

// A file's lines, to find bytes by the places that its tree knows.
class Lines {
public:
    explicit Lines(std::string const& text) : text_(text) {
        starts_.push_back(0);
        for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos;) starts_.push_back(++at);
    }
    std::size_t offset(Yaml const& node) const {
        auto line = start(node.line);
        return std::min(line + static_cast<std::size_t>(std::max(node.column, 1)) - 1,
                        text_.size());
    }
    // Of a line from 1; beyond the last one it is the end.
    std::size_t start(int line) const {
        auto index = static_cast<std::size_t>(std::max(line, 1)) - 1;
        return index < starts_.size() ? starts_[index] : text_.size();
    }
    char at(Yaml const& node) const {
        auto place = offset(node);
        return place < text_.size() ? text_[place] : '\0';
    }
    // Back over blank lines, and over comments that stand further left than `indent`.
    std::size_t before_gap(std::size_t place, std::size_t indent) const {
        while (place > 0 && text_[place - 1] == '\n') {
            auto end = place - 1;  // of the line before, without its break
            auto begin = text_.rfind('\n', end == 0 ? 0 : end - 1);
            begin = begin == text_.npos || end == 0 ? 0 : begin + 1;
            auto first = text_.find_first_not_of(' ', begin);
            bool is_blank = first == text_.npos || first >= end;
            bool is_comment = !is_blank && text_[first] == '#' && first - begin < indent;
            if (!is_blank && !is_comment) break;
            place = begin;
        }
        return place;
    }

private:
    std::string const& text_;
    std::vector<std::size_t> starts_;
};

// The first line after `map` on which another key stands that is none of its own.
int line_after(Yaml const& tree, Yaml const& map, int from) {
    int least = std::numeric_limits<int>::max();
    for (std::size_t i = 0; i < tree.keys.size(); ++i) {
        if (&tree == &map) break;
        if (tree.keys[i].line > from) least = std::min(least, tree.keys[i].line);
        if (&tree.items[i] != &map) least = std::min(least, line_after(tree.items[i], map, from));
    }
    return least;
}

// A line of its own at `place`, whatever stands around it.
Insertion line_at(std::string const& text, std::size_t place, std::string line) {
    if (place > 0 && text[place - 1] != '\n') line.insert(0, 1, '\n');
    return {place, std::move(line)};
}

// Ways to add `keys` with `value` to the mapping, the best first.
std::vector<Insertion> ways_into(std::string const& text, Yaml const& tree, Yaml const& map,
                                 Yaml const* key, std::vector<std::string> const& keys,
                                 Yaml const& value) {
    Lines lines(text);
    std::vector<Insertion> ways;
    if (map.kind == Yaml::Kind::map && lines.at(map) == '{') {
        auto place = lines.offset(map) + 1;
        auto entry = scalar_text(yaml_text(keys.front())) + ": " + flow_text(nested(keys, value));
        bool is_spaced = place < text.size() && (text[place] == ' ' || text[place] == '\n');
        if (map.keys.empty()) return {{place, entry}};
        return {{place, is_spaced ? ' ' + entry + ',' : entry + ", "}};
    }
    if (!key && map.keys.empty()) {  // a file without entries
        auto end = text.size();
        return {line_at(text, end, nested_text(0, keys, value))};
    }
    if (map.kind == Yaml::Kind::null || map.keys.empty()) {
        auto indent = static_cast<std::size_t>(key->column) - 1 + step;
        return {line_at(text, lines.start(key->line + 1), nested_text(indent, keys, value))};
    }
    auto indent = static_cast<std::size_t>(map.keys.front().column) - 1;
    auto entry = nested_text(indent, keys, value);
    auto end = lines.before_gap(lines.start(line_after(tree, map, map.keys.back().line)), indent);
    if (!key) ways.push_back(line_at(text, end, '\n' + entry));
    ways.push_back(line_at(text, end, entry));
    ways.push_back({lines.start(map.keys.front().line), entry});
    return ways;
}

// Where a scalar on one line ends.
std::size_t end_of_scalar(std::string const& text, std::size_t begin) {
    auto quote = text[begin];
    auto at = begin + 1;
    if (quote == '"') {
        for (; at < text.size() && text[at] != '"'; ++at)
            if (text[at] == '\\') ++at;
        return std::min(at + 1, text.size());
    }
    if (quote == '\'') {
        for (; at < text.size(); ++at)
            if (text[at] == '\'' && (at + 1 == text.size() || text[++at] != '\'')) return at;
        return at;
    }
    at = std::min(text.find_first_of(",]\n", begin), text.size());
    while (at > begin && text[at - 1] == ' ') --at;
    return at;
}

std::vector<Insertion> ways_onto(std::string const& text, Yaml const& list,
                                 std::string const& item) {
    Lines lines(text);
    auto word = flow_text(yaml_text(item));
    if (lines.at(list) == '[') {
        auto place = lines.offset(list) + 1;
        if (list.items.empty()) return {{place, word}};
        return {{end_of_scalar(text, lines.offset(list.items.back())), ", " + word},
                {place, word + ", "}};
    }
    if (list.items.empty()) return {};
    auto line = std::string(static_cast<std::size_t>(list.column) - 1, ' ') + "- " + word + '\n';
    return {line_at(text, lines.start(list.items.back().line + 1), line)};
}

// The first way after which the file says exactly what is wanted.
Result<std::string> first_sound(std::string const& text, std::string const& file,
                                std::vector<Insertion> const& ways,
                                std::vector<Yaml> const& wanted) {
    for (auto const& way : ways) {
        auto changed = text;
        changed.insert(way.at, way.text);
        auto tree = parse_yaml(changed, file);
        if (!tree) continue;
        for (auto const& one : wanted)
            if (same(*tree, one)) return changed;
    }
    return Error(Fault::conflict, file + " is shaped so that nothing can be added to it safely");
}

Result<Yaml> parse_editable(std::string const& text, std::string const& file) {
    if (text.find('\r') != text.npos || text.starts_with("\xef\xbb\xbf"))
        return Error(Fault::conflict, file +
                                          " has line ends or a mark of another system, so "
                                          "nothing can be added to it safely");
    return parse_yaml(text, file);
}

// A descriptor that is closed.
struct Descriptor {
    int number;
    ~Descriptor() {
        if (number >= 0) close(number);
    }
};

Error failure_at(fs::path const& path) {
    return Error(Fault::internal, path.string() + ": " + std::strerror(errno));
}

bool write_whole(int file, std::string_view text) {
    while (!text.empty()) {
        auto written = write(file, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return fsync(file) == 0;
}

}  // namespace

Yaml yaml_text(std::string text) {
    Yaml node;
    node.kind = Yaml::Kind::scalar;
    node.text = std::move(text);
    node.quoted = true;
    return node;
}

Yaml yaml_word(char const* word) {
    auto node = yaml_text(word);
    node.quoted = false;
    return node;
}

Yaml yaml_list(std::vector<std::string> const& texts) {
    Yaml node;
    node.kind = Yaml::Kind::list;
    for (auto const& text : texts) node.items.push_back(yaml_text(text));
    return node;
}

Yaml yaml_map(std::vector<std::pair<std::string, Yaml>> entries) {
    Yaml node;
    node.kind = Yaml::Kind::map;
    for (auto& [key, value] : entries) {
        node.keys.push_back(yaml_text(std::move(key)));
        node.items.push_back(std::move(value));
    }
    return node;
}

Result<std::string> with_value(std::string const& text, std::string const& file,
                               std::vector<std::string> const& path, Yaml const& value) {
    TRY(tree, parse_editable(text, file));
    // The path goes as deep as it is there; what is added begins where it ends.
    Yaml const* map = &tree;
    Yaml const* key = nullptr;
    std::size_t depth = 0;
    for (; depth < path.size() && map->kind == Yaml::Kind::map; ++depth) {
        auto const* next = map->find(path[depth]);
        if (!next) break;
        key = &map->keys[static_cast<std::size_t>(next - map->items.data())];
        map = next;
    }
    bool is_open = map->kind == Yaml::Kind::map || map->kind == Yaml::Kind::null;
    if (depth == path.size() || !is_open)
        return Error(Fault::conflict, file + ":" + std::to_string(map->line) + ":" +
                                          std::to_string(map->column) + ": '" + path[depth - 1] +
                                          "' stands there already");
    std::vector<std::string> const keys(path.begin() + static_cast<std::ptrdiff_t>(depth),
                                        path.end());
    auto ways = ways_into(text, tree, *map, key, keys, value);
    auto wanted = tree;
    auto* place = &wanted;
    for (std::size_t i = 0; i < depth; ++i) place = const_cast<Yaml*>(place->find(path[i]));
    place->kind = Yaml::Kind::map;
    place->keys.push_back(yaml_text(keys.front()));
    place->items.push_back(nested(keys, value));
    return first_sound(text, file, ways, {wanted});
}

Result<std::string> with_item(std::string const& text, std::string const& file,
                              std::vector<std::string> const& path, std::string const& item) {
    TRY(tree, parse_editable(text, file));
    Yaml const* list = &tree;
    for (auto const& part : path)
        if (list) list = list->find(part);
    if (!list || list->kind != Yaml::Kind::list)
        return Error(Fault::conflict, file + " has no list there to add to");
    auto ways = ways_onto(text, *list, item);
    auto last = tree;
    auto* place = &last;
    for (auto const& part : path) place = const_cast<Yaml*>(place->find(part));
    auto& items = place->items;
    items.push_back(yaml_text(item));
    auto wanted_last = last;
    std::rotate(items.begin(), items.end() - 1, items.end());
    return first_sound(text, file, ways, {std::move(wanted_last), std::move(last)});
}

std::string yaml_block(std::vector<std::string> const& path, Yaml const& value) {
    return nested_text(0, path, value);
}

Result<> replace_file(fs::path const& path, std::string const& before, std::string const& text) {
    std::error_code error;
    auto real = fs::canonical(path, error);
    if (error) return Error(Fault::not_found, path.string() + ": " + error.message());
    Descriptor folder{open(real.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    // One at a time: what another just wrote is seen below.
    if (folder.number < 0 || flock(folder.number, LOCK_EX) != 0)
        return failure_at(real.parent_path());
    struct stat facts {};
    if (lstat(real.c_str(), &facts) != 0) return failure_at(real);
    if (!S_ISREG(facts.st_mode) || facts.st_nlink != 1)
        return Error(Fault::conflict,
                     real.string() + " is no file of one name, and would not stay as it is");
    std::ifstream in(real, std::ios::binary);
    std::string now{std::istreambuf_iterator<char>(in), {}};
    if (!in || now != before)
        return Error(Fault::conflict,
                     real.string() + " was changed meanwhile; it was left as it is, try again");

    auto beside = real;
    beside += ".new";
    unlink(beside.c_str());
    Descriptor file{open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    bool is_ours = facts.st_uid == geteuid() && facts.st_gid == getegid();
    bool done = file.number >= 0 &&
                (is_ours || fchown(file.number, facts.st_uid, facts.st_gid) == 0) &&
                fchmod(file.number, facts.st_mode & 07777) == 0 && write_whole(file.number, text) &&
                rename(beside.c_str(), real.c_str()) == 0;
    if (!done) {
        auto failed = failure_at(real);
        if (file.number >= 0) unlink(beside.c_str());
        return failed;
    }
    fsync(folder.number);
    return ok();
}

}  // namespace parley
