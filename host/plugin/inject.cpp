#include "plugin/inject.hpp"

#include "base/guard.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "plugin/headers.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace parley {

namespace {

constexpr std::size_t placements_most = 16;
constexpr std::size_t affix_most = 1024;

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}
Error denied(std::string what) {
    return Error(Fault::denied, std::move(what));
}

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

std::string percent(std::string_view text, std::string_view also_plain = "") {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        if (is_unreserved(c) || also_plain.find(c) != also_plain.npos) {
            out += c;
            continue;
        }
        auto byte = static_cast<unsigned char>(c);
        out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

std::string composed(Placement const& placement, std::string_view secret) {
    std::string text = placement.prefix;
    text.append(secret).append(placement.suffix);
    std::string out;
    switch (placement.encode) {
        case Placement::Encode::none:
            return text;
        case Placement::Encode::percent:
            out = percent(text);
            break;
        case Placement::Encode::base64:
            out = base64(text);
            break;
        case Placement::Encode::hmac_hex:
        case Placement::Encode::hmac_base64:
            break;  // never placed itself: see signature_of
    }
    wipe(text);
    return out;
}

// The signature over the request as it stands.
Result<std::string> signature_of(Outgoing const& request, Placement const& placement,
                                 std::string_view secret) {
    auto header = [&request](std::string_view name) -> std::optional<std::string_view> {
        std::optional<std::string_view> found;
        for (auto const& [key, value] : request.headers) {
            if (!same_name(key, name)) continue;
            if (found) return std::nullopt;
            found = value;
        }
        return found;
    };
    TRY(before, text_before_body(placement.signed_text, header));
    TRY(digest, sign(placement.key, secret, before, request.body));
    auto form =
        placement.encode == Placement::Encode::hmac_hex ? DigestForm::hex : DigestForm::base64;
    return placement.prefix + written(form, digest) + placement.suffix;
}

// What a signature needs beside its slot.
Result<> read_signature(json::value const& entry, Placement& placement) {
    if (placement.kind != Placement::Kind::header)
        return bad("inject puts a signature where no header is");
    auto text = parse_signed_text(text_at(entry, "signed", "{body}"));
    if (!text) return bad("inject.signed " + text.error().what);
    placement.signed_text = std::move(*text);
    auto key = text_at(entry, "key", "text");
    if (key != "text" && key != "base64") return bad("inject.key is neither text nor base64");
    if (key == "base64") placement.key = KeyForm::base64;
    return ok();
}

Result<std::pair<Placement::Kind, std::string>> read_slot(std::string_view slot) {
    using Kind = Placement::Kind;
    constexpr std::pair<std::string_view, Kind> kinds[] = {{"header:", Kind::header},
                                                           {"query:", Kind::query},
                                                           {"path:", Kind::path},
                                                           {"body:", Kind::body},
                                                           {"stream:", Kind::stream}};
    for (auto const& [prefix, kind] : kinds)
        if (slot.starts_with(prefix) && slot.size() > prefix.size())
            return std::pair(kind, std::string(slot.substr(prefix.size())));
    return bad("inject names the slot \"" + visible(clipped(slot, 128)) + "\", which is none");
}

bool is_declared(SecretField const& field, Placement const& placement, std::string_view slot) {
    return std::any_of(field.slots.begin(), field.slots.end(), [&](std::string const& declared) {
        if (placement.kind == Placement::Kind::stream) return declared == "stream";
        if (placement.kind == Placement::Kind::header) return same_name(declared, slot);
        return declared == slot;
    });
}

Result<> place_header(Outgoing& request, std::string const& name, std::string value) {
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos)
        return bad("the value for the header " + name + " holds a line break");
    // The slot owns the header: whatever the plugin put there goes.
    std::erase_if(request.headers,
                  [&](auto const& header) { return same_name(header.first, name); });
    request.headers.emplace_back(name, std::move(value));
    return ok();
}

Result<> place_query(Outgoing& request, std::string const& name, std::string const& value) {
    auto& target = request.path_and_query;
    auto mark = target.find('?');
    auto key = percent(name);
    if (mark != target.npos) {
        std::string_view query = std::string_view(target).substr(mark + 1);
        while (!query.empty()) {
            auto item = query.substr(0, query.find('&'));
            if (item.substr(0, item.find('=')) == key)
                return bad("the request holds the query value " + name + " already");
            query.remove_prefix(std::min(item.size() + 1, query.size()));
        }
    }
    target += (mark == target.npos ? "?" : target.back() == '?' ? "" : "&") + key + "=" + value;
    return ok();
}

// Exactly one segment is that text.
Result<> place_path(Outgoing& request, std::string const& text, std::string const& value) {
    auto& target = request.path_and_query;
    auto path = target.substr(0, target.find('?'));
    auto rest = target.substr(path.size());
    std::string out;
    int found = 0;
    for (std::string_view left = path; !left.empty();) {
        auto slash = left.find('/');
        auto segment = left.substr(0, slash);
        bool is_it = segment == text;
        found += is_it;
        out += is_it ? std::string_view(value) : segment;
        if (slash == left.npos) break;
        out += '/';
        left.remove_prefix(slash + 1);
    }
    if (found != 1) return bad("the path does not hold the segment " + visible(text) + " once");
    target = out + rest;
    return ok();
}

