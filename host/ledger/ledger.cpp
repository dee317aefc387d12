#include "ledger/ledger.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"
#include "ledger/layout.hpp"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_set>

namespace parley {

namespace {

using Column = rocksdb::ColumnFamilyHandle;

rocksdb::ColumnFamilyOptions column_options(std::shared_ptr<rocksdb::Cache> const& cache) {
    rocksdb::ColumnFamilyOptions options;
    options.write_buffer_size = 4u << 20;
    options.max_write_buffer_number = 2;
    options.compression = rocksdb::kLZ4Compression;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

rocksdb::DBOptions store_options() {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    // The default mode silently drops acknowledged writes after one flipped bit; this one refuses.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.track_and_verify_wals_in_manifest = true;
    options.paranoid_checks = true;
    options.recycle_log_file_num = 0;
    // Little to replay at start, little in memory.
    options.max_total_wal_size = 8u << 20;
    options.max_open_files = 64;
    options.max_background_jobs = 2;
    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    options.keep_log_file_num = 2;
    options.skip_stats_update_on_db_open = true;
    return options;
}

Error damaged(rocksdb::Status const& status) {
    return Error(Fault::internal, "the ledger cannot be opened: " + status.ToString() +
                                      "; restore it from a backup, or see `parley doctor`");
}

}  // namespace

struct Ledger::Inside {
    struct Queued {
        std::vector<std::shared_ptr<Record>> records;
        std::vector<Batch::Row> rows;
        std::function<void()> durable;
        std::uint64_t number = 0;
        std::size_t bytes = 0;
    };
    struct Pending {
        std::shared_ptr<std::string const> value;  // null: erased
        std::uint64_t number = 0;                  // of the batch that put it
    };

    Inside(Options given, Loop& loop_, Clock const& clock_)
        : options(std::move(given)), loop(loop_), clock(clock_), head_file(options.folder) {}

    ~Inside() {
        for (auto* column : {rows, records, sessions})
            if (column) db->DestroyColumnFamilyHandle(column);
        if (db) db->Close();
    }

    Options options;
    Loop& loop;
    Clock const& clock;
    HeadFile head_file;
    std::unique_ptr<rocksdb::DB> db;
    Column *rows = nullptr, *records = nullptr, *sessions = nullptr;
    bool lost = false;

    // Event thread.
    Seq head = 0, durable = 0;
    std::int64_t last_time_us = 0;
    std::uint64_t last_number = 0;
    std::map<std::string, Pending, std::less<>> overlay;
    // What the rows of the open batch cover, to put back when it is dropped.
    std::map<std::string, std::optional<Pending>> open;
    std::unordered_set<std::string> known_bodies;
    std::function<void(std::shared_ptr<Record const>)> on_durable;
    std::function<void(Error)> on_failure;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);

    // Shared with the committer.
    std::mutex mutex;
    std::condition_variable wake;
    std::vector<Queued> queue;
    std::atomic<std::size_t> queued_bytes{0};
    bool stopping = false;

    // Committer thread.
    std::thread committer;
    HeadMark written, marked;
    std::chrono::steady_clock::time_point marked_at{}, checkpoint_at = std::chrono::steady_clock::now();
    Seq checkpoint_seq = 0;
    bool failed = false;

