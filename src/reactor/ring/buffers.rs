//! ⚠ The buffers a ring receives into: one allocation, lent to the kernel buffer by buffer.
//!
//! Invariants
//! - A buffer is the kernel's or the user's, never both. The user's are those in `lent_out`: they
//!   came with a completion and have not been given back.
//! - The pool is dropped after the ring that knows it.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};
use crate::reactor::Received;

/// The one group of provided buffers of a ring.
pub(super) const BUFFER_GROUP: u16 = 0;

const PAGE_BYTES: usize = 4096;
const ENTRY_BYTES: usize = size_of::<BufRingEntry>();

/// Provided buffers.
pub(super) struct Buffers {
    /// The ring of entries the kernel takes buffers from, one page-aligned block.
    entries: NonNull<BufRingEntry>,
    /// The buffers, one behind the other.
    memory: NonNull<u8>,
    /// Entries ever added, modulo 2^16, as the kernel counts them.
    tail: u16,
    /// Valid bytes of each buffer the user holds.
    lent_out: Vec<Option<u32>>,
    lent_out_count: u16,
    leaked: bool,
}

impl Buffers {
    /// Allocates the pool and gives all of it to the kernel.
    pub(super) fn new(ring: &IoUring) -> io::Result<Buffers> {
        let mut buffers = Buffers {
            entries: allocate(entries_layout()).cast(),
            memory: allocate(memory_layout()),
            tail: 0,
            lent_out: vec![None; usize::from(RECEIVE_BUFFERS)],
            lent_out_count: 0,
            leaked: false,
        };
        let address = buffers.entries.as_ptr() as u64;
        let submitter = ring.submitter();
        // SAFETY: `entries` has room for RECEIVE_BUFFERS entries, is page-aligned, and lives until
        // the ring is gone: `Ring` drops its fields in that order.
        unsafe {
            submitter.register_buf_ring_with_flags(address, RECEIVE_BUFFERS, BUFFER_GROUP, 0)
        }?;
        for buffer in 0..RECEIVE_BUFFERS {
            buffers.give_to_kernel(buffer);
        }
        Ok(buffers)
    }

    /// A completion brought `length` bytes in `buffer`, which is the user's from now on.
    pub(super) fn lend_out(&mut self, buffer: u16, length: u32) -> Received {
        assert!(usize::try_from(length).expect("32 bits fit") <= RECEIVE_BUFFER_BYTES);
        let slot = &mut self.lent_out[usize::from(buffer)];
        assert!(slot.is_none(), "the kernel fills only buffers it was given");
        *slot = Some(length);
        self.lent_out_count += 1;
        Received { buffer, length }
    }

    /// A completion used up `buffer` without bringing anything in it.
    pub(super) fn recycle(&mut self, buffer: u16) {
        assert!(self.lent_out[usize::from(buffer)].is_none());
        self.give_to_kernel(buffer);
    }

    /// The bytes of a buffer the user holds.
    pub(super) fn bytes(&self, received: &Received) -> &[u8] {
        let held = self.lent_out[usize::from(received.buffer)];
        assert_eq!(held, Some(received.length), "only bytes that were received are looked at");
        let length = usize::try_from(received.length).expect("32 bits fit");
        // SAFETY:
        // - The buffer is the user's (asserted above), so the kernel does not write to it.
        // - `length` is at most RECEIVE_BUFFER_BYTES (asserted in `lend_out`), and every buffer of
        //   the pool has that many bytes, initialised when the pool was allocated.
        // - The slice borrows `self`; giving the buffer back needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start_of(received.buffer), length) }
    }

    /// Takes a buffer back from the user.
    #[expect(clippy::needless_pass_by_value, reason = "a buffer is given back once")]
    pub(super) fn release(&mut self, received: Received) {
        let held = self.lent_out[usize::from(received.buffer)].take();
        assert_eq!(held, Some(received.length), "only a buffer that was lent out comes back");
        self.lent_out_count -= 1;
        self.give_to_kernel(received.buffer);
    }

    /// Buffers the kernel has, or has filled without our having looked yet.
    pub(super) fn free(&self) -> u16 {
        RECEIVE_BUFFERS - self.lent_out_count
    }

    /// The kernel may still write here: the memory stays for as long as the process.
    pub(super) fn leak(&mut self) {
        self.leaked = true;
    }

    fn give_to_kernel(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (RECEIVE_BUFFERS - 1));
        let address = self.start_of(buffer) as u64;
        // SAFETY: `index` is below RECEIVE_BUFFERS, the number of entries allocated.
        let mut entry = unsafe { self.entries.add(index) };
        // SAFETY: the entry is initialised, and the kernel reads it only below the tail, which this
        // entry is not before `publish_tail`.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(address);
        entry.set_len(u32::try_from(RECEIVE_BUFFER_BYTES).expect("asserted in limits"));
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.publish_tail();
    }

    fn publish_tail(&self) {
        // SAFETY: `entries` is the first entry of the ring of entries and initialised with zeroes.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is two aligned bytes of our allocation, which the kernel only reads.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the kernel must see the entry before it sees that there is one.
        tail.store(self.tail, Ordering::Release);
    }

    fn start_of(&self, buffer: u16) -> *mut u8 {
        assert!(buffer < RECEIVE_BUFFERS);
        // SAFETY: the buffer lies inside the allocation of RECEIVE_BUFFERS buffers.
        unsafe { self.memory.as_ptr().add(usize::from(buffer) * RECEIVE_BUFFER_BYTES) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        // SAFETY: allocated in `new` with this layout; the ring, and with it the kernel's
        // registration, is gone.
        unsafe { dealloc(self.entries.as_ptr().cast(), entries_layout()) };
        // SAFETY: as above.
        unsafe { dealloc(self.memory.as_ptr(), memory_layout()) };
    }
}

fn entries_layout() -> Layout {
    Layout::from_size_align(usize::from(RECEIVE_BUFFERS) * ENTRY_BYTES, PAGE_BYTES)
        .expect("a page is a power of two")
}

fn memory_layout() -> Layout {
    Layout::from_size_align(usize::from(RECEIVE_BUFFERS) * RECEIVE_BUFFER_BYTES, PAGE_BYTES)
        .expect("a page is a power of two")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0);
    // SAFETY: the layout's size is not zero.
    let pointer = unsafe { alloc_zeroed(layout) };
    NonNull::new(pointer).unwrap_or_else(|| handle_alloc_error(layout))
}
