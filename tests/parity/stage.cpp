#include "stage.hpp"

#include "in_process.hpp"

#include <algorithm>
#include <fstream>

namespace parity {

namespace fs = std::filesystem;

Stage::Stage(fs::path const& plugin, std::shared_ptr<Spawner> spawner)
    : Rig(plugin, plugin.stem().string()) {
    deps.spawner = transcript.listen(std::move(spawner));
    spec.own_port = 1;
    for (auto const& field : spec.file->manifest().secrets)
        spec.secrets[field.name] = {"test", field.name};
    // What a worker that runs commands has to hide.
    spec.home = fs::canonical(folder.path) / "home";
    spec.key_file = fs::canonical(folder.path) / "key/vault.key";
    for (auto const& made : {spec.home, spec.key_file.parent_path()}) fs::create_directories(made);
    std::ofstream(spec.key_file) << "the key itself";
}

// Before the blobs go that its operations use.
Stage::~Stage() {
    if (worker) worker->stop();
}

void Stage::configure(std::string const& config) {
    auto resolved = resolve_config(spec.file->manifest(), config);
    INFO((resolved ? std::string() : resolved.error().what));
    REQUIRE(resolved);
    spec.config = *resolved;
    auto rules = resolve_egress(spec.file->manifest(), spec.config, {});
    INFO((rules ? std::string() : rules.error().what));
    REQUIRE(rules);
    spec.egress = *rules;
}

void Stage::grant_all() {
    for (auto const& need : spec.file->manifest().grants) {
        Grant grant{need.name, {}, need.access};
        if (need.access != GrantNeed::Access::run) {
            fs::create_directories(granted(need.name));
            grant.path = fs::canonical(granted(need.name));
            transcript.name(grant.path, '<' + need.name + '>');
        }
        spec.grants.push_back(std::move(grant));
    }
}

void Stage::hear_webhooks() {
    spec.inbound = "";
    of_run.emits_are_durable = true;
}

std::shared_ptr<InboundListener> Stage::listener() {
    CHECK(until([this] { return deps.inbound->find(spec.name) != nullptr; }));
    return deps.inbound->find(spec.name);
}

std::uint64_t Stage::start(Verb verb, std::string const& request, Answer& answer) {
    return begin(request, answer, verb == Verb::channel_run ? of_run : CallOptions(), {}, verb);
}

Answer Stage::call(Verb verb, std::string const& request) {
    Answer answer;
    start(verb, request, answer);
    until([&] { return answer.result.has_value(); });
    return answer;
}

void Stage::lend_blobs() {
    auto opened = Blobs::open(loop, folder.path / "blobs");
    REQUIRE(opened);
    blobs = std::move(*opened);
    deps.blobs = blobs.get();
}

Answer Stage::invoke(std::string const& skill, std::string const& arguments,
                     std::string const& expect) {
    std::string grants;
    for (auto const& grant : spec.grants)
        if (!grant.path.empty())
            grants +=
                (grants.empty() ? "\"" : ",\"") + grant.name + "\":\"" + grant.path.string() + '"';
    return call(Verb::skill_invoke, R"({"skill":")" + skill + R"(","arguments":)" + arguments +
                                        R"(,"call":"c-1","session":"s-1","agent":"ops",)"
                                        R"("key":"k-1","grants":{)" +
                                        grants + R"(},"expect":)" + expect + "}");
}

void Stage::cancel(std::uint64_t call, Answer const& answer) {
    worker->cancel(call);
    CHECK(until([&] { return answer.result.has_value(); }));
}

bool Stage::carried(std::string const& text, int times) {
    return until([&] {
        auto all = transcript.text();
        int count = 0;
        for (auto at = all.find(text); at != all.npos; at = all.find(text, at + 1)) ++count;
        return count >= times;
    });
}

namespace {

std::string played(fs::path const& plugin, Play const& play, std::shared_ptr<Spawner> spawner) {
    Stage stage(plugin, std::move(spawner));
    play(stage);
    return stage.transcript.text();
}

}  // namespace

Played play_both_ways(fs::path const& plugin, Play const& play) {
    Played out;
    {
        INFO("in the process");
        out.in_process = played(plugin, play, in_process_spawner());
    }
    INFO("in a worker");
    out.in_worker = played(plugin, play, make_spawner());
    return out;
}

std::string Played::difference() const {
    if (in_process == in_worker) return {};
    auto at = static_cast<std::size_t>(
        std::mismatch(in_process.begin(), in_process.end(), in_worker.begin(), in_worker.end())
            .first -
        in_process.begin());
    auto begin = at == 0 ? 0 : in_process.rfind('\n', at - 1) + 1;
    auto line = [begin](std::string const& text) {
        return text.substr(begin, std::min<std::size_t>(text.find('\n', begin) - begin, 500));
    };
    return "in the process: " + line(in_process) + "\nin a worker: " + line(in_worker);
}

void same_both_ways(std::string const& plugin, Play const& play) {
    auto both = play_both_ways(fs::path(BUILD_FOLDER) / "plugins" / (plugin + ".so"), play);
    CHECK(both.difference() == "");
    CHECK(both.in_process.find("heard COMPLETE 0") != std::string::npos);
}

}  // namespace parity
