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

/// Bytes of a channel: in two lines of the cache, with nothing to be looked up before.
const CHANNEL_BYTES: usize = 96;

/// Names and addresses: the hot channels first.
#[derive(Debug)]
pub(super) struct Channels(Vec<Channel>);

/// Lengths of name and address, then both.
#[derive(Clone, Copy, Debug)]
struct Channel([u8; CHANNEL_BYTES]);

impl Channel {
    fn new(name: &str, url: &str) -> Channel {
        let mut bytes = [0; CHANNEL_BYTES];
        let length = |text: &str| u8::try_from(text.len()).expect("it is short");
        bytes[..2].copy_from_slice(&[length(name), length(url)]);
        let (names, urls) = bytes[2..].split_at_mut(name.len());
        names.copy_from_slice(name.as_bytes());
        urls[..url.len()].copy_from_slice(url.as_bytes());
        Channel(bytes)
    }

    /// Name and address.
    fn parts(&self) -> (&[u8], &[u8]) {
        let [name, url] = [self.0[0], self.0[1]].map(usize::from);
        let (names, urls) = self.0[2..].split_at(name);
        (names, &urls[..url])
    }
}

impl Channels {
    pub(super) fn new(seed: u64) -> Channels {
        let mut channels = Vec::new();
        let mut random = Random::new(seed, FIRST_NUMBER);
        for name in HOT {
            channels.push(Channel::new(name, &address(&mut random)));
        }
        for (number, index) in (0..COLD).zip(1..) {
            let mut own = Random::new(seed, FIRST_NUMBER + index);
            let mut url = address(&mut own);
            if own.below(WITHOUT_NUMBER_ONCE_IN) > 0 {
                // As a signed number of 32 bits, without its sign.
                let reversed = number.reverse_bits().cast_signed().unsigned_abs();
                url.push_str(&format!("&channel_id={reversed}"));
            }
            channels.push(Channel::new(&format!("channel-{number}"), &url));
        }
        Channels(channels)
    }

    /// One of the hot channels, or any other.
    pub(super) fn any(&self, random: &mut Random) -> u32 {
        let hot = HOT.len() as u64;
        let index = match is_even(random.bits()) {
            true => random.below(hot),
            false => hot + random.below(u64::from(COLD)),
        };
        u32::try_from(index).expect("it is below the number of channels")
    }

    /// Name and address of a channel.
    pub(super) fn parts(&self, channel: u32) -> (&[u8], &[u8]) {
        self.0[channel as usize].parts()
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
            let (name, url) = channels.0[HOT.len() + number].parts();
            assert_eq!(name, format!("channel-{number}").as_bytes());
            String::from_utf8(url.to_vec()).unwrap()
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
