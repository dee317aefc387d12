#pragma once

// The worker's end of the link: whole messages in, frames out. Any thread may send; one reads.
// What the plugin's side needs is an interface, since tests have a link without a socket.
#include <parley/frame.h>

#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>

namespace parley::worker {

struct Message {
    std::uint16_t type = 0;
    std::uint64_t id = 0;
    std::string_view body;  // valid until the next receive()
};

class Link {
public:
    virtual ~Link() = default;
    // The pieces form one body. Blocks while the host does not read, which it always does. What the
    // reading thread sends may wait until it receives again: many answers, one system call.
    virtual void send(std::uint16_t type, std::uint64_t id,
                      std::initializer_list<std::string_view> body) = 0;
    virtual void flush() = 0;
};

class SocketLink final : public Link {
public:
    explicit SocketLink(int descriptor) : descriptor_(descriptor) {}

    // Sends what is waiting, then blocks for the next message. False at the end of the link.
    bool receive(Message& message);
    void send(std::uint16_t type, std::uint64_t id,
              std::initializer_list<std::string_view> body) override;
    void flush() override;

private:
    bool fill();
    void write_out();

    int descriptor_;
    char in_[PARLEY_FRAME_BODY_MAX + sizeof(parley_frame)];
    std::size_t begin_ = 0, end_ = 0;
    std::string whole_;  // a message of many frames

    std::mutex mutex_;
    std::string out_;
};

// Little-endian numbers as body pieces.
template <class Number>
std::string_view bytes_of(Number const& number) {
    return {reinterpret_cast<char const*>(&number), sizeof number};
}

// Takes a number off the front; false when there is none.
bool take_number(std::string_view& body, std::uint32_t& out);
bool take_number(std::string_view& body, std::uint64_t& out);

// The thread that reads the link, and calls the plugin.
void this_is_the_strand();
bool on_strand();

}  // namespace parley::worker
