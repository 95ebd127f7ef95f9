//! Connections by id: an index that is used again, and a generation that makes the id new.

use super::ConnectionId;
use super::connection::Connection;

/// One place for a connection.
struct Slot {
    /// Generation of the connection here, or of the next one.
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// All connections of a core.
#[derive(Default)]
pub(super) struct ConnectionTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl ConnectionTable {
    /// An id for [`ConnectionTable::insert`] or [`ConnectionTable::retire`].
    pub(super) fn next_id(&mut self) -> ConnectionId {
        let index = match self.free.last() {
            Some(index) => *index,
            None => {
                self.slots.push(Slot { generation: 0, connection: None });
                let index = u32::try_from(self.slots.len() - 1).expect("descriptors are fewer");
                self.free.push(index);
                index
            }
        };
        let generation = self.slots[index as usize].generation;
        ConnectionId(u64::from(generation) << 32 | u64::from(index))
    }

    /// Puts a connection where `next_id` said.
    pub(super) fn insert(&mut self, id: ConnectionId, connection: Connection) {
        assert_eq!(self.free.pop(), Some(index(id)), "the id is the one given out last");
        self.slots[index(id) as usize].connection = Some(Box::new(connection));
    }

    /// An id that never had a connection is not given out again.
    pub(super) fn retire(&mut self, id: ConnectionId) {
        self.slots[index(id) as usize].generation += 1;
    }

    /// The connection, unless it is gone.
    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let slot = self.slots.get(index(id) as usize)?;
        if slot.generation == generation(id) { slot.connection.as_deref() } else { None }
    }

    /// The connection, unless it is gone.
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(index(id) as usize)?;
        if slot.generation == generation(id) { slot.connection.as_deref_mut() } else { None }
    }

    /// Takes a connection out; its id names nothing from now on.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Connection {
        let slot = &mut self.slots[index(id) as usize];
        assert_eq!(slot.generation, generation(id));
        slot.generation += 1;
        self.free.push(index(id));
        *slot.connection.take().expect("removed once")
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of an id")]
fn index(id: ConnectionId) -> u32 {
    id.0 as u32
}

fn generation(id: ConnectionId) -> u32 {
    u32::try_from(id.0 >> 32).expect("the upper half of an id")
}
