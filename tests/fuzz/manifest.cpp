// What a plugin says of itself.
#include "target.hpp"

#include "plugin/manifest.hpp"

void try_bytes(std::string_view bytes) {
    auto manifest = parley::parse_manifest(bytes);
    if (!manifest) return;
    must(manifest->text == bytes, "the exact bytes are kept");
    for (auto const& skill : manifest->skills)
        must(skill.approval != parley::ApprovalNeed::never ||
                 skill.effect == parley::EffectClass::pure,
             "only pure skills go unapproved");
}
