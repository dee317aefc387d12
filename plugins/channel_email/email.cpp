// The e-mail channel: one IMAP connection for each run, on which new mail is read in order, and one
// SMTP connection for each answer. A thread with one person is a conversation; what an answer needs
// of it (its subject, the ids of its mails) stands in the host's store.
#include "compose.hpp"
#include "imap.hpp"
#include "mail.hpp"
#include "parley/plugin.hpp"
#include "smtp.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>

namespace email {
namespace {

using namespace std::chrono_literals;
using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::Inject;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

constexpr std::size_t references_most = 20;      // in an answer: the first, and the last of them
constexpr std::size_t conversation_bytes = 250;  // a key of the host's store holds 256

struct Settings {
    std::string address, name, user, imap_host, smtp_host, folder, authserv;
    std::uint16_t imap_port = 993, smtp_port = 465;
    bool tls = true;

    std::string domain() const { return address.substr(address.rfind('@') + 1); }
};

void require(bool fine, std::string const& what) {
    if (!fine) throw std::runtime_error(what);
}

Settings settings_from(Json const& config) {
    Settings out;
    out.address = lower(config["address"].text());
    out.name = config["name"].text();
    out.user = config["user"].text(config["address"].text());
    out.imap_host = config["imap_host"].text();
    out.smtp_host = config["smtp_host"].text();
    out.imap_port = static_cast<std::uint16_t>(config["imap_port"].integer(out.imap_port));
    out.smtp_port = static_cast<std::uint16_t>(config["smtp_port"].integer(out.smtp_port));
    out.folder = config["folder"].text("INBOX");
    out.authserv = config["trusted_authserv"].text();
    out.tls = config["tls"].boolean(true);
    require(is_address(out.address), "config.address is not an address");
    require(out.user.find('\0') == std::string::npos, "config.user is not a name");
    require(out.tls || (out.imap_host == "127.0.0.1" && out.smtp_host == "127.0.0.1"),
            "config.tls: false is for servers on 127.0.0.1 only, or the password could be read");
    return out;
}

// A thread has a name of its own for each person in it: who joins it later gets no answer to
// another's mail.
std::string conversation_of(Mail const& mail) {
    auto const& root = mail.references.empty() ? mail.id : mail.references.front();
    auto name = mail.from.address + ' ' + root;
    if (name.size() <= conversation_bytes) return name;
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a; collisions stay with one sender
    for (char const c : root) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return mail.from.address.substr(0, conversation_bytes - 24) + " #" + std::to_string(hash);
}

std::string thread_of(Mail const& mail) {
    auto references = mail.references;
    if (!mail.id.empty()) references.push_back(mail.id);
    if (references.size() > references_most)
        references.erase(references.begin() + 1, references.end() - (references_most - 1));
    JsonWriter out;
    out.begin('{').pair("subject", mail.subject).key("references").begin('[');
    for (auto const& id : references) out.value(id);
    return out.end(']').end('}').take();
}

std::string text_of(Mail const& mail, bool is_cut) {
    std::string out = mail.text;
    // An answer's subject is the thread's.
    if (mail.references.empty() && !mail.subject.empty())
        out += "\n\n[subject: " + mail.subject + "]";
    for (auto const& one : mail.attachments)
        out += "\n[attached, not taken: " + (one.name.empty() ? "no name" : one.name) + ", " +
               one.type + ", " + std::to_string(one.bytes) + " bytes]";
    if (is_cut) out += "\n[the mail is larger; this is its beginning]";
    return out;
}

std::string message_from(Mail const& mail, Fetched const& fetched) {
    JsonWriter out;
    out.begin('{').pair("type", "message").pair("conversation", conversation_of(mail));
    out.key("sender").begin('{').key("ids").begin('[');
    if (mail.is_proven) out.value("account:" + mail.from.address);
    out.value("nick:" + mail.from.address).end(']');
    out.pair("name", mail.from.name.empty() ? mail.from.address : mail.from.name).end('}');
    out.pair("text", text_of(mail, fetched.is_cut));
    out.pair("id", mail.id.empty() ? fetched.place.to_text() : mail.id);
    return out.pair("cursor", fetched.place.to_text()).pair("private", true).end('}').take();
}

// Of a host's id, what can stand in an id of a mail.
std::string mail_id(std::string_view id, std::string const& domain) {
    std::string out = "<";
    for (char const c : id)
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-')
            out += c;
    return out + '@' + domain + '>';
}

class Email final : public parley::Channel {
public:
    Email(Host& host, Json const& config) : host_(host), settings_(settings_from(config)) {
        if (settings_.authserv.empty())
            host_.log(PARLEY_LOG_WARN,
                      "without trusted_authserv nobody's address is proven: who writes is only "
                      "nick:ADDRESS, which anybody can claim");
    }

    void run(Call call, Json request) override {
        if (run_.is_open()) return call.fail("invalid", "the channel runs already");
        run_ = std::move(call);
        is_paused_ = false;
        imap_.emplace(ImapSettings{settings_.user, settings_.folder},
                      Place::from(request["cursor"].text()));
        run_.on_cancel([this] { leave(); });
        run_.on_ack([this](std::string_view cursor) {
            if (auto const place = Place::from(cursor); place && imap_) act(imap_->seen(*place));
        });
        run_.on_resume([this] {
            is_paused_ = false;
            if (imap_) act(imap_->go_on());
        });
        tell_state("connecting", settings_.imap_host);
        minute();
        parley::StreamCallbacks callbacks;
        callbacks.on_data = [this](std::string_view bytes) {
            if (imap_) act(imap_->heard(bytes));
        };
        callbacks.on_closed = [this](std::optional<Failure> const& why) {
            finish({"peer", why ? why->message : "the server closed the connection", true});
        };
        stream_ = host_.stream(run_, settings_.imap_host, settings_.imap_port, settings_.tls,
                               std::move(callbacks));
    }

