// A turn asks the model: the budget's word, the exact request, the answer and what it sets off.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

constexpr char closing_words[] =
    "Summarise the conversation so far for yourself: facts, decisions, open tasks, and what the "
    "person wants. Be complete and brief. Answer with the summary alone.";
constexpr char summary_base[] =
    R"("system":"Summarise conversations faithfully. Add nothing.","skills":[])";

std::string model_key(SessionId const& id) {
    return id.text + "/model";
}

// The model call in flight, as the session's row keeps it.
struct InFlight {
    std::int64_t number = 0, tries = 0, request_bytes = 0, started_us = 0;
    bool compacts = false, suspect = false;
    std::string state_owner;  // whose a state of the answer will be; nobody's for a summary
    Reservation reservation;
    Seq requested = 0;

    std::string to_json() const {
        JsonWriter out;
        out.begin('{').pair("number", number).pair("tries", tries).pair("bytes", request_bytes);
        out.pair("started", started_us).key("compacts").boolean(compacts);
        out.key("suspect").boolean(suspect).pair("state_owner", state_owner);
        out.pair("requested", static_cast<std::int64_t>(requested));
        return out.key("reservation").raw(reservation.to_json()).end('}').take();
    }
    static InFlight from(std::string_view text) {
        InFlight attempt;
        auto value = parse_json(text);
        if (!value) return attempt;
        attempt.number = int_at(*value, "number");
        attempt.tries = int_at(*value, "tries");
        attempt.request_bytes = int_at(*value, "bytes");
        attempt.started_us = int_at(*value, "started");
        attempt.compacts = bool_at(*value, "compacts");
        attempt.suspect = bool_at(*value, "suspect");
        attempt.state_owner = text_at(*value, "state_owner");
        attempt.requested = static_cast<Seq>(int_at(*value, "requested"));
        if (auto const* kept = member(*value, "reservation"))
            attempt.reservation = Reservation::from_json(to_text(*kept));
        return attempt;
    }
};

std::string assistant_fragment(std::string_view text, std::vector<WantedCall> const& calls) {
    JsonWriter out;
    out.begin('{').pair("role", "assistant").pair("text", text);
    if (!calls.empty()) {
        out.key("calls").begin('[');
        for (auto const& call : calls)
            out.begin('{')
                .pair("id", call.id.text)
                .pair("name", call.skill)
                .pair("arguments", call.arguments)
                .end('}');
        out.end(']');
    }
    return out.end('}').take();
}

// Whose an answer's state is. Whatever its provider may have bound it to is in this name: another
// model, account, address, persona or skill list is another owner.
std::string state_owner(Session const& session, ModelConfig const& model) {
    Hasher hash("parley.state-owner/1");
    hash.field(std::string_view(model.provider.text)).field(std::string_view(model.model));
    hash.field(std::string_view(model.config));
    for (auto const& [field, secret] : model.secrets)
        hash.field(std::string_view(field)).field(std::string_view(secret.text()));
    return hex(hash.field(std::string_view(session.base)).done());
}

Budgets::Ask ask_of(Session const& session, ModelConfig const* model, std::int64_t request_bytes) {
    Budgets::Ask ask;
    ask.agent = session.agent;
    ask.session = session.id;
    ask.turn = session.turns;
    ask.request_bytes = request_bytes;
    ask.model = session.model;
    ask.cause = session.cause;
    if (model) {
        ask.max_output_tokens = model->max_output_tokens;
        ask.price = model->price;
    }
    return ask;
}

ModelConfig const* model_of(Config const& config, Session const& session) {
    auto found = config.models.find(session.model);
    return found == config.models.end() ? nullptr : &found->second;
}

}  // namespace

void Flow::carry_out(Change& change, Session& session, Turn& turn, std::vector<Step> const& steps) {
    for (auto const& step : steps) {
        if (std::holds_alternative<AskModel>(step))
            ask_model(change, session, turn);
        else if (auto const* call = std::get_if<ConsiderCall>(&step))
            consider(change, session, turn, call->index, false);
        else if (auto const* reply = std::get_if<GiveReply>(&step))
            give_reply(change, session, reply->text);
        else if (auto const* end = std::get_if<GiveUp>(&step))
            give_up(change, session, end->why);
    }
}

