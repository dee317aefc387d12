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
constexpr std::size_t plugin_id_bytes = 64;                // sdk: part of the manifest's schema
constexpr std::size_t config_bytes = 1024 * 1024;         // a YAML file larger than this is a mistake
constexpr std::size_t price_table_bytes = 1024 * 1024;    // it comes with the host; ten times what it is
constexpr int price_table_days = 60;                      // older, and prices are likely to have changed
constexpr std::size_t yaml_nodes = 20'000;                // alias bombs end here
constexpr std::size_t frame_bytes = 64 * 1024;            // worker link: one frame's body
constexpr std::size_t worker_message_bytes = 32u << 20;   // worker link: a message of many frames
constexpr std::size_t worker_queue_bytes = 4u << 20;      // to one worker, before the host pauses
constexpr std::size_t message_text_bytes = 64 * 1024;     // one inbound message
constexpr std::size_t cursor_bytes = 1024;                // sdk: part of the ABI
constexpr std::size_t sender_id_bytes = 512;
constexpr std::size_t skill_arguments_bytes = 256 * 1024; // one call, as the model emitted it
constexpr std::size_t skill_result_bytes = 256 * 1024;    // one result, as the model will see it
constexpr std::int64_t context_bytes_per_token = 3;       // to judge what fits; money counts one
constexpr std::size_t result_share_of_context = 4;        // at most a fourth: a turn has several
constexpr std::size_t answer_bytes = 4u << 20;            // one model answer, text and calls
constexpr std::size_t answer_state_bytes = 256 * 1024;    // sdk: sent again with each request after it
constexpr std::size_t answer_detail_bytes = 500;          // why a model refused, for a person to read
constexpr std::size_t calls_per_answer = 32;
constexpr std::size_t call_name_bytes = 128;

// JSON Schema. Both the schema and what it is held against are hostile, and both are read on the
// event thread.
constexpr std::size_t schema_size = 20'000;               // keywords and steps of patterns, in all
constexpr std::size_t schema_steps = 1'000'000;           // of one check: some hundredths of a second
constexpr std::size_t schema_depth = 512;                 // schemas in schemas and references, at once
constexpr std::size_t schema_uri_bytes = 1024;            // an identifier; every subschema may have one
constexpr std::size_t schema_defaults = 1000;             // filled in; they may nest without an end
constexpr std::size_t schema_reason_bytes = 1024;         // why a value was refused, for a model to read
constexpr std::size_t pattern_bytes = 4 * 1024;           // the longest in use match dates and addresses
constexpr std::size_t pattern_size = 4000;                // steps of one program: {n,m} multiplies
constexpr std::size_t pattern_depth = 32;                 // groups in groups are read by recursion

// HTTP server.
constexpr std::size_t http_header_bytes = 16 * 1024;
constexpr std::size_t http_target_bytes = 8 * 1024;
constexpr std::size_t http_body_bytes = 1024 * 1024;
constexpr std::size_t http_connections = 512;
constexpr auto http_header_time = 5s;
constexpr auto http_body_time = 30s;
constexpr auto http_idle_time = 60s;
constexpr auto http_linger_time = 2s;                     // after a refusal: a reset must not eat the answer
constexpr auto http_sweep_time = 500ms;                   // how late the times above may be noticed
constexpr std::size_t event_backlog_bytes = 1024 * 1024;  // a reader slower than this is cut off
constexpr auto event_heartbeat = 15s;

// Webhooks: POST /hooks/{instance}, from anybody who reaches the port.
constexpr std::size_t inbound_body_bytes = 256 * 1024;    // a message is 64 KiB; the rest is what surrounds it
constexpr auto inbound_body_time = 10s;                   // a sender is a server, and near
constexpr auto inbound_answer_time = 10s;                 // most senders give up about then
constexpr std::size_t inbound_answer_bytes = 16 * 1024;   // of a plugin, to a sender that reads the status
constexpr std::size_t inbound_reading = 128;              // bodies on their way; the API needs connections, too
constexpr std::size_t inbound_reading_of_peer = 64;
constexpr std::size_t inbound_open = 64;                  // requests of one instance, until their answers
constexpr std::int64_t inbound_peer_per_second = 20;      // of one address, whatever it sends
constexpr std::int64_t inbound_peer_burst = 200;
constexpr std::int64_t inbound_refusal_cost = 10;         // a wrong signature counts as so many
constexpr std::size_t inbound_peers = 4096;               // addresses remembered; more share one count
constexpr std::int64_t inbound_per_second = 10;           // verified requests of one instance
constexpr std::int64_t inbound_burst = 100;
constexpr auto inbound_window_longest = 600s;             // between a timestamp and now, either way
constexpr std::size_t inbound_signatures = 16'384;        // remembered of one instance; more cannot come
constexpr std::size_t inbound_signatures_of_one = 8;      // in one header: a sender that changes its key
constexpr std::size_t inbound_header_most = 32;           // headers that a plugin may hear
constexpr auto inbound_retry_time = 5s;                   // what a sender is asked to wait
static_assert(inbound_per_second * 2 * inbound_window_longest.count() + inbound_burst <
              static_cast<std::int64_t>(inbound_signatures));

