//! Plugins of AgentParley in Rust, with nothing but the standard library: the C contract of
//! `parley/plugin.h`, and over it safe traits for roles, calls that end exactly once, host services
//! with closures, and JSON. One file, for rustc 1.63 and later: a crate by itself, or a module
//! (`#[macro_use] mod parley;`).
//!
//! A plugin is a type that implements [`Plugin`] and the roles of its manifest. `plugin!` makes the
//! one exported symbol and the manifest's note of it:
//!
//! ```ignore
//! parley::plugin!(Dice, "plugin.json", skill);
//! ```
//!
//! Everything but [`Call`] and [`Host::log`] belongs on the strand: verbs and callbacks come one at
//! a time, maybe from different threads over a life, which is why a plugin and what it hands over
//! are `Send`. A panic that leaves a verb or a callback ends its call with the code "internal" and
//! the panic's text; nothing unwinds into the host.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::os::raw::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The C contract, name for name. Authors need none of it.
#[allow(non_camel_case_types)]
pub mod abi {
    use std::ffi::c_void;
    use std::mem::size_of;
    use std::os::raw::c_char;

    pub type parley_id = u64;
    pub type parley_status = i32;

    pub const PARLEY_ABI_MAJOR: u16 = 1;
    pub const PARLEY_ABI_MINOR: u16 = 0;

    pub const PARLEY_OK: parley_status = 0;
    pub const PARLEY_PENDING: parley_status = 1;
    pub const PARLEY_PAUSE: parley_status = 2;
    pub const PARLEY_E_INTERNAL: parley_status = -1;
    pub const PARLEY_E_INVALID: parley_status = -2;
    pub const PARLEY_E_UNSUPPORTED: parley_status = -3;
    pub const PARLEY_E_CANCELLED: parley_status = -4;
    pub const PARLEY_E_DEADLINE: parley_status = -5;
    pub const PARLEY_E_DENIED: parley_status = -6;
    pub const PARLEY_E_STALE: parley_status = -7;
    pub const PARLEY_E_LIMIT: parley_status = -8;
    pub const PARLEY_E_PEER: parley_status = -9;

    pub const PARLEY_LOG_DEBUG: i32 = 0;
    pub const PARLEY_LOG_INFO: i32 = 1;
    pub const PARLEY_LOG_WARN: i32 = 2;
    pub const PARLEY_LOG_ERROR: i32 = 3;

    pub const PARLEY_HTTP_HEAD: u32 = 1;
    pub const PARLEY_HTTP_DATA: u32 = 2;
    pub const PARLEY_HTTP_EVENT: u32 = 3;
    pub const PARLEY_HTTP_DONE: u32 = 4;
    pub const PARLEY_HTTP_FAILED: u32 = 5;
    pub const PARLEY_STREAM_OPENED: u32 = 1;
    pub const PARLEY_STREAM_DATA: u32 = 2;
    pub const PARLEY_STREAM_CLOSED: u32 = 3;
    pub const PARLEY_TIMER_FIRED: u32 = 1;
    pub const PARLEY_KV_DONE: u32 = 1;
    pub const PARLEY_KV_MISSING: u32 = 2;
    pub const PARLEY_KV_FAILED: u32 = 3;
    pub const PARLEY_WS_OPENED: u32 = 1;
    pub const PARLEY_WS_TEXT: u32 = 2;
    pub const PARLEY_WS_BINARY: u32 = 3;
    pub const PARLEY_WS_CLOSED: u32 = 4;
    pub const PARLEY_WS_FAILED: u32 = 5;
    pub const PARLEY_REVEAL_DONE: u32 = 1;
    pub const PARLEY_REVEAL_FAILED: u32 = 2;
    pub const PARLEY_BLOB_DATA: u32 = 1;
    pub const PARLEY_BLOB_DONE: u32 = 2;
    pub const PARLEY_BLOB_FAILED: u32 = 3;
    pub const PARLEY_INBOUND_REQUEST: u32 = 1;
    pub const PARLEY_INBOUND_GONE: u32 = 2;
    pub const PARLEY_INBOUND_CLOSED: u32 = 3;

    pub type parley_start_fn = unsafe extern "C" fn(
        this: *mut c_void,
        call: parley_id,
        timeout_ms: u32,
        request: *const c_char,
        size: usize,
    ) -> parley_status;
    pub type parley_event_fn = unsafe extern "C" fn(
        this: *mut c_void,
        call: parley_id,
        operation: parley_id,
        kind: u32,
        bytes: *const c_char,
        size: usize,
    );

    #[repr(C)]
    pub struct parley_host {
        pub struct_size: u32,
        pub abi_major: u16,
        pub abi_minor: u16,
        pub get_interface:
            unsafe extern "C" fn(host: *const parley_host, id: *const c_char) -> *const c_void,
        pub complete: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            status: parley_status,
            bytes: *const c_char,
            size: usize,
        ) -> parley_status,
        pub emit: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            bytes: *const c_char,
            size: usize,
        ) -> parley_status,
        pub log: unsafe extern "C" fn(
            host: *const parley_host,
            level: i32,
            text: *const c_char,
            size: usize,
        ),
    }

    #[repr(C)]
    pub struct parley_entry {
        pub struct_size: u32,
        pub abi_major: u16,
        pub abi_minor: u16,
        pub manifest: *const c_void,
        pub manifest_size: usize,
        pub create: unsafe extern "C" fn(
            host: *const parley_host,
            config: *const c_char,
            size: usize,
            this: *mut *mut c_void,
        ) -> parley_status,
        pub destroy: unsafe extern "C" fn(this: *mut c_void),
        pub get_interface:
            unsafe extern "C" fn(this: *mut c_void, id: *const c_char) -> *const c_void,
        pub cancel: unsafe extern "C" fn(this: *mut c_void, call: parley_id),
    }
    // A constant table of functions and of the manifest's bytes.
    unsafe impl Sync for parley_entry {}

    #[repr(C)]
    pub struct parley_channel_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub run: Option<parley_start_fn>,
        pub send: Option<parley_start_fn>,
        pub edit: Option<parley_start_fn>,
        pub typing: Option<parley_start_fn>,
        pub draft: Option<parley_start_fn>,
    }
    #[repr(C)]
    pub struct parley_provider_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub generate: Option<parley_start_fn>,
        pub list_models: Option<parley_start_fn>,
        pub count_tokens: Option<parley_start_fn>,
        pub embed: Option<parley_start_fn>,
    }
    #[repr(C)]
    pub struct parley_skill_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub invoke: Option<parley_start_fn>,
        pub reconcile: Option<parley_start_fn>,
        pub preview: Option<parley_start_fn>,
        pub list_dynamic: Option<parley_start_fn>,
    }
    #[repr(C)]
    pub struct parley_hook_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub on_event: Option<parley_start_fn>,
    }
    #[repr(C)]
    pub struct parley_event_sink_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub on_event: parley_event_fn,
    }
    #[repr(C)]
    pub struct parley_ack_sink_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub on_ack: unsafe extern "C" fn(
            this: *mut c_void,
            call: parley_id,
            cursor: *const c_char,
            size: usize,
        ),
    }
    #[repr(C)]
    pub struct parley_flow_sink_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub on_resume: unsafe extern "C" fn(this: *mut c_void, call: parley_id),
    }

    #[repr(C)]
    pub struct parley_host_http_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub start: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            request: *const c_char,
            request_size: usize,
            body: *const c_char,
            body_size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
        pub stop:
            unsafe extern "C" fn(host: *const parley_host, operation: parley_id) -> parley_status,
    }
    #[repr(C)]
    pub struct parley_host_stream_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub open: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            request: *const c_char,
            size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
        pub write: unsafe extern "C" fn(
            host: *const parley_host,
            operation: parley_id,
            bytes: *const c_char,
            size: usize,
            inject: *const c_char,
            inject_size: usize,
        ) -> parley_status,
        pub close:
            unsafe extern "C" fn(host: *const parley_host, operation: parley_id) -> parley_status,
    }
    #[repr(C)]
    pub struct parley_host_timer_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub start: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            after_ms: u32,
            operation: *mut parley_id,
        ) -> parley_status,
        pub stop:
            unsafe extern "C" fn(host: *const parley_host, operation: parley_id) -> parley_status,
    }
    #[repr(C)]
    pub struct parley_host_kv_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub get: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            key: *const c_char,
            key_size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
        pub put: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            key: *const c_char,
            key_size: usize,
            value: *const c_char,
            size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
        pub remove: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            key: *const c_char,
            key_size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
    }

    #[repr(C)]
    pub struct parley_host_ws_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub open: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            request: *const c_char,
            size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
        pub write: unsafe extern "C" fn(
            host: *const parley_host,
            operation: parley_id,
            kind: u32,
            bytes: *const c_char,
            size: usize,
            inject: *const c_char,
            inject_size: usize,
        ) -> parley_status,
        pub close: unsafe extern "C" fn(
            host: *const parley_host,
            operation: parley_id,
            code: u32,
            reason: *const c_char,
            size: usize,
        ) -> parley_status,
    }

    #[repr(C)]
    pub struct parley_host_reveal_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub get: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            name: *const c_char,
            size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
    }
    #[repr(C)]
    pub struct parley_host_blob_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub put: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            operation: *mut parley_id,
        ) -> parley_status,
        pub write: unsafe extern "C" fn(
            host: *const parley_host,
            operation: parley_id,
            bytes: *const c_char,
            size: usize,
        ) -> parley_status,
        pub finish:
            unsafe extern "C" fn(host: *const parley_host, operation: parley_id) -> parley_status,
        pub get: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            request: *const c_char,
            size: usize,
            operation: *mut parley_id,
        ) -> parley_status,
        pub stop:
            unsafe extern "C" fn(host: *const parley_host, operation: parley_id) -> parley_status,
    }

    #[repr(C)]
    pub struct parley_host_inbound_v1 {
        pub struct_size: u32,
        pub reserved0: u32,
        pub listen: unsafe extern "C" fn(
            host: *const parley_host,
            call: parley_id,
            operation: *mut parley_id,
        ) -> parley_status,
        pub answer: unsafe extern "C" fn(
            host: *const parley_host,
            operation: parley_id,
            request: u64,
            answer: *const c_char,
            size: usize,
        ) -> parley_status,
        pub stop:
            unsafe extern "C" fn(host: *const parley_host, operation: parley_id) -> parley_status,
    }

    // The golden layout of ABI 1.0, as in C.
    const _: () = {
        assert!(size_of::<parley_id>() == 8 && size_of::<parley_status>() == 4);
        assert!(size_of::<parley_start_fn>() == 8 && size_of::<Option<parley_start_fn>>() == 8);
        assert!(size_of::<parley_host>() == 40 && size_of::<parley_entry>() == 56);
        assert!(size_of::<parley_channel_v1>() == 48 && size_of::<parley_provider_v1>() == 40);
        assert!(size_of::<parley_skill_v1>() == 40 && size_of::<parley_hook_v1>() == 16);
        assert!(size_of::<parley_event_sink_v1>() == 16 && size_of::<parley_ack_sink_v1>() == 16);
        assert!(size_of::<parley_flow_sink_v1>() == 16);
        assert!(size_of::<parley_host_http_v1>() == 24 && size_of::<parley_host_stream_v1>() == 32);
        assert!(size_of::<parley_host_timer_v1>() == 24 && size_of::<parley_host_kv_v1>() == 32);
        assert!(size_of::<parley_host_reveal_v1>() == 16 && size_of::<parley_host_blob_v1>() == 48);
        assert!(size_of::<parley_host_ws_v1>() == 32);
        assert!(size_of::<parley_host_inbound_v1>() == 32);
    };
}