    void send(Call call, Json request) override {
        auto const conversation = std::string(request["conversation"].text());
        auto const to = conversation.substr(0, conversation.find(' '));
        if (!is_address(to)) return call.fail({"invalid", "no address", false, 0, false});
        Answer answer;
        answer.from = settings_.address;
        answer.from_name = settings_.name;
        answer.to = to;
        answer.subject = "your mail";
        answer.id = mail_id(request["id"].text(), settings_.domain());
        answer.text = request["text"].text();
        answer.unix_time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
        auto held = std::make_shared<Call>(std::move(call));
        host_.kv_get(*held, conversation,
                     [this, held, answer](parley::KvAnswer const& kept) mutable {
                         if (kept.failure)
                             return held->fail({"peer", kept.failure->message, true, 0, false});
                         Json const thread = Json::parse(kept.value.value_or("{}"));
                         answer.subject = thread["subject"].text(answer.subject);
                         for (Json const id : thread["references"])
                             answer.references.emplace_back(id.text());
                         hand_in(held, {answer.from, answer.to, compose(answer)});
                     });
    }

private:
    // ---- What comes in.

    void act(Steps const& steps) {
        for (auto const& step : steps) std::visit([this](auto const& one) { act(one); }, step);
    }
    void act(Write const& write) {
        if (!imap_) return;
        auto const taken = write.has_secret ? stream_.write(write.bytes, {password()})
                                            : stream_.write(write.bytes);
        if (taken == Emit::refused) finish({"peer", "the connection broke", true});
    }
    void act(Ready const&) {
        tell_state("connected", settings_.imap_host + ", " + settings_.folder);
    }
    void act(Note const& note) { host_.log(PARLEY_LOG_WARN, note.text); }
    void act(End const& end) { finish(end); }
    void act(Fetched const& fetched) {
        auto const mail = read_mail(fetched.bytes, settings_.authserv);
        // What another machine sent is never answered, nor what cannot be answered.
        if (mail.from.address.empty() || mail.is_automatic ||
            mail.from.address == settings_.address)
            return go_on();
        host_.kv_put(run_, conversation_of(mail), thread_of(mail),
                     [this, message = message_from(mail, fetched)](parley::KvAnswer const& kept) {
                         if (kept.failure)
                             host_.log(PARLEY_LOG_WARN,
                                       "a thread is not kept: " + kept.failure->message);
                         is_paused_ = run_.emit(message) == Emit::pause;
                         go_on();
                     });
    }
    void go_on() {
        if (imap_ && !is_paused_) act(imap_->go_on());
    }

    void minute() {
        minute_ = host_.timer(run_, 60s, [this] {
            if (imap_) act(imap_->minute());
            if (imap_) minute();
        });
    }

    void tell_state(std::string_view state, std::string_view detail) {
        run_.emit(json_of("type", "state", "state", state, "detail", detail));
    }
    void leave() {
        if (imap_) act(imap_->leave());
        finish({"cancelled", "the channel was stopped", false});
    }
    void finish(End const& why) {
        if (!std::exchange(imap_, std::nullopt)) return;
        stream_.stop();
        minute_.stop();
        tell_state("disconnected", why.message);
        run_.fail(why.code, why.message, why.retryable);
    }

    // ---- What goes out.

    struct Sending {
        Sending(std::shared_ptr<Call> held, Envelope envelope, std::string const& domain)
            : call(std::move(held)), smtp(std::move(envelope), domain) {}
        std::shared_ptr<Call> call;
        Smtp smtp;
        parley::Stream stream;
    };

    void hand_in(std::shared_ptr<Call> const& call, Envelope envelope) {
        auto const one = std::make_shared<Sending>(call, std::move(envelope), settings_.domain());
        call->on_cancel([this, one] {
            one->smtp.closed("the server took too long");
            settle(*one);
        });
        parley::StreamCallbacks callbacks;
        callbacks.on_data = [this, one](std::string_view bytes) {
            for (auto const& out : one->smtp.heard(bytes))
                if (out.has_secret)
                    one->stream.write(out.bytes, {password()});
                else
                    one->stream.write(out.bytes);
            settle(*one);
        };
        callbacks.on_closed = [this, one](std::optional<Failure> const& why) {
            one->smtp.closed(why ? why->message : "the server closed the connection");
            settle(*one);
        };
        one->stream = host_.stream(*call, settings_.smtp_host, settings_.smtp_port, settings_.tls,
                                   std::move(callbacks));
    }

    void settle(Sending& one) {
        auto const& outcome = one.smtp.outcome();
        if (!outcome || !one.call->is_open()) return;
        if (outcome->delivered) return one.call->complete_ok(json_of("parts", 1));
        one.call->fail(
            {outcome->code, outcome->message, outcome->retryable, 0, outcome->may_have_left});
    }

    static_assert(Imap::secret_mark == Smtp::secret_mark);
    // SASL PLAIN (RFC 4616): nobody to act for, the user, the password, encoded as one.
    Inject password() const {
        return {.slot = "stream:" + std::string(Imap::secret_mark),
                .secret = "password",
                .prefix = std::string(1, '\0') + settings_.user + '\0',
                .encode = "base64"};
    }

    Host& host_;
    Settings const settings_;
    Call run_;
    parley::Stream stream_;
    parley::Operation minute_;
    std::optional<Imap> imap_;  // while there is a connection
    bool is_paused_ = false;    // the host said so
};

}  // namespace
}  // namespace email

PARLEY_PLUGIN(email::Email)
