#include "api.hpp"

#include <algorithm>
#include <memory>

namespace telegram {

namespace {

using parley::Failure;
using parley::Json;

constexpr std::size_t answer_bytes_most = 8u << 20;  // a hundred updates of the longest text
constexpr std::size_t description_bytes = 200;
constexpr std::int64_t day_s = 86400;
constexpr std::string_view token_place = "bot-token-here";

// A server of one's own may name a file of its machine, which is out of reach.
std::optional<std::string> encoded_path(std::string_view path) {
    static constexpr char digits[] = "0123456789ABCDEF";
    if (path.empty() || path.starts_with('/') || path.find("..") != path.npos) return std::nullopt;
    std::string out;
    for (char const c : path) {
        auto const byte = static_cast<unsigned char>(c);
        bool const is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') ||
                              std::string_view("-._~/").find(c) != std::string_view::npos;
        if (is_plain)
            out += c;
        else
            out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

}  // namespace

Answer answer_from(int status, std::string_view body) {
    Answer out;
    Json const told = Json::parse(body);
    out.code = told["error_code"].integer(status);
    if (told["ok"].boolean() && status >= 200 && status < 300) {
        out.ok = true;
        out.result = told["result"];
        return out;
    }
    if (status >= 200 && status < 300) {
        out.broken = {"peer", "the server answers something that is no Bot API", true, 0, {}};
        return out;
    }
    auto const words =
        parley::visible_utf8(told["description"].text().substr(0, description_bytes));
    out.description = parley::utf8_cut(words, description_bytes);
    Json const more = told["parameters"];
    out.retry_after_s = std::clamp<std::int64_t>(more["retry_after"].integer(), 0, day_s);
    out.migrated_to = more["migrate_to_chat_id"].integer();
    return out;
}

parley::HttpRequest Api::request_for(std::string_view before, std::string_view after,
                                     std::chrono::seconds timeout) const {
    parley::HttpRequest request;
    request.url =
        base_url_ + std::string(before) + "/" + std::string(token_place) + "/" + std::string(after);
    request.timeout = timeout;
    request.inject.push_back(
        {.slot = "path:" + std::string(token_place), .secret = "token", .prefix = "bot"});
    return request;
}

parley::Operation Api::start(parley::Call const& call, parley::HttpRequest const& request,
                             std::string_view body, ThenFile then) {
    struct Reading {
        int status = 0;
        std::string body;
        parley::Blob blob;
        ThenFile then;
    };
    auto reading = std::make_shared<Reading>();
    reading->then = std::move(then);
    parley::HttpCallbacks callbacks;
    callbacks.on_head = [reading](parley::HttpHead const& head) { reading->status = head.status; };
    callbacks.on_data = [reading](std::string_view bytes) { reading->body += bytes; };
    callbacks.on_blob = [reading](parley::Blob const& blob) { reading->blob = blob; };
    callbacks.on_done = [reading] {
        Answer out;
        out.ok = !reading->blob.id.empty();
        if (!out.ok) out = answer_from(reading->status, reading->body);
        reading->then(out, reading->blob);
    };
    callbacks.on_failed = [reading](Failure const& failure) {
        Answer out;
        out.broken = failure;
        reading->then(out, {});
    };
    return host_.http(call, request, body, std::move(callbacks));
}

parley::Operation Api::ask(parley::Call const& call, std::string_view method,
                           std::string_view params, std::chrono::seconds timeout, Then then,
                           std::vector<parley::Inject> more) {
    auto request = request_for("", method, timeout);
    for (auto& one : more) request.inject.push_back(std::move(one));
    request.method = "POST";
    request.headers = {{"Content-Type", "application/json"}};
    request.max_bytes = answer_bytes_most;
    return start(call, request, params,
                 [then = std::move(then)](Answer const& answer, auto const&) { then(answer); });
}

parley::Operation Api::upload(parley::Call const& call, std::string_view method,
                              std::vector<parley::HttpPart> params, std::chrono::seconds timeout,
                              Then then) {
    auto request = request_for("", method, timeout);
    request.method = "POST";
    request.parts = std::move(params);
    request.max_bytes = answer_bytes_most;
    return start(call, request, "",
                 [then = std::move(then)](Answer const& answer, auto const&) { then(answer); });
}

parley::Operation Api::fetch(parley::Call const& call, std::string_view path,
                             std::chrono::seconds timeout, ThenFile then) {
    auto const place = encoded_path(path);
    if (!place) {
        Answer out;
        out.broken = {
            "unsupported", "the server names no path below its own address", false, 0, {}};
        then(out, {});
        return {};
    }
    auto request = request_for("/file", *place, timeout);
    request.to_blob = true;
    return start(call, request, "", std::move(then));
}

Failure failure_of(Answer const& answer) {
    if (answer.broken) {
        Failure out = *answer.broken;
        // The host has only so many requests open at once.
        if (out.code == "limit" && out.sent == false) out.retryable = true;
        return out;
    }
    Failure out;
    out.message = "Telegram answers " + std::to_string(answer.code);
    if (!answer.description.empty()) out.message += ": " + answer.description;
    // Refused is not sent. An error of the server says nothing about what it did before.
    if (answer.code < 500) out.sent = false;
    out.code = "invalid";
    if (answer.code == 401 || answer.code == 404) out.code = "auth";
    if (answer.code == 403) out.code = "denied";
    if (answer.code == 429) {
        out.code = "rate";
        out.retryable = true;
        out.retry_after_ms = answer.retry_after_s * 1000;
    }
    if (answer.code >= 500) {
        out.code = "peer";
        out.retryable = true;
    }
    return out;
}

}  // namespace telegram
