#include "base/uri.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

namespace parley {

namespace {

// The parts keep their marks: "http:", "//host", "/path", "?query". What is missing is empty.
struct Parts {
    std::string_view scheme, authority, path, query;
};

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// As long as "http:", or nothing.
std::size_t scheme_size(std::string_view text) {
    if (text.empty() || !is_letter(text[0])) return 0;
    for (std::size_t i = 1; i < text.size(); ++i) {
        auto c = text[i];
        if (c == ':') return i + 1;
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.') return 0;
    }
    return 0;
}

std::string_view cut(std::string_view& text, std::size_t size) {
    auto head = text.substr(0, size);
    text.remove_prefix(head.size());
    return head;
}

Parts parts_of(std::string_view text) {
    Parts parts;
    parts.scheme = cut(text, scheme_size(text));
    if (text.starts_with("//")) parts.authority = cut(text, text.find_first_of("/?", 2));
    parts.path = cut(text, text.find('?'));
    parts.query = text;
    return parts;
}

std::string without_dots(std::string_view path) {
    std::string out;
    auto up = [&] {
        auto slash = out.rfind('/');
        out.resize(slash == out.npos ? 0 : slash);
    };
    while (!path.empty()) {
        if (path.starts_with("../"))
            cut(path, 3);
        else if (path.starts_with("./"))
            cut(path, 2);
        else if (path.starts_with("/./"))
            cut(path, 2);
        else if (path == "/.")
            path = "/";
        else if (path.starts_with("/../"))
            cut(path, 3), up();
        else if (path == "/..")
            path = "/", up();
        else if (path == "." || path == "..")
            path = {};
        else
            out += cut(path, path.find('/', 1));
    }
    return out;
}

std::string merged(Parts const& base, std::string_view path) {
    if (!base.authority.empty() && base.path.empty()) return '/' + std::string(path);
    return std::string(base.path.substr(0, base.path.rfind('/') + 1)) + std::string(path);
}

std::string resolved(Parts const& base, Parts const& reference) {
    auto whole = [](std::string_view scheme, std::string_view authority, std::string path,
                    std::string_view query) {
        return std::string(scheme).append(authority).append(path).append(query);
    };
    if (!reference.scheme.empty())
        return whole(reference.scheme, reference.authority, without_dots(reference.path),
                     reference.query);
    if (!reference.authority.empty())
        return whole(base.scheme, reference.authority, without_dots(reference.path),
                     reference.query);
    if (reference.path.empty())
        return whole(base.scheme, base.authority, std::string(base.path),
                     reference.query.empty() ? base.query : reference.query);
    auto path = reference.path.starts_with('/') ? std::string(reference.path)
                                                : merged(base, reference.path);
    return whole(base.scheme, base.authority, without_dots(path), reference.query);
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        auto byte = from_hex(text.substr(i + 1, 2));
        if (!byte || byte->size() != 1) return std::nullopt;
        out += *byte;
        i += 2;
    }
    return out;
}

}  // namespace

std::optional<Reference> resolve_reference(std::string_view base, std::string_view reference) {
    auto name = cut(reference, reference.find('#'));
    if (!reference.empty()) reference.remove_prefix(1);
    if (base.size() + name.size() > limits::schema_uri_bytes) return std::nullopt;
    auto fragment = percent_decoded(reference);
    if (!fragment) return std::nullopt;
    return Reference{resolved(parts_of(base), parts_of(name)), std::move(*fragment)};
}

}  // namespace parley