// Carries the steps out and saves what has become of turn and session.
void Flow::go_on(Change& change, Session& session, Turn& turn, std::vector<Step> steps) {
    session.updated_us = deps_.ledger->now_us();
    auto number = session.turns;
    session.turn = turn.to_json();
    carry_out(change, session, turn, steps);
    // Calls that were refused at once are settled already; then the model is asked again.
    while (session.has_turn() && session.turns == number &&
           session.state == SessionState::running) {
        steps = turn.due();
        if (steps.empty()) break;
        carry_out(change, session, turn, steps);
    }
    if (session.has_turn() && session.turns == number) {
        session.turn = turn.to_json();
        park_if_waiting(change, session, turn);
    }
    deps_.sessions->save(change.batch, session);
}

void Flow::ask_model(Change& change, Session& session, Turn& turn) {
    auto const* model = model_of(*config_, session);
    if (!model || !provider_for(session.model))
        return give_up(change, session,
                       "the model '" + session.model + "' cannot be used; see `parley status`");
    if (closed_models_.contains(session.model))
        return stop_session(change, session, turn, "budget",
                            "model " + session.model +
                                " cost more than was reserved and is "
                                "closed until the configuration is reloaded.");
    auto earlier = InFlight::from(session.attempt);
    InFlight attempt;
    attempt.number = earlier.number + 1;
    attempt.tries = earlier.tries;
    attempt.suspect = earlier.suspect;

    auto base = base_text(session.base);
    auto first = session.first_item, last = session.next_item;
    std::string closing;
    attempt.state_owner = state_owner(session, *model);
    auto fragments = [&] {
        return with_states_of(attempt.state_owner,
                              deps_.sessions->fragments(session.id, first, last));
    };
    auto most_bytes =
        (model->context_tokens - model->max_output_tokens) * limits::context_bytes_per_token;
    auto whole = request_text(model->model, model->max_output_tokens, base, fragments(), "");
    auto fits = [&] { return static_cast<std::int64_t>(whole.size()) <= most_bytes; };
    if (!fits() && first >= session.turn_item) {
        // Nothing is left to summarise. The words themselves may still fit.
        attempt.state_owner.clear();
        whole = request_text(model->model, model->max_output_tokens, base, fragments(), "");
        if (!fits())
            return give_up(change, session, "the turn no longer fits into the model's context");
    } else if (!fits()) {
        attempt.compacts = true;
        base = summary_base;
        last = session.turn_item;
        closing = closing_words;
        attempt.state_owner.clear();  // what it is bound to does not stand before it
        deps_.ledger->store_body(change.batch, base);
        whole = request_text(model->model, model->max_output_tokens, base, fragments(), closing);
    }
    if (auto found = deps_.find_secret(whole); !found.empty())
        return stop_session(change, session, turn, "secret",
                            "the secret " + found + " stood in a request to the model.");

    auto ask = ask_of(session, model, static_cast<std::int64_t>(whole.size()));
    auto reserved = deps_.budgets->reserve(change.batch, *config_, ask);
    if (auto const* refusal = std::get_if<Refusal>(&reserved)) {
        session.attempt.clear();
        if (refusal->wait) {
            waiting_for_budget_.insert(session.id.text);
            return;
        }
        return stop_session(change, session, turn, "budget", refusal->why + ".");
    }
    attempt.reservation = std::get<Reservation>(reserved);
    if (attempt.reservation.max_output_tokens != model->max_output_tokens)
        whole = request_text(model->model, attempt.reservation.max_output_tokens, base, fragments(),
                             closing);
    attempt.request_bytes = static_cast<std::int64_t>(whole.size());
    attempt.started_us = deps_.ledger->now_us();

    auto requested = draft("model.requested", session);
    JsonWriter body;
    body.begin('{').pair("model", session.model).pair("provider", model->provider.text);
    body.pair("wire_model", model->model);
    body.pair("base", attempt.compacts ? hex(blake2b(base)) : session.base);
    body.pair("first_item", first).pair("last_item", last);
    if (!closing.empty()) body.pair("closing", closing);
    if (!attempt.state_owner.empty()) body.pair("state_owner", attempt.state_owner);
    body.pair("max_output_tokens", attempt.reservation.max_output_tokens);
    body.pair("bytes", attempt.request_bytes).pair("digest", hex(blake2b(whole))).end('}');
    requested.body = body.take();
    attempt.requested = change.batch.record(std::move(requested));
    session.attempt = attempt.to_json();
    change.after.push_back(
        [this, id = session.id, request = std::move(whole), number = attempt.number]() mutable {
            send_attempt(id, std::move(request), number);
        });
}