// HTTP and streams for plugins.
constexpr std::size_t egress_body_bytes = 32u << 20;
constexpr std::size_t egress_per_worker = 64;             // requests and streams open at once
constexpr std::size_t egress_connections = 256;           // of the host, all plugins together
constexpr std::size_t egress_idle_connections = 32;       // kept for the next request
constexpr auto egress_idle_time = 55s;                    // most servers close theirs after 60 s or more
constexpr auto egress_connect_time = 20s;
constexpr std::size_t egress_header_bytes = 64 * 1024;    // of one answer
constexpr std::size_t stream_read_bytes = 16 * 1024;      // at once; a TLS record
constexpr auto stream_linger_time = 2s;                   // what was written before a close still leaves
constexpr int streams_leaving = 64;                       // at once; others are cut
constexpr std::size_t stream_queue_bytes = 8u << 20;       // a peer that takes nothing is left
constexpr std::size_t ws_message_bytes = 4u << 20;        // one from a WebSocket, whole
constexpr std::size_t ws_framing_bytes = 64 * 1024;       // of small frames that make no message
constexpr std::size_t ws_subprotocols = 8;                // offered; services name one or two
constexpr auto ws_ping_time = 20s;                        // proxies forget what is silent for a minute
constexpr auto ws_idle_time = 60s;                        // three pings without a pong: it is gone
constexpr std::size_t url_bytes = 8 * 1024;
constexpr int redirects = 3;
constexpr std::size_t sse_line_bytes = 1024 * 1024;

// Turns.
constexpr int model_calls_per_turn = 32;                  // a loop ends here even without a budget
constexpr int retries_per_model_call = 2;                 // of each model asked, with back-off
constexpr std::size_t model_fallbacks = 8;                // that one call may fall back to, in all
constexpr auto model_retry_first = 500ms;                 // doubles to the last; a quarter is left to chance
constexpr auto model_retry_last = 8s;
constexpr auto model_wait_most = 1h;                      // that a service may ask for
constexpr auto model_wait_before_fallback = 30s;          // where one is left, a longer wait is not waited
constexpr std::size_t inbox_items = 256;                  // per session; more is refused, loudly
constexpr std::size_t hot_sessions = 512;                 // cached; the rest is read when needed
constexpr std::size_t hot_session_bytes = 8u << 20;       // of context fragments, over all hot sessions
constexpr auto model_call_time = 600s;
constexpr auto skill_call_time = 120s;                    // unless the manifest says less or more
constexpr auto skill_call_time_longest = 3600s;
constexpr auto send_time = 60s;
constexpr auto typing_time = 4s;                          // services show it for five seconds
constexpr auto draft_time = 1s;                           // what services forgive for one message

