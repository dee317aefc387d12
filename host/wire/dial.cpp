#include "wire/dial.hpp"

#include "wire/curl_module.hpp"

#include <boost/asio/io_context.hpp>

namespace parley {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using tcp = asio::ip::tcp;
using boost::system::error_code;

namespace {

Result<std::shared_ptr<ssl::context>> make_context(std::string const& ca_file) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    error_code error;
    SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
    context->set_verify_mode(ssl::verify_peer, error);
    if (!error && ca_file.empty()) context->set_default_verify_paths(error);
    if (!error && !ca_file.empty()) context->load_verify_file(ca_file, error);
    if (error) return failed("TLS: the trusted certificates cannot be read", error);
    return context;
}

// Reading the system's store takes 40 ms, so it is read once, and only when it is wanted.
Result<std::shared_ptr<ssl::context>> context_for(std::string const& ca_file) {
    if (!ca_file.empty()) return make_context(ca_file);
    static auto const system = make_context("");
    return system;
}

}  // namespace

Error failed(std::string const& what, error_code const& error) {
    return Error(Fault::peer_failed, what + ": " + error.message());
}

Dial::Dial(Loop& loop, StreamTarget target, AddressCheck may_connect)
    : loop_(loop),
      target_(std::move(target)),
      may_connect_(std::move(may_connect)),
      socket_(loop.context()),
      resolver_(loop.context()) {}

void Dial::begin(Done done) {
    done_ = std::move(done);
    loop_.post([me = shared_from_this()] { me->resolve(); });
}

void Dial::cut() {
    is_cut_ = true;
    done_ = nullptr;
    resolver_.cancel();
    error_code ignored;
    socket_.close(ignored);
}

std::string Dial::peer() const {
    error_code error;
    auto endpoint = socket_.remote_endpoint(error);
    if (error) return {};
    return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

void Dial::say_no_more() {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void Dial::finish(Result<> result) {
    if (auto done = std::exchange(done_, nullptr)) done(std::move(result));
}

void Dial::resolve() {
    if (is_cut_) return;
    if (target_.host.empty() || target_.host.size() > 253 ||
        target_.host.find('\0') != std::string::npos || target_.port == 0)
        return finish(Error(Fault::bad_input, "the target has no well-formed host and port"));
    error_code error;
    auto address = asio::ip::make_address(target_.host, error);
    if (!error) {
        candidates_.emplace_back(address, target_.port);
        return choose();
    }
    resolver_.async_resolve(
        target_.host, std::to_string(target_.port), tcp::resolver::numeric_service,
        [me = shared_from_this()](error_code problem, tcp::resolver::results_type found) {
            if (me->is_cut_) return;
            if (problem)
                return me->finish(failed("'" + me->target_.host + "' is not found", problem));
            for (auto const& entry : found) me->candidates_.push_back(entry.endpoint());
            me->choose();
        });
}

// Only what was resolved here is checked, and only what was checked is connected to.
void Dial::choose() {
    std::erase_if(candidates_, [this](tcp::endpoint const& endpoint) {
        return !may_connect_ || !may_connect_(endpoint.address().to_string(), endpoint.port());
    });
    if (is_cut_) return;
    if (candidates_.empty())
        return finish(
            Error(Fault::denied, "no address of '" + target_.host + "' may be connected to"));
    connect(0);
}

void Dial::connect(std::size_t which) {
    error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(candidates_[which], [me = shared_from_this(), which](error_code problem) {
        if (me->is_cut_) return;
        if (problem && which + 1 < me->candidates_.size()) return me->connect(which + 1);
        if (problem) return me->finish(failed("'" + me->target_.host + "'", problem));
        error_code no_matter;
        me->socket_.set_option(tcp::no_delay(true), no_matter);
        me->socket_.set_option(asio::socket_base::keep_alive(true), no_matter);
        me->target_.tls ? me->shake_hands() : me->finish(ok());
    });
}

void Dial::shake_hands() {
    auto file = target_.ca_file.empty() ? ca_file_from_environment() : target_.ca_file;
    auto context = context_for(file);
    if (!context) return finish(std::move(context).error());
    context_ = *context;
    tls_.emplace(socket_, *context_);
    error_code error;
    tls_->set_verify_callback(ssl::host_name_verification(target_.host), error);
    error_code not_ip;
    asio::ip::make_address(target_.host, not_ip);
    // SNI carries names only.
    if (not_ip && !SSL_set_tlsext_host_name(tls_->native_handle(), target_.host.c_str()))
        return finish(Error(Fault::bad_input, "TLS does not take this host name"));
    if (error) return finish(failed("TLS", error));
    tls_->async_handshake(ssl::stream_base::client, [me = shared_from_this()](error_code problem) {
        if (me->is_cut_) return;
        me->finish(problem ? Result<>(failed("TLS", problem)) : ok());
    });
}

}  // namespace parley
