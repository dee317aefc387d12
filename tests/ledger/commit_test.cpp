#include "ledger/kit.hpp"

using namespace kit;

namespace {

Draft happened(std::string session = {}) {
    Draft draft;
    draft.kind = "test.happened";
    draft.session = SessionId(std::move(session));
    return draft;
}

std::string scanned(Ledger const& ledger, std::string_view prefix, std::string_view from = {}) {
    std::string all;
    ledger.scan(Table::kv, prefix, from, [&](std::string_view key, std::string_view value) {
        all += std::string(key) + '=' + std::string(value) + ' ';
        return true;
    });
    return all;
}

}  // namespace

TEST_CASE("records are numbered from one without a gap, and chained", "[ledger]") {
    Bench bench;
    bench.open();
    REQUIRE(bench.record() == 1);
    auto batch = bench.ledger->begin();
    REQUIRE(batch.record(happened()) == 2);
    REQUIRE(batch.record(happened()) == 3);
    bench.commit(std::move(batch));
    auto first = bench.ledger->record(1), second = bench.ledger->record(2),
         third = bench.ledger->record(3);
    REQUIRE(first->prev == Digest{});
    REQUIRE(second->prev == first->hash);
    REQUIRE(third->prev == second->hash);
    REQUIRE(third->hash == hash_of(*third));
    REQUIRE(verify(*bench.ledger, {}).kind == Verdict::Kind::sound);
}

TEST_CASE("every field of a record comes back as it went in", "[ledger]") {
    Bench bench;
    bench.open();
    auto batch = bench.ledger->begin();
    Draft draft;
    draft.kind = "skill.requested";
    draft.agent = AgentName("ops");
    draft.session = SessionId("s-1");
    draft.turn = 7;
    draft.call = CallId("c-3");
    draft.cause = 1;
    draft.actor = R"({"type":"channel"})";
    draft.body = R"({"b" : [1, 2.50]})";
    batch.record(draft);
    bench.commit(std::move(batch));
    bench.open();
    auto record = bench.ledger->record(1);
    REQUIRE(record);
    REQUIRE(
        to_json(*record) ==
        R"({"seq":1,"time":"2027-01-15T08:00:00.000000Z","kind":"skill.requested","agent":"ops",)"
        R"("session":"s-1","turn":7,"call":"c-3","cause":1,"actor":{"type":"channel"},)"
        R"("body":{"b" : [1, 2.50]},"prev":")" +
            hex(Digest{}) + R"(","hash":")" + hex(record->hash) + "\"}");
}

TEST_CASE("line breaks between the tokens of a body become spaces", "[ledger]") {
    Bench bench;
    bench.open();
    bench.record("test.happened", "{\n  \"a\": 1\r\n}");
    REQUIRE(bench.ledger->record(1)->body == "{   \"a\": 1  }");
}

TEST_CASE("callbacks come in order of commit, each batch after its records", "[ledger]") {
    Bench bench;
    bench.open();
    std::string order;
    bench.ledger->on_durable([&](auto record) { order += std::to_string(record->seq) + ' '; });
    for (char name : {'a', 'b', 'c'}) {
        auto batch = bench.ledger->begin();
        batch.record(happened());
        batch.record(happened());
        bench.ledger->commit(std::move(batch), [&order, name] { order += std::string{name, ' '}; });
    }
    REQUIRE(order.empty());
    REQUIRE(bench.ledger->durable_head() == 0);
    REQUIRE(bench.ledger->head() == 6);
    REQUIRE(bench.run_until([&] { return order.ends_with("c "); }));
    REQUIRE(order == "1 2 a 3 4 b 5 6 c ");
    REQUIRE(bench.ledger->durable_head() == 6);
    REQUIRE(bench.ledger->queued_bytes() == 0);
}

TEST_CASE("what is told as durable is on the disk at that moment", "[ledger]") {
    Bench bench, after;
    bench.open();
    auto copy = after.folder.path / "copy";
    auto batch = bench.ledger->begin();
    auto seq = batch.record(happened());
    batch.put(Table::kv, "k", "v");
    bool durable = false;
    bench.ledger->commit(std::move(batch), [&] {
        copy_folder(bench.place(), copy);
        durable = true;
    });
    REQUIRE(bench.run_until([&] { return durable; }));
    REQUIRE(after.try_open(false, copy));
    REQUIRE(after.ledger->durable_head() == seq);
    REQUIRE(after.ledger->get(Table::kv, "k") == "v");
}

