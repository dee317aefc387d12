#include "ledger/kit.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <random>

using namespace kit;

namespace {

constexpr char const* child_folder = "PARLEY_LEDGER_CHILD";
constexpr int child_pipe = 9;

// Starts this program again as the test case below. A fork alone would do without the threads
// that the store needs.
pid_t start_child(fs::path const& folder, int pipe) {
    auto child = fork();
    if (child != 0) return child;
    dup2(pipe, child_pipe);
    setenv(child_folder, folder.c_str(), 1);
    execl("/proc/self/exe", "test_ledger", "[.child]", nullptr);
    _exit(127);
}

// Reads acknowledged seqs until there are `count`, then kills; returns the last of them.
Seq kill_after(pid_t child, int pipe, int count) {
    Seq acknowledged = 0, seq = 0;
    while (count-- > 0 && read(pipe, &seq, sizeof seq) == sizeof seq) acknowledged = seq;
    kill(child, SIGKILL);
    // What it said before it died counts as well.
    while (read(pipe, &seq, sizeof seq) == sizeof seq) acknowledged = seq;
    waitpid(child, nullptr, 0);
    return acknowledged;
}

// A batch of two records and two rows that name its last record.
void commit_numbered(Ledger& ledger, std::function<void(Seq)> durable) {
    auto batch = ledger.begin();
    Draft draft;
    draft.kind = "test.happened";
    draft.session = SessionId("s-1");
    draft.body = "{\"fill\":\"" + std::string(200, 'x') + "\"}";
    batch.record(draft);
    auto seq = batch.record(draft);
    batch.put(Table::kv, "last", std::to_string(seq));
    batch.put(Table::todo, "last", std::to_string(seq));
    ledger.commit(std::move(batch), [seq, durable] { durable(seq); });
}

// No file of this process may grow beyond so many bytes while this lives.
struct FileLimit {
    explicit FileLimit(rlim_t bytes) {
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before);
        rlimit now{bytes, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &now);
    }
    ~FileLimit() { setrlimit(RLIMIT_FSIZE, &before); }
    rlimit before{};
};

}  // namespace

TEST_CASE("a child that commits until it is killed", "[.child]") {
    auto const* folder = std::getenv(child_folder);
    REQUIRE(folder);
    Loop loop;
    SystemClock clock;
    Ledger::Options options;
    options.folder = folder;
    options.signer = Key(1).signer();
    auto opened = Ledger::open(std::move(options), loop, clock);
    REQUIRE(opened);
    auto& ledger = **opened;
    int waiting = 0;
    while (true) {
        for (; waiting < 8; ++waiting)
            commit_numbered(ledger, [&](Seq seq) {
                --waiting;
                if (write(child_pipe, &seq, sizeof seq) != sizeof seq) _exit(1);
            });
        loop.run_for(std::chrono::seconds(1));
    }
}

TEST_CASE("nothing that was acknowledged is lost to kill -9", "[ledger]") {
    Bench bench;
    std::mt19937 random(std::random_device{}());
    Seq before = 0;
    for (int cycle = 0; cycle < 10; ++cycle) {
        int pipes[2];
        REQUIRE(pipe(pipes) == 0);
        auto child = start_child(bench.place(), pipes[1]);
        close(pipes[1]);
        auto acknowledged = kill_after(child, pipes[0], static_cast<int>(20 + random() % 300));
        close(pipes[0]);
        REQUIRE(acknowledged > before);
        bench.open();
        REQUIRE(bench.ledger->durable_head() >= acknowledged);
        // Records and rows of a batch are there together or not at all.
        auto head = std::to_string(bench.ledger->durable_head());
        REQUIRE(bench.ledger->get(Table::kv, "last") == head);
        REQUIRE(bench.ledger->get(Table::todo, "last") == head);
        auto verdict = verify(*bench.ledger, {});
        INFO(verdict.detail);
        REQUIRE(verdict.kind == Verdict::Kind::sound);
        before = bench.ledger->durable_head();
        REQUIRE(verdict.checked == before);
        bench.ledger.reset();
    }
}

TEST_CASE("a write that fails is told once, and nothing else is called", "[ledger]") {
    Bench bench;
    bench.open();
    bench.record();
    bench.wait_for_mark(1);
    bench.told.clear();
    int called = 0;
    {
        FileLimit limit(fs::file_size(files_ending(bench.place() / "db", ".log").front()) + 100);
        for (int i = 0; i < 5; ++i) commit_numbered(*bench.ledger, [&](Seq) { ++called; });
        REQUIRE(bench.run_until([&] { return !bench.failures.empty(); }));
    }
    // There is room again, but what failed once is not tried again.
    auto head = bench.ledger->head();
    commit_numbered(*bench.ledger, [&](Seq) { ++called; });
    REQUIRE(bench.ledger->head() == head);
    for (int i = 0; i < 20; ++i) bench.loop.run_for(std::chrono::milliseconds(10));
    REQUIRE(bench.failures.size() == 1);
    REQUIRE(bench.failures.front().find("could not be written") != std::string::npos);
    REQUIRE(called == 0);
    REQUIRE(bench.told.empty());
    REQUIRE(bench.ledger->durable_head() == 1);
    bench.open();
    REQUIRE(bench.ledger->durable_head() >= 1);
    REQUIRE(verify(*bench.ledger, {}).kind == Verdict::Kind::sound);
}

