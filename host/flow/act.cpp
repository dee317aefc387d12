// For each thing that the model wants done: may it be, must a person be asked, and then it is done,
// once, with its marks in the ledger before and after.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"
#include "permit/effects.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

std::string call_key(SessionId const& id, CallId const& call) {
    return id.text + '/' + call.text;
}

char const* word_for(GrantNeed::Access access) {
    switch (access) {
        case GrantNeed::Access::read:
            return "read";
        case GrantNeed::Access::write:
            return "write";
        case GrantNeed::Access::run:
            return "run";
    }
    return "run";
}

std::chrono::milliseconds timeout_of(SkillSpec const& spec) {
    auto most = std::chrono::duration_cast<std::chrono::seconds>(limits::skill_call_time_longest);
    return std::min(spec.timeout, most);
}

}  // namespace

// The call as it would run now. Fault::not_found, bad_input or denied say why it will not.
Result<Invocation> Flow::prepare(Session const& session, Turn::OpenCall const& call) const {
    auto const* skill = skills_.find(call.skill);
    auto const* agent = agent_of(session);
    if (!skill || !agent || !is_offered(session.agent, skill->name)) {
        std::string names;
        for (auto const& [name, entry] : skills_.all())
            if (agent && may_use(*agent, entry.plugin, entry.spec->name, entry.first_party) &&
                is_offered(session.agent, name))
                names += (names.empty() ? "" : ", ") + name;
        return Error(Fault::not_found, "there is no skill named '" +
                                           visible(clipped(call.skill, 64)) +
                                           "'; there are: " + (names.empty() ? "none" : names));
    }
    Invocation invocation;
    invocation.skill = std::make_shared<SkillEntry const>(*skill);
    invocation.call = call.id;
    invocation.session = session.id;
    invocation.agent = session.agent;
    invocation.arguments = deps_.sessions->arguments(session.id, call.id);
    invocation.key = session.id.text + '/' + call.id.text;
    MUST(check_arguments(*skill, invocation.arguments));
    if (skill->is_of_host()) {
        TRY(arguments, parse_json(invocation.arguments));
        TRY(place, place_named(session.agent, text_at(arguments, "to")));
        invocation.instance = std::move(place.instance);
        invocation.conversation = std::move(place.conversation);
        return invocation;
    }

    auto const& manifest = skill->file->manifest();
    for (auto const& name : skill->spec->uses_grants) {
        Grant grant{name, {}, GrantNeed::Access::read};
        for (auto const& need : manifest.grants)
            if (need.name == name) grant.access = need.access;
        // A skill that changes nothing gets nothing that it could change.
        if (skill->spec->effect == EffectClass::pure && grant.access == GrantNeed::Access::write)
            grant.access = GrantNeed::Access::read;
        auto plugin = config_->plugins.find(skill->plugin);
        if (name == "workspace") {
            grant.path = agent->workspace;
        } else if (grant.access != GrantNeed::Access::run) {
            if (plugin == config_->plugins.end() || !plugin->second.grants.contains(name))
                return Error(Fault::denied, "the operator has granted no folder '" + name + "'");
            grant.path = plugin->second.grants.at(name);
            MUST(check_grant(grant, *config_, deps_.key_file, deps_.programs));
        }
        invocation.grants.push_back(std::move(grant));
    }
    if (!skill->spec->target.empty()) {
        if (invocation.grants.empty())
            return Error(Fault::internal, "a skill with a target but no grant");
        TRY(target, target_of(*skill->spec, invocation.arguments, invocation.grants.front().path));
        invocation.expect = target.expect;
    }
    return invocation;
}

