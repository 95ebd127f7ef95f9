//! How many notes there may be: some at once, and some a second. Without a lock: one number says when
//! all that have been admitted would have been paid for.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one note costs, ns.
const INTERVAL_NS: u64 = 100_000_000;

/// Notes at once.
const BURST: u64 = 100;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct RateLimit {
    /// Monotonic ns.
    paid_until_ns: AtomicU64,
    left_out: AtomicU64,
}

impl RateLimit {
    /// Whether a note at `now_ns` is admitted; then also how many were not, since the last that was.
    pub(super) fn admit(&self, now_ns: u64) -> Option<u64> {
        let pay = |paid_until_ns: u64| {
            let until_ns = paid_until_ns.max(now_ns).saturating_add(INTERVAL_NS);
            (until_ns - now_ns <= INTERVAL_NS * BURST).then_some(until_ns)
        };
        match self.paid_until_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay) {
            Ok(_) => Some(self.left_out.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let limit = RateLimit::default();
        let now_ns = 5_000_000_000;
        let admitted = (0..1_000).filter(|_| limit.admit(now_ns).is_some()).count();
        assert_eq!(admitted as u64, BURST);
        assert_eq!(limit.admit(now_ns + INTERVAL_NS - 1), None);
        assert_eq!(limit.admit(now_ns + INTERVAL_NS), Some(901));
        assert_eq!(limit.admit(now_ns + INTERVAL_NS), None);
        assert_eq!(limit.admit(now_ns + 3 * INTERVAL_NS), Some(1));
    }
}
