//! Channels through which bids come, with their addresses: made once, used by number.

use super::text::words;
use crate::workload::Random;

/// Of all bids, half come through these.
const HOT: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// The others, called `channel-0` and so on.
const COLD: u32 = 10_000;

/// One in so many cold channels has an address without its number.
const WITHOUT_NUMBER_ONCE_IN: u64 = 10;

/// Numbers of the seed's stream that no event has.
const FIRST_NUMBER: u64 = 1 << 63;

/// Names and addresses: the hot channels first.
#[derive(Debug)]
pub(super) struct Channels {
    channels: Vec<Channel>,
    texts: String,
}

/// Where the parts of a channel stand in the text: name, then address.
#[derive(Clone, Copy, Debug)]
struct Channel {
    start: u32,
    url: u32,
    end: u32,
}

impl Channels {
    pub(super) fn new(seed: u64) -> Channels {
        let mut made = Channels { channels: Vec::new(), texts: String::new() };
        let mut random = Random::new(seed, FIRST_NUMBER);
        for name in HOT {
            made.add(name, &address(&mut random));
        }
        for (number, index) in (0..COLD).zip(1..) {
            let mut own = Random::new(seed, FIRST_NUMBER + index);
            let mut url = address(&mut own);
            if own.below(WITHOUT_NUMBER_ONCE_IN) > 0 {
                // As a signed number of 32 bits, without its sign.
                let reversed = number.reverse_bits().cast_signed().unsigned_abs();
                url.push_str(&format!("&channel_id={reversed}"));
            }
            made.add(&format!("channel-{number}"), &url);
        }
        made
    }

    fn add(&mut self, name: &str, url: &str) {
        let end = |texts: &String| u32::try_from(texts.len()).expect("it is about a megabyte");
        let start = end(&self.texts);
        self.texts.push_str(name);
        let middle = end(&self.texts);
        self.texts.push_str(url);
        self.channels.push(Channel { start, url: middle, end: end(&self.texts) });
    }

    /// Name and address of a channel: one of the hot ones, or any other.
    pub(super) fn any(&self, random: &mut Random) -> (&str, &str) {
        let hot = HOT.len() as u64;
        let index = match is_even(random.bits()) {
            true => random.below(hot),
            false => hot + random.below(u64::from(COLD)),
        };
        let index = usize::try_from(index).expect("it is below the number of channels");
        let Channel { start, url, end } = self.channels[index];
        let part = |from: u32, to: u32| &self.texts[from as usize..to as usize];
        (part(start, url), part(url, end))
    }
}

fn is_even(bits: u64) -> bool {
    bits >> 63 == 0
}

/// An address of three short random parts.
fn address(random: &mut Random) -> String {
    let mut url = b"https://www.nexmark.com/".to_vec();
    for _ in 0..3 {
        words(random, 5, b'_', &mut url);
        url.push(b'/');
    }
    url.extend_from_slice(b"item.htm?query=1");
    String::from_utf8(url).expect("all of it is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_reversed_bit_by_bit() {
        let channels = Channels::new(0);
        let url = |number: usize| {
            let Channel { url, end, .. } = channels.channels[HOT.len() + number];
            channels.texts[url as usize..end as usize].to_owned()
        };
        // 1 reversed is the smallest number, whose absolute value is 2^31; 2 gives 2^30.
        for (number, expected) in [(1, 2_147_483_648_u32), (2, 1_073_741_824), (3, 1_073_741_824)] {
            let url = url(number);
            if let Some((_, id)) = url.split_once("&channel_id=") {
                assert_eq!(id.parse::<u32>().unwrap(), expected, "{url}");
            }
        }
        let numbered =
            (0..COLD as usize).filter(|number| url(*number).contains("&channel_id=")).count();
        assert!((8_900..9_100).contains(&numbered), "{numbered}");
        assert!(url(0).starts_with("https://www.nexmark.com/"), "{}", url(0));
    }
}