Result<Binding> Flow::binding_for(Session const& session, Turn const& turn, std::size_t index,
                                  Invocation& invocation) const {
    auto const& skill = *invocation.skill;
    auto const* agent = agent_of(session);
    auto plugin = config_->plugins.find(skill.plugin);
    Binding binding;
    binding.vault_id = deps_.vault_id;
    binding.session = session.id;
    binding.turn = turn.number();
    binding.call = turn.calls()[index].id;
    binding.agent = session.agent;
    binding.plugin = skill.plugin;
    binding.skill = skill.spec->name;
    binding.arguments = invocation.arguments;
    binding.effect = name_of(skill.spec->effect);
    binding.rules = rule_on(*agent, skill.plugin, *skill.spec, skill.first_party).why;
    if (skill.is_of_host()) {
        binding.manifest_digest = hex(blake2b(skill.spec->parameters));
        binding.destinations = {"conversation " + invocation.conversation + " on channel " +
                                invocation.instance.text};
        binding.profile = "the host itself";
        return binding;
    }
    auto const& manifest = skill.file->manifest();
    binding.file_hash = skill.file->hash();
    binding.manifest_digest = hex(manifest.digest);
    binding.target = invocation.expect;
    if (skill.spec->sends_files)
        binding.destinations.push_back("conversation " + session.conversation + " of channel " +
                                       session.instance.text);
    if (plugin != config_->plugins.end()) {
        binding.config = plugin->second.config;
        if (skill.spec->uses_egress) {
            TRY(egress, resolve_egress(manifest, plugin->second.config, plugin->second.egress));
            for (auto const& rule : egress) binding.destinations.push_back(rule.host);
            for (auto const& [field, name] : plugin->second.secrets)
                binding.secrets.push_back(name.text());
        }
    }
    bool runs = false;
    for (auto const& grant : invocation.grants) {
        runs = runs || grant.access == GrantNeed::Access::run;
        binding.grants.push_back(grant.name + ' ' + word_for(grant.access) +
                                 (grant.path.empty() ? "" : ' ' + grant.path.string()));
    }
    binding.profile = runs ? "own mount and pid namespaces; home, key and control socket hidden"
                      : invocation.grants.empty() ? "no files"
                                                  : "only the granted folders";
    if (plugin != config_->plugins.end())
        binding.profile += std::string("; ") + name_of(plugin->second.isolation) + " isolation";
    binding.profile += "; at most " + std::to_string(timeout_of(*skill.spec).count() / 1000) + " s";
    return binding;
}

// Read now, whatever was true when the turn began.
void Flow::consider(Change& change, Session& session, Turn& turn, std::size_t index,
                    bool must_ask) {
    auto const call = turn.calls()[index];
    auto refuse = [&](std::string const& why) {
        settle(change, session, turn, index, why, true, "skill.failed");
    };
    auto invocation = prepare(session, call);
    if (!invocation) return refuse(invocation.error().what);
    auto const& skill = *invocation->skill;
    if (skill.spec->sends_files && !features_of(session.instance).files)
        return refuse("this channel cannot carry files");
    auto ruling = rule_on(*agent_of(session), skill.plugin, *skill.spec, skill.first_party);
    if (ruling.kind == Ruling::Kind::refuse) return refuse(ruling.why);
    if (ruling.kind == Ruling::Kind::run && !must_ask)
        return start_call(change, session, turn, index, std::move(*invocation));

    auto binding = binding_for(session, turn, index, *invocation);
    if (!binding) return refuse(binding.error().what);
    auto expires =
        deps_.ledger->now_us() + std::chrono::microseconds(config_->approvals_expire_after).count();
    auto approval = deps_.approvals->request(change.batch, *binding, expires, session.cause);
    turn.set_phase(index, CallPhase::parked);
    turn.set_approval(index, approval.id.text);
    change.after.push_back([this] { arm_expiry(); });
    if (skill.spec->has_preview)
        change.after.push_back([this, id = approval.id, invocation = std::move(*invocation)] {
            ask_preview(id, *invocation.skill, invocation.arguments);
        });
}

// The plugin's own words on a call that waits. It is asked in a worker without any right, so it can
// do nothing, whatever the call would be.
void Flow::ask_preview(ApprovalId const& id, SkillEntry const& skill,
                       std::string const& arguments) {
    auto spec = stopping_ ? Result<WorkerSpec>(Error(Fault::cancelled, ""))
                          : skill_spec(skill.plugin, false);
    if (!spec || spec->file->hash() != skill.file->hash()) return;
    spec->name += ".preview";
    spec->secrets.clear();
    spec->reveal.clear();
    auto worker = Worker::create(*deps_.workers, std::move(*spec));
    JsonWriter request;
    request.begin('{').pair("skill", skill.spec->name).key("arguments").raw(arguments).end('}');
    CallOptions options;
    options.timeout = limits::preview_time;
    CallSink sink;
    sink.on_done = [this, id, worker](Result<std::string> answer) {
        deps_.loop->post([worker] { worker->stop(); });
        auto value = answer ? parse_json(*answer) : Result<json::value>(answer.error());
        auto text = std::string(value ? text_at(*value, "text") : "");
        if (stopping_ || text.empty() || !deps_.find_secret(text).empty()) return;
        auto change = begin_change();
        deps_.approvals->add_preview(change.batch, id, text);
        commit(std::move(change));
    };
    worker->start(Verb::skill_preview, request.take(), options, std::move(sink));
}

