#pragma once

// A loop, the real worker program and one plugin of the zoo.
#include "base/clock.hpp"
#include "base/limits.hpp"
#include "plugin/worker.hpp"
#include "wire/client.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace parley;

inline std::filesystem::path zoo(std::string const& name) {
    return std::filesystem::path(BUILD_FOLDER) / "zoo" / ("zoo_" + name + ".so");
}

struct Answer {
    std::optional<Result<std::string>> result;
    std::vector<std::string> items;
    std::string text() const {
        if (!result) return "(no answer)";
        return *result ? **result
                       : std::string(name_of(result->error().fault)) + ": " + result->error().what;
    }
};

struct Rig {
    Loop loop;
    HttpClient http{loop};
    WorkerDeps deps;
    WorkerSpec spec;
    std::vector<std::string> lines;  // what the worker said
    std::map<std::string, std::string> store;
    std::string marked;             // a text that find_secret knows
    std::vector<std::string> used;  // secrets that were placed, and where
    std::shared_ptr<Worker> worker;

    explicit Rig(std::string const& plugin) : Rig(zoo(plugin), plugin) {}
    Rig(std::filesystem::path const& path, std::string const& plugin) {
        deps.loop = &loop;
        deps.http = &http;
        deps.worker_program = std::filesystem::path(BUILD_FOLDER) / "host/worker/parley-worker";
        deps.trace = [this](int, std::string const&, std::string_view text) {
            lines.emplace_back(text);
        };
        deps.find_secret = [this](std::string_view bytes) {
            return !marked.empty() && bytes.find(marked) != bytes.npos ? std::string("test/secret")
                                                                       : "";
        };
        deps.secret = [](SecretName const& name) {
            return Secret::from("value-of-" + name.text());
        };
        deps.secret_used = [this](SecretName const& name, std::string const&,
                                  std::string const& host) {
            used.push_back(name.text() + "@" + host);
        };
        deps.kv_get = [this](std::string const& owner,
                             std::string_view key) -> std::optional<std::string> {
            auto found = store.find(owner + "/" + std::string(key));
            if (found == store.end()) return {};
            return found->second;
        };
        deps.kv_put = [this](std::string const& owner, std::string key,
                             std::optional<std::string> value, std::function<void()> durable) {
            if (value)
                store[owner + "/" + key] = *value;
            else
                store.erase(owner + "/" + key);
            loop.post(std::move(durable));
        };
        auto file = PluginFile::read(path);
        INFO((file ? std::string() : file.error().what));
        REQUIRE(file);
        spec.name = plugin;
        spec.file = *file;
    }
    ~Rig() {
        if (worker) worker->on_state({});  // what it refers to has gone before us
        if (worker) worker->stop();
        worker.reset();
        loop.run_for(std::chrono::milliseconds(20));
    }

    Worker& get() {
        if (!worker) worker = Worker::create(deps, spec);
        return *worker;
    }

    // Runs the loop until `done`, or long enough for anything that is not stuck.
    bool until(std::function<bool()> done, int seconds = 30) {
        auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
        while (!done() && std::chrono::steady_clock::now() < end)
            loop.run_for(std::chrono::milliseconds(5));
        return done();
    }

    std::uint64_t begin(std::string request, Answer& answer, CallOptions options = {},
                        std::function<void(std::function<void()>)> before_egress = {},
                        Verb verb = Verb::skill_invoke) {
        CallSink sink;
        sink.on_emit = [&answer](std::string_view bytes) { answer.items.emplace_back(bytes); };
        sink.on_done = [&answer](Result<std::string> result) {
            CHECK_FALSE(answer.result);
            answer.result = std::move(result);
        };
        sink.before_egress = std::move(before_egress);
        return get().start(verb, std::move(request), options, std::move(sink));
    }

    Answer call(std::string request, CallOptions options = {}) {
        Answer answer;
        begin(std::move(request), answer, options);
        until([&] { return answer.result.has_value(); });
        return answer;
    }
};
