//! Random texts: words with gaps between them, and filling.

use crate::workload::Random;

/// Shortest text of [`words`].
const WORDS_BYTES_MIN: u64 = 3;

/// A gap comes once in so many characters.
const GAP_ONCE_IN: usize = 13;

const LETTERS: usize = 26;

/// Characters drawn with one number, 20 bits each: fewer would favour some letters.
const PER_NUMBER: usize = 3;
const DRAW_BITS: usize = 20;

/// Appends a text of at least three and less than `bytes_end` characters: letters, and `gap` once in
/// 13. Spaces at both ends are taken away.
pub(super) fn words(random: &mut Random, bytes_end: u64, gap: u8, out: &mut Vec<u8>) {
    let start = out.len();
    let length = WORDS_BYTES_MIN + random.below(bytes_end - WORDS_BYTES_MIN);
    let mut left = usize::try_from(length).unwrap_or(0);
    while left > 0 {
        let bits = random.bits();
        for draw in 0..PER_NUMBER.min(left) {
            let drawn = part(bits, draw, GAP_ONCE_IN * LETTERS);
            out.push(if drawn < LETTERS { gap } else { letter(drawn % LETTERS) });
        }
        left = left.saturating_sub(PER_NUMBER);
    }
    let kept = out[start..].trim_ascii_end().len();
    out.truncate(start + kept);
    let blank = kept - out[start..].trim_ascii_start().len();
    out.drain(start..start + blank);
}

/// Appends filling, such that with `used` bytes beside it an event has `mean` bytes on average: from
/// 80 to 120 % of what is left.
pub(super) fn extra(random: &mut Random, used: usize, mean: u32, out: &mut Vec<u8>) {
    let Some(left) = u64::from(mean).checked_sub(used as u64) else { return };
    // A fifth, rounded.
    let spread = (left * 2 + 5) / 10;
    let length = left - spread + if spread == 0 { 0 } else { random.below(2 * spread) };
    filling(random, usize::try_from(length).unwrap_or(0), out);
}

/// Bytes that one number fills.
const GROUP: usize = 6;

/// Pairs of characters, for two at a time.
type Pairs = [[u8; 2]; LETTERS * LETTERS];

/// Letters from `a` upwards.
static UPWARDS: Pairs = pairs(true);

/// The 26 characters from `a` downwards, to `H`.
static DOWNWARDS: Pairs = pairs(false);

const fn pairs(upwards: bool) -> Pairs {
    let mut pairs = [[0; 2]; LETTERS * LETTERS];
    let mut index = 0;
    while index < pairs.len() {
        let (one, two) = (index / LETTERS, index % LETTERS);
        pairs[index] =
            if upwards { [letter(one), letter(two)] } else { [below_a(one), below_a(two)] };
        index += 1;
    }
    pairs
}

#[expect(clippy::cast_possible_truncation, reason = "an index of a letter is below 26")]
const fn letter(index: usize) -> u8 {
    b'a' + index as u8
}

#[expect(clippy::cast_possible_truncation, reason = "an index of a letter is below 26")]
const fn below_a(index: usize) -> u8 {
    b'a' - index as u8
}

/// Appends exactly `length` characters. Every six of them are letters, or (as often) characters from
/// `H` to `a`: the original divides a random number with its sign.
fn filling(random: &mut Random, length: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + length.next_multiple_of(GROUP), 0);
    for group in out[start..].chunks_exact_mut(GROUP) {
        let bits = random.bits();
        let pairs = if bits >> 63 == 0 { &UPWARDS } else { &DOWNWARDS };
        for (draw, pair) in group.chunks_exact_mut(2).enumerate() {
            pair.copy_from_slice(&pairs[part(bits, draw, LETTERS * LETTERS)]);
        }
    }
    out.truncate(start + length);
}

/// A number below `bound` from 20 of the bits.
fn part(bits: u64, draw: usize, bound: usize) -> usize {
    let drawn = (bits >> (draw * DRAW_BITS)) & ((1 << DRAW_BITS) - 1);
    usize::try_from((drawn * bound as u64) >> DRAW_BITS).expect("it is below an index")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_letters_gaps_and_a_length() {
        let mut lengths = [0; 21];
        let (mut gaps, mut characters) = (0, 0);
        for event in 0..20_000 {
            let mut text = Vec::new();
            words(&mut Random::new(1, event), 20, b'_', &mut text);
            lengths[text.len()] += 1;
            characters += text.len();
            gaps += text.iter().filter(|byte| **byte == b'_').count();
            assert!(text.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_'));
        }
        assert!(lengths[..3].iter().all(|count| *count == 0), "{lengths:?}");
        assert!(lengths[3..20].iter().all(|count| (1_000..1_360).contains(count)), "{lengths:?}");
        assert!((characters / 14..characters / 12).contains(&gaps), "{gaps} of {characters}");
    }

    #[test]
    fn spaces_at_the_ends_are_taken_away() {
        for event in 0..1_000 {
            let mut text = b"before ".to_vec();
            words(&mut Random::new(1, event), 7, b' ', &mut text);
            let text = text.strip_prefix(b"before ").unwrap();
            assert_eq!(text, text.trim_ascii());
        }
    }

    #[test]
    fn filling_makes_up_what_is_left() {
        let length = |used, mean, event| {
            let mut text = Vec::new();
            extra(&mut Random::new(1, event), used, mean, &mut text);
            text.len()
        };
        let lengths: Vec<usize> = (0..10_000).map(|event| length(32, 100, event)).collect();
        assert_eq!(lengths.iter().min(), Some(&54));
        assert_eq!(lengths.iter().max(), Some(&81));
        for (used, mean, expected) in [(100, 99, 0), (100, 100, 0), (100, 102, 2), (0, 0, 0)] {
            assert_eq!(length(used, mean, 0), expected);
        }
    }

    #[test]
    fn half_of_the_groups_go_downwards() {
        let mut text = Vec::new();
        filling(&mut Random::new(3, 0), 60_000, &mut text);
        let is_up = |group: &&[u8]| group.iter().all(u8::is_ascii_lowercase);
        let is_down = |group: &&[u8]| group.iter().all(|byte| (b'H'..=b'a').contains(byte));
        let up = text.chunks(6).filter(is_up).count();
        let down = text.chunks(6).filter(is_down).count();
        assert!((4_800..5_200).contains(&up), "{up}");
        assert!(up + down >= 10_000 && up + down < 10_010, "{up} {down}");
    }
}