use abi::*;

// ---- JSON. -----------------------------------------------------------------------------------

/// A JSON value that owns what it holds. A member that is not there reads as `Json::Null`, so a
/// path can be walked without asking at each step: `request["arguments"]["place"].text()`.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// In the order of the text.
    Object(Vec<(String, Json)>),
}

static NULL: Json = Json::Null;

/// Bounds of what [`Json::parse`] reads.
pub const JSON_BYTES: usize = 32 << 20;
pub const JSON_VALUES: usize = 1 << 20;
pub const JSON_DEPTH: usize = 64;

impl Json {
    /// Reads one document within the bounds; refuses invalid UTF-8, names that stand twice and
    /// bytes after the value. The error says what is wrong, and at which offset.
    pub fn parse(bytes: &[u8]) -> Result<Json, String> {
        JsonReader::read(bytes)
    }

    /// An object, to be filled by [`Json::with`].
    pub fn object() -> Json {
        Json::Object(Vec::new())
    }
    /// Adds a member to an object; anything else becomes an object with that member.
    pub fn with(self, name: &str, value: impl Into<Json>) -> Json {
        let mut members = match self {
            Json::Object(members) => members,
            _ => Vec::new(),
        };
        members.push((name.to_string(), value.into()));
        Json::Object(members)
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }
    pub fn text(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }
    pub fn boolean(&self) -> Option<bool> {
        match self {
            Json::Bool(truth) => Some(*truth),
            _ => None,
        }
    }
    /// Only a number without fraction and exponent, within 64 bits.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Json::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
    /// Only what is finite as a double.
    pub fn number(&self) -> Option<f64> {
        match self {
            Json::Number(digits) => digits.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }
    /// Items of an array; none for anything else.
    pub fn items(&self) -> &[Json] {
        match self {
            Json::Array(items) => items,
            _ => &[],
        }
    }
    /// Members of an object; none for anything else.
    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Json::Number(digits) => out.push_str(digits),
            Json::String(text) => write_quoted(text, out),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_quoted(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7F => {
                out.push_str(&format!("\\u{:04x}", c as u32))
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The document as text.
impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        out.write_str(&text)
    }
}

impl std::ops::Index<&str> for Json {
    type Output = Json;
    fn index(&self, name: &str) -> &Json {
        self.members().iter().find(|(known, _)| known == name).map_or(&NULL, |(_, value)| value)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_string())
    }
}
impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::String(text)
    }
}
impl From<bool> for Json {
    fn from(truth: bool) -> Json {
        Json::Bool(truth)
    }
}
/// A number that is not finite becomes null.
impl From<f64> for Json {
    fn from(number: f64) -> Json {
        if number.is_finite() {
            Json::Number(number.to_string())
        } else {
            Json::Null
        }
    }
}
impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Json {
        Json::Array(items.into_iter().map(Into::into).collect())
    }
}
macro_rules! json_from_integers {
    ($($kind:ty)*) => {
        $(impl From<$kind> for Json {
            fn from(number: $kind) -> Json {
                Json::Number(number.to_string())
            }
        })*
    };
}
json_from_integers!(i32 i64 u16 u32 u64 usize);

// Recursive descent; the depth is bounded, so the stack is too.
struct JsonReader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

type Read<T> = Result<T, &'static str>;

impl<'a> JsonReader<'a> {
    fn read(bytes: &'a [u8]) -> Result<Json, String> {
        let refusal = |at: usize, why: &str| format!("not valid JSON at offset {}: {}", at, why);
        if bytes.len() > JSON_BYTES {
            return Err(refusal(0, "too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|e| refusal(e.valid_up_to(), "not UTF-8"))?;
        let mut reader = JsonReader { text, at: 0, values: 0 };
        reader.whole().map_err(|why| refusal(reader.at, why))
    }

    fn peek(&self) -> u8 {
        *self.text.as_bytes().get(self.at).unwrap_or(&0)
    }
    fn take(&mut self, wanted: u8) -> bool {
        let found = self.at < self.text.len() && self.peek() == wanted;
        self.at += found as usize;
        found
    }
    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn whole(&mut self) -> Read<Json> {
        self.skip_space();
        let out = self.value(1)?;
        self.skip_space();
        if self.at == self.text.len() {
            Ok(out)
        } else {
            Err("bytes after the value")
        }
    }

    fn value(&mut self, depth: usize) -> Read<Json> {
        if depth > JSON_DEPTH {
            return Err("nested too deeply");
        }
        self.values += 1;
        if self.values > JSON_VALUES {
            return Err("too many values");
        }
        match self.peek() {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => Ok(Json::String(self.string()?)),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Read<Json> {
        let mut members = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != b'"' {
                return Err("a name in quotes wanted");
            }
            let name = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err("':' wanted");
            }
            self.skip_space();
            members.push((name, self.value(depth + 1)?));
            self.skip_space();
            if !self.take(b',') {
                break;
            }
        }
        if !self.take(b'}') {
            return Err("',' or '}' wanted");
        }
        let mut names: Vec<&String> = members.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a name stands twice in one object");
        }
        Ok(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Read<Json> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if !self.take(b',') {
                break;
            }
        }
        if self.take(b']') {
            Ok(Json::Array(items))
        } else {
            Err("',' or ']' wanted")
        }
    }

    fn word(&mut self, wanted: &str, value: Json) -> Read<Json> {
        if !self.text[self.at..].starts_with(wanted) {
            return Err("a value wanted");
        }
        self.at += wanted.len();
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        self.at - start
    }
    fn number(&mut self) -> Read<Json> {
        let start = self.at;
        self.take(b'-');
        let zero = self.peek() == b'0';
        match self.digits() {
            0 => return Err("a value wanted"),
            size if zero && size > 1 => return Err("a number with a leading zero"),
            _ => {}
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err("digits wanted");
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err("digits wanted");
            }
        }
        Ok(Json::Number(self.text[start..self.at].to_string()))
    }

    fn string(&mut self) -> Read<String> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|c: char| c == '"' || c == '\\' || (c as u32) < 0x20)
                .ok_or("a string without its end")?;
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => out.push(self.escape()?),
                _ => return Err("a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        self.at += 1;
        let meaning = match self.peek() {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\x08',
            b'f' => '\x0C',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err("an unknown escape"),
        };
        self.at += 1;
        Ok(meaning)
    }

