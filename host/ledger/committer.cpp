#include "base/limits.hpp"
#include "ledger/inside.hpp"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <fstream>

namespace parley {

void Ledger::Inside::fail(std::string what) {
    if (failed.exchange(true)) return;
    loop.post([this, weak = std::weak_ptr(alive), what = std::move(what)] {
        if (!weak.expired() && on_failure) on_failure(Error(Fault::internal, what));
    });
}

void Ledger::Inside::run() {
    auto has_work = [this] { return !queue.empty() || stopping; };
    std::unique_lock lock(mutex);
    while (true) {
        if (auto due = next_due())
            wake.wait_until(lock, *due, has_work);
        else
            wake.wait(lock, has_work);
        auto batches = std::exchange(queue, {});
        bool last = stopping && batches.empty();
        lock.unlock();
        if (!batches.empty()) take(std::move(batches));
        keep_house(last);
        if (last) return;
        lock.lock();
    }
}

// When to look again though nothing was committed.
std::optional<Ledger::Inside::Moment> Ledger::Inside::next_due() const {
    if (failed) return {};
    std::optional<Moment> due;
    if (unmarked_since) due = *unmarked_since + limits::head_mark_time;
    if (unsigned_since) {
        auto checkpoint = *unsigned_since + limits::checkpoint_time;
        due = due ? std::min(*due, checkpoint) : checkpoint;
    }
    return due;
}

// Writes and syncs everything that is queued, then tells. A failure is final.
void Ledger::Inside::take(std::vector<Queued> batches) {
    for (auto const& batch : batches) queued_bytes -= batch.bytes;
    bool written_now = false;
    if (!failed) {
        auto status = write(batches);
        written_now = status.ok();
        if (!written_now) fail("the ledger could not be written: " + status.ToString());
    }
    // What was not written goes back as well, to end where it began: on the event thread.
    loop.post(
        [this, weak = std::weak_ptr(alive), written_now, batches = std::move(batches)]() mutable {
            if (written_now && !weak.expired()) deliver(std::move(batches));
        });
}

rocksdb::Status Ledger::Inside::write(std::vector<Queued> const& batches) {
    rocksdb::WriteBatch all;
    auto end = written;
    auto end_time_us = written_time_us;
    for (auto const& batch : batches) {
        for (auto const& record : batch.records) {
            record->prev = end.hash;
            auto stored = canonical(*record);
            record->hash = blake2b(stored);
            stored.append(reinterpret_cast<char const*>(record->hash.data()), record->hash.size());
            auto key = big_endian(record->seq);
            all.Put(records, key, stored);
            if (!record->session.empty()) all.Put(sessions, record->session.text + '/' + key, "");
            end = {record->seq, record->hash};
            end_time_us = record->time_us;
        }
        for (auto const& row : batch.rows) {
            if (row.value)
                all.Put(rows, row.key, *row.value);
            else
                all.Delete(rows, row.key);
        }
    }
    rocksdb::WriteOptions how;
    how.sync = true;
    auto status = db->Write(how, &all);
    if (!status.ok()) return status;
    if (end.seq != written.seq) {
        auto now = std::chrono::steady_clock::now();
        if (!unmarked_since) unmarked_since = now;
        if (!unsigned_since && options.signer.sign) unsigned_since = now;
        mark_is_stale = true;
    }
    written = end;
    written_time_us = end_time_us;
    return status;
}

void Ledger::Inside::keep_house(bool last) {
    if (failed) return;
    auto now = std::chrono::steady_clock::now();
    bool mark_is_due = unmarked_since && now - *unmarked_since >= limits::head_mark_time;
    if (mark_is_due || (last && mark_is_stale)) write_mark();
    bool checkpoint_is_due =
        unsigned_since && (written.seq - checkpoint_seq >= limits::checkpoint_records ||
                           now - *unsigned_since >= limits::checkpoint_time);
    if (!failed && (checkpoint_is_due || (last && unsigned_since))) make_checkpoint();
}

void Ledger::Inside::write_mark() {
    unmarked_since.reset();
    mark_is_stale = false;
    // After a failed sync nobody knows what is on the disk; asking again would be told a lie.
    if (!head_file.write(written)) fail("ledger/head could not be written");
}

void Ledger::Inside::make_checkpoint() {
    checkpoint_seq = written.seq;
    unsigned_since.reset();
    Checkpoint checkpoint;
    checkpoint.vault = options.signer.vault_id;
    checkpoint.seq = written.seq;
    checkpoint.hash = written.hash;
    checkpoint.time_us = written_time_us;
    checkpoint.public_key = options.signer.public_key;
    checkpoint.signature = options.signer.sign(checkpoint_bytes(checkpoint));
    auto line = to_json(checkpoint);
    // It proves what is durable already, so it need not be synced itself.
    auto status = db->Put({}, rows, checkpoint_key(checkpoint.seq), line);
    if (!status.ok()) return fail("the ledger could not be written: " + status.ToString());
    // A copy for those who collect them; the one that counts is in the store.
    std::ofstream(options.folder / "checkpoints.ndjson", std::ios::app) << line << '\n';
}

void Ledger::Inside::deliver(std::vector<Queued> batches) {
    for (auto& batch : batches) {
        for (auto const& row : batch.rows) {
            auto found = overlay.find(row.key);
            if (found != overlay.end() && found->second.number == batch.number)
                overlay.erase(found);
        }
        if (!batch.records.empty()) durable = batch.records.back()->seq;
        if (on_durable)
            for (auto& record : batch.records) on_durable(std::move(record));
        if (batch.durable) batch.durable();
    }
}

}  // namespace parley
