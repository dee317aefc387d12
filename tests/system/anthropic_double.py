"""A strict stand-in for the Messages API. It refuses what the service refuses, remembers the thinking that it
gave out and the words before it, and answers by a script."""
import hashlib
import http.server
import json
import threading

VERSION = "2026-10-21"
SAMPLING = {"temperature", "top_p", "top_k"}
KNOWN = {"model", "max_tokens", "stream", "system", "messages", "tools", "thinking", "output_config"}
THINKING = ("thinking", "redacted_thinking")


def bare(value):
    """The same without the marks of the cache, which bind nothing."""
    if isinstance(value, dict):
        return {key: bare(part) for key, part in value.items() if key != "cache_control"}
    return [bare(part) for part in value] if isinstance(value, list) else value


class Double:
    """`answers` are taken in order; each is a function of (double, handler, request)."""

    def __init__(self):
        self.answers, self.requests, self.problems = [], [], []
        self.models = {}  # what the service says of them
        self.version = VERSION
        self.given = {}  # a block of thinking -> what stood before it
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                double.requests.append((self.path, dict(self.headers), body))
                found = double.complaints(self, body)
                double.problems += found
                if found:
                    answer = error(400, "invalid_request_error", "; ".join(found))
                else:
                    answer = double.answers.pop(0) if double.answers else text("fallback")
                try:
                    answer(double, self, body)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def do_GET(self):
                model = double.models.get(self.path.removeprefix("/v1/models/"))
                body = json.dumps(model or {"type": "error", "error": {"type": "not_found_error", "message": "no such model"}}).encode()
                self.send_response(200 if model else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def remember(self, body, content):
        """What was answered is bound to what it was asked, and to what it said before."""
        said = []
        for block in content:
            if block["type"] in THINKING:
                self.given[json.dumps(block, sort_keys=True)] = self.prefix(body, body["messages"], said)
            said.append(block)

    @staticmethod
    def prefix(body, messages, said):
        return json.dumps(bare([body["model"], body.get("system"), body.get("tools"), messages, said]), sort_keys=True)

    def complaints(self, handler, body):
        found = []
        if handler.path != "/v1/messages":
            found.append("path " + handler.path)
        if handler.headers.get("anthropic-version") != self.version:
            found.append("anthropic-version is missing or another")
        found += [f"{name}: not permitted" for name in sorted(SAMPLING & set(body))]
        found += [f"{name}: unknown" for name in sorted(set(body) - KNOWN - SAMPLING)]
        if body.get("stream") is not True or not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
            found.append("no streaming, or no max_tokens")
        if json.dumps(body).count('"cache_control"') > 4:
            found.append("more than 4 blocks have cache_control")
        able = self.models.get(body["model"], {}).get("capabilities", {})
        if "thinking" in body and not able.get("thinking", {}).get("supported", True):
            found.append("thinking: the model does not know it")
        if body["max_tokens"] > self.models.get(body["model"], {}).get("max_tokens", 10**9):
            found.append("max_tokens: more than the model takes")
        for tool in body.get("tools", []):
            name = tool["name"]
            if not name or len(name) > 64 or not all(c.isascii() and (c.isalnum() or c in "_-") for c in name):
                found.append("tool name " + name)
            if tool["input_schema"].get("type") != "object":
                found.append("a tool's input_schema is no object")
        return found + self.complaints_of(body)

    def complaints_of(self, body):
        found, role, wanted = [], "assistant", []
        for at, message in enumerate(body["messages"]):
            if message["role"] == role or message["role"] not in ("user", "assistant"):
                found.append(f"messages.{at}: roles must alternate and begin with user")
            role, content = message["role"], message["content"]
            if not content or any(block["type"] == "text" and not block["text"] for block in content):
                found.append(f"messages.{at}: empty content")
            results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
            if [block["type"] for block in content[:len(results)]] != ["tool_result"] * len(results):
                found.append(f"messages.{at}: tool_result must come first")
            if sorted(results) != sorted(wanted):
                found.append(f"messages.{at}: tool_use without its tool_result in the next message, or the reverse")
            wanted = [block["id"] for block in content if block["type"] == "tool_use"]
            for place, block in enumerate(content):
                if block["type"] not in THINKING:
                    continue
                before = self.given.get(json.dumps(block, sort_keys=True))
                if before is None:
                    found.append(f"messages.{at}.content.{place}: thinking blocks cannot be modified")
                elif before != self.prefix(body, body["messages"][:at], content[:place]):
                    found.append(f"messages.{at}.content.{place}: what stood before the thinking was changed")
        if role != "user":
            found.append("the last message must be the user's")
        return found


def stream(handler, events):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for event in events:
        handler.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        handler.wfile.flush()
    handler.close_connection = True


def begun(usage=None):
    return {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": [],
                                                 "usage": usage or {"input_tokens": 20, "output_tokens": 1}}}


def ended(reason, output=10, **more):
    return [{"type": "message_delta", "delta": {"stop_reason": reason, **more}, "usage": {"output_tokens": output}},
            {"type": "message_stop"}]


def events_of(index, block):
    """One block as the service streams it: its beginning, its fragments, its end."""
    def delta(kind, **part):
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **part}}

    def cut(whole):
        return [whole[at:at + 4] for at in range(0, len(whole), 4)]

    start, deltas = dict(block), []
    if block["type"] == "text":
        start["text"], deltas = "", [delta("text_delta", text=part) for part in cut(block["text"])]
    elif block["type"] == "thinking":
        start["thinking"] = start["signature"] = ""
        deltas = [delta("thinking_delta", thinking=part) for part in cut(block["thinking"])]
        deltas.append(delta("signature_delta", signature=block["signature"]))
    elif block["type"] == "tool_use":
        start["input"] = {}
        deltas = [delta("input_json_delta", partial_json=part) for part in [""] + cut(json.dumps(block["input"]))]
    return ([{"type": "content_block_start", "index": index, "content_block": start}, {"type": "ping"}] + deltas +
            [{"type": "content_block_stop", "index": index}])


def blocks(*content, reason="end_turn", usage=None, **more):
    def answer(double, handler, body):
        double.remember(body, content)
        events = [event for index, block in enumerate(content) for event in events_of(index, block)]
        stream(handler, [begun(usage)] + events + ended(reason, **more))
    return answer


def text(words, **more):
    return blocks({"type": "text", "text": words}, **more)


def thought(words):
    return {"type": "thinking", "thinking": words, "signature": hashlib.sha256(words.encode()).hexdigest()}


def tool(identifier, name, **arguments):
    return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}


def cut_off(_, handler, __):
    stream(handler, [begun()] + events_of(0, {"type": "text", "text": "half an answer"})[:-1])


def broken(kind):
    """It began well."""
    return lambda _, handler, __: stream(handler, [begun(), {"type": "error", "error": {"type": kind, "message": f"it is {kind}"}}])


def error(status, kind, message="", code="", headers=()):
    def answer(_, handler, __):
        body = json.dumps({"type": "error", "request_id": "req_1", "error": {
            "type": kind, "message": message or f"it is {code or kind}", "details": {"error_code": code} if code else {}}}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
    return answer