    fn hex4(&mut self) -> Read<u32> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
        let digits = digits.filter(|all| all.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.ok_or("four hex digits wanted")?;
        self.at += 5;
        Ok(digits.iter().fold(0, |sum, c| sum << 4 | (*c as char).to_digit(16).unwrap_or(0)))
    }
    fn unicode(&mut self) -> Read<char> {
        let half = "half of a surrogate pair";
        let mut code = self.hex4()?;
        if (0xD800..0xDC00).contains(&code) {
            if !self.take(b'\\') || self.peek() != b'u' {
                return Err(half);
            }
            let low = self.hex4()?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(half);
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        char::from_u32(code).ok_or(half)
    }
}

// ---- Failures and calls. -----------------------------------------------------------------------

/// Why a call failed, as the host and in the end a person will see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// One of: invalid, unsupported, denied, limit, timeout, cancelled, peer, auth, rate,
    /// overloaded, money, cut_off, internal.
    pub code: String,
    pub message: String,
    pub retryable: bool,
    /// 0: the plugin does not know.
    pub retry_after_ms: u64,
    /// channel.send: false when provably nothing left.
    pub sent: Option<bool>,
}

impl Failure {
    pub fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure {
            code: code.to_string(),
            message: message.into(),
            retryable: false,
            retry_after_ms: 0,
            sent: None,
        }
    }
    pub fn retryable(mut self, yes: bool) -> Failure {
        self.retryable = yes;
        self
    }
    pub fn sent(mut self, yes: bool) -> Failure {
        self.sent = Some(yes);
        self
    }

    fn status(&self) -> parley_status {
        match self.code.as_str() {
            "invalid" => PARLEY_E_INVALID,
            "unsupported" => PARLEY_E_UNSUPPORTED,
            "cancelled" => PARLEY_E_CANCELLED,
            "timeout" => PARLEY_E_DEADLINE,
            "denied" => PARLEY_E_DENIED,
            "limit" => PARLEY_E_LIMIT,
            "internal" => PARLEY_E_INTERNAL,
            _ => PARLEY_E_PEER,
        }
    }
    fn to_json(&self) -> Json {
        let mut out = Json::object()
            .with("code", self.code.as_str())
            .with("message", self.message.as_str())
            .with("retryable", self.retryable);
        if self.retry_after_ms > 0 {
            out = out.with("retry_after_ms", self.retry_after_ms);
        }
        match self.sent {
            Some(sent) => out.with("sent", sent),
            None => out,
        }
    }
    fn from_json(detail: &Json) -> Failure {
        Failure {
            code: detail["code"].text().unwrap_or("peer").to_string(),
            message: detail["message"].text().unwrap_or("no reason given").to_string(),
            retryable: detail["retryable"].boolean().unwrap_or(false),
            retry_after_ms: detail["retry_after_ms"].integer().unwrap_or(0).max(0) as u64,
            sent: detail["sent"].boolean(),
        }
    }
    fn not_started(status: parley_status, what: &str) -> Failure {
        let code = match status {
            PARLEY_E_INVALID => "invalid",
            PARLEY_E_UNSUPPORTED => "unsupported",
            PARLEY_E_CANCELLED => "cancelled",
            PARLEY_E_DEADLINE => "timeout",
            PARLEY_E_DENIED => "denied",
            PARLEY_E_STALE => "cut_off",
            PARLEY_E_LIMIT => "limit",
            PARLEY_E_PEER => "peer",
            _ => "internal",
        };
        // Too many: a timer is never too large.
        let comes_again = status == PARLEY_E_LIMIT && what == "timer";
        Failure::new(code, format!("the host did not start the {}", what)).sent(false).retryable(comes_again)
    }
}

/// What a verb or a callback ends with. An error fails the call, if it is still open.
pub type Outcome = Result<(), Failure>;

/// What became of an item of a call's stream, or of bytes written to a TCP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    Taken,
    /// Taken, but wait for [`Plugin::resumed`] before the next.
    Pause,
    /// Not taken: what it was for has ended, or the item is too large.
    Refused,
}

impl Emit {
    fn from_status(status: parley_status) -> Emit {
        match status {
            PARLEY_OK => Emit::Taken,
            PARLEY_PAUSE => Emit::Pause,
            _ => Emit::Refused,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic left behind is still memory-safe, and the call that panicked has failed.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn chars(bytes: &[u8]) -> *const c_char {
    bytes.as_ptr() as *const c_char
}

// The host's table: valid from create() to destroy(), and its functions are [any].
#[derive(Clone, Copy)]
struct Lender(*const parley_host);
unsafe impl Send for Lender {}
unsafe impl Sync for Lender {}

impl Lender {
    fn log(self, level: i32, text: &str) {
        unsafe { ((*self.0).log)(self.0, level, chars(text.as_bytes()), text.len()) }
    }
    fn complete(self, call: parley_id, status: parley_status, text: &str) -> parley_status {
        unsafe { ((*self.0).complete)(self.0, call, status, chars(text.as_bytes()), text.len()) }
    }
    /// `id` ends with NUL.
    fn service<Table>(self, id: &str) -> Option<&'static Table> {
        unsafe {
            let found = ((*self.0).get_interface)(self.0, chars(id.as_bytes())) as *const Table;
            found.as_ref()
        }
    }
}

struct CallState {
    lender: Lender,
    id: parley_id,
    timeout_ms: u32,
    is_open: AtomicBool,
    is_cancelled: AtomicBool,
}

impl CallState {
    fn end(&self, status: parley_status, text: &str) {
        if !self.is_open.swap(false, Ordering::SeqCst) {
            return;
        }
        let answer = self.lender.complete(self.id, status, text);
        if answer != PARLEY_OK && answer != PARLEY_E_STALE {
            let why = format!("the host did not take the plugin's result: {}", answer);
            let failure = Failure::new("internal", why);
            self.lender.complete(self.id, PARLEY_E_INTERNAL, &failure.to_json().to_string());
        }
    }
    fn fail(&self, failure: &Failure) {
        self.end(failure.status(), &failure.to_json().to_string());
    }
    // A defect of the plugin, unless the host wanted the call to end anyway.
    fn fail_as_defect(&self, why: &str) {
        let cancelled = self.is_cancelled.load(Ordering::SeqCst);
        self.fail(&if cancelled {
            Failure::new("cancelled", "cancelled")
        } else {
            Failure::new("internal", why)
        });
    }
}

impl Drop for CallState {
    fn drop(&mut self) {
        self.fail_as_defect("the plugin dropped the call unfinished");
    }
}

/// One call of the host, to be ended once. Clones are the same call; when the last one goes before
/// the end, the call fails by itself: as cancelled when the host had cancelled it, else as a defect
/// of the plugin. When it ends, what was started under it ends too. Any thread may use it.
#[derive(Clone)]
pub struct Call(Arc<CallState>);

impl Call {
    pub fn id(&self) -> u64 {
        self.0.id
    }
    /// 0: the host sets none. The host cancels a call whose time is up.
    pub fn timeout_ms(&self) -> u32 {
        self.0.timeout_ms
    }
    pub fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::SeqCst)
    }
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::SeqCst)
    }

    /// Ends the call well. Does nothing when it has ended.
    pub fn complete(&self, result: Json) -> Outcome {
        self.0.end(PARLEY_OK, &result.to_string());
        Ok(())
    }
    /// Ends the call with a failure. Does nothing when it has ended.
    pub fn fail(&self, failure: Failure) {
        self.0.fail(&failure);
    }
    /// One item of the stream. Nothing is ever blocked by it.
    pub fn emit(&self, item: Json) -> Emit {
        if !self.is_open() {
            return Emit::Refused;
        }
        let (lender, text) = (self.0.lender, item.to_string());
        Emit::from_status(unsafe {
            ((*lender.0).emit)(lender.0, self.0.id, chars(text.as_bytes()), text.len())
        })
    }
}

