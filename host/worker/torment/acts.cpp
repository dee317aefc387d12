#include "acts.hpp"

#include "hunger.hpp"
#include "measure.hpp"
#include "watch.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace parley::worker {

namespace {

using World = Manner::World;

constexpr unsigned grace_ms = 2000;  // between a cancel and the kill, as the host has it
constexpr std::uint32_t channel_run = 0x100, channel_send = 0x101, provider_generate = 0x200,
                        skill_invoke = 0x300, skill_preview = 0x302, hook_on_event = 0x400;
constexpr std::size_t concurrent_most = 64, rounds_most = 1000, rounds_least = 20;
constexpr std::size_t growth_bytes = 64;  // of the heap, each round; below it is libc's own order
constexpr auto rounds_time = std::chrono::seconds(3);
constexpr double load_seconds = 0.1;
constexpr std::size_t memory_spare_mb = 8;

double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

class Acts {
public:
    Acts(Stage& stage, Script const& script, std::string const& path)
        : stage_(stage), script_(script), path_(path) {}

    bool play() {
        static std::map<std::string_view, void (Acts::*)()> const acts{
            {"load-now-local", &Acts::load_now_local},
            {"entry-matches-manifest", &Acts::entry_matches_manifest},
            {"struct-sizes", &Acts::struct_sizes},
            {"unknown-interface", &Acts::unknown_interface},
            {"declared-roles", &Acts::declared_roles},
            {"minimal-host", &Acts::minimal_host},
            {"older-host", &Acts::friendly_round},
            {"newer-host", &Acts::newer_host},
            {"create-destroy", &Acts::create_destroy},
            {"two-instances", &Acts::friendly_round},
            {"bad-config", &Acts::bad_config},
            {"wrong-state", &Acts::wrong_state},
            {"start-returns-fast", &Acts::friendly_round},
            {"completes-once", &Acts::all_worlds},
            {"refused-is-ended", &Acts::all_worlds},
            {"response-schema", &Acts::all_worlds},
            {"no-retained-pointers", &Acts::no_retained_pointers},
            {"no-borrowed-bytes", &Acts::no_borrowed_bytes},
            {"cancel-latency", &Acts::cancel_latency},
            {"deadline", &Acts::deadline},
            {"backpressure", &Acts::backpressure},
            {"stale-id", &Acts::stale_id},
            {"concurrent-calls", &Acts::concurrent_calls},
            {"strand-moves", &Acts::strand_moves},
            {"refusing-host", &Acts::refusing_host},
            {"unknown-members", &Acts::unknown_members},
            {"large-input", &Acts::large_input},
            {"secret-undeclared", &Acts::friendly_round},
            {"secret-slot", &Acts::friendly_round},
            {"secret-canary", &Acts::all_worlds},
            {"egress-undeclared", &Acts::all_worlds},
            {"approval-gate", &Acts::approval_gate},
            {"process-hygiene", &Acts::process_hygiene},
            {"quiet-shutdown", &Acts::quiet_shutdown},
            {"fuzz", &Acts::fuzz},
            {"failing-allocations", &Acts::failing_allocations},
        };
        auto act = acts.find(script_.check);
        if (act == acts.end()) return false;
        (this->*act->second)();
        return true;
    }

private:
    // ---- Pieces ---------------------------------------------------------------------------------

    // An instance that a friendly host cannot make is a matter of the check bad-config; there is
    // nothing to be said of it elsewhere.
    bool begin() {
        bool is_first = !stage_.entry();
        if (is_first && !stage_.load(path_)) return false;
        auto status = stage_.create();
        if (status == PARLEY_OK) return true;
        bool is_elsewhere = is_first && !is_strange_host() && script_.check != "bad-config";
        stage_.finding(
            is_elsewhere ? "~" : "!",
            "create() answered " + std::to_string(status) +
                (is_elsewhere ? "; see bad-config"
                              : "; is the config one that it can live with? (--config)"));
        return false;
    }
    bool is_strange_host() const {
        return script_.check == "older-host" || script_.check == "newer-host";
    }

