#pragma once

// A person at a shell: words in, an exit code and two streams out.
#include "cli/context.hpp"
#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

struct Said {
    int code = 0;
    std::string out, err;
};

inline std::string text_of_file(std::filesystem::path const& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct Shell {
    TempFolder folder;
    std::filesystem::path home = folder.path / "home";
    parley::Programs programs;
    std::vector<std::filesystem::path> hosts;  // homes that `run` was called for

    Shell() {
        for (auto const* name :
             {"PARLEY_URL", "PARLEY_TOKEN", "PARLEY_HOME", "CREDENTIALS_DIRECTORY"})
            unsetenv(name);
        setenv("PARLEY_VAULT_KEY_FILE", (folder.path / "key/vault.key").c_str(), 1);
        programs.plugins = folder.path / "plugins";
        programs.run_host = [this](std::filesystem::path const& path, auto const&, auto const&) {
            hosts.push_back(path);
            return 5;
        };
        std::filesystem::create_directories(programs.plugins);
        std::filesystem::permissions(programs.plugins, std::filesystem::perms::owner_all);
    }

    // Runs `work` with standard input, output and error in files.
    Said hear(std::function<int()> const& work, std::string const& input = "") {
        auto in = folder.path / "in", out = folder.path / "out", err = folder.path / "err";
        std::ofstream(in, std::ios::binary) << input;
        int const kept[] = {dup(0), dup(1), dup(2)};
        flush();
        int const files[] = {open(in.c_str(), O_RDONLY),
                             open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600),
                             open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600)};
        for (int i = 0; i < 3; ++i) dup2(files[i], i), close(files[i]);
        Said said;
        said.code = work();
        flush();
        for (int i = 0; i < 3; ++i) dup2(kept[i], i), close(kept[i]);
        said.out = text_of_file(out);
        said.err = text_of_file(err);
        return said;
    }
    Said parley(std::vector<std::string> words, std::string const& input = "") {
        words.insert(words.begin(), "parley");
        std::vector<char*> arguments;
        for (auto& word : words) arguments.push_back(word.data());
        auto count = static_cast<int>(arguments.size());
        arguments.push_back(nullptr);
        return hear([&] { return parley::run_cli(count, arguments.data(), programs); }, input);
    }
    // With this home.
    Said at_home(std::vector<std::string> words, std::string const& input = "") {
        words.insert(words.end(), {"--home", home.string()});
        return parley(std::move(words), input);
    }

private:
    static void flush() {
        std::cout.flush();
        std::cerr.flush();
        std::fflush(nullptr);
    }
};
