#include "wire/client.hpp"

#include "base/limits.hpp"

// https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5 and 9.2.6.
namespace parley {

Result<> EventParser::feed(std::string_view bytes, std::function<void(Event)> const& each) {
    while (!bytes.empty()) {
        if (after_cr_) {
            after_cr_ = false;
            if (bytes.front() == '\n') {
                bytes.remove_prefix(1);
                continue;
            }
        }
        auto end = bytes.find_first_of("\r\n");
        auto piece = bytes.substr(0, end);
        if (line_.size() + piece.size() > limits::sse_line_bytes)
            return Error(Fault::bad_input, "a line of the event stream is too long");
        line_.append(piece);
        if (end == std::string_view::npos) return ok();
        after_cr_ = bytes[end] == '\r';
        bytes.remove_prefix(end + 1);
        MUST(take_line(each));
        line_.clear();
    }
    return ok();
}

Result<> EventParser::take_line(std::function<void(Event)> const& each) {
    std::string_view line = line_;
    if (!started_ && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
    started_ = true;
    if (line.empty()) {
        if (data_seen_) {
            Event event;
            if (!event_.empty()) event.event = event_;
            event.data = std::move(data_);
            event.id = id_;
            data_.clear();
            data_seen_ = false;
            event_.clear();
            each(std::move(event));
        }
        event_.clear();
        return ok();
    }
    auto colon = line.find(':');
    if (colon == 0) return ok();
    auto field = line.substr(0, colon);
    auto value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
        // Many short lines must not do what one long line may not.
        if (data_.size() + value.size() + 1 > limits::sse_line_bytes)
            return Error(Fault::bad_input, "an event of the stream is too long");
        if (data_seen_) data_ += '\n';
        data_ += value;
        data_seen_ = true;
    } else if (field == "event") {
        event_ = value;
    } else if (field == "id" && value.find('\0') == std::string_view::npos) {
        id_ = value;
    }
    return ok();
}

}  // namespace parley