// Workers.
constexpr auto worker_start_time = 10s;
constexpr auto preview_time = 5s;                         // a person looks at the call meanwhile
constexpr std::size_t preview_bytes = 4 * 1024;           // of a plugin's own words beside the call
constexpr auto hook_time = 5s;                            // a person waits behind it
constexpr auto hook_list_retry_time = 30s;                // until then a failed hook offers no skill
constexpr std::size_t hook_reason_bytes = 300;            // shown to a person, and kept in a record
constexpr auto worker_cancel_grace = 2s;                  // between cancel and kill
constexpr auto worker_restart_first = 100ms;              // doubles to the last
constexpr auto worker_restart_last = 30s;
constexpr int worker_deaths_to_quarantine = 5;            // within a minute
constexpr std::size_t worker_memory_mb = 512;             // address space, unless the manifest says less
constexpr std::size_t worker_open_files = 64;
constexpr std::size_t command_memory_mb = 32768;          // address space of each process of a command
constexpr std::size_t command_processes = 512;            // of one command: a fork bomb ends here
constexpr std::size_t command_open_files = 1024;          // what programs expect to have
constexpr std::size_t worker_calls_waiting = 1024;        // for a worker that starts
constexpr std::size_t worker_log_lines = 200;             // a second; more is dropped, counted
constexpr std::size_t worker_profile_bytes = 16 * 1024;   // its report of its own confinement
constexpr auto worker_end_grace = 1s;                     // from asking a worker to end, to its kill
constexpr auto worker_steady_time = 60s;                  // a life this long forgives earlier deaths
constexpr std::size_t plugin_file_bytes = 64u << 20;      // a plugin is code, not data
constexpr std::size_t tape_bytes = 256u << 20;            // of recorded HTTP, read whole
constexpr std::size_t plugin_files = 256;                 // looked at in one folder
constexpr std::size_t signature_bytes = 64;               // Ed25519, as it stands in a .sig file
constexpr std::size_t kv_key_bytes = 256;                 // sdk: part of the ABI
constexpr std::size_t kv_value_bytes = 64 * 1024;         // sdk: part of the ABI
constexpr std::size_t blob_bytes = 20u << 20;             // what Telegram's bots may fetch; more is no message
constexpr std::size_t blob_instance_bytes = 256u << 20;   // kept at once, then the oldest goes: a flood fills no disk
constexpr std::size_t blob_total_bytes = 2048ull << 20;   // of all instances
constexpr std::size_t blob_instance_files = 4096;         // empty ones cost an inode each
constexpr auto blob_time = std::chrono::hours(7 * 24);    // since it was put last: a turn may wait a week for a yes
constexpr auto blob_sweep_time = 1h;
constexpr std::size_t blob_read_bytes = 64 * 1024;        // at once; a frame's body
constexpr std::size_t form_parts = 32;                    // of one multipart body
constexpr std::size_t attachments = 10;                   // of one message: an album of Telegram has as many
constexpr std::size_t attachment_name_bytes = 128;        // half of what file systems take, with a number behind it
constexpr std::size_t attachment_type_bytes = 127;        // both halves, as RFC 6838 bounds them, are shorter in use
constexpr int inbox_same_names = 100;                     // each is compared with what came
constexpr std::size_t secret_frame_bytes = 64;            // the frame around a revealed secret
constexpr std::size_t secret_overlap_bytes = 4 * 1024;    // searched again with the next chunk
constexpr std::size_t egress_request_bytes = 64 * 1024;   // url, headers and options of one request
constexpr auto egress_time = 600s;                        // the longest a plugin may ask for
constexpr std::size_t call_workers = 32;                  // per-call workers alive at once; more wait

// parley plugin check.
constexpr auto check_time = 20s;                          // of one check; a healthy one takes less than five
constexpr std::size_t check_processes = 8;                // at once, where there are so many processors
constexpr std::size_t check_lines = 8;                    // of one check; the first says what to mend
constexpr std::size_t check_line_bytes = 512;             // of one such line
constexpr std::size_t check_calls = 100'000;              // of one check, remembered; fuzz makes the most
constexpr std::size_t check_streams = 1024;               // the same; each with what it was opened by
constexpr std::uint64_t check_constructors = 64;          // more on loading deserve a look
constexpr std::size_t check_text_bytes = 32 * 1024;       // a long argument: some of them fit one call
constexpr int check_schema_depth = 16;                    // of a made-up value; a schema may name itself

// Ledger.
constexpr std::size_t record_body_bytes = 16 * 1024;      // larger bodies are stored by digest
constexpr std::size_t commit_queue_bytes = 32u << 20;     // beyond it new work is refused
constexpr auto head_mark_time = 100ms;
constexpr std::uint64_t checkpoint_records = 1000;
constexpr auto checkpoint_time = 60s;
constexpr std::size_t list_items = 1000;                  // api: a page
constexpr std::size_t channel_conversations = 50;         // api: of one channel, the newest
constexpr std::size_t sessions_looked_at = 100'000;       // api: for one page, however few of them fit

// What a channel's plugin says of its own connection.
constexpr int link_changes = 20;                          // recorded in that time; then the last one
constexpr auto link_changes_time = 10s;
constexpr int link_steady_waits = 10;                     // a link that stood so many pauses begins anew
constexpr auto link_wait_most = 10min;                    // that a service may ask for

// What leaves, and cards of approvals.
constexpr auto send_again_most = 60s;                     // the longest pause between two tries
constexpr auto send_keep_time = 24h;                      // tried so long while the channel is there
constexpr auto send_asked_most = 1h;                      // the longest pause that a service may ask for
constexpr std::size_t first_words_length = 4000;          // characters of an agent that speaks first
constexpr std::int64_t first_words_unanswered = 16;       // in one conversation; more would be pestering
constexpr std::size_t card_page_bytes = 3000;             // services take some 4000 characters
constexpr std::size_t card_pages = 4;                     // more is not read in a chat; the CLI shows it
constexpr int card_button_code = 26;                      // characters: 130 bits, nobody types them
constexpr int card_typed_code = 12;                       // 60 bits, each guess a message

// Strangers.
constexpr int refused_senders = 100;                      // remembered per instance
constexpr auto refused_record_time = 1h;                  // one record per instance and sender

// Secrets.
constexpr std::size_t secret_bytes_least = 12;            // shorter cannot be masked safely
constexpr std::size_t secret_bytes_most = 16 * 1024;
constexpr std::size_t passphrase_bytes_least = 12;        // short enough to type, long enough to stretch

}  // namespace parley::limits
