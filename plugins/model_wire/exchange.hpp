#pragma once

// What all providers over HTTP share: a request with the key put on it by the host, the same again
// without one where none is bound, and an answer that is read as it streams. Nothing here tries
// again, stores anything or sees the key.
#include "failure.hpp"
#include "parley/plugin.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace model_wire {

struct Settings {
    std::string base_url;
    std::chrono::seconds timeout{600};
    // Where the key goes; Inject::secret is api_key.
    parley::Inject key = {.slot = "header:Authorization", .secret = "api_key", .prefix = "Bearer "};
    // On every request.
    std::vector<std::pair<std::string, std::string>> headers = {};
    // The host said that no key is bound, as is usual for a server of one's own.
    bool has_no_key = false;
};

// Reads base_url and timeout_s; throws std::runtime_error on what is no plain URL.
Settings settings_from(parley::Json const& config, std::string_view usual_url);

// Puts one answer together from the server's events.
class Reader {
public:
    virtual ~Reader() = default;

    // Some servers stream a line of JSON for each part, instead of events.
    virtual bool reads_lines() const { return false; }

    enum class Took {
        fine,
        done,     // the mark that nothing follows
        error,    // the data is the server's word that it failed
        garbage,  // see why()
    };
    // One event's or line's data, or a whole answer of a server that does not stream. Adds items
    // for the host.
    virtual Took take(std::string_view data, std::vector<std::string>& items) = 0;
    // The server said that the answer is whole.
    virtual bool is_complete() const = 0;
    // The last items: usage, state, calls, stop. False, with why(), when they make no sense.
    virtual bool finish(std::vector<std::string>& items) = 0;
    // The usage of an answer that failed, where the server has counted to its end: of a half the
    // host knows nothing, and takes all that it might have cost.
    virtual void add_usage(std::vector<std::string>& items) const = 0;
    // The body to send when a complete answer is only a part of one; empty when it is all.
    virtual std::string next_body() { return {}; }
    std::string const& why() const { return why_; }

protected:
    bool garbage(std::string why);
    // Counts what is kept; false, with why(), when it is too much.
    bool grow(std::size_t bytes);
    // An item of text or reasoning, unless it is empty.
    bool say(char const* type, std::string_view text, std::vector<std::string>& items);

private:
    std::string why_;
    std::size_t bytes_ = 0;
};

struct Usage {
    std::int64_t input = 0, output = 0;              // input with what came from or went to a cache
    std::int64_t cache_read = -1, cache_write = -1;  // -1: not told
    std::int64_t reasoning = -1;                     // a part of the output
};
std::string usage_item(Usage const& usage);
// A count, or -1.
std::int64_t count_at(parley::Json const& value, std::initializer_list<std::string_view> path);

// What a provider wants back with this answer, whole; an item unless it is larger than the host
// takes.
void add_state(std::string_view value, std::vector<std::string>& items);

constexpr std::size_t request_bytes_most = 16u << 20;
constexpr std::size_t calls_most = 128;
// What a call fails with whose body is larger.
parley::Failure too_large();

// One request on its way: sends it with the key, or without one where there is none, and gives the
// body to whoever derives from it. It lives in the callbacks of its call, and goes with its end.
class Exchange : public std::enable_shared_from_this<Exchange> {
public:
    Exchange(parley::Host& host, Settings& settings, parley::Call call)
        : host_(host), settings_(settings), call_(std::move(call)) {}
    virtual ~Exchange() = default;
    void begin();

protected:
    virtual parley::HttpRequest request() const = 0;
    virtual std::string_view body() const { return {}; }
    virtual void on_data(std::string_view bytes) = 0;
    virtual void on_event(parley::ServerEvent const&) {}
    virtual void on_whole() = 0;
    // The answer broke off, or never began.
    virtual void on_broken(parley::Failure const& failure) { call_.fail(failure); }
    virtual void fail(parley::Failure const& failure) { call_.fail(failure); }

    // The same exchange once more, with what request() and body() say now.
    void again() { ask(!settings_.has_no_key); }
    bool has_begun() const { return head_.status >= 200 && head_.status < 300; }

    parley::Host& host_;
    Settings& settings_;
    parley::Call call_;
    parley::Operation operation_;
    parley::HttpHead head_;

private:
    void ask(bool with_key);
    void data(std::string_view bytes);
    void done();
    void broken(parley::Failure const& failure, bool with_key);

    std::string error_;
};

// A streamed answer to one POST of JSON at base_url + `path`. Fails without a request when the body
// is larger than request_bytes_most.
void generate(parley::Host& host, Settings& settings, parley::Call call, std::string path,
              std::string body, std::unique_ptr<Reader> reader);

// GET of base_url + `path`, whose `data` is the list of models.
void list_models(parley::Host& host, Settings& settings, parley::Call call, std::string path);

}  // namespace model_wire
