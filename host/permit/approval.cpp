#include "permit/approval.hpp"

#include "base/clock.hpp"
#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

constexpr ApprovalState states[] = {ApprovalState::pending,  ApprovalState::approved,
                                    ApprovalState::consumed, ApprovalState::denied,
                                    ApprovalState::expired,  ApprovalState::superseded,
                                    ApprovalState::cancelled};

std::string due_key(Approval const& approval) {
    std::string key(8, '\0');
    auto time = static_cast<std::uint64_t>(approval.expires_us);
    for (int i = 7; i >= 0; --i, time >>= 8) key[i] = static_cast<char>(time & 255);
    return key + approval.id.text;
}

std::string encode(Approval const& a) {
    JsonWriter out;
    out.begin('{').pair("id", a.id.text).pair("state", name_of(a.state));
    out.pair("agent", a.agent.text).pair("session", a.session.text).pair("turn", a.turn);
    out.pair("call", a.call.text).pair("plugin", a.plugin.text).pair("skill", a.skill);
    out.pair("arguments", a.arguments).pair("shown", a.shown).pair("digest", a.digest);
    out.pair("requested", a.requested_us).pair("expires", a.expires_us);
    out.pair("decided", a.decided_us).pair("reason", a.reason);
    if (!a.by.empty()) out.key("by").raw(a.by);
    if (!a.preview.empty()) out.pair("preview", a.preview);
    out.pair("seq", static_cast<std::int64_t>(a.requested_seq));
    return out.end('}').take();
}

std::optional<Approval> decode(std::string_view text) {
    auto parsed = parse_json(text);
    if (!parsed) return {};
    auto const& v = *parsed;
    Approval a;
    a.id = ApprovalId(text_at(v, "id"));
    a.state = approval_state_named(text_at(v, "state")).value_or(ApprovalState::cancelled);
    a.agent = AgentName(text_at(v, "agent"));
    a.session = SessionId(text_at(v, "session"));
    a.turn = int_at(v, "turn");
    a.call = CallId(text_at(v, "call"));
    a.plugin = PluginId(text_at(v, "plugin"));
    a.skill = text_at(v, "skill");
    a.arguments = text_at(v, "arguments");
    a.shown = text_at(v, "shown");
    a.digest = text_at(v, "digest");
    a.requested_us = int_at(v, "requested");
    a.expires_us = int_at(v, "expires");
    a.decided_us = int_at(v, "decided");
    a.reason = text_at(v, "reason");
    a.preview = text_at(v, "preview");
    if (auto const* by = member(v, "by")) a.by = to_text(*by);
    a.requested_seq = static_cast<Seq>(int_at(v, "seq"));
    return a;
}

bool is_open(ApprovalState state) {
    return state == ApprovalState::pending || state == ApprovalState::approved;
}

void show_list(std::string& out, char const* title, std::vector<std::string> const& list) {
    if (list.empty()) return;
    out += title;
    for (std::size_t i = 0; i < list.size(); ++i) out += (i ? ", " : "") + visible(list[i]);
    out += '\n';
}

}  // namespace

char const* name_of(ApprovalState state) {
    switch (state) {
        case ApprovalState::pending:
            return "pending";
        case ApprovalState::approved:
            return "approved";
        case ApprovalState::consumed:
            return "consumed";
        case ApprovalState::denied:
            return "denied";
        case ApprovalState::expired:
            return "expired";
        case ApprovalState::superseded:
            return "superseded";
        case ApprovalState::cancelled:
            return "cancelled";
    }
    return "cancelled";
}

std::optional<ApprovalState> approval_state_named(std::string_view name) {
    for (auto state : states)
        if (name == name_of(state)) return state;
    return {};
}

std::string digest_of(Binding const& b, ApprovalId const& id, std::int64_t expires_us) {
    Hasher hash("parley.approval/1");
    auto list = [&](std::vector<std::string> const& entries) {
        hash.field(static_cast<std::int64_t>(entries.size()));
        for (auto const& entry : entries) hash.field(std::string_view(entry));
    };
    auto text = [&](std::string const& value) { hash.field(std::string_view(value)); };
    text(b.vault_id);
    text(id.text);
    text(b.session.text);
    hash.field(b.turn);
    text(b.call.text);
    text(b.agent.text);
    text(b.plugin.text);
    text(b.file_hash);
    text(b.manifest_digest);
    text(b.config);
    text(b.profile);
    list(b.grants);
    text(b.skill);
    text(b.arguments);
    list(b.destinations);
    list(b.secrets);
    text(b.effect);
    hash.field(b.cost_ceiling_nano_usd);
    text(b.rules);
    text(b.target);
    hash.field(expires_us);
    return hex(hash.done());
}

