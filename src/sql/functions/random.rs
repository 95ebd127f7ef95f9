//! RAND, RAND_INTEGER and UUID. With a seed the numbers are those of `java.util.Random`, in the
//! order of the rows; without one they differ from run to run.

use arrow::array::ArrayRef;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int32Type};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::eval::{Call, Kernel, Typed};
use super::kernel::{Integers, build_text, integer_argument, integer_constant, try_build_numbers};
use super::{BindOptions, Scalar};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "RAND", arguments: (0, 1), bind: rand },
    Scalar { name: "RAND_INTEGER", arguments: (1, 2), bind: rand_integer },
    Scalar { name: "UUID", arguments: (0, 0), bind: uuid },
];

/// `java.util.Random`: 48 bits, linear congruential.
#[derive(Clone, Copy)]
struct Random(u64);

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

impl Random {
    fn seeded(seed: u64) -> Random {
        Random((seed ^ MULTIPLIER) & MASK)
    }

    /// The upper `bits` of the next state.
    fn next(&mut self, bits: u32) -> u64 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        self.0 >> (48 - bits)
    }

    /// In [0, 1), a multiple of 2⁻⁵³.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn next_double(&mut self) -> f64 {
        let high = self.next(26) << 27;
        (high + self.next(27)) as f64 / (1_u64 << 53) as f64
    }

    /// In [0, bound).
    fn next_below(&mut self, bound: i32) -> PlanResult<i32> {
        let Some(bound) = u64::try_from(bound).ok().filter(|bound| *bound > 0) else {
            return Err(exec_datafusion_err!("RAND_INTEGER takes a positive bound, not {bound}"));
        };
        let below = if bound.is_power_of_two() {
            (bound * self.next(31)) >> 31
        } else {
            loop {
                let drawn = self.next(31);
                let remainder = drawn % bound;
                // The last, incomplete run of remainders is drawn again.
                if drawn - remainder + bound - 1 < 1 << 31 {
                    break remainder;
                }
            }
        };
        Ok(i32::try_from(below).expect("a remainder is below its divisor"))
    }
}

/// 64 bits from the operating system.
fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A volatile call.
fn volatile(name: &str, arguments: Vec<Typed>, data_type: DataType, kernel: Kernel) -> Typed {
    let arguments = arguments.into_iter().map(|typed| typed.expr).collect();
    let call = Call::new(name, arguments, data_type.clone(), kernel).fallible().volatile();
    Typed::new(Arc::new(call), data_type)
}