void Flow::send_attempt(SessionId const& id, std::string request, std::int64_t number) {
    auto session = deps_.sessions->find(id);
    if (stopping_ || !session || !session->has_turn()) return;
    auto key = model_key(id);
    auto token = begin_live(key, {});
    if (!hooks_.listens(HookPoint::model_before))
        return call_model(id, std::move(request), number, token);
    auto event = hook_event(HookPoint::model_before, *session, request);
    hooks_.run(std::move(event), [this, id, key, number, token,
                                  request = std::move(request)](HookOutcome outcome) mutable {
        auto asking = deps_.sessions->find(id);
        auto live = live_.find(key);
        if (stopping_ || !asking || live == live_.end() || live->second.token != token) return;
        if (!outcome.notes.empty()) {
            auto change = begin_change();
            note_hooks(change, *asking, HookPoint::model_before, {}, outcome);
            commit(std::move(change));
        }
        if (!outcome.is_rejected) return call_model(id, std::move(request), number, token);
        end_live(key, token);
        AnswerFault fault;
        fault.fault = Fault::denied;
        fault.code = "denied";
        fault.message = "it was not asked, by " + outcome.why;
        model_failed(id, number, std::move(fault));
    });
}

void Flow::call_model(SessionId const& id, std::string request, std::int64_t number,
                      std::uint64_t token) {
    auto session = deps_.sessions->find(id);
    auto provider = provider_for(session->model);
    auto key = model_key(id);
    if (!provider) {
        end_live(key, token);
        AnswerFault fault;
        fault.message = "the model's provider is gone";
        return model_failed(id, number, std::move(fault));
    }
    Provider::Sink sink;
    // What a hook may still take back is not shown before.
    bool is_summary = InFlight::from(session->attempt).compacts;
    begin_showing(*session);
    if (!is_summary && !hooks_.listens(HookPoint::message_out) &&
        !hooks_.listens(HookPoint::model_after))
        // Streamed text passes the same door as the whole answer will: once a secret shows, no
        // more.
        sink.on_text = [this, session, so_far = std::string()](std::string_view text) mutable {
            so_far += text;
            if (!deps_.find_secret(so_far).empty()) return;
            if (delta_) delta_(*session, text);
            show_text(session->id, text);
        };
    sink.on_answer = [this, id, number, key, token, is_summary](Answer answer) {
        filter_answer(id, is_summary, std::move(answer),
                      [this, id, number, key, token](FilteredAnswer filtered) {
                          if (end_live(key, token)) model_answered(id, number, std::move(filtered));
                      });
    };
    sink.on_fault = [this, id, number, key, token](AnswerFault fault) {
        if (end_live(key, token)) model_failed(id, number, std::move(fault));
    };
    auto manner = InFlight::from(session->attempt).suspect ? Provider::Manner::suspect
                                                           : Provider::Manner::usual;
    auto handle = provider->generate(std::move(request), manner, std::move(sink));
    if (auto live = live_.find(key); live != live_.end())
        live->second.cancel = [provider, handle] { provider->cancel(handle); };
}

