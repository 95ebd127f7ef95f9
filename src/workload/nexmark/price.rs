//! Prices: spread evenly over six orders of magnitude, 10^(6u) × 100 rounded for an even `u`.
//!
//! The power is made of three factors from tables, one for each eight bits of `u`, and a linear rest:
//! 5 ns instead of 25, and nothing but multiplications and square roots, so that it is the same on
//! every machine.

/// Orders of magnitude.
const DECADES: f64 = 6.0;

/// Factors for each value of eight bits.
type Table = [f64; 256];

/// See the module.
#[derive(Debug)]
pub(super) struct Prices {
    high: Table,
    middle: Table,
    low: Table,
}

impl Prices {
    pub(super) fn new() -> Prices {
        let mut step = 1_000_000.0_f64;
        let mut table = || {
            // Eight square roots: the 256th root.
            (0..8).for_each(|_| step = step.sqrt());
            let mut table = [1.0; 256];
            for index in 1..table.len() {
                table[index] = table[index - 1] * step;
            }
            table
        };
        Prices { high: table(), middle: table(), low: table() }
    }

    /// The price that random bits stand for, from 100 to 100,000,000.
    pub(super) fn price(&self, bits: u64) -> i64 {
        let [high, middle, low, ..] = bits.to_be_bytes().map(usize::from);
        let rest = (bits & 0xff_ffff_ffff) as f64 / 2.0_f64.powi(64);
        let power = self.high[high] * self.middle[middle] * self.low[low];
        let price = power * (1.0 + rest * (DECADES * std::f64::consts::LN_10)) * 100.0;
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 100,000,000")]
        let rounded = (price + 0.5) as i64;
        rounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_powers_of_ten() {
        let prices = Prices::new();
        for (bits, expected) in [
            (0, 100),
            (u64::MAX / 6, 1_000),
            (u64::MAX / 2, 100_000),
            (u64::MAX / 6 * 5, 10_000_000),
            (u64::MAX, 100_000_000),
        ] {
            assert_eq!(prices.price(bits), expected, "{bits:x}");
        }
        for step in 0..1_000_u64 {
            let bits = step * (u64::MAX / 1_000);
            let exact = 10.0_f64.powf(bits as f64 / 2.0_f64.powi(64) * 6.0) * 100.0;
            let price = prices.price(bits) as f64;
            assert!((price - exact).abs() <= 0.5 + exact * 1e-9, "{price} {exact}");
        }
    }
}
