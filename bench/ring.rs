//! The network ring alone: 64 bytes there and back over the loopback, against a task that sends
//! back what comes; and a number from core to core and back over the mesh.
//!
//! `cargo bench --bench ring`; needs two CPUs that nothing else uses. The client polls.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to tell")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pelton::reactor::{
    Cores, CoresRequest, Io, MeshReceiver, MeshSender, NetEvent, OwnerId, ReactorOptions, Spin,
    Task, Turn, allowed_cpus, channel, resolve_cores,
};

/// Sends back what comes, until its client goes.
struct Echo {
    owner: Option<OwnerId>,
    address: mpsc::Sender<SocketAddr>,
    scratch: Vec<u8>,
}

impl Task for Echo {
    fn turn(&mut self, io: &mut dyn Io) -> Turn {
        let network = io.network();
        let owner = *self.owner.get_or_insert_with(|| {
            let owner = network.register();
            let any = "127.0.0.1:0".parse().unwrap();
            self.address.send(network.listen(owner, any).unwrap().1).unwrap();
            owner
        });
        let mut turn = Turn::Idle { wakes_at_ns: None };
        while let Some(event) = network.next_event(owner) {
            turn = Turn::Busy;
            match event {
                NetEvent::Accepted { socket, .. } => {
                    network.adopt(owner, socket);
                }
                NetEvent::Received { connection, bytes } => {
                    self.scratch.clear();
                    self.scratch.extend_from_slice(network.bytes(&bytes));
                    network.release(bytes);
                    network.send(connection, &self.scratch);
                }
                NetEvent::Closed { .. } => return Turn::Finished,
                _ => {}
            }
        }
        turn
    }
}

/// Sends back every number; 0 is the last.
struct Returner {
    from: MeshReceiver<u64>,
    to: MeshSender<u64>,
}

impl Task for Returner {
    fn turn(&mut self, _io: &mut dyn Io) -> Turn {
        let Some(number) = self.from.pop() else {
            return Turn::Idle { wakes_at_ns: None };
        };
        if number == 0 {
            return Turn::Finished;
        }
        self.to.push(number).unwrap();
        Turn::Busy
    }
}

/// One core, on the last CPU; the client stays away from it.
fn one_core(spin: Spin) -> Cores {
    let allowed = allowed_cpus().unwrap();
    let cpus = resolve_cores(&CoresRequest::List(vec![*allowed.last().unwrap()]), &allowed);
    Cores::prepare(ReactorOptions { cpus: cpus.unwrap(), spin }).unwrap()
}

fn network(criterion: &mut Criterion) {
    for (name, spin) in [
        ("loopback 64 bytes, spin always", Spin::Always),
        ("loopback 64 bytes, spin 50us", Spin::For(Duration::from_micros(50))),
    ] {
        let (sender, address) = mpsc::channel();
        let echo = Echo { owner: None, address: sender, scratch: Vec::new() };
        let running = one_core(spin).start(vec![Box::new(|_| Box::new(echo))]).unwrap();
        let mut client = TcpStream::connect(address.recv().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_nonblocking(true).unwrap();
        criterion.bench_function(name, |bencher| bencher.iter(|| ping(&mut client)));
        drop(client);
        assert!(running.join().iter().all(Result::is_ok));
    }
}

fn ping(client: &mut TcpStream) {
    let mut bytes = [7_u8; 64];
    client.write_all(&bytes).unwrap();
    let mut read = 0;
    while read < bytes.len() {
        match client.read(&mut bytes[read..]) {
            Ok(count) => read += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

fn mesh(criterion: &mut Criterion) {
    let cores = one_core(Spin::Always);
    let wakers = cores.wakers();
    let (mut to, from) = channel(16, wakers[0].clone());
    // Whoever receives here polls; waking the core again is harmless.
    let (back, mut returned) = channel(16, wakers[0].clone());
    let task = Returner { from, to: back };
    let running = cores.start(vec![Box::new(|_| Box::new(task))]).unwrap();
    criterion.bench_function("mesh, there and back", |bencher| {
        bencher.iter(|| {
            to.push(1).unwrap();
            while returned.pop().is_none() {}
        });
    });
    to.push(0).unwrap();
    assert!(running.join().iter().all(Result::is_ok));
}

criterion_group!(benches, network, mesh);
criterion_main!(benches);
