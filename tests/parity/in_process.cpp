#include "in_process.hpp"

#include "base/loop.hpp"
#include "plugin/worker.hpp"
#include "worker/plugin.hpp"

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace parity {

namespace {

using parley::Loop;
using Pieces = std::initializer_list<std::string_view>;

std::string joined(Pieces pieces) {
    std::string out;
    for (auto piece : pieces) out += piece;
    return out;
}

// The layers that the host asks for. A lie, and the reason why no program that is shipped holds it.
constexpr char report[] =
    R"({"frame":1,"abi":1,"profile":["no-new-privs","limits","no-capabilities","seccomp",)"
    R"("landlock","own-root","hidden-home","namespaces"]})";

// A plugin, the host's end of its link, and what the host takes for its process. Each message waits
// its turn in the loop, so neither side is ever called from within a call of its own.
class Near final : public parley::Link, public parley::Process {
public:
    Near(Loop& loop, std::shared_ptr<parley::PluginFile const> file, Process::Told words,
         Link::Told heard)
        : loop_(loop), file_(std::move(file)), words_(std::move(words)), heard_(std::move(heard)) {}
    ~Near() override { leave(); }

    // The host speaks.
    void send(std::uint16_t type, std::uint64_t id, Pieces body) override {
        if (closed_) return;
        // The plugin's side wipes a secret that it has read.
        loop_.post([self = self(), type, id, bytes = joined(body)]() mutable {
            if (!self->left_) self->take({type, id, bytes});
        });
    }
    void send_secret(std::uint16_t type, std::uint64_t id, Pieces body) override {
        send(type, id, body);
    }
    // What is sent is taken in the loop's next turn: nothing piles up.
    bool is_crowded() const override { return false; }
    void drain() override {}
    void close() override {
        if (!std::exchange(closed_, true)) end("the worker ended with status 0");
    }

    int pid() const override { return 0; }
    void kill() override { end("the worker died of signal 9 (Killed)"); }
    void forget() override { silent_ = true; }

private:
    // The plugin speaks, from any thread.
    struct Voice final : parley::worker::Link {
        explicit Voice(Near& near) : near(near) {}
        void send(std::uint16_t type, std::uint64_t id, Pieces body) override {
            near.loop_.post([weak = near.weak_from_this(), type, id, bytes = joined(body)] {
                auto link = weak.lock();
                if (!link) return;
                auto& near = static_cast<Near&>(*link);
                if (!near.closed_) near.heard_.on_message(type, id, bytes);
            });
        }
        void flush() override {}
        Near& near;
    };

    std::shared_ptr<Near> self() { return std::static_pointer_cast<Near>(shared_from_this()); }

    void take(parley::worker::Message const& message) {
        switch (message.type) {
            case PARLEY_F_SETUP:
                setup_ = parley::worker::parse_setup(message.body);
                if (!setup_) return end("the worker ended with status 1");
                return voice_.send(PARLEY_F_READY, 0, {report});
            case PARLEY_F_CREATE:
                plugin_.emplace(voice_, *setup_);
                if (!plugin_->create(name_for_loader(), message.body))
                    end("the worker ended with status 1");
                return;
            case PARLEY_F_STOP:
                return end("the worker ended with status 0");
            default:
                if (plugin_) plugin_->handle(message);
        }
    }

    // The loader knows what it has loaded by name before it looks at the file. So the descriptor
    // is never closed, as the plugin is never unloaded, and no other gets its number.
    std::string name_for_loader() const {
        return "/proc/self/fd/" + std::to_string(dup(file_->descriptor()));
    }

    void end(char const* how) {
        loop_.post([self = self(), how] {
            if (!self->leave() || self->silent_) return;
            // As after a death: what the plugin said to the end comes first.
            self->loop_.post([self, how] {
                if (!self->silent_) self->words_.on_exit(how);
            });
        });
    }

    // A process would just be over; here the plugin must take its threads with it.
    bool leave() {
        if (std::exchange(left_, true)) return false;
        if (plugin_) plugin_->destroy();
        return true;
    }

    Loop& loop_;
    std::shared_ptr<parley::PluginFile const> const file_;
    Process::Told words_;
    Link::Told heard_;
    bool closed_ = false, silent_ = false, left_ = false;
    std::optional<parley::worker::Setup> setup_;
    Voice voice_{*this};
    std::optional<parley::worker::Plugin> plugin_;
};

class InProcessSpawner final : public parley::Spawner {
public:
    parley::Result<Spawned> spawn(parley::WorkerDeps const& deps, parley::WorkerSpec const& spec,
                                  parley::Process::Told words, parley::Link::Told heard) override {
        auto near =
            std::make_shared<Near>(*deps.loop, spec.file, std::move(words), std::move(heard));
        return Spawned{near, near};
    }
};

}  // namespace

std::shared_ptr<parley::Spawner> in_process_spawner() {
    return std::make_shared<InProcessSpawner>();
}

}  // namespace parity
