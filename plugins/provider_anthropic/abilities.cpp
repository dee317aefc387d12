#include "abilities.hpp"

namespace anthropic {

using parley::Json;

namespace {

// {"supported": bool}, or null where the service does not say.
bool is_refused(Json const& support) {
    return support["supported"].is_boolean() && !support["supported"].boolean();
}

}  // namespace

Abilities abilities_from(Json const& model) {
    Abilities out;
    Json const can = model["capabilities"];
    Json const thinking = can["thinking"];
    out.thinks_adaptively = !is_refused(thinking) && !is_refused(thinking["types"]["adaptive"]);
    Json const effort = can["effort"];
    if (effort.is_object()) {
        out.efforts = " ";
        for (auto const* level : {"low", "medium", "high", "xhigh", "max"}) {
            if (!is_refused(effort) && effort[level]["supported"].boolean()) {
                out.efforts += level + std::string(" ");
            }
        }
    }
    out.max_tokens = std::max<std::int64_t>(model["max_tokens"].integer(), 0);
    auto const stage = model["lifecycle"].text();
    auto const day = parley::utf8_cut(model["retires_at"].text(), 10);
    if (stage == "retired") out.leaving = "is retired";
    if (stage == "deprecated") {
        out.leaving = "is deprecated" + (day.empty() ? "" : ", and retires at " + std::string(day));
    }
    return out;
}

Manners fitted(Manners manners, Abilities const& abilities) {
    if (!abilities.thinks_adaptively) manners.thinking = "off";
    if (abilities.efforts.find(" " + manners.effort + " ") == std::string::npos) {
        manners.effort.clear();
    }
    manners.max_tokens = abilities.max_tokens;
    return manners;
}

}  // namespace anthropic
