#pragma once

// How much of one kind may pass, and what has passed already. Time is handed in, and never runs
// backwards.
#include "base/hash.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace parley {

// So many a second, and so many at once. The state of one that is counted is a single moment.
class Rate {
public:
    Rate(std::int64_t per_second, std::int64_t burst)
        : each_us_(1'000'000 / per_second), slack_us_(each_us_ * (burst - 1)) {}
    // Microseconds until one may pass; 0: now.
    std::int64_t wait_us(std::int64_t moment_us, std::int64_t now_us) const;
    void count(std::int64_t& moment_us, std::int64_t now_us, std::int64_t times = 1) const;

private:
    std::int64_t each_us_, slack_us_;
};

// A rate for each address that sends. An IPv6 network of 64 bits is one address, since who has one
// has them all.
class PeerRates {
public:
    explicit PeerRates(Rate rate, std::size_t most) : rate_(rate), most_(most) {}
    std::int64_t wait_us(std::string const& address, std::int64_t now_us);
    void count(std::string const& address, std::int64_t now_us, std::int64_t times = 1);
    std::size_t size() const { return moments_.size(); }

private:
    std::int64_t& moment(std::string const& address, std::int64_t now_us);
    Rate rate_;
    std::size_t most_;
    std::map<std::string, std::int64_t> moments_;
    std::int64_t others_ = 0;
};
std::string peer_key(std::string const& address);

// Signatures that were taken, until their window ends.
class Signatures {
public:
    explicit Signatures(std::size_t most) : most_(most) {}
    // True, and it is remembered, when it was not there. Also false when there is no room: a copy
    // could not be told.
    bool take(Digest const& digest, std::int64_t until_us, std::int64_t now_us);
    // What it brought was not taken after all: it may come again.
    void forget(Digest const& digest);

private:
    std::size_t most_;
    std::map<Digest, std::int64_t> until_;
    std::set<std::pair<std::int64_t, Digest>> order_;
};

}  // namespace parley
