//! Lowest: the minimum of values that change one at a time, by place.
//!
//! A tournament: each node is the lower of the two below it, and the values are the leaves. A change goes
//! up only as long as it changes who is the lowest; the answer stands at the root.

/// See the module.
#[derive(Debug)]
pub(super) struct Lowest<T> {
    /// The root is node 1, those below node *n* are *2n* and *2n + 1*; the second half are the leaves.
    nodes: Vec<T>,
    /// A place without a value: above all values.
    absent: T,
    /// Nodes looked at so far.
    #[cfg(test)]
    pub(super) visits: u64,
}

impl<T: Copy + Ord> Lowest<T> {
    /// Nothing anywhere. No value is `absent`, or above it.
    pub(super) fn new(absent: T) -> Lowest<T> {
        Lowest {
            nodes: vec![absent; 2],
            absent,
            #[cfg(test)]
            visits: 0,
        }
    }

    /// The value at `place` from now on.
    pub(super) fn set(&mut self, place: usize, value: T) {
        assert!(value < self.absent);
        self.put(place, value);
    }

    /// There is none from now on.
    pub(super) fn clear(&mut self, place: usize) {
        self.put(place, self.absent);
    }

    /// The lowest value there is.
    pub(super) fn lowest(&self) -> Option<T> {
        Some(self.nodes[1]).filter(|value| *value < self.absent)
    }

    /// Where it is; of several, the first place.
    pub(super) fn place(&self) -> Option<usize> {
        let lowest = self.lowest()?;
        let mut node = 1;
        while node < self.places() {
            node *= 2;
            node += usize::from(self.nodes[node] != lowest);
        }
        Some(node - self.places())
    }

    fn places(&self) -> usize {
        self.nodes.len() / 2
    }

    fn put(&mut self, place: usize, value: T) {
        if place >= self.places() {
            self.grow(place);
        }
        let (mut node, mut value) = (self.places() + place, value);
        while node > 0 {
            #[cfg(test)]
            (self.visits += 1);
            if std::mem::replace(&mut self.nodes[node], value) == value {
                return;
            }
            value = value.min(self.nodes[node ^ 1]);
            node /= 2;
        }
    }

    /// Room for `place` and as many again.
    fn grow(&mut self, place: usize) {
        let places = (place + 1).next_power_of_two();
        let mut nodes = vec![self.absent; 2 * places];
        nodes[places..places + self.places()].copy_from_slice(&self.nodes[self.places()..]);
        for node in (1..places).rev() {
            nodes[node] = nodes[2 * node].min(nodes[2 * node + 1]);
        }
        self.nodes = nodes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_looking_at_all_of_them_finds() {
        for seed in 1..=50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let places = rng.usize(1..40);
            let (mut lowest, mut model) = (Lowest::new(u32::MAX), vec![u32::MAX; places]);
            for _ in 0..200 {
                let place = rng.usize(..places);
                match rng.u8(..4) {
                    0 => lowest.clear(place),
                    _ => lowest.set(place, rng.u32(..20)),
                }
                model[place] = lowest.nodes[lowest.places() + place];
                let expected = model.iter().copied().min().filter(|value| *value < u32::MAX);
                assert_eq!(lowest.lowest(), expected, "seed {seed}");
                let first = expected.map(|value| model.iter().position(|it| *it == value).unwrap());
                assert_eq!(lowest.place(), first, "seed {seed}");
            }
        }
    }
}
