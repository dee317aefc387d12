// The file skills. A worker that serves a call sees the workspace and no other folder; this code
// keeps to the workspace all the same. Each call but a file on its way out is short, so it runs
// where it arrives.
#include "parley/plugin.hpp"
#include "skills.hpp"

namespace files {
namespace {

using parley::Call;
using parley::Host;
using parley::Json;
using parley::json_of;

class Files final : public parley::Skill {
public:
    Files(Host& host, Json const&) : host_(host) {}

    void invoke(Call call, Json request) override {
        std::string const workspace(request["grants"]["workspace"].text());
        if (!workspace.starts_with('/')) return call.fail("denied", "no workspace was granted");
        try {
            if (request["skill"].text() == "send_file")
                return send_file(host_, call, Tree(workspace), request["arguments"],
                                 request["expect"]);
            auto const content = answer(request, Tree(workspace));
            if (!content) return call.fail("unsupported", "no such skill");
            call.complete_ok(json_of("content", *content, "error", false));
        } catch (Problem const& problem) {
            std::string const why = parley::visible_utf8(problem.what());
            call.complete_ok(json_of("content", why, "error", true));
        }
    }

private:
    static std::optional<std::string> answer(Json const& request, Tree const& tree) {
        std::string_view const skill = request["skill"].text();
        Json const arguments = request["arguments"], expect = request["expect"];
        if (skill == "read_file") return read_file(tree, arguments);
        if (skill == "list_files") return list_files(tree, arguments);
        if (skill == "search_files") return search_files(tree, arguments);
        if (skill == "write_file") return write_file(tree, arguments, expect);
        if (skill == "edit_file") return edit_file(tree, arguments, expect);
        return std::nullopt;
    }

    Host& host_;
};

}  // namespace
}  // namespace files

PARLEY_PLUGIN(files::Files)