// ---- Roles. ----------------------------------------------------------------------------------

/// What every plugin is. An error refuses the plugin, and the text is logged.
pub trait Plugin: Sized + Send + 'static {
    /// `config` has been checked against the manifest's schema, with defaults filled in.
    fn new(host: Host<Self>, config: &Json) -> Result<Self, String>;

    /// The host wants the call to end; it still has to end. As it stands, it ends at once, and what
    /// was started under it is stopped.
    fn cancelled(&mut self, _call: &Call) -> Outcome {
        Err(Failure::new("cancelled", "cancelled"))
    }
    /// A stream of a call that answered [`Emit::Pause`] may go on.
    fn resumed(&mut self, _call: &Call) -> Outcome {
        Ok(())
    }
    /// channel.run: a message with this cursor is durable in the host.
    fn acknowledged(&mut self, _call: &Call, _cursor: &str) -> Outcome {
        Ok(())
    }
}

fn unsupported() -> Outcome {
    Err(Failure::new("unsupported", "no such verb"))
}

/// Where people talk. A verb returns fast and keeps the call until it can end it.
pub trait Channel: Plugin {
    const EDIT: bool = false;
    const TYPING: bool = false;
    const DRAFT: bool = false;
    fn run(&mut self, call: Call, request: Json) -> Outcome;
    fn send(&mut self, call: Call, request: Json) -> Outcome;
    /// Offered when `EDIT` is true.
    fn edit(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
    /// Offered when `TYPING` is true.
    fn typing(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
    /// Offered when `DRAFT` is true.
    fn draft(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
}

/// A model.
pub trait Provider: Plugin {
    const LIST_MODELS: bool = false;
    const COUNT_TOKENS: bool = false;
    const EMBED: bool = false;
    fn generate(&mut self, call: Call, request: Json) -> Outcome;
    /// Offered when `LIST_MODELS` is true.
    fn list_models(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
    /// Offered when `COUNT_TOKENS` is true.
    fn count_tokens(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
    /// Offered when `EMBED` is true.
    fn embed(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
}

/// Something that an agent can do.
pub trait Skill: Plugin {
    const RECONCILE: bool = false;
    const PREVIEW: bool = false;
    const LIST_DYNAMIC: bool = false;
    fn invoke(&mut self, call: Call, request: Json) -> Outcome;
    /// Offered when `RECONCILE` is true.
    fn reconcile(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
    /// Offered when `PREVIEW` is true.
    fn preview(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
    /// Offered when `LIST_DYNAMIC` is true.
    fn list_dynamic(&mut self, _call: Call, _request: Json) -> Outcome {
        unsupported()
    }
}

/// Hears of events before they happen.
pub trait Hook: Plugin {
    fn on_event(&mut self, call: Call, request: Json) -> Outcome;
}

// ---- Host services. ----------------------------------------------------------------------------

/// Puts a secret, named as in the manifest, into a slot of a request; the plugin never sees it.
/// Slots: header:NAME, query:NAME, path:TEXT, body:/json/pointer, and stream:TEXT for streams.
#[derive(Clone, Debug, Default)]
pub struct Inject {
    pub slot: String,
    pub secret: String,
    pub prefix: String,
    pub suffix: String,
    /// Empty for none, or percent, base64, hmac-sha256-hex, hmac-sha256-base64.
    pub encode: String,
    /// Of an hmac, for a secret of tier compute: over what ("{webhook-id}.{body}").
    pub signed_text: String,
    /// Of an hmac: empty for the secret's bytes, or base64 for what they say.
    pub key: String,
}

impl Inject {
    fn to_json(&self) -> Json {
        let mut out = Json::object().with("slot", self.slot.as_str());
        out = out.with("secret", self.secret.as_str());
        for (name, text) in [
            ("prefix", &self.prefix),
            ("suffix", &self.suffix),
            ("encode", &self.encode),
            ("signed", &self.signed_text),
            ("key", &self.key),
        ] {
            if !text.is_empty() {
                out = out.with(name, text.as_str());
            }
        }
        out
    }
}

fn inject_json(all: &[Inject]) -> Json {
    Json::Array(all.iter().map(Inject::to_json).collect())
}

/// A request; `..Default::default()` leaves the rest to the host.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    /// Empty: GET.
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub timeout_ms: u32,
    /// Read the body as server-sent events.
    pub events: bool,
    pub max_bytes: u64,
    pub inject: Vec<Inject>,
}

fn headers_json(headers: &[(String, String)]) -> Json {
    let pair = |(name, value): &(String, String)| Json::from(vec![name.as_str(), value.as_str()]);
    Json::Array(headers.iter().map(pair).collect())
}

impl HttpRequest {
    fn to_json(&self) -> Json {
        let method = if self.method.is_empty() { "GET" } else { self.method.as_str() };
        let mut out = Json::object().with("method", method).with("url", self.url.as_str());
        out = out.with("headers", headers_json(&self.headers));
        if self.timeout_ms > 0 {
            out = out.with("timeout_ms", self.timeout_ms);
        }
        if self.events {
            out = out.with("framing", "sse");
        }
        if self.max_bytes > 0 {
            out = out.with("max_bytes", self.max_bytes);
        }
        if !self.inject.is_empty() {
            out = out.with("inject", inject_json(&self.inject));
        }
        out
    }
}

/// What comes of a request. `Done` or `Failed` comes last, unless the operation is stopped.
#[derive(Debug)]
pub enum HttpEvent<'a> {
    /// Headers as [["name","value"],…].
    Head {
        status: u16,
        headers: &'a Json,
    },
    Data(&'a [u8]),
    /// With `events`: one server-sent event.
    Event {
        event: &'a str,
        data: &'a str,
        id: &'a str,
    },
    Done,
    Failed(Failure),
}

/// The first header of that name, compared without case.
pub fn header<'a>(headers: &'a Json, name: &str) -> Option<&'a str> {
    let named = |pair: &&Json| {
        let field = pair.items().first().and_then(Json::text).unwrap_or("");
        field.eq_ignore_ascii_case(name)
    };
    headers.items().iter().find(named)?.items().get(1)?.text()
}

/// What comes of a TCP or TLS stream. `Closed` comes last, unless the stream is stopped; without a
/// failure the peer closed in order.
#[derive(Debug)]
pub enum StreamEvent<'a> {
    Opened { peer: &'a str },
    Data(&'a [u8]),
    Closed(Option<Failure>),
}

/// A WebSocket to be opened. `..Default::default()` fills the rest.
#[derive(Clone, Debug, Default)]
pub struct WebSocketRequest {
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// Offered, the first one preferred.
    pub subprotocols: Vec<String>,
    /// Until it is open; 0: the host's own.
    pub timeout_ms: u32,
    /// Of one message that comes; 0: the host's own.
    pub max_bytes: u64,
    pub inject: Vec<Inject>,
}

impl WebSocketRequest {
    fn to_json(&self) -> Json {
        let offered: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        let mut out = Json::object().with("url", self.url.as_str());
        out = out.with("headers", headers_json(&self.headers)).with("subprotocols", offered);
        if self.timeout_ms > 0 {
            out = out.with("timeout_ms", self.timeout_ms);
        }
        if self.max_bytes > 0 {
            out = out.with("max_bytes", self.max_bytes);
        }
        if !self.inject.is_empty() {
            out = out.with("inject", inject_json(&self.inject));
        }
        out
    }
}

/// What comes of a WebSocket. `Closed` or `Failed` comes last, unless it is closed or stopped.
#[derive(Debug)]
pub enum WebSocketEvent<'a> {
    Opened { subprotocol: &'a str },
    /// One whole message.
    Text(&'a str),
    Binary(&'a [u8]),
    /// The peer's goodbye; code 1005 when it gave none.
    Closed { code: u16, reason: &'a str },
    Failed(Failure),
}

/// A request from outside, which the host has verified. Dropped unanswered, it is answered 503, so
/// that its sender comes again. Any thread may use it.
pub struct WebhookRequest {
    lender: Lender,
    operation: parley_id,
    number: u64,
    told: Json,
    is_answered: bool,
}

impl WebhookRequest {
    pub fn number(&self) -> u64 {
        self.number
    }
    pub fn body(&self) -> &str {
        self.told["body"].text().unwrap_or("")
    }
    /// One that the manifest's `inbound` lists, compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.told["headers"], name)
    }
    /// Does nothing when nobody waits any more. What it made the plugin emit must be durable when
    /// this says 2xx: keep it until [`Plugin::acknowledged`].
    pub fn answer(mut self, status: u16, body: &str) {
        self.give(Json::object().with("status", status).with("body", body));
    }
    /// Come again after that time.
    pub fn refuse_for_now(mut self, wait_s: u32) {
        self.give(Json::object().with("status", 503u16).with("retry_after_s", wait_s));
    }

    fn give(&mut self, answer: Json) {
        if std::mem::replace(&mut self.is_answered, true) {
            return;
        }
        let table = match self.lender.service::<parley_host_inbound_v1>(HOST_INBOUND) {
            Some(table) => table,
            None => return,
        };
        let send = |text: String| unsafe {
            let (host, text) = (self.lender.0, text.as_bytes());
            (table.answer)(host, self.operation, self.number, chars(text), text.len())
        };
        if send(answer.to_string()) == PARLEY_E_LIMIT {
            send("{\"status\":500}".to_string());
        }
    }
}

impl Drop for WebhookRequest {
    fn drop(&mut self) {
        self.give(Json::object().with("status", 503u16).with("retry_after_s", 5u16));
    }
}

/// What comes to a listener. `Closed` comes last, when the host does not let it listen.
pub enum WebhookEvent {
    Request(WebhookRequest),
    /// Nobody waits for the answer of that one any more.
    Gone(u64),
    Closed(Failure),
}

/// What the store answers to get: the value, or nothing when there is no such key; after put and
/// remove an empty value.
pub type KvAnswer = Result<Option<Vec<u8>>, Failure>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Service {
    Http,
    Stream,
    Timer,
    Kv,
    Ws,
    Inbound,
}

type OnEvent<P> = Box<dyn FnMut(&mut P, &Call, u32, &[u8]) -> Outcome + Send>;
struct Listener<P> {
    call: Call,
    on_event: OnEvent<P>,
}

// What waits for events. Kept apart from the plugin, so that a verb may start what it waits for.
struct Shared<P> {
    lender: Lender,
    listeners: Mutex<HashMap<(Service, parley_id), Listener<P>>>,
}

impl<P> Shared<P> {
    fn stop(&self, service: Service, operation: parley_id) {
        let kept = locked(&self.listeners).remove(&(service, operation));
        self.tell_stop(service, operation);
        drop(kept);
    }
    fn tell_stop(&self, service: Service, operation: parley_id) {
        let host = self.lender;
        unsafe {
            match service {
                Service::Http => host
                    .service::<parley_host_http_v1>(HOST_HTTP)
                    .map(|table| (table.stop)(host.0, operation)),
                Service::Stream => host
                    .service::<parley_host_stream_v1>(HOST_STREAM)
                    .map(|table| (table.close)(host.0, operation)),
                Service::Timer => host
                    .service::<parley_host_timer_v1>(HOST_TIMER)
                    .map(|table| (table.stop)(host.0, operation)),
                Service::Ws => host
                    .service::<parley_host_ws_v1>(HOST_WS)
                    .map(|table| (table.close)(host.0, operation, 1000, chars(b""), 0)),
                Service::Kv => None,
                Service::Inbound => host
                    .service::<parley_host_inbound_v1>(HOST_INBOUND)
                    .map(|table| (table.stop)(host.0, operation)),
            };
        }
    }
    // Takes out what the condition names; dropped by the caller, outside the lock.
    fn take(&self, wanted: impl Fn(&Call) -> bool) -> Vec<((Service, parley_id), Listener<P>)> {
        let mut listeners = locked(&self.listeners);
        let keys: Vec<_> = listeners
            .iter()
            .filter(|(_, listener)| wanted(&listener.call))
            .map(|(key, _)| *key)
            .collect();
        keys.into_iter().filter_map(|key| Some((key, listeners.remove(&key)?))).collect()
    }
    // What belongs to a call that has ended hears nothing more.
    fn sweep(&self) {
        loop {
            let gone = self.take(|call| !call.is_open());
            if gone.is_empty() {
                return;
            }
            for ((service, operation), _) in &gone {
                self.tell_stop(*service, *operation);
            }
        }
    }
}

const HOST_HTTP: &str = "parley.host.http/1\0";
const HOST_STREAM: &str = "parley.host.stream/1\0";
const HOST_TIMER: &str = "parley.host.timer/1\0";
const HOST_KV: &str = "parley.host.kv/1\0";
const HOST_WS: &str = "parley.host.ws/1\0";
const HOST_INBOUND: &str = "parley.host.inbound/1\0";

/// What the host lends, valid as long as the plugin. A service that the manifest does not name
/// answers as unsupported. Callbacks come on the strand, with the plugin and the call.
pub struct Host<P>(Arc<Shared<P>>);

impl<P> Clone for Host<P> {
    fn clone(&self) -> Self {
        Host(self.0.clone())
    }
}

/// Levels of [`Host::log`].
pub use abi::{PARLEY_LOG_DEBUG, PARLEY_LOG_ERROR, PARLEY_LOG_INFO, PARLEY_LOG_WARN};

impl<P: Plugin> Host<P> {
    /// A line for the operator. Never put a message's text or a secret into it. Any thread.
    pub fn log(&self, level: i32, text: &str) {
        self.0.lender.log(level, text);
    }

    /// Starts a request under a call.
    pub fn http(
        &self, call: &Call, request: HttpRequest, body: &[u8],
        mut on_event: impl FnMut(&mut P, &Call, HttpEvent) -> Outcome + Send + 'static,
    ) -> Result<Operation<P>, Failure> {
        let text = request.to_json().to_string();
        self.start(
            Service::Http,
            call,
            "request",
            HOST_HTTP,
            |http: &parley_host_http_v1, host, id, operation| unsafe {
                let (body, text) = (body, text.as_bytes());
                (http.start)(host, id, chars(text), text.len(), chars(body), body.len(), operation)
            },
            Box::new(move |plugin, call, kind, bytes| match kind {
                PARLEY_HTTP_HEAD => {
                    let head = Json::parse(bytes).unwrap_or(Json::Null);
                    let status = head["status"].integer().unwrap_or(0) as u16;
                    on_event(plugin, call, HttpEvent::Head { status, headers: &head["headers"] })
                }
                PARLEY_HTTP_DATA => on_event(plugin, call, HttpEvent::Data(bytes)),
                PARLEY_HTTP_EVENT => {
                    let one = Json::parse(bytes).unwrap_or(Json::Null);
                    let event = HttpEvent::Event {
                        event: one["event"].text().unwrap_or("message"),
                        data: one["data"].text().unwrap_or(""),
                        id: one["id"].text().unwrap_or(""),
                    };
                    on_event(plugin, call, event)
                }
                PARLEY_HTTP_DONE => on_event(plugin, call, HttpEvent::Done),
                PARLEY_HTTP_FAILED => {
                    on_event(plugin, call, HttpEvent::Failed(failure_from(bytes)))
                }
                _ => Ok(()),
            }),
        )
    }

    /// Opens a TCP stream, or with `tls` a TLS one, under a call.
    pub fn stream(
        &self, call: &Call, address: &str, port: u16, tls: bool,
        mut on_event: impl FnMut(&mut P, &Call, StreamEvent) -> Outcome + Send + 'static,
    ) -> Result<Operation<P>, Failure> {
        let request = Json::object().with("host", address).with("port", port).with("tls", tls);
        let text = request.to_string();
        self.start(
            Service::Stream,
            call,
            "stream",
            HOST_STREAM,
            |streams: &parley_host_stream_v1, host, id, operation| unsafe {
                (streams.open)(host, id, chars(text.as_bytes()), text.len(), operation)
            },
            Box::new(move |plugin, call, kind, bytes| match kind {
                PARLEY_STREAM_OPENED => {
                    let opened = Json::parse(bytes).unwrap_or(Json::Null);
                    let peer = opened["peer"].text().unwrap_or("");
                    on_event(plugin, call, StreamEvent::Opened { peer })
                }
                PARLEY_STREAM_DATA => on_event(plugin, call, StreamEvent::Data(bytes)),
                PARLEY_STREAM_CLOSED => {
                    let why = Json::parse(bytes).unwrap_or(Json::Null);
                    let failed = !why["code"].is_null();
                    let failure = if failed { Some(Failure::from_json(&why)) } else { None };
                    on_event(plugin, call, StreamEvent::Closed(failure))
                }
                _ => Ok(()),
            }),
        )
    }

    /// Opens a WebSocket under a call. Messages may be written before it is open: they wait.
    pub fn ws(
        &self, call: &Call, request: WebSocketRequest,
        mut on_event: impl FnMut(&mut P, &Call, WebSocketEvent) -> Outcome + Send + 'static,
    ) -> Result<Operation<P>, Failure> {
        let text = request.to_json().to_string();
        self.start(
            Service::Ws,
            call,
            "WebSocket",
            HOST_WS,
            |sockets: &parley_host_ws_v1, host, id, operation| unsafe {
                (sockets.open)(host, id, chars(text.as_bytes()), text.len(), operation)
            },
            Box::new(move |plugin, call, kind, bytes| match kind {
                PARLEY_WS_OPENED => {
                    let opened = Json::parse(bytes).unwrap_or(Json::Null);
                    let subprotocol = opened["subprotocol"].text().unwrap_or("");
                    on_event(plugin, call, WebSocketEvent::Opened { subprotocol })
                }
                PARLEY_WS_TEXT => {
                    let text = std::str::from_utf8(bytes).unwrap_or("");
                    on_event(plugin, call, WebSocketEvent::Text(text))
                }
                PARLEY_WS_BINARY => on_event(plugin, call, WebSocketEvent::Binary(bytes)),
                PARLEY_WS_CLOSED => {
                    let said = Json::parse(bytes).unwrap_or(Json::Null);
                    let code = said["code"].integer().unwrap_or(1005) as u16;
                    let reason = said["reason"].text().unwrap_or("");
                    on_event(plugin, call, WebSocketEvent::Closed { code, reason })
                }
                PARLEY_WS_FAILED => {
                    on_event(plugin, call, WebSocketEvent::Failed(failure_from(bytes)))
                }
                _ => Ok(()),
            }),
        )
    }

    /// Runs `then` once, after `after_ms`.
    pub fn timer(
        &self, call: &Call, after_ms: u32,
        then: impl FnOnce(&mut P, &Call) -> Outcome + Send + 'static,
    ) -> Result<Operation<P>, Failure> {
        let mut then = Some(then);
        self.start(
            Service::Timer,
            call,
            "timer",
            HOST_TIMER,
            |timers: &parley_host_timer_v1, host, id, operation| unsafe {
                (timers.start)(host, id, after_ms, operation)
            },
            Box::new(move |plugin, call, _, _| {
                then.take().map_or(Ok(()), |then| then(plugin, call))
            }),
        )
    }

    /// Hears the webhooks of a channel's run, until it ends or the operation is stopped.
    pub fn webhooks(
        &self, call: &Call,
        mut on_event: impl FnMut(&mut P, &Call, WebhookEvent) -> Outcome + Send + 'static,
    ) -> Result<Operation<P>, Failure> {
        let lender = self.0.lender;
        let listening = Arc::new(Mutex::new(0));
        let known = listening.clone();
        let started = self.start(
            Service::Inbound,
            call,
            "webhooks",
            HOST_INBOUND,
            |inbound: &parley_host_inbound_v1, host, id, operation| unsafe {
                let status = (inbound.listen)(host, id, operation);
                *locked(&listening) = *operation;
                status
            },
            Box::new(move |plugin, call, kind, bytes| {
                let told = Json::parse(bytes).unwrap_or(Json::Null);
                let number = told["request"].integer().unwrap_or(0) as u64;
                match kind {
                    PARLEY_INBOUND_REQUEST => {
                        let operation = *locked(&known);
                        let request =
                            WebhookRequest { lender, operation, number, told, is_answered: false };
                        on_event(plugin, call, WebhookEvent::Request(request))
                    }
                    PARLEY_INBOUND_GONE => on_event(plugin, call, WebhookEvent::Gone(number)),
                    PARLEY_INBOUND_CLOSED => {
                        on_event(plugin, call, WebhookEvent::Closed(Failure::from_json(&told)))
                    }
                    _ => Ok(()),
                }
            }),
        );
        started
    }

    /// Reads a key of the instance's small durable store: keys up to 256 bytes, values to 64 KiB.
    pub fn kv_get(
        &self, call: &Call, key: &[u8],
        then: impl FnOnce(&mut P, &Call, KvAnswer) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.kv(call, then, |store, host, id, operation| unsafe {
            (store.get)(host, id, chars(key), key.len(), operation)
        })
    }
    /// Answers when the value is durable.
    pub fn kv_put(
        &self, call: &Call, key: &[u8], value: &[u8],
        then: impl FnOnce(&mut P, &Call, KvAnswer) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.kv(call, then, |store, host, id, operation| unsafe {
            (store.put)(host, id, chars(key), key.len(), chars(value), value.len(), operation)
        })
    }
    /// Answers when the key is gone.
    pub fn kv_remove(
        &self, call: &Call, key: &[u8],
        then: impl FnOnce(&mut P, &Call, KvAnswer) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.kv(call, then, |store, host, id, operation| unsafe {
            (store.remove)(host, id, chars(key), key.len(), operation)
        })
    }

    fn kv(
        &self, call: &Call, then: impl FnOnce(&mut P, &Call, KvAnswer) -> Outcome + Send + 'static,
        start: impl FnOnce(
            &parley_host_kv_v1,
            *const parley_host,
            parley_id,
            *mut parley_id,
        ) -> parley_status,
    ) -> Outcome {
        let mut then = Some(then);
        let on_event: OnEvent<P> = Box::new(move |plugin, call, kind, bytes| {
            let answer = match kind {
                PARLEY_KV_DONE => Ok(Some(bytes.to_vec())),
                PARLEY_KV_MISSING => Ok(None),
                _ => Err(failure_from(bytes)),
            };
            then.take().map_or(Ok(()), |then| then(plugin, call, answer))
        });
        self.start(Service::Kv, call, "store operation", HOST_KV, start, on_event).map(|_| ())
    }

    // The lock is held while the host is asked, so that no event comes before its listener.
    fn start<Table: 'static>(
        &self, service: Service, call: &Call, what: &str, id: &str,
        start: impl FnOnce(&Table, *const parley_host, parley_id, *mut parley_id) -> parley_status,
        on_event: OnEvent<P>,
    ) -> Result<Operation<P>, Failure> {
        let lender = self.0.lender;
        let mut operation: parley_id = 0;
        let mut listeners = locked(&self.0.listeners);
        let status = match lender.service::<Table>(id) {
            Some(table) => start(table, lender.0, call.id(), &mut operation),
            None => PARLEY_E_UNSUPPORTED,
        };
        if status < 0 {
            return Err(Failure::not_started(status, what));
        }
        listeners.insert((service, operation), Listener { call: call.clone(), on_event });
        Ok(Operation { shared: self.0.clone(), service, id: operation })
    }
}

fn failure_from(bytes: &[u8]) -> Failure {
    Failure::from_json(&Json::parse(bytes).unwrap_or(Json::Null))
}

/// A handle on something under way. It may outlive it: then its functions do nothing. Dropping the
/// handle stops nothing.
pub struct Operation<P> {
    shared: Arc<Shared<P>>,
    service: Service,
    id: parley_id,
}

impl<P> Operation<P> {
    pub fn id(&self) -> u64 {
        self.id
    }
    /// No callback comes any more.
    pub fn stop(&self) {
        self.shared.stop(self.service, self.id);
    }
    /// For a stream: queues a copy. [`Emit::Pause`]: taken, but let what is queued leave first.
    pub fn write(&self, bytes: &[u8], inject: &[Inject]) -> Emit {
        let host = self.shared.lender;
        let table = match host.service::<parley_host_stream_v1>(HOST_STREAM) {
            Some(table) if self.service == Service::Stream => table,
            _ => return Emit::Refused,
        };
        let places =
            if inject.is_empty() { String::new() } else { inject_json(inject).to_string() };
        let slots = if inject.is_empty() { std::ptr::null() } else { chars(places.as_bytes()) };
        Emit::from_status(unsafe {
            (table.write)(host.0, self.id, chars(bytes), bytes.len(), slots, places.len())
        })
    }
    /// For a WebSocket: queues one whole text message, as `write` does.
    pub fn write_text(&self, text: &str, inject: &[Inject]) -> Emit {
        self.write_message(PARLEY_WS_TEXT, text.as_bytes(), inject)
    }
    /// For a WebSocket: the same for a binary message.
    pub fn write_binary(&self, bytes: &[u8], inject: &[Inject]) -> Emit {
        self.write_message(PARLEY_WS_BINARY, bytes, inject)
    }
    fn write_message(&self, kind: u32, bytes: &[u8], inject: &[Inject]) -> Emit {
        let host = self.shared.lender;
        let table = match host.service::<parley_host_ws_v1>(HOST_WS) {
            Some(table) if self.service == Service::Ws => table,
            _ => return Emit::Refused,
        };
        let places =
            if inject.is_empty() { String::new() } else { inject_json(inject).to_string() };
        let slots = if inject.is_empty() { std::ptr::null() } else { chars(places.as_bytes()) };
        Emit::from_status(unsafe {
            (table.write)(host.0, self.id, kind, chars(bytes), bytes.len(), slots, places.len())
        })
    }
    /// For a WebSocket: what was written leaves first, then a goodbye with that code (1000, 1001 or
    /// 3000 to 4999) and at most 123 bytes of reason. No callback comes any more.
    pub fn close(&self, code: u16, reason: &str) {
        let host = self.shared.lender;
        if self.service == Service::Ws {
            if let Some(table) = host.service::<parley_host_ws_v1>(HOST_WS) {
                let bytes = reason.as_bytes();
                unsafe { (table.close)(host.0, self.id, code.into(), chars(bytes), bytes.len()) };
            }
        }
        self.stop();
    }
}

// ---- The line to C. ----------------------------------------------------------------------------

/// What `plugin!` is made of. Authors need none of it.
pub mod line {
    use super::*;

    /// The manifest as an ELF note, owner "Parley", type "PRL1".
    #[repr(C, align(4))]
    pub struct Note<const SIZE: usize> {
        name_size: u32,
        size: u32,
        kind: u32,
        name: [u8; 8],
        pub manifest: [u8; SIZE],
    }
    impl<const SIZE: usize> Note<SIZE> {
        pub const fn new(manifest: [u8; SIZE]) -> Self {
            assert!(SIZE <= 65536, "the manifest is larger than 64 KiB");
            let size = SIZE as u32;
            Note { name_size: 7, size, kind: 0x5052_4C31, name: *b"Parley\0\0", manifest }
        }
    }

    struct Instance<P> {
        shared: Arc<Shared<P>>,
        plugin: Mutex<P>,
        calls: Mutex<HashMap<parley_id, std::sync::Weak<CallState>>>,
    }

    unsafe fn instance<'a, P>(this: *mut c_void) -> &'a Instance<P> {
        &*(this as *const Instance<P>)
    }
    unsafe fn bytes_of<'a>(bytes: *const c_char, size: usize) -> &'a [u8] {
        if size == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(bytes as *const u8, size)
        }
    }

    fn text_of(panic: Box<dyn std::any::Any + Send>) -> String {
        let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => text.to_string(),
            (_, Some(text)) => text.clone(),
            _ => "a panic of unknown type".to_string(),
        };
        // What it carries may panic itself when it goes.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(again);
        }
        text
    }

    // Runs the plugin's code so that nothing goes further than the end of its call.
    fn guarded(call: &Call, work: impl FnOnce() -> Outcome) {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => call.fail(failure),
            Err(panic) => call.0.fail_as_defect(&text_of(panic)),
        }
    }
    // The last fence, for what is not the plugin's code but its closures' ends.
    fn fenced<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            std::mem::forget(panic);
            otherwise
        })
    }

