//! Files of the simulated disk: sectors, names, and what of both is durable.

use std::collections::BTreeMap;
use std::io;

/// Bytes that are durable or not as a whole.
const SECTOR: usize = 512;

/// What goes wrong at a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The power goes; the step itself may have had its effect.
    Cut,
    /// The step fails, unless it is a store.
    Error(io::ErrorKind),
    /// A sync fails, and what it was to make durable is forgotten: the next one succeeds. Waits for
    /// the next sync.
    FailedSync,
    /// A sync says that it is done, and one sector was never written. Waits for the next sync.
    Lost,
    /// The same, and the sector was written elsewhere.
    Misdirected,
}

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StepKind {
    Store,
    Sync,
    Other,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    /// What readers see.
    pub(super) cached: Vec<u8>,
    /// What a cut leaves, but for dirty sectors.
    durable: Vec<u8>,
    /// Sectors stored since they became durable, with the number of the store.
    dirty: BTreeMap<usize, u64>,
}

/// A change of names since the last sync of the directory.
enum NameChange {
    Created(String, usize),
    Renamed(String, String, usize),
    Removed(String),
}

/// Sectors as they were when a sync began.
pub(super) type Captured = Vec<(usize, u64, Vec<u8>)>;

pub(super) struct State {
    pub(super) inodes: Vec<Inode>,
    pub(super) names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    /// Writes that were begun and are not complete.
    pub(super) in_flight: BTreeMap<u64, (usize, u64, Vec<u8>)>,
    pub(super) rng: fastrand::Rng,
    pub(super) steps: u64,
    pub(super) plan: Vec<(u64, Fault)>,
    pub(super) is_off: bool,
    pub(super) free_bytes: u64,
    stores: u64,
    /// Goes up whenever open files are lost.
    pub(super) boots: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> State {
        State {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            in_flight: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            steps: 0,
            plan: Vec::new(),
            is_off: false,
            free_bytes: u64::MAX,
            stores: 0,
            boots: 0,
        }
    }

    /// Counts a step. The fault that is planned for it is an error; a cut lets it happen or not.
    pub(super) fn step(&mut self, kind: StepKind) -> io::Result<Option<Fault>> {
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        self.steps += 1;
        self.write_back();
        let now = self.steps;
        let is_due = |(at, fault): &(u64, Fault)| match fault {
            Fault::Cut => *at == now,
            Fault::Error(_) => *at == now && kind != StepKind::Store,
            Fault::FailedSync | Fault::Lost | Fault::Misdirected => {
                *at <= now && kind == StepKind::Sync
            }
        };
        let Some(due) = self.plan.iter().position(is_due) else { return Ok(None) };
        match self.plan.remove(due).1 {
            Fault::Cut => {
                self.is_off = true;
                if self.rng.bool() { Ok(None) } else { Err(io::Error::other("the power is off")) }
            }
            Fault::Error(error) => Err(error.into()),
            fault => Ok(Some(fault)),
        }
    }

    /// The kernel writes a sector when it likes.
    fn write_back(&mut self) {
        if self.inodes.is_empty() || self.rng.u32(..4) > 0 {
            return;
        }
        let at = self.rng.usize(..self.inodes.len());
        let inode = &mut self.inodes[at];
        if !inode.dirty.is_empty() {
            let nth = self.rng.usize(..inode.dirty.len());
            let sector = *inode.dirty.keys().nth(nth).expect("there are so many");
            inode.persist(sector);
        }
    }

