#pragma once

// The sentence of the house as code: a message comes in on a channel, the gate asks whether this
// sender may speak, the session that owns the conversation wakes, a turn asks a provider and, for
// each thing that the model wants done, asks permit; then a skill acts; every step is in the ledger
// before it has an effect; the reply leaves by the channel. Flow knows the order and decides
// nothing.
#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "channel/channel.hpp"
#include "config/config.hpp"
#include "gate/gate.hpp"
#include "hook/hook.hpp"
#include "ledger/ledger.hpp"
#include "permit/approval.hpp"
#include "permit/budget.hpp"
#include "permit/rules.hpp"
#include "plugin/catalogue.hpp"
#include "plugin/worker.hpp"
#include "provider/provider.hpp"
#include "session/session.hpp"
#include "skill/skill.hpp"
#include "turn/turn.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace parley {

struct ModelCall;
struct AttemptEnd;

struct FlowDeps {
    Loop* loop = nullptr;
    Ledger* ledger = nullptr;
    Sessions* sessions = nullptr;
    Gate* gate = nullptr;
    Approvals* approvals = nullptr;
    Budgets* budgets = nullptr;
    Catalogue* plugins = nullptr;
    WorkerDeps const* workers = nullptr;
    std::string vault_id;
    std::string code_key;  // keys the hashes of the codes on cards
    std::filesystem::path key_file;
    std::vector<std::filesystem::path> programs;  // folders of our own programs and plugins
    std::uint16_t own_port = 0;
    std::function<bool(std::string& text)> mask;                    // at the doors in
    std::function<std::string(std::string_view text)> find_secret;  // at the ways out
    std::function<void(int level, std::string const& text)> trace;
};

// A message that waits to leave, or of which nobody knows.
struct OutboxEntry {
    OutboxId id;
    InstanceName instance;
    AgentName agent;
    SessionId session;
    std::string conversation, text;
    std::string stage;  // queued, sent, unknown, failed
    std::string detail;
    std::int64_t attempts = 0, queued_us = 0;
    Seq cause = 0;
    bool is_notice = false;  // the host's own words
    bool is_first = false;   // an agent speaks first: whether it may is asked again when it leaves
    std::int64_t not_before_us = 0;  // as the service asked
    std::string card;                // on the last page of an approval's card: the card's key
    std::vector<Attachment> attachments{};  // blobs of the instance
};

// What is known of an instance's dealings since the host started; 0 is never.
struct ChannelNews {
    std::int64_t last_in_us = 0;   // a message of somebody who may speak
    std::int64_t last_out_us = 0;  // a message that arrived
    std::int64_t last_error_us = 0;
    std::string last_error;
    std::string why_closed;  // why there is no channel of that name, when there is none
};
std::string to_json(OutboxEntry const& entry);
// As people see it in a chat: marked as the host's own words, which no agent can do.
std::string host_line(std::string_view text);
// The row by which a message is known again.
std::string seen_key(InstanceName const& instance, std::string_view sender,
                     std::string_view external_id);
// An agent's text, without the mark that begins a line of the host.
std::string without_mark(std::string text);

// A generate request: fixed glue around the base ("system" and "skills", as JSON members), the
// context's fragments and, for a summary, a closing message.
std::string request_text(std::string_view model, std::int64_t max_output_tokens,
                         std::string_view base, std::string_view fragments,
                         std::string_view closing);

// All on the event thread. Whatever a Later is told is durable.
class Flow {
public:
    explicit Flow(FlowDeps deps);
    ~Flow();

    // Puts a configuration in force: opens, closes and replaces instances. The first call also
    // recovers what a crash left open.
    void use(std::shared_ptr<Config const> config);
    std::shared_ptr<Config const> config() const { return config_; }
    // No new work is begun; workers end.
    void stop();

