#pragma once

// A real ledger in a folder of its own, under a clock that the test owns.
#include "base/clock.hpp"
#include "base/loop.hpp"
#include "ledger/ledger.hpp"
#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <vector>

struct TempLedger {
    TempFolder folder;
    parley::Loop loop;
    parley::ManualClock clock{1'800'000'000'000'000};  // 2027-01-15
    std::unique_ptr<parley::Ledger> ledger;
    std::vector<std::string> kinds;  // of every durable record, in order

    TempLedger() {
        parley::Ledger::Options options;
        options.folder = folder.path / "ledger";
        auto opened = parley::Ledger::open(std::move(options), loop, clock);
        REQUIRE(opened);
        ledger = std::move(*opened);
        ledger->on_durable([this](std::shared_ptr<parley::Record const> record) {
            kinds.push_back(record->kind);
        });
    }

    // Commits and waits until it is durable.
    void commit(parley::Batch batch) {
        bool durable = false;
        ledger->commit(std::move(batch), [&] { durable = true; });
        for (int tries = 0; !durable && tries < 1000; ++tries) loop.run_for(std::chrono::milliseconds(10));
        REQUIRE(durable);
    }
};
