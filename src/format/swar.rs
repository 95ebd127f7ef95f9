//! Eight bytes at a time in one integer: the scans that JSON and its encoder spend their time in.
//!
//! Each mask below has the high bit set in some bytes. A borrow or carry can set it wrongly, but
//! only above a byte where it is set rightly, so the *lowest* set bit is always exact.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Powers of ten that [`digits`] multiplies by.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The eight bytes from `at` on, lowest first, if there are as many.
#[inline]
pub(super) fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Index of the first byte at or after `at` that ends a run of plain characters in a JSON string
/// (quote, backslash, control character), or the length.
/// Sets a bit of `non_ascii` when a byte before it is not ASCII (or, rarely, one just behind it).
#[inline]
pub(super) fn plain_until(bytes: &[u8], mut at: usize, non_ascii: &mut u64) -> usize {
    while let Some(word) = word_at(bytes, at) {
        let special = special_mask(word);
        *non_ascii |= word & HIGH;
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        *non_ascii |= u64::from(byte & 0x80);
        if is_special(byte) {
            break;
        }
        at += 1;
    }
    at
}

/// Quote, backslash or control character: must be escaped in a JSON string.
#[inline]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[inline]
fn special_mask(word: u64) -> u64 {
    let quote = word ^ (LOW * b'"' as u64);
    let backslash = word ^ (LOW * b'\\' as u64);
    let quotes = quote.wrapping_sub(LOW) & !quote;
    let backslashes = backslash.wrapping_sub(LOW) & !backslash;
    let controls = word.wrapping_sub(LOW * 0x20) & !word;
    (quotes | backslashes | controls) & HIGH
}

/// Decimal digits from `at` on: their value modulo 2⁶⁴, and the index behind them.
#[inline]
pub(super) fn digits(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let mut value = 0_u64;
    while let Some(word) = word_at(bytes, at) {
        let nibbles = word ^ (LOW * b'0' as u64);
        let others = (nibbles.wrapping_add(LOW * 0x76) | nibbles) & HIGH;
        let count = (others.trailing_zeros() / 8) as usize;
        if count == 0 {
            return (value, at);
        }
        let aligned = nibbles << (64 - 8 * count);
        value = value.wrapping_mul(POWERS[count]).wrapping_add(eight_digits(aligned));
        at += count;
        if count < 8 {
            return (value, at);
        }
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// Value of eight digits 0–9, most significant in the lowest byte.
#[inline]
fn eight_digits(nibbles: u64) -> u64 {
    let pairs = nibbles.wrapping_mul(10).wrapping_add(nibbles >> 8);
    let even = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let odd = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    even.wrapping_add(odd) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_runs_end_where_a_byte_loop_says() {
        let mut random = fastrand::Rng::with_seed(1);
        for case in 0..20_000 {
            let length = random.usize(0..40);
            let mut bytes: Vec<u8> = (0..length).map(|_| random.u8(0x23..0x5c)).collect();
            for _ in 0..random.usize(0..3) {
                if length > 0 {
                    bytes[random.usize(0..length)] = random.u8(..);
                }
            }
            let start = random.usize(0..=length);
            let slow = (start..length).find(|&at| is_special(bytes[at])).unwrap_or(length);
            let mut non_ascii = 0;
            assert_eq!(plain_until(&bytes, start, &mut non_ascii), slow, "case {case}: {bytes:?}");
            if !bytes[start..slow].is_ascii() {
                assert_ne!(non_ascii, 0, "case {case}: {bytes:?}");
            }
            if bytes.is_ascii() {
                assert_eq!(non_ascii, 0, "case {case}: {bytes:?}");
            }
        }
    }

    #[test]
    fn digits_agree_with_the_standard_library() {
        let mut random = fastrand::Rng::with_seed(2);
        for case in 0..20_000 {
            let number = random.u64(..) >> random.u32(0..64);
            let behind = ["", ",", "}", ".5", "/:", "\u{e4}", "abcdefghij"][random.usize(0..7)];
            let text = format!("{number}{behind}");
            let (value, end) = digits(text.as_bytes(), 0);
            assert_eq!((value, &text[end..]), (number, behind), "case {case}: {text}");
        }
        assert_eq!(digits(b"x1", 0), (0, 0));
        assert_eq!(digits(b"", 0), (0, 0));
        assert_eq!(digits(b"000000000000000000000000000012,", 0), (12, 30));
    }
}