    // --- people ---
    struct ApiMessage {
        AgentName agent;
        std::string text, conversation, message_id;  // the last two may be empty
        std::string actor;                           // JSON
    };
    struct Accepted {
        SessionId session;
        Seq seq = 0;
        std::string conversation;
    };
    void receive(ApiMessage message, Later<Accepted> accepted);
    void decide(Approvals::Decision decision, Later<Approval> decided);
    void cancel(SessionId const& id, std::string actor, Later<> done);
    void resume(SessionId const& id, std::string actor, Later<> done);
    enum class Verdict { done, not_done, retry };
    void resolve(SessionId const& id, CallId const& call, Verdict verdict, std::string note,
                 std::string actor, Later<> done);
    std::vector<OutboxEntry> outbox() const;
    void retry(OutboxId const& id, std::string actor, Later<> done);
    void drop(OutboxId const& id, std::string actor, Later<> done);

    // Text of answers as it streams; not recorded.
    void on_delta(std::function<void(Session const&, std::string_view text)> told);

    // --- looking ---
    // JSON list: each approver of the call, and how far the card came, or why there is none.
    std::string reach(Approval const& approval) const;
    Channel const* channel(InstanceName const& name) const;
    ChannelNews const& news(InstanceName const& name) { return news_[name]; }
    SkillCatalogue const& skills() const { return skills_; }
    std::size_t working() const { return live_.size(); }
    // The exact bytes of the request that a model.requested record stands for; Fault::not_found
    // when there is none at or before `at` (0: the last), Fault::internal when they no longer hash
    // to what was recorded.
    Result<std::string> context(SessionId const& id, Seq at) const;

private:
    // What becomes durable together, and what may happen only then.
    struct Change {
        Batch batch;
        std::vector<std::function<void()>> after;
    };
    Change begin_change();
    void commit(Change change);
    Draft draft(char const* kind, Session const& session) const;
    AgentConfig const* agent_of(Session const& session) const;

    // receive.cpp
    void receive(Inbound message, std::function<void()> taken);
    void take(Inbound message, HookOutcome filtered, std::function<void()> taken);
    void take(ApiMessage message, HookOutcome filtered, Later<Accepted> accepted);
    bool is_known(InstanceName const& instance, std::string const& sender,
                  std::string const& external_id) const;
    Accepted take_in(Change& change, AgentName const& agent, InstanceName const& instance,
                     std::string const& conversation, std::string const& external_id,
                     std::string const& sender, std::string fragment, std::string body,
                     std::string actor, HookOutcome const& filtered);
    Session open_session(Change& change, AgentName const& agent, InstanceName const& instance,
                         std::string const& conversation);
    void begin_turn(Change& change, Session& session, std::vector<InboxItem> const& items);

    // attach.cpp
    struct TakenFile {
        Attachment file;
        std::string path;  // in the workspace, or empty and
        std::string lost;  // why
    };
    std::vector<TakenFile> take_files(AgentName const& agent, Inbound const& message);
    static std::string with_files(std::string text, std::vector<TakenFile> const& taken);
    static void write_taken(JsonWriter& out, std::vector<TakenFile> const& taken);
    Result<> hand_over(PluginId const& plugin, InstanceName const& instance,
                       std::vector<Attachment>& files);

    // filter.cpp
    struct FilteredAnswer {
        Answer answer;
        HookOutcome model;               // of the answer's text, as the model gave it
        HookOutcome text;                // of the reply or summary that it became
        std::vector<HookOutcome> calls;  // one for each, or none where no hook stands
        bool is_changed = false;         // it is no longer word for word what the model said
    };
    void in_line(std::string const& line, std::function<void(std::function<void()> next)> work);
    void begin_next(std::string const& line);
    void filter_message(HookEvent event, std::function<void(HookOutcome)> then);
    void filter_skill_lists();
    void take_skill_list(AgentName const& agent, HookOutcome const& outcome);
    void skill_lists_known();
    bool is_offered(AgentName const& agent, std::string const& skill) const;
    HookEvent hook_event(HookPoint point, Session const& session, std::string text) const;
    void filter_answer(SessionId const& id, bool is_summary, Answer answer,
                       std::function<void(FilteredAnswer)> then);
    void filter_reply(SessionId const& id, bool is_summary,
                      std::shared_ptr<FilteredAnswer> filtered,
                      std::function<void(FilteredAnswer)> then);
    void filter_calls(SessionId const& id, std::shared_ptr<FilteredAnswer> filtered,
                      std::function<void(FilteredAnswer)> then);
    void filter_result(SessionId const& id, std::string const& skill, Result<std::string> answer,
                       std::function<void(Result<std::string>, HookOutcome)> then);
    // The last record's number; 0 when there was nothing to note.
    Seq note_hooks(Change& change, Session const& session, HookPoint point, CallId const& call,
                   HookOutcome const& outcome);

