// The ledger, from the host when one runs, else from the home; exports need neither.
#include "base/text.hpp"
#include "cli/open_home.hpp"

#include <cstdio>
#include <fstream>

namespace parley {

namespace {

int print_verdict(Context const& context, Verdict const& verdict) {
    auto const* word = name_of(verdict.kind);
    if (!print_json(context, to_json(verdict))) {
        if (verdict.kind == Verdict::Kind::sound)
            std::printf("sound: %llu records\n", static_cast<unsigned long long>(verdict.checked));
        else if (verdict.first_bad)
            std::printf("%s at record %llu: %s\n", word,
                        static_cast<unsigned long long>(verdict.first_bad), verdict.detail.c_str());
        else
            std::printf("%s: %s\n", word, verdict.detail.c_str());
    }
    if (verdict.kind == Verdict::Kind::sound) return 0;
    return verdict.kind == Verdict::Kind::shorter ? 3 : 1;
}

// The last line counts: that is how the host appends checkpoints.
std::string last_line(std::string const& file) {
    std::ifstream in(file);
    std::string line, last;
    while (std::getline(in, line))
        if (!line.empty()) last = line;
    return last;
}

}  // namespace

int verb_ledger_verify(Context const& context, std::string const& file, std::string const& against,
                       std::string const& key_file) {
    std::optional<Checkpoint> checkpoint;
    if (!against.empty()) {
        auto parsed = parse_checkpoint(last_line(against));
        if (!parsed) return fail(against + " holds no checkpoint");
        checkpoint = std::move(*parsed);
    }
    auto key = key_file.empty() ? std::string() : last_line(key_file);
    if (auto bytes = from_hex(key); !key_file.empty() && (!bytes || bytes->size() != 32))
        return fail(key_file + " holds no public key of 64 hex digits");
    if (!file.empty()) return print_verdict(context, verify_export(file, checkpoint, key));
    if (!key.empty()) return fail("--key is for exports; the home has its own key");
    if (context.host_answers()) {
        auto query =
            checkpoint ? "?against=" + percent_encoded(to_json(*checkpoint)) : std::string();
        auto text = context.ask_text("GET", "/api/v1/ledger/verify" + query);
        if (!text) return fail(text.error());
        auto value = parse_json(*text);
        if (!value) return fail(value.error());
        Verdict verdict;
        for (auto kind :
             {Verdict::Kind::tampered, Verdict::Kind::shorter, Verdict::Kind::unreadable})
            if (text_at(*value, "verdict") == name_of(kind)) verdict.kind = kind;
        verdict.checked = static_cast<Seq>(int_at(*value, "checked"));
        verdict.first_bad = static_cast<Seq>(int_at(*value, "first_bad"));
        verdict.detail = text_at(*value, "detail");
        return print_verdict(context, verdict);
    }
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    return print_verdict(context, verify(*(*home)->ledger, checkpoint));
}

int verb_ledger_export(Context const& context, std::string const& from, std::string const& to) {
    if (context.host_answers()) {
        auto path = "/api/v1/ledger/export?from=" + (from.empty() ? "1" : from) +
                    (to.empty() ? "" : "&to=" + to);
        auto done = local_stream(context.target(), path, [](std::string_view bytes) {
            return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
        });
        return done ? 0 : fail(done.error());
    }
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    auto& ledger = *(*home)->ledger;
    auto first = from.empty() ? 1 : std::strtoull(from.c_str(), nullptr, 10);
    auto last = to.empty() ? ledger.durable_head() : std::strtoull(to.c_str(), nullptr, 10);
    export_lines(ledger, first, last, [](std::string_view line) {
        return std::printf("%.*s\n", static_cast<int>(line.size()), line.data()) > 0;
    });
    return 0;
}

int verb_ledger_show(Context const& context, std::string const& seq) {
    if (context.host_answers()) return verb_show(context, "/ledger/" + percent_encoded(seq));
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    bool is_number = seq.size() < 19 && seq.find_first_not_of("0123456789") == std::string::npos;
    auto record =
        is_number ? (*home)->ledger->record(std::strtoull(seq.c_str(), nullptr, 10)) : std::nullopt;
    if (!record) return fail("no record " + seq);
    auto text = to_json(*record);
    if (!print_json(context, text)) print_members(*parse_json(text));
    return 0;
}

int verb_accept_loss(Context const& context) {
    auto home = OpenHome::take(context.home, true);
    if (!home) return fail(home.error());
    auto& ledger = *(*home)->ledger;
    if (!ledger.lost_records() && !ledger.get(Table::meta, vault_generation))
        return say(context, R"({"lost":false})", "nothing was lost");
    JsonWriter body;
    body.begin('{').pair("accepted_at", static_cast<std::int64_t>(ledger.head())).end('}');
    // The host reads this mark at its next start: open approvals are void, open intents unknown.
    auto batch = ledger.begin();
    if (ledger.lost_records()) batch.put(Table::meta, loss_accepted, "1");
    batch.erase(Table::meta, vault_generation);
    ledger.commit(std::move(batch));
    if (auto noted = (*home)->record("ledger.loss_accepted", body.take()); !noted)
        return fail(noted.error());
    return say(context, R"({"lost":true})",
               "the ledger goes on from record " + std::to_string(ledger.head()) +
                   "; open approvals are void");
}

}  // namespace parley
