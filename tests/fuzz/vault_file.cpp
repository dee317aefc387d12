// The vault's file, before its key was seen.
#include "target.hpp"

#include "vault/sealed_file.hpp"

void try_bytes(std::string_view bytes) {
    std::string mac;
    auto file = parley::SealedFile::parse(bytes, mac);
    if (file) must(file->bytes() + mac == bytes, "what was read is written alike");
}
