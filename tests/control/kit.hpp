#pragma once

// Requests as they come off the wire, answers as they would go onto it, and the two tokens.
#include "control/access.hpp"
#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

struct Keys {
    TempFolder folder;
    std::unique_ptr<parley::Vault> vault;
    std::unique_ptr<parley::Tokens> tokens;
    std::string admin = parley::make_token(parley::Scope::admin);
    std::string read = parley::make_token(parley::Scope::read);

    Keys() {
        std::filesystem::create_directories(folder.path / "home/vault");
        auto made = parley::Vault::create(folder.path / "home/vault/secrets.vault",
                                          folder.path / "key/vault.key");
        REQUIRE(made);
        vault = std::move(*made);
        auto loaded = parley::Tokens::load(folder.path / "home/tokens", *vault);
        REQUIRE(loaded);
        tokens = std::make_unique<parley::Tokens>(std::move(*loaded));
        REQUIRE(tokens->rotate(parley::Scope::admin, parley::sha256_hex(admin)));
        REQUIRE(tokens->rotate(parley::Scope::read, parley::sha256_hex(read)));
    }
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// From a program on this machine that knows where the host listens.
inline parley::Request tcp_request(std::string method, std::string target, Headers headers = {}) {
    parley::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers = {{"Host", "127.0.0.1:7420"}};
    for (auto& header : headers) request.headers.push_back(std::move(header));
    request.peer.address = "127.0.0.1";
    return request;
}

inline parley::Request socket_request(bool trusted, Headers headers = {}) {
    parley::Request request;
    request.method = "GET";
    request.target = "/api/v1/status";
    request.headers = std::move(headers);
    request.peer.local_socket = true;
    request.peer.trusted_user = trusted;
    return request;
}
