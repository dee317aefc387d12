#include "inbound/bounds.hpp"

#include "base/guard.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace parley {

std::int64_t Rate::wait_us(std::int64_t moment_us, std::int64_t now_us) const {
    return std::max<std::int64_t>(0, moment_us - slack_us_ - now_us);
}

void Rate::count(std::int64_t& moment_us, std::int64_t now_us, std::int64_t times) const {
    moment_us = std::max(moment_us, now_us) + each_us_ * times;
}

std::string peer_key(std::string const& address) {
    unsigned char bytes[16];
    if (inet_pton(AF_INET6, address.c_str(), bytes) != 1) return address;
    constexpr unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool is_v4 = std::equal(std::begin(mapped), std::end(mapped), bytes);
    return is_v4 ? std::string(reinterpret_cast<char const*>(bytes), sizeof bytes)
                 : std::string(reinterpret_cast<char const*>(bytes), 8);
}

std::int64_t& PeerRates::moment(std::string const& address, std::int64_t now_us) {
    auto key = peer_key(address);
    if (auto found = moments_.find(key); found != moments_.end()) return found->second;
    // Who has been quiet is as one who never came.
    if (moments_.size() >= most_)
        std::erase_if(moments_, [now_us](auto const& one) { return one.second <= now_us; });
    if (moments_.size() >= most_) return others_;
    return moments_[std::move(key)];
}

std::int64_t PeerRates::wait_us(std::string const& address, std::int64_t now_us) {
    return holds("peer-rate") ? rate_.wait_us(moment(address, now_us), now_us) : 0;
}

void PeerRates::count(std::string const& address, std::int64_t now_us, std::int64_t times) {
    rate_.count(moment(address, now_us), now_us, times);
}

bool Signatures::take(Digest const& digest, std::int64_t until_us, std::int64_t now_us) {
    while (!order_.empty() && order_.begin()->first <= now_us) {
        until_.erase(order_.begin()->second);
        order_.erase(order_.begin());
    }
    if (until_.contains(digest) || until_.size() >= most_) return !holds("replay");
    until_.emplace(digest, until_us);
    order_.emplace(until_us, digest);
    return true;
}

void Signatures::forget(Digest const& digest) {
    auto found = until_.find(digest);
    if (found == until_.end()) return;
    order_.erase({found->second, digest});
    until_.erase(found);
}

}  // namespace parley
