"""A WebSocket server after RFC 6455, with nothing but the standard library, and strict with who comes:
a client that does not mask, breaks UTF-8 or a frame's rules is a problem that the test reports."""
import base64
import hashlib
import socket
import ssl
import struct
import threading

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Gone(Exception):
    """The connection has ended, in order (with the client's code and reason) or not (code 1006)."""

    def __init__(self, code=1006, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Violation(Exception):
    pass


class Connection:
    """One client. `path` and `headers` are of its upgrade; nothing is answered before accept()."""

    def __init__(self, sock):
        self.socket, self.rest, self.sending = sock, b"", threading.Lock()
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        line, *lines = head.decode("latin-1").split("\r\n")
        method, self.path, version = line.split(" ")
        self.headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
        wanted = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}
        found = {name: self.headers.get(name, "").lower() for name in wanted}
        if (method, version) != ("GET", "HTTP/1.1") or found != wanted or "sec-websocket-extensions" in self.headers:
            raise Violation(f"an upgrade that is none: {head!r}")
        if len(base64.b64decode(self.headers["sec-websocket-key"])) != 16:
            raise Violation("a key of another size")

    def accept(self, subprotocol=""):
        proof = base64.b64encode(hashlib.sha1(self.headers["sec-websocket-key"].encode() + KEY).digest()).decode()
        more = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        self.put(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Accept: {proof}\r\n{more}\r\n".encode())

    def refuse(self, status):
        self.put(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        self.socket.close()

    # ---- Bytes.

    def more(self):
        try:
            got = self.socket.recv(65536)
        except OSError:
            got = b""
        if not got:
            raise Gone()
        self.rest += got

    def take(self, count):
        while len(self.rest) < count:
            self.more()
        out, self.rest = self.rest[:count], self.rest[count:]
        return out

    def put(self, data):
        try:
            with self.sending:
                self.socket.sendall(data)
        except OSError:
            raise Gone() from None

    # ---- Frames and messages.

    def frame(self, opcode, payload=b"", final=True):
        size = len(payload)
        length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size) if size < 65536 else struct.pack("!BQ", 127, size)
        self.put(bytes([(0x80 if final else 0) | opcode]) + length + payload)

    def read_frame(self):
        first, second = self.take(2)
        final, opcode, size = bool(first & 0x80), first & 0x0F, second & 0x7F
        if first & 0x70 or not second & 0x80 or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise Violation(f"a frame that begins with {first:02x} {second:02x}")
        if opcode >= CLOSE and (size > 125 or not final):
            raise Violation("a control frame that is too long, or in parts")
        if size > 125:
            size = struct.unpack("!H" if size == 126 else "!Q", self.take(2 if size == 126 else 8))[0]
        mask = self.take(4)
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.take(size)))
        return opcode, final, payload

    def receive(self):
        """The next message: text as str, binary as bytes. Pings are answered on the way."""
        kind, parts = None, b""
        while True:
            opcode, final, payload = self.read_frame()
            if opcode == PING:
                self.frame(PONG, payload)
            elif opcode == CLOSE:
                code, reason = (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")
                self.frame(CLOSE, payload[:2])
                raise Gone(code, reason)
            elif opcode != PONG:
                if (opcode == CONTINUATION) != (kind is not None):
                    raise Violation("a fragment of nothing, or a message inside of another")
                kind, parts = kind or opcode, parts + payload
                if final:
                    return parts.decode() if kind == TEXT else parts

    def send(self, message):
        self.frame(TEXT if isinstance(message, str) else BINARY, message.encode() if isinstance(message, str) else message)

    def say_goodbye(self, code=1000, reason=""):
        """The client's comes to who receives."""
        self.frame(CLOSE, struct.pack("!H", code) + reason.encode())

    def close(self, code=1000, reason=""):
        """Says goodbye, and waits for the client's; where nobody else receives."""
        self.say_goodbye(code, reason)
        while self.read_frame()[0] != CLOSE:
            pass

    def cut(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Server:
    """`serve(connection)` runs on a thread for each client. With certificate and key it speaks TLS."""

    def __init__(self, serve, certificate=None, key=None):
        self.serve, self.problems = serve, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, key)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.hold, args=(sock,), daemon=True).start()

    def hold(self, sock):
        try:
            sock = self.tls.wrap_socket(sock, server_side=True) if self.tls else sock
            self.serve(Connection(sock))
        except (Gone, OSError):
            pass
        except (Violation, UnicodeDecodeError, KeyError, ValueError) as why:
            self.problems.append(repr(why))
        finally:
            sock.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