// INTENT; and EGRESS with it for what a worker does itself, since nothing else will mark that.
void Flow::start_call(Change& change, Session& session, Turn& turn, std::size_t index,
                      Invocation invocation) {
    auto const& call = turn.calls()[index];
    auto const& skill = *invocation.skill;
    auto started = draft("skill.started", session);
    started.call = call.id;
    JsonWriter body;
    body.begin('{').pair("skill", skill.name).pair("plugin", skill.plugin.text);
    body.pair("effect", name_of(skill.spec->effect));
    if (!skill.is_of_host()) body.pair("file", skill.file->hash());
    body.pair("arguments_digest", hex(blake2b(invocation.arguments)));
    if (!call.approval.empty()) body.pair("approval", call.approval);
    started.body = body.end('}').take();
    auto seq = change.batch.record(std::move(started));
    if (skill.is_of_host()) return speak_first(change, session, turn, index, invocation, seq);
    bool marked = !invocation.grants.empty() && skill.spec->effect != EffectClass::pure;
    if (marked) {
        auto sent = draft("skill.sent", session);
        sent.call = call.id;
        sent.cause = seq;
        change.batch.record(std::move(sent));
    }
    turn.set_phase(index, marked ? CallPhase::sent : CallPhase::started);
    auto token = begin_live(call_key(session.id, call.id), {});
    change.after.push_back(
        [this, id = session.id, invocation = std::move(invocation), token, marked]() mutable {
            invoke(id, std::move(invocation), token, marked);
        });
}

void Flow::invoke(SessionId const& id, Invocation invocation, std::uint64_t token, bool marked) {
    if (stopping_) return;
    auto const& skill = *invocation.skill;
    auto key = call_key(id, invocation.call);
    auto live = live_.find(key);
    if (live == live_.end() || live->second.token != token) return;
    // What was permitted is this file; an upgrade may have come in between.
    auto const* plugin = deps_.plugins->usable(skill.plugin);
    bool is_same = plugin && plugin->file->hash() == skill.file->hash();
    auto worker = is_same ? skill_worker(skill, invocation.grants) : nullptr;
    if (!worker)
        return call_answered(id, invocation.call, token,
                             Error(Fault::unavailable, "the plugin cannot run now"));
    CallSink sink;
    // The worker is kept by its own call: one that holds a grant ends with it.
    sink.on_done = [this, id, call = invocation.call, token, worker, entry = invocation.skill,
                    expect = invocation.expect](Result<std::string> result) {
        auto held = hold_to_target(std::move(result), *entry, expect, deps_.workers->blobs);
        filter_result(id, entry->name, std::move(held),
                      [this, id, call, token](Result<std::string> kept, HookOutcome outcome) {
                          call_answered(id, call, token, std::move(kept), std::move(outcome));
                      });
    };
    if (!marked && skill.spec->effect != EffectClass::pure)
        sink.before_egress = [this, id, call = invocation.call](std::function<void()> go) {
            mark_sent(id, call, std::move(go));
        };
    CallOptions options;
    options.timeout = timeout_of(*skill.spec);
    auto handle = worker->start(Verb::skill_invoke, invoke_request(invocation, options.timeout),
                                options, std::move(sink));
    live->second.cancel = [worker, handle] { worker->cancel(handle); };
}

// EGRESS: durable before the first byte leaves through a host service.
void Flow::mark_sent(SessionId const& id, CallId const& call, std::function<void()> go) {
    auto found = deps_.sessions->find(id);
    auto turn = found ? Turn::from_json(found->turn) : Result<Turn>(Error(Fault::not_found, ""));
    if (!turn) return;
    auto index = turn->find(call.text);
    if (index == std::string::npos || turn->calls()[index].phase != CallPhase::started) return;
    auto session = *found;
    auto change = begin_change();
    auto sent = draft("skill.sent", session);
    sent.call = call;
    change.batch.record(std::move(sent));
    turn->set_phase(index, CallPhase::sent);
    session.turn = turn->to_json();
    deps_.sessions->save(change.batch, session);
    change.after.push_back(std::move(go));
    commit(std::move(change));
}

