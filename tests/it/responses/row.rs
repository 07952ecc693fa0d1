//! A row of the table of responses.

use std::fmt;
use std::fs;
use std::io::Write;

use bytes::Bytes;

use crate::rig::script::Script;

/// A response, and what it means.
pub(super) struct Row {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) meaning: Meaning,
    pub(super) source: String,
}

/// What a response means for the request and for the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Served.
    Served,
    /// Served, and the quota is used up.
    ServedLast,
    /// The request's own fault: returned.
    Returned,
    /// Returned, or tried elsewhere with `next_on`.
    TooLong,
    ContentFilter,
    Region,
    /// Tried elsewhere. The endpoint is suspended,
    Endpoint,
    /// the target at once,
    Target,
    Quota,
    /// the target because another one serves the request,
    Failed,
    /// or the operation there.
    Operation,
}

impl Meaning {
    fn named(name: &str) -> Self {
        match name {
            "served" => Self::Served,
            "served_last" => Self::ServedLast,
            "returned" => Self::Returned,
            "too_long" => Self::TooLong,
            "content_filter" => Self::ContentFilter,
            "region" => Self::Region,
            "endpoint" => Self::Endpoint,
            "target" => Self::Target,
            "quota" => Self::Quota,
            "failed" => Self::Failed,
            "operation" => Self::Operation,
            other => panic!("no such meaning: {other}"),
        }
    }

    /// The outcome's label in decisions and metrics.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::ServedLast => "served_last",
            Self::Returned => "request_fault",
            Self::TooLong => "too_long",
            Self::ContentFilter => "content_filter",
            Self::Region => "region",
            Self::Endpoint => "endpoint_fault",
            Self::Target => "absent",
            Self::Quota => "rate_limited",
            Self::Failed => "failed",
            Self::Operation => "unsupported",
        }
    }

    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::Endpoint | Self::Target | Self::Quota | Self::Failed | Self::Operation)
    }

    pub(super) fn is_next_on(self) -> bool {
        matches!(self, Self::TooLong | Self::ContentFilter | Self::Region)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {} ({})", self.status, self.headers, self.body, self.source)
    }
}

/// The rows of a provider type.
pub(super) fn rows(name: &str) -> Vec<Row> {
    let text = fs::read_to_string(format!("tests/responses/{name}.tsv")).expect("a table");
    text.lines().filter(|line| !line.starts_with('#')).map(Row::parse).collect()
}

impl Row {
    fn parse(line: &str) -> Self {
        let [status, headers, body, meaning, source] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("five columns: {line}")
        };
        let header = |text: &str| match text.split_once(": ") {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => ("content-encoding".to_owned(), text.to_owned()),
        };
        Self {
            status: status.parse().expect("a status"),
            headers: headers.split("; ").filter(|text| !text.is_empty()).map(header).collect(),
            body: body.replace("\\n", "\n").replace("\\r", "\r"),
            meaning: Meaning::named(meaning),
            source: source.to_owned(),
        }
    }

    fn content_type(&self) -> &'static str {
        match self.body.as_bytes() {
            [b'{' | b'[', ..] => "application/json",
            [b'd' | b'e' | b':' | b'i' | b'r', ..] => "text/event-stream",
            [b'f', ..] => "application/vnd.amazon.eventstream",
            _ => "text/plain",
        }
    }

    /// Whether it is asked for with requests that want a stream. Errors come to both.
    pub(super) fn streamed(&self) -> &'static [bool] {
        match (self.status, self.content_type(), self.body.starts_with('[')) {
            (200, "application/json", false) => &[false],
            (200, ..) => &[true],
            _ => &[false, true],
        }
    }

    /// The provider's part.
    pub(super) fn script(&self) -> Script {
        let mut headers = self.headers.clone();
        headers.push(("content-type".to_owned(), self.content_type().to_owned()));
        headers.push(("x-provider".to_owned(), "east".to_owned()));
        let body = if self.body.starts_with("frame:") { frames(&self.body) } else { self.body.clone().into_bytes() };
        let coding = self.headers.iter().find(|(name, _)| name == "content-encoding");
        let body = encoded(coding.map_or("", |(_, value)| value), body);
        Script::Raw { status: self.status, headers, body }
    }
}

fn encoded(coding: &str, body: Vec<u8>) -> Bytes {
    let best = flate2::Compression::best();
    match coding {
        "" => body,
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), best);
            encoder.write_all(&body).and_then(|()| encoder.finish()).expect("memory")
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), best);
            encoder.write_all(&body).and_then(|()| encoder.finish()).expect("memory")
        }
        "zstd" => zstd::encode_all(&body[..], 3).expect("memory"),
        "br" => brotli(&body),
        other => panic!("no such coding: {other}"),
    }
    .into()
}

/// Brotli without compression: one block that is stored, and an empty last one. Source: RFC 7932, section 9.
fn brotli(body: &[u8]) -> Vec<u8> {
    let header = (u32::try_from(body.len() - 1).expect("a short body") << 4) | 1 << 20;
    [&header.to_le_bytes()[..3], body, &[3]].concat()
}

/// Frames of AWS's event stream: `frame:event:NAME:PAYLOAD` or `frame:exception:NAME:PAYLOAD`, several in a row.
fn frames(text: &str) -> Vec<u8> {
    text.split("frame:").skip(1).flat_map(frame).collect()
}

fn frame(text: &str) -> Vec<u8> {
    let [kind, name, payload] = text.splitn(3, ':').collect::<Vec<_>>()[..] else { panic!("no frame: {text}") };
    let mut headers = Vec::new();
    for (key, value) in [(":message-type", kind), (&*format!(":{kind}-type"), name)] {
        headers.push(u8::try_from(key.len()).expect("short"));
        headers.extend(key.as_bytes());
        headers.push(7);
        headers.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let length = |length: usize| u32::try_from(length).expect("short").to_be_bytes();
    let prelude = [length(16 + headers.len() + payload.len()), length(headers.len())].concat();
    [&prelude[..], &[0; 4], &headers, payload.as_bytes(), &[0; 4]].concat()
}
