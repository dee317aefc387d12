#include "wire/client.hpp"

#include <arpa/inet.h>

#include <cstring>
#include <optional>

namespace parley {
namespace {

struct Range4 {
    std::uint32_t net;
    int bits;
};

constexpr std::uint32_t v4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
    return a << 24 | b << 16 | c << 8 | d;
}

// IANA's special-purpose registry, and the one metadata service that has a public address.
constexpr Range4 not_public4[] = {
    {v4(0, 0, 0, 0), 8},        {v4(10, 0, 0, 0), 8},     {v4(100, 64, 0, 0), 10},
    {v4(127, 0, 0, 0), 8},      {v4(169, 254, 0, 0), 16}, {v4(172, 16, 0, 0), 12},
    {v4(192, 0, 0, 0), 24},     {v4(192, 0, 2, 0), 24},   {v4(192, 88, 99, 0), 24},
    {v4(192, 168, 0, 0), 16},   {v4(198, 18, 0, 0), 15},  {v4(198, 51, 100, 0), 24},
    {v4(203, 0, 113, 0), 24},   {v4(224, 0, 0, 0), 4},    {v4(240, 0, 0, 0), 4},
    {v4(168, 63, 129, 16), 32},
};

struct Range6 {
    unsigned char net[4];
    int bits;
};

// Inside 2000::/3, which alone is global unicast. Protocol assignments with Teredo,
// documentation twice, 6to4: the tunnels would carry an address that nobody checks.
constexpr Range6 not_public6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
    {{0x20, 0x02, 0x00, 0x00}, 16},
    {{0x3f, 0xff, 0x00, 0x00}, 20},
};

bool is_in(unsigned char const* address, unsigned char const* net, int bits) {
    auto whole = static_cast<std::size_t>(bits / 8);
    if (std::memcmp(address, net, whole) != 0) return false;
    if (bits % 8 == 0) return true;
    auto mask = static_cast<unsigned char>(0xff << (8 - bits % 8));
    return (address[whole] & mask) == (net[whole] & mask);
}

std::uint32_t number4(unsigned char const* bytes) {
    return v4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

bool is_public4(std::uint32_t address) {
    for (auto const& range : not_public4)
        if (address >> (32 - range.bits) == range.net >> (32 - range.bits)) return false;
    return true;
}

std::optional<std::uint32_t> read4(std::string const& text) {
    in_addr address{};
    if (inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
    return ntohl(address.s_addr);
}

constexpr unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};

}  // namespace

bool is_public_address(std::string_view address) {
    std::string text(address);
    if (auto number = read4(text)) return is_public4(*number);
    in6_addr six{};
    if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return false;
    auto const* bytes = six.s6_addr;
    // These two reach the IPv4 address that they carry.
    if (is_in(bytes, mapped, 96) || is_in(bytes, nat64, 96)) return is_public4(number4(bytes + 12));
    if ((bytes[0] & 0xe0) != 0x20) return false;
    for (auto const& range : not_public6)
        if (is_in(bytes, range.net, range.bits)) return false;
    return true;
}

bool is_loopback_address(std::string_view address) {
    std::string text(address);
    if (auto number = read4(text)) return *number >> 24 == 127;
    in6_addr six{};
    if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return false;
    if (is_in(six.s6_addr, mapped, 96)) return six.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&six);
}

}  // namespace parley