    impl<P: Plugin> Instance<P> {
        fn find(&self, call: parley_id) -> Option<Call> {
            let mut calls = locked(&self.calls);
            let found = calls.get(&call).and_then(std::sync::Weak::upgrade).map(Call);
            if found.as_ref().map_or(true, |call| !call.is_open()) {
                calls.remove(&call);
                return None;
            }
            found
        }
        fn open(&self, id: parley_id, timeout_ms: u32) -> Call {
            let call = Call(Arc::new(CallState {
                lender: self.shared.lender,
                id,
                timeout_ms,
                is_open: AtomicBool::new(true),
                is_cancelled: AtomicBool::new(false),
            }));
            let mut calls = locked(&self.calls);
            calls.retain(|_, known| known.strong_count() > 0);
            calls.insert(id, Arc::downgrade(&call.0));
            call
        }
    }

    /// One verb: checks the request, makes the call, and runs the plugin's own function.
    pub unsafe fn verb<P: Plugin>(
        this: *mut c_void, id: parley_id, timeout_ms: u32, request: *const c_char, size: usize,
        run: fn(&mut P, Call, Json) -> Outcome,
    ) -> parley_status {
        fenced(PARLEY_E_INTERNAL, || {
            let instance = instance::<P>(this);
            let request = match Json::parse(bytes_of(request, size)) {
                Ok(request @ Json::Object(_)) => request,
                _ => return PARLEY_E_INVALID,
            };
            let call = instance.open(id, timeout_ms);
            let kept = call.clone();
            guarded(&kept, || run(&mut locked(&instance.plugin), call, request));
            drop(kept);
            instance.shared.sweep();
            PARLEY_PENDING
        })
    }

