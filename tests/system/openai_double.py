"""A strict stand-in for a server of Chat Completions and of Responses: it checks what it is sent, remembers the
reasoning that it gave out, and answers by a script."""
import http.server
import json
import threading
import time


class Double:
    """`answers` are taken in order; each is a function of (handler, request)."""

    def __init__(self):
        self.answers, self.requests, self.problems = [], [], []
        self.given = {}  # an item of reasoning -> what stood before it
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

    def complaints(self, handler, body):
        if handler.path == "/v1/responses":
            return self.complaints_of_responses(body)
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

    KNOWN = {"model", "stream", "store", "include", "max_output_tokens", "instructions", "input", "tools"}

    @staticmethod
    def before(body, items):
        """What reasoning is bound to."""
        return json.dumps([body["model"], body.get("instructions"), body.get("tools"), items], sort_keys=True)

    def remember(self, body, output):
        for at, item in enumerate(output):
            if item["type"] == "reasoning":
                self.given[json.dumps(item, sort_keys=True)] = self.before(body, body["input"] + output[:at])

    def complaints_of_responses(self, body):
        found = [f"{name}: unknown" for name in sorted(set(body) - self.KNOWN)]
        if body.get("stream") is not True or body.get("store") is not False:
            found.append("no streaming, or something is to be stored")
        if body.get("include") != ["reasoning.encrypted_content"]:
            found.append("the reasoning is not asked for")
        if not isinstance(body.get("max_output_tokens"), int) or body["max_output_tokens"] < 16:
            found.append("max_output_tokens is less than 16")
        open_calls = set()
        for at, item in enumerate(body["input"]):
            kind = item["type"]
            if kind == "function_call":
                open_calls.add(item["call_id"])
                if not isinstance(item["arguments"], str):
                    found.append("arguments are not text")
            elif kind == "function_call_output":
                if item["call_id"] not in open_calls:
                    found.append("a function_call_output without its function_call")
                open_calls.discard(item["call_id"])
            elif kind == "reasoning":
                given = self.given.get(json.dumps(item, sort_keys=True))
                if given is None:
                    found.append("reasoning that was not given out, or was changed")
                elif given != self.before(body, body["input"][:at]):
                    found.append("what stood before the reasoning was changed")
            elif kind != "message" or item["role"] not in ("user", "assistant"):
                found.append("item " + json.dumps(item))
            elif item["role"] == "user" and open_calls:
                found.append("a function_call without its output")
        for tool in body.get("tools", []):
            if not tool["name"] or len(tool["name"]) > 64 or not all(c.isalnum() or c in "_-" for c in tool["name"]):
                found.append("tool name " + tool["name"])
            if not isinstance(tool.get("strict"), bool):
                found.append("strict is left to chance")
            if tool["strict"]:
                found += [f"{tool['name']}: {problem}" for problem in not_strict(tool["parameters"])]
        return found


STRICT = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "description", "minimum",
          "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"}


def not_strict(schema):
    """What the service refuses in the schema of a strict function."""
    found = [f"{key} is not permitted" for key in set(schema) - STRICT]
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            found.append("additionalProperties must be false")
        if sorted(schema.get("required", [])) != sorted(schema.get("properties", {})):
            found.append("required must name every property")
    for part in [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        found += not_strict(part)
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


# --- the Responses API ---

def said(words):
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": words, "annotations": []}]}


def thought(words, sealed):
    return {"type": "reasoning", "id": "rs_" + sealed, "summary": [{"type": "summary_text", "text": words}], "encrypted_content": sealed}


def function(call_id, name, arguments):
    return {"type": "function_call", "id": "fc_" + call_id, "status": "completed", "call_id": call_id, "name": name, "arguments": arguments}


def respond(double, *output, status="completed", usage=(20, 10), cached=0, **more):
    """Typed events, as the service sends them, with names on the event lines and numbers in sequence."""
    def answer(handler, body):
        double.remember(body, list(output))
        response = {"object": "response", "status": "in_progress", "output": []}
        events = [("created", {"response": response}), ("in_progress", {"response": response})]
        for index, item in enumerate(output):
            place = {"output_index": index, "item_id": item["id"]}
            events.append(("output_item.added", {**place, "item": {**item, "content": []}}))
            if item["type"] == "message":
                for part in item["content"]:
                    kind, text = ("refusal", part.get("refusal")) if part["type"] == "refusal" else ("output_text", part.get("text"))
                    events += [(kind + ".delta", {**place, "content_index": 0, "delta": text[at:at + 4]}) for at in range(0, len(text), 4)]
            if item["type"] == "function_call":
                text = item["arguments"]
                events += [("function_call_arguments.delta", {**place, "delta": text[at:at + 3]}) for at in range(0, len(text), 3)]
            if item["type"] == "reasoning":
                events += [("reasoning_summary_text.delta", {**place, "summary_index": 0, "delta": part["text"]}) for part in item["summary"]]
            events.append(("output_item.done", {**place, "item": item}))
        events.append((status, {"response": {**response, "status": status, "output": list(output), "usage": {
            "input_tokens": usage[0], "input_tokens_details": {"cached_tokens": cached}, "output_tokens": usage[1],
            "output_tokens_details": {"reasoning_tokens": 3}}, **more}}))
        send_events(handler, events)
    return answer


def send_events(handler, events):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for number, (kind, members) in enumerate(events):
        kind = "response." + kind if kind != "error" else kind
        data = json.dumps({"type": kind, "sequence_number": number, **members})
        handler.wfile.write(f"event: {kind}\ndata: {data}\n\n".encode())
        handler.wfile.flush()
    handler.close_connection = True
