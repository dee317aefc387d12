#include "output.hpp"

#include "parley/text.hpp"

#include <algorithm>

namespace shell {

void Output::add(std::string_view bytes) {
    std::size_t const room = half_ - head_.size();
    head_ += bytes.substr(0, room);
    bytes.remove_prefix(std::min(room, bytes.size()));
    if (bytes.size() > half_) {
        left_out_ += bytes.size() - half_;
        bytes.remove_prefix(bytes.size() - half_);
    }
    tail_ += bytes;
    if (tail_.size() <= 2 * half_) return;
    left_out_ += tail_.size() - half_;
    tail_.erase(0, tail_.size() - half_);
}

std::string Output::text() const {
    std::string_view tail = tail_;
    std::size_t left_out = left_out_;
    if (tail.size() > half_) {
        left_out += tail.size() - half_;
        tail.remove_prefix(tail.size() - half_);
    }
    if (left_out == 0) return parley::visible_utf8(head_ + tail_);
    // Each cut may have split a character; the rest of it is left out too.
    std::string_view head = head_;
    std::size_t const whole = parley::utf8_valid_size(head);
    if (head.size() - whole < 4) head = head.substr(0, whole);
    for (int i = 0; i < 3 && !tail.empty() && (static_cast<unsigned char>(tail[0]) & 0xC0) == 0x80;
         ++i) {
        tail.remove_prefix(1);
        ++left_out;
    }
    left_out += head_.size() - head.size();
    return parley::visible_utf8(head) + "\n[… " + std::to_string(left_out) +
           " bytes left out …]\n" + parley::visible_utf8(tail);
}

}  // namespace shell
