//! Many requests at a time, at a pace, with progress. What is sent is counted for the last line of the demo.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::progress::Progress;
use crate::rig::ask::Ask;
use crate::rig::client::{Answer, Client};

/// Requests that are sent at once.
pub(crate) const CLIENTS: usize = 8;

/// Where requests go, and how many have gone there.
pub(crate) struct Traffic {
    addr: SocketAddr,
    client: Client,
    pub(crate) progress: Progress,
    pub(crate) sent: usize,
    pub(crate) failed: usize,
}

impl Traffic {
    pub(crate) fn to(addr: SocketAddr) -> Self {
        Self { addr, client: Client::new(), progress: Progress::new(), sent: 0, failed: 0 }
    }

    /// One request; an answer other than 200 is an error.
    pub(crate) async fn one(&mut self, ask: Ask) -> Result<Answer, String> {
        let answer = self.client.send(self.addr, ask).await;
        self.count(&answer);
        let answer = answer?;
        match answer.status {
            200 => Ok(answer),
            status => Err(format!("a request was answered with {status}: {}", answer.text())),
        }
    }

    /// So many requests, [`CLIENTS`] at a time; each client waits for `gap` before its next.
    pub(crate) async fn many(
        &mut self,
        what: &str,
        requests: usize,
        gap: Duration,
        ask: &Ask,
    ) -> Vec<Result<Answer, String>> {
        self.progress.begin(&format!("{what}: {requests} requests, {CLIENTS} at a time"));
        let (mut clients, mut incoming) = self.clients(requests, gap, ask);
        let (mut answers, mut failed) = (Vec::with_capacity(requests), 0);
        while let Some(answer) = incoming.recv().await {
            failed += usize::from(!self.count(&answer));
            answers.push(answer);
            self.progress.done(what, answers.len(), requests, failed);
        }
        while clients.join_next().await.is_some() {}
        self.progress.end();
        answers
    }

    fn clients(
        &self,
        requests: usize,
        gap: Duration,
        ask: &Ask,
    ) -> (JoinSet<()>, mpsc::UnboundedReceiver<Result<Answer, String>>) {
        #[allow(clippy::disallowed_methods)] // Bounded by `requests`.
        let (answered, answers) = mpsc::unbounded_channel();
        let (begun, mut clients) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for _ in 0..CLIENTS {
            let (client, addr, ask) = (self.client.clone(), self.addr, ask.clone());
            let (begun, answered) = (Arc::clone(&begun), answered.clone());
            clients.spawn(async move {
                while begun.fetch_add(1, Ordering::SeqCst) < requests {
                    // Nobody listens any more when the demo is being stopped.
                    let _ = answered.send(client.send(addr, ask.clone()).await);
                    tokio::time::sleep(gap).await;
                }
            });
        }
        (clients, answers)
    }

    /// Counts an answer; whether the client got what it wanted.
    fn count(&mut self, answer: &Result<Answer, String>) -> bool {
        let served = matches!(answer, Ok(answer) if answer.status == 200);
        self.sent += 1;
        self.failed += usize::from(!served);
        served
    }
}
