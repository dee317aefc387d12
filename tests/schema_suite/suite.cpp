// Runs the official suite of JSON Schema 2020-12 on the host's validator: schema_suite SUITE
// EXCEPTIONS. Fails when a test fails that is no exception, and when an exception passes.
#include "base/json.hpp"
#include "base/schema.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace fs = std::filesystem;
using namespace parley;

namespace {

constexpr auto draft = "draft2020-12";

json::value read(fs::path const& file) {
    std::ifstream in(file, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(in), {});
    auto value = parse_json(text);
    if (value) return *std::move(value);
    std::printf("%s: %s\n", file.c_str(), value.error().what.c_str());
    std::exit(2);
}

std::vector<fs::path> json_files(fs::path const& folder) {
    std::vector<fs::path> files;
    for (auto const& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

// The documents that the suite expects a server on that port to serve.
SchemaDocuments remotes(fs::path const& suite) {
    SchemaDocuments documents;
    auto folder = suite / "remotes";
    for (auto const& entry : fs::recursive_directory_iterator(folder))
        if (entry.path().extension() == ".json")
            documents["http://localhost:1234/" + fs::relative(entry.path(), folder).string()] =
                read(entry.path());
    return documents;
}

// Empty when the schema says of the value what the suite says.
std::string mistake(Result<Schema> const& schema, json::value const& test) {
    if (!schema) return schema.error().what;
    auto result = schema->check(*member(test, "data"));
    auto expected = bool_at(test, "valid");
    if (bool(result) == expected) return {};
    return expected ? result.error().what : "what does not fit is let pass";
}

class Suite {
public:
    // `exceptions` name a file, in it a group whose tests all fail, and the reason.
    Suite(SchemaDocuments documents, json::value exceptions)
        : documents_(std::move(documents)), exceptions_(std::move(exceptions)) {}

    void run(fs::path const& file, std::string const& name) {
        auto groups = read(file);
        auto const* reasons = member(exceptions_, name);
        for (auto const& group : groups.get_array()) {
            std::string title(text_at(group, "description"));
            auto is_exception = reasons && member(*reasons, title);
            if (is_exception) ++exceptions_met_;
            auto schema =
                Schema::open(*member(group, "schema"), UnknownKeywords::ignored, &documents_);
            for (auto const& test : member(group, "tests")->get_array()) {
                auto wrong = mistake(schema, test);
                ++(wrong.empty() ? passed_ : failed_);
                if (wrong.empty() != is_exception) continue;
                if (wrong.empty()) wrong = "an exception, and passes";
                std::printf("%s: %s: %s: %s\n", name.c_str(), title.c_str(),
                            std::string(text_at(test, "description")).c_str(), wrong.c_str());
                ++surprises_;
            }
        }
    }

    // The program's exit status.
    int end() const {
        std::size_t named = 0;
        for (auto const& file : exceptions_.get_object()) named += file.value().get_object().size();
        if (named != exceptions_met_) std::printf("an exception names no group of the suite\n");
        std::printf("%d of %d tests of %s pass, %zu groups are exceptions\n", passed_,
                    passed_ + failed_, draft, named);
        return surprises_ > 0 || named != exceptions_met_ || passed_ == 0 ? 1 : 0;
    }

private:
    SchemaDocuments documents_;
    json::value exceptions_;
    std::size_t exceptions_met_ = 0;
    int passed_ = 0, failed_ = 0, surprises_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    fs::path folder(argv[1]);
    Suite suite(remotes(folder), read(argv[2]));
    auto tests = folder / "tests" / draft;
    for (auto const& file : json_files(tests)) suite.run(file, file.stem().string());
    // Not run: format/ and format-assertion, since `format` is an annotation here.
    for (auto const& file : json_files(tests / "optional"))
        if (file.stem() != "format-assertion") suite.run(file, "optional/" + file.stem().string());
    return suite.end();
}
