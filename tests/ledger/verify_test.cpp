#include "ledger/kit.hpp"

#include <sys/wait.h>

#include <cstdlib>

using namespace kit;

namespace {

// Six records of every shape, and the checkpoint of a clean stop.
struct Exported : Bench {
    std::vector<std::string> lines;  // a checkpoint, then the records

    Exported() {
        signer = Key(1).signer();
        open();
        for (int i = 1; i <= 6; ++i) {
            auto batch = ledger->begin();
            Draft draft;
            draft.kind = "skill.requested";
            draft.body = R"({"text":",\"prev\":\"}{ é","n":)" + std::to_string(i) + "}";
            if (i % 2 == 0) {
                draft.agent = AgentName("ops");
                draft.session = SessionId("s-1");
                draft.turn = i;
                draft.call = CallId("c-1");
                draft.cause = static_cast<Seq>(i - 1);
                draft.actor = R"({"type":"channel","sender":"\",\"body\":{}"})";
            }
            batch.record(std::move(draft));
            commit(std::move(batch));
        }
        open();
        export_lines(*ledger, 1, 6,
                     [&](std::string_view line) { return lines.emplace_back(line), true; });
        REQUIRE(lines.size() == 7);
    }

    fs::path file() const { return folder.path / "export.ndjson"; }
    void write(std::vector<std::string> const& written) const {
        std::string text;
        for (auto const& line : written) text += line + '\n';
        write_text(file(), text);
    }
    Verdict verdict(std::vector<std::string> const& written,
                    std::optional<Checkpoint> const& against = {},
                    std::string_view key = {}) const {
        write(written);
        return verify_export(file(), against, key);
    }
    Checkpoint checkpoint() const { return *parse_checkpoint(lines.front()); }
};

Checkpoint signed_by(Key const& key, Checkpoint checkpoint) {
    // The bytes that are signed, as documented.
    auto text = [](std::string_view bytes) {
        std::string out;
        for (std::size_t i = 0; i < 4; ++i) out += static_cast<char>(bytes.size() >> (8 * i));
        return out + std::string(bytes);
    };
    auto number = [&](std::uint64_t value) {
        std::string little;
        for (int i = 0; i < 8; ++i) little += static_cast<char>(value >> (8 * i));
        return text(little);
    };
    auto signer = key.signer();
    checkpoint.public_key = signer.public_key;
    checkpoint.signature = signer.sign(
        text("parley.checkpoint/1") + text(checkpoint.vault) + number(checkpoint.seq) +
        text({reinterpret_cast<char const*>(checkpoint.hash.data()), checkpoint.hash.size()}) +
        number(static_cast<std::uint64_t>(checkpoint.time_us)));
    return checkpoint;
}

int python(fs::path const& file, fs::path const& against = {}) {
    auto command = "python3 " SOURCE_FOLDER "/packaging/verify_ledger.py " + file.string() + ' ' +
                   against.string() + " > /dev/null 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
}

}  // namespace

TEST_CASE("a clean stop signs a checkpoint of the last record", "[ledger]") {
    Exported bench;
    auto checkpoint = bench.checkpoint();
    REQUIRE(checkpoint.seq == 6);
    REQUIRE(checkpoint.hash == bench.ledger->record(6)->hash);
    REQUIRE(checkpoint.vault == bench.signer.vault_id);
    REQUIRE(is_genuine(checkpoint));
    REQUIRE(signed_by(Key(1), checkpoint).signature == checkpoint.signature);
    REQUIRE(text_of(bench.place() / "checkpoints.ndjson") == to_json(checkpoint) + '\n');
    REQUIRE(bench.ledger->checkpoints(10).size() == 1);
}

