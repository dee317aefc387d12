#pragma once

// The ledger is the host's one memory: an append-only, hash-chained sequence of records, and rows
// derived from them, written together or not at all. Nothing here knows what a record means.
// The event thread builds batches; one committer thread hashes, writes and syncs, many batches to
// one sync. What is queued is seen by every read at once, and told to nobody before it is durable.
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"

#include <functional>
#include <memory>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// What is to be recorded. `actor` (an object) and `body` are JSON; an empty actor means the host
// itself. Line breaks between their tokens become spaces: a record's JSON view is one line.
struct Draft {
    std::string kind;  // dotted, in the past tense: "message.received"
    AgentName agent;
    SessionId session;
    std::int64_t turn = 0;
    CallId call;
    Seq cause = 0;
    std::string actor;
    std::string body = "{}";
};

struct Record : Draft {
    Seq seq = 0;
    std::int64_t time_us = 0;  // max(last record, clock): never runs backwards
    Digest prev{}, hash{};
};

// parley.record/1: the tag, then seq, time, kind, agent, session, turn, call, cause, actor, body, prev.
Digest hash_of(Record const& record);
// The JSON view of design and API, one line, without a newline. `body` stands as stored.
std::string to_json(Record const& record);

// Derived state lives in tables. A key is bytes; order is bytewise.
enum class Table : unsigned char {
    meta = 1, session, active, inbox, binding, seen, item, call, approval, approval_due, spend,
    outbox, cursor, refused, kv, todo, session_index, place, card
};

// A row of Table::meta: the operator accepted a loss, and the host has not yet acted on that.
constexpr std::string_view loss_accepted = "loss_accepted";
// Another: the generation of the vault that was last in use.
constexpr std::string_view vault_generation = "vault_generation";

class Ledger;

// Records and rows that become durable together. Build and commit it within one event: the seqs
// that it hands out hold only if no other batch is committed in between (asserted). What it holds
// is seen by every read at once; a batch that is dropped takes it back.
class Batch {
public:
    Batch(Batch&&) noexcept;
    Batch& operator=(Batch&&) = delete;
    ~Batch();
    Seq record(Draft draft);
    void put(Table table, std::string_view key, std::string value);
    void erase(Table table, std::string_view key);
    std::size_t records() const { return records_.size(); }

private:
    friend class Ledger;
    Batch(Ledger const& ledger, Seq first) : ledger_(&ledger), next_(first) {}
    void add(std::string key, std::shared_ptr<std::string const> value);
    struct Row {
        std::string key;                           // table byte, then the key
        std::shared_ptr<std::string const> value;  // null: erased
    };
    Ledger const* ledger_;  // null once committed
    Seq next_;
    std::vector<std::shared_ptr<Record>> records_;
    std::vector<Row> rows_;
};

struct Checkpoint {
    std::string vault;  // id, hex
    Seq seq = 0;
    Digest hash{};
    std::int64_t time_us = 0;
    std::string public_key, signature;  // hex
};

// Signs bytes with the vault's ledger key: hex Ed25519 signature. Called on the committer thread.
struct Signer {
    std::string vault_id, public_key;
    std::function<std::string(std::string_view bytes)> sign;
};

class Verification;

class Ledger {
public:
    struct Options {
        std::filesystem::path folder;  // home/ledger
        Signer signer;                 // may be empty: no checkpoints are made
        bool accept_loss = false;      // go on although the head is behind its mark
    };
    // Opens or creates. Fault::conflict when the head is behind its mark (records were lost),
    // Fault::internal when the store is damaged; the message says what to do. A loss that was
    // accepted is forgotten by the first commit after it, or a clean stop.
    // `loop` and `clock` must outlive the ledger.
    static Result<std::unique_ptr<Ledger>> open(Options options, Loop& loop, Clock const& clock);
    ~Ledger();  // commits what is queued, writes the mark and a checkpoint

    // --- event thread ---
    Batch begin() const;
    // `durable` is called on the event thread after the sync. If the sync fails the process is
    // told by on_failure and nothing is called: nothing may leave any more. Later commits are
    // dropped. The same holds when a row cannot be read.
    void commit(Batch batch, std::function<void()> durable = {});
    void on_failure(std::function<void(Error)> told);
    // Every record once durable, in order, on the event thread.
    void on_durable(std::function<void(std::shared_ptr<Record const>)> told);

    Seq head() const;          // last assigned
    Seq durable_head() const;
    std::int64_t now_us() const;  // max(last record, clock): for expiries and periods
    std::size_t queued_bytes() const;
    // True when this open voided something: head was behind the mark and accept_loss was given.
    bool lost_records() const;

    // Reads see what is queued. A value is a copy.
    std::optional<std::string> get(Table table, std::string_view key) const;
    // Rows whose key starts with `prefix`, from `from` on (a whole key; empty: the first), in
    // order, until `row` says false. `row` must not commit.
    void scan(Table table, std::string_view prefix, std::string_view from,
              std::function<bool(std::string_view key, std::string_view value)> const& row) const;

    // Durable records only.
    std::optional<Record> record(Seq seq) const;
    void records(Seq from, Seq to, std::function<bool(Record const&)> const& each) const;
    // Seqs of records of one session, ascending, from `from` on.
    void session_records(SessionId const& session, Seq from,
                         std::function<bool(Record const&)> const& each) const;

    // Bodies by digest: stored once, durable with the next commit after the call. Returns hex.
    std::string store_body(Batch& batch, std::string_view bytes);
    std::optional<std::string> body(std::string_view hex_digest) const;

    // The newest `most`, ascending.
    std::vector<Checkpoint> checkpoints(std::size_t most) const;
    void checkpoints(Seq from, Seq to, std::function<bool(Checkpoint const&)> const& each) const;

private:
    friend class Batch;
    friend class Verification;
    struct Inside;
    explicit Ledger(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

// What verification found.
struct Verdict {
    enum class Kind { sound, tampered, shorter, unreadable } kind = Kind::sound;
    Seq checked = 0;      // last sound record
    Seq first_bad = 0;    // when tampered
    std::string detail;
};
char const* name_of(Verdict::Kind kind);
std::string to_json(Verdict const& verdict);
// A walk along an opened ledger's chain, a piece at a time, so that it can share a thread.
class Verification {
public:
    // `ledger` must outlive the walk. The end is the durable head of this moment.
    Verification(Ledger const& ledger, std::optional<Checkpoint> against);
    ~Verification();
    bool go_on(std::size_t records);  // false when it is over
    Verdict verdict() const;

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

// Walks an opened ledger, or an export (NDJSON) that needs no home; `against` is a checkpoint that
// the chain must reach and match. Both also match the checkpoints that they hold themselves.
Verdict verify(Ledger const& ledger, std::optional<Checkpoint> const& against);
// `public_key` (hex), when given, is the one that must have signed every checkpoint.
Verdict verify_export(std::filesystem::path const& file, std::optional<Checkpoint> const& against,
                      std::string_view public_key = {});
// Is its signature by the key that it names? Whose key that is, the caller must know.
bool is_genuine(Checkpoint const& checkpoint);
Result<Checkpoint> parse_checkpoint(std::string_view json);
std::string to_json(Checkpoint const& checkpoint);
// NDJSON: the checkpoints of from..to, then its records. `out` gets whole lines without newline.
void export_lines(Ledger const& ledger, Seq from, Seq to,
                  std::function<bool(std::string_view line)> const& out);

}  // namespace parley
