// Long answers: the event stream with resume, and the export. Each reads the ledger in pieces, at
// the pace of its reader, and never holds the event thread for long.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "control/control.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

constexpr std::size_t piece_records = 256;

std::uint64_t whole_number(std::string_view text, std::uint64_t fallback) {
    if (text.empty() || text.size() > 19 || text.find_first_not_of("0123456789") != std::string_view::npos)
        return fallback;
    return std::strtoull(std::string(text).c_str(), nullptr, 10);
}

std::string query_text(Asked const& asked, char const* key) {
    auto found = asked.query.find(key);
    return found == asked.query.end() ? "" : found->second;
}

std::string frame_of(Record const& record) {
    return "id: " + std::to_string(record.seq) + "\ndata: " + to_json(record) + "\n\n";
}

}  // namespace

struct Control::Stream {
    std::shared_ptr<EventWriter> writer;
    Seq sent = 0;          // last record that the reader has
    bool live = false;     // caught up: new records come by themselves
    bool deltas = false, feeding = false, gone = false;
    std::string session;   // only its records, when set
    std::optional<Scope> scope;
    std::uint64_t epoch = 0;

    void put(Record const& record) {
        sent = record.seq;
        if (!session.empty() && record.session.text != session) return;
        if (!writer->write(frame_of(record))) gone = true;
    }
};

void Control::events(Asked& asked) {
    auto stream = std::make_shared<Stream>();
    auto after = query_text(asked, "after");
    if (auto last = asked.request.header("last-event-id")) after = std::string(*last);
    stream->sent = std::min(whole_number(after, deps_.ledger->durable_head()), deps_.ledger->durable_head());
    stream->deltas = query_text(asked, "deltas") == "1";
    stream->session = query_text(asked, "session");
    if (asked.caller.by_token) {
        stream->scope = asked.caller.access == Access::admin ? Scope::admin : Scope::read;
        stream->epoch = deps_.tokens->epoch(*stream->scope);
    }
    stream->writer = asked.reply->send_events();
    stream->writer->on_gone([this, weak = std::weak_ptr(stream)] {
        if (auto self = weak.lock()) {
            self->gone = true;
            streams_.remove(self);
        }
    });
    streams_.push_back(stream);
    feed(stream);
}

// Catches a reader up, a piece at a time.
void Control::feed(std::shared_ptr<Stream> const& stream) {
    if (stream->gone || stream->live) return;
    auto until = std::min(deps_.ledger->durable_head(), stream->sent + piece_records);
    deps_.ledger->records(stream->sent + 1, until, [&](Record const& record) {
        stream->put(record);
        return !stream->gone;
    });
    if (stream->gone) {
        streams_.remove(stream);
        return;
    }
    if (stream->sent >= deps_.ledger->durable_head()) {
        stream->live = true;
        return;
    }
    auto again = [this, weak = std::weak_ptr(stream)] {
        if (auto self = weak.lock(); self && self->feeding) {
            self->feeding = false;
            feed(self);
        }
    };
    stream->feeding = true;
    // A reader that is slow to catch up is waited for, not cut off.
    if (stream->writer->waiting_bytes() > limits::event_backlog_bytes / 4) stream->writer->on_drained(again);
    else deps_.loop->post(again);
}

void Control::recorded(std::shared_ptr<Record const> record) {
    if (streams_.empty()) return;
    std::string frame;
    for (auto it = streams_.begin(); it != streams_.end();) {
        auto stream = *it++;
        if (!stream->live || record->seq <= stream->sent) continue;
        stream->sent = record->seq;
        if (!stream->session.empty() && record->session.text != stream->session) continue;
        if (frame.empty()) frame = frame_of(*record);
        if (!stream->writer->write(frame)) streams_.remove(stream);
    }
}

void Control::delta(Session const& session, std::string_view text) {
    std::string frame;
    for (auto const& stream : streams_) {
        if (!stream->deltas || !stream->live) continue;
        if (!stream->session.empty() && stream->session != session.id.text) continue;
        if (frame.empty()) {
            JsonWriter out;
            out.begin('{').pair("session", session.id.text).pair("agent", session.agent.text);
            frame = "event: delta\ndata: " + out.pair("text", text).end('}').take() + "\n\n";
        }
        stream->writer->write(frame);
    }
}

// A stream that was opened with a token that is no longer valid ends.
void Control::drop_stale_streams() {
    for (auto it = streams_.begin(); it != streams_.end();) {
        auto stream = *it++;
        if (!stream->scope || deps_.tokens->epoch(*stream->scope) == stream->epoch) continue;
        stream->writer->close();
        streams_.remove(stream);
    }
}

void Control::stop() {
    for (auto const& stream : streams_) stream->writer->close();
    streams_.clear();
}

namespace {

// An export under way; it owns itself through the callbacks that wait.
struct Export : std::enable_shared_from_this<Export> {
    Ledger* ledger;
    Loop* loop;
    std::shared_ptr<EventWriter> out;
    Seq next, last;

    void go_on() {
        auto until = std::min(last, next + piece_records - 1);
        bool open = true;
        ledger->records(next, until, [&](Record const& record) {
            return open = out->write(to_json(record) + '\n');
        });
        next = until + 1;
        if (!open) return;
        if (next > last) return out->close();
        auto again = [self = shared_from_this()] { self->go_on(); };
        if (out->waiting_bytes() > limits::event_backlog_bytes / 4) out->on_drained(again);
        else loop->post(again);
    }
};

}  // namespace

void Control::ledger_export(Asked& asked) {
    auto all = std::make_shared<Export>();
    all->ledger = deps_.ledger;
    all->loop = deps_.loop;
    all->next = std::max<Seq>(1, whole_number(query_text(asked, "from"), 1));
    all->last = std::min(whole_number(query_text(asked, "to"), deps_.ledger->durable_head()), deps_.ledger->durable_head());
    all->out = asked.reply->send_stream("application/x-ndjson");
    for (auto const& checkpoint : deps_.ledger->checkpoints(limits::list_items))
        if (checkpoint.seq >= all->next && checkpoint.seq <= all->last) all->out->write(to_json(checkpoint) + '\n');
    all->go_on();
}

namespace {

void walk_on(Loop* loop, std::shared_ptr<Verification> walk, std::shared_ptr<Reply> reply) {
    if (!walk->go_on(piece_records)) return send_json(*reply, to_json(walk->verdict()));
    loop->post([loop, walk, reply] { walk_on(loop, walk, reply); });
}

}  // namespace

void Control::ledger_verify(Asked& asked) {
    std::optional<Checkpoint> against;
    if (auto text = query_text(asked, "against"); !text.empty()) {
        auto parsed = parse_checkpoint(text);
        if (!parsed) return send_problem(*asked.reply, 400, parsed.error().what);
        against = std::move(*parsed);
    }
    walk_on(deps_.loop, std::make_shared<Verification>(*deps_.ledger, std::move(against)), asked.reply);
}

}  // namespace parley