    // Ends a call that is open: by cancel, as the host does it.
    void finish(parley_id call) {
        if (!call || !stage_.is_open(call)) return;
        stage_.cancel(call);
        stage_.pump(call);
        if (stage_.wait_for_end(call, grace_ms)) return;
        // A host kills the worker here, and so does this one.
        stage_.finding("!", "a call did not end within 2 s of its cancel");
        _exit(0);
    }

    // Every verb once. A channel's run stays open meanwhile: what it sends needs a connection.
    std::vector<parley_id> round() { return round(script_.requests); }
    std::vector<parley_id> round(std::vector<Request> const& requests) {
        std::vector<parley_id> standing, calls;
        for (auto const& request : requests) {
            auto call = stage_.start(request);
            if (!call) continue;
            stage_.pump(call);
            if (request.verb == channel_run)
                standing.push_back(call);
            else
                finish(call);
            calls.push_back(call);
        }
        for (auto call : standing) {
            if (stage_.manner.world == World::good && stage_.unanswered(call) > 0)
                stage_.finding("completes-once", "it never answers a webhook");
            finish(call);
        }
        return calls;
    }

    void whole_life() {
        if (!begin()) return;
        round();
        stage_.destroy();
    }

    // ---- Loading and the contract ---------------------------------------------------------------

    void load_now_local() {
        auto threads = thread_count(), descriptors = descriptor_count();
        auto before = Surroundings::now();
        auto seconds = processor_seconds();
        if (!stage_.load(path_)) return;
        seconds = processor_seconds() - seconds;
        for (auto const& what : watch::noted())
            stage_.finding("load-now-local", "while it is loaded, " + what);
        if (seconds > load_seconds)
            stage_.finding("load-now-local", "loading took " +
                                                 std::to_string(static_cast<int>(seconds * 1000)) +
                                                 " ms of processor time");
        if (thread_count() > threads) stage_.finding("load-now-local", "loading starts a thread");
        if (descriptor_count() > descriptors)
            stage_.finding("load-now-local", "loading leaves a descriptor open");
        if (auto changed = before.changes(Surroundings::now()); !changed.empty())
            stage_.finding("load-now-local", "loading changes " + changed);
    }

    void entry_matches_manifest() {
        if (!stage_.load(path_)) return;
        auto const& entry = *stage_.entry();
        auto const& note = script_.note;
        if (entry.manifest_size != note.size() ||
            std::memcmp(entry.manifest, note.data(), note.size()) != 0)
            stage_.finding("entry-matches-manifest",
                           "the entry points to other bytes than the note holds");
        if (entry.abi_major != PARLEY_ABI_MAJOR || entry.abi_minor > PARLEY_ABI_MINOR)
            stage_.finding("entry-matches-manifest",
                           "the entry names another ABI: " + std::to_string(entry.abi_major) + "." +
                               std::to_string(entry.abi_minor));
    }

    void sizes(char const* id, std::size_t least, std::size_t most) {
        auto const* table = static_cast<char const*>(stage_.ask(id));
        if (!table) return;
        std::uint32_t size, reserved = 0;
        std::memcpy(&size, table, sizeof size);
        if (size >= 2 * sizeof size) std::memcpy(&reserved, table + sizeof size, sizeof reserved);
        if (size < least || size > most)
            stage_.finding("struct-sizes", std::string(id) + " has a struct_size of " +
                                               std::to_string(size) + "; this ABI has " +
                                               std::to_string(least));
        if (reserved != 0)
            stage_.finding("struct-sizes",
                           std::string(id) + " has a reserved member that is not 0");
    }

