#include "transcript.hpp"

#include <parley/frame.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <utility>

namespace parity {

namespace {

// A message's name, and the numbers at the front of its body: c the call that asks, u unsigned, i
// signed, b bytes with their length before them. The rest is bytes.
struct Kind {
    std::uint16_t type;
    char const* name;
    char const* fields;
};
constexpr Kind kinds[] = {
    {PARLEY_F_CREATE, "CREATE", ""},
    {PARLEY_F_START, "START", "uu"},
    {PARLEY_F_CANCEL, "CANCEL", ""},
    {PARLEY_F_CREDIT, "CREDIT", "u"},
    {PARLEY_F_EVENT, "EVENT", "cuu"},
    {PARLEY_F_ACK, "ACK", ""},
    {PARLEY_F_STOP, "STOP", ""},
    {PARLEY_F_CREATED, "CREATED", "i"},
    {PARLEY_F_EMIT, "EMIT", ""},
    {PARLEY_F_COMPLETE, "COMPLETE", "i"},
    {PARLEY_F_LOG, "LOG", "i"},
    {PARLEY_F_HTTP_START, "HTTP_START", "cb"},
    {PARLEY_F_STREAM_OPEN, "STREAM_OPEN", "c"},
    {PARLEY_F_STREAM_WRITE, "STREAM_WRITE", "b"},
    {PARLEY_F_TIMER_START, "TIMER_START", "cu"},
    {PARLEY_F_KV, "KV", "cub"},
    {PARLEY_F_END, "END", ""},
    {PARLEY_F_REVEAL, "REVEAL", "c"},
    {PARLEY_F_BLOB_PUT, "BLOB_PUT", "c"},
    {PARLEY_F_BLOB_WRITE, "BLOB_WRITE", ""},
    {PARLEY_F_BLOB_FINISH, "BLOB_FINISH", ""},
    {PARLEY_F_BLOB_GET, "BLOB_GET", "c"},
    {PARLEY_F_WS_OPEN, "WS_OPEN", "c"},
    {PARLEY_F_WS_WRITE, "WS_WRITE", "ub"},
    {PARLEY_F_WS_CLOSE, "WS_CLOSE", "u"},
    {PARLEY_F_INBOUND_LISTEN, "INBOUND_LISTEN", "c"},
    {PARLEY_F_INBOUND_ANSWER, "INBOUND_ANSWER", ""},
};

Kind const& kind_of(std::uint16_t type) {
    for (auto const& kind : kinds)
        if (kind.type == type) return kind;
    throw std::logic_error("a message of type " + std::to_string(type) +
                           ": give transcript.cpp its name and its fields");
}

std::string visible(std::string_view bytes) {
    std::string out;
    for (char c : bytes) {
        auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f && byte != '\\') {
            out += c;
            continue;
        }
        char code[5];
        std::snprintf(code, sizeof code, "\\x%02x", byte);
        out += code;
    }
    return out;
}

template <class Number>
Number take(std::string_view& body) {
    Number out{};
    if (!parley::take_number(body, out)) throw std::logic_error("a message with a short body");
    return out;
}

}  // namespace

class Transcript::ListeningLink final : public parley::Link {
public:
    ListeningLink(Transcript& transcript, std::size_t life, std::shared_ptr<Link> inner)
        : transcript_(transcript), life_(life), inner_(std::move(inner)) {}

    void send(std::uint16_t type, std::uint64_t id,
              std::initializer_list<std::string_view> body) override {
        note(type, id, body);
        inner_->send(type, id, body);
    }
    void send_secret(std::uint16_t type, std::uint64_t id,
                     std::initializer_list<std::string_view> body) override {
        note(type, id, body);
        inner_->send_secret(type, id, body);
    }
    bool is_crowded() const override { return inner_->is_crowded(); }
    void drain() override { inner_->drain(); }
    void close() override { inner_->close(); }

private:
    void note(std::uint16_t type, std::uint64_t id, std::initializer_list<std::string_view> body) {
        std::string bytes;
        for (auto piece : body) bytes += piece;
        transcript_.note(life_, "said", type, id, bytes);
    }

