#include "ledger/ledger.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "temp_ledger.hpp"

#include <fstream>

using namespace parley;

namespace {

Draft draft(std::string kind, std::string body = "{}") {
    Draft made;
    made.kind = std::move(kind);
    made.body = std::move(body);
    return made;
}

void record(TempLedger& home, std::string kind, std::string body = "{}") {
    auto batch = home.ledger->begin();
    batch.record(draft(std::move(kind), std::move(body)));
    home.commit(std::move(batch));
}

std::vector<std::string> keys(Ledger const& ledger, std::string_view prefix, std::string_view from = "") {
    std::vector<std::string> found;
    ledger.scan(Table::inbox, prefix, from, [&](std::string_view key, std::string_view) {
        found.emplace_back(key);
        return true;
    });
    return found;
}

Result<std::unique_ptr<Ledger>> open_again(TempLedger& home, bool accept_loss = false) {
    home.ledger.reset();
    Ledger::Options options;
    options.folder = home.folder.path / "ledger";
    options.accept_loss = accept_loss;
    return Ledger::open(std::move(options), home.loop, home.clock);
}

}  // namespace

TEST_CASE("records and rows of one batch become visible and durable together", "[ledger]") {
    TempLedger home;
    auto batch = home.ledger->begin();
    auto seq = batch.record(draft("a.made"));
    batch.put(Table::inbox, "k", "v");
    REQUIRE(home.ledger->get(Table::inbox, "k") == "v");
    REQUIRE_FALSE(home.ledger->record(seq));
    home.commit(std::move(batch));
    REQUIRE(home.ledger->record(seq)->kind == "a.made");
    auto again = open_again(home);
    REQUIRE(again);
    REQUIRE((*again)->get(Table::inbox, "k") == "v");
    REQUIRE((*again)->head() == seq);
}

TEST_CASE("a batch that is dropped leaves nothing behind", "[ledger]") {
    TempLedger home;
    auto first = home.ledger->begin();
    first.put(Table::inbox, "kept", "old");
    first.put(Table::inbox, "gone", "old");
    home.commit(std::move(first));
    {
        auto batch = home.ledger->begin();
        batch.put(Table::inbox, "kept", "new");
        batch.erase(Table::inbox, "gone");
        batch.put(Table::inbox, "fresh", "new");
        REQUIRE(home.ledger->get(Table::inbox, "kept") == "new");
    }
    REQUIRE(home.ledger->get(Table::inbox, "kept") == "old");
    REQUIRE(home.ledger->get(Table::inbox, "gone") == "old");
    REQUIRE_FALSE(home.ledger->get(Table::inbox, "fresh"));
}

TEST_CASE("a scan sees what is queued among what is stored, in key order", "[ledger]") {
    TempLedger home;
    auto first = home.ledger->begin();
    for (auto const* key : {"a/1", "a/3", "a/5", "b/1"}) first.put(Table::inbox, key, "stored");
    home.commit(std::move(first));
    auto second = home.ledger->begin();
    second.put(Table::inbox, "a/2", "queued");
    second.put(Table::inbox, "a/3", "changed");
    second.erase(Table::inbox, "a/5");
    home.ledger->commit(std::move(second));
    REQUIRE(keys(*home.ledger, "a/") == std::vector<std::string>{"a/1", "a/2", "a/3"});
    REQUIRE(keys(*home.ledger, "a/", "a/2") == std::vector<std::string>{"a/2", "a/3"});
    REQUIRE(keys(*home.ledger, "") == std::vector<std::string>{"a/1", "a/2", "a/3", "b/1"});
}

TEST_CASE("nobody is told before it is durable, and everybody in order", "[ledger]") {
    TempLedger home;
    std::vector<int> told;
    for (int i = 0; i < 50; ++i) {
        auto batch = home.ledger->begin();
        batch.record(draft("n.made"));
        home.ledger->commit(std::move(batch), [&told, &home, i] {
            REQUIRE(home.ledger->durable_head() >= static_cast<Seq>(i + 1));
            told.push_back(i);
        });
    }
    REQUIRE(told.empty());
    while (told.size() < 50) home.loop.run_for(std::chrono::milliseconds(20));
    REQUIRE(std::is_sorted(told.begin(), told.end()));
    REQUIRE(home.kinds.size() == 50);
}