/// One sequence for all rows; a batch takes its part at once, and again when another core was
/// faster.
fn sequence<T: ArrowPrimitiveType>(
    state: &AtomicU64,
    rows: usize,
    one: impl Fn(&mut Random, usize) -> PlanResult<Option<T::Native>>,
) -> PlanResult<ArrayRef> {
    loop {
        let before = state.load(Ordering::Relaxed);
        let mut random = Random(before);
        let numbers = try_build_numbers::<T>(rows, |row| one(&mut random, row))?;
        let swapped =
            state.compare_exchange(before, random.0, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_ok() {
            return Ok(numbers);
        }
    }
}

/// Where the numbers come from.
enum Origin {
    Sequence(AtomicU64),
    /// The seed is another argument of each row.
    Row,
}

impl Origin {
    /// Of the seed that was given, if one was.
    fn of(seed: Option<&Typed>) -> Origin {
        let start = match seed {
            None => Random::seeded(entropy()),
            Some(typed) => match integer_constant(typed) {
                Some(constant) => Random::seeded(constant.cast_unsigned()),
                None => return Origin::Row,
            },
        };
        Origin::Sequence(AtomicU64::new(start.0))
    }

    fn numbers<T: ArrowPrimitiveType>(
        &self,
        seeds: Option<&Integers<'_>>,
        rows: usize,
        one: impl Fn(&mut Random, usize) -> PlanResult<Option<T::Native>>,
    ) -> PlanResult<ArrayRef> {
        match self {
            Origin::Sequence(state) => sequence::<T>(state, rows, one),
            Origin::Row => try_build_numbers::<T>(rows, |row| {
                let seed = seeds.and_then(|seeds| seeds.get(row));
                seed.map_or(Ok(None), |seed| one(&mut Random::seeded(seed.cast_unsigned()), row))
            }),
        }
    }
}

/// The arguments as BIGINT.
fn integers(arguments: &[Typed], options: &BindOptions) -> Result<Vec<Typed>, String> {
    (0..arguments.len())
        .map(|position| {
            let expr = integer_argument(arguments, position, options)?;
            Ok(Typed::new(expr, DataType::Int64))
        })
        .collect()
}

fn rand(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let origin = Origin::of(arguments.first());
    let kernel: Kernel = Arc::new(move |values, rows| {
        let seeds = values.first().map(Integers::of).transpose()?;
        origin.numbers::<Float64Type>(seeds.as_ref(), rows, |random, _| {
            Ok(Some(random.next_double()))
        })
    });
    Ok(volatile("RAND", integers(&arguments, options)?, DataType::Float64, kernel))
}

/// `RAND_INTEGER(bound)` or `RAND_INTEGER(seed, bound)`.
fn rand_integer(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let seeded = arguments.len() == 2;
    let origin = Origin::of(arguments.first().filter(|_| seeded));
    let kernel: Kernel = Arc::new(move |values, rows| {
        let bounds = Integers::of(&values[values.len() - 1])?;
        let seeds = seeded.then(|| Integers::of(&values[0])).transpose()?;
        origin.numbers::<Int32Type>(seeds.as_ref(), rows, |random, row| {
            let Some(bound) = bounds.get(row) else { return Ok(None) };
            let bound = i32::try_from(bound)
                .map_err(|_| exec_datafusion_err!("RAND_INTEGER takes an INT, not {bound}"))?;
            random.next_below(bound).map(Some)
        })
    });
    Ok(volatile("RAND_INTEGER", integers(&arguments, options)?, DataType::Int32, kernel))
}

/// Version 4: of a secret of 256 bits and a counter nobody learns anything about the next one.
fn uuid(_: Vec<Typed>, _: &BindOptions) -> Bound {
    let secret: [u64; 4] = std::array::from_fn(|_| entropy());
    let counter = AtomicU64::new(0);
    let kernel: Kernel = Arc::new(move |_, rows| {
        let count = u64::try_from(rows).unwrap_or(u64::MAX);
        let first = counter.fetch_add(count, Ordering::Relaxed);
        let mut number = first;
        build_text(rows, rows * 36, |_, out| {
            let mut digest = Sha256::new();
            for word in secret.iter().chain([&number]) {
                digest.update(word.to_le_bytes());
            }
            number = number.wrapping_add(1);
            push_uuid(&digest.finalize(), out);
            Some(())
        })
    });
    Ok(volatile("UUID", Vec::new(), DataType::Utf8, kernel))
}

fn push_uuid(random: &[u8], out: &mut String) {
    for (index, &byte) in random.iter().take(16).enumerate() {
        let byte = match index {
            6 => byte & 0x0f | 0x40,
            8 => byte & 0x3f | 0x80,
            _ => byte,
        };
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        super::encoding::push_hex(&[byte], b"0123456789abcdef", out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_numbers_are_javas() {
        // new java.util.Random(42): nextInt(10) three times, nextDouble() after a new start.
        let mut random = Random::seeded(42);
        let drawn: Vec<i32> = (0..3).map(|_| random.next_below(10).unwrap()).collect();
        assert_eq!(drawn, [0, 3, 8]);
        assert_eq!(Random::seeded(42).next_double(), 0.727_563_680_032_868_1);
        assert!(random.next_below(0).is_err());
    }

    #[test]
    fn batches_share_one_sequence() {
        let state = AtomicU64::new(Random::seeded(7).0);
        let drawn = |rows| {
            sequence::<Float64Type>(&state, rows, |random, _| Ok(Some(random.next_double())))
        };
        let parts = [drawn(2).unwrap(), drawn(3).unwrap()];
        let mut random = Random::seeded(7);
        let whole: Vec<f64> = (0..5).map(|_| random.next_double()).collect();
        let parts: Vec<f64> = parts
            .iter()
            .flat_map(|part| {
                arrow::array::AsArray::as_primitive::<Float64Type>(part).values().to_vec()
            })
            .collect();
        assert_eq!(parts, whole);
    }

    #[test]
    fn uuids_have_version_and_variant() {
        let mut out = String::new();
        push_uuid(&[0xff; 32], &mut out);
        assert_eq!(out, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
