#pragma once

// A ledger that can be closed, copied and opened again, under a clock and a key of the test's own.
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/loop.hpp"
#include "base/text.hpp"
#include "ledger/ledger.hpp"
#include "temp_folder.hpp"

#include <sodium.h>
#include <catch2/catch.hpp>

#include <fstream>
#include <memory>
#include <sstream>

namespace kit {

using namespace parley;
namespace fs = std::filesystem;

constexpr std::int64_t start_us = 1'800'000'000'000'000;  // 2027-01-15

// An Ed25519 key; each seed another.
struct Key {
    unsigned char open[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];

    explicit Key(unsigned char seed) {
        unsigned char bytes[crypto_sign_SEEDBYTES];
        for (auto& byte : bytes) byte = seed;
        crypto_sign_seed_keypair(open, secret, bytes);
    }
    Signer signer() const {
        auto text = [](unsigned char const* bytes, std::size_t size) {
            return hex(std::string_view(reinterpret_cast<char const*>(bytes), size));
        };
        return {"0123456789abcdef", text(open, sizeof open), [*this, text](std::string_view bytes) {
                    unsigned char signature[crypto_sign_BYTES];
                    crypto_sign_detached(signature, nullptr,
                                         reinterpret_cast<unsigned char const*>(bytes.data()),
                                         bytes.size(), secret);
                    return text(signature, sizeof signature);
                }};
    }
};

struct Bench {
    TempFolder folder;
    Loop loop;
    ManualClock clock{start_us};
    Signer signer;
    std::unique_ptr<Ledger> ledger;
    std::vector<Seq> told;  // by on_durable
    std::vector<std::string> failures;

    fs::path place() const { return folder.path / "ledger"; }

    Result<> try_open(bool accept_loss = false, fs::path const& where = {}) {
        ledger.reset();
        Ledger::Options options;
        options.folder = where.empty() ? place() : where;
        options.signer = signer;
        options.accept_loss = accept_loss;
        TRY(opened, Ledger::open(std::move(options), loop, clock));
        ledger = std::move(opened);
        ledger->on_durable(
            [this](std::shared_ptr<Record const> record) { told.push_back(record->seq); });
        ledger->on_failure([this](Error error) { failures.push_back(error.what); });
        return ok();
    }
    void open(bool accept_loss = false) {
        auto opened = try_open(accept_loss);
        INFO((opened ? "" : opened.error().what));
        REQUIRE(opened);
    }

    template <class Until>
    bool run_until(Until until) {
        for (int tries = 0; tries < 500; ++tries) {
            if (until()) return true;
            loop.run_for(std::chrono::milliseconds(10));
        }
        return until();
    }
    void commit(Batch batch) {
        bool durable = false;
        ledger->commit(std::move(batch), [&] { durable = true; });
        REQUIRE(run_until([&] { return durable; }));
    }
    Seq record(std::string kind = "test.happened", std::string body = "{}") {
        auto batch = ledger->begin();
        Draft draft;
        draft.kind = std::move(kind);
        draft.body = std::move(body);
        auto seq = batch.record(std::move(draft));
        commit(std::move(batch));
        return seq;
    }
    // Until the mark on the disk names this record.
    void wait_for_mark(Seq seq) {
        REQUIRE(run_until([&] { return mark() == seq; }));
    }
    Seq mark() const {
        std::ifstream in(place() / "head", std::ios::binary);
        Seq seq = 0;
        for (int i = 0; i < 8; ++i) seq = seq << 8 | static_cast<unsigned char>(in.get());
        return in ? seq : 0;
    }
};

inline std::string text_of(fs::path const& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

inline void write_text(fs::path const& file, std::string_view text) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

// As a crash at this moment would leave it.
inline void copy_folder(fs::path const& from, fs::path const& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
}

inline std::vector<fs::path> files_ending(fs::path const& folder, std::string const& end) {
    std::vector<fs::path> found;
    for (auto const& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == end) found.push_back(entry.path());
    return found;
}

}  // namespace kit
