#include "cli/context.hpp"

#include "base/text.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace parley {

LocalTarget Context::target() const {
    LocalTarget target;
    if (auto const* url = std::getenv("PARLEY_URL")) {
        auto const* token = std::getenv("PARLEY_TOKEN");
        target.url = url;
        target.token = token ? token : "";
    }
    target.socket = home / "run/parley.sock";
    return target;
}

bool Context::host_answers() const {
    auto answer = local_request(target(), "GET", "/health");
    return answer && answer->status == 200;
}

Result<std::string> Context::ask_text(std::string const& method, std::string const& path,
                                      std::string const& body) const {
    auto answer = local_request(target(), method, path, body);
    if (!answer) {
        if (answer.error().fault != Fault::unavailable) return answer.error();
        return Error(Fault::unavailable,
                     "no host is running on " + home.string() + "; start it with: parley run");
    }
    if (answer->status < 300) return std::move(answer->body);
    auto problem = parse_json(answer->body);
    auto detail = problem ? std::string(text_at(*problem, "detail", text_at(*problem, "title")))
                          : std::string();
    if (detail.empty()) detail = "the host answered " + std::to_string(answer->status);
    auto fault = answer->status == 404                            ? Fault::not_found
                 : answer->status == 401 || answer->status == 403 ? Fault::denied
                                                                  : Fault::conflict;
    return Error(fault, std::move(detail));
}

Result<json::value> Context::ask(std::string const& method, std::string const& path,
                                 std::string const& body) const {
    TRY(text, ask_text(method, path, body));
    return parse_json(text);
}

int fail(std::string_view what) {
    std::fprintf(stderr, "parley: %s\n", visible(what).c_str());
    return 1;
}

int fail(Error const& error) {
    return fail(error.what);
}

bool print_json(Context const& context, std::string_view document) {
    if (!context.json) return false;
    std::string text(document);
    if (text.starts_with('{') && text.find("\"version\":1") != 1)
        text.insert(1, text == "{}" ? "\"version\":1" : "\"version\":1,");
    std::printf("%s\n", text.c_str());
    return true;
}

namespace {

std::string cell(json::value const* value) {
    if (!value || value->is_null()) return "-";
    if (value->is_string()) {
        auto text = visible({value->get_string().data(), value->get_string().size()});
        for (char& c : text)
            if (c == '\n') c = ' ';
        return text.size() > 72 ? std::string(clipped(text, 69)) + "..." : text;
    }
    return visible(to_text(*value));
}

}  // namespace

void print_table(json::value const& list, std::initializer_list<char const*> columns) {
    std::vector<std::vector<std::string>> rows;
    rows.emplace_back(columns.begin(), columns.end());
    auto const* items = member(list, "items");
    if (items && items->is_array())
        for (auto const& item : items->get_array()) {
            auto& row = rows.emplace_back();
            for (auto const* column : columns) row.push_back(cell(member(item, column)));
        }
    std::vector<std::size_t> widths(columns.size(), 0);
    for (auto const& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    for (auto const& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += row[i] +
                    (i + 1 < row.size() ? std::string(widths[i] - row[i].size() + 2, ' ') : "");
        std::printf("%s\n", line.c_str());
    }
}

void print_members(json::value const& object, std::string_view indent) {
    if (!object.is_object()) return;
    for (auto const& entry : object.get_object()) {
        auto key = visible({entry.key().data(), entry.key().size()});
        auto const& value = entry.value();
        std::string pad(indent);
        if (value.is_string()) {
            auto text = visible({value.get_string().data(), value.get_string().size()});
            bool block = text.find('\n') != std::string::npos;
            std::printf("%s%s:%s%s\n", pad.c_str(), key.c_str(), block ? "\n" : " ", text.c_str());
        } else if (value.is_object()) {
            std::printf("%s%s:\n", pad.c_str(), key.c_str());
            print_members(value, pad + "  ");
        } else {
            // JSON escapes less than a terminal obeys.
            std::printf("%s%s: %s\n", pad.c_str(), key.c_str(), visible(to_text(value)).c_str());
        }
    }
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    char escape[4];
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~')
            out += c;
        else {
            std::snprintf(escape, sizeof escape, "%%%02X", byte);
            out += escape;
        }
    }
    return out;
}

bool is_terminal(int descriptor) {
    return isatty(descriptor) == 1;
}

}  // namespace parley
