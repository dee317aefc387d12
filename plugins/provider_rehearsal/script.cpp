#include "script.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace rehearsal {
namespace {

using Kind = Action::Kind;

constexpr std::int64_t most_bytes = 64 << 20;
constexpr std::int64_t most_wait_ms = 24 * 3600 * 1000;
constexpr std::int64_t most_chunks = 10'000;
constexpr std::string_view help =
    "I am a script. Begin a message with one of these lines:\n"
    "/say TEXT, /stream N MS TEXT, /reason TEXT, /wait MS, /bytes N, /bad-utf8\n"
    "/call NAME {json}, /raw-call NAME TEXT, /results, /context, /then\n"
    "/usage IN OUT, /stop end|calls|length|refusal, /cut\n"
    "/fail CODE [retryable] [TIMES], /crash, /hang, /help";

// The next word, taken off the front of `rest`.
std::string_view word(std::string_view& rest) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    std::string_view const out = rest.substr(0, rest.find_first_of(" \n"));
    rest.remove_prefix(out.size());
    if (!rest.empty()) rest.remove_prefix(1);
    return out;
}

std::optional<std::int64_t> number(std::string_view& rest, std::int64_t most) {
    std::string_view const digits = word(rest);
    std::int64_t out = 0;
    auto const [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (problem != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    if (out < 0 || out > most) return std::nullopt;
    return out;
}

// A command with its argument: the rest of its line, and the lines after it up to the next command.
struct Command {
    std::string_view name, argument;
};

std::vector<Command> commands_of(std::string_view text) {
    std::vector<Command> out;
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t const next = text.find("\n/", at);
        std::string_view rest = text.substr(at, next == text.npos ? text.npos : next - at);
        at = next == text.npos ? text.size() : next + 1;
        while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r')) rest.remove_suffix(1);
        std::string_view const name = word(rest);
        out.push_back({name, rest});
    }
    return out;
}

Action say(std::string text) { return {.kind = Kind::text, .text = std::move(text)}; }
Action wrong(Command const& command, std::string_view why) {
    return say(std::string(command.name) + ": " + std::string(why));
}

void stream(Command const& command, Step& out) {
    std::string_view rest = command.argument;
    auto const chunks = number(rest, most_chunks);
    auto const pause_ms = chunks ? number(rest, most_wait_ms) : std::nullopt;
    if (!pause_ms || *chunks == 0) return out.push_back(wrong(command, "wants N MS TEXT"));
    for (std::int64_t left = *chunks; left > 0; --left) {
        std::size_t const size = rest.size() / static_cast<std::size_t>(left);
        std::string_view const chunk = left == 1 ? rest : parley::utf8_cut(rest, size);
        rest.remove_prefix(chunk.size());
        out.push_back(say(std::string(chunk)));
        if (left > 1 && *pause_ms > 0) out.push_back({.kind = Kind::wait, .number = *pause_ms});
    }
}

Action call(Command const& command, bool checked) {
    std::string_view rest = command.argument;
    std::string_view const name = word(rest);
    if (name.empty()) return wrong(command, "wants NAME and arguments");
    std::string_view const arguments = checked && rest.empty() ? "{}" : rest;
    std::string why;
    if (checked && !parley::Json::parse(arguments, &why)) return wrong(command, why);
    return {.kind = Kind::call, .name = std::string(name), .text = std::string(arguments)};
}

Action fail(Command const& command) {
    std::string_view rest = command.argument;
    Action out{.kind = Kind::fail, .name = std::string(word(rest))};
    if (out.name.empty()) out.name = "peer";
    std::string_view before = rest;
    out.flag = word(rest) == "retryable";
    if (!out.flag) rest = before;
    if (auto const times = number(rest, 1000)) out.number = *times;
    return out;
}

Action one_number(Command const& command, Kind kind, std::int64_t most) {
    std::string_view rest = command.argument;
    auto const value = number(rest, most);
    if (!value) return wrong(command, "wants a number up to " + std::to_string(most));
    return {.kind = kind, .number = *value};
}

Action usage(Command const& command) {
    std::string_view rest = command.argument;
    auto const input = number(rest, INT64_MAX);
    auto const output = input ? number(rest, INT64_MAX) : std::nullopt;
    if (!output) return wrong(command, "wants IN OUT");
    return {.kind = Kind::usage, .number = *input, .second = *output};
}

void add(Command const& command, Step& out) {
    auto const is = [&](std::string_view name) { return command.name == name; };
    std::string const text(command.argument);
    if (is("/say")) return out.push_back(say(text));
    if (is("/stream")) return stream(command, out);
    if (is("/reason")) return out.push_back({.kind = Kind::reasoning, .text = text});
    if (is("/wait")) return out.push_back(one_number(command, Kind::wait, most_wait_ms));
    if (is("/bytes")) return out.push_back(one_number(command, Kind::fill, most_bytes));
    if (is("/bad-utf8")) return out.push_back({.kind = Kind::bad_utf8});
    if (is("/call")) return out.push_back(call(command, true));
    if (is("/raw-call")) return out.push_back(call(command, false));
    if (is("/results")) return out.push_back({.kind = Kind::results});
    if (is("/context")) return out.push_back({.kind = Kind::context});
    if (is("/usage")) return out.push_back(usage(command));
    if (is("/stop")) return out.push_back({.kind = Kind::stop, .text = text});
    if (is("/cut")) return out.push_back({.kind = Kind::cut});
    if (is("/fail")) return out.push_back(fail(command));
    if (is("/crash")) return out.push_back({.kind = Kind::crash});
    if (is("/hang")) return out.push_back({.kind = Kind::hang});
    if (is("/help")) return out.push_back(say(std::string(help)));
    out.push_back(wrong(command, "I do not know that. " + std::string(help)));
}

}  // namespace

bool is_script(std::string_view text) { return !text.empty() && text.front() == '/'; }

std::vector<Step> parse_script(std::string_view text) {
    std::vector<Step> out(1);
    for (Command const& command : commands_of(text)) {
        if (command.name == "/then") {
            out.emplace_back();
        } else {
            add(command, out.back());
        }
    }
    return out;
}

}  // namespace rehearsal
