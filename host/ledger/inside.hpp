#pragma once

// What a ledger is made of, for the sources of this room only: the store, the state of the event
// thread, and the state of the committer. Each member says whose it is.
#include "ledger/layout.hpp"
#include "ledger/ledger.hpp"

#include <rocksdb/db.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_set>

namespace parley {

struct Ledger::Inside {
    using Moment = std::chrono::steady_clock::time_point;

    struct Queued {
        std::vector<std::shared_ptr<Record>> records;  // two owners: the queue, then who is told
        std::vector<Batch::Row> rows;
        std::function<void()> durable;
        std::uint64_t number = 0;
        std::size_t bytes = 0;
    };
    struct Pending {
        std::shared_ptr<std::string const> value;  // null: erased
        std::uint64_t number = 0;                  // of the batch that put it; 0: not committed
    };
    struct DigestHash {
        std::size_t operator()(Digest const& digest) const {
            std::size_t start;
            std::memcpy(&start, digest.data(), sizeof start);
            return start;
        }
    };

    Inside(Options given, Loop& loop, Clock const& clock);
    ~Inside();

    // Any thread. The first failure is told, and from then on nothing is written: whoever reads
    // or writes wrongly must not act on it.
    void fail(std::string what);

    // Event thread, at start. [store.cpp]
    Result<> open_store();
    Result<> check_head();
    std::optional<Record> read(Seq seq) const;
    // A row or body; nothing when there is none.
    std::optional<std::string> stored_row(std::string_view whole_key);

    // Committer thread. [committer.cpp]
    void run();
    std::optional<Moment> next_due() const;
    void take(std::vector<Queued> batches);
    rocksdb::Status write(std::vector<Queued> const& batches);
    void keep_house(bool last);
    void write_mark();
    void make_checkpoint();

    // Event thread.
    void deliver(std::vector<Queued> batches);  // [committer.cpp]
    void remember_body(std::string_view key);

    Options options;
    Loop& loop;
    Clock const& clock;
    HeadFile head_file;
    std::unique_ptr<rocksdb::DB> db;
    rocksdb::ColumnFamilyHandle *rows = nullptr, *records = nullptr, *sessions = nullptr;
    bool lost = false;
    std::atomic<bool> failed{false};

    // Event thread.
    Seq head = 0, durable = 0;
    std::int64_t last_time_us = 0;
    std::uint64_t last_number = 0;
    std::map<std::string, Pending, std::less<>> overlay;
    // What the rows of the open batch cover, to put back when it is dropped.
    std::map<std::string, std::optional<Pending>, std::less<>> open;
    std::unordered_set<Digest, DigestHash> known_bodies;  // committed; bounded
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
    HeadMark written;  // the last durable record
    std::int64_t written_time_us = 0;
    bool mark_is_stale = false;  // head_file says something else than `written`
    std::optional<Moment> unmarked_since, unsigned_since;
    Seq checkpoint_seq = 0;
};

}  // namespace parley
