//! Keys of a load: numbers from 0 up, each as likely as any other, or the low ones far likelier.

use super::Random;

/// How likely each key is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum KeyDistribution {
    /// All the same.
    Uniform,
    /// Key `k` in proportion to `1 / (k + 1)^exponent`; the exponent is positive.
    Zipfian {
        /// 0.99 is what key-value benchmarks use; above 1 the first key dwarfs the rest.
        exponent: f64,
    },
}

/// Draws keys.
#[derive(Clone, Debug)]
pub struct Keys {
    count: u64,
    zipf: Option<Zipf>,
}

impl Keys {
    /// Keys `0..count`, of which there is at least one.
    pub fn new(count: u64, distribution: KeyDistribution) -> Keys {
        assert!(count > 0);
        let zipf = match distribution {
            KeyDistribution::Uniform => None,
            KeyDistribution::Zipfian { exponent } => Some(Zipf::new(count, exponent)),
        };
        Keys { count, zipf }
    }

    /// The next key.
    pub fn draw(&self, random: &mut Random) -> u64 {
        match &self.zipf {
            None => random.below(self.count),
            Some(zipf) => zipf.draw(random) - 1,
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Rejection-inversion after Hörmann and Derflinger (1996): a rank is found in constant time and
/// memory whatever the number of keys, in 1.1 attempts on the average.
#[derive(Clone, Debug)]
struct Zipf {
    count: f64,
    exponent: f64,
    /// Integral of the hat up to the middle of the first rank, less the weight of it.
    integral_first: f64,
    /// Integral of the hat up to behind the last rank.
    integral_last: f64,
    /// Ranks nearer than this to the inverse are accepted without a look at the hat.
    near: f64,
}

impl Zipf {
    fn new(count: u64, exponent: f64) -> Zipf {
        assert!(exponent > 0.0);
        let count = count as f64;
        let near = 2.0 - inverse(integral(2.5, exponent) - hat(2.0, exponent), exponent);
        Zipf {
            count,
            exponent,
            integral_first: integral(1.5, exponent) - 1.0,
            integral_last: integral(count + 0.5, exponent),
            near,
        }
    }

    /// A rank from 1 to `count`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1..=count, which was a u64"
    )]
    fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let share = random.fraction();
            let area = self.integral_last + share * (self.integral_first - self.integral_last);
            let x = inverse(area, self.exponent);
            let rank = x.round().clamp(1.0, self.count);
            let accepted = rank - x <= self.near
                || area >= integral(rank + 0.5, self.exponent) - hat(rank, self.exponent);
            if accepted {
                return rank as u64;
            }
        }
    }
}

/// The weight of rank `x`.
fn hat(x: f64, exponent: f64) -> f64 {
    (-exponent * x.ln()).exp()
}

/// An integral of [`hat`], `(x^(1 - exponent) - 1) / (1 - exponent)`, and `ln x` at exponent 1.
fn integral(x: f64, exponent: f64) -> f64 {
    let log = x.ln();
    over_argument(f64::exp_m1, (1.0 - exponent) * log) * log
}

/// Where [`integral`] has this value.
fn inverse(area: f64, exponent: f64) -> f64 {
    let t = (area * (1.0 - exponent)).max(-1.0);
    (over_argument(f64::ln_1p, t) * area).exp()
}

/// `f(x) / x` for `exp(x) - 1` and `ln(1 + x)`, whose limit at zero is 1.
fn over_argument(f: fn(f64) -> f64, x: f64) -> f64 {
    if x.abs() > 1e-8 { f(x) / x } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 200_000;

    /// Every key's share of many draws is near `expected`, up to four standard deviations.
    #[track_caller]
    fn check(count: u64, distribution: KeyDistribution, weight: impl Fn(f64) -> f64) {
        let keys = Keys::new(count, distribution);
        let size = usize::try_from(count).unwrap();
        let mut found = vec![0_u32; size];
        for number in 0..u64::from(DRAWS) {
            let key = keys.draw(&mut Random::new(11, number));
            found[usize::try_from(key).unwrap()] += 1;
        }
        let weights: Vec<f64> = (1..=size).map(|rank| weight(rank as f64)).collect();
        let sum: f64 = weights.iter().sum();
        for (key, share) in weights.iter().enumerate() {
            let expected = share / sum * f64::from(DRAWS);
            let off = (f64::from(found[key]) - expected).abs();
            assert!(
                off < 4.0 * expected.sqrt() + 1.0,
                "{distribution:?}: key {key} came {} times, expected {expected:.0}",
                found[key]
            );
        }
    }

    #[test]
    fn shares_are_those_of_the_distribution() {
        check(1, KeyDistribution::Uniform, |_| 1.0);
        check(50, KeyDistribution::Uniform, |_| 1.0);
        for exponent in [0.5, 0.99, 1.0, 1.5, 3.0] {
            check(50, KeyDistribution::Zipfian { exponent }, |rank| rank.powf(-exponent));
        }
        check(1, KeyDistribution::Zipfian { exponent: 1.0 }, |_| 1.0);
        check(2, KeyDistribution::Zipfian { exponent: 1.0 }, |rank| 1.0 / rank);
    }

    #[test]
    fn keys_stay_in_range_however_many() {
        for count in [3, 1_000_000_000_000] {
            let keys = Keys::new(count, KeyDistribution::Zipfian { exponent: 0.2 });
            assert_eq!(keys.count(), count);
            for number in 0..10_000 {
                assert!(keys.draw(&mut Random::new(3, number)) < count);
            }
        }
    }
}
