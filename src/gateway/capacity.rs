//! Capacity: how much the router holds at once, and refuses to exceed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bounds, and how much of them is used.
#[derive(Debug)]
pub struct Capacity {
    /// The longest request body in bytes.
    pub max_body_bytes: usize,
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// One request in flight; gives its place back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Capacity>);

/// The bytes of request bodies that one stream holds; gives them back when dropped.
#[derive(Debug)]
pub struct Held {
    capacity: Arc<Capacity>,
    bytes: AtomicUsize,
}

impl Capacity {
    /// Bounds: of one body in bytes, of requests in flight, of bytes of bodies held at once.
    #[must_use]
    pub fn new(max_body_bytes: usize, max_requests: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_body_bytes, max_requests, max_bytes, requests: 0.into(), bytes: 0.into() })
    }

    /// Returns a place for one more request, unless there is none or the bodies at hand use up their share already.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        if self.bytes.load(Ordering::Relaxed) >= self.max_bytes {
            return None;
        }
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        (before < self.max_requests).then_some(place)
    }

    /// Requests in flight.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of bodies held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns an account for the bytes of one stream.
    #[must_use]
    pub fn account(self: &Arc<Self>) -> Arc<Held> {
        Arc::new(Held { capacity: Arc::clone(self), bytes: 0.into() })
    }
}

impl Held {
    /// Takes note of more bytes; false if that is more than the router may hold.
    #[must_use]
    pub fn grow(&self, bytes: usize) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.capacity.bytes.fetch_add(bytes, Ordering::Relaxed);
        before.saturating_add(bytes) <= self.capacity.max_bytes
    }

    /// The bytes have been passed on.
    pub fn release(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        // All threads share that counter.
        if bytes > 0 {
            self.capacity.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_flight_are_bounded() {
        let capacity = Capacity::new(10, 2, 100);
        let (first, second) = (capacity.enter(), capacity.enter());
        assert!(first.is_some() && second.is_some() && capacity.enter().is_none());
        drop(first);
        assert!(capacity.enter().is_some(), "a place that was given back, and none lost by the refusal");
    }

    #[test]
    fn bytes_held_are_bounded() {
        let capacity = Capacity::new(10, 2, 100);
        let (one, other) = (capacity.account(), capacity.account());
        assert!(one.grow(60) && other.grow(40) && !other.grow(1));
        assert!(capacity.enter().is_none());
        drop(other);
        assert!(capacity.enter().is_some());
        one.release();
        assert!(one.grow(100));
    }
}