TEST_CASE("a read sees what is queued before it is durable", "[ledger]") {
    Bench bench;
    bench.open();
    auto batch = bench.ledger->begin();
    batch.put(Table::kv, "k", "v");
    REQUIRE(bench.ledger->get(Table::kv, "k") == "v");
    bench.ledger->commit(std::move(batch));
    REQUIRE(bench.ledger->get(Table::kv, "k") == "v");
    auto erasing = bench.ledger->begin();
    erasing.erase(Table::kv, "k");
    REQUIRE_FALSE(bench.ledger->get(Table::kv, "k"));
    bench.commit(std::move(erasing));
    REQUIRE_FALSE(bench.ledger->get(Table::kv, "k"));
    bench.open();
    REQUIRE_FALSE(bench.ledger->get(Table::kv, "k"));
}

TEST_CASE("a batch that is dropped takes back what it put", "[ledger]") {
    Bench bench;
    bench.open();
    auto kept = bench.ledger->begin();
    kept.put(Table::kv, "old", "1");
    bench.ledger->commit(std::move(kept));
    {
        auto dropped = bench.ledger->begin();
        dropped.put(Table::kv, "old", "2");
        dropped.put(Table::kv, "old", "3");
        dropped.put(Table::kv, "new", "1");
        dropped.record(happened());
        REQUIRE(scanned(*bench.ledger, "") == "new=1 old=3 ");
    }
    REQUIRE(scanned(*bench.ledger, "") == "old=1 ");
    REQUIRE(bench.record() == 1);
}

TEST_CASE("a later write of a row outlives the delivery of an earlier one", "[ledger]") {
    Bench bench;
    bench.open();
    for (auto const* value : {"1", "2", "3"}) {
        auto batch = bench.ledger->begin();
        batch.record(happened());
        batch.put(Table::kv, "k", value);
        bench.ledger->commit(std::move(batch));
    }
    while (bench.ledger->durable_head() < 3) {
        REQUIRE(bench.ledger->get(Table::kv, "k") == "3");
        bench.loop.run_for(std::chrono::milliseconds(1));
    }
    REQUIRE(bench.ledger->get(Table::kv, "k") == "3");
}

TEST_CASE("what is put while earlier writes are told stays on top of them", "[ledger]") {
    Bench bench;
    bench.open();
    std::optional<std::string> seen;
    auto put = [&](char const* value, std::function<void()> durable) {
        auto batch = bench.ledger->begin();
        batch.put(Table::kv, "k", value);
        bench.ledger->commit(std::move(batch), std::move(durable));
    };
    put("1", [&] { put("3", {}); });
    put("2", [&] { seen = bench.ledger->get(Table::kv, "k"); });
    REQUIRE(bench.run_until([&] { return seen.has_value(); }));
    REQUIRE(seen == "3");
}

TEST_CASE("a scan merges stored and queued rows in order and hides erased ones", "[ledger]") {
    Bench bench;
    bench.open();
    auto stored = bench.ledger->begin();
    for (auto const* key : {"a/1", "a/3", "a/5", "b/1"}) stored.put(Table::kv, key, "stored");
    stored.put(Table::todo, "a/2", "another table");
    bench.commit(std::move(stored));
    auto queued = bench.ledger->begin();
    queued.put(Table::kv, "a/2", "queued");
    queued.put(Table::kv, "a/3", "queued");
    queued.erase(Table::kv, "a/5");
    queued.put(Table::kv, "a/9", "queued");
    REQUIRE(scanned(*bench.ledger, "a/") == "a/1=stored a/2=queued a/3=queued a/9=queued ");
    bench.ledger->commit(std::move(queued));
    REQUIRE(scanned(*bench.ledger, "a/") == "a/1=stored a/2=queued a/3=queued a/9=queued ");
    REQUIRE(scanned(*bench.ledger, "a/", "a/2x") == "a/3=queued a/9=queued ");
    REQUIRE(scanned(*bench.ledger, "c").empty());
    std::string first;
    bench.ledger->scan(Table::kv, "", "", [&](auto key, auto) { return first = key, false; });
    REQUIRE(first == "a/1");
}