    // think.cpp
    void carry_out(Change& change, Session& session, Turn& turn, std::vector<Step> const& steps);
    void ask_model(Change& change, Session& session, Turn& turn);
    void send_attempt(SessionId const& id, std::string request, std::int64_t number);
    void call_model(SessionId const& id, std::string request, std::int64_t number,
                    std::uint64_t token);
    void model_answered(SessionId const& id, std::int64_t number, FilteredAnswer filtered);
    void model_failed(SessionId const& id, std::int64_t number, AnswerFault fault);
    void compacted(Change& change, Session& session, Turn& turn, Answer const& answer);
    void give_reply(Change& change, Session& session, std::string const& text);
    void give_up(Change& change, Session& session, std::string const& why);
    void end_turn(Change& change, Session& session);
    void stop_session(Change& change, Session& session, Turn const& turn, std::string reason,
                      std::string detail);
    // Why a model is not asked.
    struct Obstacle {
        enum class Kind { wait, unusable, too_long, secret, budget } kind;
        std::string code, why;
    };
    std::optional<Obstacle> begin_attempt(Change& change, Session& session, ModelCall& call,
                                          bool is_fallback);
    void ask_again(SessionId const& id);
    void settle_attempt(Change& change, Session& session, ModelCall& call, AttemptEnd end,
                        std::optional<Spend> spent);
    void end_call(Change& change, Session& session, ModelCall const& call, std::string const& code,
                  std::string const& message);
    void abandon_call(Change& change, Session& session, std::string const& why);
    void lose_attempt(Change& change, Session& session);
    void wake_those_waiting_for_budget();
    void retry_budget_stops();
    struct Base {
        std::string text, digest;
    };
    Base const& base_for(AgentConfig const& agent);
    std::string base_text(std::string const& digest) const;
    std::shared_ptr<Provider> provider_for(std::string const& model);

    // act.cpp
    void consider(Change& change, Session& session, Turn& turn, std::size_t index, bool must_ask);
    void start_call(Change& change, Session& session, Turn& turn, std::size_t index,
                    Invocation invocation);
    Result<Invocation> prepare(Session const& session, Turn::OpenCall const& call) const;
    Result<Binding> binding_for(Session const& session, Turn const& turn, std::size_t index,
                                Invocation& invocation) const;
    void invoke(SessionId const& id, Invocation invocation, std::uint64_t token, bool marked);
    void mark_sent(SessionId const& id, CallId const& call, std::function<void()> go);
    void call_answered(SessionId const& id, CallId const& call, std::uint64_t token,
                       Result<std::string> answer, HookOutcome outcome = {});
    void settle(Change& change, Session& session, Turn& turn, std::size_t index,
                std::string const& content, bool error, char const* kind, std::string actor = {});
    void call_unknown(Change& change, Session& session, Turn& turn, std::size_t index,
                      std::string const& evidence);
    void ask_preview(ApprovalId const& id, SkillEntry const& skill, std::string const& arguments);
    void park_if_waiting(Change& change, Session& session, Turn const& turn);
    void go_on(Change& change, Session& session, Turn& turn, std::vector<Step> steps);
    std::shared_ptr<Worker> skill_worker(SkillEntry const& entry, std::vector<Grant> grants);
    std::shared_ptr<Worker> standing_worker(PluginId const& id, bool uses_egress);
    void reconcile(SessionId const& id, CallId const& call);

