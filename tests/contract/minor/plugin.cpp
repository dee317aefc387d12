// A skill of either minor, on the author's layer, which knows nothing of what is added later.
#include "parley/plugin.hpp"

class Plain final : public parley::Skill {
public:
    Plain(parley::Host& host, parley::Json const&) { host.log(PARLEY_LOG_INFO, "made"); }
    void invoke(parley::Call call, parley::Json) override {
        call.emit("\"on\"");
        call.complete_ok("\"done\"");
    }
};

extern "C" char const parley_manifest[] = "{}";
#define PARLEY_MANIFEST_SIZE 2
PARLEY_PLUGIN(Plain)
