//! A channel in Rust: a TCP service that sends "NAME TEXT", one message a line, and takes answers
//! in the same form. The network is the host's: it connects, and hands bytes over.
use parley::{Call, Channel, Emit, Failure, Host, Json, Operation, Outcome, Plugin, StreamEvent};
use std::collections::VecDeque;

const LINE_BYTES: usize = 64 * 1024; // a line without an end is no message
const HELD_MOST: usize = 256; // for a host that takes no more just now

struct Lines {
    host: Host<Lines>,
    service: String,
    port: u16,
    stream: Option<Operation<Lines>>,
    rest: Vec<u8>, // of a line that has not ended yet
    held: VecDeque<Json>,
    is_connected: bool,
    is_paused: bool,
}

impl Plugin for Lines {
    fn new(host: Host<Self>, config: &Json) -> Result<Self, String> {
        Ok(Lines {
            host,
            service: config["host"].text().unwrap_or("").to_string(),
            port: config["port"].integer().unwrap_or(0) as u16,
            stream: None,
            rest: Vec::new(),
            held: VecDeque::new(),
            is_connected: false,
            is_paused: false,
        })
    }
    fn resumed(&mut self, call: &Call) -> Outcome {
        self.is_paused = false;
        self.tell_on(call)
    }
}

impl Channel for Lines {
    /// Stays open for the life of the instance. When it fails with `retryable`, the host runs it
    /// again, later each time.
    fn run(&mut self, call: Call, _request: Json) -> Outcome {
        self.rest.clear();
        self.held.clear();
        (self.is_connected, self.is_paused) = (false, false);
        let stream = self.host.stream(&call, &self.service, self.port, false, Lines::on_stream)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// One message out. `sent` is false only where provably nothing left: the host then sends it
    /// again.
    fn send(&mut self, call: Call, request: Json) -> Outcome {
        let to = request["conversation"].text().unwrap_or("");
        let text = request["text"].text().unwrap_or("");
        let lines: String = text.lines().map(|line| format!("{} {}\n", to, line)).collect();
        match &self.stream {
            Some(stream)
                if self.is_connected && stream.write(lines.as_bytes(), &[]) != Emit::Refused =>
            {
                call.complete(Json::object().with("parts", 1))
            }
            _ => Err(Failure::new("peer", "not connected").retryable(true).sent(false)),
        }
    }
}

impl Lines {
    fn on_stream(&mut self, call: &Call, event: StreamEvent) -> Outcome {
        match event {
            StreamEvent::Opened { peer } => {
                self.is_connected = true;
                let state = Json::object().with("type", "state").with("state", "connected");
                self.tell(call, state.with("detail", peer))
            }
            StreamEvent::Data(bytes) => self.heard(call, bytes),
            StreamEvent::Closed(why) => {
                self.is_connected = false;
                let closed = "the service closed the connection".to_string();
                let why = why.map_or(closed, |failure| failure.message);
                Err(Failure::new("peer", why).retryable(true))
            }
        }
    }

    fn heard(&mut self, call: &Call, bytes: &[u8]) -> Outcome {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.hear(call, String::from_utf8_lossy(&line[..end]).as_ref())?;
        }
        if self.rest.len() > LINE_BYTES {
            return Err(Failure::new("peer", "a line without an end").retryable(true));
        }
        Ok(())
    }

    /// The service says who speaks, and the host decides whether that person may.
    fn hear(&mut self, call: &Call, line: &str) -> Outcome {
        let (name, text) = match line.split_once(' ') {
            Some((name, text)) if !name.is_empty() && name.len() <= 64 => (name, text),
            _ => return Ok(()),
        };
        let sender = Json::object().with("ids", vec![format!("account:{}", name)]);
        let message = Json::object()
            .with("type", "message")
            .with("conversation", name)
            .with("sender", sender)
            .with("text", text)
            .with("private", true);
        self.tell(call, message)
    }

    /// What the host does not take now waits, up to a bound.
    fn tell(&mut self, call: &Call, item: Json) -> Outcome {
        self.held.push_back(item);
        self.tell_on(call)?;
        if self.held.len() > HELD_MOST {
            return Err(Failure::new("limit", "too many messages").retryable(true));
        }
        Ok(())
    }
    fn tell_on(&mut self, call: &Call) -> Outcome {
        while !self.is_paused {
            match self.held.pop_front() {
                Some(item) => self.is_paused = call.emit(item) == Emit::Pause,
                None => break,
            }
        }
        Ok(())
    }
}

parley::plugin!(Lines, "plugin.json", channel);
