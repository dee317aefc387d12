#pragma once

// Handing in one mail, as a machine: lines of the server go in, what is to be written comes out,
// and at the end what became of it.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace email {

struct Envelope {
    std::string from, to;  // addresses
    std::string mail;      // the whole, lines ended by CR LF
};

struct Outcome {
    bool delivered = false;
    // When it was not: whether the mail may have been taken all the same.
    bool may_have_left = false;
    bool retryable = false;
    std::string code, message;
};

class Smtp {
public:
    static constexpr std::string_view secret_mark = "{secret}";

    Smtp(Envelope envelope, std::string own_name)
        : envelope_(std::move(envelope)), own_name_(std::move(own_name)) {}

    struct Out {
        std::string bytes;
        bool has_secret = false;
    };
    std::vector<Out> heard(std::string_view bytes);
    // The connection is gone.
    void closed(std::string_view why);
    // Nothing until it is decided. The first word stands.
    std::optional<Outcome> const& outcome() const { return outcome_; }

private:
    enum class Waits { greeting, hello, login, challenge, from, to, data, taken, quit };
    void reply(int code, std::string_view text);
    void say(std::string line, Waits then, bool has_secret = false);
    void fail(int code, std::string_view text);

    Envelope envelope_;
    std::string own_name_;
    Waits waits_ = Waits::greeting;
    std::string arriving_;
    bool offers_plain_ = false;
    std::vector<Out> out_;
    std::optional<Outcome> outcome_;
};

}  // namespace email
