// `parley plugin check`: runs the checks and prints what they say.
#include "base/text.hpp"
#include "cli/context.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace parley {

namespace {

using Kind = CheckOutcome::Kind;

// Only a person at a terminal who did not ask for none sees colours.
bool has_colours() {
    auto const* none = std::getenv("NO_COLOR");
    return is_terminal(STDOUT_FILENO) && !(none && *none);
}

char const* colour_of(Kind kind) {
    switch (kind) {
        case Kind::pass:
            return "\033[32m";
        case Kind::warn:
            return "\033[33m";
        case Kind::skip:
            return "\033[2m";
        case Kind::fail:
        case Kind::crash:
            return "\033[31m";
    }
    return "";
}

void print_outcome(CheckOutcome const& outcome, bool colours) {
    std::printf("%s%-5s%s  %s %s\n", colours ? colour_of(outcome.kind) : "", name_of(outcome.kind),
                colours ? "\033[0m" : "", outcome.rule->code().c_str(), outcome.rule->name);
    for (auto const& line : outcome.lines) std::printf("       %s\n", visible(line).c_str());
    std::fflush(stdout);
}

std::string document(CheckReport const& report, bool only_failed) {
    JsonWriter out;
    out.begin('{').pair("id", report.id).pair("plugin_version", report.version);
    out.pair("hash", report.hash).key("rights").begin('[');
    for (auto const& right : report.rights) out.string(right);
    out.end(']').key("checks").begin('[');
    for (auto const& outcome : report.outcomes) {
        if (only_failed && !outcome.is_bad()) continue;
        out.begin('{').pair("number", outcome.rule->code()).pair("name", outcome.rule->name);
        out.pair("result", name_of(outcome.kind)).pair("milliseconds", outcome.milliseconds);
        out.key("lines").begin('[');
        for (auto const& line : outcome.lines) out.string(visible(line));
        out.end(']').end('}');
    }
    out.end(']');
    auto count = [&report](Kind kind) { return static_cast<std::int64_t>(report.count(kind)); };
    out.pair("passed", count(Kind::pass)).pair("warned", count(Kind::warn));
    out.pair("skipped", count(Kind::skip)).pair("failed", count(Kind::fail));
    out.pair("crashed", count(Kind::crash));
    return out.pair("seed", static_cast<std::int64_t>(report.seed)).end('}').take();
}

}  // namespace

int verb_plugin_check(Context const& context, CheckWishes const& wishes) {
    auto options = wishes.options;
    options.file = wishes.file;
    options.signature = wishes.signature;
    CheckPlaces places{context.programs->worker, context.programs->check_worker,
                       context.programs->schemas};
    bool colours = has_colours();
    auto told = [&](CheckOutcome const& outcome) {
        if (!context.json && (outcome.is_bad() || !wishes.only_failed))
            print_outcome(outcome, colours);
    };
    auto report = check_plugin(options, places, told);
    if (!report) return fail(report.error()), report.error().fault == Fault::bad_input ? 2 : 1;
    if (print_json(context, document(*report, wishes.only_failed)))
        return report->is_good() ? 0 : 1;
    auto count = [&](Kind kind) { return report->count(kind); };
    std::printf(
        "%s %s: %zu passed, %zu with a warning, %zu skipped, %zu failed, %zu crashed; seed "
        "%llu\n",
        visible(report->id).c_str(), visible(report->version).c_str(), count(Kind::pass),
        count(Kind::warn), count(Kind::skip), count(Kind::fail), count(Kind::crash),
        static_cast<unsigned long long>(report->seed));
    for (auto const& right : report->rights) std::printf("  %s\n", visible(right).c_str());
    return report->is_good() ? 0 : 1;
}

}  // namespace parley