void Flow::model_answered(SessionId const& id, std::int64_t number, FilteredAnswer filtered) {
    auto& answer = filtered.answer;
    auto found = deps_.sessions->find(id);
    if (stopping_ || !found || !found->has_turn()) return;
    auto session = *found;
    auto attempt = InFlight::from(session.attempt);
    auto parsed = Turn::from_json(session.turn);
    if (attempt.number != number || !parsed) return;
    auto& turn = *parsed;
    auto change = begin_change();
    auto const* model = model_of(*config_, session);

    deps_.mask(answer.text);
    note_hooks(change, session, HookPoint::model_after, {}, filtered.model);
    note_hooks(change, session, attempt.compacts ? HookPoint::compaction : HookPoint::message_out,
               {}, filtered.text);
    for (auto const* outcome : {&filtered.model, &filtered.text})
        if (outcome->is_rejected)
            answer.text =
                attempt.compacts ? "" : "(The reply was withheld by " + outcome->why + ")";
    std::vector<WantedCall> calls;
    for (auto& call : answer.calls) {
        deps_.mask(call.arguments);
        calls.push_back({CallId("c-" + std::to_string(session.next_call++)), call.name,
                         std::move(call.arguments)});
    }
    Usage reported{answer.input.value_or(0), answer.output.value_or(0),
                   answer.cache_read.value_or(0), answer.cache_write.value_or(0)};
    auto usage = believable(reported, {attempt.request_bytes, answer.bytes});
    std::optional<Spend> spent;
    if (answer.input && answer.output) spent = cost_of(model ? model->price : std::nullopt, usage);
    auto cost = spent.value_or(attempt.reservation.most);

    auto fragment = assistant_fragment(answer.text, calls);
    // What a hook or the mask took out of an answer must not come back by its state.
    bool is_its_own = !filtered.is_changed && filtered.model.notes.empty() &&
                      filtered.text.notes.empty() &&
                      std::all_of(filtered.calls.begin(), filtered.calls.end(),
                                  [](auto const& call) { return call.notes.empty(); }) &&
                      deps_.find_secret(answer.state).empty();
    if (is_its_own && !attempt.state_owner.empty() && !answer.state.empty())
        fragment = with_state(std::move(fragment), attempt.state_owner, answer.state);
    auto answered = draft("model.answered", session);
    answered.cause = attempt.requested;
    JsonWriter body;
    answer.detail = visible(answer.detail);
    deps_.mask(answer.detail);
    body.begin('{').pair("model", session.model).pair("stop", answer.stop);
    body.pair("tokens_in", usage.input).pair("tokens_out", usage.output);
    if (usage.cache_read) body.pair("tokens_cached", usage.cache_read);
    if (usage.cache_write) body.pair("tokens_cache_written", usage.cache_write);
    if (!answer.detail.empty()) body.pair("detail", answer.detail);
    body.key("cost_usd");
    if (model && model->price)
        body.usd(cost.nano_usd).pair("price_source", "parley.yaml");
    else
        body.null().pair("price_source", "unknown");
    body.pair("latency_ms", (deps_.ledger->now_us() - attempt.started_us) / 1000);
    // A last answer stands in message.queued; what comes with calls stands nowhere else.
    if (!calls.empty() && !answer.text.empty()) body.pair("text", answer.text);
    body.pair("digest", hex(blake2b(fragment))).end('}');
    answered.body = body.take();
    session.cause = change.batch.record(std::move(answered));

    settle_attempt(change, session, spent);
    session.cost_nano_usd += cost.nano_usd;
    session.tokens_in += usage.input;
    session.tokens_out += usage.output;

    if (attempt.compacts) {
        compacted(change, session, turn, answer);
    } else {
        deps_.sessions->add_item(change.batch, session, std::move(fragment));
        // The model's own words stay its own; what a hook made of them is what is asked for.
        for (std::size_t i = 0; i < filtered.calls.size(); ++i) {
            note_hooks(change, session, HookPoint::skill_before, calls[i].id, filtered.calls[i]);
            calls[i].arguments = filtered.calls[i].text;
            deps_.mask(calls[i].arguments);
        }
        for (auto const& call : calls)
            deps_.sessions->put_arguments(change.batch, id, call.id, call.arguments);
        if (answer.stop == "refusal" && answer.text.empty() && calls.empty())
            answer.text = "The model refused to answer" +
                          (answer.detail.empty() ? "." : " (" + answer.detail + ").");
        auto steps = turn.model_answered(std::move(answer.text), calls);
        for (auto const& call : calls) {
            auto requested = draft("skill.requested", session);
            requested.call = call.id;
            JsonWriter wanted;
            wanted.begin('{').pair("skill", clipped(visible(call.skill), limits::call_name_bytes));
            requested.body = wanted.pair("arguments", call.arguments).end('}').take();
            change.batch.record(std::move(requested));
        }
        for (std::size_t i = 0; i < filtered.calls.size(); ++i) {
            if (!filtered.calls[i].is_rejected) continue;
            settle(change, session, turn, i, "It was refused by " + filtered.calls[i].why, true,
                   "skill.failed");
            std::erase_if(steps, [&](Step const& step) {
                auto const* wanted = std::get_if<ConsiderCall>(&step);
                return wanted && wanted->index == i;
            });
        }
        go_on(change, session, turn, std::move(steps));
    }
    commit(std::move(change));
    wake_those_waiting_for_budget();
}

