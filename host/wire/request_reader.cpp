#include "wire/request_reader.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace parley {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::error_code;
using View = beast::string_view;

constexpr std::size_t read_bytes = 4096;        // at once while in a header
constexpr std::size_t body_read_bytes = 16384;  // at once while in a body

std::string_view plain(View text) {
    return {text.data(), text.size()};
}

std::string too_long(std::size_t bytes_most) {
    return "The body is longer than " + std::to_string(bytes_most) + " bytes.";
}

// Fills a Request directly, without the container in between.
class Parser final : public http::basic_parser<true> {
public:
    Parser() {
        // Ours is the check of the header's size: it is known before the parser starts.
        header_limit(static_cast<std::uint32_t>(limits::http_header_bytes + 1));
        body_limit(limits::http_body_bytes);
        eager(true);
    }

    Request request;
    bool expects_continue = false, http_1_1 = true;
    std::optional<HttpRefusal> refusal;
    std::function<BodyTerms(Request& head)> const* check = nullptr;
    std::size_t bytes_most = limits::http_body_bytes;
    std::chrono::milliseconds body_time{0};

private:
    void refuse(error_code& error, int status, std::string detail) {
        if (!refusal) refusal = HttpRefusal{status, std::move(detail)};
        error = http::error::bad_value;
    }

    void on_request_impl(http::verb, View method, View target, int version,
                         error_code& error) override {
        http_1_1 = version >= 11;
        if (target.size() > limits::http_target_bytes)
            return refuse(error, 414,
                          "The target is longer than " + std::to_string(limits::http_target_bytes) +
                              " bytes.");
        request.method = plain(method);
        request.target = plain(target);
    }

    void on_field_impl(http::field name, View name_text, View value, error_code& error) override {
        if (is_header_complete_) return;  // trailers say nothing that we want to know
        switch (name) {
            case http::field::content_length:
                if (length_seen_ || !only_digits(plain(value)))
                    return refuse(error, 400, "Content-Length must be one number, given once.");
                length_seen_ = true;
                length_ = plain(value);
                break;
            case http::field::transfer_encoding:
                if (chunked_seen_ || !beast::iequals(value, "chunked"))
                    return refuse(error, 501, "The only Transfer-Encoding here is chunked.");
                chunked_seen_ = true;
                break;
            case http::field::expect:
                if (!beast::iequals(value, "100-continue"))
                    return refuse(error, 417, "Only 100-continue can be expected.");
                expects_continue = true;
                break;
            default:
                break;
        }
        request.headers.emplace_back(plain(name_text), plain(value));
    }

    void on_header_impl(error_code& error) override {
        is_header_complete_ = true;
        if (length_seen_ && chunked_seen_)
            return refuse(error, 400, "Content-Length and Transfer-Encoding exclude each other.");
        if (chunked_seen_ && !http_1_1) return refuse(error, 400, "HTTP/1.0 knows no chunks.");
        if (check && *check) apply((*check)(request), error);
    }

    void apply(BodyTerms terms, error_code& error) {
        if (terms.refusal) {
            refusal = std::move(*terms.refusal);
            error = http::error::bad_value;
            return;
        }
        body_time = terms.time;
        if (terms.bytes_most >= bytes_most) return;
        bytes_most = terms.bytes_most;
        body_limit(bytes_most);
        // A length that is told is judged here; what the parser does of it is over. It has no more
        // than a million bytes, so it is a number.
        if (length_seen_ && std::strtoull(length_.c_str(), nullptr, 10) > bytes_most)
            refuse(error, 413, too_long(bytes_most));
    }

    void on_body_init_impl(boost::optional<std::uint64_t> const& length, error_code&) override {
        if (length) request.body.reserve(static_cast<std::size_t>(*length));
    }
    std::size_t on_body_impl(View bytes, error_code&) override { return append(bytes); }
    void on_chunk_header_impl(std::uint64_t, View, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, View bytes, error_code&) override {
        return append(bytes);
    }
    void on_finish_impl(error_code&) override {}
    void on_response_impl(int, View, int, error_code&) override {}

    std::size_t append(View bytes) {
        request.body.append(bytes.data(), bytes.size());
        return bytes.size();
    }
    static bool only_digits(std::string_view text) {
        return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    }

    bool length_seen_ = false, chunked_seen_ = false, is_header_complete_ = false;
    std::string length_;
};

HttpRefusal refusal_for(error_code const& error, std::size_t bytes_most = limits::http_body_bytes) {
    if (error == http::error::body_limit) return {413, too_long(bytes_most)};
    if (error == http::error::header_limit)
        return {431, "The header is longer than " + std::to_string(limits::http_header_bytes) +
                         " bytes."};
    if (error == http::error::bad_version) return {505, "This is HTTP/1.1."};
    return {400, "This is not a well-formed HTTP request: " + error.message() + "."};
}

