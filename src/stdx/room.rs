//! Taking a vector's values and leaving it the room for as many.

/// The values of `values`, which is empty afterwards and will not grow step by step again: what is
/// filled and handed over turn after turn needs about the same room each time.
pub fn take_with_room<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    std::mem::replace(values, room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_stays_and_nothing_is_allocated_for_nothing() {
        let mut values = vec![1, 2, 3];
        assert_eq!(take_with_room(&mut values), [1, 2, 3]);
        assert!(values.is_empty() && values.capacity() >= 3);
        assert!(take_with_room(&mut values).is_empty());
        assert_eq!(values.capacity(), 0);
    }
}