    // speak.cpp
    struct Place {
        InstanceName instance;
        std::string conversation;
        SessionId owner;
    };
    Result<Place> place_named(AgentName const& agent, std::string_view to) const;
    Result<> may_leave(OutboxEntry const& entry) const;
    void speak_first(Change& change, Session& session, Turn& turn, std::size_t index,
                     Invocation const& invocation, Seq started);
    void note_lost(Change& change, OutboxEntry const& entry, Seq failed);
    void filter_first_words(SessionId const& id, HookOutcome arguments,
                            std::function<void(HookOutcome)> then);

    // decide.cpp
    void end_session(Change& change, Session session, std::string const& actor);
    void expire_due();
    void end_approvals(std::vector<Approval> const& open, ApprovalState state,
                       std::string const& why, std::string const& words);
    void arm_expiry();
    void supersede(Change& change, Session& session, Turn& turn, std::size_t index,
                   std::string const& why);

    // deliver.cpp
    void queue_message(Change& change, Session const& session, std::string const& text,
                       bool is_notice, Seq cause, std::vector<Attachment> attachments = {});
    void send_now(OutboxId const& id);
    void sent(OutboxId const& id, SendOutcome outcome);
    void next_in_line(InstanceName const& instance, std::string const& conversation);
    void wake_lines(InstanceName const& instance);
    std::optional<OutboxEntry> outbox_entry(OutboxId const& id) const;
    void put_outbox(Batch& batch, OutboxEntry const& entry) const;
    Draft outbox_draft(char const* kind, OutboxEntry const& entry) const;

    void put_in_line(Change& change, OutboxEntry entry);
    void begin_send(Change& change, OutboxEntry& entry);

    // card.cpp
    struct Card {
        std::string key;
        ApprovalId approval;
        InstanceName instance;
        std::string digest, identity, conversation;
        std::vector<OutboxId> pages;
        std::string text;     // of the last page
        std::string yes, no;  // keyed hashes of the codes that are out there
        std::string message;  // the service's id of the last page
        bool is_delivered = false;
        bool is_decidable = false;  // it shows the call whole
    };
    struct Approver {
        InstanceName instance;
        std::string identity;
    };
    ChannelFeatures features_of(InstanceName const& instance) const;

    // show.cpp
    void begin_showing(Session const& session);
    void show_typing(SessionId const& id);
    void show_text(SessionId const& id, std::string_view more);
    void show_draft(SessionId const& id);
    std::vector<Approver> approvers_of(Approval const& approval) const;
    std::vector<Card> cards() const;
    std::optional<Card> card(std::string_view key) const;
    void put_card(Batch& batch, Card const& card) const;
    std::string code_hash(Card const& card, bool approve, std::string_view code) const;
    void tend_cards();
    void tend_cards_soon();
    void offer(Approval const& approval, Approver const& approver);
    void close_card(Card const& card, std::optional<Approval> const& approval);
    void edit_card(Card const& card, std::string const& outcome);
    void arm_card(Batch& batch, OutboxEntry const& entry);
    void card_sent(Batch& batch, OutboxEntry const& entry, SendOutcome const& outcome);
    void note_place(Inbound const& message, std::string const& identity);
    bool judge(Inbound const& message, std::function<void()> const& taken);
    void tell_there(InstanceName const& instance, std::string const& conversation,
                    AgentName const& agent, std::string const& text, Seq cause);

    // command.cpp
    bool is_command(Inbound const& message) const;
    void obey(Inbound message, std::string const& identity, std::function<void()> taken);
    void interrupt(Change& change, Session& session, std::string const& actor);

