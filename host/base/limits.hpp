#pragma once

// Every bound of the host, each with its reason. Nothing else in the source is a magic size.
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace parley::limits {

using namespace std::chrono_literals;

// Bytes from outside.
constexpr std::size_t json_depth = 64;                    // deeper is an attack on the stack
constexpr std::size_t manifest_bytes = 64 * 1024;         // sdk: part of the ABI
constexpr std::size_t config_bytes = 1024 * 1024;         // a YAML file larger than this is a mistake
constexpr std::size_t yaml_nodes = 20'000;                // alias bombs end here
constexpr std::size_t frame_bytes = 64 * 1024;            // worker link: one frame's body
constexpr std::size_t worker_message_bytes = 32u << 20;   // worker link: a message of many frames
constexpr std::size_t worker_queue_bytes = 4u << 20;      // to one worker, before the host pauses
constexpr std::size_t message_text_bytes = 64 * 1024;     // one inbound message
constexpr std::size_t cursor_bytes = 1024;                // sdk: part of the ABI
constexpr std::size_t sender_id_bytes = 512;
constexpr std::size_t skill_arguments_bytes = 256 * 1024; // one call, as the model emitted it
constexpr std::size_t skill_result_bytes = 256 * 1024;    // one result, as the model will see it
constexpr std::size_t answer_bytes = 4u << 20;            // one model answer, text and calls
constexpr std::size_t calls_per_answer = 32;
constexpr std::size_t call_name_bytes = 128;

// HTTP server.
constexpr std::size_t http_header_bytes = 16 * 1024;
constexpr std::size_t http_target_bytes = 8 * 1024;
constexpr std::size_t http_body_bytes = 1024 * 1024;
constexpr std::size_t http_connections = 512;
constexpr auto http_header_time = 5s;
constexpr auto http_body_time = 30s;
constexpr auto http_idle_time = 60s;
constexpr std::size_t event_backlog_bytes = 1024 * 1024;  // a reader slower than this is cut off
constexpr auto event_heartbeat = 15s;

// HTTP and streams for plugins.
constexpr std::size_t egress_body_bytes = 32u << 20;
constexpr std::size_t egress_per_worker = 64;             // requests and streams open at once
constexpr int redirects = 3;
constexpr std::size_t sse_line_bytes = 1024 * 1024;

// Turns.
constexpr int model_calls_per_turn = 32;                  // a loop ends here even without a budget
constexpr int retries_per_model_call = 2;                 // for retryable faults, with back-off
constexpr std::size_t inbox_items = 256;                  // per session; more is refused, loudly
constexpr std::size_t hot_sessions = 512;                 // cached; the rest is read when needed
constexpr std::size_t hot_session_bytes = 8u << 20;       // of context fragments, over all hot sessions
constexpr auto model_call_time = 600s;
constexpr auto skill_call_time = 120s;                    // unless the manifest says less or more
constexpr auto skill_call_time_longest = 3600s;
constexpr auto send_time = 60s;

// Workers.
constexpr auto worker_start_time = 10s;
constexpr auto worker_cancel_grace = 2s;                  // between cancel and kill
constexpr auto worker_restart_first = 100ms;              // doubles to the last
constexpr auto worker_restart_last = 30s;
constexpr int worker_deaths_to_quarantine = 5;            // within a minute
constexpr std::size_t worker_memory_mb = 512;             // address space, unless the manifest says less
constexpr std::size_t worker_open_files = 64;
constexpr std::size_t call_workers = 32;                  // per-call workers alive at once; more wait

// Ledger.
constexpr std::size_t record_body_bytes = 16 * 1024;      // larger bodies are stored by digest
constexpr std::size_t commit_queue_bytes = 32u << 20;     // beyond it new work is refused
constexpr auto head_mark_time = 100ms;
constexpr std::uint64_t checkpoint_records = 1000;
constexpr auto checkpoint_time = 60s;
constexpr std::size_t list_items = 1000;                  // api: a page

// Strangers.
constexpr int refused_senders = 100;                      // remembered per instance
constexpr auto refused_record_time = 1h;                  // one record per instance and sender

// Secrets.
constexpr std::size_t secret_bytes_least = 12;            // shorter cannot be masked safely
constexpr std::size_t secret_bytes_most = 16 * 1024;

}  // namespace parley::limits