    void struct_sizes() {
        if (!begin()) return;
        auto size = stage_.entry()->struct_size;
        constexpr std::size_t room = 1024;  // for members that later minors append
        if (size < sizeof(parley_entry) || size > sizeof(parley_entry) + room)
            stage_.finding("struct-sizes",
                           "the entry has a struct_size of " + std::to_string(size));
        auto own = [this](char const* id, std::size_t least) { sizes(id, least, least + room); };
        own(PARLEY_ROLE_CHANNEL, offsetof(parley_channel_v1, edit));
        own(PARLEY_ROLE_PROVIDER, offsetof(parley_provider_v1, list_models));
        own(PARLEY_ROLE_SKILL, offsetof(parley_skill_v1, reconcile));
        own(PARLEY_ROLE_HOOK, sizeof(parley_hook_v1));
        for (auto const* id : {PARLEY_SINK_HTTP, PARLEY_SINK_STREAM, PARLEY_SINK_TIMER,
                               PARLEY_SINK_KV, PARLEY_SINK_REVEAL, PARLEY_SINK_BLOB,
                               PARLEY_SINK_WS, PARLEY_SINK_INBOUND})
            own(id, sizeof(parley_event_sink_v1));
        own(PARLEY_SINK_ACK, sizeof(parley_ack_sink_v1));
        own(PARLEY_SINK_FLOW, sizeof(parley_flow_sink_v1));
        stage_.destroy();
    }

    void unknown_interface() {
        if (!begin()) return;
        std::vector<std::string> ids{"", " ", "parley", "parley.unknown/9", "parley.skill/99"};
        for (std::string id :
             {PARLEY_ROLE_CHANNEL, PARLEY_ROLE_PROVIDER, PARLEY_ROLE_SKILL, PARLEY_ROLE_HOOK,
              PARLEY_SINK_HTTP, PARLEY_SINK_STREAM, PARLEY_SINK_TIMER, PARLEY_SINK_KV,
              PARLEY_SINK_ACK, PARLEY_SINK_FLOW, PARLEY_SINK_REVEAL, PARLEY_SINK_BLOB,
              PARLEY_SINK_WS, PARLEY_SINK_INBOUND})
            for (char const* more : {"0", "x", " ", "/"}) ids.push_back(id + more);
        for (auto const& id : ids)
            if (stage_.ask(id.c_str()))
                stage_.finding("unknown-interface", "it answers for \"" + id + "\"");
        stage_.destroy();
    }

    void declared_roles() {
        if (!begin()) return;
        std::pair<char const*, std::vector<std::uint32_t>> const roles[] = {
            {PARLEY_ROLE_CHANNEL, {channel_run, channel_send}},
            {PARLEY_ROLE_PROVIDER, {provider_generate}},
            {PARLEY_ROLE_SKILL, {skill_invoke}},
            {PARLEY_ROLE_HOOK, {hook_on_event}}};
        for (auto const& [id, verbs] : roles) {
            auto const& declared = script_.roles;
            bool is_declared = std::find(declared.begin(), declared.end(), id) != declared.end();
            bool is_there = stage_.ask(id) != nullptr;
            if (is_there && !is_declared)
                stage_.remark("declared-roles",
                              std::string("it has ") + id + " and does not declare it");
            if (!is_declared) continue;
            if (!is_there) stage_.finding("declared-roles", std::string("it lacks ") + id);
            for (auto verb : verbs)
                if (is_there && !stage_.offers(verb))
                    stage_.finding("declared-roles",
                                   std::string(id) + " lacks a verb that it must have");
        }
        for (auto verb : script_.promises)
            if (!stage_.offers(verb))
                stage_.finding("declared-roles", "the manifest promises a verb that it lacks: " +
                                                     std::to_string(verb >> 8) + "." +
                                                     std::to_string(verb & 0xff));
        stage_.destroy();
    }

    void minimal_host() {
        stage_.manner.only_required = true;
        if (!stage_.load(path_)) return;
        if (stage_.create() != PARLEY_OK) return;  // it may say that it cannot work
        round();
        stage_.destroy();
    }

