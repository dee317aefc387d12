#pragma once

// Diagnostics for the operator, on stderr. Not the ledger: what is traced may be lost, and nothing
// here is ever read back. Secrets are masked on the way.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace parley {

class Trace {
public:
    enum class Level { debug = 0, info = 1, warn = 2, error = 3 };

    Trace();
    ~Trace();

    // Replaces secrets in a line; true when it replaced something. Set once the vault is open.
    void scrub_with(std::function<bool(std::string&)> scrub);
    // One line, control characters made visible. Any thread.
    void write(Level level, std::string_view text);
    void flush();

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace parley
