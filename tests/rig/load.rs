//! Many requests at a time, and what came of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ask::Ask;
use super::client::{Answer, Client};

/// Sends `n` requests, `concurrency` at a time, each as soon as one before it is answered. In the order of their
/// numbers.
pub(crate) async fn load(
    addr: SocketAddr,
    n: usize,
    concurrency: usize,
    ask: impl Fn(usize) -> Ask + Send + Sync + 'static,
) -> Vec<Result<Answer, String>> {
    let (client, next, ask) = (Client::new(), Arc::new(AtomicUsize::new(0)), Arc::new(ask));
    let workers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, next, ask) = (client.clone(), Arc::clone(&next), Arc::clone(&ask));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let i = next.fetch_add(1, Ordering::SeqCst);
                    if i >= n {
                        return answers;
                    }
                    answers.push((i, client.send(addr, ask(i)).await));
                }
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(n);
    for worker in workers {
        answers.extend(worker.await.expect("a worker does not panic"));
    }
    answers.sort_by_key(|(i, _)| *i);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// What came of many requests.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) statuses: BTreeMap<u16, usize>,
    pub(crate) models: BTreeMap<String, usize>,
    pub(crate) providers: BTreeMap<String, usize>,
    pub(crate) errors: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts answers by status, by model and by provider, and failures by their text.
    pub(crate) fn of<'a>(answers: impl IntoIterator<Item = &'a Result<Answer, String>>) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            match answer {
                Ok(answer) => tally.add(answer),
                Err(e) => *tally.errors.entry(e.clone()).or_default() += 1,
            }
        }
        tally
    }

    fn add(&mut self, answer: &Answer) {
        *self.statuses.entry(answer.status).or_default() += 1;
        if answer.status == 200 {
            *self.models.entry(answer.model()).or_default() += 1;
            *self.providers.entry(answer.provider().to_owned()).or_default() += 1;
        }
    }
}
