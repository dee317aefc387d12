#include "ledger/ledger.hpp"

#include "base/text.hpp"
#include "ledger/inside.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace parley {

namespace {

constexpr std::size_t known_bodies_most = 4096;

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::open(Options options, Loop& loop, Clock const& clock) {
    std::error_code error;
    std::filesystem::create_directories(options.folder, error);
    if (error) return Error(Fault::internal, options.folder.string() + ": " + error.message());
    auto inside = std::make_unique<Inside>(std::move(options), loop, clock);
    MUST(inside->open_store());
    MUST(inside->check_head());
    inside->committer = std::thread([raw = inside.get()] { raw->run(); });
    return std::unique_ptr<Ledger>(new Ledger(std::move(inside)));
}

Ledger::Ledger(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}

Ledger::~Ledger() {
    {
        std::lock_guard lock(inside_->mutex);
        inside_->stopping = true;
    }
    inside_->wake.notify_one();
    inside_->committer.join();
}

Batch Ledger::begin() const {
    return Batch(*this, inside_->head + 1);
}

// A row of an open batch stands in the overlay under no number, above what it covers.
void Batch::add(std::string key, std::shared_ptr<std::string const> value) {
    auto& in = *ledger_->inside_;
    auto found = in.overlay.find(key);
    in.open.try_emplace(key,
                        found == in.overlay.end() ? std::nullopt : std::optional(found->second));
    in.overlay[key] = {value, 0};
    rows_.push_back({std::move(key), std::move(value)});
}

Batch::Batch(Batch&& other) noexcept
    : ledger_(std::exchange(other.ledger_, nullptr)),
      next_(other.next_),
      records_(std::move(other.records_)),
      rows_(std::move(other.rows_)) {}

Batch::~Batch() {
    if (!ledger_) return;
    auto& in = *ledger_->inside_;
    for (auto const& row : rows_) {
        auto covered = in.open.find(row.key);
        if (covered == in.open.end()) continue;
        if (covered->second)
            in.overlay[row.key] = *covered->second;
        else
            in.overlay.erase(row.key);
        in.open.erase(covered);
    }
}

void Ledger::Inside::remember_body(std::string_view key) {
    if (known_bodies.size() >= known_bodies_most) known_bodies.clear();
    Digest digest;
    std::memcpy(digest.data(), key.data() + 1, digest.size());
    known_bodies.insert(digest);
}

void Ledger::commit(Batch batch, std::function<void()> durable) {
    auto& in = *inside_;
    if (in.failed) return;
    if (!batch.records_.empty() && batch.records_.front()->seq != in.head + 1) {
        // Going on would write over records. In every build this is the end.
        std::fputs("parley: a batch was committed after another that began later\n", stderr);
        std::abort();
    }
    batch.ledger_ = nullptr;
    Inside::Queued queued;
    queued.number = ++in.last_number;
    queued.durable = std::move(durable);
    auto time_us = now_us();
    for (auto const& record : batch.records_) {
        record->time_us = time_us;
        queued.bytes += record->body.size() + 256;
    }
    if (!batch.records_.empty()) {
        in.head = batch.records_.back()->seq;
        in.last_time_us = time_us;
    }
    for (auto const& row : batch.rows_) {
        in.open.erase(row.key);
        in.overlay[row.key] = {row.value, queued.number};
        if (row.key.front() == body_table) in.remember_body(row.key);
        queued.bytes += row.key.size() + (row.value ? row.value->size() : 0);
    }
    queued.records = std::move(batch.records_);
    queued.rows = std::move(batch.rows_);
    in.queued_bytes += queued.bytes;
    {
        std::lock_guard lock(in.mutex);
        in.queue.push_back(std::move(queued));
    }
    in.wake.notify_one();
}

void Ledger::on_failure(std::function<void(Error)> told) {
    inside_->on_failure = std::move(told);
}

void Ledger::on_durable(std::function<void(std::shared_ptr<Record const>)> told) {
    inside_->on_durable = std::move(told);
}

Seq Ledger::head() const {
    return inside_->head;
}
Seq Ledger::durable_head() const {
    return inside_->durable;
}
std::size_t Ledger::queued_bytes() const {
    return inside_->queued_bytes;
}
bool Ledger::lost_records() const {
    return inside_->lost;
}

std::int64_t Ledger::now_us() const {
    return std::max(inside_->last_time_us, inside_->clock.now_us());
}

std::optional<std::string> Ledger::get(Table table, std::string_view key) const {
    auto whole = row_key(table, key);
    if (auto found = inside_->overlay.find(whole); found != inside_->overlay.end()) {
        if (!found->second.value) return {};
        return *found->second.value;
    }
    return inside_->stored_row(whole);
}

void Ledger::scan(Table table, std::string_view prefix, std::string_view from,
                  std::function<bool(std::string_view, std::string_view)> const& row) const {
    auto start = row_key(table, std::max(prefix, from));
    auto whole_prefix = row_key(table, prefix);
    std::unique_ptr<rocksdb::Iterator> stored(inside_->db->NewIterator({}, inside_->rows));
    stored->Seek(start);
    auto pending = inside_->overlay.lower_bound(start);
    // Two ordered streams; where both have a key, what is queued is newer.
    while (true) {
        bool has_stored = stored->Valid() && stored->key().starts_with(whole_prefix);
        bool has_pending =
            pending != inside_->overlay.end() && pending->first.starts_with(whole_prefix);
        if (!has_stored && !has_pending) break;
        int order = !has_stored ? 1 : !has_pending ? -1 : stored->key().compare(pending->first);
        bool go_on = true;
        if (order < 0) {
            go_on = row(stored->key().ToStringView().substr(1), stored->value().ToStringView());
        } else if (pending->second.value) {
            go_on = row(std::string_view(pending->first).substr(1), *pending->second.value);
        }
        if (!go_on) return;
        if (order <= 0) stored->Next();
        if (order >= 0) ++pending;
    }
    if (!stored->status().ok())
        inside_->fail("the ledger could not be read: " + stored->status().ToString());
}

std::optional<Record> Ledger::record(Seq seq) const {
    if (seq == 0 || seq > inside_->durable) return {};
    return inside_->read(seq);
}

void Ledger::records(Seq from, Seq to, std::function<bool(Record const&)> const& each) const {
    rocksdb::ReadOptions how;
    how.fill_cache = false;
    std::unique_ptr<rocksdb::Iterator> at(inside_->db->NewIterator(how, inside_->records));
    auto last = std::min(to, inside_->durable);
    for (at->Seek(big_endian(from)); at->Valid(); at->Next()) {
        if (from_big_endian(at->key().ToStringView()) > last) return;
        auto record = decode_record(at->value().ToStringView());
        if (!record || !each(*record)) return;
    }
}

void Ledger::session_records(SessionId const& session, Seq from,
                             std::function<bool(Record const&)> const& each) const {
    std::unique_ptr<rocksdb::Iterator> at(inside_->db->NewIterator({}, inside_->sessions));
    auto prefix = session.text + '/';
    for (at->Seek(prefix + big_endian(from)); at->Valid() && at->key().starts_with(prefix);
         at->Next()) {
        auto rest = at->key().ToStringView().substr(prefix.size());
        if (rest.size() != sizeof(Seq)) continue;
        auto seq = from_big_endian(rest);
        if (seq > inside_->durable) return;
        auto record = inside_->read(seq);
        if (!record || !each(*record)) return;
    }
}

// Known are only bodies that were committed: a batch that is dropped takes its bodies back.
std::string Ledger::store_body(Batch& batch, std::string_view bytes) {
    auto digest = blake2b(bytes);
    if (inside_->known_bodies.contains(digest)) return hex(digest);
    auto key = body_key(digest);
    auto found = inside_->overlay.find(key);
    bool is_queued = found != inside_->overlay.end() && found->second.number != 0;
    if (!is_queued && !inside_->stored_row(key))
        batch.add(std::move(key), std::make_shared<std::string const>(bytes));
    return hex(digest);
}

std::optional<std::string> Ledger::body(std::string_view hex_digest) const {
    auto digest = from_hex(hex_digest);
    if (!digest || digest->size() != sizeof(Digest)) return {};
    auto key = body_table + *digest;
    if (auto found = inside_->overlay.find(key);
        found != inside_->overlay.end() && found->second.value)
        return *found->second.value;
    auto value = inside_->stored_row(key);
    // The digest stands in the chain, the body does not: what differs is not what was recorded.
    if (value && hex(blake2b(*value)) != hex_digest) return {};
    return value;
}

std::vector<Checkpoint> Ledger::checkpoints(std::size_t most) const {
    std::vector<Checkpoint> list;
    auto first = checkpoint_key(0), last = checkpoint_key(~Seq{0});
    std::unique_ptr<rocksdb::Iterator> at(inside_->db->NewIterator({}, inside_->rows));
    for (at->SeekForPrev(last); at->Valid() && list.size() < most; at->Prev()) {
        if (at->key().compare(first) < 0) break;
        if (auto checkpoint = parse_checkpoint(at->value().ToStringView()))
            list.push_back(std::move(*checkpoint));
    }
    std::reverse(list.begin(), list.end());
    return list;
}

void Ledger::checkpoints(Seq from, Seq to,
                         std::function<bool(Checkpoint const&)> const& each) const {
    std::unique_ptr<rocksdb::Iterator> at(inside_->db->NewIterator({}, inside_->rows));
    auto last = checkpoint_key(to);
    for (at->Seek(checkpoint_key(from)); at->Valid() && at->key().compare(last) <= 0; at->Next())
        if (auto checkpoint = parse_checkpoint(at->value().ToStringView()))
            if (!each(*checkpoint)) return;
}

}  // namespace parley
