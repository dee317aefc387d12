#pragma once

// A worker that says what the test wants a plugin to say, and keeps what it was asked. It starts no
// process and answers nothing by itself.
#include "plugin/worker.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

struct ScriptedWorker final : parley::Worker {
    struct Call {
        std::uint64_t id;
        parley::Verb verb;
        std::string request;
        parley::CallOptions options;
        parley::CallSink sink;
    };
    struct Acknowledged {
        std::uint64_t call;
        std::string cursor;
        std::size_t bytes;
    };

    std::vector<Call> calls;  // in the order in which they were started, ended ones included
    std::vector<std::uint64_t> cancelled;
    std::vector<Acknowledged> acknowledged;
    bool stopped = false;

    void emit(std::size_t index, std::string_view bytes) {
        auto on_emit = calls.at(index).sink.on_emit;  // the call may end meanwhile
        on_emit(bytes);
    }
    void end(std::size_t index, parley::Result<std::string> result) {
        // A call that ended is let go, as by a real worker: nothing may live by its sink alone.
        auto sink = std::exchange(calls.at(index).sink, {});
        REQUIRE(sink.on_done);
        sink.on_done(std::move(result));
    }
    void fail(std::size_t index, parley::Fault fault, std::string what) {
        end(index, parley::Error(fault, std::move(what)));
    }

    void start_now() override {}
    void on_state(std::function<void(State, std::string const&)>) override {}
    State state() const override { return stopped ? State::stopped : State::ready; }
    std::uint64_t start(parley::Verb verb, std::string request, parley::CallOptions options,
                        parley::CallSink sink) override {
        // No small number: who takes a place in the list for an id shall fail.
        auto id = 1000 + calls.size();
        calls.push_back({id, verb, std::move(request), options, std::move(sink)});
        return id;
    }
    void cancel(std::uint64_t call) override { cancelled.push_back(call); }
    void acknowledge(std::uint64_t call, std::string_view cursor, std::size_t bytes) override {
        acknowledged.push_back({call, std::string(cursor), bytes});
    }
    void retire() override { stopped = true; }
    void stop() override { stopped = true; }
    int pid() const override { return 0; }
    std::string profile() const override { return {}; }
};
