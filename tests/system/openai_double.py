"""A strict stand-in for a Chat Completions server: it checks what it is sent, and answers by a script."""
import http.server
import json
import threading
import time


class Double:
    """`answers` are taken in order; each is a function of (handler, request)."""

    def __init__(self):
        self.answers, self.requests, self.problems = [], [], []
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                size = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(size))
                double.requests.append((self.path, dict(self.headers), body))
                double.problems += double.complaints(self, body)
                answer = double.answers.pop(0) if double.answers else text("fallback")
                try:
                    answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def complaints(handler, body):
        found = []
        if handler.path != "/v1/chat/completions":
            found.append("path " + handler.path)
        if body.get("stream") is not True or not body.get("stream_options", {}).get("include_usage"):
            found.append("no streaming with usage")
        if "max_completion_tokens" not in body:
            found.append("no max_completion_tokens")
        open_calls = set()
        for message in body["messages"]:
            role = message["role"]
            if role not in ("system", "developer", "user", "assistant", "tool"):
                found.append("role " + role)
            if role == "tool":
                if message["tool_call_id"] not in open_calls:
                    found.append("a tool result without its call")
                open_calls.discard(message["tool_call_id"])
            elif open_calls:
                found.append("a call without its result")
            for call in message.get("tool_calls", []):
                open_calls.add(call["id"])
                if not isinstance(call["function"]["arguments"], str):
                    found.append("arguments are not text")
        for tool in body.get("tools", []):
            name = tool["function"]["name"]
            if not name or len(name) > 64 or not all(c.isalnum() or c in "_-" for c in name):
                found.append("tool name " + name)
        return found


def stream(handler, chunks, pause=0.0, end=True):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for chunk in chunks:
        handler.wfile.write(("data: " + (chunk if isinstance(chunk, str) else json.dumps(chunk)) + "\n\n").encode())
        handler.wfile.flush()
        time.sleep(pause)
    if end:
        handler.wfile.write(b"data: [DONE]\n\n")
    handler.close_connection = True


def delta(**content):
    return {"choices": [{"index": 0, "delta": content, "finish_reason": None}]}


def finish(reason, prompt=20, completion=10):
    return [{"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
            {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}]


def text(words, pause=0.0):
    return lambda handler, _: stream(handler, [delta(role="assistant", content="")] +
                                     [delta(content=word) for word in words.split(" ")] + finish("stop"), pause)


def calls(*wanted):
    """Each call's arguments in fragments, interleaved, as servers send them."""
    def answer(handler, _):
        chunks = [delta(tool_calls=[{"index": i, "id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": ""}}])
                  for i, (name, _) in enumerate(wanted)]
        longest = max(len(arguments) for _, arguments in wanted)
        for at in range(0, longest, 3):
            for i, (_, arguments) in enumerate(wanted):
                if arguments[at:at + 3]:
                    chunks.append(delta(tool_calls=[{"index": i, "function": {"arguments": arguments[at:at + 3]}}]))
        stream(handler, chunks + finish("tool_calls"))
    return answer


def cut_off(handler, _):
    stream(handler, [delta(content="half an ans")], end=False)


def garbage(handler, _):
    stream(handler, ["{not json"])


def error(status, code="x", headers=()):
    def answer(handler, _):
        body = json.dumps({"error": {"message": f"it is {code}", "type": code, "code": code}}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
    return answer
