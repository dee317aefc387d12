// Without a fuzzer: every file of the corpus as it is, and some thousand changes of each, the same
// ones each time. An input that once did harm stays in the corpus and is tried for ever.
#include "target.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace {

constexpr int changes_of_each = 2000;

std::string changed(std::string bytes, std::mt19937& random) {
    for (auto count = 1 + random() % 4; count > 0; --count) {
        auto at = bytes.empty() ? 0 : random() % bytes.size();
        switch (random() % 5) {
            case 0:
                bytes.insert(at, 1, static_cast<char>(random()));
                break;
            case 1:
                bytes.resize(at);
                break;
            case 2:
                bytes += bytes.substr(at, random() % 64);
                break;
            case 3:
                bytes.erase(at, random() % 8);
                break;
            default:
                if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
        }
    }
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    int files = 0;
    for (auto const& entry : std::filesystem::directory_iterator(argc > 1 ? argv[1] : ".")) {
        std::ifstream in(entry.path(), std::ios::binary);
        std::string bytes(std::istreambuf_iterator<char>(in), {});
        std::printf("%s\n", entry.path().c_str());
        std::fflush(stdout);
        try_bytes(bytes);
        std::mt19937 random(20261123);
        for (int i = 0; i < changes_of_each; ++i) try_bytes(changed(bytes, random));
        ++files;
    }
    return files > 0 ? 0 : 1;
}