void Flow::call_answered(SessionId const& id, CallId const& call, std::uint64_t token,
                         Result<std::string> answer, HookOutcome outcome) {
    if (!end_live(call_key(id, call), token) || stopping_) return;
    auto found = deps_.sessions->find(id);
    if (!found || !found->has_turn()) return;
    auto session = *found;
    auto turn = Turn::from_json(session.turn);
    if (!turn) return;
    auto index = turn->find(call.text);
    if (index == std::string::npos) return;
    auto change = begin_change();
    note_hooks(change, session, HookPoint::skill_after, call, outcome);
    auto result = result_from(answer);
    auto phase = turn->calls()[index].phase;
    if (result && !result->attachments.empty()) {
        auto const* skill = skills_.find(turn->calls()[index].skill);
        auto given = skill ? hand_over(skill->plugin, session.instance, result->attachments)
                           : Result<>(Error(Fault::unavailable, "the plugin is gone"));
        if (!given) result = SkillResult{"Not sent: " + given.error().what, true, {}};
    }
    if (result) {
        settle(change, session, *turn, index, result->content, result->error, "skill.finished");
        if (!result->attachments.empty())
            queue_message(change, session, "", false, session.cause,
                          std::move(result->attachments));
    } else {
        auto const* skill = skills_.find(turn->calls()[index].skill);
        auto effect = skill ? skill->spec->effect : EffectClass::irreversible;
        // A plugin that answers with an error has spoken; one that died or was cut off has not.
        bool spoke = !answer && parse_json(answer.error().what);
        // What never reached the plugin provably did nothing.
        bool reached = answer || (answer.error().fault != Fault::unavailable &&
                                  answer.error().fault != Fault::denied);
        bool is_open = phase == CallPhase::sent && !spoke && reached &&
                       remedy_for(effect, Stage::sent) != Remedy::run_again;
        if (is_open && remedy_for(effect, Stage::sent) == Remedy::reconcile) {
            commit(std::move(change));
            return reconcile(id, call);
        }
        if (is_open)
            call_unknown(change, session, *turn, index, result.error().what);
        else
            settle(change, session, *turn, index, result.error().what, true, "skill.failed");
    }
    go_on(change, session, *turn, {});
    commit(std::move(change));
}

void Flow::settle(Change& change, Session& session, Turn& turn, std::size_t index,
                  std::string const& content, bool error, char const* kind, std::string actor) {
    auto const call = turn.calls()[index];
    auto text = is_utf8(content) ? content : visible(content);
    deps_.mask(text);
    auto finished = draft(kind, session);
    finished.call = call.id;
    if (!actor.empty()) finished.actor = std::move(actor);
    JsonWriter body;
    body.begin('{').pair("skill", clipped(visible(call.skill), limits::call_name_bytes));
    body.key("error").boolean(error);
    if (text.size() > limits::record_body_bytes)
        body.pair("content_digest", deps_.ledger->store_body(change.batch, text))
            .pair("bytes", static_cast<std::int64_t>(text.size()));
    else
        body.pair("content", text);
    finished.body = body.end('}').take();
    session.cause = change.batch.record(std::move(finished));
    // The record has it whole; the model sees no more than leaves room for the rest.
    if (auto model = config_->models.find(session.model); model != config_->models.end()) {
        auto context = model->second.context_tokens * limits::context_bytes_per_token;
        auto most = static_cast<std::size_t>(context) / limits::result_share_of_context;
        if (auto whole = text.size(); whole > most) {
            text.resize(clipped(text, most).size());
            text += "\n[cut: " + std::to_string(whole) + " bytes in all]";
        }
    }
    deps_.sessions->add_item(change.batch, session,
                             skill_fragment(call.id, call.skill, text, error));
    turn.call_settled(index);
}