    unsafe fn event<P: Plugin>(
        this: *mut c_void, service: Service, last_from: u32, operation: parley_id, kind: u32,
        bytes: &[u8],
    ) {
        fenced((), || {
            let instance = instance::<P>(this);
            let key = (service, operation);
            let found = locked(&instance.shared.listeners).remove(&key);
            let mut listener = match found {
                Some(listener) => listener,
                None => return,
            };
            // Back in its place first, with nothing to do, so that stop() finds it.
            if kind < last_from {
                let (call, idle) =
                    (listener.call.clone(), Box::new(|_: &mut P, _: &Call, _, _: &[u8]| Ok(())));
                locked(&instance.shared.listeners).insert(key, Listener { call, on_event: idle });
            }
            let call = listener.call.clone();
            guarded(&call, || {
                (listener.on_event)(&mut locked(&instance.plugin), &call, kind, bytes)
            });
            if let Some(place) = locked(&instance.shared.listeners).get_mut(&key) {
                std::mem::swap(place, &mut listener);
            }
            drop(listener);
            drop(call);
            instance.shared.sweep();
        })
    }

    macro_rules! sinks {
        ($($name:ident $service:ident $last:expr;)*) => {
            $(unsafe extern "C" fn $name<P: Plugin>(
                this: *mut c_void, _call: parley_id, operation: parley_id, kind: u32,
                bytes: *const c_char, size: usize,
            ) {
                event::<P>(this, Service::$service, $last, operation, kind, bytes_of(bytes, size))
            })*
        };
    }
    sinks! {
        on_http Http PARLEY_HTTP_DONE;
        on_stream Stream PARLEY_STREAM_CLOSED;
        on_timer Timer PARLEY_TIMER_FIRED;
        on_kv Kv PARLEY_KV_DONE;
        on_ws Ws PARLEY_WS_CLOSED;
        on_inbound Inbound PARLEY_INBOUND_CLOSED;
    }

