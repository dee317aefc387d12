#include "plugin/process.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace parley {

namespace asio = boost::asio;

namespace {

// An owned descriptor, out of the way of those that a worker inherits.
class Descriptor {
public:
    explicit Descriptor(int number = -1) : number_(number) {
        if (number_ < 0 || number_ > 9) return;
        number_ = fcntl(number, F_DUPFD_CLOEXEC, 10);
        close(number);
    }
    Descriptor(Descriptor const&) = delete;
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    int get() const { return number_; }
    int release() { return std::exchange(number_, -1); }

private:
    int number_;
};

Error failed(char const* what) {
    return Error(Fault::unavailable,
                 std::string("a worker cannot be started: ") + what + ": " + std::strerror(errno));
}

Result<pid_t> start(std::filesystem::path const& program, std::array<int, 5> const& descriptors) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int i = 0; i < 5; ++i)
        posix_spawn_file_actions_adddup2(&actions, descriptors[static_cast<std::size_t>(i)], i);
    posix_spawn_file_actions_addclosefrom_np(&actions, 5);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    char name[] = "parley-worker";
    char* arguments[] = {name, nullptr};
    char* environment[] = {nullptr};
    pid_t pid = -1;
    int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        errno = error;
        return failed(program.c_str());
    }
    return pid;
}

// `last_words`: the last line that it wrote; the worker names the call that its filter forbade.
std::string how_it_ended(siginfo_t const& facts, std::string const& last_words) {
    if (facts.si_code == CLD_EXITED)
        return "the worker ended with status " + std::to_string(facts.si_status);
    if (facts.si_status == SIGSYS)
        return "the worker was ended by its system call filter (" +
               (last_words.starts_with("forbidden system call: ") ? visible(last_words)
                                                                  : "a forbidden system call") +
               ')';
    return "the worker died of signal " + std::to_string(facts.si_status) + " (" +
           strsignal(facts.si_status) + ")";
}

constexpr std::size_t line_bytes = 8 * 1024;
constexpr auto line_pause = std::chrono::milliseconds(20);  // a flood costs the host little

// What is told of a process, for as long as it lives.
struct Inside : std::enable_shared_from_this<Inside> {
    Inside(Loop& loop, int handle, int words)
        : loop(loop), handle(loop.context(), handle), words(loop.context(), words) {}

    Loop& loop;
    asio::posix::stream_descriptor handle;  // the pidfd
    asio::posix::stream_descriptor words;   // stdout and stderr
    Process::Told told;
    pid_t pid = 0;
    bool alive = true, silent = false;
    std::string line, last_words;
    Loop::Handle pause;

    void wait_for_exit() {
        handle.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](auto error) {
                              if (!error) self->reap();
                          });
    }

    void reap() {
        siginfo_t facts{};
        auto id = static_cast<id_t>(handle.native_handle());
        if (waitid(static_cast<idtype_t>(P_PIDFD), id, &facts, WEXITED | WNOHANG) != 0 ||
            facts.si_pid == 0)
            return wait_for_exit();
        alive = false;
        read_words();
        if (!line.empty()) say(line);
        boost::system::error_code ignored;
        words.close(ignored);
        handle.close(ignored);
        if (told.on_exit && !silent) told.on_exit(how_it_ended(facts, last_words));
    }

    void wait_for_words() {
        words.async_wait(
            asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](auto error) {
                if (error || !self->alive || !self->read_words()) return;
                self->pause = self->loop.after(
                    line_pause, [self] { self->alive ? self->wait_for_words() : void(); });
            });
    }

    void say(std::string_view text) {
        if (text.empty()) return;
        last_words = text;
        if (told.on_line && !silent) told.on_line(text);
    }

    // False at the end.
    bool read_words() {
        char buffer[16 * 1024];
        auto n = ::read(words.native_handle(), buffer, sizeof buffer);
        if (n <= 0) return n < 0 && errno == EAGAIN;
        for (std::string_view text(buffer, static_cast<std::size_t>(n)); !text.empty();) {
            auto end = text.find('\n');
            line.append(text.substr(0, std::min(end, line_bytes - line.size())));
            if (end == text.npos && line.size() < line_bytes) break;
            say(line);
            line.clear();
            text.remove_prefix(end == text.npos ? text.size() : end + 1);
        }
        return true;
    }
};

class WorkerProcess final : public Process {
public:
    explicit WorkerProcess(std::shared_ptr<Inside> inside) : inside_(std::move(inside)) {}
    ~WorkerProcess() override {
        inside_->silent = true;
        end();
    }

    int pid() const override { return inside_->alive ? inside_->pid : 0; }
    void kill() override { end(); }
    void forget() override { inside_->silent = true; }

private:
    void end() {
        if (inside_->alive)
            syscall(SYS_pidfd_send_signal, inside_->handle.native_handle(), SIGKILL, nullptr, 0);
    }

    std::shared_ptr<Inside> inside_;
};

}  // namespace

Result<std::shared_ptr<Process>> Process::spawn(Loop& loop, std::filesystem::path const& program,
                                                int plugin, int& link, Told told) {
    int pair[2], pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return failed("socket");
    Descriptor ours(pair[0]), theirs(pair[1]);
    if (pipe2(pipes, O_CLOEXEC) != 0) return failed("pipe");
    Descriptor words(pipes[0]), voice(pipes[1]);
    fcntl(words.get(), F_SETFL, O_NONBLOCK);
    Descriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
    Descriptor file(fcntl(plugin, F_DUPFD_CLOEXEC, 10));
    if (nothing.get() < 0 || file.get() < 0) return failed("descriptors");
    TRY(pid, start(program, {nothing.get(), voice.get(), voice.get(), theirs.get(), file.get()}));
    Descriptor handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (handle.get() < 0) {
        // Not reaped by anyone else, so the number is still this child's.
        auto error = failed("pidfd");
        ::kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        return error;
    }
    try {
        auto inside = std::make_shared<Inside>(loop, handle.release(), words.release());
        inside->pid = pid;
        inside->told = std::move(told);
        inside->wait_for_exit();
        inside->wait_for_words();
        link = ours.release();
        return std::shared_ptr<Process>(std::make_shared<WorkerProcess>(std::move(inside)));
    } catch (std::exception const& failure) {
        ::kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        return Error(Fault::unavailable, failure.what());
    }
}

}  // namespace parley