// Folded lines, bare CR or LF and NUL: the parser forgives some of them, other readers others.
bool is_well_formed(std::string_view header) {
    for (std::size_t i = 0; i < header.size(); ++i) {
        auto c = static_cast<unsigned char>(header[i]);
        if (c >= 0x20 && c != 0x7f) continue;
        if (c == '\t') continue;
        if (c != '\r' || i + 1 == header.size() || header[i + 1] != '\n') return false;
        ++i;
        if (i + 1 < header.size() && (header[i + 1] == ' ' || header[i + 1] == '\t')) return false;
    }
    return true;
}

}  // namespace

struct RequestReader::Inside {
    beast::flat_buffer buffer;
    std::optional<Parser> parser;
    State state = State::idle;
    std::size_t scanned = 0;  // of the buffer, without finding the header's end
    HttpRefusal refusal;
    std::function<BodyTerms(Request& head)> check;
    bool keep_alive = false, http_1_1 = true;

    State refuse(HttpRefusal why) {
        refusal = std::move(why);
        return state = State::refused;
    }
    std::string_view unread() const {
        auto data = buffer.data();
        return {static_cast<char const*>(data.data()), data.size()};
    }
    State find_header();
    State parse();
};

RequestReader::State RequestReader::Inside::find_header() {
    auto bytes = unread();
    // Old clients send an empty line after a body; RFC 9112 2.2 asks to skip one.
    if (scanned == 0 && bytes.starts_with("\r\n")) {
        buffer.consume(2);
        bytes = unread();
    }
    if (bytes.empty()) return state = State::idle;
    auto end = bytes.find("\r\n\r\n", scanned > 3 ? scanned - 3 : 0);
    auto found = end != std::string_view::npos;
    if ((found ? end + 4 : bytes.size()) > limits::http_header_bytes)
        return refuse(refusal_for(http::error::header_limit));
    // Only what is new, and the line's end before it; a CR at the end waits for its LF. What can
    // no longer become a request need not wait for the header's end.
    auto from = scanned > 2 ? scanned - 2 : 0;
    if (from > 0 && bytes[from] == '\n') --from;
    auto to = found ? end + 2 : bytes.size() - (bytes.back() == '\r' ? 1 : 0);
    if (from < to && !is_well_formed(bytes.substr(from, to - from)))
        return refuse({400, "The header holds a folded line or a bare control character."});
    if (!found) {
        scanned = bytes.size();
        return state = State::header;
    }
    scanned = 0;
    parser.emplace();
    parser->check = &check;
    return parse();
}

RequestReader::State RequestReader::Inside::parse() {
    while (buffer.size() != 0) {
        error_code error;
        auto used = parser->put(buffer.data(), error);
        buffer.consume(used);
        if (parser->refusal) return refuse(std::move(*parser->refusal));
        if (error == http::error::need_more) {
            // A line of a chunk is small; one that fills the buffer is an attack.
            if (buffer.size() >= body_read_bytes)
                return refuse({400, "A chunk's header or the trailer is too long."});
            break;
        }
        if (error) return refuse(refusal_for(error, parser->bytes_most));
        if (parser->is_done()) break;
    }
    // We have seen the header's end; a parser that has not reads it differently.
    if (!parser->is_header_done()) return refuse({400, "The header ends where it should not."});
    keep_alive = parser->keep_alive();
    http_1_1 = parser->http_1_1;
    return state = parser->is_done() ? State::ready : State::body;
}

RequestReader::RequestReader() : inside_(std::make_unique<Inside>()) {}
RequestReader::~RequestReader() = default;

RequestReader::Room RequestReader::room() {
    auto size = inside_->state == State::body ? body_read_bytes : read_bytes;
    auto area = inside_->buffer.prepare(size);
    return {static_cast<char*>(area.data()), area.size()};
}

RequestReader::State RequestReader::took(std::size_t count) {
    inside_->buffer.commit(count);
    return go_on();
}

RequestReader::State RequestReader::go_on() {
    switch (inside_->state) {
        case State::idle:
        case State::header:
            return inside_->find_header();
        case State::body:
            return inside_->parse();
        default:
            return inside_->state;
    }
}

bool RequestReader::has_unread() const {
    return inside_->buffer.size() != 0;
}
RequestReader::State RequestReader::state() const {
    return inside_->state;
}

Request RequestReader::take() {
    auto request = std::move(inside_->parser->request);
    inside_->parser.reset();
    inside_->state = State::idle;
    return request;
}

HttpRefusal const& RequestReader::refusal() const {
    return inside_->refusal;
}
bool RequestReader::keep_alive() const {
    return inside_->keep_alive;
}
bool RequestReader::http_1_1() const {
    return inside_->http_1_1;
}
void RequestReader::check_heads_with(std::function<BodyTerms(Request& head)> check) {
    inside_->check = std::move(check);
}
std::chrono::milliseconds RequestReader::body_time() const {
    return inside_->parser ? inside_->parser->body_time : std::chrono::milliseconds(0);
}
bool RequestReader::expects_continue() const {
    return inside_->parser && inside_->parser->expects_continue;
}

}  // namespace parley
