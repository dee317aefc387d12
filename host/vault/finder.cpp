#include "vault/finder.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <cstring>

namespace parley {

namespace {

constexpr std::size_t form_bytes_least = 8;

std::uint32_t start_of(char const* bytes) {
    std::uint32_t start;
    std::memcpy(&start, bytes, sizeof start);
    return start;
}

std::string percent_encoded(std::string_view bytes, char const* digits) {
    std::string out;
    for (char c : bytes) {
        auto byte = static_cast<unsigned char>(c);
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '_' || byte == '.' || byte == '~';
        if (plain) out += c;
        else out += std::string{'%', digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

std::string url_form(std::string text) {
    for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
    return text;
}

// What of a secret is sure to stand in a base64 text in which it begins at byte `shift` of a group:
// without the characters that its neighbours share.
std::string base64_core(std::string_view value, std::size_t shift) {
    auto text = base64(std::string(shift, 'x') + std::string(value));
    while (!text.empty() && text.back() == '=') text.pop_back();
    std::size_t front = shift == 0 ? 0 : shift + 1;
    std::size_t back = (value.size() + shift) % 3 == 0 ? 0 : 1;
    return text.size() > front + back ? text.substr(front, text.size() - front - back) : std::string();
}

}  // namespace

void Finder::clear() {
    forms_.clear();
    by_start_.clear();
    starts_.fill(false);
}

void Finder::add_form(std::string const& name, std::string form) {
    if (form.size() < form_bytes_least) return;
    for (auto const& known : forms_)
        if (known.bytes.equals(form)) return;
    auto kept = Secret::from(form);
    if (kept) {
        by_start_[start_of(form.data())].push_back(forms_.size());
        starts_[static_cast<unsigned char>(form[0])] = true;
        forms_.push_back({std::move(*kept), name});
    }
    wipe(form);
}

void Finder::add(std::string const& name, std::string_view value) {
    add_form(name, std::string(value));
    for (std::size_t shift = 0; shift < 3; ++shift) {
        auto core = base64_core(value, shift);
        add_form(name, url_form(core));
        add_form(name, std::move(core));
    }
    auto lower = hex(value);
    auto upper = lower;
    for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
    add_form(name, std::move(lower));
    add_form(name, std::move(upper));
    add_form(name, percent_encoded(value, "0123456789ABCDEF"));
    add_form(name, percent_encoded(value, "0123456789abcdef"));
    std::string quoted;
    append_quoted(quoted, value);
    add_form(name, quoted.substr(1, quoted.size() - 2));
    std::string spaced(value.rbegin(), value.rend());
    add_form(name, std::move(spaced));
}

bool Finder::next(std::string_view text, std::size_t from, Hit& hit) const {
    if (forms_.empty()) return false;
    for (auto at = from; at + form_bytes_least <= text.size(); ++at) {
        if (!starts_[static_cast<unsigned char>(text[at])]) continue;
        auto found = by_start_.find(start_of(text.data() + at));
        if (found == by_start_.end()) continue;
        for (auto index : found->second) {
            auto const& form = forms_[index];
            auto size = form.bytes.size_bytes();
            if (size <= text.size() - at && form.bytes.reveal() == text.substr(at, size)) {
                hit = {at, size, &form};
                return true;
            }
        }
    }
    return false;
}

std::string Finder::find(std::string_view text) const {
    Hit hit{};
    return next(text, 0, hit) ? hit.form->name : std::string();
}

bool Finder::mask(std::string& text) const {
    Hit hit{};
    if (!next(text, 0, hit)) return false;
    std::string out;
    std::size_t from = 0;
    do {
        out.append(text, from, hit.at - from);
        out += "[secret:" + hit.form->name + "]";
        from = hit.at + hit.size;
    } while (next(text, from, hit));
    out.append(text, from, text.size() - from);
    wipe(text);
    text = std::move(out);
    return true;
}

}  // namespace parley
