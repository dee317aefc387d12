// What a channel can show while an answer is being written: that it is, and its text so far.
// Nothing of it is recorded or waited for; a channel that cannot show it loses nothing.
#include "base/limits.hpp"
#include "flow/flow.hpp"

namespace parley {

// From the first request of a turn until it no longer runs.
void Flow::begin_showing(Session const& session) {
    auto features = features_of(session.instance);
    if (!features.typing && !features.draft) return;
    auto& showing = showing_[session.id.text];
    ++showing.draft;
    showing.text.clear();
    showing.has_news = false;
    if (!showing.typing && features.typing) show_typing(session.id);
}

void Flow::show_typing(SessionId const& id) {
    auto session = deps_.sessions->find(id);
    auto open = session ? channels_.find(session->instance) : channels_.end();
    bool works = session && session->has_turn() && session->state == SessionState::running;
    if (stopping_ || !works || open == channels_.end()) {
        showing_.erase(id.text);
        return;
    }
    if (open->second.channel->link() == Channel::Link::connected)
        open->second.channel->typing(session->conversation);
    showing_[id.text].typing =
        deps_.loop->after(limits::typing_time, [this, id] { show_typing(id); });
}

// At most one at once, and a second between two; what was written meanwhile comes with the next.
void Flow::show_text(SessionId const& id, std::string_view more) {
    auto found = showing_.find(id.text);
    if (found == showing_.end()) return;
    auto& showing = found->second;
    showing.text += more;
    showing.has_news = true;
    if (!showing.wait) show_draft(id);
}

void Flow::show_draft(SessionId const& id) {
    auto found = showing_.find(id.text);
    auto session = deps_.sessions->find(id);
    auto open = session ? channels_.find(session->instance) : channels_.end();
    if (found == showing_.end() || stopping_) return;
    auto& showing = found->second;
    showing.wait.reset();
    bool works = session && session->has_turn() && session->state == SessionState::running;
    if (!works || open == channels_.end() || !std::exchange(showing.has_news, false)) return;
    if (!features_of(session->instance).draft) return;
    open->second.channel->draft(session->conversation, showing.draft, without_mark(showing.text));
    showing.wait = deps_.loop->after(limits::draft_time, [this, id] { show_draft(id); });
}

}  // namespace parley
