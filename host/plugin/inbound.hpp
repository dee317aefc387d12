#pragma once

// Where requests from outside find the plugin that hears them: the listeners that are open, by
// channel instance. It checks nothing about a request; whoever brings one has verified it.
#include "base/result.hpp"
#include "plugin/worker.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley {

struct InboundRequest {
    std::vector<std::pair<std::string, std::string>> headers;  // those that the plugin may hear
    std::string body;                                          // UTF-8
};

struct InboundAnswer {
    int status = 200;
    std::string content_type, body;
    int retry_after_s = 0;
};

// What a plugin answered, checked before a stranger gets it: a status of 2xx, 4xx or 5xx.
Result<InboundAnswer> read_inbound_answer(std::string_view json);

class InboundListener {
public:
    virtual ~InboundListener() = default;
    virtual WorkerSpec const& worker() const = 0;
    // `done` is told once, later: the plugin's answer, or why there is none within
    // limits::inbound_answer_time. Fault::unavailable when it cannot take one now; then it is not
    // told.
    virtual Result<> ask(InboundRequest request,
                         std::function<void(Result<InboundAnswer>)> done) = 0;
};

// All on the event thread.
class InboundDesk {
public:
    // False when somebody listens for that instance already.
    bool open(std::string const& instance, std::weak_ptr<InboundListener> listener);
    void close(std::string const& instance);
    std::shared_ptr<InboundListener> find(std::string const& instance) const;

private:
    std::map<std::string, std::weak_ptr<InboundListener>> listeners_;
};

}  // namespace parley
