//! The exporter: a task that takes ended attempts from the queue and sends them to a collector.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use opentelemetry_otlp::SpanExporter as Client;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::warn;

use super::span::Spans;
use super::{Ended, MAX_WAITING};
use crate::telemetry::metrics;

/// Spans in one message.
const BATCH: usize = 512;
/// The time for which a span waits for others: meanwhile the queue holds the spans of 40 000 attempts a second.
const PAUSE: Duration = Duration::from_millis(200);

/// The time after which a response that nobody reads will not be read any more.
const UNREAD: Duration = Duration::from_secs(5);
/// The longest time for which a span waits for its response's end.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often those are looked at that wait for their responses' ends.
const LOOK: Duration = Duration::from_millis(500);

/// The queue's other end.
#[derive(Debug)]
pub struct Export {
    waiting: mpsc::Receiver<Ended>,
    counted: metrics::Spans,
}

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Export {
    pub(super) fn new(waiting: mpsc::Receiver<Ended>, counted: metrics::Spans) -> Self {
        Self { waiting, counted }
    }

    /// Starts to send to a collector. If it is away, its spans are lost and counted, and nothing else happens.
    #[must_use]
    pub fn to(self, collector: Client) -> Exporter {
        let (stop, stopped) = oneshot::channel();
        Exporter { stop, task: tokio::spawn(self.run(collector, stopped)) }
    }

    async fn run(mut self, collector: Client, stopped: oneshot::Receiver<()>) {
        let (mut spans, mut ended) = (Spans::default(), Vec::with_capacity(BATCH));
        let mut reading: VecDeque<Ended> = VecDeque::new();
        let mut stopped = std::pin::pin!(stopped);
        let mut is_away = false;
        loop {
            tokio::select! {
                _ = &mut stopped, if !self.waiting.is_closed() => self.waiting.close(),
                count = self.waiting.recv_many(&mut ended, BATCH) => if count == 0 && reading.is_empty() { return },
                () = tokio::time::sleep(LOOK), if !reading.is_empty() => {}
            }
            if ended.len() < BATCH && !self.waiting.is_closed() {
                // One wake-up for all that come meanwhile, not one for each.
                tokio::select! {
                    _ = &mut stopped => self.waiting.close(),
                    () = tokio::time::sleep(PAUSE) => {}
                }
                while ended.len() < BATCH
                    && let Ok(next) = self.waiting.try_recv()
                {
                    ended.push(next);
                }
            }
            let is_over = self.waiting.is_closed();
            select(&mut reading, &mut ended, is_over, SystemTime::now());
            let batch: Vec<_> = ended.drain(..).map(|ended| spans.of(&ended)).collect();
            if batch.is_empty() {
                continue;
            }
            let count = batch.len() as u64;
            match collector.export(batch).await {
                Ok(()) => {
                    self.counted.exported(count);
                    is_away = false;
                }
                Err(error) => {
                    self.counted.failed(count);
                    // Once for each time that it goes away.
                    if !std::mem::replace(&mut is_away, true) {
                        warn!(problem = %error, "spans could not be sent");
                    }
                }
            }
        }
    }
}

/// Moves those whose responses are still being read from `ended` to `reading`, and those that need not wait any more back.
fn select(reading: &mut VecDeque<Ended>, ended: &mut Vec<Ended>, is_over: bool, now: SystemTime) {
    reading.extend(ended.extract_if(.., |ended| ended.awaits_usage));
    let excess = reading.len().saturating_sub(MAX_WAITING);
    let mut index = 0;
    let mut is_due = |one: &Ended| {
        index += 1;
        index <= excess || is_over || !waits(one, now)
    };
    let (due, waiting): (VecDeque<_>, VecDeque<_>) = std::mem::take(reading).into_iter().partition(|one| is_due(one));
    *reading = waiting;
    ended.extend(due);
}

/// Returns whether an attempt's usage is not known yet, and will be.
fn waits(ended: &Ended, now: SystemTime) -> bool {
    let age = now.duration_since(ended.decision.at + ended.took).unwrap_or_default();
    let limit = if ended.decision.observed.load(Ordering::Relaxed) { LONGEST } else { UNREAD };
    ended.decision.used.get().is_none() && age < limit
}

impl Exporter {
    /// Sends the remaining spans, within this time.
    pub async fn stop(self, within: Duration) {
        let _ = self.stop.send(());
        // What is late is lost, and a router that stops must stop.
        let _ = tokio::time::timeout(within, self.task).await;
    }
}
