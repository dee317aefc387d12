#pragma once

// Where a scenario is played: one plugin under the real services, and the transcript of its link.
// A scenario is a function of a stage; same_both_ways() plays it in the process and in a worker.
#include "../plugin/rig.hpp"
#include "../temp_folder.hpp"
#include "plugin/blobs.hpp"
#include "plugin/inbound.hpp"
#include "transcript.hpp"

#include <functional>
#include <string>

namespace parity {

// Outlives the rig, whose workers speak to the end.
struct Record {
    Transcript transcript;
    TempFolder folder;  // holds what is granted
};

struct Stage : Record, Rig {
    std::unique_ptr<Blobs> blobs;  // none until a scenario wants them

    Stage(std::filesystem::path const& plugin, std::shared_ptr<Spawner> spawner);
    ~Stage();

    // Before the first call: the configuration, and what follows from it.
    void configure(std::string const& config);
    // A store of blobs, in a folder of its own.
    void lend_blobs();
    // The plugin's grants, each a folder of its name or the right to run.
    void grant_all();
    std::filesystem::path granted(std::string const& name) const { return folder.path / name; }

    // Before the first call: webhooks are on, and a run's items are acknowledged one by one.
    void hear_webhooks();
    // Of the run that is open, when it listens.
    std::shared_ptr<InboundListener> listener();

    std::uint64_t start(Verb verb, std::string const& request, Answer& answer);
    Answer call(Verb verb, std::string const& request);
    Answer invoke(std::string const& skill, std::string const& arguments,
                  std::string const& expect = "{}");
    void cancel(std::uint64_t call, Answer const& answer);
    // Until the link has carried this so many times: how a scenario keeps step with its far side.
    bool carried(std::string const& text, int times = 1);
    CallOptions of_run = {};
};

using Play = std::function<void(Stage&)>;

struct Played {
    std::string in_process, in_worker;
    // The first line in which they differ, of each; empty when they are the same.
    std::string difference() const;
};
Played play_both_ways(std::filesystem::path const& plugin, Play const& play);

// Of a shipped plugin, by the name of its folder.
void same_both_ways(std::string const& plugin, Play const& play);

}  // namespace parity