    Result<> open_store();
    Result<> check_head();
    void run();
    bool write(std::vector<Queued>& batches);
    void write_mark();
    void make_checkpoint();
    void deliver(std::vector<Queued> batches);
    std::optional<Record> read(Seq seq) const;
};

Result<> Ledger::Inside::open_store() {
    auto cache = rocksdb::NewLRUCache(4u << 20);
    auto column = column_options(cache);
    std::vector<rocksdb::ColumnFamilyDescriptor> columns{
        {rocksdb::kDefaultColumnFamilyName, column}, {"records", column}, {"sessions", column}};
    std::vector<Column*> handles;
    rocksdb::DB* opened = nullptr;
    auto status = rocksdb::DB::Open(store_options(), (options.folder / "db").string(), columns,
                                    &handles, &opened);
    if (!status.ok()) return damaged(status);
    db.reset(opened);
    rows = handles[0];
    records = handles[1];
    sessions = handles[2];
    return ok();
}

// The end of the chain, and whether it is the end that a separate mark remembers.
Result<> Ledger::Inside::check_head() {
    std::unique_ptr<rocksdb::Iterator> last(db->NewIterator({}, records));
    last->SeekToLast();
    if (!last->status().ok()) return damaged(last->status());
    if (last->Valid()) {
        auto record = decode_record(last->value().ToStringView());
        if (!record || hash_of(*record) != record->hash)
            return Error(Fault::internal, "the ledger's last record is damaged");
        head = durable = record->seq;
        last_time_us = record->time_us;
        written = {record->seq, record->hash};
    }
    if (!head_file.is_open()) return Error(Fault::internal, "ledger/head cannot be opened");
    auto mark = head_file.read();
    bool behind = head_file.is_damaged() || (mark && mark->seq > head);
    if (behind && !options.accept_loss)
        return Error(Fault::conflict,
                     "the ledger ends at " + std::to_string(head) + " but its mark says " +
                         (mark ? std::to_string(mark->seq) : std::string("something unreadable")) +
                         ": records were lost. To go on without them: parley ledger accept-loss");
    if (mark && !behind && mark->seq > 0) {
        auto record = read(mark->seq);
        if (!record || record->hash != mark->hash)
            return Error(Fault::internal, "the ledger was tampered with: record " +
                                              std::to_string(mark->seq) +
                                              " is not the one that was marked");
    }
    if (behind) {
        lost = true;
        if (!head_file.write(written)) return Error(Fault::internal, "ledger/head cannot be written");
    }
    marked = written;
    checkpoint_seq = head;
    return ok();
}

std::optional<Record> Ledger::Inside::read(Seq seq) const {
    std::string stored;
    if (!db->Get({}, records, big_endian(seq), &stored).ok()) return {};
    return decode_record(stored);
}

void Ledger::Inside::run() {
    std::unique_lock lock(mutex);
    while (true) {
        auto has_work = [this] { return !queue.empty() || stopping; };
        if (written.seq != marked.seq) wake.wait_until(lock, marked_at + limits::head_mark_time, has_work);
        else wake.wait(lock, has_work);
        auto batches = std::exchange(queue, {});
        bool last = stopping && batches.empty();
        lock.unlock();
        if (!batches.empty() && !failed) {
            if (write(batches)) {
                loop.post([this, weak = std::weak_ptr(alive), batches = std::move(batches)]() mutable {
                    if (!weak.expired()) deliver(std::move(batches));
                });
            } else {
                failed = true;
            }
        }
        if (!failed && written.seq != marked.seq &&
            (last || std::chrono::steady_clock::now() - marked_at >= limits::head_mark_time))
            write_mark();
        if (!failed) {
            auto since = std::chrono::steady_clock::now() - checkpoint_at;
            if (written.seq - checkpoint_seq >= limits::checkpoint_records ||
                (written.seq != checkpoint_seq && (last || since >= limits::checkpoint_time)))
                make_checkpoint();
        }
        if (last) return;
        lock.lock();
    }
}

// Hashes, writes and syncs everything that is queued, in order. A failure is final.
bool Ledger::Inside::write(std::vector<Queued>& batches) {
    rocksdb::WriteBatch all;
    auto head_now = written;
    std::size_t bytes = 0;
    for (auto& batch : batches) {
        bytes += batch.bytes;
        for (auto const& record : batch.records) {
            record->prev = head_now.hash;
            auto stored = canonical(*record);
            record->hash = blake2b(stored);
            stored.append(reinterpret_cast<char const*>(record->hash.data()), record->hash.size());
            auto key = big_endian(record->seq);
            all.Put(records, key, stored);
            if (!record->session.empty()) all.Put(sessions, record->session.text + '/' + key, "");
            head_now = {record->seq, record->hash};
        }
        for (auto const& row : batch.rows) {
            if (row.value) all.Put(rows, row.key, *row.value);
            else all.Delete(rows, row.key);
        }
    }
    rocksdb::WriteOptions how;
    how.sync = true;
    auto status = db->Write(how, &all);
    queued_bytes -= bytes;
    if (status.ok()) {
        written = head_now;
        return true;
    }
    loop.post([this, weak = std::weak_ptr(alive), what = status.ToString()] {
        if (!weak.expired() && on_failure)
            on_failure(Error(Fault::internal, "the ledger could not be written: " + what));
    });
    return false;
}

void Ledger::Inside::write_mark() {
    marked_at = std::chrono::steady_clock::now();
    if (head_file.write(written)) marked = written;
}

void Ledger::Inside::make_checkpoint() {
    checkpoint_seq = written.seq;
    checkpoint_at = std::chrono::steady_clock::now();
    if (!options.signer.sign) return;
    Checkpoint checkpoint;
    checkpoint.vault = options.signer.vault_id;
    checkpoint.seq = written.seq;
    checkpoint.hash = written.hash;
    checkpoint.time_us = clock.now_us();
    checkpoint.public_key = options.signer.public_key;
    checkpoint.signature = options.signer.sign(checkpoint_bytes(checkpoint));
    auto line = to_json(checkpoint);
    // It proves what is durable already, so it need not be synced itself.
    db->Put({}, rows, row_key(Table::meta, "checkpoint/" + big_endian(checkpoint.seq)), line);
    std::ofstream(options.folder / "checkpoints.ndjson", std::ios::app) << line << '\n';
}

void Ledger::Inside::deliver(std::vector<Queued> batches) {
    for (auto& batch : batches) {
        for (auto const& row : batch.rows) {
            auto found = overlay.find(row.key);
            if (found != overlay.end() && found->second.number == batch.number) overlay.erase(found);
        }
        if (!batch.records.empty()) durable = batch.records.back()->seq;
        if (on_durable)
            for (auto& record : batch.records) on_durable(std::move(record));
        if (batch.durable) batch.durable();
    }
}

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

Batch Ledger::begin() const { return Batch(*this, inside_->head + 1); }

// A row of an open batch stands in the overlay under no number, above what it covers.
void Batch::add(std::string key, std::shared_ptr<std::string const> value) {
    auto& in = *ledger_->inside_;
    auto found = in.overlay.find(key);
    in.open.try_emplace(key, found == in.overlay.end() ? std::nullopt : std::optional(found->second));
    in.overlay[key] = {value, 0};
    rows_.push_back({std::move(key), std::move(value)});
}

Batch::Batch(Batch&& other) noexcept
    : ledger_(std::exchange(other.ledger_, nullptr)), next_(other.next_),
      records_(std::move(other.records_)), rows_(std::move(other.rows_)) {}

Batch::~Batch() {
    if (!ledger_) return;
    auto& in = *ledger_->inside_;
    for (auto const& row : rows_) {
        auto covered = in.open.find(row.key);
        if (covered == in.open.end()) continue;
        if (covered->second) in.overlay[row.key] = *covered->second;
        else in.overlay.erase(row.key);
        in.open.erase(covered);
    }
}

void Ledger::commit(Batch batch, std::function<void()> durable) {
    auto& in = *inside_;
    assert(batch.records_.empty() || batch.records_.front()->seq == in.head + 1);
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

void Ledger::on_failure(std::function<void(Error)> told) { inside_->on_failure = std::move(told); }

void Ledger::on_durable(std::function<void(std::shared_ptr<Record const>)> told) {
    inside_->on_durable = std::move(told);
}

Seq Ledger::head() const { return inside_->head; }
Seq Ledger::durable_head() const { return inside_->durable; }
std::size_t Ledger::queued_bytes() const { return inside_->queued_bytes; }
bool Ledger::lost_records() const { return inside_->lost; }

std::int64_t Ledger::now_us() const {
    return std::max(inside_->last_time_us, inside_->clock.now_us());
}

std::optional<std::string> Ledger::get(Table table, std::string_view key) const {
    auto whole = row_key(table, key);
    if (auto found = inside_->overlay.find(whole); found != inside_->overlay.end()) {
        if (!found->second.value) return {};
        return *found->second.value;
    }
    std::string value;
    if (!inside_->db->Get({}, inside_->rows, whole, &value).ok()) return {};
    return value;
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
        bool has_pending = pending != inside_->overlay.end() && pending->first.starts_with(whole_prefix);
        if (!has_stored && !has_pending) return;
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
    for (at->Seek(prefix + big_endian(from)); at->Valid() && at->key().starts_with(prefix); at->Next()) {
        auto seq = from_big_endian(at->key().ToStringView().substr(prefix.size()));
        if (seq > inside_->durable) return;
        auto record = inside_->read(seq);
        if (!record || !each(*record)) return;
    }
}

std::string Ledger::store_body(Batch& batch, std::string_view bytes) {
    auto digest = blake2b(bytes);
    auto name = hex(digest);
    auto& known = inside_->known_bodies;
    if (known.contains(name)) return name;
    if (known.size() > 4096) known.clear();
    if (!body(name))
        batch.add(body_table + std::string(reinterpret_cast<char const*>(digest.data()), digest.size()),
                  std::make_shared<std::string const>(bytes));
    known.insert(name);
    return name;
}

std::optional<std::string> Ledger::body(std::string_view hex_digest) const {
    auto digest = from_hex(hex_digest);
    if (!digest || digest->size() != sizeof(Digest)) return {};
    auto key = body_table + *digest;
    if (auto found = inside_->overlay.find(key); found != inside_->overlay.end() && found->second.value)
        return *found->second.value;
    std::string value;
    if (!inside_->db->Get({}, inside_->rows, key, &value).ok()) return {};
    return value;
}

std::vector<Checkpoint> Ledger::checkpoints(std::size_t most) const {
    std::vector<Checkpoint> list;
    scan(Table::meta, "checkpoint/", "", [&](std::string_view, std::string_view line) {
        if (auto checkpoint = parse_checkpoint(line)) list.push_back(std::move(*checkpoint));
        if (list.size() > most) list.erase(list.begin());
        return true;
    });
    return list;
}

}  // namespace parley
