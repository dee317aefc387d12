#pragma once

// A TLS server with a certificate of its own for `localhost`, on a thread of its own. It answers
// an HTTP request with its first line, and echoes anything else.
#include "kit.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <atomic>
#include <thread>

namespace kit {

class TlsPeer {
public:
    TlsPeer() : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
        make_certificate();
        port = acceptor_.local_endpoint().port();
        thread_ = std::thread([this] { serve(); });
    }
    ~TlsPeer() {
        is_over_ = true;
        boost::asio::io_context context;
        boost::asio::ip::tcp::socket waker(context);
        boost::system::error_code ignored;
        waker.connect({boost::asio::ip::address_v4::loopback(), port}, ignored);
        waker.close(ignored);
        thread_.join();
    }
    static std::string ca_file() { return (folder() / "cert.pem").string(); }
    std::uint16_t port = 0;

private:
    static void make_certificate() {
        if (std::filesystem::exists(ca_file())) return;
        auto key = (folder() / "key.pem").string();
        auto command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
            "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout " +
            key + " -out " + ca_file() + " 2>/dev/null";
        if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl failed");
    }

    void serve() {
        namespace ssl = boost::asio::ssl;
        ssl::context tls(ssl::context::tls_server);
        tls.use_certificate_chain_file(ca_file());
        tls.use_private_key_file((folder() / "key.pem").string(), ssl::context::pem);
        while (!is_over_) {
            boost::system::error_code error;
            ssl::stream<boost::asio::ip::tcp::socket> stream(context_, tls);
            acceptor_.accept(stream.lowest_layer(), error);
            if (!error && !is_over_) stream.handshake(ssl::stream_base::server, error);
            if (error || is_over_) continue;
            answer(stream, error);
            stream.shutdown(error);
        }
    }
    template <class TlsStream>
    static void answer(TlsStream& stream, boost::system::error_code& error) {
        char buffer[4096];
        while (true) {
            auto count = stream.read_some(boost::asio::buffer(buffer), error);
            if (error) return;
            std::string text(buffer, count);
            if (text == "bye\n") return;
            auto http = text.find(" HTTP/1.1\r\n") != std::string::npos;
            if (http) {
                auto line = text.substr(0, text.find("\r\n"));
                text = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                       std::to_string(line.size()) + "\r\n\r\n" + line;
            }
            boost::asio::write(stream, boost::asio::buffer(text), error);
            if (http || error) return;
        }
    }

    boost::asio::io_context context_;
    boost::asio::ip::tcp::acceptor acceptor_;
    std::atomic<bool> is_over_{false};
    std::thread thread_;
};

}  // namespace kit
