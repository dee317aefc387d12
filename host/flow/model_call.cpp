#include "flow/model_call.hpp"

#include <boost/json/value.hpp>

namespace parley {

void ModelCall::end_attempt(AttemptEnd const& end) {
    JsonWriter out;
    out.begin('{').pair("model", model).pair("outcome", end.outcome);
    out.pair("requested", static_cast<std::int64_t>(requested));
    if (waited_ms) out.pair("wait_ms", waited_ms);
    out.pair("latency_ms", (end.now_us - started_us) / 1000);
    if (end.usage) out.pair("tokens_in", end.usage->input).pair("tokens_out", end.usage->output);
    bool is_known = end.is_priced || !end.left;
    out.key("cost_usd");
    if (is_known)
        out.usd(end.nano_usd);
    else
        out.null();
    if (end.left && !end.usage) out.pair("charged", "reservation");
    past += (past.empty() ? "" : ",") + out.end('}').take();
    ++listed, ++attempts;
    nano_usd += end.nano_usd;
    if (end.usage) tokens_in += end.usage->input, tokens_out += end.usage->output;
    has_unpriced = has_unpriced || !is_known;
    why = end.why;
    requested = 0;
    reservation = {};
    waited_ms = 0;
}

void ModelCall::pass_over(std::string_view outcome) {
    JsonWriter out;
    out.begin('{').pair("model", model).pair("outcome", outcome).end('}');
    past += (past.empty() ? "" : ",") + out.take();
    ++listed;
}

void ModelCall::turn_to(std::string_view name) {
    if (model == name) return;
    model = name;
    tries = waited_ms = 0;
    suspect = false;
}

void ModelCall::write_cost(JsonWriter& out) const {
    out.key("cost_usd");
    if (has_unpriced)
        out.null();
    else
        out.usd(nano_usd);
    // One alone is the record itself.
    if (listed > 1) out.key("attempts").raw("[" + past + "]");
}

std::string ModelCall::to_json() const {
    JsonWriter out;
    out.begin('{').pair("model", model).pair("number", number).pair("tries", tries);
    if (waited_ms) out.pair("waited", waited_ms);
    out.pair("bytes", request_bytes).pair("started", started_us);
    out.key("compacts").boolean(compacts).key("suspect").boolean(suspect);
    out.pair("state_owner", state_owner).pair("requested", static_cast<std::int64_t>(requested));
    if (!past.empty()) {
        // As text: money is written exactly, and stays so.
        out.pair("past", past).pair("listed", listed).pair("attempts", attempts);
        out.pair("nano", nano_usd);
        out.pair("in", tokens_in).pair("out", tokens_out);
        out.key("unpriced").boolean(has_unpriced).pair("why", why);
    }
    return out.key("reservation").raw(reservation.to_json()).end('}').take();
}

ModelCall ModelCall::from(std::string_view text) {
    ModelCall call;
    auto value = parse_json(text);
    if (!value) return call;
    call.model = text_at(*value, "model");
    call.number = int_at(*value, "number");
    call.tries = int_at(*value, "tries");
    call.waited_ms = int_at(*value, "waited");
    call.request_bytes = int_at(*value, "bytes");
    call.started_us = int_at(*value, "started");
    call.compacts = bool_at(*value, "compacts");
    call.suspect = bool_at(*value, "suspect");
    call.state_owner = text_at(*value, "state_owner");
    call.requested = static_cast<Seq>(int_at(*value, "requested"));
    call.past = text_at(*value, "past");
    call.listed = int_at(*value, "listed");
    call.attempts = int_at(*value, "attempts");
    call.nano_usd = int_at(*value, "nano");
    call.tokens_in = int_at(*value, "in");
    call.tokens_out = int_at(*value, "out");
    call.has_unpriced = bool_at(*value, "unpriced");
    call.why = text_at(*value, "why");
    if (auto const* kept = member(*value, "reservation"))
        call.reservation = Reservation::from_json(to_text(*kept));
    return call;
}

}  // namespace parley