// The summary takes the place of everything before this turn; the raw items stay where they are.
void Flow::compacted(Change& change, Session& session, Turn& turn, Answer const& answer) {
    if (answer.text.empty() || !answer.calls.empty())
        return go_on(change, session, turn,
                     turn.model_failed("the model gave no summary of a context that is full"));
    auto from = session.first_item, to = session.turn_item, end = session.next_item;
    std::vector<std::string> kept;
    for (auto item = to; item < end; ++item)
        // They stand behind other words now than those that a state may be bound to.
        kept.push_back(with_states_of("", deps_.sessions->fragments(session.id, item, item + 1)));
    session.first_item = session.next_item;
    deps_.sessions->add_item(
        change.batch, session,
        user_fragment("Summary of the conversation so far:\n" + answer.text, ""));
    session.turn_item = session.next_item;
    for (auto& fragment : kept)
        deps_.sessions->add_item(change.batch, session, std::move(fragment));

    auto record = draft("context.compacted", session);
    JsonWriter body;
    body.begin('{').pair("from_item", from).pair("to_item", to);
    body.pair("summary_item", session.first_item).pair("summary", answer.text).end('}');
    record.body = body.take();
    change.batch.record(std::move(record));
    go_on(change, session, turn, {AskModel{}});
}

void Flow::model_failed(SessionId const& id, std::int64_t number, AnswerFault fault) {
    auto found = deps_.sessions->find(id);
    if (stopping_ || !found || !found->has_turn()) return;
    auto session = *found;
    auto attempt = InFlight::from(session.attempt);
    auto turn = Turn::from_json(session.turn);
    if (attempt.number != number || !turn) return;
    auto change = begin_change();
    fault.message = clipped(visible(fault.message), 1000);
    deps_.mask(fault.message);

    bool again = fault.retryable && attempt.tries < limits::retries_per_model_call;
    auto failed = draft("model.failed", session);
    failed.cause = attempt.requested;
    JsonWriter body;
    body.begin('{').pair("model", session.model).pair("code", visible(fault.code));
    body.pair("message", fault.message).key("will_retry").boolean(again);
    body.key("left").boolean(fault.left).end('}');
    failed.body = body.take();
    session.cause = change.batch.record(std::move(failed));
    // Nothing left: it cost nothing. Otherwise nobody knows, so all that was reserved.
    settle_attempt(change, session, fault.left ? std::nullopt : std::optional<Spend>(Spend{}));
    if (fault.left) session.cost_nano_usd += attempt.reservation.most.nano_usd;

    if (!again) {
        go_on(change, session, *turn, turn->model_failed("the model failed: " + fault.message));
    } else {
        InFlight next;
        next.number = attempt.number;
        next.tries = attempt.tries + 1;
        next.suspect = fault.fault == Fault::peer_gone;
        session.attempt = next.to_json();
        deps_.sessions->save(change.batch, session);
        auto wait = std::chrono::milliseconds(500) * (1 << attempt.tries);
        timers_[model_key(id)] = deps_.loop->after(std::max(wait, fault.retry_after), [this, id] {
            auto now = deps_.sessions->find(id);
            if (!now || !now->has_turn() || now->state != SessionState::running) return;
            auto again_session = *now;
            auto again_turn = Turn::from_json(again_session.turn);
            if (!again_turn || !again_turn->is_thinking()) return;
            auto again_change = begin_change();
            go_on(again_change, again_session, *again_turn, {AskModel{}});
            commit(std::move(again_change));
        });
    }
    commit(std::move(change));
    wake_those_waiting_for_budget();
}

void Flow::settle_attempt(Change& change, Session& session, std::optional<Spend> spent) {
    auto attempt = InFlight::from(session.attempt);
    session.attempt.clear();
    auto const& reservation = attempt.reservation;
    if (reservation.rows.empty()) return;
    deps_.budgets->settle(change.batch, *config_,
                          ask_of(session, model_of(*config_, session), attempt.request_bytes),
                          reservation, spent);
    if (spent &&
        (spent->nano_usd > reservation.most.nano_usd || spent->tokens > reservation.most.tokens))
        closed_models_.insert(session.model);
}

void Flow::give_reply(Change& change, Session& session, std::string const& text) {
    auto finished = draft("turn.finished", session);
    auto seq = change.batch.record(std::move(finished));
    queue_message(change, session, text.empty() ? "(The model gave no answer.)" : text, false, seq);
    end_turn(change, session);
}

