#include "trace/trace.hpp"

#include "base/text.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <mutex>

namespace parley {

struct Trace::Inside {
    std::shared_ptr<spdlog::logger> logger;
    std::mutex mutex;
    std::function<bool(std::string&)> scrub;
};

Trace::Trace() : inside_(std::make_unique<Inside>()) {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    inside_->logger = std::make_shared<spdlog::logger>("parley", sink);
    inside_->logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    inside_->logger->flush_on(spdlog::level::info);
}

Trace::~Trace() = default;

void Trace::scrub_with(std::function<bool(std::string&)> scrub) {
    std::lock_guard lock(inside_->mutex);
    inside_->scrub = std::move(scrub);
}

void Trace::write(Level level, std::string_view text) {
    std::lock_guard lock(inside_->mutex);
    auto const& scrub = inside_->scrub;
    // Before and after: a secret with a line break is whole only now, another only on one line.
    std::string whole(text);
    if (scrub) scrub(whole);
    auto line = visible(whole);
    for (char& c : line)
        if (c == '\n') c = ' ';
    if (scrub) scrub(line);
    constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info,
                                                    spdlog::level::warn, spdlog::level::err};
    inside_->logger->log(levels[static_cast<int>(level)], "{}", line);
}

void Trace::flush() {
    inside_->logger->flush();
}

}  // namespace parley
