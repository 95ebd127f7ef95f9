//! Random numbers of one event: a function of the stream's seed and the event's number.
//!
//! The generator is wyrand, one multiplication per number. Its beginning is mixed, so that events
//! with neighbouring numbers have nothing in common.

/// What the state moves on by.
const STEP: u64 = 0xa076_1d64_78bd_642f;

/// Folded into the state of each number.
const FOLD: u64 = 0xe703_7ed1_a0b4_28db;

/// Distance of the beginnings of two events.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers of one event.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of event `number` in the stream with this seed.
    pub fn new(seed: u64, number: u64) -> Random {
        // The finalizer of splitmix64, over both.
        let mut state = mixed(seed).wrapping_add(number.wrapping_mul(GOLDEN));
        state = mixed(state);
        Random(state)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let product = u128::from(self.0) * u128::from(self.0 ^ FOLD);
        let [low, high] = halves(product);
        low ^ high
    }

    /// A number below `bound`, which is positive.
    pub fn below(&mut self, bound: u64) -> u64 {
        scaled(self.bits(), bound)
    }

    /// A number from 0 to `bound - 1`; 0 when `bound` is not positive.
    pub fn below_signed(&mut self, bound: i64) -> i64 {
        let below = self.below(u64::try_from(bound).unwrap_or(1).max(1));
        i64::try_from(below).expect("it is below a positive number of the type")
    }

    /// At least 0 and below 1.
    pub fn fraction(&mut self) -> f64 {
        // 53 bits: all that a double keeps.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `bits` as a part of their range, times `bound`.
fn scaled(bits: u64, bound: u64) -> u64 {
    let [_, high] = halves(u128::from(bits) * u128::from(bound));
    high
}

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Low and high half.
fn halves(wide: u128) -> [u64; 2] {
    let low = u64::try_from(wide & u128::from(u64::MAX)).expect("masked to 64 bits");
    let high = u64::try_from(wide >> 64).expect("64 bits are left");
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_own_numbers() {
        let numbers = |seed, number| {
            let mut random = Random::new(seed, number);
            [random.bits(), random.bits()]
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        for other in [numbers(1, 3), numbers(2, 2), numbers(0, 0)] {
            assert_ne!(numbers(1, 2), other);
        }
    }

    #[test]
    fn numbers_are_spread_evenly_over_events_and_within_one() {
        let mut counts = [0_u32; 10];
        let mut sum = 0.0;
        for event in 0..10_000 {
            let mut random = Random::new(7, event);
            for _ in 0..10 {
                counts[usize::try_from(random.below(10)).unwrap()] += 1;
                sum += random.fraction();
            }
        }
        assert!(counts.iter().all(|count| (9_700..10_300).contains(count)), "{counts:?}");
        assert!((0.495..0.505).contains(&(sum / 100_000.0)), "{sum}");
    }

    #[test]
    fn bounds_hold_at_both_ends() {
        let mut random = Random::new(0, 0);
        assert_eq!(random.below(1), 0);
        assert_eq!([random.below_signed(0), random.below_signed(-5)], [0, 0]);
        assert_eq!(scaled(u64::MAX, u64::MAX), u64::MAX - 1);
        assert_eq!(scaled(0, 9), 0);
    }
}
