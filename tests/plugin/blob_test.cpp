// Blobs: bytes that a plugin keeps with the host, takes from a service and hands to one.
#include "rig.hpp"

#include "plugin/blobs.hpp"
#include "wire/server.hpp"

#include "../temp_folder.hpp"

#include <fstream>

namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

struct BlobRig : Rig {
    TempFolder folder;
    std::unique_ptr<Blobs> blobs;
    std::vector<Request> seen;
    HttpServer server{loop, [this](Request request, std::shared_ptr<Reply> reply) {
                          seen.push_back(request);
                          Response response;
                          response.status = request.target.starts_with("/none") ? 404 : 200;
                          response.body = "from the service";
                          reply->send(std::move(response));
                      }};

    explicit BlobRig(std::string const& plugin = "zoo") : Rig(plugin) {
        auto opened = Blobs::open(loop, folder.path / "blobs");
        REQUIRE(opened);
        blobs = std::move(*opened);
        deps.blobs = blobs.get();
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto rules =
            resolve_egress(spec.file->manifest(), R"({"base_url":")" + base() + R"("})", {});
        REQUIRE(rules);
        spec.egress = *rules;
        spec.own_port = 1;
    }
    ~BlobRig() {
        if (worker) worker->stop();
        server.stop();
    }

    std::string base() const { return "http://127.0.0.1:" + std::to_string(server.port()); }
    std::string http(std::string const& path, std::string const& members) {
        return call(R"(http {"method":"POST","url":")" + base() + path + "\"," + members + "}\n")
            .text();
    }
    // Puts a text and answers its id.
    std::string put(std::string const& text) {
        auto said = call("blobput 1 " + text).text();
        auto at = said.find("b-");
        INFO(said);
        REQUIRE(at != said.npos);
        return said.substr(at, 66);
    }
    std::string get(std::string const& id, std::string const& more = "") {
        return call(R"(blobget {"blob":")" + id + "\"" + more + "}").text();
    }
    std::size_t files() const {
        std::size_t count = 0;
        for (auto const& entry : fs::recursive_directory_iterator(folder.path / "blobs"))
            count += entry.is_regular_file();
        return count;
    }
};

}  // namespace

TEST_CASE("what was put as a blob is got back, whole or a range of it", "[blob]") {
    BlobRig rig;
    auto id = rig.put("a file's bytes");
    CHECK(is_blob_id(id));
    CHECK(rig.get(id) == R"(a file's bytes DONE {"blob":")" + id + R"(","bytes":14})");
    CHECK_THAT(rig.get(id, R"(,"offset":2,"bytes":4)"), Contains("file DONE"));
    CHECK_THAT(rig.get(id, R"(,"offset":99)"), Contains(" DONE"));
    CHECK_THAT(rig.get(id, R"(,"offset":-1)"), Contains("FAILED"));
    CHECK(rig.put("a file's bytes") == id);
    CHECK(rig.files() == 1);
}