TEST_CASE("a checkpoint comes at the latest after a thousand records", "[ledger]") {
    Bench bench;
    bench.signer = Key(1).signer();
    bench.open();
    for (int i = 0; i < 2500; ++i) {
        auto batch = bench.ledger->begin();
        Draft draft;
        draft.kind = "test.happened";
        batch.record(std::move(draft));
        bench.ledger->commit(std::move(batch));
        if (i % 100 == 99)
            REQUIRE(bench.run_until(
                [&] { return bench.ledger->durable_head() == bench.ledger->head(); }));
    }
    bench.open();
    auto all = bench.ledger->checkpoints(10);
    REQUIRE(all.size() == 3);
    REQUIRE(all.front().seq < all.back().seq);
    REQUIRE(all.back().seq == 2500);
    REQUIRE(bench.ledger->checkpoints(1).front().seq == 2500);
    REQUIRE(verify(*bench.ledger, {}).kind == Verdict::Kind::sound);
}

TEST_CASE("a stop without news signs nothing", "[ledger]") {
    Exported bench;
    bench.open();
    bench.open();
    REQUIRE(bench.ledger->checkpoints(10).size() == 1);
}

TEST_CASE("an export verifies without a home, whole or as an excerpt", "[ledger]") {
    Exported bench;
    auto whole = bench.verdict(bench.lines);
    INFO(whole.detail);
    REQUIRE(whole.kind == Verdict::Kind::sound);
    REQUIRE(whole.checked == 6);
    REQUIRE(bench.verdict({bench.lines[3], bench.lines[4]}).checked == 4);
}

TEST_CASE("records that are deleted, swapped, repeated or taken from elsewhere are found",
          "[ledger]") {
    Exported bench;
    auto lines = bench.lines;
    Seq first_bad = 3;
    SECTION("deleted") {
        lines.erase(lines.begin() + 3);
    }
    SECTION("swapped") {
        std::swap(lines[3], lines[4]);
    }
    SECTION("repeated") {
        lines.insert(lines.begin() + 3, lines[3]);
        first_bad = 4;
    }
    SECTION("not a record") {
        lines[3] = "{}";
    }
    SECTION("of another chain") {
        Bench other;
        other.open();
        for (int i = 0; i < 3; ++i) other.record();
        lines[3] = to_json(*other.ledger->record(3));
    }
    auto verdict = bench.verdict(lines);
    REQUIRE(verdict.kind == Verdict::Kind::tampered);
    REQUIRE(verdict.first_bad == first_bad);
    REQUIRE(python(bench.file()) == 1);
}

TEST_CASE("each flipped byte of an export is found", "[ledger]") {
    Exported bench;
    std::string text;
    for (auto const& line : bench.lines) text += line + '\n';
    for (std::size_t at = 0; at < text.size(); ++at) {
        auto bad = text;
        bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
        write_text(bench.file(), bad);
        INFO("byte " << at << " of " << bad);
        REQUIRE(verify_export(bench.file(), {}).kind != Verdict::Kind::sound);
    }
}

TEST_CASE("an export that is cut anywhere does not reach its checkpoint", "[ledger]") {
    Exported bench;
    auto lines = bench.lines;
    lines.pop_back();
    auto verdict = bench.verdict(lines);
    REQUIRE(verdict.kind == Verdict::Kind::shorter);
    REQUIRE(verdict.checked == 5);
    REQUIRE(verdict.detail.find("6") != std::string::npos);
    REQUIRE(python(bench.file()) == 3);
    lines.back().pop_back();
    REQUIRE(bench.verdict(lines).kind == Verdict::Kind::tampered);
    REQUIRE(bench.verdict({}).kind == Verdict::Kind::unreadable);
    REQUIRE(verify_export(bench.folder.path / "nowhere", {}).kind == Verdict::Kind::unreadable);
}

