#include "daemon/signals.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>

namespace parley {

struct Signals::Inside {
    boost::asio::signal_set set;
    std::function<void(int)> told;

    void wait() {
        set.async_wait([this](auto error, int signal) {
            if (error) return;
            told(signal);
            wait();
        });
    }
};

Signals::Signals(Loop& loop, std::function<void(int)> told)
    : inside_(new Inside{boost::asio::signal_set(loop.context(), SIGTERM, SIGINT, SIGHUP),
                         std::move(told)}) {
    inside_->wait();
}

Signals::~Signals() = default;

}  // namespace parley
