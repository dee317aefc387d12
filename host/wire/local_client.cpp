#include "wire/local_client.hpp"

#include "base/limits.hpp"
#include "wire/client.hpp"
#include "wire/curl_module.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include <array>
#include <charconv>
#include <vector>

namespace parley {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Each = std::function<bool(std::string_view)>;

struct Call {
    std::string method, path, body;
};

bool is_clean(std::string_view text) {
    for (auto c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
    return true;
}

std::vector<std::string> header_lines(LocalTarget const& target, Call const& call) {
    std::vector<std::string> lines{"Accept: */*", "User-Agent: parley/" PARLEY_VERSION};
    if (!target.token.empty()) lines.push_back("Authorization: Bearer " + target.token);
    if (!call.body.empty()) lines.emplace_back("Content-Type: application/json");
    return lines;
}

std::string request_text(LocalTarget const& target, Call const& call, std::string const& path,
                         std::string const& host) {
    auto text = call.method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n";
    for (auto const& line : header_lines(target, call)) text += line + "\r\n";
    auto has_body = !call.body.empty() || call.method == "POST" || call.method == "PUT";
    if (has_body) text += "Content-Length: " + std::to_string(call.body.size()) + "\r\n";
    return text + "Connection: close\r\n\r\n" + call.body;
}

Error broken(error_code const& error) {
    return Error(Fault::peer_failed, "the host broke off: " + error.message());
}

// One request on a connected socket; the body goes to `each` as it comes.
template <class Socket>
Result<int> exchange(Socket& socket, std::string const& request, Each const& each) {
    error_code error;
    asio::write(socket, asio::buffer(request), error);
    // A host that refuses early may have answered already.
    auto write_error = error;
    boost::beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    parser.header_limit(static_cast<std::uint32_t>(limits::egress_header_bytes));
    http::read_header(socket, buffer, parser, error);
    if (error) return broken(write_error ? write_error : error);
    std::array<char, 16384> piece;
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = piece.data();
        body.size = piece.size();
        http::read_some(socket, buffer, parser, error);
        if (error == http::error::need_buffer) error = {};
        auto count = piece.size() - body.size;
        if (count > 0 && !each({piece.data(), count})) break;
        if (error) return broken(error);
    }
    return static_cast<int>(parser.get().result_int());
}

Result<int> over_unix(LocalTarget const& target, Call const& call, Each const& each) {
    using Protocol = asio::local::stream_protocol;
    if (target.socket.string().size() > 107)
        return Error(Fault::bad_input,
                     target.socket.string() + ": is too long for a socket's path");
    asio::io_context context;
    Protocol::socket socket(context);
    error_code error;
    socket.connect(Protocol::endpoint(target.socket.string()), error);
    if (error)
        return Error(Fault::unavailable, "no host runs there (" + target.socket.string() + ": " +
                                             error.message() + ")");
    return exchange(socket, request_text(target, call, call.path, "localhost"), each);
}

std::string full_path(Url const& base, std::string const& path) {
    auto prefix = base.path_and_query;
    while (prefix.ends_with('/')) prefix.pop_back();
    return prefix + path;
}

Result<int> over_tcp(LocalTarget const& target, Url const& url, Call const& call,
                     Each const& each) {
    asio::io_context context;
    asio::ip::tcp::resolver resolver(context);
    asio::ip::tcp::socket socket(context);
    error_code error;
    auto found = resolver.resolve(url.host, std::to_string(url.port), error);
    if (!error) asio::connect(socket, found, error);
    if (error)
        return Error(Fault::unavailable,
                     "no host answers at " + url.origin() + ": " + error.message());
    auto host = url.origin().substr(url.scheme.size() + 3);
    return exchange(socket, request_text(target, call, full_path(url, call.path), host), each);
}

// TLS goes by the module, which the other ways do not need to load.
struct Secure {
    Each const& each;
    int status = 0;
    bool broke_off = false;
    Result<> outcome = ok();
};

Result<int> over_tls(LocalTarget const& target, Url const& url, Call const& call,
                     Each const& each) {
    TRY(table, curl_table());
    Secure state{each};
    parley_curl_host host{};
    host.may_connect = [](void*, char const*, std::uint16_t) { return 1; };
    host.on_header = [](void* self, char const* line, std::size_t size) {
        std::string_view text(line, size);
        auto space = text.starts_with("HTTP/") ? text.find(' ') : std::string_view::npos;
        if (space != std::string_view::npos)
            std::from_chars(line + space + 1, line + size, static_cast<Secure*>(self)->status);
        return 1;
    };
    host.on_data = [](void* self, char const* bytes, std::size_t size) {
        auto& secure = *static_cast<Secure*>(self);
        secure.broke_off = !secure.each({bytes, size});
        return secure.broke_off ? PARLEY_CURL_ABORT : PARLEY_CURL_TAKEN;
    };
    host.on_end = [](void* self, parley_curl_end how, int sent, char const* why) {
        auto& secure = *static_cast<Secure*>(self);
        if (how == PARLEY_CURL_OK || secure.broke_off) return;
        secure.outcome = Error(sent ? Fault::peer_failed : Fault::unavailable, why);
    };
    auto lines = header_lines(target, call);
    std::vector<char const*> headers;
    for (auto const& line : lines) headers.push_back(line.c_str());
    auto text = url.origin() + full_path(url, call.path);
    auto ca_file = ca_file_from_environment();
    parley_curl_job job{};
    job.method = call.method.c_str();
    job.url = text.c_str();
    job.headers = headers.data();
    job.header_count = headers.size();
    job.body = call.body.data();
    job.body_size = call.body.size();
    job.proxy = "";
    job.ca_file = ca_file.c_str();
    job.connect_timeout_ms = std::chrono::milliseconds(limits::egress_connect_time).count();
    table->perform(&host, &job, &state);
    MUST(state.outcome);
    return state.status;
}

Result<int> carry(LocalTarget const& target, Call const& call, Each const& each) {
    if (call.path.empty() || call.path.front() != '/' || !is_clean(call.path))
        return Error(Fault::bad_input, "the path must begin with / and hold no blanks");
    if (!is_clean(target.token)) return Error(Fault::bad_input, "the token holds a blank");
    try {
        if (target.url.empty()) return over_unix(target, call, each);
        TRY(url, parse_url(target.url));
        if (url.path_and_query.find('?') != std::string::npos)
            return Error(Fault::bad_input, "PARLEY_URL is a base: it takes no query");
        if (url.scheme == "http") return over_tcp(target, url, call, each);
        return over_tls(target, url, call, each);
    } catch (std::exception const& problem) {
        return Error(Fault::internal, problem.what());
    }
}

}  // namespace

Result<LocalResponse> local_request(LocalTarget const& target, std::string const& method,
                                    std::string const& path, std::string const& body) {
    LocalResponse response;
    auto too_long = false;
    TRY(status, carry(target, {method, path, body}, [&](std::string_view bytes) {
            too_long = response.body.size() + bytes.size() > limits::egress_body_bytes;
            if (!too_long) response.body.append(bytes);
            return !too_long;
        }));
    if (too_long) return Error(Fault::peer_failed, "the host's answer is too long");
    response.status = status;
    return response;
}

Result<int> local_stream(LocalTarget const& target, std::string const& path,
                         std::function<bool(std::string_view bytes)> const& each) {
    return carry(target, {"GET", path, ""}, each);
}

}  // namespace parley
