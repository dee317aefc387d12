// A skill that does what the request's first word says: well, badly, or with malice.
#include <parley/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>

extern "C" char const parley_manifest[];
extern char** environ;

namespace {

#if defined(ZOO_CONSTRUCTOR_DIES)
[[gnu::constructor]] void die_early() {
    abort();
}
#endif

parley_host const* host;

struct Job {
    std::string kind, text, out;
    int left = 0, sent = 0;
    std::size_t size = 0;
    parley_id operation = 0;
};
std::map<parley_id, Job> jobs;

template <class Interface>
Interface const* service(char const* id) {
    return static_cast<Interface const*>(host->get_interface(host, id));
}

parley_status finish(parley_id call, std::string const& text, parley_status status = PARLEY_OK) {
    jobs.erase(call);
    return host->complete(host, call, status, text.data(), text.size());
}

std::string told(long outcome) {
    return outcome >= 0 ? "allowed" : std::string("errno ") + strerror(errno);
}

void pump(parley_id call) {
    auto& job = jobs[call];
    while (job.left > 0) {
        auto item = std::to_string(job.sent) + std::string(job.size, '.');
        auto status = host->emit(host, call, item.data(), item.size());
        if (status < 0) {
            finish(call, "emit failed " + std::to_string(status));
            return;
        }
        --job.left;
        ++job.sent;
        if (status == PARLEY_PAUSE) {
            job.out += 'p';
            return;
        }
    }
    finish(call, "done " + job.out);
}

std::string read_file(std::string const& path) {
    int file = open(path.c_str(), O_RDONLY);
    if (file < 0) return told(-1);
    char piece[200];
    auto n = read(file, piece, sizeof piece);
    close(file);
    return "read " + (n > 0 ? std::string(piece, static_cast<std::size_t>(n)) : "");
}

std::string write_file(std::string const& path) {
    int file = open(path.c_str(), O_CREAT | O_WRONLY, 0644);
    if (file < 0) return told(-1);
    auto n = write(file, "mine", 4);
    close(file);
    return told(n);
}

std::string run(std::string const& command) {
    int ends[2];
    if (pipe(ends) != 0) return told(-1);
    auto child = fork();
    if (child < 0) return told(-1);
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        char const* arguments[] = {"/bin/sh", "-c", command.c_str(), nullptr};
        char const* environment[] = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin", nullptr};
        execve("/bin/sh", const_cast<char**>(arguments), const_cast<char**>(environment));
        _exit(127);
    }
    close(ends[1]);
    std::string out;
    char piece[4096];
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;)
        out.append(piece, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return out;
}

std::string first_line(std::string& text) {
    auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.erase(0, end == text.npos ? text.size() : end + 1);
    return line;
}

std::string descriptors() {
    std::string open;
    for (int i = 0; i < 4096; ++i)
        if (fcntl(i, F_GETFD) >= 0) open += std::to_string(i) + " ";
    return open;
}