    pub(super) fn named(&self, path: &str) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, path: &str, bytes: u64) -> io::Result<usize> {
        self.step(StepKind::Other)?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.inodes.len();
        self.inodes.push(Inode::default());
        self.names.insert(path.into(), inode);
        self.changes.push(NameChange::Created(path.into(), inode));
        // The file is there, without its blocks.
        if bytes > self.free_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.free_bytes = self.free_bytes.saturating_sub(bytes);
        let bytes = usize::try_from(bytes).unwrap();
        self.inodes[inode].cached.resize(bytes, 0);
        Ok(inode)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step(StepKind::Other)?;
        let inode = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.into(), inode);
        self.changes.push(NameChange::Renamed(from.into(), to.into(), inode));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.step(StepKind::Other)?;
        let inode = self.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        self.free_bytes = self.free_bytes.saturating_add(self.inodes[inode].cached.len() as u64);
        self.changes.push(NameChange::Removed(path.into()));
        Ok(())
    }

    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        self.step(StepKind::Other)?;
        self.durable_names = self.names.clone();
        self.changes.clear();
        Ok(())
    }

    /// Bytes come into the cache.
    pub(super) fn store(&mut self, inode: usize, offset: u64, bytes: &[u8]) {
        self.stores += 1;
        let offset = usize::try_from(offset).unwrap();
        let target = &mut self.inodes[inode];
        let end = offset + bytes.len();
        target.cached.resize(target.cached.len().max(end), 0);
        target.cached[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            target.dirty.insert(sector, self.stores);
        }
    }

    /// A file gets shorter, or stays as it is.
    pub(super) fn cut(&mut self, inode: usize, bytes: u64) -> io::Result<()> {
        self.step(StepKind::Other)?;
        let bytes = usize::try_from(bytes).unwrap();
        let target = &mut self.inodes[inode];
        assert!(bytes <= target.cached.len(), "parts do not grow");
        target.cached.truncate(bytes);
        target.dirty.retain(|sector, _| sector * SECTOR < bytes);
        Ok(())
    }

    pub(super) fn read(&self, inode: usize, offset: u64, buffer: &mut [u8]) -> usize {
        let bytes = &self.inodes[inode].cached;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        count
    }

    /// The dirty sectors of a range, as they are now.
    pub(super) fn capture(&self, inode: usize, from: u64, to: u64) -> Captured {
        let sector = |offset: u64| usize::try_from(offset / SECTOR as u64).unwrap();
        let target = &self.inodes[inode];
        let dirty = target.dirty.range(sector(from)..sector(to.next_multiple_of(SECTOR as u64)));
        dirty.map(|(at, store)| (*at, *store, target.sector(*at).to_vec())).collect()
    }

    /// A sync is complete: what it captured when it began is durable, or the fault happens.
    pub(super) fn complete_sync(
        &mut self,
        inode: usize,
        mut captured: Captured,
        fault: Option<Fault>,
    ) -> io::Result<()> {
        if fault == Some(Fault::FailedSync) {
            for (sector, ..) in captured {
                self.inodes[inode].dirty.remove(&sector);
            }
            return Err(io::Error::other("injected: input/output error"));
        }
        if matches!(fault, Some(Fault::Lost | Fault::Misdirected)) && !captured.is_empty() {
            let (sector, _, bytes) = captured.remove(self.rng.usize(..captured.len()));
            self.inodes[inode].dirty.remove(&sector);
            if fault == Some(Fault::Misdirected) {
                self.misdirect(&bytes);
            }
        }
        let target = &mut self.inodes[inode];
        target.durable.resize(target.cached.len(), 0);
        for (sector, store, bytes) in captured {
            let from = sector * SECTOR;
            target.durable[from..from + bytes.len()].copy_from_slice(&bytes);
            if target.dirty.get(&sector) == Some(&store) {
                target.dirty.remove(&sector);
            }
        }
        Ok(())
    }

    /// Writes a sector somewhere.
    fn misdirect(&mut self, bytes: &[u8]) {
        let inode = self.rng.usize(..self.inodes.len());
        let target = &mut self.inodes[inode].durable;
        let sectors = target.len() / SECTOR;
        if sectors > 0 {
            let from = self.rng.usize(..sectors) * SECTOR;
            target[from..from + bytes.len()].copy_from_slice(bytes);
        }
    }

    pub(super) fn cut_power(&mut self) {
        let keep = [0.0, 0.5, 0.9, 1.0][self.rng.usize(..4)];
        for (inode, offset, bytes) in std::mem::take(&mut self.in_flight).into_values() {
            for (at, sector) in bytes.chunks(SECTOR).enumerate() {
                if self.rng.f64() < keep {
                    self.store(inode, offset + (at * SECTOR) as u64, sector);
                }
            }
        }
        for inode in &mut self.inodes {
            let dirty: Vec<usize> = std::mem::take(&mut inode.dirty).into_keys().collect();
            // The length is durable or not, as any sector.
            if inode.durable.len() != inode.cached.len() && self.rng.f64() < keep {
                inode.durable.resize(inode.cached.len(), 0);
            }
            for sector in dirty.into_iter().filter(|_| self.rng.f64() < keep) {
                inode.persist(sector);
            }
            inode.cached.clone_from(&inode.durable);
        }
        self.keep_names(keep);
        self.plan.clear();
        self.is_off = false;
        self.boots += 1;
    }

    fn keep_names(&mut self, keep: f64) {
        // A file system with a log keeps the first of them; others any.
        let in_order = self.rng.bool();
        let first = self.rng.usize(..=self.changes.len());
        for (at, change) in std::mem::take(&mut self.changes).into_iter().enumerate() {
            let is_kept = if in_order { at < first } else { self.rng.f64() < keep };
            let names = &mut self.durable_names;
            match change {
                _ if !is_kept => {}
                NameChange::Created(path, inode) => {
                    names.insert(path, inode);
                }
                NameChange::Renamed(from, to, inode) => {
                    names.remove(&from);
                    names.insert(to, inode);
                }
                NameChange::Removed(path) => {
                    names.remove(&path);
                }
            }
        }
        self.names = self.durable_names.clone();
    }

    pub(super) fn kill(&mut self) {
        for (inode, offset, bytes) in std::mem::take(&mut self.in_flight).into_values() {
            let sectors = self.rng.usize(..=bytes.len().div_ceil(SECTOR));
            self.store(inode, offset, &bytes[..bytes.len().min(sectors * SECTOR)]);
        }
        self.plan.clear();
        self.is_off = false;
        self.boots += 1;
    }

    pub(super) fn put(&mut self, path: &str, bytes: &[u8]) {
        let inode = self.inodes.len();
        let (cached, durable) = (bytes.to_vec(), bytes.to_vec());
        self.inodes.push(Inode { cached, durable, dirty: BTreeMap::new() });
        self.names.insert(path.into(), inode);
        self.durable_names.insert(path.into(), inode);
    }

    pub(super) fn take(&mut self, path: &str) {
        self.names.remove(path);
        self.durable_names.remove(path);
    }
}

impl Inode {
    fn sector(&self, sector: usize) -> &[u8] {
        let from = (sector * SECTOR).min(self.cached.len());
        &self.cached[from..(from + SECTOR).min(self.cached.len())]
    }

    /// What need not be written is read from the disk from now on.
    pub(super) fn forget_cached(&mut self) {
        for sector in 0..self.cached.len().div_ceil(SECTOR) {
            if !self.dirty.contains_key(&sector) {
                let from = sector * SECTOR;
                let to = (from + SECTOR).min(self.cached.len());
                self.cached[from..to].copy_from_slice(&self.durable[from..to]);
            }
        }
    }

    /// A sector becomes durable as it is.
    fn persist(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let bytes = self.sector(sector).to_vec();
        let durable = &mut self.durable;
        // Where the length is not durable, there is no such sector.
        if from + bytes.len() <= durable.len() {
            durable[from..from + bytes.len()].copy_from_slice(&bytes);
        }
    }
}
