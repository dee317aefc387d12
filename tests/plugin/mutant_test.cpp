#include "../temp_folder.hpp"
#include "rig.hpp"

#include <fstream>

namespace fs = std::filesystem;

namespace {

// What a plugin finds when it tries the borders of its world, or why it was not let in.
std::vector<std::string> borders(fs::path const& program) {
    std::vector<std::string> found;
    TempFolder folder;
    std::ofstream(folder.path / "note") << "of the host";
    Rig rig("zoo");
    rig.deps.worker_program = program;
    for (auto const& act : {std::string("socket"), std::string("fork"), std::string("bounds"),
                            "read " + (folder.path / "note").string(), std::string("read /dev/full"),
                            std::string("unmount /usr")}) {
        auto said = rig.call(act).text();
        // The folder's name is another each time.
        auto at = said.find(folder.path.string());
        found.push_back(at == said.npos ? said : said.substr(0, at));
    }
    return found;
}

}  // namespace

TEST_CASE("no guard of a worker can go missing unnoticed", "[mutant]") {
    auto programs = fs::path(BUILD_FOLDER) / "host/worker";
    auto whole = borders(programs / "parley-worker");
    TempFolder folder;
    auto mutant = [&](std::string const& name) {
        auto program = folder.path / name;
        fs::copy_file(programs / "parley-worker-mutant", program);
        return borders(program);
    };
    // With nothing off it is the same program.
    REQUIRE(mutant("parley-worker-mutant") == whole);
    auto guard = GENERATE(as<std::string>(), "namespaces", "own-root", "limits", "capabilities",
                          "landlock", "filter", "not-dumpable");
    INFO("without " << guard);
    CHECK(mutant("parley-worker-without-" + guard) != whole);
}

TEST_CASE("a worker that does not report a layer is not given the plugin", "[mutant]") {
    TempFolder folder;
    auto program = folder.path / "worker";
    // Reads what the host says first, and reports nothing but the versions.
    std::ofstream(program) << "#!/usr/bin/python3\n"
                              "import socket, struct, time\n"
                              "link = socket.socket(fileno=3)\n"
                              "link.recv(65536)\n"
                              "body = b'{\"frame\":1,\"abi\":1,\"profile\":[\"no-new-privs\"]}'\n"
                              "link.send(struct.pack('<IHHQ', len(body), 33, 0, 0) + body)\n"
                              "time.sleep(60)\n";
    fs::permissions(program, fs::perms::owner_all);
    Rig rig("zoo");
    rig.deps.worker_program = program;
    auto answer = rig.call("echo in");
    REQUIRE(answer.result);
    REQUIRE_FALSE(*answer.result);
    CHECK(answer.result->error().what.find("does not report limits") != std::string::npos);
}