    // instances.cpp
    void open_instances();
    void open_channel(InstanceName const& name);
    void close_channel(InstanceName const& name);
    void keep_until_ended(PluginId const& plugin, std::shared_ptr<Worker> const& worker,
                          std::shared_ptr<void> owner);
    void show_ending();
    Result<WorkerSpec> skill_spec(PluginId const& id, bool uses_egress) const;
    Result<WorkerSpec> worker_spec(std::string name, PluginEntry const& plugin,
                                   std::string const& config,
                                   std::map<std::string, SecretName> const& secrets) const;
    void watch(std::shared_ptr<Worker> const& worker, std::string const& name, PluginId const& id);

    // recover.cpp
    void recover();
    void recover_session(SessionId const& id, bool lost);

    FlowDeps deps_;
    Hooks hooks_{[this](PluginId const& id) { return standing_worker(id, true); }};
    std::map<std::string, std::deque<std::function<void(std::function<void()>)>>> filter_lines_;
    // What the chain left of each agent's skills, when a hook stands there. While `open_lists_`
    // counts agents that it has not judged yet, those that need to know wait.
    std::map<AgentName, std::set<std::string>> offered_;
    std::shared_ptr<std::size_t> open_lists_;
    std::vector<std::function<void()>> waiting_for_lists_;
    std::shared_ptr<Config const> config_;
    SkillCatalogue skills_;
    bool started_ = false, stopping_ = false;

    // `key` is all that a worker was made of; when a reload makes another of it, it is replaced.
    struct OpenChannel {
        std::string key;
        PluginId plugin;
        std::shared_ptr<Worker> worker;
        std::shared_ptr<Channel> channel;
    };
    struct OpenProvider {
        PluginId plugin;
        std::shared_ptr<Provider> provider;
    };
    struct OpenSkill {
        std::string key;
        std::shared_ptr<Worker> worker;
    };
    // A worker that was replaced or switched off, and ends when its last call does.
    struct Ending {
        PluginId plugin;
        std::shared_ptr<Worker> worker;
        std::shared_ptr<void> owner;  // what its calls answer to
    };
    std::map<InstanceName, OpenChannel> channels_;
    std::set<InstanceName> closing_;                 // opened again when their run has ended
    std::map<std::string, OpenProvider> providers_;  // by key
    std::map<std::string, std::shared_ptr<Provider>> provider_of_model_;  // until a reload
    // Of skills, with egress or without, and of hooks.
    std::map<std::pair<PluginId, bool>, OpenSkill> standing_workers_;
    std::vector<Ending> ending_;
    std::map<std::string, Base> bases_;  // by agent, until a reload

    // Work under way: "session/model" or "session/call" to a token that its callbacks bring back.
    struct Live {
        std::uint64_t token = 0;
        std::function<void()> cancel;
    };
    std::unordered_map<std::string, Live> live_;
    std::uint64_t last_token_ = 0;
    std::uint64_t begin_live(std::string const& key, std::function<void()> cancel);
    void drop_live(std::string const& key);  // ends the work; its answer is not waited for
    bool end_live(std::string const& key, std::uint64_t token);

    std::map<std::pair<std::string, std::string>, std::deque<OutboxId>> lines_;
    std::map<std::string, Loop::Handle> timers_;  // retries, by what they retry
    std::set<std::string> waiting_for_budget_;    // sessions
    std::set<std::string> closed_models_;         // after an overrun, until a reload
    // The codes of a card from its mark in the ledger until it was sent; kept nowhere else.
    struct Codes {
        std::string yes, no;
    };
    std::map<std::string, Codes> codes_;  // by outbox id

    // What is shown of a turn under way, by session.
    struct Showing {
        std::string text;        // so far
        bool has_news = false;   // some of it is not shown yet
        std::int64_t draft = 0;  // which answer of the turn it is
        Loop::Handle typing, wait;
    };
    std::map<std::string, Showing> showing_;
    std::map<InstanceName, ChannelNews> news_;
    std::set<std::string> editing_;       // cards whose edit is under way
    std::uint64_t approval_changes_ = 0;  // seen by the cards
    bool tending_ = false, recovered_ = false;
    Loop::Handle expiry_timer_, budget_timer_;
    std::function<void(Session const&, std::string_view)> delta_;
};

}  // namespace parley
