#pragma once

// The far side of a WebSocket by hand, so that it can break any rule: frames are made and read here
// after RFC 6455, with none of the code that the host uses.
#include "kit.hpp"

#include <openssl/evp.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kit {

enum Opcode : int { continuation = 0, text = 1, binary = 2, goodbye = 8, ping = 9, pong = 10 };

// A frame of a server: bits are FIN and RSV1 to RSV3 of its first byte.
inline std::string frame(int opcode, std::string_view payload, int bits = 0x80,
                         bool is_masked = false) {
    std::string out{static_cast<char>(bits | opcode)};
    auto mask = static_cast<char>(is_masked ? 0x80 : 0);
    auto size = payload.size();
    if (size < 126)
        out += static_cast<char>(mask | static_cast<char>(size));
    else {
        int bytes = size < 65536 ? 2 : 8;
        out += static_cast<char>(mask | (bytes == 2 ? 126 : 127));
        for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(size >> (8 * i));
    }
    if (is_masked) out += std::string(4, '\0');
    return out.append(payload);
}

// The head of a frame that promises that many bytes.
inline std::string giant(std::uint64_t size) {
    std::string out{static_cast<char>(0x82), 127};
    for (int i = 7; i >= 0; --i) out += static_cast<char>(size >> (8 * i));
    return out;
}

inline std::string code_of(int code, std::string_view reason = "") {
    return std::string{static_cast<char>(code >> 8), static_cast<char>(code)}.append(reason);
}

struct Frame {
    int opcode = -1;
    bool is_final = false, is_masked = false;
    std::string payload;
    int code() const {
        if (payload.size() < 2) return 0;
        return static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
    }
};

class WsPeer {
public:
    WsPeer(parley::Loop& loop, Outlet& outlet) : loop_(loop), plug(outlet.accept(loop)) {
        if (!until(loop_, [&] { return plug.heard("\r\n\r\n"); }))
            throw std::runtime_error("no upgrade was asked for");
        auto end = plug.got.find("\r\n\r\n") + 4;
        request = plug.got.substr(0, end);
        plug.got.erase(0, end);
    }

    std::string header(std::string const& name) const {
        auto at = request.find("\r\n" + name + ": ");
        if (at == request.npos) return {};
        at += name.size() + 4;
        return request.substr(at, request.find("\r\n", at) - at);
    }
    // What proves that the request was understood.
    std::string proof() const {
        auto text = header("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
        unsigned char digest[EVP_MAX_MD_SIZE], out[64];
        unsigned size = 0;
        EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
        auto count = EVP_EncodeBlock(out, digest, static_cast<int>(size));
        return {reinterpret_cast<char*>(out), static_cast<std::size_t>(count)};
    }
    void agree(std::string const& more = "") {
        plug.say(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: " +
            proof() + "\r\n" + more + "\r\n");
    }
    void say(std::string_view bytes) {
        while (!bytes.empty()) {
            auto count = plug.say(bytes);
            bytes.remove_prefix(count);
            if (count == 0) loop_.run_for(1ms);
            if (count == 0 && plug.at_end()) return;
        }
    }
    // The next frame that came, waited for; opcode -1 when the other side has left.
    Frame next() {
        std::optional<Frame> out;
        until(loop_, [&] { return (out = take()) || (plug.ended && !(out = take())); });
        return out.value_or(Frame{});
    }
    // The next that is no ping.
    Frame next_said() {
        auto out = next();
        while (out.opcode == ping) out = next();
        return out;
    }

private:
    std::optional<Frame> take() {
        auto const& got = plug.hear();
        auto byte = [&](std::size_t i) { return static_cast<unsigned char>(got[i]); };
        if (got.size() < 2) return {};
        std::size_t at = 2, size = byte(1) & 0x7f;
        if (size > 125) {
            std::size_t bytes = size == 126 ? 2 : 8;
            if (got.size() < at + bytes) return {};
            size = 0;
            for (std::size_t i = 0; i < bytes; ++i) size = size << 8 | byte(at + i);
            at += bytes;
        }
        Frame out;
        out.opcode = byte(0) & 0x0f;
        out.is_final = byte(0) & 0x80;
        out.is_masked = byte(1) & 0x80;
        std::size_t mask = at;
        if (out.is_masked) at += 4;
        if (got.size() < at + size) return {};
        for (std::size_t i = 0; i < size; ++i)
            out.payload +=
                static_cast<char>(out.is_masked ? got[at + i] ^ got[mask + i % 4] : got[at + i]);
        plug.got.erase(0, at + size);
        return out;
    }

    parley::Loop& loop_;

public:
    Plug plug;
    std::string request;
};

}  // namespace kit