    Transcript& transcript_;
    std::size_t const life_;
    std::shared_ptr<Link> const inner_;
};

class Transcript::Listener final : public parley::Spawner {
public:
    Listener(Transcript& transcript, std::shared_ptr<Spawner> inner)
        : transcript_(transcript), inner_(std::move(inner)) {}

    parley::Result<Spawned> spawn(parley::WorkerDeps const& deps, parley::WorkerSpec const& spec,
                                  parley::Process::Told words, parley::Link::Told heard) override {
        auto life = ++transcript_.lives_;
        heard.on_message = [&transcript = transcript_, life,
                            on_message = std::move(heard.on_message)](
                               std::uint16_t type, std::uint64_t id, std::string_view body) {
            transcript.note(life, "heard", type, id, body);
            on_message(type, id, body);
        };
        TRY(spawned, inner_->spawn(deps, spec, std::move(words), std::move(heard)));
        spawned.link = std::make_shared<ListeningLink>(transcript_, life, std::move(spawned.link));
        return spawned;
    }

private:
    Transcript& transcript_;
    std::shared_ptr<Spawner> const inner_;
};

std::shared_ptr<parley::Spawner> Transcript::listen(std::shared_ptr<parley::Spawner> inner) {
    return std::make_shared<Listener>(*this, std::move(inner));
}

void Transcript::name(std::filesystem::path const& path, std::string const& name) {
    names_.emplace_back(path.string(), name);
}

void Transcript::time_between(std::string begin, std::string end) {
    times_.emplace_back(std::move(begin), std::move(end));
}

std::size_t Transcript::ordinal(std::size_t life, std::uint64_t call) {
    auto [found, is_new] = calls_.try_emplace({life, call}, texts_.size());
    if (is_new) texts_.push_back("call " + std::to_string(found->second) + "\n");
    return found->second;
}

void Transcript::note(std::size_t life, char const* who, std::uint16_t type, std::uint64_t id,
                      std::string_view body) {
    if (type == PARLEY_F_SETUP || type == PARLEY_F_READY) return;
    auto const& kind = kind_of(type);
    std::string line;
    bool of_operation = id % 2 != 0;
    std::size_t call = id == 0 || of_operation ? 0 : ordinal(life, id);
    for (auto const* field = kind.fields; *field; ++field) {
        switch (*field) {
            case 'c': {
                call = ordinal(life, take<std::uint64_t>(body));
                auto known = operations_.find({life, id});
                if (known == operations_.end())
                    operations_[{life, id}] = {call, ++operations_of_[call]};
                break;
            }
            case 'u':
                line += ' ' + std::to_string(take<std::uint32_t>(body));
                break;
            case 'i':
                line += ' ' + std::to_string(take<std::int32_t>(body));
                break;
            default: {
                auto length = std::min<std::size_t>(take<std::uint32_t>(body), body.size());
                line += " [" + visible(body.substr(0, length)) + ']';
                body.remove_prefix(length);
            }
        }
    }
    std::string of;
    if (of_operation) {
        auto const& operation = operations_.at({life, id});
        call = operation.call;
        of = " " + std::to_string(operation.ordinal);
    }
    texts_[call] += std::string(who) + ' ' + kind.name + of + line + ' ' + visible(body) + '\n';
}

std::string Transcript::text() const {
    std::string out;
    for (auto const& one : texts_) out += one;
    for (auto const& [path, name] : names_)
        for (auto at = out.find(path); at != out.npos; at = out.find(path, at + name.size()))
            out.replace(at, path.size(), name);
    for (auto const& [begin, end] : times_)
        for (auto at = out.find(begin); at != out.npos; at = out.find(begin, at)) {
            at += begin.size();
            out.replace(at, std::min(out.find(end, at), out.size()) - at, "<time>");
        }
    return out;
}

}  // namespace parity