TEST_CASE("a flipped byte in the log of the store loses nothing in silence", "[ledger]") {
    Bench bench;
    bench.open();
    for (int i = 0; i < 40; ++i) bench.record();
    bench.wait_for_mark(40);
    auto copy = bench.folder.path / "copy";
    Bench again;
    int refused = 0, whole = 0;
    auto log = files_ending(bench.place() / "db", ".log").back().filename();
    auto bytes = text_of(bench.place() / "db" / log);
    auto step = bytes.size() / 60 + 1;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        copy_folder(bench.place(), copy);
        auto flipped = bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
        write_text(copy / "db" / log, flipped);
        auto opened = again.try_open(false, copy);
        INFO("byte " << at << " of " << bytes.size());
        if (!opened) {
            ++refused;
            continue;
        }
        REQUIRE(again.ledger->durable_head() == 40);
        REQUIRE(verify(*again.ledger, {}).kind == Verdict::Kind::sound);
        ++whole;
    }
    REQUIRE(refused > 50);
}

TEST_CASE("a log of the store that is cut short is refused by the mark", "[ledger]") {
    Bench bench;
    bench.open();
    for (int i = 0; i < 20; ++i) bench.record();
    bench.wait_for_mark(20);
    auto copy = bench.folder.path / "copy";
    copy_folder(bench.place(), copy);
    auto log = files_ending(copy / "db", ".log").back();
    fs::resize_file(log, fs::file_size(log) - 300);
    Bench again;
    auto opened = again.try_open(false, copy);
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error().fault == Fault::conflict);
    REQUIRE(opened.error().what.find("parley ledger accept-loss") != std::string::npos);

    SECTION("a loss that is accepted is told, and forgotten after the next commit") {
        REQUIRE(again.try_open(true, copy));
        REQUIRE(again.ledger->lost_records());
        REQUIRE(again.ledger->durable_head() < 20);
        again.record();
        REQUIRE(again.try_open(false, copy));
        REQUIRE_FALSE(again.ledger->lost_records());
        REQUIRE(verify(*again.ledger, {}).kind == Verdict::Kind::sound);
    }
    SECTION("a loss that is accepted just before a crash must be accepted again") {
        REQUIRE(again.try_open(true, copy));
        auto crashed = bench.folder.path / "crashed";
        copy_folder(copy, crashed);
        REQUIRE_FALSE(again.try_open(false, crashed));
    }
}

TEST_CASE("a mark that is missing or damaged is a loss", "[ledger]") {
    Bench bench;
    bench.open();
    bench.record();
    bench.ledger.reset();
    SECTION("missing") {
        fs::remove(bench.place() / "head");
    }
    SECTION("empty") {
        write_text(bench.place() / "head", "");
    }
    SECTION("cut short") {
        fs::resize_file(bench.place() / "head", 47);
    }
    SECTION("flipped") {
        auto bytes = text_of(bench.place() / "head");
        bytes[20] = static_cast<char>(bytes[20] ^ 1);
        write_text(bench.place() / "head", bytes);
    }
    auto opened = bench.try_open();
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error().fault == Fault::conflict);
    bench.open(true);
    REQUIRE(bench.ledger->lost_records());
    bench.open();
    REQUIRE_FALSE(bench.ledger->lost_records());
}

TEST_CASE("a store that was emptied beside its mark is refused", "[ledger]") {
    Bench bench;
    bench.open();
    bench.record();
    bench.ledger.reset();
    fs::remove_all(bench.place() / "db");
    auto opened = bench.try_open();
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error().fault == Fault::conflict);
}

TEST_CASE("a store of another history beside its mark is tampered with", "[ledger]") {
    Bench bench, other;
    for (auto* each : {&bench, &other}) each->open();
    bench.record("test.happened");
    other.record("test.forged");
    other.record("test.forged");
    for (auto* each : {&bench, &other}) each->ledger.reset();
    copy_folder(other.place() / "db", bench.place() / "db");
    auto opened = bench.try_open();
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error().fault == Fault::internal);
    REQUIRE(opened.error().what.find("tampered") != std::string::npos);
    REQUIRE_FALSE(bench.try_open(true));
}

TEST_CASE("a row that cannot be read ends all writing instead of being absent", "[ledger]") {
    Bench bench;
    bench.open();
    std::mt19937 random(7);
    auto batch = bench.ledger->begin();
    for (int i = 0; i < 2000; ++i) {
        std::string value(100, ' ');
        for (char& c : value) c = static_cast<char>(random());
        batch.put(Table::spend, std::to_string(10000 + i), value);
    }
    bench.commit(std::move(batch));
    bench.ledger.reset();
    for (auto const& table : files_ending(bench.place() / "db", ".sst")) {
        auto bytes = text_of(table);
        if (bytes.size() < 100'000) continue;
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        write_text(table, bytes);
    }
    bench.open();
    int absent = 0;
    for (int i = 0; i < 2000; ++i)
        if (!bench.ledger->get(Table::spend, std::to_string(10000 + i))) ++absent;
    REQUIRE(absent > 0);
    bool called = false;
    auto later = bench.ledger->begin();
    later.put(Table::kv, "k", "v");
    bench.ledger->commit(std::move(later), [&] { called = true; });
    REQUIRE(bench.run_until([&] { return !bench.failures.empty(); }));
    for (int i = 0; i < 5; ++i) bench.loop.run_for(std::chrono::milliseconds(10));
    REQUIRE(bench.failures.size() == 1);
    REQUIRE_FALSE(called);
}
