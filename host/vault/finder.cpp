#include "vault/finder.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <cstring>

namespace parley {

namespace {

// A shorter piece of a secret would be found in innocent text.
constexpr std::size_t form_bytes_least = 8;
// All forms of one secret together have at most this many times its bytes.
constexpr std::size_t forms_per_byte = 40;

std::uint32_t start_of(char const* bytes) {
    std::uint32_t start;
    std::memcpy(&start, bytes, sizeof start);
    return start;
}

std::size_t filter_place(std::uint32_t start) {
    return start * 2654435761u >> 16;
}

// Strings below are given their room first: growing would leave copies behind in free memory.
std::string roomy(std::size_t bytes) {
    std::string text;
    text.reserve(bytes);
    return text;
}

std::string percent_encoded(std::string_view bytes, char const* digits) {
    auto out = roomy(3 * bytes.size());
    for (char c : bytes) {
        auto byte = static_cast<unsigned char>(c);
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '_' || byte == '.' ||
                     byte == '~';
        if (plain) {
            out += c;
        } else {
            out += '%';
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out;
}

std::string json_escaped(std::string_view bytes, bool slashes) {
    auto quoted = roomy(6 * bytes.size() + 2);
    append_quoted(quoted, bytes);
    auto out = roomy(2 * quoted.size());
    for (char c : std::string_view(quoted).substr(1, quoted.size() - 2)) {
        if (c == '/' && slashes) out += '\\';
        out += c;
    }
    wipe(quoted);
    return out;
}

// What of a secret is sure to stand in a base64 text in which it begins at byte `shift` of a group:
// without the characters that its neighbours share.
std::string base64_core(std::string_view value, std::size_t shift) {
    auto shifted = roomy(shift + value.size());
    shifted.append(shift, 'x').append(value);
    auto text = base64(shifted);
    wipe(shifted);
    while (!text.empty() && text.back() == '=') text.pop_back();
    std::size_t front = shift == 0 ? 0 : shift + 1;
    std::size_t back = (value.size() + shift) % 3 == 0 ? 0 : 1;
    if (text.size() <= front + back) return {};
    text.resize(text.size() - back);
    text.erase(0, front);
    return text;
}

template <class Change>
std::string changed(std::string text, Change change) {
    for (char& c : text) c = change(c);
    return text;
}

char upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
char url_safe(char c) {
    return c == '+' ? '-' : c == '/' ? '_' : c;
}

// Calls `take` with each form; wipes it afterwards.
template <class Take>
void each_form(std::string_view value, Take take) {
    auto give = [&](std::string form) {
        take(std::string_view(form));
        wipe(form);
    };
    give(std::string(value));
    give(std::string(value.rbegin(), value.rend()));
    for (std::size_t shift = 0; shift < 3; ++shift) {
        give(base64_core(value, shift));
        give(changed(base64_core(value, shift), url_safe));
    }
    give(hex(value));
    give(changed(hex(value), upper));
    give(percent_encoded(value, "0123456789ABCDEF"));
    give(percent_encoded(value, "0123456789abcdef"));
    give(json_escaped(value, false));
    give(json_escaped(value, true));
}

}  // namespace

Result<Finder> Finder::of(std::vector<Named> const& secrets) {
    std::size_t most = 1;
    for (auto const& [name, value] : secrets) most += forms_per_byte * value.size_bytes();
    auto bytes = roomy(most);
    std::vector<Form> forms;
    std::vector<std::string> names;
    for (auto const& [name, value] : secrets) {
        auto first = forms.size();
        each_form(value.reveal(), [&](std::string_view form) {
            if (form.size() < form_bytes_least) return;
            for (auto i = first; i < forms.size(); ++i)
                if (std::string_view(bytes).substr(forms[i].at, forms[i].size) == form) return;
            forms.push_back({bytes.size(), form.size(), names.size()});
            bytes += form;
        });
        names.push_back(name);
    }
    auto locked = Secret::from(bytes);
    wipe(bytes);
    if (!locked) return std::move(locked).error();
    Finder finder(std::move(*locked));
    finder.names_ = std::move(names);
    finder.forms_ = std::move(forms);
    finder.index();
    return finder;
}

void Finder::index() {
    for (std::size_t i = 0; i < forms_.size(); ++i) {
        auto start = start_of(bytes_of(forms_[i]).data());
        by_start_[start].push_back(i);
        starts_.set(filter_place(start));
    }
}

Finder::Form const* Finder::at(std::string_view text, std::size_t place) const {
    auto start = start_of(text.data() + place);
    if (!starts_.test(filter_place(start))) return nullptr;
    auto found = by_start_.find(start);
    if (found == by_start_.end()) return nullptr;
    Form const* longest = nullptr;
    for (auto index : found->second) {
        auto const& form = forms_[index];
        bool is_here =
            form.size <= text.size() - place && bytes_of(form) == text.substr(place, form.size);
        if (is_here && (!longest || form.size > longest->size)) longest = &form;
    }
    return longest;
}

std::string Finder::find(std::string_view text) const {
    for (std::size_t place = 0; place + form_bytes_least <= text.size(); ++place)
        if (auto const* form = at(text, place)) return names_[form->name];
    return {};
}

bool Finder::mask(std::string& text) const {
    std::string out;
    std::size_t kept = 0, end = 0;  // copied up to; the present hit reaches to
    for (std::size_t place = 0; place + form_bytes_least <= text.size(); ++place) {
        auto const* form = at(text, place);
        if (!form) continue;
        if (place >= end) {
            out.append(text, kept, place - kept);
            out += "[secret:" + names_[form->name] + "]";
        }
        // A second secret may begin inside the first: both go.
        kept = end = std::max(end, place + form->size);
    }
    if (end == 0) return false;
    out.append(text, kept, text.size() - kept);
    wipe(text);
    text = std::move(out);
    return true;
}

}  // namespace parley
