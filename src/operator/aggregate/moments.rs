//! Moments: sums of squared deviations from the mean, by Welford's method, as Flink computes them.

/// Bytes of the moments of a group.
pub(super) const BYTES: usize = 24;

/// What is known of the values so far.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(in crate::operator) struct Moments {
    count: u64,
    mean: f64,
    /// Sum of the squared deviations.
    squares: f64,
}

impl Moments {
    /// With one more value.
    #[must_use]
    pub(super) fn with(self, value: f64) -> Moments {
        let count = self.count + 1;
        let delta = value - self.mean;
        let mean = self.mean + delta / count as f64;
        Moments { count, mean, squares: self.squares + delta * (value - mean) }
    }

    /// Of the values of both.
    #[must_use]
    pub(super) fn merged(self, other: Moments) -> Moments {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        let count = self.count + other.count;
        let (own, others) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        let mean = self.mean + delta * others / count as f64;
        let between = delta * delta * own * others / count as f64;
        Moments { count, mean, squares: self.squares + other.squares + between }
    }

    /// Sum of the squared deviations; `None` of no value.
    pub(super) fn squares(self) -> Option<f64> {
        (self.count > 0).then_some(self.squares)
    }

    pub(super) fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let words = [self.count, self.mean.to_bits(), self.squares.to_bits()];
        for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Moments {
        let word = |index: usize| {
            let part = bytes[index * 8..][..8].try_into().expect("eight bytes");
            u64::from_le_bytes(part)
        };
        let [mean, squares] = [1, 2].map(|index| f64::from_bits(word(index)));
        Moments { count: word(0), mean, squares }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_moments_are_those_of_all_values() {
        let values = [17.0, 19.0, 23.0, -3.0];
        let of = |some: &[f64]| some.iter().fold(Moments::default(), |m, &v| m.with(v));
        // The last bit is Welford's, and Flink's.
        assert_eq!(of(&values).squares(), Some(404.00000000000006));
        for cut in 0..=values.len() {
            let merged = of(&values[..cut]).merged(of(&values[cut..]));
            assert!((merged.squares().unwrap() - 404.0).abs() < 1e-12, "cut at {cut}");
            assert_eq!(Moments::from_bytes(&merged.to_bytes()), merged);
        }
        assert_eq!(Moments::default().squares(), None);
        assert_eq!(of(&[5.0]).squares(), Some(0.0));
        assert!(of(&[1.0, f64::INFINITY]).squares().unwrap().is_nan());
    }
}
