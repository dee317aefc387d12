#pragma once

// The event thread: everything in the core runs on it, one thing after another, so nothing in
// the core locks. Rooms that need sockets ask for `context()`.
#include <chrono>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace parley {

class Loop {
public:
    Loop();
    ~Loop();
    Loop(Loop const&) = delete;

    boost::asio::io_context& context();

    // Runs `work` on the event thread, later, in order of posting. Any thread may call.
    void post(std::function<void()> work);

    // A timer that is alive as long as the handle is. [event thread]
    class Timer;
    using Handle = std::shared_ptr<Timer>;
    [[nodiscard]] Handle after(std::chrono::microseconds delay, std::function<void()> work);

    // Until stop(). The thread that calls is the event thread.
    void run();
    // Runs what is ready and what comes within `limit`; true if anything ran. For tests.
    bool run_for(std::chrono::milliseconds limit);
    void stop();  // any thread

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace parley