    void newer_host() {
        stage_.manner.is_newer = true;
        whole_life();
    }

    void friendly_round() { whole_life(); }

    void create_destroy() {
        if (!stage_.load(path_)) return;
        auto begun = std::chrono::steady_clock::now();
        std::size_t threads = 0, descriptors = 0, heap = 0, count = 0;
        for (; count < rounds_most; ++count) {
            if (count >= 2 * rounds_least && std::chrono::steady_clock::now() - begun > rounds_time)
                break;
            if (!begin()) return;
            stage_.destroy();
            if (count != rounds_least) continue;
            threads = thread_count();
            descriptors = descriptor_count();
            heap = heap_bytes();
        }
        auto rounds = count - rounds_least;
        if (thread_count() > threads)
            stage_.finding("create-destroy", "threads are left after destroy()");
        if (descriptor_count() > descriptors)
            stage_.finding("create-destroy", "descriptors are left after destroy()");
        auto grown = heap_bytes() - std::min(heap, heap_bytes());
        if (grown > rounds * growth_bytes)
            stage_.finding("create-destroy",
                           "memory is left after destroy(): " + std::to_string(grown / rounds) +
                               " bytes each time");
    }

    void bad_config() {
        if (!begin()) return;
        stage_.destroy();
    }

    void wrong_state() {
        if (!begin()) return;
        constexpr parley_id nobody = 0x7fff'0000'0000;
        stage_.cancel(nobody);
        stage_.manner.world = World::silent;
        for (auto const& request : script_.requests) {
            auto call = stage_.start(request);
            if (!call) continue;
            stage_.cancel(call);
            stage_.cancel(call);
            finish(call);
            stage_.cancel(call);
        }
        stage_.manner.world = World::good;
        round();
        stage_.destroy();
    }

    // ---- Calls ----------------------------------------------------------------------------------

    void all_worlds() {
        if (!begin()) return;
        for (auto world :
             {World::good, World::failing, World::garbled, World::stalling, World::silent}) {
            stage_.manner.world = world;
            round();
        }
        stage_.destroy();
    }

    void no_retained_pointers() {
        stage_.manner.bytes = Manner::Bytes::unmapped;
        all_worlds();
    }

    // What is said of kept bytes twice in the same way must be said of scribbled ones too.
    void no_borrowed_bytes() {
        if (!begin()) return;
        stage_.manner.bytes = Manner::Bytes::kept;
        auto first = round(), second = round();
        stage_.manner.bytes = Manner::Bytes::scribbled;
        auto scribbled = round();
        for (std::size_t i = 0; i < first.size(); ++i) {
            auto said = stage_.transcript(first[i]);
            if (said != stage_.transcript(second[i]) || said == stage_.transcript(scribbled[i]))
                continue;
            stage_.finding("no-borrowed-bytes",
                           "its answer is another when what it was lent is written over");
        }
        stage_.destroy();
    }

    void cancel_latency() {
        if (!begin()) return;
        constexpr std::size_t stages[] = {0, 1, 2, 3, Stage::events_most};
        for (auto world : {World::good, World::silent, World::stalling})
            for (auto events : stages)
                for (auto const& request : script_.requests) {
                    stage_.manner.world = world;
                    auto call = stage_.start(request);
                    if (!call) continue;
                    if (events > 0) stage_.pump(call, events);
                    finish(call);
                }
        stage_.destroy();
    }

    void deadline() {
        if (!begin()) return;
        stage_.manner.world = World::silent;
        for (std::uint32_t timeout : {1u, 50u})
            for (auto const& request : script_.requests) {
                auto call = stage_.start(request, timeout);
                if (!call || stage_.wait_for_end(call, timeout)) continue;
                finish(call);
            }
        stage_.destroy();
    }

