// A turn asks the model: the budget's word, the exact request, the answer and what it sets off.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"
#include "flow/model_call.hpp"
#include "provider/retry.hpp"

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

Budgets::Ask ask_of(Session const& session, std::string const& name, ModelConfig const* model,
                    std::int64_t request_bytes) {
    Budgets::Ask ask;
    ask.agent = session.agent;
    ask.session = session.id;
    ask.turn = session.turns;
    ask.request_bytes = request_bytes;
    ask.model = name;
    ask.cause = session.cause;
    if (model) {
        ask.max_output_tokens = model->max_output_tokens;
        ask.price = model->price;
    }
    return ask;
}

ModelConfig const* model_named(Config const& config, std::string const& name) {
    auto found = config.models.find(name);
    return found == config.models.end() ? nullptr : &found->second;
}

// The model that a call turns to when this one fails; empty when there is none.
std::string model_after(Config const& config, Session const& session, std::string const& name) {
    auto order = models_in_order(config, session.model);
    auto at = std::find(order.begin(), order.end(), name);
    return at == order.end() || ++at == order.end() ? "" : *at;
}

// A number from 0 to 1 of which each attempt has its own: calls that failed together come again
// apart, and a replay of the ledger sees the same.
double chance_of(Session const& session, ModelCall const& call) {
    Hasher hash("parley.retry/1");
    hash.field(std::string_view(session.id.text)).field(std::to_string(call.requested));
    return static_cast<double>(static_cast<unsigned char>(hash.done()[0])) / 255.0;
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

// The models of the call in their order, from the one whose turn it is, until one can be asked. One
// that cannot is passed over; what another model would not change ends it.
void Flow::ask_model(Change& change, Session& session, Turn& turn) {
    auto call = ModelCall::from(session.attempt);
    auto order = models_in_order(*config_, session.model);
    if (order.empty()) order.push_back(session.model);
    auto at = std::find(order.begin(), order.end(), call.model);
    if (at == order.end()) at = order.begin();
    std::optional<Obstacle> first, last;
    for (; at != order.end(); ++at) {
        call.turn_to(*at);
        bool is_fallback = at != order.begin();
        last = begin_attempt(change, session, call, is_fallback);
        if (!last) return;
        if (last->kind == Obstacle::Kind::wait) {
            session.attempt = call.to_json();
            waiting_for_budget_.insert(session.id.text);
            return;
        }
        if (!first) first = last;
        if (last->kind == Obstacle::Kind::secret) break;
        if (!is_fallback && last->kind != Obstacle::Kind::unusable) break;
        call.pass_over(last->code);
    }
    // Without one that was asked, the first says why; it is the model that the operator named.
    if (last->kind == Obstacle::Kind::secret) {
        if (call.attempts > 0) end_call(change, session, call, last->code, last->why);
        return stop_session(change, session, turn, "secret", last->why);
    }
    if (first->kind == Obstacle::Kind::budget) {
        session.attempt = call.to_json();  // a raised cap goes on with it
        return stop_session(change, session, turn, "budget", first->why);
    }
    if (call.attempts == 0) return give_up(change, session, first->why);
    auto why = call.why;
    end_call(change, session, call, last->code, last->why);
    give_up(change, session, "the model failed: " + why);
}

// Reserves, and records what is asked; it leaves when that is durable.
std::optional<Flow::Obstacle> Flow::begin_attempt(Change& change, Session& session, ModelCall& call,
                                                  bool is_fallback) {
    using Kind = Obstacle::Kind;
    auto const* model = model_named(*config_, call.model);
    if (!model || !provider_for(call.model))
        return Obstacle{Kind::unusable, "unavailable",
                        "the model '" + call.model + "' cannot be used; see `parley status`"};
    if (closed_models_.contains(call.model))
        return Obstacle{is_fallback ? Kind::unusable : Kind::budget, "closed",
                        "model " + call.model +
                            " cost more than was reserved and is closed until the configuration "
                            "is reloaded."};

    auto base = base_text(session.base);
    auto first = session.first_item, last = session.next_item;
    std::string closing;
    call.state_owner = state_owner(session, *model);
    auto output = model->max_output_tokens;
    auto text = [&] {
        return request_text(
            model->model, output, base,
            with_states_of(call.state_owner, deps_.sessions->fragments(session.id, first, last)),
            closing);
    };
    auto summarise = [&] {
        call.compacts = true;
        base = summary_base;
        last = session.turn_item;
        closing = closing_words;
        call.state_owner.clear();  // what it is bound to does not stand before it
        deps_.ledger->store_body(change.batch, base);
        return text();
    };
    auto most_bytes =
        (model->context_tokens - model->max_output_tokens) * limits::context_bytes_per_token;
    auto fits = [&](std::string const& whole) {
        return static_cast<std::int64_t>(whole.size()) <= most_bytes;
    };
    // Whether a summary is due says the first that is asked: to lose the words of a conversation
    // for the sake of a fallback with a small context would be a bad trade.
    bool decides = !is_fallback || call.attempts == 0;
    if (decides) call.compacts = false;
    auto whole = call.compacts ? summarise() : text();
    if (decides && !fits(whole) && first < session.turn_item) {
        whole = summarise();
    } else if (!fits(whole) && !call.state_owner.empty()) {
        // Nothing is left to summarise. The words themselves may still fit.
        call.state_owner.clear();
        whole = text();
    }
    if (!fits(whole) && !(decides && call.compacts))
        return Obstacle{is_fallback ? Kind::unusable : Kind::too_long, "limit",
                        "the turn no longer fits into the model's context"};
    if (auto found = deps_.find_secret(whole); !found.empty())
        return Obstacle{Kind::secret, "secret",
                        "the secret " + found + " stood in a request to the model."};

    auto ask = ask_of(session, call.model, model, static_cast<std::int64_t>(whole.size()));
    auto reserved = deps_.budgets->reserve(change.batch, *config_, ask);
    if (auto const* refusal = std::get_if<Refusal>(&reserved))
        return Obstacle{refusal->wait ? Kind::wait
                        : is_fallback ? Kind::unusable
                                      : Kind::budget,
                        "budget", refusal->why + "."};
    call.reservation = std::get<Reservation>(reserved);
    if (call.reservation.max_output_tokens != output) {
        output = call.reservation.max_output_tokens;
        whole = text();
    }
    ++call.number;
    call.request_bytes = static_cast<std::int64_t>(whole.size());
    call.started_us = deps_.ledger->now_us();

    auto requested = draft("model.requested", session);
    JsonWriter body;
    body.begin('{').pair("model", call.model).pair("provider", model->provider.text);
    body.pair("wire_model", model->model);
    if (is_fallback) body.pair("fallback_of", session.model);
    body.pair("base", call.compacts ? hex(blake2b(base)) : session.base);
    body.pair("first_item", first).pair("last_item", last);
    if (!closing.empty()) body.pair("closing", closing);
    if (!call.state_owner.empty()) body.pair("state_owner", call.state_owner);
    body.pair("max_output_tokens", output);
    body.pair("bytes", call.request_bytes).pair("digest", hex(blake2b(whole))).end('}');
    requested.body = body.take();
    call.requested = change.batch.record(std::move(requested));
    session.attempt = call.to_json();
    change.after.push_back(
        [this, id = session.id, request = std::move(whole), number = call.number]() mutable {
            send_attempt(id, std::move(request), number);
        });
    return {};
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
    auto call = ModelCall::from(session->attempt);
    auto provider = provider_for(call.model);
    auto key = model_key(id);
    if (!provider) {
        end_live(key, token);
        AnswerFault fault;
        fault.fault = Fault::unavailable;
        fault.code = "unavailable";
        fault.message = "the model's provider is gone";
        return model_failed(id, number, std::move(fault));
    }
    Provider::Sink sink;
    // What a hook may still take back is not shown before.
    bool is_summary = call.compacts;
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
    auto manner = call.suspect ? Provider::Manner::suspect : Provider::Manner::usual;
    auto handle = provider->generate(std::move(request), manner, std::move(sink));
    if (auto live = live_.find(key); live != live_.end())
        live->second.cancel = [provider, handle] { provider->cancel(handle); };
}

void Flow::model_answered(SessionId const& id, std::int64_t number, FilteredAnswer filtered) {
    auto& answer = filtered.answer;
    auto found = deps_.sessions->find(id);
    if (stopping_ || !found || !found->has_turn()) return;
    auto session = *found;
    auto call = ModelCall::from(session.attempt);
    auto parsed = Turn::from_json(session.turn);
    if (call.number != number || !call.is_under_way() || !parsed) return;
    auto& turn = *parsed;
    auto change = begin_change();
    auto const* model = model_named(*config_, call.model);

    deps_.mask(answer.text);
    note_hooks(change, session, HookPoint::model_after, {}, filtered.model);
    note_hooks(change, session, call.compacts ? HookPoint::compaction : HookPoint::message_out, {},
               filtered.text);
    for (auto const* outcome : {&filtered.model, &filtered.text})
        if (outcome->is_rejected)
            answer.text = call.compacts ? "" : "(The reply was withheld by " + outcome->why + ")";
    std::vector<WantedCall> calls;
    for (auto& wanted : answer.calls) {
        deps_.mask(wanted.arguments);
        calls.push_back({CallId("c-" + std::to_string(session.next_call++)), wanted.name,
                         std::move(wanted.arguments)});
    }
    Usage reported{answer.input.value_or(0), answer.output.value_or(0),
                   answer.cache_read.value_or(0), answer.cache_write.value_or(0)};
    auto usage = believable(reported, {call.request_bytes, answer.bytes});
    std::optional<Spend> spent;
    if (answer.input && answer.output) spent = cost_of(model ? model->price : std::nullopt, usage);

    auto fragment = assistant_fragment(answer.text, calls);
    // What a hook or the mask took out of an answer must not come back by its state.
    bool is_its_own = !filtered.is_changed && filtered.model.notes.empty() &&
                      filtered.text.notes.empty() &&
                      std::all_of(filtered.calls.begin(), filtered.calls.end(),
                                  [](auto const& one) { return one.notes.empty(); }) &&
                      deps_.find_secret(answer.state).empty();
    if (is_its_own && !call.state_owner.empty() && !answer.state.empty())
        fragment = with_state(std::move(fragment), call.state_owner, answer.state);
    auto answered = draft("model.answered", session);
    answered.cause = call.requested;
    auto started_us = call.started_us;
    AttemptEnd end;
    end.outcome = "answered";
    end.usage = usage;
    settle_attempt(change, session, call, std::move(end), spent);
    JsonWriter body;
    answer.detail = visible(answer.detail);
    deps_.mask(answer.detail);
    body.begin('{').pair("model", call.model).pair("stop", answer.stop);
    if (call.model != session.model) body.pair("fallback_of", session.model);
    body.pair("tokens_in", usage.input).pair("tokens_out", usage.output);
    if (usage.cache_read) body.pair("tokens_cached", usage.cache_read);
    if (usage.cache_write) body.pair("tokens_cache_written", usage.cache_write);
    if (answer.thought && *answer.thought > 0)
        body.pair("tokens_reasoning", std::min(*answer.thought, usage.output));
    if (!answer.detail.empty()) body.pair("detail", answer.detail);
    call.write_cost(body);
    body.pair("price_source", model ? model->price_source : "unknown");
    body.pair("latency_ms", (deps_.ledger->now_us() - started_us) / 1000);
    // A last answer stands in message.queued; what comes with calls stands nowhere else.
    if (!calls.empty() && !answer.text.empty()) body.pair("text", answer.text);
    body.pair("digest", hex(blake2b(fragment))).end('}');
    answered.body = body.take();
    session.cause = change.batch.record(std::move(answered));

    session.attempt.clear();
    session.answered_by = call.model;
    session.fallback_of = call.model == session.model ? "" : session.model;
    if (call.compacts) {
        compacted(change, session, turn, answer);
    } else {
        deps_.sessions->add_item(change.batch, session, std::move(fragment));
        // The model's own words stay its own; what a hook made of them is what is asked for.
        for (std::size_t i = 0; i < filtered.calls.size(); ++i) {
            note_hooks(change, session, HookPoint::skill_before, calls[i].id, filtered.calls[i]);
            calls[i].arguments = filtered.calls[i].text;
            deps_.mask(calls[i].arguments);
        }
        for (auto const& wanted : calls)
            deps_.sessions->put_arguments(change.batch, id, wanted.id, wanted.arguments);
        if (answer.stop == "refusal" && answer.text.empty() && calls.empty())
            answer.text = "The model refused to answer" +
                          (answer.detail.empty() ? "." : " (" + answer.detail + ").");
        auto steps = turn.model_answered(std::move(answer.text), calls);
        for (auto const& wanted : calls) {
            auto requested = draft("skill.requested", session);
            requested.call = wanted.id;
            JsonWriter asked;
            asked.begin('{').pair("skill", clipped(visible(wanted.skill), limits::call_name_bytes));
            requested.body = asked.pair("arguments", wanted.arguments).end('}').take();
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
    auto call = ModelCall::from(session.attempt);
    auto turn = Turn::from_json(session.turn);
    if (call.number != number || !call.is_under_way() || !turn) return;
    auto change = begin_change();
    fault.message = clipped(visible(fault.message), 1000);
    deps_.mask(fault.message);
    auto next = model_after(*config_, session, call.model);
    auto then =
        after_fault(fault, static_cast<int>(call.tries), !next.empty(), chance_of(session, call));

    // Nothing left: it cost nothing. Otherwise what the service counted; where it did not, nobody
    // knows, so all that was reserved.
    auto const* model = model_named(*config_, call.model);
    auto requested = call.requested;
    AttemptEnd end;
    end.outcome = visible(fault.code);
    end.why = fault.message;
    end.left = fault.left;
    std::optional<Spend> spent;
    if (!fault.left) {
        spent = Spend{};
    } else if (fault.input && fault.output) {
        end.usage = believable({*fault.input, *fault.output, fault.cache_read.value_or(0),
                                fault.cache_write.value_or(0)},
                               {call.request_bytes, fault.bytes});
        spent = cost_of(model ? model->price : std::nullopt, *end.usage);
    }
    settle_attempt(change, session, call, std::move(end), spent);

    auto failed = draft("model.failed", session);
    failed.cause = requested;
    JsonWriter body;
    body.begin('{').pair("model", call.model).pair("code", visible(fault.code));
    body.pair("message", fault.message);
    body.key("will_retry").boolean(then.kind != AfterFault::Kind::end);
    if (then.kind == AfterFault::Kind::again) body.pair("wait_ms", then.wait.count());
    if (then.kind == AfterFault::Kind::next) body.pair("next", next);
    body.key("left").boolean(fault.left);
    if (then.kind == AfterFault::Kind::end) call.write_cost(body);
    failed.body = body.end('}').take();
    session.cause = change.batch.record(std::move(failed));

    if (then.kind == AfterFault::Kind::end) {
        session.attempt.clear();
        go_on(change, session, *turn, turn->model_failed("the model failed: " + fault.message));
    } else if (then.kind == AfterFault::Kind::next) {
        call.turn_to(next);
        session.attempt = call.to_json();
        go_on(change, session, *turn, {AskModel{}});
    } else {
        ++call.tries;
        call.waited_ms = then.wait.count();
        call.suspect = fault.fault == Fault::peer_gone;
        session.attempt = call.to_json();
        deps_.sessions->save(change.batch, session);
        timers_[model_key(id)] = deps_.loop->after(then.wait, [this, id] { ask_again(id); });
    }
    commit(std::move(change));
    wake_those_waiting_for_budget();
}

void Flow::ask_again(SessionId const& id) {
    auto found = deps_.sessions->find(id);
    if (!found || !found->has_turn() || found->state != SessionState::running) return;
    auto session = *found;
    auto turn = Turn::from_json(session.turn);
    if (!turn || !turn->is_thinking()) return;
    auto change = begin_change();
    go_on(change, session, *turn, {AskModel{}});
    commit(std::move(change));
}

// The reservation of the attempt under way becomes what it cost, and the attempt is over. `spent`
// empty: nobody knows, so all that was reserved.
void Flow::settle_attempt(Change& change, Session& session, ModelCall& call, AttemptEnd end,
                          std::optional<Spend> spent) {
    auto const* model = model_named(*config_, call.model);
    auto const& reservation = call.reservation;
    auto cost = spent.value_or(reservation.most);
    if (!reservation.rows.empty())
        deps_.budgets->settle(change.batch, *config_,
                              ask_of(session, call.model, model, call.request_bytes), reservation,
                              spent);
    if (!reservation.rows.empty() &&
        (cost.nano_usd > reservation.most.nano_usd || cost.tokens > reservation.most.tokens))
        closed_models_.insert(call.model);
    session.cost_nano_usd += cost.nano_usd;
    if (end.usage) {
        session.tokens_in += end.usage->input;
        session.tokens_out += end.usage->output;
    }
    end.nano_usd = cost.nano_usd;
    end.is_priced = model && model->price;
    end.now_us = deps_.ledger->now_us();
    call.end_attempt(end);
}

// The record of a call that has no answer and will not be made again.
void Flow::end_call(Change& change, Session& session, ModelCall const& call,
                    std::string const& code, std::string const& message) {
    auto failed = draft("model.failed", session);
    JsonWriter body;
    body.begin('{').pair("model", call.model).pair("code", code).pair("message", message);
    call.write_cost(body.key("will_retry").boolean(false));
    failed.body = body.end('}').take();
    session.cause = change.batch.record(std::move(failed));
    session.attempt.clear();
}

// Somebody ended the turn. What is under way may have been done, and is paid for.
void Flow::abandon_call(Change& change, Session& session, std::string const& why) {
    auto call = ModelCall::from(session.attempt);
    session.attempt.clear();
    if (call.is_under_way()) {
        AttemptEnd end;
        end.outcome = "cancelled";
        settle_attempt(change, session, call, std::move(end), std::nullopt);
    }
    if (call.attempts > 0) end_call(change, session, call, "cancelled", why);
}

// The attempt that was under way when the host went down stays charged at what was reserved; the
// call is made again.
void Flow::lose_attempt(Change& change, Session& session) {
    auto call = ModelCall::from(session.attempt);
    if (!call.is_under_way()) return;
    if (call.model.empty()) call.model = session.model;  // of a release that knew no other
    auto failed = draft("model.failed", session);
    failed.cause = call.requested;
    AttemptEnd end;
    end.outcome = "lost";
    end.why = "the host stopped";
    settle_attempt(change, session, call, std::move(end), std::nullopt);
    JsonWriter body;
    body.begin('{').pair("model", call.model).pair("code", "lost");
    body.pair("message", "the host stopped").key("will_retry").boolean(true).end('}');
    failed.body = body.take();
    session.cause = change.batch.record(std::move(failed));
    session.attempt = call.to_json();
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
        ask_again(SessionId(id));
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
        auto const* model = stands ? model_named(*config_, found->model) : nullptr;
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
        auto ask = ask_of(*found, found->model, model, static_cast<std::int64_t>(bytes));
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
