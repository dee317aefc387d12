#include "base/loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace parley {

namespace asio = boost::asio;

struct Loop::Inside {
    asio::io_context context{1};
};

class Loop::Timer {
public:
    explicit Timer(asio::io_context& context) : timer(context) {}
    asio::steady_timer timer;
};

Loop::Loop() : inside_(std::make_unique<Inside>()) {}
Loop::~Loop() = default;

asio::io_context& Loop::context() {
    return inside_->context;
}

void Loop::post(std::function<void()> work) {
    asio::post(inside_->context, std::move(work));
}

Loop::Handle Loop::after(std::chrono::microseconds delay, std::function<void()> work) {
    auto timer = std::make_shared<Timer>(inside_->context);
    timer->timer.expires_after(delay);
    // The handler must not keep the timer alive: dropping the handle is how it is cancelled. An
    // expired handler may already be queued then, hence the weak look.
    timer->timer.async_wait([weak = std::weak_ptr(timer), work = std::move(work)](auto error) {
        if (error || weak.expired()) return;
        work();
    });
    return timer;
}

void Loop::run() {
    auto guard = asio::make_work_guard(inside_->context);
    inside_->context.run();
}

bool Loop::run_for(std::chrono::milliseconds limit) {
    // Waits for work of other threads too, which the context cannot know of.
    auto guard = asio::make_work_guard(inside_->context);
    inside_->context.restart();
    auto ran = inside_->context.run_one_for(limit);
    return ran + inside_->context.poll() > 0;
}

void Loop::stop() {
    inside_->context.stop();
}

}  // namespace parley