    // Tells the plugin something of a call that is open.
    unsafe fn tell<P: Plugin>(
        this: *mut c_void, id: parley_id, run: impl FnOnce(&mut P, &Call) -> Outcome,
    ) {
        fenced((), || {
            let instance = instance::<P>(this);
            if let Some(call) = instance.find(id) {
                guarded(&call, || run(&mut locked(&instance.plugin), &call));
            }
            instance.shared.sweep();
        })
    }
    unsafe extern "C" fn on_ack<P: Plugin>(
        this: *mut c_void, call: parley_id, cursor: *const c_char, size: usize,
    ) {
        let cursor = std::str::from_utf8(bytes_of(cursor, size)).unwrap_or("");
        tell::<P>(this, call, |plugin, call| plugin.acknowledged(call, cursor))
    }
    unsafe extern "C" fn on_resume<P: Plugin>(this: *mut c_void, call: parley_id) {
        tell::<P>(this, call, P::resumed)
    }
    pub unsafe extern "C" fn cancel<P: Plugin>(this: *mut c_void, call: parley_id) {
        tell::<P>(this, call, |plugin, call| {
            call.0.is_cancelled.store(true, Ordering::SeqCst);
            plugin.cancelled(call)
        })
    }

    pub unsafe extern "C" fn create<P: Plugin>(
        host: *const parley_host, config: *const c_char, size: usize, this: *mut *mut c_void,
    ) -> parley_status {
        let lender = Lender(host);
        // The call's failure has the text of a panic, the operator its place.
        std::panic::set_hook(Box::new(move |panic| {
            lender.log(PARLEY_LOG_ERROR, &format!("the plugin panicked: {}", panic))
        }));
        let made = catch_unwind(AssertUnwindSafe(|| {
            let text = bytes_of(config, size);
            let config = match Json::parse(if text.is_empty() { b"{}" } else { text })? {
                config @ Json::Object(_) => config,
                _ => return Err("the config is no JSON object".to_string()),
            };
            let shared = Arc::new(Shared { lender, listeners: Mutex::default() });
            let plugin = Mutex::new(P::new(Host(shared.clone()), &config)?);
            Ok(Box::new(Instance { shared, plugin, calls: Mutex::default() }))
        }));
        let why = match made {
            Ok(Ok(instance)) => {
                *this = Box::into_raw(instance) as *mut c_void;
                return PARLEY_OK;
            }
            Ok(Err(why)) => why,
            Err(panic) => text_of(panic),
        };
        drop(std::panic::take_hook());
        lender.log(PARLEY_LOG_ERROR, &why);
        PARLEY_E_INVALID
    }

