#include "ledger/inside.hpp"

#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include <algorithm>

namespace parley {

namespace {

using rocksdb::ColumnFamilyDescriptor;

bool has_lz4() {
    auto known = rocksdb::GetSupportedCompressions();
    return std::find(known.begin(), known.end(), rocksdb::kLZ4Compression) != known.end();
}

// Rows are asked for that are not there, and a filter answers those; records and sessions are
// walked, or asked for by numbers that exist.
rocksdb::ColumnFamilyOptions column_options(std::shared_ptr<rocksdb::Cache> const& cache,
                                            bool with_filter) {
    rocksdb::ColumnFamilyOptions options;
    options.write_buffer_size = 4u << 20;
    options.max_write_buffer_number = 2;
    options.level0_file_num_compaction_trigger = 8;
    // Small files have small indexes, which the small cache can hold.
    options.target_file_size_base = 16u << 20;
    options.compression = has_lz4() ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    table.block_size = 8u << 10;
    if (with_filter) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

// A failed write is final. The store's own threads would try to mend it as soon as the disk has
// room again, and abort the process on the file that failed.
class NoRecovery final : public rocksdb::EventListener {
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                              bool* recover) override {
        *recover = false;
    }
};

rocksdb::DBOptions store_options() {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    // The default mode silently drops acknowledged writes after one flipped bit; this one refuses.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.track_and_verify_wals_in_manifest = true;
    options.paranoid_checks = true;
    options.recycle_log_file_num = 0;
    options.max_bgerror_resume_count = 0;
    options.listeners.push_back(std::make_shared<NoRecovery>());
    // Little to replay at start, little in memory.
    options.max_total_wal_size = 8u << 20;
    options.db_write_buffer_size = 12u << 20;
    options.max_open_files = 64;
    options.max_background_jobs = 2;
    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    options.keep_log_file_num = 2;
    options.skip_stats_update_on_db_open = true;
    // There is one writer.
    options.allow_concurrent_memtable_write = false;
    options.enable_write_thread_adaptive_yield = false;
    // An idle host has no reason to wake up.
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

Error damaged(rocksdb::Status const& status) {
    return Error(Fault::internal, "the ledger cannot be opened: " + status.ToString() +
                                      "; restore it from a backup, or see `parley doctor`");
}

Error records_lost(Seq head, std::string const& mark) {
    return Error(Fault::conflict, "the ledger ends at " + std::to_string(head) + " but its mark " +
                                      mark +
                                      ": records were lost. To go on without them: "
                                      "parley ledger accept-loss");
}

}  // namespace

Ledger::Inside::Inside(Options given, Loop& loop, Clock const& clock)
    : options(std::move(given)), loop(loop), clock(clock), head_file(options.folder) {}

Ledger::Inside::~Inside() {
    if (!db) return;
    // What is in the tables need not be replayed at the next start.
    if (!failed) static_cast<void>(db->Flush({}, {rows, records, sessions}));
    for (auto* column : {rows, records, sessions}) db->DestroyColumnFamilyHandle(column);
    static_cast<void>(db->Close());
}

Result<> Ledger::Inside::open_store() {
    auto cache = rocksdb::NewLRUCache(4u << 20, 0);
    auto plain = column_options(cache, false);
    std::vector<ColumnFamilyDescriptor> columns{
        {rocksdb::kDefaultColumnFamilyName, column_options(cache, true)},
        {"records", plain},
        {"sessions", plain}};
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
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
        if (!record || last->key() != big_endian(record->seq) || hash_of(*record) != record->hash)
            return Error(Fault::internal,
                         "the ledger's last record is damaged; restore it from a backup");
        head = durable = checkpoint_seq = record->seq;
        last_time_us = written_time_us = record->time_us;
        written = {record->seq, record->hash};
    }
    if (!head_file.is_open()) return Error(Fault::internal, "ledger/head cannot be opened");
    auto mark = head_file.read();
    if (!mark && !head_file.is_damaged() && head == 0) {
        // A new ledger has a mark from its first moment, so that a missing one means something.
        if (!head_file.write(written))
            return Error(Fault::internal, "ledger/head cannot be written");
        return ok();
    }
    lost = !mark || mark->seq > head;
    if (lost && !options.accept_loss)
        return records_lost(
            head, mark ? "says " + std::to_string(mark->seq) : "is missing or unreadable");
    if (!lost && mark->seq > 0) {
        auto record = read(mark->seq);
        if (!record || record->hash != mark->hash)
            return Error(Fault::internal, "the ledger was tampered with: record " +
                                              std::to_string(mark->seq) +
                                              " is not the one that was marked");
    }
    // A loss that was accepted is forgotten only with the first commit after it, or at a clean
    // stop: whoever voids what the loss makes doubtful may still fail.
    mark_is_stale = lost;
    return ok();
}

std::optional<Record> Ledger::Inside::read(Seq seq) const {
    std::string stored;
    if (!db->Get({}, records, big_endian(seq), &stored).ok()) return {};
    auto record = decode_record(stored);
    if (record && record->seq != seq) return {};
    return record;
}

// State that cannot be read must not be taken for state that is not there: a budget without rows
// is a budget without spend. So a damaged read ends all writing, and with it every effect.
std::optional<std::string> Ledger::Inside::stored_row(std::string_view whole_key) {
    std::string value;
    auto status = db->Get({}, rows, {whole_key.data(), whole_key.size()}, &value);
    if (status.ok()) return value;
    if (!status.IsNotFound()) fail("the ledger could not be read: " + status.ToString());
    return {};
}

}  // namespace parley
