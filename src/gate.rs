//! A gate: open, or closed until an instant and then opened by the success of exactly one probe.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether something may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Open.
    Ready,
    /// The suspension is over and the next request decides whether it ends.
    ProbeDue,
    /// A request is deciding it; others stay away until it has, at the latest until this instant.
    Probing(Instant),
    /// Not chosen until this instant.
    Suspended(Instant),
}

impl Availability {
    /// Returns whether a request may be sent.
    #[must_use]
    pub fn is_available(self) -> bool {
        matches!(self, Self::Ready | Self::ProbeDue)
    }

    /// In words: why a request that came now was sent elsewhere.
    #[must_use]
    pub fn describe(self, now: Instant) -> String {
        match self {
            Self::Suspended(until) => format!("suspended for {} s", until.saturating_duration_since(now).as_secs() + 1),
            Self::Probing(_) => "being probed".into(),
            Self::Ready | Self::ProbeDue => "taken by another request".into(),
        }
    }

    /// Returns the worse of two: who is kept out by both is kept out for longer.
    #[must_use]
    pub(crate) fn or_worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(self) -> (u8, Option<Instant>) {
        match self {
            Self::Ready => (0, None),
            Self::ProbeDue => (1, None),
            Self::Probing(until) | Self::Suspended(until) => (2, Some(until)),
        }
    }
}

/// The right to send one request. It remembers the gate's epoch, so that an answer to a request from before a
/// suspension neither ends nor lengthens it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    epoch: u64,
    probe: Option<u64>,
}

impl Pass {
    /// The right of a request that a closed gate does not concern: its answer neither opens nor closes it.
    pub(crate) const BYSTANDER: Self = Self { epoch: u64::MAX, probe: None };

    pub(crate) fn is_probe(self) -> bool {
        self.probe.is_some()
    }
}

/// The time for which the gate closes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SuspensionLength {
    /// As long as the answer asked for.
    Asked(Duration),
    /// This long, and twice as long each time that a probe fails, up to [`BACK_OFF_CAP`].
    Growing(Duration),
}

/// No failing probe lets a suspension grow beyond this.
const BACK_OFF_CAP: Duration = Duration::from_secs(300);

impl SuspensionLength {
    /// After this many failed probes.
    fn duration(self, level: u32) -> Duration {
        match self {
            Self::Asked(duration) => duration,
            Self::Growing(base) => {
                let grown = base.saturating_mul(2_u32.saturating_pow(level));
                grown.min(BACK_OFF_CAP.max(base))
            }
        }
    }
}

/// When a failure closes the gate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trigger {
    /// This one does.
    AtOnce,
    /// The number of failures in a row that close it.
    InARow(NonZeroU32),
}

#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Mirrors `suspension.is_some()`, so that looking at an open gate takes no lock.
    closed: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Grows with every closing and opening.
    epoch: u64,
    failures_in_a_row: u32,
    /// The number of probes in a row that failed.
    level: u32,
    suspension: Option<Suspension>,
    probes_started: u64,
}

#[derive(Debug)]
struct Suspension {
    until: Instant,
    probe: Option<Probe>,
}

/// A lease: freed by the probe's result, by the end of its stream, or by the deadline.
#[derive(Debug)]
struct Probe {
    number: u64,
    deadline: Instant,
}

impl Gate {
    pub(crate) fn availability(&self, now: Instant) -> Availability {
        if self.is_open() {
            return Availability::Ready;
        }
        self.lock().availability(now)
    }

    /// Lets one request in; when a probe is due it is the probe, and has `lease` to say how it went.
    pub(crate) fn enter(&self, now: Instant, lease: Duration) -> Result<Pass, Availability> {
        let mut inner = self.lock();
        match inner.availability(now) {
            Availability::Ready => Ok(Pass { epoch: inner.epoch, probe: None }),
            Availability::ProbeDue => {
                let number = inner.start_probe(now + lease);
                Ok(Pass { epoch: inner.epoch, probe: Some(number) })
            }
            closed => Err(closed),
        }
    }

    /// Lets a request in that has nowhere else to go. It is the probe, before its time, unless there is one already.
    pub(crate) fn enter_closed(&self, now: Instant, lease: Duration) -> Pass {
        let mut inner = self.lock();
        let epoch = inner.epoch;
        if matches!(inner.availability(now), Availability::Ready | Availability::Probing(_)) {
            return Pass { epoch, probe: None };
        }
        Pass { epoch, probe: Some(inner.start_probe(now + lease)) }
    }