    void backpressure() {
        stage_.manner.pauses = true;
        whole_life();
    }

    void stale_id() {
        if (!begin()) return;
        round();
        // The host has given these up; what the plugin still says of them goes nowhere.
        stage_.manner.forgets = true;
        for (auto const& request : script_.requests) {
            auto call = stage_.start(request);
            if (!call) continue;
            for (std::size_t i = 0; i < Stage::events_most && stage_.step(); ++i) {
            }
            stage_.cancel(call);
        }
        stage_.manner.forgets = false;
        round();
        stage_.destroy();
    }

    void concurrent_calls() {
        if (!begin()) return;
        auto most = std::min<std::uint64_t>(script_.pending, concurrent_most);
        for (auto const& request : script_.requests) {
            if (request.verb == channel_run) continue;
            std::vector<parley_id> calls;
            while (calls.size() < most) {
                auto call = stage_.start(request);
                if (!call) break;
                calls.push_back(call);
            }
            for (auto call : calls) stage_.pump(call);
            for (auto call : calls) finish(call);
        }
        stage_.destroy();
    }

    void strand_moves() {
        stage_.manner.moves_threads = true;
        all_worlds();
    }

    void refusing_host() {
        if (!begin()) return;
        auto before = stage_.requests_made();
        round();
        auto asked = std::min<std::uint64_t>(stage_.requests_made() - before, 64);
        for (std::uint64_t at = 1; at <= asked; ++at) {
            stage_.manner.refuses = stage_.requests_made() + at;
            round();
        }
        stage_.manner.refuses = 0;
        round();
        stage_.destroy();
    }

    void unknown_members() {
        if (!begin()) return;
        auto plain = round(), odd = round(script_.odd);
        for (std::size_t i = 0; i < plain.size() && i < odd.size(); ++i)
            if (stage_.succeeded(plain[i]) && !stage_.succeeded(odd[i]))
                stage_.finding(
                    "unknown-members",
                    "a request with a member that nobody knows fails; without, it does not");
        stage_.destroy();
    }

    void large_input() {
        if (!begin()) return;
        round(script_.large);
        stage_.destroy();
    }

    void approval_gate() {
        if (!begin()) return;
        if (!stage_.offers(skill_preview)) return;
        round(script_.previews);
        stage_.destroy();
    }

    void note_hygiene(char const* when) {
        for (auto const& what : watch::noted())
            stage_.finding("process-hygiene", std::string(when) + ", " + what);
    }

    void process_hygiene() {
        auto threads = thread_count(), descriptors = descriptor_count();
        auto before = Surroundings::now();
        if (!begin()) return;
        note_hygiene("when it is made");
        for (auto world : {World::good, World::failing}) {
            stage_.manner.world = world;
            for (auto const& request : script_.requests) {
                auto open = descriptor_count();
                auto call = stage_.start(request);
                note_hygiene("in a call");
                if (!call) continue;
                stage_.pump(call);
                finish(call);
                note_hygiene("in a call");
                if (!has_memory_left(memory_spare_mb))
                    stage_.finding("process-hygiene", "a call takes all memory that there is");
                constexpr std::size_t fair = 8;
                if (descriptor_count() > open + fair)
                    stage_.finding("process-hygiene", "a call leaves descriptors open");
            }
        }
        stage_.destroy();
        note_hygiene("when it is destroyed");
        if (thread_count() > threads)
            stage_.finding("process-hygiene", "a thread is left after destroy()");
        if (descriptor_count() > descriptors)
            stage_.remark("process-hygiene", "a descriptor is left after destroy()");
        if (auto changed = before.changes(Surroundings::now()); !changed.empty())
            stage_.finding("process-hygiene", "it changes " + changed);
    }

