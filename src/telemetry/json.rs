//! A line of the log as JSON, in the shape that `tracing-subscriber` gives it.
//!
//! Its own formatter makes a line out of a hundred small writes, each checked to be text: an eighth of what the router
//! did for a request (`make bench-leaves`, "a line of the log"). Spans are omitted: the router creates none.

use std::error::Error;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A line as a decision has it; a longer one makes room.
const LINE_BYTES: usize = 640;

/// The prefix of fields in which libraries that use the crate `log` report the source location.
const OF_LOG: &str = "log.";

/// Formats events as JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::with_capacity(LINE_BYTES);
        line.push_str(r#"{"timestamp":""#);
        SystemTime.format_time(&mut Writer::new(&mut line))?;
        line.push_str(r#"","level":""#);
        line.push_str(event.metadata().level().as_str());
        line.push_str(r#"","fields":{"#);
        let mut fields = Fields { line: &mut line, any: false, target: None };
        event.record(&mut fields);
        let target = fields.target;
        line.push_str(r#"},"target":"#);
        push_text(&mut line, target.as_deref().unwrap_or(event.metadata().target()));
        line.push_str("}\n");
        writer.write_str(&line)
    }
}

/// Fields on their way into a line.
struct Fields<'l> {
    line: &'l mut String,
    any: bool,
    /// The source location of a library that uses the crate `log`.
    target: Option<String>,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        if std::mem::replace(&mut self.any, true) {
            self.line.push(',');
        }
        push_text(self.line, field.name());
        self.line.push(':');
    }

    fn push(&mut self, field: &Field, value: impl fmt::Display) {
        if !field.name().starts_with(OF_LOG) {
            self.name(field);
            // Into a string.
            let _ = write!(self.line, "{value}");
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.push(field, value);
        } else {
            self.push(field, "null");
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => self.target = Some(value.to_owned()),
            name if name.starts_with(OF_LOG) => {}
            _ => {
                self.name(field);
                push_text(self.line, value);
            }
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_str(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Appends a text in quotes.
fn push_text(line: &mut String, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        // A text is always JSON.
        line.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::{error, info};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines that this writes, without their times.
    fn lines(tell: impl Fn(), theirs: bool) -> Vec<Value> {
        let out = Written::default();
        let make = {
            let out = out.clone();
            move || out.clone()
        };
        let builder = tracing_subscriber::fmt().with_writer(make);
        if theirs {
            tracing::subscriber::with_default(builder.json().finish(), tell);
        } else {
            tracing::subscriber::with_default(builder.event_format(Json).finish(), tell);
        }
        let text = String::from_utf8(out.0.lock().expect("unpoisoned").clone()).expect("text");
        let read = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let time = line["timestamp"].take();
            assert!(time.as_str().is_some_and(|time| time.len() == 27 && time.ends_with('Z')), "{time}");
            line
        };
        text.split_terminator('\n').map(read).collect()
    }

    #[test]
    fn a_line_says_what_the_librarys_own_would() {
        let tell = || {
            let (none, some): (Option<&str>, _) = (None, Some("s"));
            info!(none, some, n = 7_u64, below = -7, on = true, share = 0.25, odd = f64::NAN, "plain");
            let text = "quote \" backslash \\ line\nend \u{0}\u{1f}\u{7f} \u{e4}\u{1f600} \u{2028}";
            info!(text, debug = ?text, display = %text, "with {text}");
            error!(error = &io::Error::other("broken \"pipe\"") as &(dyn Error + 'static), "an error");
            info!(target: "else\"where", { "a \"name\"" = 1 }, "named");
            info!(big = u64::MAX, small = i64::MIN, fraction = 1e300, "numbers");
        };
        let (ours, theirs) = (lines(tell, false), lines(tell, true));
        assert_eq!((ours.len(), &ours), (5, &theirs));
        assert_eq!(
            ours[0]["fields"],
            json!({
                "message": "plain", "some": "s", "n": 7, "below": -7, "on": true, "share": 0.25, "odd": null,
            })
        );
    }

    #[test]
    fn a_library_that_writes_to_log_is_named() {
        let tell = || {
            let place = "rustls::conn";
            info!(target: "log", { log.target = place, log.line = 7, log.module_path = "m" }, "said");
        };
        assert_eq!(
            lines(tell, false),
            [json!({
                "timestamp": null, "level": "INFO", "fields": { "message": "said" }, "target": "rustls::conn",
            })]
        );
    }
}