TEST_CASE("a checkpoint kept elsewhere shows what was cut off or rewritten", "[ledger]") {
    Exported bench;
    auto against = bench.checkpoint();
    auto records = std::vector(bench.lines.begin() + 1, bench.lines.end());
    REQUIRE(bench.verdict(records, against).kind == Verdict::Kind::sound);
    auto cut = std::vector(records.begin(), records.end() - 2);
    REQUIRE(bench.verdict(cut, against).kind == Verdict::Kind::shorter);
    REQUIRE(
        bench.verdict(std::vector<std::string>(cut.begin(), cut.begin() + 1), against).checked ==
        1);

    // A whole other chain, sound in itself.
    Bench forged;
    forged.open();
    for (int i = 0; i < 6; ++i) forged.record();
    auto verdict = verify(*forged.ledger, against);
    REQUIRE(verdict.kind == Verdict::Kind::tampered);
    REQUIRE(verdict.first_bad == 6);

    write_text(bench.folder.path / "checkpoint", to_json(against) + '\n');
    bench.write(records);
    REQUIRE(python(bench.file(), bench.folder.path / "checkpoint") == 0);
    bench.write(cut);
    REQUIRE(python(bench.file(), bench.folder.path / "checkpoint") == 3);
}

TEST_CASE("a checkpoint counts only with its signature, and only by the key that is asked for",
          "[ledger]") {
    Exported bench;
    auto stranger = Key(2).signer().public_key;
    REQUIRE(bench.verdict(bench.lines, {}, bench.signer.public_key).kind == Verdict::Kind::sound);
    REQUIRE(bench.verdict(bench.lines, {}, stranger).kind == Verdict::Kind::tampered);
    auto altered = bench.checkpoint();
    altered.seq = 5;
    altered.hash = bench.ledger->record(5)->hash;
    REQUIRE(bench.verdict(bench.lines, altered).kind == Verdict::Kind::unreadable);
    auto resigned = signed_by(Key(2), altered);
    REQUIRE(bench.verdict(bench.lines, resigned).kind == Verdict::Kind::sound);
    REQUIRE(bench.verdict(bench.lines, resigned, bench.signer.public_key).kind ==
            Verdict::Kind::unreadable);
}

TEST_CASE("a body may be as deep as it was recorded", "[ledger]") {
    Bench bench;
    bench.open();
    bench.record("test.happened", "{\"a\":" + std::string(64, '[') + std::string(64, ']') + "}");
    std::string line = to_json(*bench.ledger->record(1));
    write_text(bench.folder.path / "export", line + '\n');
    REQUIRE(verify_export(bench.folder.path / "export", {}).kind == Verdict::Kind::sound);
    REQUIRE(python(bench.folder.path / "export") == 0);
}

TEST_CASE("a page of Python comes to the same verdict", "[ledger]") {
    Exported bench;
    bench.write(bench.lines);
    REQUIRE(python(bench.file()) == 0);
    REQUIRE(python(bench.folder.path / "nowhere") == 4);
    // A place in every field, by what stands before it.
    for (auto const* field : {"\"seq\":", "\"time\":\"20", "\"kind\":\"", "\"agent\":\"",
                              "\"session\":\"", "\"turn\":", "\"call\":\"", "\"cause\":",
                              "\"actor\":{\"t", "\"body\":{\"t", "\"prev\":\"", "\"hash\":\""}) {
        auto lines = bench.lines;
        auto& line = lines[4];
        auto at = line.rfind(field) + std::string(field).size();
        line[at] = line[at] == '1' ? '2' : '1';
        INFO(line);
        auto verdict = bench.verdict(lines);
        REQUIRE(verdict.kind == Verdict::Kind::tampered);
        REQUIRE(verdict.first_bad >= 4);
        REQUIRE(python(bench.file()) == 1);
    }
}

TEST_CASE("a verification in pieces comes to the verdict of one walk", "[ledger]") {
    Exported bench;
    Verification walk(*bench.ledger, bench.checkpoint());
    int pieces = 1;
    while (walk.go_on(2)) {
        ++pieces;
        if (pieces == 2) bench.record();  // what comes while it walks is not its business
    }
    REQUIRE(pieces == 3);
    REQUIRE(walk.verdict().kind == Verdict::Kind::sound);
    REQUIRE(walk.verdict().checked == 6);
}