TEST_CASE("a blob of many chunks crosses with credit, in both directions", "[blob]") {
    BlobRig rig;
    auto said = rig.call("blobput 40 " + std::string(60'000, 'x')).text();
    CHECK_THAT(said, Contains(R"("bytes":2400000)"));
    auto got = rig.get(said.substr(said.find("b-"), 66));
    CHECK(got.substr(0, 2'400'005) == std::string(2'400'000, 'x') + " DONE");
}

TEST_CASE("another instance's blob is not there, nor is anything that is no blob", "[blob]") {
    BlobRig rig;
    auto draft = rig.blobs->begin("other");
    REQUIRE(draft);
    REQUIRE((*draft)->add("theirs"));
    auto theirs = (*draft)->finish();
    REQUIRE(theirs);
    REQUIRE(rig.blobs->open("other", theirs->id));
    fs::create_directory(rig.folder.path / "blobs/zoo");
    std::ofstream(rig.folder.path / "blobs/zoo/plain") << "no blob";
    auto link = "b-" + std::string(64, '0');
    fs::create_symlink(rig.folder.path / "blobs/other" / theirs->id,
                       rig.folder.path / "blobs/zoo" / link);
    for (auto const& id : {theirs->id, "../other/" + theirs->id, std::string("plain"), link,
                           std::string(""), std::string("."), "b-" + std::string(64, 'A')}) {
        INFO(id);
        CHECK_THAT(rig.get(id), Contains("FAILED") && Contains("there is no blob"));
    }
    CHECK_THAT(rig.http("/upload", R"("body_blob":")" + theirs->id + "\""),
               Contains("there is no blob"));
    CHECK(rig.seen.empty());
}

TEST_CASE("a blob beyond the bound is refused and leaves nothing behind", "[blob]") {
    BlobRig rig;
    auto said = rig.call("blobput 400 " + std::string(60'000, 'x')).text();
    CHECK_THAT(said, Contains("FAILED") && Contains("may not be larger than 20 MiB"));
    CHECK(rig.files() == 0);
}

TEST_CASE("a blob that is given up before it is whole leaves nothing behind", "[blob]") {
    BlobRig rig;
    {
        auto draft = rig.blobs->begin("zoo");
        REQUIRE(draft);
        REQUIRE((*draft)->add("half of"));
        CHECK(rig.files() == 1);
    }
    CHECK(rig.files() == 0);
}

TEST_CASE("a secret does not become a blob", "[blob]") {
    BlobRig rig;
    rig.marked = "the-marked-text";
    CHECK_THAT(rig.call("blobput 1 so the-marked-text here").text(), Contains("secret"));
    CHECK(rig.files() == 0);
}

TEST_CASE("a blob is the body of a request", "[blob]") {
    BlobRig rig;
    auto id = rig.put("bytes to send");
    CHECK_THAT(rig.http("/upload", R"("body_blob":")" + id + "\""), Contains("DONE"));
    REQUIRE(rig.seen.size() == 1);
    CHECK(rig.seen[0].body == "bytes to send");
}

TEST_CASE("the host makes a form of values and blobs, and no name breaks out of it", "[blob]") {
    BlobRig rig;
    auto id = rig.put("the file");
    auto said =
        rig.http("/form", R"("parts":[{"name":"chat","value":"7"},{"name":"document","blob":")" +
                              id + R"(","filename":"ü\"\r\nX: y.pdf","type":"application/pdf"}])");
    CHECK_THAT(said, Contains("DONE"));
    REQUIRE(rig.seen.size() == 1);
    std::string type(rig.seen[0].header("content-type").value_or(""));
    REQUIRE(type.starts_with("multipart/form-data; boundary="));
    auto line = "--" + type.substr(type.find('=') + 1);
    CHECK(line.size() - 2 <= 70);
    CHECK(rig.seen[0].body ==
          line + "\r\nContent-Disposition: form-data; name=\"chat\"\r\n\r\n7\r\n" + line +
              "\r\nContent-Disposition: form-data; name=\"document\"; "
              "filename=\"ü%22%0D%0AX: y.pdf\"\r\nContent-Type: application/pdf\r\n\r\n"
              "the file\r\n" +
              line + "--\r\n");
}

TEST_CASE("a form that makes no sense is refused before anything leaves", "[blob]") {
    BlobRig rig;
    auto id = rig.put("the file");
    CHECK_THAT(rig.http("/", R"("parts":[])"), Contains("FAILED"));
    CHECK_THAT(rig.http("/", R"("parts":[{"value":"nameless"}])"), Contains("has no name"));
    CHECK_THAT(rig.http("/", R"("parts":[{"name":"a","blob":")" + id +
                                 R"(","type":"text/html\r\nX: y"}])"),
               Contains("the type of the part"));
    CHECK_THAT(
        rig.http("/", R"("headers":[["content-type","a/b"]],"parts":[{"name":"a","value":"b"}])"),
        Contains("Content-Type is the host's"));
    CHECK_THAT(rig.http("/", R"("body_blob":")" + id + R"(","parts":[{"name":"a","value":"b"}])"),
               Contains("exclude each other"));
    CHECK(rig.seen.empty());
}

TEST_CASE("a good answer becomes a blob, and a bad one is told as it is", "[blob]") {
    BlobRig rig;
    auto said = rig.http("/file", R"("to_blob":true)");
    CHECK_THAT(said,
               Contains("DONE{\"blob\":\"b-") && Contains("\"bytes\":16") && !Contains("DATA"));
    auto at = said.find("b-");
    CHECK_THAT(rig.get(said.substr(at, 66)), Contains("from the service DONE"));
    CHECK_THAT(rig.http("/none", R"("to_blob":true)"), Contains("DATA from the service"));
    CHECK(rig.files() == 1);
}

