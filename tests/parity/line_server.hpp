#pragma once

// A server of lines that speaks when it is spoken to, on the test's own loop: for each line that
// begins as the script says, the lines that answer it. So the order of all that happens is one.
#include "base/loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

#include <istream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace parity {

class LineServer {
public:
    using Script = std::vector<std::pair<std::string, std::string>>;

    LineServer(parley::Loop& loop, Script script, std::string greeting = "")
        : script_(std::move(script)),
          acceptor_(loop.context(), {boost::asio::ip::make_address("127.0.0.1"), 0}),
          peer_(loop.context()) {
        acceptor_.async_accept(peer_, [this, greeting = std::move(greeting)](auto error) {
            if (error) return;
            boost::asio::write(peer_, boost::asio::buffer(greeting));
            read();
        });
    }
    std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

private:
    void read() {
        boost::asio::async_read_until(peer_, heard_, "\r\n", [this](auto error, std::size_t) {
            if (error) return;
            std::string line;
            std::istream bytes(&heard_);
            std::getline(bytes, line);
            for (auto const& [begin, answer] : script_)
                if (line.starts_with(begin)) boost::asio::write(peer_, boost::asio::buffer(answer));
            read();
        });
    }

    Script const script_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::ip::tcp::socket peer_;
    boost::asio::streambuf heard_;
};

}  // namespace parity
