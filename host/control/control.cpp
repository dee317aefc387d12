#include "control/control.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

char const* title_for(int status) {
    switch (status) {
        case 400: return "Bad request";
        case 401: return "A token is needed";
        case 402: return "Over budget";
        case 403: return "Not allowed";
        case 404: return "Not found";
        case 405: return "Method not allowed";
        case 409: return "Conflict";
        case 410: return "Expired";
        case 412: return "Changed meanwhile";
        case 415: return "JSON is needed";
        case 421: return "Wrong host";
        case 422: return "A secret stood where none may";
        case 428: return "If-Match is needed";
        case 429: return "Too many attempts";
        case 503: return "Not now";
        case 504: return "Timed out";
    }
    return "Failed";
}

bool wants_body(std::string_view method) { return method == "POST" || method == "PUT"; }

bool is_json(Request const& request) {
    auto type = request.header("content-type");
    return type && (*type == "application/json" || type->starts_with("application/json;"));
}

}  // namespace

int status_for(Fault fault) {
    switch (fault) {
        case Fault::denied: return 403;
        case Fault::not_found: return 404;
        case Fault::bad_input: return 400;
        case Fault::conflict: return 409;
        case Fault::over_budget: return 402;
        case Fault::timed_out: return 410;
        case Fault::cancelled: return 409;
        case Fault::peer_failed:
        case Fault::peer_gone: return 502;
        case Fault::unavailable: return 503;
        case Fault::secret: return 422;
        case Fault::internal: return 500;
    }
    return 500;
}

void send_json(Reply& reply, std::string body, int status) {
    Response response;
    response.status = status;
    response.body = std::move(body);
    reply.send(std::move(response));
}

void send_problem(Reply& reply, int status, std::string_view detail) {
    Response response;
    response.status = status;
    response.content_type = "application/problem+json";
    if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    JsonWriter out;
    out.begin('{').pair("type", "about:blank").pair("title", title_for(status));
    out.pair("status", status).pair("detail", is_utf8(detail) ? detail : visible(detail)).end('}');
    response.body = out.take();
    reply.send(std::move(response));
}

void send_error(Reply& reply, Error const& error) {
    send_problem(reply, status_for(error.fault), error.what);
}

Control::Control(ControlDeps deps) : deps_(std::move(deps)), doorman_(*deps_.tokens) {
    started_us_ = deps_.ledger->now_us();
}

Control::~Control() = default;

void Control::handle(Request request, std::shared_ptr<Reply> reply) {
    if (auto denial = doorman_.check_origin(request)) return send_problem(*reply, denial->status, denial->detail);
    auto now_us = deps_.ledger->now_us();
    if (request.header("authorization") && doorman_.is_guessing(request, now_us))
        return send_problem(*reply, 429, "too many wrong tokens from this address; wait a minute");
    auto caller = doorman_.caller(request);
    auto mark = request.target.find('?');
    auto path = std::string_view(request.target).substr(0, mark);
    auto found = match(request.method, path);

    // Who asks comes before what there is: a stranger learns nothing of paths.
    auto needed = found && found->route ? found->route->access : Access::read;
    if (auto denial = Doorman::needs(needed, caller, request)) {
        if (denial->status == 401 && request.header("authorization")) {
            doorman_.count_failure(request, now_us);
            ++auth_failures_;
            if (now_us - auth_recorded_us_ > 60'000'000) {
                auth_recorded_us_ = now_us;
                JsonWriter body;
                body.begin('{').pair("count", std::exchange(auth_failures_, 0)).end('}');
                Draft draft;
                draft.kind = "auth.refused";
                draft.body = body.take();
                auto batch = deps_.ledger->begin();
                batch.record(std::move(draft));
                deps_.ledger->commit(std::move(batch));
            }
        }
        return send_problem(*reply, denial->status, denial->detail);
    }
    if (!found) return send_error(*reply, found.error());
    if (!found->path_is_known) return send_problem(*reply, 404, "there is no such path");
    if (!found->route) {
        Response response;
        response.status = 405;
        response.content_type = "application/problem+json";
        response.headers.emplace_back("Allow", found->allow);
        response.body = R"({"type":"about:blank","title":"Method not allowed","status":405})";
        return reply->send(std::move(response));
    }
    auto query = parse_query(mark == std::string::npos ? "" : std::string_view(request.target).substr(mark + 1));
    if (!query) return send_error(*reply, query.error());
    json::value body;
    if (wants_body(request.method) && !request.body.empty()) {
        if (!is_json(request)) return send_problem(*reply, 415, "the body must be application/json");
        auto parsed = parse_json(request.body);
        if (!parsed) return send_error(*reply, parsed.error());
        if (!parsed->is_object()) return send_problem(*reply, 400, "the body must be a JSON object");
        body = std::move(*parsed);
    }
    auto asked = std::make_shared<Asked>(Asked{std::move(request), std::move(found->parts), std::move(*query),
                                               std::make_shared<json::value const>(std::move(body)),
                                               std::move(caller), std::move(reply)});
    auto handler = found->route->handler;
    // What is shown must be durable: when something is queued, its sync is waited for.
    if (needed != Access::read || deps_.ledger->head() == deps_.ledger->durable_head())
        return (this->*handler)(*asked);
    deps_.ledger->commit(deps_.ledger->begin(), [this, handler, asked] { (this->*handler)(*asked); });
}

void Control::record_and_answer(Asked& asked, char const* kind, std::string body, std::string answer) {
    Draft draft;
    draft.kind = kind;
    draft.actor = asked.caller.actor;
    draft.body = std::move(body);
    auto batch = deps_.ledger->begin();
    batch.record(std::move(draft));
    deps_.ledger->commit(std::move(batch), [reply = asked.reply, answer = std::move(answer)] {
        send_json(*reply, answer);
    });
}

}  // namespace parley