TEST_CASE("a plugin whose manifest names no blobs neither sends one nor gets one", "[blob]") {
    BlobRig rig("blobless");
    auto draft = rig.blobs->begin("blobless");
    REQUIRE(draft);
    REQUIRE((*draft)->add("its own"));
    auto blob = (*draft)->finish();
    REQUIRE(blob);
    auto is_refused = Contains("the manifest does not name parley.host.blob/1");
    CHECK_THAT(rig.http("/upload", R"("body_blob":")" + blob->id + "\""), is_refused);
    CHECK_THAT(rig.http("/", R"("parts":[{"name":"a","blob":")" + blob->id + "\"}]"), is_refused);
    CHECK_THAT(rig.http("/file", R"("to_blob":true)"), is_refused);
    CHECK(rig.seen.empty());
}

TEST_CASE("old blobs are forgotten, and what a crash left unfinished goes at the start", "[blob]") {
    Loop loop;
    TempFolder folder;
    auto home = folder.path / "blobs";
    auto blobs = Blobs::open(loop, home);
    REQUIRE(blobs);
    auto draft = (*blobs)->begin("irc");
    REQUIRE(draft);
    REQUIRE((*draft)->add("kept"));
    auto blob = (*draft)->finish();
    REQUIRE(blob);
    auto now = fs::file_time_type::clock::now();
    (*blobs)->forget_old(now + limits::blob_time / 2);
    CHECK((*blobs)->open("irc", blob->id));
    (*blobs)->forget_old(now + limits::blob_time + std::chrono::minutes(1));
    CHECK_FALSE((*blobs)->open("irc", blob->id));

    std::ofstream(home / "irc/.draft-7") << "half";
    REQUIRE(Blobs::open(loop, home));
    CHECK(fs::is_empty(home / "irc"));
}

TEST_CASE("who keeps too much loses what is oldest, and others lose nothing", "[blob]") {
    Loop loop;
    TempFolder folder;
    auto home = folder.path / "blobs";
    auto now = fs::file_time_type::clock::now();
    auto id = [](char digit) { return "b-" + std::string(64, digit); };
    // Files with nothing in them but their size.
    auto plant = [&](std::string const& owner, char digit, int age) {
        fs::create_directories(home / owner);
        auto path = home / owner / id(digit);
        std::ofstream(path) << "";
        fs::resize_file(path, limits::blob_instance_bytes / 8);
        fs::last_write_time(path, now - std::chrono::hours(age));
    };
    for (int i = 0; i < 8; ++i) plant("chat", static_cast<char>('0' + i), i == 3 ? 100 : i + 1);
    plant("other", 'a', 150);
    auto blobs = Blobs::open(loop, home);
    REQUIRE(blobs);
    auto draft = (*blobs)->begin("chat");
    REQUIRE(draft);
    REQUIRE((*draft)->add("new"));
    auto blob = (*draft)->finish();
    REQUIRE(blob);
    CHECK((*blobs)->open("chat", blob->id));
    CHECK_FALSE((*blobs)->open("chat", id('3')));
    for (char digit : {'0', '1', '2', '4', '5', '6', '7'}) CHECK((*blobs)->open("chat", id(digit)));
    CHECK((*blobs)->open("other", id('a')));
}

TEST_CASE("a blob that is given away is the other's alone", "[blob]") {
    Loop loop;
    TempFolder folder;
    auto blobs = Blobs::open(loop, folder.path / "blobs");
    REQUIRE(blobs);
    auto put = [&](std::string const& owner) {
        auto draft = (*blobs)->begin(owner);
        REQUIRE(draft);
        REQUIRE((*draft)->add("the file"));
        auto blob = (*draft)->finish();
        REQUIRE(blob);
        return blob->id;
    };
    auto id = put("files");
    REQUIRE((*blobs)->move("files", id, "chat"));
    CHECK_FALSE((*blobs)->open("files", id));
    CHECK((*blobs)->open("chat", id));
    CHECK((*blobs)->move("files", id, "chat").error().fault == Fault::not_found);
    CHECK_FALSE((*blobs)->move("chat", id, "../out"));
    CHECK((*blobs)->move("chat", id, "chat"));
    put("files");
    REQUIRE((*blobs)->move("files", id, "chat"));
    auto blob = (*blobs)->open("chat", id);
    REQUIRE(blob);
    CHECK(*(*blob)->read(0, 100) == "the file");
}
