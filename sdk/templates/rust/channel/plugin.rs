//! A channel in Rust to a service that talks in lines over TCP:
//!
//!     we say    from 16               send what came after message 16
//!     it says   17 ann hello there    message 17 is of ann, and says "hello there"
//!     we say    ack 17                17 is safe with us: forget it
//!     we say    to ann welcome        tell ann "welcome"
//!
//! The network is the host's: it connects, and hands bytes over.
use parley::{Call, Channel, Emit, Failure, Host, Json, Operation, Outcome, Plugin, StreamEvent};
use std::collections::VecDeque;

const LINE_BYTES: usize = 64 * 1024; // a line without an end is no message
const HELD_MOST: usize = 256; // for a host that takes no more just now

struct Lines {
    host: Host<Lines>,
    service: String,
    port: u16,
    stream: Option<Operation<Lines>>,
    begin: String, // what the service is told first
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
            begin: String::new(),
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
    /// Only now may the service forget a message: the host cannot lose it any more.
    fn acknowledged(&mut self, _call: &Call, cursor: &str) -> Outcome {
        self.say(&format!("ack {}\n", cursor));
        Ok(())
    }
}

impl Channel for Lines {
    /// Stays open for the life of the instance. When it fails with `retryable`, the host runs it
    /// again, later each time, with the cursor of the last message that it made durable.
    fn run(&mut self, call: Call, request: Json) -> Outcome {
        self.begin = format!("from {}\n", request["cursor"].text().unwrap_or("0"));
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
        let lines: String = text.lines().map(|line| format!("to {} {}\n", to, line)).collect();
        if !self.is_connected || self.say(&lines) == Emit::Refused {
            return Err(Failure::new("peer", "not connected").retryable(true).sent(false));
        }
        call.complete(Json::object().with("parts", 1))
    }
}

impl Lines {
    fn say(&self, lines: &str) -> Emit {
        self.stream.as_ref().map_or(Emit::Refused, |stream| stream.write(lines.as_bytes(), &[]))
    }

    fn on_stream(&mut self, call: &Call, event: StreamEvent) -> Outcome {
        match event {
            StreamEvent::Opened { peer } => {
                self.is_connected = true;
                self.say(&self.begin);
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

    /// "17 ann hello there". The service says who speaks, and the host decides whether that person
    /// may. The number is the message's id, so that a repeat is dropped, and its cursor.
    fn hear(&mut self, call: &Call, line: &str) -> Outcome {
        let mut words = line.splitn(3, ' ');
        let (number, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let is_number = number.len() <= 18 && number.bytes().all(|byte| byte.is_ascii_digit());
        if number.is_empty() || !is_number || name.is_empty() || name.len() > 64 {
            return Ok(());
        }
        let ids = vec![format!("account:{}", name)];
        let sender = Json::object().with("ids", ids).with("name", name);
        let message = Json::object()
            .with("type", "message")
            .with("conversation", name)
            .with("sender", sender)
            .with("text", words.next().unwrap_or(""))
            .with("private", true)
            .with("id", number)
            .with("cursor", number);
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
