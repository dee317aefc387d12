#include "failure.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>

namespace model_wire {

namespace {

using parley::Failure;
using parley::HttpHead;
using parley::Json;

constexpr double wait_ms_most = 3'600'000;

struct Told {
    std::string message, code, type;
    std::int64_t status = 0;  // some servers put it into the body
};

// {"error":{"message","type","code"}}, the same in a "response", {"error":"…"}, or something else
// that is shown as it is.
Told told_in(std::string_view body) {
    Told out;
    Json const whole = Json::parse(body);
    Json error = whole["error"];
    if (error.is_null() || !error.exists()) error = whole["response"]["error"];
    if (!error.is_object() && !error.is_string()) error = whole;
    if (error.is_object()) {
        out.message = error["message"].text(error["detail"].text());
        out.code = error["code"].text(error["details"]["error_code"].text());
        out.type = error["type"].text();
        out.status = error["code"].integer(error["status"].integer());
    } else if (error.is_string()) {
        out.message = error.text();
    }
    // A chunk is no text for a person; but better than nothing.
    if (out.message.empty()) out.message = body;
    std::string const shown =
        parley::visible_utf8(std::string_view(out.message).substr(0, 2 * error_text_bytes));
    out.message = parley::utf8_cut(shown, error_text_bytes);
    return out;
}

bool is_about_money(Told const& told) {
    static constexpr std::string_view words[] = {
        "insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached",
        "billing_not_active", "insufficient_balance",     "billing_error"};
    auto says = [&](std::string_view word) { return told.code == word || told.type == word; };
    // Of one of several kinds, or of one that is yet to be invented.
    return told.code.find("spend_limit") != told.code.npos ||
           std::any_of(std::begin(words), std::end(words), says);
}

// Sets the code, and whether a repeat makes sense.
void judge(Failure& failure, std::int64_t status, Told const& told) {
    auto set = [&](char const* code, bool retryable) {
        failure.code = code;
        failure.retryable = retryable;
    };
    if (status == 402 || is_about_money(told)) return set("money", false);
    if (status == 401 || status == 403) return set("auth", false);
    if (status == 429) return set("rate", true);
    if (status == 413) return set("limit", false);
    // No such model, or no longer: a matter of the place, not of the request.
    if (status == 404 || status == 410) return set("peer", false);
    if (status == 503 || status == 529) return set("overloaded", true);
    if (status == 408 || status == 409 || status >= 500) return set("peer", true);
    set("invalid", false);
}

std::optional<double> number_in(std::string_view text) {
    double out = 0;
    auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    bool const fine = problem == std::errc{} && end == text.data() + text.size();
    return fine && std::isfinite(out) && out >= 0 ? std::optional(out) : std::nullopt;
}

std::optional<int> digits_in(std::string_view text, std::size_t at, std::size_t count) {
    int out = 0;
    if (at + count > text.size()) return {};
    auto const* const first = text.data() + at;
    auto const [end, problem] = std::from_chars(first, first + count, out);
    bool const fine = problem == std::errc{} && end == first + count && out >= 0;
    return fine ? std::optional(out) : std::nullopt;
}

std::optional<std::chrono::sys_seconds> moment(std::optional<int> year, std::size_t month,
                                               std::optional<int> day, std::string_view clock) {
    namespace ch = std::chrono;
    auto const hour = digits_in(clock, 0, 2), minute = digits_in(clock, 3, 2);
    auto const second = digits_in(clock, 6, 2);
    if (!day || !year || !hour || !minute || !second) return {};
    ch::year_month_day const date(ch::year(*year), ch::month(static_cast<unsigned>(month)),
                                  ch::day(static_cast<unsigned>(*day)));
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return {};
    return ch::sys_days(date) + ch::hours(*hour) + ch::minutes(*minute) + ch::seconds(*second);
}

// "Sun, 06 Nov 1994 08:49:37 GMT", the one form that servers may send.
std::optional<std::chrono::sys_seconds> date_in(std::string_view text) {
    static constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (text.size() != 29 || !text.ends_with(" GMT")) return {};
    auto const month = months.find(text.substr(8, 3));
    if (month % 3 != 0) return {};
    return moment(digits_in(text, 12, 4), month / 3 + 1, digits_in(text, 5, 2), text.substr(17));
}

// "1994-11-06T08:49:37Z", with or without a fraction, which is rounded up.
std::optional<std::chrono::sys_seconds> instant_in(std::string_view text) {
    if (text.size() < 20 || text[10] != 'T' || text.back() != 'Z') return {};
    auto const month = digits_in(text, 5, 2);
    auto const out = moment(digits_in(text, 0, 4), static_cast<std::size_t>(month.value_or(0)),
                            digits_in(text, 8, 2), text.substr(11));
    return out && text[19] == '.' ? *out + std::chrono::seconds(1) : out;
}

// A duration as Go writes it, in milliseconds: "6m0s", "1.5s", "20ms".
std::optional<double> duration_in(std::string_view text) {
    static constexpr std::pair<std::string_view, double> units[] = {
        {"ms", 1},    {"h", 3'600'000},  {"m", 60'000}, {"s", 1000},
        {"us", 1e-3}, {"\u00b5s", 1e-3}, {"ns", 1e-6}};
    if (text.empty() || text.size() > 64) return {};
    double out = 0;
    while (!text.empty()) {
        auto const digits = text.substr(0, text.find_first_not_of("0123456789."));
        auto const number = number_in(digits);
        text.remove_prefix(digits.size());
        auto const unit = std::find_if(std::begin(units), std::end(units), [&](auto const& one) {
            return text.starts_with(one.first);
        });
        if (!number || unit == std::end(units)) return {};
        out += *number * unit->second;
        text.remove_prefix(unit->first.size());
    }
    return std::isfinite(out) ? std::optional(out) : std::nullopt;
}

// Of the rates that are used up, how long the last one to be given again still takes, in
// milliseconds. One vendor names the moment, the other the time until then.
std::optional<double> reset_in(HttpHead const& head,
                               std::optional<std::chrono::sys_seconds> const& now) {
    std::optional<double> out;
    auto const last = [&](std::optional<double> wait) {
        if (wait && (!out || *wait > *out)) out = wait;
    };
    for (std::string const rate : {"requests", "tokens", "input-tokens", "output-tokens"}) {
        auto const name = "anthropic-ratelimit-" + rate;
        auto const until = instant_in(head.header(name + "-reset"));
        if (now && until && head.header(name + "-remaining") == "0") {
            last(static_cast<double>((*until - *now).count()) * 1000);
        }
        if (head.header("x-ratelimit-remaining-" + rate) == "0") {
            last(duration_in(head.header("x-ratelimit-reset-" + rate)));
        }
    }
    return out;
}

std::int64_t bounded(double ms) {
    return static_cast<std::int64_t>(std::llround(std::clamp(ms, 0.0, wait_ms_most)));
}

// What a type means where there is no status to say it.
std::int64_t status_of(Told const& told) {
    if (told.status >= 300) return told.status;
    static constexpr std::pair<std::string_view, int> types[] = {
        {"invalid_request_error", 400}, {"authentication_error", 401},
        {"permission_error", 403},      {"not_found_error", 404},
        {"request_too_large", 413},     {"rate_limit_error", 429},
        {"rate_limit_exceeded", 429},   {"overloaded_error", 529},
        {"server_is_overloaded", 503},  {"slow_down", 503},
        {"invalid_prompt", 400},        {"context_length_exceeded", 400}};
    for (auto const& [type, status] : types) {
        if (told.type == type || told.code == type) return status;
    }
    return 500;
}

}  // namespace

std::int64_t retry_after_ms(HttpHead const& head) {
    if (auto const ms = number_in(head.header("retry-after-ms"))) return bounded(*ms);
    auto const text = head.header("retry-after");
    if (auto const seconds = number_in(text)) return bounded(*seconds * 1000);
    auto const now = date_in(head.header("date"));
    if (text.empty()) return bounded(reset_in(head, now).value_or(0));
    auto const until = date_in(text);
    return now && until ? bounded(static_cast<double>((*until - *now).count()) * 1000) : 0;
}

Failure failure_of(HttpHead const& head, std::string_view body) {
    Told const told = told_in(body);
    Failure out;
    judge(out, head.status, told);
    out.message = "HTTP " + std::to_string(head.status);
    if (head.status >= 300 && head.status < 400) {
        out.message += ": the server sends us elsewhere; base_url must be the place itself";
    } else if (!told.message.empty()) {
        out.message += ": " + told.message;
    }
    auto const wish = head.header("x-should-retry");
    // Whatever is said: money does not come back by asking again.
    if (out.code != "money" && wish == "true") out.retryable = true;
    if (wish == "false") out.retryable = false;
    if (out.retryable) out.retry_after_ms = retry_after_ms(head);
    return out;
}

Failure failure_in_stream(std::string_view data) {
    Told const told = told_in(data);
    Failure out;
    judge(out, status_of(told), told);
    out.message = "the server failed while it answered: " + told.message;
    return out;
}

}  // namespace model_wire
