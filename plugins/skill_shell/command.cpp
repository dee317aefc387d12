#include "command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace shell {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t output_bytes = 64 * 1024;  // kept of what a command prints
constexpr milliseconds look_again{50};           // for its end, where the kernel cannot tell us
constexpr milliseconds drain_time{200};          // for what is still in the pipe when all is killed

class Descriptor {
public:
    explicit Descriptor(int number = -1) : number_(number) {}
    Descriptor(Descriptor const&) = delete;
    ~Descriptor() { reset(); }
    int get() const { return number_; }
    void reset(int number = -1) {
        if (number_ >= 0) ::close(number_);
        number_ = number;
    }

private:
    int number_;
};

bool make_pipe(Descriptor& read, Descriptor& write) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read.reset(ends[0]);
    write.reset(ends[1]);
    return true;
}

// Nothing to read: /dev/null, or where a sandbox has none, a pipe without a writer.
bool open_empty(Descriptor& out) {
    out.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (out.get() >= 0) return true;
    Descriptor write;
    return make_pipe(out, write);
}

// 0, or errno. The shell leads a session and a group of its own, sees three descriptors, a small
// environment, and the signals as a fresh program expects them.
int spawn(Order const& order, int input, int output, pid_t& process) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);

    ::posix_spawn_file_actions_addchdir_np(&files, order.workspace.c_str());
    ::posix_spawn_file_actions_adddup2(&files, input, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, 1);
    ::posix_spawn_file_actions_adddup2(&files, output, 2);
    ::posix_spawn_file_actions_addclosefrom_np(&files, 3);

    sigset_t all, none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                                POSIX_SPAWN_SETSIGMASK);

    std::string home = "HOME=" + order.workspace;
    std::string path = "PATH=/usr/local/bin:/usr/bin:/bin", language = "LANG=C.UTF-8";
    std::string terminal = "TERM=dumb", name = "sh", option = "-c", command = order.command;
    char* environment[] = {path.data(), home.data(), language.data(), terminal.data(), nullptr};
    char* arguments[] = {name.data(), option.data(), command.data(), nullptr};
    int const problem =
        ::posix_spawn(&process, "/bin/sh", &files, &attributes, arguments, environment);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    return problem;
}

// False at the end of the pipe.
bool read_some(int pipe, Output& out) {
    char buffer[16 * 1024];
    ssize_t const got = ::read(pipe, buffer, sizeof buffer);
    if (got > 0) out.add({buffer, static_cast<std::size_t>(got)});
    return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

bool readable(int descriptor, milliseconds wait) {
    pollfd one{descriptor, POLLIN, 0};
    return ::poll(&one, 1, static_cast<int>(wait.count())) > 0;
}

}  // namespace

Command::Command(Order order)
    : order_(std::move(order)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Command::~Command() {
    if (wake_ >= 0) ::close(wake_);
}

void Command::kill() {
    std::uint64_t const one = 1;
    if (wake_ >= 0) (void)!::write(wake_, &one, sizeof one);
}

Outcome Command::run() {
    Outcome failed;
    Descriptor input, output, writer;
    if (wake_ < 0 || !open_empty(input) || !make_pipe(output, writer)) {
        failed.number = errno;
        return failed;
    }
    pid_t process = -1;
    failed.number = spawn(order_, input.get(), writer.get(), process);
    if (failed.number != 0) return failed;
    writer.reset();
    ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
    return watch(process, output.get());
}

// Without reaping it, so that its number stays its own until the group has been killed.
bool Command::has_ended(int process) const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == process;
}

Outcome Command::watch(int process, int output) {
    Output printed(output_bytes);
    auto const deadline = Clock::now() + order_.limit;
    Descriptor const ended(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    Outcome out;
    out.end = Outcome::End::exited;
    bool open = true;
    while (!has_ended(process)) {
        auto wait = std::chrono::ceil<milliseconds>(deadline - Clock::now());
        if (wait.count() <= 0) {
            out.end = Outcome::End::timed_out;
            break;
        }
        if (ended.get() < 0) wait = std::min(wait, look_again);
        pollfd watched[] = {
            {wake_, POLLIN, 0}, {ended.get(), POLLIN, 0}, {open ? output : -1, POLLIN, 0}};
        ::poll(watched, 3, static_cast<int>(std::min<std::int64_t>(wait.count(), INT32_MAX)));
        if (watched[2].revents) open = read_some(output, printed);
        if (watched[0].revents) {
            out.end = Outcome::End::killed;
            break;
        }
    }
    ::kill(-process, SIGKILL);
    int status = 0;
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {}

    // A process that left the group may hold the pipe open; it is not waited for.
    auto const enough = Clock::now() + drain_time;
    while (open && Clock::now() < enough && readable(output, milliseconds(0))) {
        open = read_some(output, printed);
    }
    out.output = printed.text();
    if (out.end != Outcome::End::exited) return out;
    if (WIFSIGNALED(status)) out.end = Outcome::End::signalled;
    out.number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return out;
}

}  // namespace shell