// What it may have at most, and what it could still do.
std::string bounds() {
    std::string text;
    for (auto resource : {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_CORE}) {
        rlimit most{};
        getrlimit(resource, &most);
        text += std::to_string(most.rlim_max) + ' ';
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct capabilities[2]{};
    syscall(SYS_capget, &header, capabilities);
    return text + std::to_string(capabilities[0].effective) + ' ' +
           std::to_string(capabilities[0].permitted) + ' ' +
           std::to_string(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

parley_status start_http(parley_id call, std::string text) {
    auto request = first_line(text);
    jobs[call] = {"http", "", "", 0, 0, 0, 0};
    auto const* http = service<parley_host_http_v1>(PARLEY_HOST_HTTP);
    parley_id operation = 0;
    auto status = http->start(host, call, request.data(), request.size(), text.data(), text.size(),
                              &operation);
    return status < 0 ? status : PARLEY_PENDING;
}

parley_status start_stream(parley_id call, std::string text) {
    auto request = first_line(text);
    auto inject = first_line(text);
    jobs[call] = {"stream", inject, text, 0, 0, 0, 0};
    auto const* stream = service<parley_host_stream_v1>(PARLEY_HOST_STREAM);
    auto status = stream->open(host, call, request.data(), request.size(), &jobs[call].operation);
    return status < 0 ? status : PARLEY_PENDING;
}

// ws REQUEST, a line with what to inject into the first message, the message.
parley_status start_ws(parley_id call, std::string text) {
    auto request = first_line(text);
    auto inject = first_line(text);
    jobs[call] = {"ws", "", "", 0, 0, 0, 0};
    auto const* ws = service<parley_host_ws_v1>(PARLEY_HOST_WS);
    auto& operation = jobs[call].operation;
    auto status = ws->open(host, call, request.data(), request.size(), &operation);
    if (status < 0) return status;
    if (!text.empty())
        ws->write(host, operation, PARLEY_WS_TEXT, text.data(), text.size(),
                  inject.empty() ? nullptr : inject.data(), inject.size());
    return PARLEY_PENDING;
}

// What it hears, and two orders: "leave" says goodbye, "flood" writes until it is told to pause.
void on_ws(void*, parley_id call, parley_id operation, std::uint32_t kind, char const* bytes,
           std::size_t size) {
    auto& job = jobs[call];
    auto const* ws = service<parley_host_ws_v1>(PARLEY_HOST_WS);
    char const* names[] = {"", "OPENED ", "TEXT ", "BINARY ", "CLOSED ", "FAILED "};
    std::string said(bytes, size);
    job.out += names[kind] + (size > 200 ? std::to_string(size) + " bytes" : said) + "\n";
    if (kind == PARLEY_WS_CLOSED || kind == PARLEY_WS_FAILED) finish(call, std::string(job.out));
    if (kind != PARLEY_WS_TEXT) return;
    if (said == "flood") {
        std::string piece(65536, 'f');
        parley_status status;
        while ((status = ws->write(host, operation, PARLEY_WS_BINARY, piece.data(), piece.size(),
                                   nullptr, 0)) == PARLEY_OK)
            ++job.sent;
        job.kind = "ws flood";
        job.out += "told " + std::to_string(status) + " after " + std::to_string(job.sent) + "\n";
    }
    if (said == "leave") {
        auto worse = ws->close(host, operation, 1006, "", 0);
        auto good = ws->close(host, operation, 4000, "thanks", 6);
        auto late = ws->write(host, operation, PARLEY_WS_TEXT, "late", 4, nullptr, 0);
        finish(call, job.out + "closed " + std::to_string(worse) + " " + std::to_string(good) +
                         " " + std::to_string(late));
    }
}

parley_status start_kv(parley_id call, std::string const& text) {
    auto const* kv = service<parley_host_kv_v1>(PARLEY_HOST_KV);
    if (!kv) return PARLEY_E_UNSUPPORTED;
    auto verb = text.substr(0, 3), key = text.substr(4, 1);
    auto value = text.size() > 6 ? text.substr(6) : "";
    jobs[call] = {"kv", "", "", 0, 0, 0, 0};
    parley_id operation = 0;
    auto status = verb == "put"   ? kv->put(host, call, key.data(), key.size(), value.data(),
                                            value.size(), &operation)
                  : verb == "del" ? kv->remove(host, call, key.data(), key.size(), &operation)
                                  : kv->get(host, call, key.data(), key.size(), &operation);
    return status < 0 ? status : PARLEY_PENDING;
}

// "TIMES CHUNK": so often, then finish.
void pump_blob(parley_id call) {
    auto& job = jobs[call];
    auto const* blobs = service<parley_host_blob_v1>(PARLEY_HOST_BLOB);
    while (job.left > 0) {
        --job.left;
        auto status = blobs->write(host, job.operation, job.text.data(), job.text.size());
        if (status == PARLEY_PAUSE) return;
    }
    blobs->finish(host, job.operation);
}

parley_status start_blob(parley_id call, std::string const& word, std::string const& text) {
    auto const* blobs = service<parley_host_blob_v1>(PARLEY_HOST_BLOB);
    if (!blobs) return PARLEY_E_UNSUPPORTED;
    auto& job = jobs[call] = {word, "", "", 0, 0, 0, 0};
    if (word == "blobget") {
        auto status = blobs->get(host, call, text.data(), text.size(), &job.operation);
        return status < 0 ? status : PARLEY_PENDING;
    }
    job.left = atoi(text.c_str());
    job.text = text.substr(text.find(' ') + 1);
    auto status = blobs->put(host, call, &job.operation);
    if (status < 0) return status;
    pump_blob(call);
    return PARLEY_PENDING;
}

void on_blob(void*, parley_id call, parley_id, std::uint32_t kind, char const* bytes,
             std::size_t size) {
    auto& job = jobs[call];
    std::string text(bytes, size);
    if (kind == PARLEY_BLOB_DATA) {
        job.out += text;
        return;
    }
    finish(call, job.out + (kind == PARLEY_BLOB_DONE ? " DONE " : " FAILED ") + text);
}

parley_status start_reveal(parley_id call, std::string const& name) {
    auto const* reveal = service<parley_host_reveal_v1>(PARLEY_HOST_REVEAL);
    jobs[call] = {"reveal", "", "", 0, 0, 0, 0};
    parley_id operation = 0;
    auto status = reveal->get(host, call, name.data(), name.size(), &operation);
    return status < 0 ? status : PARLEY_PENDING;
}

// The first letter and the length, so that the answer is none of the secret.
void on_reveal(void*, parley_id call, parley_id, std::uint32_t kind, char const* bytes,
               std::size_t size) {
    std::string text(bytes, size);
    finish(call, kind == PARLEY_REVEAL_DONE ? text.substr(0, 1) + std::to_string(size) : text);
}

parley_status invoke(void*, parley_id call, std::uint32_t, char const* request, std::size_t size) {
    std::string text(request, size);
    auto word = text.substr(0, text.find(' '));
    auto rest = text.size() > word.size() ? text.substr(word.size() + 1) : "";
    if (word == "echo") return finish(call, rest), PARLEY_PENDING;
    if (word == "fail") return finish(call, rest, PARLEY_E_PEER), PARLEY_PENDING;
    if (word == "negative") return PARLEY_E_INVALID;
    if (word == "forget") return PARLEY_OK;
    if (word == "crash") {
        signal(SIGSEGV, SIG_DFL);  // a sanitizer would make an exit of it
        // A true fault: the first process of a namespace may ignore a mere signal.
        static char* volatile nowhere = reinterpret_cast<char*>(16);
        *nowhere = 1;
    }
    if (word == "exit") _exit(atoi(rest.c_str()));
    if (word == "hang")
        for (;;) pause();
    if (word == "ignore" || word == "wait") {
        jobs[call].kind = word;
        return PARLEY_PENDING;
    }
    if (word == "stream") {
        auto& job = jobs[call];
        job.kind = "pump";
        job.left = atoi(rest.c_str());
        job.size = static_cast<std::size_t>(atoi(rest.substr(rest.find(' ') + 1).c_str()));
        return pump(call), PARLEY_PENDING;
    }
    if (word == "flood") {
        std::string item(65536, 'f');
        int taken = 0;
        parley_status status;
        while ((status = host->emit(host, call, item.data(), item.size())) >= 0 && taken < 100000)
            ++taken;
        return finish(call, std::to_string(taken) + " " + std::to_string(status)), PARLEY_PENDING;
    }
    if (word == "invalid") return finish(call, "\xff\xfe"), PARLEY_PENDING;
    if (word == "big")
        return finish(call, std::string(static_cast<std::size_t>(atol(rest.c_str())), 'b')),
               PARLEY_PENDING;
    if (word == "twice") {
        finish(call, "first");
        auto second = host->complete(host, call, PARLEY_OK, "second", 6);
        auto text2 = "second complete " + std::to_string(second);
        host->log(host, PARLEY_LOG_INFO, text2.data(), text2.size());
        return PARLEY_PENDING;
    }
    if (word == "late") {
        std::thread([call, rest] {
            usleep(2000);
            host->complete(host, call, PARLEY_OK, rest.data(), rest.size());
        }).detach();
        return PARLEY_PENDING;
    }
    if (word == "raw") {  // bytes in hex, straight onto the link
        std::string bytes;
        for (std::size_t i = 0; i + 1 < rest.size(); i += 2)
            bytes += static_cast<char>(strtol(rest.substr(i, 2).c_str(), nullptr, 16));
        jobs[call].kind = "wait";
        auto n = send(3, bytes.data(), bytes.size(), 0);
        if (n < 0) finish(call, told(-1));
        return PARLEY_PENDING;
    }
    if (word == "rawflood") {  // a message without an end: EMIT frames with MORE
        jobs[call].kind = "wait";
        std::string frame("\x00\x00\x01\x00\x23\x00\x01\x00", 8);
        frame.append(reinterpret_cast<char const*>(&call), 8);
        frame.append(65536, 'x');
        for (int i = 0; i < 600; ++i)
            if (send(3, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) break;
        return PARLEY_PENDING;
    }
    if (word == "log") {
        host->log(host, PARLEY_LOG_INFO, rest.data(), rest.size());
        printf("printed %s\n", rest.c_str());
        fflush(stdout);
        return finish(call, "logged"), PARLEY_PENDING;
    }
    if (word == "cursor") {
        jobs[call].kind = "cursor";
        host->emit(host, call, rest.data(), rest.size());
        return PARLEY_PENDING;
    }
    if (word == "socket")
        return finish(call, told(socket(AF_INET, SOCK_STREAM, 0))), PARLEY_PENDING;
    if (word == "fork") {
        auto child = fork();
        if (child == 0) _exit(0);
        return finish(call, told(child)), PARLEY_PENDING;
    }
    if (word == "kill") return finish(call, told(kill(atoi(rest.c_str()), 0))), PARLEY_PENDING;
    if (word == "unmount")
        return finish(call, told(umount2(rest.c_str(), MNT_DETACH))), PARLEY_PENDING;
    if (word == "read") return finish(call, read_file(rest)), PARLEY_PENDING;
    if (word == "write") return finish(call, write_file(rest)), PARLEY_PENDING;
    if (word == "run") return finish(call, run(rest)), PARLEY_PENDING;
    if (word == "surroundings")
        return finish(call, std::string(environ && *environ ? "environment" : "no environment") +
                                ", descriptors " + descriptors()),
               PARLEY_PENDING;
    if (word == "http") return start_http(call, rest);
    if (word == "tcp") return start_stream(call, rest);
    if (word == "blobput" || word == "blobget") return start_blob(call, word, rest);
    if (word == "ws") return start_ws(call, rest);
    if (word == "reveal") return start_reveal(call, rest);
    if (word == "kv") return start_kv(call, rest);
    if (word == "timer") {
        parley_id operation;
        jobs[call].kind = "timer";
        auto status =
            service<parley_host_timer_v1>(PARLEY_HOST_TIMER)
                ->start(host, call, static_cast<uint32_t>(atoi(rest.c_str())), &operation);
        return status < 0 ? status : PARLEY_PENDING;
    }
    if (word == "bounds") return finish(call, bounds()), PARLEY_PENDING;
    if (word == "service")
        return finish(call, host->get_interface(host, rest.c_str()) ? "there" : "not there"),
               PARLEY_PENDING;
    return PARLEY_E_UNSUPPORTED;
}

void on_http(void*, parley_id call, parley_id, std::uint32_t kind, char const* bytes,
             std::size_t size) {
    auto& job = jobs[call];
    char const* names[] = {"", "HEAD ", "DATA ", "EVENT ", "DONE", "FAILED "};
    job.out += names[kind] + std::string(bytes, size) + "\n";
    if (kind == PARLEY_HTTP_DONE || kind == PARLEY_HTTP_FAILED) finish(call, std::string(job.out));
}

void on_stream(void*, parley_id call, parley_id operation, std::uint32_t kind, char const* bytes,
               std::size_t size) {
    auto& job = jobs[call];
    if (kind == PARLEY_STREAM_OPENED) {
        service<parley_host_stream_v1>(PARLEY_HOST_STREAM)
            ->write(host, operation, job.out.data(), job.out.size(), job.text.data(),
                    job.text.size());
        job.out.clear();
    } else if (kind == PARLEY_STREAM_DATA) {
        job.out.append(bytes, size);
        if (job.out.find('\n') != job.out.npos) finish(call, std::string(job.out));
    } else {
        finish(call, "closed " + std::string(bytes, size));
    }
}

void on_timer(void*, parley_id call, parley_id, std::uint32_t, char const*, std::size_t) {
    finish(call, "fired");
}

void on_kv(void*, parley_id call, parley_id, std::uint32_t kind, char const* bytes,
           std::size_t size) {
    char const* names[] = {"", "done ", "missing", "failed "};
    finish(call, names[kind] + std::string(bytes, size));
}

void on_ack(void*, parley_id call, char const* cursor, std::size_t size) {
    finish(call, "acknowledged " + std::string(cursor, size));
}

void on_resume(void*, parley_id call) {
    if (!jobs.count(call)) return;
    if (jobs[call].kind == "pump") pump(call);
    if (jobs.count(call) && jobs[call].kind == "blobput") pump_blob(call);
    if (jobs.count(call) && jobs[call].kind == "ws flood") jobs[call].out += "resumed\n";
}

parley_status create(parley_host const* given, char const*, std::size_t, void** self) {
    host = given;
    *self = &jobs;
    return PARLEY_OK;
}

void destroy(void*) {}

void cancel(void*, parley_id call) {
    if (jobs.count(call) && jobs[call].kind == "wait") finish(call, "", PARLEY_E_CANCELLED);
}

void const* get_interface(void*, char const* id) {
    static parley_skill_v1 const skill{sizeof skill, 0, invoke, nullptr, nullptr, nullptr};
    static parley_event_sink_v1 const http{sizeof http, 0, on_http},
        stream{sizeof stream, 0, on_stream}, timer{sizeof timer, 0, on_timer},
        kv{sizeof kv, 0, on_kv}, reveal{sizeof reveal, 0, on_reveal}, blob{sizeof blob, 0, on_blob},
        ws{sizeof ws, 0, on_ws};
    static parley_ack_sink_v1 const ack{sizeof ack, 0, on_ack};
    static parley_flow_sink_v1 const flow{sizeof flow, 0, on_resume};
    std::string asked(id);
    if (asked == PARLEY_ROLE_SKILL) return &skill;
    if (asked == PARLEY_SINK_HTTP) return &http;
    if (asked == PARLEY_SINK_STREAM) return &stream;
    if (asked == PARLEY_SINK_TIMER) return &timer;
    if (asked == PARLEY_SINK_KV) return &kv;
    if (asked == PARLEY_SINK_REVEAL) return &reveal;
    if (asked == PARLEY_SINK_BLOB) return &blob;
    if (asked == PARLEY_SINK_WS) return &ws;
    if (asked == PARLEY_SINK_ACK) return &ack;
    if (asked == PARLEY_SINK_FLOW) return &flow;
    return nullptr;
}

}  // namespace

parley_entry const parley_plugin_v1 = {sizeof(parley_entry),
                                       PARLEY_ABI_MAJOR,
                                       PARLEY_ABI_MINOR,
                                       parley_manifest,
                                       PARLEY_MANIFEST_SIZE,
                                       create,
                                       destroy,
                                       get_interface,
                                       cancel};