std::string render(Binding const& b) {
    std::string out;
    out += "agent " + visible(b.agent.text) + " wants " + visible(b.plugin.text) + ':' +
           visible(b.skill) + " (" + b.effect + ")\n";
    out += "arguments, " + std::to_string(b.arguments.size()) + " bytes:\n";
    out += visible(b.arguments) + '\n';
    show_list(out, "grants: ", b.grants);
    show_list(out, "may reach: ", b.destinations);
    show_list(out, "uses secrets: ", b.secrets);
    if (!b.target.empty()) out += "present content of the file: " + visible(b.target) + '\n';
    out += "asked because: " + visible(b.rules) + '\n';
    return out;
}

std::string to_json(Approval const& a, std::string_view reach) {
    JsonWriter out;
    out.begin('{').pair("id", a.id.text).pair("state", name_of(a.state));
    out.pair("agent", a.agent.text).pair("session", a.session.text).pair("call", a.call.text);
    out.pair("skill", a.skill).pair("plugin", a.plugin.text).pair("arguments", a.arguments);
    out.pair("shown", a.shown);
    if (!a.preview.empty()) out.pair("preview", a.preview);
    out.pair("digest", a.digest);
    out.pair("requested", iso_time(a.requested_us)).pair("expires", iso_time(a.expires_us));
    if (a.decided_us) out.pair("decided", iso_time(a.decided_us));
    if (!a.by.empty()) out.key("by").raw(a.by);
    if (!a.reason.empty()) out.pair("reason", a.reason);
    if (!reach.empty()) out.key("reach").raw(reach);
    return out.end('}').take();
}

std::optional<Approval> Approvals::find(ApprovalId const& id) const {
    auto row = ledger_.get(Table::approval, id.text);
    return row ? decode(*row) : std::nullopt;
}

void Approvals::write(Batch& batch, Approval const& approval, bool open) const {
    ++changes_;
    batch.put(Table::approval, approval.id.text, encode(approval));
    if (open)
        batch.put(Table::approval_due, due_key(approval), "");
    else
        batch.erase(Table::approval_due, due_key(approval));
}

Seq Approvals::record(Batch& batch, Approval const& approval, char const* kind, std::string body,
                      std::string actor) const {
    Draft draft;
    draft.kind = kind;
    draft.agent = approval.agent;
    draft.session = approval.session;
    draft.turn = approval.turn;
    draft.call = approval.call;
    draft.cause = approval.requested_seq;
    draft.actor = std::move(actor);
    draft.body = std::move(body);
    return batch.record(std::move(draft));
}

Approval Approvals::request(Batch& batch, Binding const& binding, std::int64_t expires_us,
                            Seq cause) const {
    Approval approval;
    approval.id = ApprovalId(fresh_id("a-", ledger_.now_us()));
    approval.agent = binding.agent;
    approval.session = binding.session;
    approval.turn = binding.turn;
    approval.call = binding.call;
    approval.plugin = binding.plugin;
    approval.skill = binding.skill;
    approval.arguments = binding.arguments;
    approval.shown = render(binding);
    approval.requested_us = ledger_.now_us();
    approval.expires_us = expires_us;
    approval.digest = digest_of(binding, approval.id, expires_us);
    approval.requested_seq = cause;
    JsonWriter body;
    body.begin('{').pair("approval", approval.id.text).pair("skill", approval.skill);
    body.pair("plugin", approval.plugin.text).pair("arguments", approval.arguments);
    body.pair("shown", approval.shown).pair("digest", approval.digest);
    body.pair("expires", iso_time(expires_us)).end('}');
    approval.requested_seq = record(batch, approval, "approval.requested", body.take());
    write(batch, approval, true);
    return approval;
}

