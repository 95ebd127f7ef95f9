//! Operations the kernel has: who asked, and the memory that must stay where it is until the end.

use std::ffi::CString;

use io_uring::types::Timespec;

use super::Tag;

/// Names one operation in flight. Never used twice, so a late cancel cannot hit another operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::reactor) struct Ticket(pub(super) u64);

/// What the kernel reads or writes during an operation. Addresses given to the kernel point into
/// the heap blocks these own, so moving the enum moves none of them.
pub(super) enum Memory {
    None,
    Bytes(Vec<u8>),
    Address(#[expect(dead_code, reason = "kept for the kernel")] Box<libc::sockaddr_storage>),
    Path(#[expect(dead_code, reason = "kept for the kernel")] CString),
    Paths(#[expect(dead_code, reason = "kept for the kernel")] Box<(CString, CString)>),
    Status(Box<libc::statx>, #[expect(dead_code, reason = "kept for the kernel")] CString),
    Time(#[expect(dead_code, reason = "kept for the kernel")] Box<Timespec>),
}

/// What a successful operation hands over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Yields {
    /// Nothing of interest.
    Nothing,
    /// A number.
    Count,
    /// A descriptor of ours to close.
    Descriptor,
    /// A provided buffer.
    Buffer,
    /// That many bytes, appended to the memory.
    Appended,
}

/// One operation.
pub(super) struct Flight {
    pub(super) tag: Tag,
    pub(super) yields: Yields,
    pub(super) memory: Memory,
}

enum Slot {
    Free { next: Option<u32> },
    Busy(Flight),
}

/// All operations in flight of one ring.
#[derive(Default)]
pub(super) struct Flights {
    slots: Vec<(u32, Slot)>,
    free: Option<u32>,
    count: usize,
}

impl Flights {
    /// Operations in flight.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Keeps `flight` until it is landed.
    pub(super) fn launch(&mut self, flight: Flight) -> Ticket {
        self.count += 1;
        let index = match self.free {
            Some(index) => index,
            None => {
                self.slots.push((0, Slot::Free { next: None }));
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 operations")
            }
        };
        let (generation, slot) = &mut self.slots[index as usize];
        let Slot::Free { next } = slot else { unreachable!("the free list holds free slots") };
        self.free = *next;
        *slot = Slot::Busy(flight);
        Ticket(u64::from(*generation) << 32 | u64::from(index))
    }

    /// The operation, which goes on.
    pub(super) fn get(&self, ticket: Ticket) -> &Flight {
        let (index, generation) = ticket.parts();
        match &self.slots[index as usize] {
            (found, Slot::Busy(flight)) if *found == generation => flight,
            _ => unreachable!("the kernel completes what was submitted, once"),
        }
    }

    /// The operation, which is over.
    pub(super) fn land(&mut self, ticket: Ticket) -> Flight {
        let (index, generation) = ticket.parts();
        let (found, slot) = &mut self.slots[index as usize];
        assert_eq!(*found, generation, "the kernel completes what was submitted, once");
        let Slot::Busy(flight) = std::mem::replace(slot, Slot::Free { next: self.free }) else {
            unreachable!("the kernel completes what was submitted, once")
        };
        *found = found.wrapping_add(1);
        self.free = Some(index);
        self.count -= 1;
        flight
    }
}

impl Ticket {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a ticket")]
    fn parts(self) -> (u32, u32) {
        (self.0 as u32, (self.0 >> 32) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight() -> Flight {
        Flight { tag: Tag::Nothing, yields: Yields::Count, memory: Memory::None }
    }

    #[test]
    fn a_slot_is_used_again_under_another_ticket() {
        let mut flights = Flights::default();
        let first = flights.launch(flight());
        let second = flights.launch(flight());
        assert_ne!(first, second);
        flights.land(first);
        let third = flights.launch(flight());
        assert_eq!(first.parts().0, third.parts().0);
        assert_ne!(first, third);
        assert_eq!(flights.len(), 2);
    }

    #[test]
    #[should_panic(expected = "once")]
    fn an_operation_ends_once() {
        let mut flights = Flights::default();
        let ticket = flights.launch(flight());
        flights.land(ticket);
        flights.land(ticket);
    }
}
