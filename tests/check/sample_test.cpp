#include "check/sample.hpp"

#include "base/json.hpp"
#include "base/schema.hpp"
#include "check/rules.hpp"
#include "plugin/elf_facts.hpp"

#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace parley;

namespace {

namespace fs = std::filesystem;

std::string text_of(fs::path const& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

fs::path plugin(std::string const& name) {
    return fs::path(BUILD_FOLDER) / "plugins" / (name + ".so");
}

struct Sampled {
    CheckOptions options;
    CheckPlaces places;
    Subject subject{options, places, {}, {}, {}, {}, {}, fs::temp_directory_path(), 1};

    explicit Sampled(std::string const& name) {
        auto file = PluginFile::read(plugin(name));
        REQUIRE(file);
        subject.file = *file;
        auto config = sample_config(subject.file->manifest());
        INFO((config ? std::string() : config.error().what));
        REQUIRE(config);
        subject.config = *config;
    }
};

std::string schema_file(Verb verb) {
    switch (verb) {
        case Verb::channel_run:
            return "channel.1.run";
        case Verb::channel_send:
            return "channel.1.send";
        case Verb::channel_edit:
            return "channel.1.edit";
        case Verb::channel_typing:
            return "channel.1.typing";
        case Verb::channel_draft:
            return "channel.1.draft";
        case Verb::provider_generate:
            return "provider.1.generate";
        case Verb::provider_list_models:
            return "provider.1.list_models";
        case Verb::provider_count_tokens:
            return "provider.1.count_tokens";
        case Verb::skill_invoke:
            return "skill.1.invoke";
        case Verb::skill_preview:
            return "skill.1.preview";
        case Verb::skill_reconcile:
            return "skill.1.reconcile";
        default:
            return "";
    }
}

Result<> fits_its_schema(SampleRequest const& request) {
    auto path =
        fs::path(SOURCE_FOLDER) / "sdk/schemas" / ("parley." + schema_file(request.verb) + ".json");
    TRY(document, parse_json(text_of(path)));
    TRY(schema, Schema::open(document, UnknownKeywords::ignored));
    TRY(value, parse_json(request.text));
    return schema.check(value);
}

}  // namespace

TEST_CASE("a sample is one that its schema allows, least and whole", "[sample]") {
    for (auto const* text :
         {R"({"type":"object"})", R"({"type":"string","minLength":12})",
          R"({"type":"string","pattern":"^[a-z]+$","minLength":3})",
          R"({"type":"string","format":"date"})", R"({"type":"integer","minimum":7,"maximum":7})",
          R"({"type":"integer","exclusiveMinimum":3,"multipleOf":5})",
          R"({"type":"number","maximum":0.5})", R"({"enum":["a","b"]})", R"({"const":{"a":1}})",
          R"({"type":["string","null"]})", R"({"oneOf":[{"type":"boolean"},{"type":"null"}]})",
          R"({"type":"array","items":{"type":"integer"},"minItems":2})",
          R"({"$defs":{"n":{"type":"integer","minimum":4}},"$ref":"#/$defs/n"})",
          R"({"type":"object","additionalProperties":false,"required":["a"],
                 "properties":{"a":{"type":"array","minItems":1,"items":{"type":"object",
                 "required":["b"],"properties":{"b":{"type":"string","maxLength":2}}}},
                 "c":{"type":"boolean"}}})",
          R"({"type":"object","required":["a"],"properties":{"a":{"type":"string"}},
                 "examples":[{"a":"by hand"}]})"}) {
        INFO(text);
        auto schema = parse_json(text);
        REQUIRE(schema);
        for (auto fill : {Fill::least, Fill::all, Fill::largest}) {
            auto sample = sample_of(*schema, fill);
            INFO((sample ? to_text(*sample) : sample.error().what));
            REQUIRE(sample);
            REQUIRE(check_schema(*schema, *sample));
        }
    }
}

TEST_CASE("a schema for which nothing is found says so, and one that names itself ends",
          "[sample]") {
    for (auto const* text :
         {R"({"type":"string","pattern":"^[0-9]{9}x$"})",
          R"({"type":"object","required":["a"],"properties":{"a":{"$ref":"#"}}})", R"({"enum":[]})",
          "false"}) {
        INFO(text);
        REQUIRE_FALSE(sample_of(*parse_json(text), Fill::least));
    }
}

TEST_CASE("requests are such as a host makes, with and without a member that nobody knows",
          "[sample]") {
    for (auto const* name :
         {"channel_irc", "provider_openai", "provider_rehearsal", "skill_files", "skill_shell"}) {
        INFO(name);
        Sampled sampled(name);
        for (auto fill : {Fill::least, Fill::all, Fill::largest}) {
            std::vector<std::string> missing;
            auto requests = sample_requests(sampled.subject, fill, missing);
            for (auto const& preview : sample_previews(sampled.subject))
                requests.push_back(preview);
            REQUIRE(missing.empty());
            REQUIRE_FALSE(requests.empty());
            for (auto const& request : requests) {
                INFO(request.text.substr(0, 300));
                REQUIRE(request.text.find('\n') == std::string::npos);
                auto fits = fits_its_schema(request);
                INFO((fits ? std::string() : fits.error().what));
                REQUIRE(fits);
                REQUIRE(fits_its_schema({request.verb, with_odd_member(request.text)}));
            }
        }
    }
}

TEST_CASE("no command grant is ever held, and no granted folder is one that stays", "[sample]") {
    Sampled sampled("skill_shell");
    REQUIRE(sampled.subject.runs_commands());
    auto spec = sampled.subject.spec();
    REQUIRE(spec.grants.size() == 1);
    REQUIRE(spec.grants.front().name == "workspace");
    REQUIRE(spec.isolation == Isolation::strict);
}

TEST_CASE("every check has a number and a name of its own, and a line in the SDK's list",
          "[rules]") {
    auto words = text_of(fs::path(SOURCE_FOLDER) / "sdk/CHECKS.md");
    std::set<std::string> seen;
    int before = 0;
    for (auto const& rule : check_rules()) {
        INFO(rule.name);
        REQUIRE(rule.number > before);
        before = rule.number;
        REQUIRE(seen.insert(rule.name).second);
        REQUIRE(words.find("| " + rule.code() + " | `" + rule.name + "` |") != std::string::npos);
    }
    std::istringstream lines(words);
    std::size_t listed = 0;
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("| C")) ++listed;
    REQUIRE(listed == seen.size());
}

TEST_CASE("the facts of a library are those of its headers", "[elf]") {
    auto facts = read_elf_facts(text_of(plugin("provider_rehearsal")));
    REQUIRE(facts);
    REQUIRE(facts->exports.size() == 1);
    REQUIRE(facts->exports.front().name == "parley_plugin_v1");
    REQUIRE(facts->exports.front().is_object);
    REQUIRE(facts->exports.front().address >= facts->relro_begin);
    REQUIRE(facts->exports.front().address < facts->relro_end);
    REQUIRE(facts->note_is_loaded);
    REQUIRE(facts->binds_now);
    REQUIRE_FALSE(facts->is_go);
    REQUIRE(std::any_of(facts->imports.begin(), facts->imports.end(),
                        [](auto const& symbol) { return symbol.version.starts_with("GLIBC_2."); }));
}