    pub unsafe extern "C" fn destroy<P: Plugin>(this: *mut c_void) {
        fenced((), || {
            let instance = Box::from_raw(this as *mut Instance<P>);
            // Callbacks may hold the host, which holds them.
            drop(instance.shared.take(|_| true));
            drop(instance);
        });
        // The hook holds the host's table, which goes now.
        fenced((), || drop(std::panic::take_hook()));
    }

    /// A sink by its id.
    pub fn sink<P: Plugin>(id: &str) -> *const c_void {
        const fn of(on_event: parley_event_fn) -> parley_event_sink_v1 {
            parley_event_sink_v1 { struct_size: 16, reserved0: 0, on_event }
        }
        trait Sinks {
            const HTTP: parley_event_sink_v1;
            const STREAM: parley_event_sink_v1;
            const TIMER: parley_event_sink_v1;
            const KV: parley_event_sink_v1;
            const WS: parley_event_sink_v1;
            const INBOUND: parley_event_sink_v1;
            const ACK: parley_ack_sink_v1;
            const FLOW: parley_flow_sink_v1;
        }
        impl<P: Plugin> Sinks for P {
            const HTTP: parley_event_sink_v1 = of(on_http::<P>);
            const STREAM: parley_event_sink_v1 = of(on_stream::<P>);
            const TIMER: parley_event_sink_v1 = of(on_timer::<P>);
            const KV: parley_event_sink_v1 = of(on_kv::<P>);
            const WS: parley_event_sink_v1 = of(on_ws::<P>);
            const INBOUND: parley_event_sink_v1 = of(on_inbound::<P>);
            const ACK: parley_ack_sink_v1 =
                parley_ack_sink_v1 { struct_size: 16, reserved0: 0, on_ack: on_ack::<P> };
            const FLOW: parley_flow_sink_v1 =
                parley_flow_sink_v1 { struct_size: 16, reserved0: 0, on_resume: on_resume::<P> };
        }
        let (http, stream): (&'static _, &'static _) = (&P::HTTP, &P::STREAM);
        let (timer, kv, ws): (&'static _, &'static _, &'static _) = (&P::TIMER, &P::KV, &P::WS);
        let inbound: &'static _ = &P::INBOUND;
        let (ack, flow): (&'static _, &'static _) = (&P::ACK, &P::FLOW);
        match id {
            "parley.http-sink/1" => http as *const _ as *const c_void,
            "parley.stream-sink/1" => stream as *const _ as *const c_void,
            "parley.timer-sink/1" => timer as *const _ as *const c_void,
            "parley.kv-sink/1" => kv as *const _ as *const c_void,
            "parley.ws-sink/1" => ws as *const _ as *const c_void,
            "parley.inbound-sink/1" => inbound as *const _ as *const c_void,
            "parley.ack-sink/1" => ack as *const _ as *const c_void,
            "parley.flow-sink/1" => flow as *const _ as *const c_void,
            _ => std::ptr::null(),
        }
    }

    macro_rules! role_tables {
        ($($function:ident $role:ident $table:ident $id:literal
           [$($must:ident)*] [$($may:ident $offered:ident)*];)*) => {
            $(
                /// The role's table, for its id.
                pub fn $function<P: $role>(id: &str) -> *const c_void {
                    trait Table { const TABLE: $table; }
                    $(unsafe extern "C" fn $must<P: $role>(
                        this: *mut c_void, call: parley_id, timeout_ms: u32,
                        request: *const c_char, size: usize,
                    ) -> parley_status {
                        verb::<P>(this, call, timeout_ms, request, size, P::$must)
                    })*
                    $(unsafe extern "C" fn $may<P: $role>(
                        this: *mut c_void, call: parley_id, timeout_ms: u32,
                        request: *const c_char, size: usize,
                    ) -> parley_status {
                        verb::<P>(this, call, timeout_ms, request, size, P::$may)
                    })*
                    impl<P: $role> Table for P {
                        const TABLE: $table = $table {
                            struct_size: std::mem::size_of::<$table>() as u32,
                            reserved0: 0,
                            $($must: Some($must::<P>),)*
                            $($may: if P::$offered { Some($may::<P>) } else { None },)*
                        };
                    }
                    let table: &'static $table = &P::TABLE;
                    if id == $id { table as *const $table as *const c_void } else { std::ptr::null() }
                }
            )*
        };
    }
    role_tables! {
        channel Channel parley_channel_v1 "parley.channel/1" [run send] [edit EDIT typing TYPING draft DRAFT];
        provider Provider parley_provider_v1 "parley.provider/1"
            [generate] [list_models LIST_MODELS count_tokens COUNT_TOKENS embed EMBED];
        skill Skill parley_skill_v1 "parley.skill/1"
            [invoke] [reconcile RECONCILE preview PREVIEW list_dynamic LIST_DYNAMIC];
        hook Hook parley_hook_v1 "parley.hook/1" [on_event] [];
    }

    /// The text of an id that the host asks for.
    pub unsafe fn id_text<'a>(id: *const c_char) -> &'a str {
        if id.is_null() {
            return "";
        }
        std::ffi::CStr::from_ptr(id).to_str().unwrap_or("")
    }
}

/// Makes the one exported symbol, `parley_plugin_v1`, and the manifest's note. Put it once, in the
/// crate's root: the plugin's type, the manifest's path beside this file, and the roles that the
/// type has: channel, provider, skill, hook.
#[macro_export]
macro_rules! plugin {
    ($Plugin:ty, $manifest:literal, $($role:ident),+ $(,)?) => {
        const PARLEY_MANIFEST_SIZE: usize = include_bytes!($manifest).len();

        #[used]
        #[link_section = ".note.parley.manifest"]
        static PARLEY_NOTE: parley::line::Note<PARLEY_MANIFEST_SIZE> =
            parley::line::Note::new(*include_bytes!($manifest));

        unsafe extern "C" fn parley_get_interface(
            _this: *mut std::ffi::c_void,
            id: *const std::os::raw::c_char,
        ) -> *const std::ffi::c_void {
            let id = parley::line::id_text(id);
            $(
                let table = parley::line::$role::<$Plugin>(id);
                if !table.is_null() {
                    return table;
                }
            )+
            parley::line::sink::<$Plugin>(id)
        }

        #[no_mangle]
        #[allow(non_upper_case_globals)]
        pub static parley_plugin_v1: parley::abi::parley_entry = parley::abi::parley_entry {
            struct_size: std::mem::size_of::<parley::abi::parley_entry>() as u32,
            abi_major: parley::abi::PARLEY_ABI_MAJOR,
            abi_minor: parley::abi::PARLEY_ABI_MINOR,
            manifest: &PARLEY_NOTE.manifest as *const _ as *const std::ffi::c_void,
            manifest_size: PARLEY_MANIFEST_SIZE,
            create: parley::line::create::<$Plugin>,
            destroy: parley::line::destroy::<$Plugin>,
            get_interface: parley_get_interface,
            cancel: parley::line::cancel::<$Plugin>,
        };
    };
}
