//! A request as it would come over the wire, in HTTP/1.1.

use crate::gateway::exchange::private;

/// More headers than this are refused, as Envoy does.
const MAX_HEADERS: usize = 100;

/// A request whose body is complete.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// Names in lower case with their values, those of method, host and path as HTTP/2 has them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whether there is a body.
    pub has_body: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl RawRequest {
    /// Reads a request: a line, headers, an empty line, the body. Lines may end in LF alone, and the body is what comes
    /// after the empty line, whatever `content-length` says of it.
    ///
    /// # Errors
    /// The mistake, and its correction.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        const EXPECTED: &str =
            "expected a request such as `POST /v1/chat/completions HTTP/1.1`, headers, an empty line and the body";
        let (mut headers, body) = ([httparse::EMPTY_HEADER; MAX_HEADERS], with_line_ends(text));
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(&body) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Err(format!("the headers have no end; {EXPECTED}")),
            Err(error) => return Err(format!("{error}; {EXPECTED}")),
        };
        let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        let mut all = vec![(":method".to_owned(), method.into()), (":path".to_owned(), path.into())];
        for header in request.headers.iter() {
            let name = match header.name.to_ascii_lowercase() {
                name if name == "host" => ":authority".to_owned(),
                name => name,
            };
            // What Envoy's HTTP/1 codec keeps to itself.
            if !matches!(name.as_str(), "connection" | "transfer-encoding" | "content-length") {
                all.push((name, header.value.to_vec()));
            }
        }
        let body = body[head..].to_vec();
        if !body.is_empty() {
            all.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        }
        Ok(Self { headers: all, has_body: !body.is_empty(), body })
    }

    /// Returns the same request in an environment, as Envoy would say it.
    #[must_use]
    pub fn in_environment(mut self, environment: &str) -> Self {
        self.headers.retain(|(name, _)| name != private::ENVIRONMENT);
        self.headers.push((private::ENVIRONMENT.to_owned(), environment.into()));
        self
    }

    /// Method, host and path, without the query, which may hold a credential.
    #[must_use]
    pub fn summary(&self) -> String {
        let value = |wanted: &str| {
            let found = self.headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let (path, host) = (value(":path"), value(":authority"));
        let path = path.split('?').next().unwrap_or_default();
        let host = if host.is_empty() { String::new() } else { format!(", host {host}") };
        format!("{} {path}{host}, {} bytes", value(":method"), self.body.len())
    }
}

/// Returns the head with CRLF for every line end, the body as it is.
fn with_line_ends(text: &[u8]) -> Vec<u8> {
    let ends = ["\r\n\r\n", "\n\n"].map(|end| memchr::memmem::find(text, end.as_bytes()).map(|at| at + end.len()));
    let head = ends.into_iter().flatten().min().unwrap_or(text.len());
    let mut out = Vec::with_capacity(text.len() + MAX_HEADERS);
    for &byte in &text[..head] {
        if byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out.extend_from_slice(&text[head..]);
    out
}
