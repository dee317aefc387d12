// A request from outside: its header, and the body that may be signed by it.
#include "target.hpp"

#include "inbound/verify.hpp"

#include <algorithm>

namespace {

using namespace parley;

InboundNeed hmac(char const* header, char const* prefix, char const* text, DigestForm encoding,
                 KeyForm key) {
    InboundNeed need;
    need.header = header;
    need.prefix = prefix;
    need.signed_text = *parse_signed_text(text);
    need.encoding = encoding;
    need.key = key;
    return need;
}

std::vector<InboundNeed> const& needs() {
    static auto const all = [] {
        std::vector<InboundNeed> out{
            hmac("x-hub-signature-256", "sha256=", "{body}", DigestForm::hex, KeyForm::text),
            hmac("webhook-signature", "v1,", "{webhook-id}.{webhook-timestamp}.{body}",
                 DigestForm::base64, KeyForm::base64)};
        out[1].timestamp = "webhook-timestamp";
        out[1].window = std::chrono::seconds(300);
        InboundNeed token;
        token.scheme = InboundNeed::Scheme::token;
        token.header = "x-secret-token";
        out.push_back(token);
        return out;
    }();
    return all;
}

Request request_of(std::string_view bytes) {
    Request request;
    while (!bytes.empty()) {
        auto line = bytes.substr(0, bytes.find('\n'));
        bytes.remove_prefix(std::min(line.size() + 1, bytes.size()));
        if (line.empty()) break;
        auto colon = line.find(": ");
        if (colon == line.npos) continue;
        request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
    request.body = bytes;
    return request;
}

}  // namespace

void try_bytes(std::string_view bytes) {
    static auto const secret = std::move(*Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    constexpr auto now_us = 1'614'265'330 * std::int64_t{1'000'000};
    auto request = request_of(bytes);
    for (auto const& need : needs()) {
        bool is_credible_one = is_credible(need, request, secret, now_us);
        if (need.scheme == InboundNeed::Scheme::token) {
            must(!is_credible_one || request.header(need.header) == secret.reveal(),
                 "a token is the whole secret");
            continue;
        }
        auto digest = verified(need, request, secret);
        if (!digest) continue;
        std::string value(request.header(need.header).value_or(""));
        // Hex digits may be of either case.
        if (need.encoding == DigestForm::hex)
            for (char& c : value)
                if (c >= 'A' && c <= 'F') c = static_cast<char>(c + 32);
        must(value.find(need.prefix + written(need.encoding, *digest)) != value.npos,
             "what is verified stands there");
    }
    static_cast<void>(media_type(request));
    auto text = parse_signed_text(bytes);
    must(!text || std::all_of(text->pieces.begin(), text->pieces.end(),
                              [](auto const& piece) { return !piece.literal.empty(); }),
         "text stands between two headers");
}