// It may have happened and may not: the session stops, and a person sees what is known.
void Flow::call_unknown(Change& change, Session& session, Turn& turn, std::size_t index,
                        std::string const& evidence) {
    auto const call = turn.calls()[index];
    turn.set_phase(index, CallPhase::unknown);
    auto unknown = draft("skill.unknown", session);
    unknown.call = call.id;
    JsonWriter body;
    body.begin('{').pair("skill", call.skill).pair("evidence", clipped(visible(evidence), 2000));
    body.pair("arguments", deps_.sessions->arguments(session.id, call.id)).end('}');
    unknown.body = body.take();
    session.cause = change.batch.record(std::move(unknown));
    stop_session(change, session, turn, "outcome_unknown",
                 "it is not known whether call " + call.id.text + " (" + visible(call.skill) +
                     ") took effect: " + std::string(clipped(visible(evidence), 300)) +
                     ". Look, then: parley session resolve " + session.id.text + ' ' +
                     call.id.text + " done|not_done|retry");
}

void Flow::park_if_waiting(Change& change, Session& session, Turn const& turn) {
    if (session.state != SessionState::running || !turn.waits_for_approval()) return;
    session.state = SessionState::awaiting_approval;
    std::string ids, notice = "Waiting for approval:";
    for (auto const& call : turn.calls()) {
        if (call.phase != CallPhase::parked) continue;
        ids += (ids.empty() ? "" : ",") + call.approval;
        notice += "\n" + visible(call.skill) + " (" + call.approval +
                  "), decide with: parley approval show " + call.approval;
        auto approval = deps_.approvals->find(ApprovalId(call.approval));
        auto asked = approval ? approvers_of(*approval) : std::vector<Approver>();
        bool is_reached = std::any_of(asked.begin(), asked.end(), [&](auto const& one) {
            return deps_.ledger->get(Table::place, one.instance.text + '/' + one.identity);
        });
        if (!is_reached && session.instance.text != "api")
            notice +=
                "\nNobody could be asked in a chat: no approver has written to me in private.";
    }
    auto parked = draft("session.parked", session);
    JsonWriter body;
    body.begin('{').pair("approvals", ids).end('}');
    parked.body = body.take();
    auto seq = change.batch.record(std::move(parked));
    queue_message(change, session, notice, true, seq);
}

void Flow::reconcile(SessionId const& id, CallId const& call) {
    auto found = deps_.sessions->find(id);
    auto turn = found ? Turn::from_json(found->turn) : Result<Turn>(Error(Fault::not_found, ""));
    if (!turn) return;
    auto index = turn->find(call.text);
    if (index == std::string::npos) return;
    auto finish = [this, id, call](Result<std::string> answer) {
        auto now = deps_.sessions->find(id);
        auto now_turn =
            now ? Turn::from_json(now->turn) : Result<Turn>(Error(Fault::not_found, ""));
        if (stopping_ || !now_turn) return;
        auto at = now_turn->find(call.text);
        if (at == std::string::npos || now_turn->calls()[at].phase != CallPhase::sent) return;
        auto session = *now;
        auto change = begin_change();
        auto value = answer ? parse_json(*answer) : Result<json::value>(answer.error());
        auto outcome = value ? text_at(*value, "outcome") : std::string_view();
        if (outcome == "done")
            settle(change, session, *now_turn, at, std::string(text_at(*value, "content", "done")),
                   false, "skill.finished");
        else if (outcome == "not_done")
            settle(change, session, *now_turn, at,
                   "It was interrupted, and the plugin reports that it was not done.", true,
                   "skill.failed");
        else
            call_unknown(change, session, *now_turn, at,
                         "the plugin could not tell what became of it");
        go_on(change, session, *now_turn, {});
        commit(std::move(change));
    };
    auto invocation = prepare(*found, turn->calls()[index]);
    auto worker = invocation ? skill_worker(*invocation->skill, invocation->grants) : nullptr;
    if (!worker) return finish(Error(Fault::unavailable, "the plugin cannot be asked"));
    CallSink sink;
    sink.on_done = [finish, worker](Result<std::string> result) { finish(std::move(result)); };
    CallOptions options;
    options.timeout = timeout_of(*invocation->skill->spec);
    worker->start(Verb::skill_reconcile, invoke_request(*invocation, options.timeout), options,
                  sink);
}

}  // namespace parley