void Approvals::add_preview(Batch& batch, ApprovalId const& id, std::string_view text) const {
    auto approval = find(id);
    if (!approval || approval->state != ApprovalState::pending) return;
    approval->preview = visible(clipped(text, limits::preview_bytes));
    JsonWriter body;
    body.begin('{').pair("approval", id.text).pair("text", approval->preview).end('}');
    record(batch, *approval, "approval.previewed", body.take());
    write(batch, *approval, true);
}

Result<Approval> Approvals::decide(Batch& batch, Decision const& decision) const {
    auto approval = find(decision.id);
    if (!approval) return Error(Fault::not_found, "no approval " + decision.id.text);
    if (approval->state != ApprovalState::pending)
        return Error(Fault::conflict, std::string("this approval is ") + name_of(approval->state));
    if (ledger_.now_us() >= approval->expires_us) {
        close(batch, *approval, ApprovalState::expired, "its time had passed");
        return Error(Fault::timed_out, "this approval has expired");
    }
    if (decision.digest != approval->digest && holds("decision-digest"))
        return Error(Fault::conflict,
                     "the digest is not the one of this approval; look at it again first");
    approval->state = decision.approve ? ApprovalState::approved : ApprovalState::denied;
    approval->decided_us = ledger_.now_us();
    approval->by = decision.actor;
    approval->reason = decision.reason;
    JsonWriter body;
    body.begin('{').pair("approval", approval->id.text).pair("digest", approval->digest);
    if (!decision.reason.empty()) body.pair("reason", decision.reason);
    record(batch, *approval, decision.approve ? "approval.approved" : "approval.denied",
           body.end('}').take(), decision.actor);
    write(batch, *approval, decision.approve);
    return std::move(*approval);
}

Result<Approval> Approvals::consume(Batch& batch, ApprovalId const& id, Binding const& now) const {
    auto approval = find(id);
    if (!approval) return Error(Fault::not_found, "no approval " + id.text);
    if (approval->state != ApprovalState::approved && holds("approval-once"))
        return Error(Fault::conflict, std::string("this approval is ") + name_of(approval->state));
    if (ledger_.now_us() >= approval->expires_us && holds("approval-expiry")) {
        close(batch, *approval, ApprovalState::expired, "its time had passed before it was used");
        return Error(Fault::timed_out, "the approval expired before it was used");
    }
    if (digest_of(now, approval->id, approval->expires_us) != approval->digest &&
        holds("approval-binding")) {
        close(batch, *approval, ApprovalState::superseded,
              "what would run is no longer what was shown");
        return Error(Fault::conflict, "what would run is no longer what was approved");
    }
    approval->state = ApprovalState::consumed;
    JsonWriter body;
    body.begin('{').pair("approval", approval->id.text).pair("digest", approval->digest).end('}');
    record(batch, *approval, "approval.consumed", body.take());
    write(batch, *approval, false);
    return std::move(*approval);
}

void Approvals::close(Batch& batch, Approval approval, ApprovalState state,
                      std::string const& why) const {
    if (!is_open(approval.state)) return;
    approval.state = state;
    if (!approval.decided_us) approval.decided_us = ledger_.now_us();
    JsonWriter body;
    body.begin('{').pair("approval", approval.id.text).pair("why", why).end('}');
    record(batch, approval, (std::string("approval.") + name_of(state)).c_str(), body.take());
    write(batch, approval, false);
}

std::int64_t Approvals::next_expiry_us() const {
    std::int64_t next = 0;
    ledger_.scan(Table::approval_due, "", "", [&](std::string_view key, std::string_view) {
        for (char c : key.substr(0, 8)) next = next << 8 | static_cast<unsigned char>(c);
        return false;
    });
    return next;
}

std::vector<Approval> Approvals::expired(std::int64_t now_us) const {
    std::vector<Approval> list;
    ledger_.scan(Table::approval_due, "", "", [&](std::string_view key, std::string_view) {
        auto approval = find(ApprovalId(key.substr(8)));
        if (!approval || approval->expires_us > now_us) return approval == std::nullopt;
        list.push_back(std::move(*approval));
        return true;
    });
    return list;
}

void Approvals::list(std::string_view after,
                     std::function<bool(Approval const&)> const& each) const {
    auto from = after.empty() ? std::string() : std::string(after) + '\0';
    ledger_.scan(Table::approval, "", from, [&](std::string_view, std::string_view row) {
        auto approval = decode(row);
        return !approval || each(*approval);
    });
}

}  // namespace parley