TEST_CASE("a scan may put and erase the rows that it meets", "[ledger]") {
    Bench bench;
    bench.open();
    auto stored = bench.ledger->begin();
    for (auto const* key : {"1", "2", "3", "4"}) stored.put(Table::kv, key, "x");
    bench.commit(std::move(stored));
    auto batch = bench.ledger->begin();
    std::string met;
    bench.ledger->scan(Table::kv, "", "", [&](std::string_view key, std::string_view value) {
        batch.erase(Table::kv, key);
        batch.put(Table::kv, key, "y");
        met += std::string(key) + std::string(value);
        return true;
    });
    REQUIRE(met == "1x2x3x4x");
    bench.commit(std::move(batch));
    REQUIRE(scanned(*bench.ledger, "") == "1=y 2=y 3=y 4=y ");
}

TEST_CASE("time in records never runs backwards, not even over a restart", "[ledger]") {
    Bench bench;
    bench.open();
    bench.record();
    bench.clock.advance_us(-3'600'000'000);
    bench.record();
    REQUIRE(bench.ledger->record(2)->time_us == start_us);
    bench.open();
    REQUIRE(bench.ledger->now_us() == start_us);
    bench.record();
    REQUIRE(bench.ledger->record(3)->time_us == start_us);
    bench.clock.advance_us(7'200'000'000);
    bench.record();
    REQUIRE(bench.ledger->record(4)->time_us == start_us + 3'600'000'000);
}

TEST_CASE("a session's records are found without those of others", "[ledger]") {
    Bench bench;
    bench.open();
    for (auto const* session : {"s-1", "s-2", "s-1", "", "s-11", "s-1"}) {
        auto batch = bench.ledger->begin();
        batch.record(happened(session));
        bench.commit(std::move(batch));
    }
    std::vector<Seq> found;
    auto each = [&](Record const& record) { return found.push_back(record.seq), true; };
    bench.ledger->session_records(SessionId("s-1"), 0, each);
    REQUIRE(found == std::vector<Seq>{1, 3, 6});
    found.clear();
    bench.ledger->session_records(SessionId("s-1"), 2, each);
    REQUIRE(found == std::vector<Seq>{3, 6});
}

TEST_CASE("a body is stored once and read by its digest", "[ledger]") {
    Bench bench;
    bench.open();
    auto batch = bench.ledger->begin();
    auto name = bench.ledger->store_body(batch, "the text");
    REQUIRE(name == hex(blake2b("the text")));
    REQUIRE(bench.ledger->body(name) == "the text");
    bench.commit(std::move(batch));
    auto again = bench.ledger->begin();
    REQUIRE(bench.ledger->store_body(again, "the text") == name);
    bench.commit(std::move(again));
    bench.open();
    REQUIRE(bench.ledger->body(name) == "the text");
    REQUIRE_FALSE(bench.ledger->body(hex(blake2b("another"))));
    REQUIRE_FALSE(bench.ledger->body("no digest"));
}

TEST_CASE("a body of a batch that was dropped is stored by the next", "[ledger]") {
    Bench bench;
    bench.open();
    {
        auto dropped = bench.ledger->begin();
        bench.ledger->store_body(dropped, "the text");
    }
    auto batch = bench.ledger->begin();
    auto name = bench.ledger->store_body(batch, "the text");
    bench.commit(std::move(batch));
    bench.open();
    REQUIRE(bench.ledger->body(name) == "the text");
}

TEST_CASE("a stop commits what is queued", "[ledger]") {
    Bench bench;
    bench.open();
    for (int i = 0; i < 100; ++i) {
        auto batch = bench.ledger->begin();
        batch.record(happened());
        bench.ledger->commit(std::move(batch));
    }
    bench.ledger.reset();
    REQUIRE(bench.mark() == 100);
    bench.open();
    REQUIRE(bench.ledger->head() == 100);
}
