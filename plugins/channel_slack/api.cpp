#include "api.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

namespace slack {

namespace {

using parley::Failure;
using parley::Json;

constexpr std::size_t answer_bytes_most = 4u << 20;
constexpr std::size_t error_bytes = 100;
constexpr std::int64_t wait_s_most = 3600, wait_s_usual = 30;
constexpr auto answer_time = std::chrono::seconds(30);

// A token that is none, or that lacks what the operator has to give it.
constexpr std::array<std::string_view, 10> of_tokens = {
    "invalid_auth",       "not_authed",       "account_inactive", "token_revoked",
    "token_expired",      "missing_scope",    "no_permission",    "not_allowed_token_type",
    "org_login_required", "ekm_access_denied"};
// Slack itself says that part of it may have been done.
constexpr std::array<std::string_view, 4> of_slack = {"internal_error", "fatal_error",
                                                      "service_unavailable", "request_timeout"};
constexpr std::array<std::string_view, 5> of_places = {"not_in_channel", "is_archived",
                                                       "channel_not_found", "restricted_action",
                                                       "messages_tab_disabled"};

template <class List>
bool is_one_of(std::string_view word, List const& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

Answer answer_from(int status, std::string_view retry_after, std::string_view body) {
    Answer out;
    out.status = status;
    out.told = Json::parse(body);
    out.ok = status >= 200 && status < 300 && out.told["ok"].boolean();
    if (out.ok) return out;
    if (status >= 200 && status < 300 && !out.told["ok"].is_boolean()) {
        out.broken = {"peer", "the server answers something that is not Slack's", true, 0, {}};
        return out;
    }
    auto const words = parley::visible_utf8(out.told["error"].text().substr(0, error_bytes));
    out.error = parley::utf8_cut(words, error_bytes);
    if (status == 429) {
        out.error = "ratelimited";
        auto const* const end = retry_after.data() + retry_after.size();
        if (std::from_chars(retry_after.data(), end, out.retry_after_s).ec != std::errc{})
            out.retry_after_s = wait_s_usual;
        out.retry_after_s = std::clamp<std::int64_t>(out.retry_after_s, 1, wait_s_most);
    }
    return out;
}

parley::Operation Api::ask(parley::Call const& call, std::string_view method,
                           std::string_view params, Token token, Then then) {
    struct Reading {
        int status = 0;
        std::string retry_after, body;
        Then then;
    };
    auto reading = std::make_shared<Reading>();
    reading->then = std::move(then);
    parley::HttpRequest request;
    request.method = "POST";
    request.url = api_url_ + "/" + std::string(method);
    request.headers = {{"Content-Type", "application/json; charset=utf-8"}};
    request.timeout = answer_time;
    request.max_bytes = answer_bytes_most;
    request.inject.push_back({.slot = "header:Authorization",
                              .secret = token == Token::app ? "app_token" : "bot_token",
                              .prefix = "Bearer "});
    parley::HttpCallbacks callbacks;
    callbacks.on_head = [reading](parley::HttpHead const& head) {
        reading->status = head.status;
        reading->retry_after = head.header("retry-after");
    };
    callbacks.on_data = [reading](std::string_view bytes) { reading->body += bytes; };
    callbacks.on_done = [reading] {
        reading->then(answer_from(reading->status, reading->retry_after, reading->body));
    };
    callbacks.on_failed = [reading](Failure const& failure) {
        Answer out;
        out.broken = failure;
        reading->then(out);
    };
    return host_.http(call, request, params, std::move(callbacks));
}

Failure failure_of(Answer const& answer) {
    if (answer.broken) {
        Failure out = *answer.broken;
        // The host has only so many requests open at once.
        if (out.code == "limit" && out.sent == false) out.retryable = true;
        return out;
    }
    Failure out;
    out.message =
        "Slack answers " + (answer.error.empty() ? std::to_string(answer.status) : answer.error);
    out.code = "invalid";
    if (is_one_of(answer.error, of_tokens)) out.code = "auth";
    if (is_one_of(answer.error, of_places)) out.code = "denied";
    if (answer.error == "ratelimited" || answer.error == "rate_limited") {
        out.code = "rate";
        out.retryable = true;
        out.retry_after_ms = std::max<std::int64_t>(answer.retry_after_s, 1) * 1000;
    }
    bool const is_theirs = answer.status >= 500 || is_one_of(answer.error, of_slack);
    if (is_theirs) {
        out.code = "peer";
        out.retryable = true;
    } else {
        out.sent = false;  // refused is not sent
    }
    return out;
}

}  // namespace slack