TEST_CASE("time in records never runs backwards", "[ledger]") {
    TempLedger home;
    record(home, "a.made");
    auto first = home.ledger->record(1)->time_us;
    home.clock.advance_us(-60'000'000);
    record(home, "b.made");
    REQUIRE(home.ledger->record(2)->time_us == first);
    REQUIRE(home.ledger->now_us() == first);
}

TEST_CASE("a sound chain verifies and bodies are stored once by digest", "[ledger]") {
    TempLedger home;
    for (int i = 0; i < 20; ++i) record(home, "n.made", R"({"text":"\u00e9 \"}{\" ["})");
    auto batch = home.ledger->begin();
    auto digest = home.ledger->store_body(batch, "a body");
    REQUIRE(home.ledger->body(digest) == "a body");
    home.commit(std::move(batch));
    REQUIRE(home.ledger->body(digest) == "a body");
    REQUIRE(verify(*home.ledger, {}).kind == Verdict::Kind::sound);
    REQUIRE(verify(*home.ledger, {}).checked == 20);
}

TEST_CASE("every changed byte of an export is found", "[ledger]") {
    TempLedger home;
    for (int i = 0; i < 3; ++i) {
        auto batch = home.ledger->begin();
        auto made = draft("n.made", R"({"text":"hello"})");
        made.agent = AgentName("ops");
        made.session = SessionId("s-1");
        made.turn = 3;
        made.call = CallId("c-1");
        made.cause = 1;
        made.actor = R"({"type":"cli"})";
        batch.record(std::move(made));
        home.commit(std::move(batch));
    }
    std::string text;
    export_lines(*home.ledger, 1, 3, [&](std::string_view line) {
        text += std::string(line) + '\n';
        return true;
    });
    auto path = home.folder.path / "export";
    auto verdict_of = [&](std::string const& changed) {
        std::ofstream(path, std::ios::binary) << changed;
        return verify_export(path, {});
    };
    REQUIRE(verdict_of(text).kind == Verdict::Kind::sound);
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\n') continue;
        auto changed = text;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        INFO("byte " << at << " of " << text);
        REQUIRE(verdict_of(changed).kind != Verdict::Kind::sound);
    }
}

TEST_CASE("a ledger that ends before its mark opens only when the loss is accepted", "[ledger]") {
    TempLedger home;
    for (int i = 0; i < 5; ++i) record(home, "n.made");
    home.ledger.reset();
    auto folder = home.folder.path / "ledger";
    std::filesystem::copy(folder / "db", home.folder.path / "old", std::filesystem::copy_options::recursive);
    {
        auto again = open_again(home);
        REQUIRE(again);
        home.ledger = std::move(*again);
        for (int i = 0; i < 5; ++i) record(home, "n.made");
    }
    home.ledger.reset();
    std::filesystem::remove_all(folder / "db");
    std::filesystem::rename(home.folder.path / "old", folder / "db");
    auto refused = open_again(home);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().fault == Fault::conflict);
    REQUIRE(refused.error().what.find("accept-loss") != std::string::npos);
    auto accepted = open_again(home, true);
    REQUIRE(accepted);
    REQUIRE((*accepted)->lost_records());
    accepted->reset();
    REQUIRE(open_again(home));
}

TEST_CASE("a flipped bit in the log of writes never passes unseen", "[ledger]") {
    auto flip_and_open = [](double share) {
        TempLedger home;
        for (int i = 0; i < 30; ++i) record(home, "n.made", R"({"text":"some text to make it longer"})");
        home.ledger.reset();
        for (auto const& entry : std::filesystem::directory_iterator(home.folder.path / "ledger/db")) {
            if (entry.path().extension() != ".log" || entry.file_size() == 0) continue;
            std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
            auto at = static_cast<std::streamoff>(share * static_cast<double>(entry.file_size()));
            file.seekg(at);
            char byte = static_cast<char>(file.get());
            file.seekp(at);
            file.put(static_cast<char>(byte ^ 4));
        }
        auto again = open_again(home);
        // Refused, or nothing is missing: never a shorter chain that looks whole.
        return !again || ((*again)->head() == 30 && verify(**again, {}).kind == Verdict::Kind::sound);
    };
    for (double share : {0.05, 0.3, 0.5, 0.8, 0.99}) REQUIRE(flip_and_open(share));
}
