#include "permit/approval.hpp"

#include "temp_ledger.hpp"

#include <functional>

using namespace parley;

namespace {

Binding sample() {
    Binding b;
    b.vault_id = "v";
    b.session = SessionId("s-1");
    b.turn = 3;
    b.call = CallId("c-1");
    b.agent = AgentName("ops");
    b.plugin = PluginId("shell");
    b.file_hash = "f";
    b.manifest_digest = "m";
    b.config = "{}";
    b.profile = "p";
    b.grants = {"workspace write /w"};
    b.skill = "shell";
    b.arguments = R"({"command":"echo hi"})";
    b.destinations = {"a.example"};
    b.secrets = {"a/b"};
    b.effect = "irreversible";
    b.cost_ceiling_nano_usd = 5;
    b.rules = "r";
    b.target = "t";
    return b;
}

struct Fixture : TempLedger {
    Approvals approvals{*ledger};
    Approval requested;

    Fixture() {
        auto batch = ledger->begin();
        requested = approvals.request(batch, sample(), clock.now_us() + 1'000'000, 0);
        commit(std::move(batch));
    }
    Result<Approval> decide(bool approve, std::string digest) {
        auto batch = ledger->begin();
        auto result = approvals.decide(
            batch, {requested.id, approve, std::move(digest), "", R"({"type":"cli"})"});
        commit(std::move(batch));
        return result;
    }
    Result<Approval> consume(Binding const& binding) {
        auto batch = ledger->begin();
        auto result = approvals.consume(batch, requested.id, binding);
        commit(std::move(batch));
        return result;
    }
};

}  // namespace

TEST_CASE("every part of a binding changes the digest", "[permit]") {
    auto digest = digest_of(sample(), ApprovalId("a-1"), 7);
    std::vector<std::function<void(Binding&)>> changes{
        [](Binding& b) { b.vault_id += 'x'; },      [](Binding& b) { b.session.text += 'x'; },
        [](Binding& b) { ++b.turn; },               [](Binding& b) { b.call.text += 'x'; },
        [](Binding& b) { b.agent.text += 'x'; },    [](Binding& b) { b.plugin.text += 'x'; },
        [](Binding& b) { b.file_hash += 'x'; },     [](Binding& b) { b.manifest_digest += 'x'; },
        [](Binding& b) { b.config += ' '; },        [](Binding& b) { b.profile += 'x'; },
        [](Binding& b) { b.grants.push_back(""); }, [](Binding& b) { b.skill += 'x'; },
        [](Binding& b) { b.arguments += ' '; },     [](Binding& b) { b.destinations.clear(); },
        [](Binding& b) { b.secrets.push_back("c/d"); }, [](Binding& b) { b.effect = "pure"; },
        [](Binding& b) { ++b.cost_ceiling_nano_usd; }, [](Binding& b) { b.rules += 'x'; },
        [](Binding& b) { b.target += 'x'; },
        [](Binding& b) {  // The same bytes, cut elsewhere.
            b.skill = "shellr";
            b.arguments = b.arguments.substr(1);
        }};
    for (auto const& change : changes) {
        auto other = sample();
        change(other);
        REQUIRE(digest_of(other, ApprovalId("a-1"), 7) != digest);
    }
    REQUIRE(digest_of(sample(), ApprovalId("a-2"), 7) != digest);
    REQUIRE(digest_of(sample(), ApprovalId("a-1"), 8) != digest);
}

TEST_CASE("what is shown holds every byte of the arguments, hidden ones made visible", "[permit]") {
    auto b = sample();
    b.arguments = "{\"command\":\"ls \xe2\x80\xae\x1b[8m\xe2\x80\x8b rm\"}";
    auto shown = render(b);
    REQUIRE(shown.find("ls \\u{202e}\\u{1b}[8m\\u{200b} rm") != std::string::npos);
    REQUIRE(shown.find('\x1b') == std::string::npos);
}

TEST_CASE("an approval is used once", "[permit]") {
    Fixture f;
    REQUIRE(f.decide(true, f.requested.digest));
    REQUIRE(f.consume(sample()));
    auto again = f.consume(sample());
    REQUIRE_FALSE(again);
    REQUIRE(again.error().fault == Fault::conflict);
    REQUIRE_FALSE(f.decide(true, f.requested.digest));
}

TEST_CASE("an approval is decided once", "[permit]") {
    Fixture f;
    REQUIRE(f.decide(false, f.requested.digest));
    REQUIRE_FALSE(f.decide(true, f.requested.digest));
    REQUIRE_FALSE(f.consume(sample()));
    REQUIRE(f.approvals.find(f.requested.id)->state == ApprovalState::denied);
}

TEST_CASE("a decision with another digest decides nothing", "[permit]") {
    Fixture f;
    auto wrong = f.requested.digest;
    wrong[0] = wrong[0] == '0' ? '1' : '0';
    REQUIRE_FALSE(f.decide(true, wrong));
    REQUIRE_FALSE(f.decide(true, ""));
    REQUIRE(f.approvals.find(f.requested.id)->state == ApprovalState::pending);
}

TEST_CASE("nothing runs that differs by a byte from what was shown", "[permit]") {
    Fixture f;
    REQUIRE(f.decide(true, f.requested.digest));
    auto other = sample();
    other.arguments += ' ';
    REQUIRE_FALSE(f.consume(other));
    REQUIRE(f.approvals.find(f.requested.id)->state == ApprovalState::superseded);
    REQUIRE_FALSE(f.consume(sample()));
}

TEST_CASE("an approval that expired before the decision is expired, not denied", "[permit]") {
    Fixture f;
    f.clock.advance_us(1'000'001);
    REQUIRE_FALSE(f.decide(true, f.requested.digest));
    REQUIRE(f.approvals.find(f.requested.id)->state == ApprovalState::expired);
    REQUIRE(f.kinds.back() == "approval.expired");
}

TEST_CASE("an approval that expired between decision and use is not used", "[permit]") {
    Fixture f;
    REQUIRE(f.decide(true, f.requested.digest));
    f.clock.advance_us(1'000'001);
    REQUIRE_FALSE(f.consume(sample()));
    REQUIRE(f.approvals.find(f.requested.id)->state == ApprovalState::expired);
}

TEST_CASE("a clock that jumps back revives nothing", "[permit]") {
    Fixture f;
    f.clock.advance_us(2'000'000);
    auto batch = f.ledger->begin();
    batch.record({});
    f.commit(std::move(batch));
    f.clock.advance_us(-3'000'000);
    REQUIRE_FALSE(f.decide(true, f.requested.digest));
}

TEST_CASE("the next expiry is the earliest of what is open", "[permit]") {
    Fixture f;
    REQUIRE(f.approvals.next_expiry_us() == f.requested.expires_us);
    REQUIRE(f.approvals.expired(f.clock.now_us()).empty());
    REQUIRE(f.approvals.expired(f.requested.expires_us).size() == 1);
    REQUIRE(f.decide(false, f.requested.digest));
    REQUIRE(f.approvals.next_expiry_us() == 0);
}