    /// Records that the request was served: failures are no longer in a row, and a probe opens the gate. Returns
    /// whether it did.
    pub(crate) fn served(&self, pass: Pass) -> bool {
        let mut inner = self.lock();
        if pass.epoch != inner.epoch {
            return false;
        }
        inner.failures_in_a_row = 0;
        let opens = inner.is_probing(pass);
        if opens {
            inner.suspension = None;
            inner.level = 0;
            inner.epoch += 1;
            self.closed.store(false, Ordering::Release);
        }
        opens
    }

    /// Returns the request failed. Gives how long the gate is closed for it, if this closed it.
    pub(crate) fn failed(
        &self,
        pass: Pass,
        trigger: Trigger,
        length: SuspensionLength,
        now: Instant,
    ) -> Option<Duration> {
        let mut inner = self.lock();
        if pass.epoch != inner.epoch {
            return None;
        }
        inner.failures_in_a_row = inner.failures_in_a_row.saturating_add(1);
        let probed = inner.is_probing(pass);
        let enough = match trigger {
            Trigger::AtOnce => true,
            Trigger::InARow(limit) => inner.failures_in_a_row >= limit.get(),
        };
        (enough || probed).then(|| {
            inner.level = if probed { inner.level.saturating_add(1) } else { 0 };
            let duration = length.duration(inner.level);
            inner.suspension = Some(Suspension { until: now + duration, probe: None });
            inner.failures_in_a_row = 0;
            inner.epoch += 1;
            self.closed.store(true, Ordering::Release);
            duration
        })
    }

    /// Returns whether the gate is open, without a lock.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Closes the gate for a duration, from any state.
    pub(crate) fn close(&self, duration: Duration, now: Instant) {
        let mut inner = self.lock();
        inner.suspension = Some(Suspension { until: now + duration, probe: None });
        inner.failures_in_a_row = 0;
        inner.epoch += 1;
        self.closed.store(true, Ordering::Release);
    }

    /// Stands, from open, as another one does.
    pub(crate) fn assume(&self, availability: Availability, now: Instant) {
        match availability {
            Availability::Ready => {}
            Availability::Suspended(until) => self.close(until.saturating_duration_since(now), now),
            Availability::ProbeDue => self.close(Duration::ZERO, now),
            Availability::Probing(until) => {
                self.close(Duration::ZERO, now);
                // The probe belongs to another router's state: its result is not reported here.
                let _ = self.enter(now, until.saturating_duration_since(now));
            }
        }
    }

    /// Opens the gate, whatever closed it. Whether it was closed.
    pub(crate) fn open(&self) -> bool {
        let mut inner = self.lock();
        inner.failures_in_a_row = 0;
        inner.level = 0;
        inner.epoch += 1;
        self.closed.store(false, Ordering::Release);
        inner.suspension.take().is_some()
    }

    /// Closes the gate again if the request was its probe; says nothing otherwise.
    pub(crate) fn probe_failed(&self, pass: Pass, length: SuspensionLength, now: Instant) -> Option<Duration> {
        if pass.is_probe() { self.failed(pass, Trigger::AtOnce, length, now) } else { None }
    }

    /// Frees the probe that the request may still hold: the next request probes.
    pub(crate) fn release(&self, pass: Pass) {
        if !pass.is_probe() {
            return;
        }
        let mut inner = self.lock();
        if inner.is_probing(pass)
            && let Some(suspension) = &mut inner.suspension
        {
            suspension.probe = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while a gate is held")
    }
}

impl Inner {
    fn availability(&self, now: Instant) -> Availability {
        match &self.suspension {
            None => Availability::Ready,
            Some(Suspension { probe: Some(probe), .. }) if now < probe.deadline => {
                Availability::Probing(probe.deadline)
            }
            Some(suspension) if now < suspension.until => Availability::Suspended(suspension.until),
            Some(_) => Availability::ProbeDue,
        }
    }

    fn start_probe(&mut self, deadline: Instant) -> u64 {
        self.probes_started += 1;
        let number = self.probes_started;
        if let Some(suspension) = &mut self.suspension {
            suspension.probe = Some(Probe { number, deadline });
        }
        number
    }

    fn is_probing(&self, pass: Pass) -> bool {
        let probe = self.suspension.as_ref().and_then(|suspension| suspension.probe.as_ref());
        pass.probe.is_some() && pass.probe == probe.map(|probe| probe.number)
    }
}
