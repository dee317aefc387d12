#include "inbound/webhooks.hpp"

#include "base/guard.hpp"
#include "base/text.hpp"
#include "inbound/verify.hpp"

#include <algorithm>
#include <utility>

namespace parley {

namespace {

constexpr std::string_view root = "/hooks/";
constexpr int trace_warn = 2;

// Without a word why: who asks may be anybody.
HttpRefusal plain(int status) {
    return {status, ""};
}

HttpRefusal later(int status, std::int64_t wait_us) {
    auto seconds = std::max<std::int64_t>(1, (wait_us + 999'999) / 1'000'000);
    return {status, "", {{"Retry-After", std::to_string(seconds)}}};
}

constexpr std::int64_t retry_us = std::chrono::microseconds(limits::inbound_retry_time).count();

Response response_of(HttpRefusal const& refusal) {
    Response response;
    response.status = refusal.status;
    response.content_type = "application/problem+json";
    response.headers = refusal.headers;
    response.body = R"({"type":"about:blank","status":)" + std::to_string(refusal.status) + "}";
    return response;
}

}  // namespace

void Webhooks::use(std::shared_ptr<Config const> config) {
    config_ = std::move(config);
    std::erase_if(places_, [this](auto const& place) {
        return !config_->channels.contains(place.first) && place.second.open == 0;
    });
}

bool Webhooks::is_for(Request const& head) {
    return !head.peer.local_socket && head.target.starts_with(root);
}

HttpRefusal Webhooks::refuse(InstanceName const& instance, int status, std::string const& why) {
    if (deps_.refused) deps_.refused(instance, "webhook:" + why);
    return plain(status);
}

Webhooks::Way Webhooks::way_of(Request const& head) {
    Way way;
    auto stop = [&way](HttpRefusal refusal) -> Way&& {
        way.refusal = std::move(refusal);
        return std::move(way);
    };
    if (deps_.check_origin)
        if (auto refusal = deps_.check_origin(head)) return stop(std::move(*refusal));
    way.instance = InstanceName(head.target.substr(root.size()));
    if (!config_) return stop(plain(404));
    auto channel = config_->channels.find(way.instance);
    if (channel == config_->channels.end() || (!channel->second.inbound && holds("configured")))
        return stop(plain(404));
    if (head.method != "POST") return stop({405, "", {{"Allow", "POST"}}});
    way.listener = deps_.desk->find(way.instance.text);
    if (!way.listener) return stop(later(503, retry_us));
    auto const& need = *way.listener->worker().file->manifest().inbound;
    auto const& types = need.content_types;
    if (std::find(types.begin(), types.end(), media_type(head)) == types.end() &&
        holds("content-type"))
        return stop(refuse(way.instance, 415, "type"));
    if (auto coding = head.header("content-encoding"); coding && *coding != "identity")
        return stop(refuse(way.instance, 415, "type"));
    auto name = way.listener->worker().secrets.find(need.secret);
    auto secret = name == way.listener->worker().secrets.end()
                      ? Result<Secret>(Error(Fault::not_found, "it is not bound"))
                      : deps_.secret(name->second);
    if (!secret) return stop(later(503, retry_us));
    if (!is_credible(need, head, *secret, deps_.now_us()))
        return stop(refuse(way.instance, 401, "signature"));
    way.secret = std::move(*secret);
    return way;
}

// Nobody says when a connection breaks, so what was let in counts as long as its body may take.
bool Webhooks::may_read(std::string const& peer, std::int64_t now_us) {
    constexpr auto longest = std::chrono::microseconds(limits::inbound_body_time).count();
    while (!reading_.empty() && reading_.front().second + longest < now_us) reading_.pop_front();
    auto of_peer = std::count_if(reading_.begin(), reading_.end(),
                                 [&peer](auto const& one) { return one.first == peer; });
    bool is_full = reading_.size() >= limits::inbound_reading ||
                   static_cast<std::size_t>(of_peer) >= limits::inbound_reading_of_peer;
    if (is_full && holds("reading")) return false;
    reading_.emplace_back(peer, now_us);
    return true;
}

BodyTerms Webhooks::admit(Request const& head) {
    BodyTerms terms;
    terms.bytes_most = limits::inbound_body_bytes;
    terms.time = limits::inbound_body_time;
    auto now_us = deps_.now_us();
    auto const& peer = head.peer.address;
    if (auto wait = peers_.wait_us(peer, now_us); wait > 0) {
        terms.refusal = later(429, wait);
        return terms;
    }
    peers_.count(peer, now_us);
    auto way = way_of(head);
    if (way.refusal) {
        // Who does not know the secret guesses ever more slowly.
        if (way.refusal->status == 401 || way.refusal->status == 404)
            peers_.count(peer, now_us, limits::inbound_refusal_cost);
        terms.refusal = std::move(way.refusal);
        return terms;
    }
    auto const& place = places_[way.instance];
    if (auto wait = rate_.wait_us(place.moment_us, now_us); wait > 0 && holds("instance-rate")) {
        refuse(way.instance, 429, "rate");
        terms.refusal = later(429, wait);
    } else if (place.open >= limits::inbound_open) {
        refuse(way.instance, 503, "rate");
        terms.refusal = later(503, retry_us);
    } else if (!may_read(peer_key(peer), now_us)) {
        terms.refusal = later(503, retry_us);
    }
    return terms;
}

void Webhooks::handle(Request request, std::shared_ptr<Reply> reply) {
    auto stop = [&reply](HttpRefusal const& refusal) { reply->send(response_of(refusal)); };
    auto const peer = peer_key(request.peer.address);
    auto read = std::find_if(reading_.begin(), reading_.end(),
                             [&peer](auto const& one) { return one.first == peer; });
    if (read != reading_.end()) reading_.erase(read);
    auto way = way_of(request);  // the body took its time, and much may have changed meanwhile
    if (way.refusal) return stop(*way.refusal);
    auto const& worker = way.listener->worker();
    auto const& need = *worker.file->manifest().inbound;
    auto now_us = deps_.now_us();
    auto signature = verified(need, request, *way.secret);
    if (!signature) {
        peers_.count(request.peer.address, now_us, limits::inbound_refusal_cost);
        return stop(refuse(way.instance, 401, "signature"));
    }
    auto& place = places_[way.instance];
    if (auto wait = rate_.wait_us(place.moment_us, now_us); wait > 0 && holds("instance-rate")) {
        refuse(way.instance, 429, "rate");
        return stop(later(429, wait));
    }
    rate_.count(place.moment_us, now_us);
    if (deps_.secret_used)
        deps_.secret_used(worker.secrets.at(need.secret), worker.name, "(verified a webhook)");
    if (!is_utf8(request.body)) return stop(refuse(way.instance, 400, "text"));
    if (deps_.find_secret && !deps_.find_secret(request.body).empty() && holds("secret-in-body"))
        return stop(refuse(way.instance, 422, "secret"));
    auto until = window_end_us(need, request);
    if (until == 0) signature.reset();
    if (signature && !place.taken.take(*signature, until, now_us))
        return stop(refuse(way.instance, 409, "replay"));

    InboundRequest told;
    for (auto const& name : need.headers)
        for (auto const& [key, value] : request.headers) {
            std::string lower(key);
            std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            });
            if (lower == name) told.headers.emplace_back(name, value);
        }
    told.body = std::move(request.body);
    ++place.open;
    auto heard = way.listener->ask(std::move(told),
                                   [this, instance = way.instance, signature, reply](auto answer) {
                                       answered(instance, signature, std::move(answer), *reply);
                                   });
    if (!heard) answered(way.instance, signature, heard.error(), *reply);
}

void Webhooks::answered(InstanceName const& instance, std::optional<Digest> const& signature,
                        Result<InboundAnswer> answer, Reply& reply) {
    auto& place = places_[instance];
    --place.open;
    // What was not taken may come again, word for word.
    if (signature && (!answer || answer->status >= 300)) place.taken.forget(*signature);
    if (!answer) {
        if (answer.error().fault != Fault::unavailable && deps_.trace)
            deps_.trace(trace_warn, instance.text,
                        "a webhook was not answered: " + answer.error().what);
        return reply.send(response_of(later(503, retry_us)));
    }
    Response response;
    response.status = answer->status;
    response.content_type = std::move(answer->content_type);
    response.body = std::move(answer->body);
    if (answer->retry_after_s > 0)
        response.headers.emplace_back("Retry-After", std::to_string(answer->retry_after_s));
    reply.send(std::move(response));
}

}  // namespace parley