void Flow::give_up(Change& change, Session& session, std::string const& why) {
    auto failed = draft("turn.failed", session);
    JsonWriter body;
    body.begin('{').pair("why", why).end('}');
    failed.body = body.take();
    auto seq = change.batch.record(std::move(failed));
    queue_message(change, session, "I could not finish: " + why + ".", true, seq);
    end_turn(change, session);
    if (session.has_turn()) return;
    session.state = SessionState::stopped;
    session.reason = "failure";
    session.detail = why;
}

// The turn is over. What waits in the inbox sets off the next one, in the same batch.
void Flow::end_turn(Change& change, Session& session) {
    auto turn = Turn::from_json(session.turn);
    std::vector<CallId> calls;
    for (auto number = session.next_call - 1; turn && number > 0; --number) {
        CallId call("c-" + std::to_string(number));
        if (!deps_.ledger->get(Table::call, session.id.text + '/' + call.text)) break;
        calls.push_back(std::move(call));
    }
    deps_.sessions->drop_arguments(change.batch, session.id, calls);
    session.turn.clear();
    session.attempt.clear();
    session.state = SessionState::dormant;
    session.updated_us = deps_.ledger->now_us();
    if (session.waiting == 0 || !agent_of(session)) return;
    auto waiting = deps_.sessions->take_inbox(change.batch, session);
    if (!waiting.empty()) begin_turn(change, session, waiting);
}

void Flow::stop_session(Change& change, Session& session, Turn const& turn, std::string reason,
                        std::string detail) {
    session.state = SessionState::stopped;
    session.reason = std::move(reason);
    session.detail = std::move(detail);
    session.turn = turn.to_json();
    if (session.reason == "budget")
        change.batch.put(Table::session_index, "budget/" + session.id.text, "");
    auto stopped = draft("session.stopped", session);
    JsonWriter body;
    body.begin('{').pair("reason", session.reason).pair("detail", session.detail).end('}');
    stopped.body = body.take();
    auto seq = change.batch.record(std::move(stopped));
    queue_message(change, session, "I have stopped (" + session.reason + "): " + session.detail,
                  true, seq);
}

void Flow::wake_those_waiting_for_budget() {
    if (waiting_for_budget_.empty()) return;
    auto waiting = std::exchange(waiting_for_budget_, {});
    for (auto const& id : waiting) {
        auto found = deps_.sessions->find(SessionId(id));
        if (!found || !found->has_turn() || found->state != SessionState::running) continue;
        auto session = *found;
        auto turn = Turn::from_json(session.turn);
        if (!turn || !turn->is_thinking()) continue;
        auto change = begin_change();
        go_on(change, session, *turn, {AskModel{}});
        commit(std::move(change));
    }
}

// A session that a budget stopped goes on by itself when the cap allows: after a reload, and when a
// period has ended.
void Flow::retry_budget_stops() {
    std::vector<std::string> ids;
    std::string const prefix = "budget/";
    deps_.ledger->scan(Table::session_index, prefix, "",
                       [&](std::string_view key, std::string_view) {
                           ids.emplace_back(key.substr(prefix.size()));
                           return true;
                       });
    for (auto const& id : ids) {
        auto found = deps_.sessions->find(SessionId(id));
        bool stands = found && found->state == SessionState::stopped && found->reason == "budget";
        auto const* model = stands ? model_of(*config_, *found) : nullptr;
        if (stands && (!model || !agent_of(*found))) continue;
        if (!stands) {
            auto change = begin_change();
            change.batch.erase(Table::session_index, prefix + id);
            commit(std::move(change));
            continue;
        }
        // Asked in a batch of its own that is dropped: the real one comes with the model call.
        auto bytes =
            deps_.sessions->fragments(found->id, found->first_item, found->next_item).size() +
            base_text(found->base).size() + 256;
        auto ask = ask_of(*found, model, static_cast<std::int64_t>(bytes));
        auto fits = [&] {
            auto trial = deps_.ledger->begin();
            return !std::holds_alternative<Refusal>(deps_.budgets->reserve(trial, *config_, ask));
        };
        if (!fits()) continue;
        auto change = begin_change();
        auto session = *found;
        auto turn = Turn::from_json(session.turn);
        if (!turn) continue;
        session.state = SessionState::running;
        session.reason.clear();
        session.detail.clear();
        change.batch.erase(Table::session_index, prefix + id);
        change.batch.record(draft("session.woken", session));
        go_on(change, session, *turn, {AskModel{}});
        commit(std::move(change));
    }
    budget_timer_ = deps_.loop->after(std::chrono::minutes(1), [this] { retry_budget_stops(); });
}

}  // namespace parley
