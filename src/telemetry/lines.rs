//! Log lines on their way to standard error: a dedicated thread writes them, many at a time.
//!
//! A reader that stalls or goes away must not hold up a request: beyond a bound lines are dropped, and counted in a
//! line when there is room again. The thread is woken once for all that comes within [`PAUSE`], not for each line.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait to be written.
const MAX_WAITING: usize = 8 << 20;

/// The time for which lines are gathered while more arrive. The last ones do not wait.
const PAUSE: Duration = Duration::from_millis(100);

/// The time limit for writing the last lines when the service stops.
const LAST: Duration = Duration::from_secs(1);

/// A log sink that never blocks. Each `write` must contain only complete lines.
#[derive(Clone, Debug)]
pub struct Lines(Arc<Shared>);

/// Waits, when it is dropped, until what was put is written, or a second has passed.
#[derive(Debug)]
pub struct LastLines {
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something is waiting, or nothing more will arrive.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    ended: bool,
}

impl Lines {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<(Self, LastLines)> {
        let shared = Arc::<Shared>::default();
        let (tell, ended) = mpsc::sync_channel(1);
        let writer = Arc::clone(&shared);
        thread::Builder::new().name("log".into()).spawn(move || writer.write_all_to(out, &tell))?;
        Ok((Self(Arc::clone(&shared)), LastLines { shared, ended }))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while the lines are held")
    }

    fn write_all_to(&self, mut out: impl Write, tell: &SyncSender<()>) {
        let mut text = Vec::new();
        loop {
            let waits = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.ended;
            let mut waiting = self.changed.wait_while(self.lock(), waits).expect("no panic while the lines are held");
            text.clear();
            std::mem::swap(&mut text, &mut waiting.text);
            let (dropped, ended) = (std::mem::take(&mut waiting.dropped), waiting.ended);
            drop(waiting);
            // Nobody reads standard error, so the failure cannot be reported either.
            let _ = out.write_all(&text).and_then(|()| out.flush());
            if dropped > 0 {
                tracing::warn!(lines = dropped, "the log's reader was too slow: lines were dropped");
            }
            if ended && dropped == 0 {
                let _ = tell.send(());
                return;
            }
            let pausing = self.changed.wait_timeout_while(self.lock(), PAUSE, |waiting| !waiting.ended);
            drop(pausing.expect("no panic while the lines are held"));
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.text.len() + lines.len() > MAX_WAITING {
            waiting.dropped += 1;
            return Ok(lines.len());
        }
        let was_empty = waiting.text.is_empty();
        waiting.text.extend_from_slice(lines);
        drop(waiting);
        if was_empty {
            self.0.changed.notify_one();
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        // An error means that it took too long.
        let _ = self.ended.recv_timeout(LAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, once `open` lets it through.
    #[derive(Clone, Default)]
    struct Reader {
        seen: Arc<Mutex<Vec<u8>>>,
        open: Arc<(Mutex<bool>, Condvar)>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (open, changed) = &*self.open;
            drop(changed.wait_while(open.lock().expect("unpoisoned"), |open| !*open).expect("unpoisoned"));
            self.seen.lock().expect("unpoisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Reader {
        fn read(&self) {
            *self.open.0.lock().expect("unpoisoned") = true;
            self.open.1.notify_all();
        }

        fn seen(&self) -> String {
            String::from_utf8(self.seen.lock().expect("unpoisoned").clone()).expect("text")
        }
    }

    #[test]
    fn lines_are_written_in_their_order_the_last_ones_too() {
        let reader = Reader::default();
        reader.read();
        let (lines, last) = Lines::start(reader.clone()).expect("a thread");
        let expected: String = (0..1_000).map(|number| format!("line {number}\n")).collect();
        for line in expected.split_inclusive('\n') {
            (&lines).write_all(line.as_bytes()).expect("taken");
        }
        drop(last);
        assert_eq!(reader.seen(), expected);
    }

    #[test]
    fn a_reader_that_stalls_holds_up_nobody_and_memory_is_bounded() {
        let reader = Reader::default();
        let (lines, last) = Lines::start(reader.clone()).expect("a thread");
        let line = [&[b'x'; 1_023][..], b"\n"].concat();
        for _ in 0..20_000 {
            (&lines).write_all(&line).expect("taken");
        }
        assert!(lines.0.lock().text.len() <= MAX_WAITING);
        reader.read();
        drop(last);
        let seen = reader.seen().len();
        assert!(seen <= 2 * MAX_WAITING && seen.is_multiple_of(line.len()), "whole lines, and some dropped: {seen}");
    }
}
