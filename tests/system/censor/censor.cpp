// A hook that does at each point what the text says of it: swap-POINT, ban-POINT, break-POINT,
// crash-POINT; anything else passes. Of the skills it takes away what the operator tells it to.
#include <parley/plugin.hpp>

#include <cstdint>
#include <string>

class Censor final : public parley::Hook {
public:
    Censor(parley::Host&, parley::Json const& config) : hides_(config["hides"].text()) {}

    void on_event(parley::Call call, parley::Json request) override {
        std::string const point(request["point"].text());
        std::string text(request["text"].text());
        auto says = [&](std::string const& word) {
            return text.find(word + "-" + point) != text.npos;
        };
        if (point == "skill.list") return call.complete_ok(without_hidden(text));
        // A true fault: the first process of a namespace may ignore a mere signal.
        if (says("crash")) *reinterpret_cast<char volatile*>(std::uintptr_t{16}) = 1;
        if (says("break")) return call.fail("internal", "out of order");
        if (says("ban"))
            return call.complete_ok(parley::json_of("action", "reject", "reason", "a banned word"));
        if (!says("swap")) return call.complete_ok(parley::json_of("action", "pass"));
        for (auto at = text.find("swap-" + point); at != text.npos; at = text.find("swap-" + point))
            text.replace(at, 5, "swapped-");
        call.complete_ok(parley::json_of("action", "replace", "text", text));
    }

private:
    std::string without_hidden(std::string const& names) const {
        std::string list = "[";
        auto const all = parley::Json::parse(names);
        for (auto const& name : all)
            if (name.text() != hides_)
                list += (list.size() > 1 ? "," : "") + std::string(name.raw());
        return parley::json_of("action", "replace", "text", list + "]");
    }
    std::string const hides_;
};

PARLEY_PLUGIN(Censor)