    void quiet_shutdown() {
        for (auto world : {World::good, World::silent, World::stalling}) {
            stage_.manner.world = world;
            auto threads = thread_count();
            if (!begin()) return;
            for (auto const& request : script_.requests)
                if (auto call = stage_.start(request)) stage_.pump(call, 1);
            auto begun = std::chrono::steady_clock::now();
            stage_.destroy();
            constexpr auto end_grace = std::chrono::seconds(1);
            if (std::chrono::steady_clock::now() - begun > end_grace)
                stage_.finding("quiet-shutdown", "destroy() took more than a second");
            if (thread_count() > threads)
                stage_.finding("quiet-shutdown", "a thread is left after destroy()");
        }
    }

    // Further in with every round, until no allocation is left to fail.
    void failing_allocations() {
        if (!begin()) return;
        auto end = std::chrono::steady_clock::now() + rounds_time;
        for (std::uint64_t at = 1; std::chrono::steady_clock::now() < end; ++at) {
            has_starved();
            stage_.manner.starves = at;
            for (auto const& request : script_.requests) {
                auto call = stage_.start(request);
                if (call) stage_.pump(call);
                stage_.manner.starves = 0;
                finish(call);
                stage_.manner.starves = at;
            }
            if (!has_starved()) break;
        }
        stage_.manner.starves = 0;
        round();
        stage_.destroy();
    }

    void fuzz() {
        if (!begin()) return;
        std::mt19937_64 random(script_.seed);
        auto draw = [&random](std::size_t below) { return below ? random() % below : 0; };
        auto end =
            std::chrono::steady_clock::now() + std::chrono::milliseconds(script_.milliseconds);
        std::vector<Request const*> requests;
        for (auto const* list : {&script_.requests, &script_.odd, &script_.previews})
            for (auto const& one : *list) requests.push_back(&one);
        std::vector<parley_id> open;
        parley_id running = 0;
        auto most = std::clamp<std::size_t>(script_.pending, 1, 16);
        while (std::chrono::steady_clock::now() < end && !requests.empty()) {
            stage_.manner.world = static_cast<World>(draw(5));
            stage_.manner.bytes = static_cast<Manner::Bytes>(draw(2));
            stage_.manner.pauses = draw(4) == 0;
            stage_.manner.moves_threads = draw(4) == 0;
            stage_.manner.refuses = draw(8) == 0 ? stage_.requests_made() + 1 + draw(4) : 0;
            auto what = draw(8);
            if (what < 3 && open.size() < most) {
                auto one = *requests[draw(requests.size())];
                // A host keeps one run of an instance.
                if (one.verb == channel_run && stage_.is_open(running)) continue;
                if (draw(3) == 0) mangle(one.bytes, random);
                auto call = stage_.start(one, static_cast<std::uint32_t>(draw(100)));
                if (call) open.push_back(call);
                if (one.verb == channel_run) running = call;
            } else if (what < 6) {
                for (auto steps = 1 + draw(8); steps > 0 && stage_.step(); --steps) {
                }
            } else if (!open.empty()) {
                auto at = draw(open.size());
                if (what == 6) stage_.cancel(open[at]);
                if (what == 7) finish(open[at]);
            }
            std::erase_if(open, [this](auto call) { return !stage_.is_open(call); });
        }
        stage_.manner = {};
        for (auto call : open) finish(call);
        stage_.destroy();
    }

    // A request that no host would make: cut off, or with other bytes in it.
    template <class Random>
    static void mangle(std::string& bytes, Random& random) {
        if (bytes.empty()) return;
        switch (random() % 3) {
            case 0:
                bytes.resize(random() % bytes.size());
                break;
            case 1:
                bytes[random() % bytes.size()] = static_cast<char>(random());
                break;
            default:
                bytes.insert(random() % bytes.size(), std::string(random() % 100, '['));
        }
    }

    Stage& stage_;
    Script const& script_;
    std::string const& path_;
};

}  // namespace

bool play(Stage& stage, Script const& script, std::string const& path) {
    return Acts(stage, script, path).play();
}

}  // namespace parley::worker
