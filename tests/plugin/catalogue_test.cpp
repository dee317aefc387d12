#include "plugin/catalogue.hpp"
#include "../temp_folder.hpp"
#include "plugin/lock.hpp"
#include "rig.hpp"

namespace fs = std::filesystem;

namespace {

struct Place {
    TempFolder folder;
    fs::path install = folder.path / "install", home = folder.path / "home";
    Config config;
    Catalogue catalogue;
    Place() {
        fs::create_directories(install);
        fs::create_directories(home / "plugins");
        for (auto const& path : {install, home, home / "plugins"})
            fs::permissions(path, fs::perms::owner_all);
        config.home = home;
    }
    void put(std::string const& name, fs::path const& where, std::string as = "") {
        auto target = where / ((as.empty() ? name : as) + ".so");
        fs::copy_file(zoo(name), target);
        fs::permissions(target, fs::perms::owner_all);
    }
    std::string state_of(std::string const& id) {
        catalogue.scan(install, config);
        auto const* entry = catalogue.find(PluginId(id));
        return entry ? std::string(name_of(entry->state)) + ": " + entry->reason : "not there";
    }
};

using Catch::Matchers::Contains;

}  // namespace

TEST_CASE("a plugin that is not enabled is known and not usable", "[catalogue]") {
    Place place;
    place.put("zoo", place.install);
    CHECK_THAT(place.state_of("zoo"), Contains("disabled"));
    CHECK_FALSE(place.catalogue.usable(PluginId("zoo")));
    place.config.plugins[PluginId("zoo")].enabled = true;
    CHECK(place.state_of("zoo") == "found: ");
    REQUIRE(place.catalogue.usable(PluginId("zoo")));
    CHECK(place.catalogue.usable(PluginId("zoo"))->first_party);
    CHECK(place.catalogue.usable(PluginId("zoo"))->file->hash().size() == 64);
}

TEST_CASE("each broken file is refused with its reason", "[catalogue]") {
    Place place;
    for (auto const* name : {"silent", "typo", "future"}) place.put(name, place.install);
    CHECK_THAT(place.state_of("silent.so"), Contains("no manifest"));
    CHECK_THAT(place.state_of("typo.so"), Contains("aproval"));
    CHECK_THAT(place.state_of("future.so"), Contains("ABI 2.0"));
}

TEST_CASE("two files with one id are both refused", "[catalogue]") {
    Place place;
    place.config.plugins[PluginId("zoo")].enabled = true;
    place.put("zoo", place.install);
    place.put("zoo", place.install, "copy");
    place.catalogue.scan(place.install, place.config);
    CHECK(place.catalogue.entries().size() == 2);
    for (auto const& entry : place.catalogue.entries()) CHECK(entry.state == PluginState::refused);
}

TEST_CASE("a first-party id is refused outside the install's folder", "[catalogue]") {
    Place place;
    place.config.plugins[PluginId("zoo")].enabled = true;
    place.put("zoo", place.home / "plugins");
    CHECK_THAT(place.state_of("zoo"), Contains("without a dot"));
}

TEST_CASE("a third-party file runs only as it was accepted", "[catalogue]") {
    Place place;
    PluginId id("org.example.third");
    auto& plugin = place.config.plugins[id];
    plugin.enabled = true;
    plugin.secrets["key"] = {"third", "prod"};
    place.put("third", place.home / "plugins");
    CHECK_THAT(place.state_of(id.text), Contains("parley plugin lock"));
    auto file = place.catalogue.find(id)->file;
    REQUIRE(write_lock(place.home, {{id, {file->hash(), rights_of(file->manifest())}}}));
    CHECK(place.state_of(id.text) == "found: ");
    REQUIRE(write_lock(place.home, {{id, {std::string(64, '0'), rights_of(file->manifest())}}}));
    CHECK_THAT(place.state_of(id.text), Contains("changed since"));
    REQUIRE(write_lock(place.home, {{id, {file->hash(), {"role parley.skill/1"}}}}));
    CHECK_THAT(place.state_of(id.text), Contains("rights"));
}

TEST_CASE("a required secret that is not bound, or an unknown one, refuses", "[catalogue]") {
    Place place;
    PluginId id("org.example.third");
    auto& plugin = place.config.plugins[id];
    plugin.enabled = true;
    place.put("third", place.install);
    CHECK_THAT(place.state_of(id.text), Contains("key is not bound"));
    plugin.secrets["key"] = {"third", "prod"};
    CHECK(place.state_of(id.text) == "found: ");
    plugin.secrets["kee"] = {"third", "prod"};
    CHECK_THAT(place.state_of(id.text), Contains("no secret field kee"));
}

TEST_CASE("config that the schema refuses, or egress that would widen, refuses", "[catalogue]") {
    Place place;
    auto& plugin = place.config.plugins[PluginId("zoo")];
    plugin.enabled = true;
    place.put("zoo", place.install);
    plugin.config = R"({"mood":7})";
    CHECK_THAT(place.state_of("zoo"), Contains("plugins.zoo.config"));
    plugin.config = "{}";
    plugin.egress = {"evil.example"};
    CHECK_THAT(place.state_of("zoo"), Contains("narrow"));
    plugin.egress = {"api.example.org"};
    CHECK(place.state_of("zoo") == "found: ");
    auto& channel = place.config.channels[InstanceName("door")];
    channel.plugin = PluginId("zoo");
    channel.inbound = true;
    CHECK_THAT(place.state_of("zoo"),
               Contains("channels.door.inbound: the plugin hears no webhooks"));
}

TEST_CASE("a file or folder that others can write is refused", "[catalogue]") {
    Place place;
    place.config.plugins[PluginId("zoo")].enabled = true;
    place.put("zoo", place.install);
    SECTION("the file") {
        fs::permissions(place.install / "zoo.so", fs::perms::group_write, fs::perm_options::add);
        CHECK_THAT(place.state_of("zoo.so"), Contains("written by others"));
    }
    SECTION("the folder") {
        fs::permissions(place.install, fs::perms::others_write, fs::perm_options::add);
        CHECK_THAT(place.state_of("install"), Contains("written by others"));
    }
    SECTION("a link is not followed") {
        fs::rename(place.install / "zoo.so", place.folder.path / "zoo.so");
        fs::create_symlink(place.folder.path / "zoo.so", place.install / "zoo.so");
        CHECK_THAT(place.state_of("zoo.so"), Contains("cannot be opened"));
    }
}

TEST_CASE("what runs is what was hashed, whatever happens to the file afterwards", "[catalogue]") {
    Rig rig("zoo");
    TempFolder folder;
    auto path = folder.path / "zoo.so";
    fs::copy_file(zoo("zoo"), path);
    fs::permissions(path, fs::perms::owner_all);
    auto file = PluginFile::read(path);
    REQUIRE(file);
    fs::resize_file(path, 100);
    rig.spec.file = *file;
    CHECK(rig.call("echo sealed").text() == "sealed");
}
