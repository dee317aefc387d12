// Where an agent finds what people attach, and what a skill may bring back.
#include "skill/inbox.hpp"

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "skill/skill.hpp"
#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <fstream>
#include <sstream>

namespace fs = std::filesystem;
using namespace parley;
using Catch::Matchers::Contains;

namespace {

struct Place {
    TempFolder folder;
    fs::path workspace = folder.path / "workspace", inbox = workspace / "inbox";
    Loop loop;
    std::unique_ptr<Blobs> blobs;

    Place() {
        fs::create_directories(workspace);
        auto opened = Blobs::open(loop, folder.path / "blobs");
        REQUIRE(opened);
        blobs = std::move(*opened);
    }
    std::string keep(std::string const& bytes) {
        auto draft = blobs->begin("chat");
        REQUIRE(draft);
        REQUIRE((*draft)->add(bytes));
        auto blob = (*draft)->finish();
        REQUIRE(blob);
        return blob->id;
    }
    Result<std::string> put(std::string const& name, std::string const& bytes) {
        auto blob = blobs->open("chat", keep(bytes));
        REQUIRE(blob);
        return put_in_inbox(workspace, name, **blob);
    }
    std::string read(std::string const& path) const {
        std::ifstream in(workspace / path, std::ios::binary);
        std::ostringstream out;
        out << in.rdbuf();
        return out.str();
    }
    std::size_t files() const {
        std::size_t count = 0;
        for (auto const& entry : fs::directory_iterator(inbox)) count += entry.is_regular_file();
        return count;
    }
};

}  // namespace

TEST_CASE("a file that came with a message lies in the inbox under its name", "[inbox]") {
    Place place;
    auto path = place.put("report.pdf", "the report");
    REQUIRE(path);
    CHECK(*path == "inbox/report.pdf");
    CHECK(place.read(*path) == "the report");
    CHECK(*place.put("empty", "") == "inbox/empty");
    auto large = std::string(3 * limits::blob_read_bytes + 1, 'x');
    CHECK(place.read(*place.put("large", large)) == large);
}

TEST_CASE("no file in the inbox is replaced: the same name gets a number", "[inbox]") {
    Place place;
    CHECK(*place.put("report.tar", "one") == "inbox/report.tar");
    CHECK(*place.put("report.tar", "two") == "inbox/report-2.tar");
    CHECK(*place.put("report.tar", "three") == "inbox/report-3.tar");
    CHECK(*place.put("notes", "one") == "inbox/notes");
    CHECK(*place.put("notes", "two") == "inbox/notes-2");
    CHECK(place.read("inbox/report.tar") == "one");
    CHECK(place.read("inbox/report-2.tar") == "two");
}

TEST_CASE("a file that comes again with the same bytes makes no second", "[inbox]") {
    Place place;
    CHECK(*place.put("a.txt", "one") == "inbox/a.txt");
    CHECK(*place.put("a.txt", "two") == "inbox/a-2.txt");
    CHECK(*place.put("a.txt", "one") == "inbox/a.txt");
    CHECK(*place.put("a.txt", "two") == "inbox/a-2.txt");
    CHECK(place.files() == 2);
}

TEST_CASE("what an agent puts in the way of its inbox leads nowhere", "[inbox]") {
    Place place;
    auto outside = place.folder.path / "outside";
    fs::create_directories(outside);
    SECTION("a link in the place of the inbox") {
        fs::create_directory_symlink(outside, place.inbox);
        CHECK_THAT(place.put("a.txt", "one").error().what, Contains("no folder of the workspace"));
    }
    SECTION("a file in the place of the inbox") {
        std::ofstream(place.inbox) << "x";
        CHECK_FALSE(place.put("a.txt", "one"));
    }
    SECTION("a link under the name of the file") {
        fs::create_directories(place.inbox);
        fs::create_symlink(outside / "planted", place.inbox / "a.txt");
        CHECK(*place.put("a.txt", "one") == "inbox/a-2.txt");
    }
    SECTION("a pipe under the name of the file") {
        fs::create_directories(place.inbox);
        REQUIRE(mkfifo((place.inbox / "a.txt").c_str(), 0600) == 0);
        CHECK(*place.put("a.txt", "one") == "inbox/a-2.txt");
    }
    CHECK(fs::is_empty(outside));
}

TEST_CASE("without a workspace there is no inbox", "[inbox]") {
    Place place;
    fs::remove(place.workspace);
    CHECK(place.put("a.txt", "one").error().fault == Fault::not_found);
    CHECK_FALSE(fs::exists(place.workspace));
}

TEST_CASE("an inbox with a hundred files of a name takes no more of them, and keeps no rest",
          "[inbox]") {
    Place place;
    for (int i = 0; i < limits::inbox_same_names; ++i)
        REQUIRE(place.put("a.txt", std::to_string(i)));
    CHECK(place.put("a.txt", "one more").error().fault == Fault::over_budget);
    CHECK(place.files() == static_cast<std::size_t>(limits::inbox_same_names));
}

// ---- What a skill may bring back ----------------------------------------------------------------

namespace {

struct Sender : Place {
    SkillSpec spec;
    SkillEntry entry;
    Sender() {
        spec.name = "send_file";
        spec.sends_files = true;
        spec.target = "path";
        entry.name = "send_file";
        entry.plugin = PluginId("chat");
        entry.spec = &spec;
    }
    Result<std::string> hold(std::vector<std::string> const& ids, std::string const& approved) {
        JsonWriter out;
        out.begin('{').pair("content", "sent").key("attachments").begin('[');
        for (auto const& id : ids)
            out.begin('{').pair("blob", id).pair("name", "a.txt").pair("bytes", 3).end('}');
        return hold_to_target(out.end(']').end('}').take(), entry,
                              R"({"a.txt":")" + hex(blake2b(approved)) + "\"}", blobs.get());
    }
};

}  // namespace

TEST_CASE("a skill brings the very content that was approved, or nothing is sent", "[inbox]") {
    Sender sender;
    auto id = sender.keep("one");
    CHECK(sender.hold({id}, "one"));
    CHECK_THAT(sender.hold({id}, "two").error().what, Contains("another content"));
    CHECK_THAT(sender.hold({id, id}, "one").error().what, Contains("other files"));
    CHECK_FALSE(sender.hold({"b-" + std::string(64, '0')}, "one"));
    CHECK(sender.hold({}, "one"));
    sender.spec.sends_files = false;
    CHECK_THAT(sender.hold({id}, "one").error().what, Contains("manifest does not say"));
}
