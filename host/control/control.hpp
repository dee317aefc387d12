#pragma once

// The doors to people and programs: the HTTP API on the TCP port and the control socket. It checks
// who asks, hands on what they want, and shows what is; it decides nothing about agents.
#include "control/access.hpp"
#include "control/routes.hpp"
#include "flow/flow.hpp"
#include "vault/vault.hpp"
#include "wire/server.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>

namespace parley {

struct ControlDeps {
    Loop* loop = nullptr;
    Ledger* ledger = nullptr;
    Vault* vault = nullptr;
    Tokens* tokens = nullptr;
    Sessions* sessions = nullptr;
    Gate* gate = nullptr;
    Approvals* approvals = nullptr;
    Budgets* budgets = nullptr;
    Catalogue* plugins = nullptr;
    Flow* flow = nullptr;
    std::function<Result<>()> reload;  // reads the operator's files again and puts them in force
};

class Control {
public:
    explicit Control(ControlDeps deps);
    ~Control();

    Doorman& doorman() { return doorman_; }
    void handle(Request request, std::shared_ptr<Reply> reply);
    // Every record once durable; streams hear of it.
    void recorded(std::shared_ptr<Record const> record);
    void delta(Session const& session, std::string_view text);
    void stop();  // ends the streams

    // Routes, named as in the table.
    void page(Asked&);
    void health(Asked&);
    void openapi(Asked&);
    void metrics(Asked&);
    void status(Asked&);
    void agents(Asked&);
    void agent(Asked&);
    void put_agent(Asked&);
    void message(Asked&);
    void channels(Asked&);
    void channel(Asked&);
    void sessions(Asked&);
    void session(Asked&);
    void session_events(Asked&);
    void context(Asked&);
    void cancel(Asked&);
    void resume(Asked&);
    void resolve(Asked&);
    void outbox(Asked&);
    void outbox_retry(Asked&);
    void outbox_drop(Asked&);
    void approvals(Asked&);
    void approval(Asked&);
    void decide(Asked&);
    void plugins(Asked&);
    void plugin(Asked&);
    void plugin_enable(Asked&);
    void plugin_disable(Asked&);
    void secrets(Asked&);
    void put_secret(Asked&);
    void remove_secret(Asked&);
    void budgets(Asked&);
    void put_budget(Asked&);
    void put_token(Asked&);
    void events(Asked&);
    void ledger_head(Asked&);
    void ledger_verify(Asked&);
    void ledger_export(Asked&);
    void ledger_checkpoints(Asked&);
    void ledger_record(Asked&);

private:
    struct Stream;
    void feed(std::shared_ptr<Stream> const& stream);
    void drop_stale_streams();
    void secret_changed(Asked&, char const* kind, std::string const& name);
    void toggle_plugin(Asked&, bool enabled);
    void record_and_answer(Asked&, char const* kind, std::string body, std::string answer);
    std::string channel_json(InstanceName const& name, bool whole) const;
    std::string agent_json(AgentConfig const& agent, bool whole) const;

    ControlDeps deps_;
    Doorman doorman_;
    std::list<std::shared_ptr<Stream>> streams_;
    std::int64_t started_us_ = 0, auth_recorded_us_ = 0;
    int auth_failures_ = 0;
};

// Answers.
void send_json(Reply& reply, std::string body, int status = 200);
void send_problem(Reply& reply, int status, std::string_view detail);
void send_error(Reply& reply, Error const& error);
int status_for(Fault fault);

}  // namespace parley
