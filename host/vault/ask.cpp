#include "vault/ask.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

#include <termios.h>
#include <unistd.h>

#include <cstdio>

namespace parley {

namespace {

// The terminal at standard input, silent for as long as this lives.
class Silence {
public:
    explicit Silence(char const* prompt) : is_on_(tcgetattr(0, &before_) == 0) {
        if (!is_on_) return;
        auto silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(0, TCSAFLUSH, &silent);
        std::fprintf(stderr, "%s: ", prompt);
    }
    ~Silence() {
        if (!is_on_) return;
        tcsetattr(0, TCSAFLUSH, &before_);
        std::fprintf(stderr, "\n");
    }
    Silence(Silence const&) = delete;
    bool is_on() const { return is_on_; }

private:
    termios before_{};
    bool is_on_;
};

Result<Secret> ask(char const* prompt, bool is_one_line) {
    char text[limits::secret_bytes_most + 2];
    std::size_t size = 0;
    {
        Silence silence(prompt);
        is_one_line |= silence.is_on();
        // Byte by byte when a line is wanted, so that what follows it stays where it is.
        while (size < sizeof text) {
            auto n = read(0, text + size, is_one_line ? 1 : sizeof text - size);
            if (n <= 0) break;
            size += static_cast<std::size_t>(n);
            if (is_one_line && text[size - 1] == '\n') break;
        }
    }
    bool is_full = size == sizeof text;
    if (size && text[size - 1] == '\n') --size;
    if (size && text[size - 1] == '\r') --size;
    auto secret = [&]() -> Result<Secret> {
        if (size == 0) return Error(Fault::bad_input, "nothing was given on standard input");
        if (is_full) return Error(Fault::bad_input, "what was given is too long for a secret");
        if (!is_utf8({text, size})) return Error(Fault::bad_input, "what was given is not text");
        return Secret::from({text, size});
    }();
    explicit_bzero(text, sizeof text);
    return secret;
}

}  // namespace

Result<Secret> ask_secret(char const* prompt) {
    return ask(prompt, false);
}
Result<Secret> ask_passphrase() {
    return ask("passphrase of the vault", true);
}

Result<Secret> ask_new_passphrase() {
    TRY(first, ask("new passphrase of the vault", true));
    if (first.size_bytes() < limits::passphrase_bytes_least)
        return Error(Fault::bad_input, "a passphrase has at least " +
                                           std::to_string(limits::passphrase_bytes_least) +
                                           " bytes");
    if (!isatty(0)) return first;
    TRY(second, ask("the same again", true));
    if (!first.equals(second.reveal()))
        return Error(Fault::bad_input, "the two passphrases differ; nothing was changed");
    return first;
}

}  // namespace parley