Result<> place_body(Outgoing& request, std::string const& pointer, std::string const& value) {
    TRY(body, parse_json(request.body));
    if (!is_utf8(value)) return bad("the secret is no text, and the body is JSON");
    json::value* at = &body;
    for (std::string_view left = pointer; !left.empty();) {
        if (left.front() != '/') return bad("the body slot is not a JSON pointer");
        left.remove_prefix(1);
        auto raw = left.substr(0, left.find('/'));
        left.remove_prefix(raw.size());
        std::string key;
        for (std::size_t i = 0; i < raw.size(); ++i) {
            if (raw[i] != '~')
                key += raw[i];
            else if (i + 1 < raw.size())
                key += raw[++i] == '0' ? '~' : '/';
        }
        if (!at->is_object()) return bad("the body has no place " + visible(pointer));
        auto& fields = at->get_object();
        auto* next = fields.if_contains(key);
        if (!next && !left.empty()) return bad("the body has no place " + visible(pointer));
        if (!next) next = &fields.emplace(key, nullptr).first->value();
        at = next;
    }
    *at = json::string(value);
    request.body = to_text(body);
    return ok();
}

}  // namespace

Result<std::vector<Placement>> read_placements(json::value const* inject,
                                               Manifest const& manifest) {
    std::vector<Placement> placements;
    if (!inject || inject->is_null()) return placements;
    if (!inject->is_array() || inject->get_array().size() > placements_most)
        return bad("inject is not a list, or too long");
    for (auto const& entry : inject->get_array()) {
        Placement placement{};
        auto slot = text_at(entry, "slot");
        TRY(where, read_slot(slot));
        placement.kind = where.first;
        placement.place = where.second;
        placement.field = text_at(entry, "secret");
        placement.prefix = text_at(entry, "prefix");
        placement.suffix = text_at(entry, "suffix");
        if (placement.prefix.size() + placement.suffix.size() > affix_most)
            return bad("inject has a prefix or suffix that is too long");
        auto encode = text_at(entry, "encode", "none");
        if (encode == "percent")
            placement.encode = Placement::Encode::percent;
        else if (encode == "base64")
            placement.encode = Placement::Encode::base64;
        else if (encode == "hmac-sha256-hex")
            placement.encode = Placement::Encode::hmac_hex;
        else if (encode == "hmac-sha256-base64")
            placement.encode = Placement::Encode::hmac_base64;
        else if (encode != "none")
            return bad("inject has an unknown encode");
        if (placement.is_signature()) MUST(read_signature(entry, placement));
        auto const* field = manifest.secret(placement.field);
        if (!field)
            return denied("the manifest declares no secret \"" +
                          visible(clipped(placement.field, 128)) + "\"");
        if (!is_declared(*field, placement, slot) && holds("secret-slot"))
            return denied("the manifest does not declare the slot " + visible(slot) +
                          " for the secret " + field->name);
        bool is_computed = field->tier == SecretField::Tier::compute;
        if (is_computed != placement.is_signature() && holds("compute-tier"))
            return denied("the secret " + field->name +
                          (is_computed ? " is only computed with, never placed"
                                       : " is placed, and its tier is not compute"));
        placements.push_back(std::move(placement));
    }
    std::stable_partition(placements.begin(), placements.end(),
                          [](auto const& one) { return !one.is_signature(); });
    return placements;
}

Result<> place_secret(Outgoing& request, Placement const& placement, std::string_view secret) {
    if (placement.is_signature()) {
        TRY(signature, signature_of(request, placement, secret));
        return place_header(request, placement.place, std::move(signature));
    }
    auto value = composed(placement, secret);
    Result<> placed = ok();
    switch (placement.kind) {
        case Placement::Kind::header:
            placed = place_header(request, placement.place, value);
            break;
        case Placement::Kind::query:
            placed = place_query(
                request, placement.place,
                placement.encode == Placement::Encode::percent ? value : percent(value));
            break;
        case Placement::Kind::path:
            // What RFC 3986 allows in a segment stays as it is: some services compare it raw.
            placed = place_path(request, placement.place,
                                placement.encode == Placement::Encode::percent
                                    ? value
                                    : percent(value, "!$&'()*+,;=:@"));
            break;
        case Placement::Kind::body:
            placed = place_body(request, placement.place, value);
            break;
        case Placement::Kind::stream:
            placed = denied("a stream slot in a request");
    }
    wipe(value);
    return placed;
}

Result<> place_in_stream(std::string& bytes, Placement const& placement, std::string_view secret) {
    if (placement.kind != Placement::Kind::stream) return denied("a request slot in a stream");
    auto at = bytes.find(placement.place);
    if (at == bytes.npos) return bad("the bytes do not hold " + visible(placement.place));
    auto value = composed(placement, secret);
    // One line stays one line: a secret must not smuggle in a second command.
    bool breaks = value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos;
    if (!breaks || !holds("secret-line")) bytes.replace(at, placement.place.size(), value);
    wipe(value);
    return breaks && holds("secret-line")
               ? Result<>(bad("the value for the stream holds a line break"))
               : ok();
}

}  // namespace parley
