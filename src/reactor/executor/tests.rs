//! Cores that run, sleep and wake.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::reactor::{
    Clock, Io, MeshReceiver, MeshSender, NetEvent, OwnerId, SystemClock, allowed_cpus, channel,
    resolve_cores, sleep,
};

fn cores(count: u16, spin: Spin) -> Cores {
    let request = crate::reactor::CoresRequest::Count(count);
    let cpus = resolve_cores(&request, &allowed_cpus().unwrap()).unwrap();
    Cores::prepare(ReactorOptions { cpus, spin }).unwrap()
}

fn factory<T: Task + 'static>(task: impl FnOnce() -> T + Send + 'static) -> TaskFactory {
    Box::new(move |_| Box::new(task()))
}

#[track_caller]
fn check_all_finished(running: RunningCores) {
    for (core, ended) in running.join().into_iter().enumerate() {
        assert_eq!(ended, Ok(()), "core {core}");
    }
}

/// Sends a number back after a random pause, one higher, until it reaches the last.
struct Player {
    from: MeshReceiver<u64>,
    to: MeshSender<u64>,
    rng: fastrand::Rng,
    last: u64,
    held: Option<(u64, u64)>,
}

impl Player {
    fn pause_ns(&mut self) -> u64 {
        match self.rng.u8(..) {
            0..=99 => 0,
            100..=239 => self.rng.u64(0..30_000),
            240..=254 => self.rng.u64(0..300_000),
            255 => 2_000_000,
        }
    }
}

impl Task for Player {
    fn turn(&mut self, io: &mut dyn Io) -> Turn {
        let now_ns = io.clock().monotonic_ns();
        if self.held.is_none() {
            match self.from.pop() {
                Some(value) => self.held = Some((value, now_ns + self.pause_ns())),
                None => return Turn::Idle { wakes_at_ns: None },
            }
        }
        let (value, at_ns) = self.held.expect("set above");
        if now_ns < at_ns {
            return Turn::Idle { wakes_at_ns: Some(at_ns) };
        }
        self.held = None;
        if value <= self.last {
            self.to.push(value + 1).expect("there is one number in the game");
        }
        if value < self.last { Turn::Busy } else { Turn::Finished }
    }
}

fn play(rounds: u64, spin: Spin, seed: u64) {
    let cores = cores(2, spin);
    let wakers = cores.wakers();
    let (mut to_first, first_in) = channel(2, Arc::clone(&wakers[0]));
    let (to_second, second_in) = channel(2, Arc::clone(&wakers[1]));
    // The first number comes from outside; the sender moves into the second player.
    to_first.push(0).unwrap();
    let player = |from, to, own_seed| {
        let rng = fastrand::Rng::with_seed(own_seed);
        factory(move || Player { from, to, rng, last: rounds, held: None })
    };
    let running = cores
        .start(vec![player(first_in, to_second, seed), player(second_in, to_first, seed + 1)])
        .unwrap();
    check_all_finished(running);
}

#[test]
fn ping_pong_with_random_pauses_never_hangs() {
    play(8_000, Spin::For(Duration::ZERO), 1);
    play(6_000, Spin::For(Duration::from_micros(5)), 3);
    play(6_000, Spin::For(Duration::from_micros(50)), 5);
}

#[test]
#[ignore = "takes a quarter of an hour: cargo test --release --lib ten_million -- --ignored"]
fn ten_million_ping_pongs_never_hang() {
    play(10_000_000, Spin::For(Duration::from_micros(5)), 7);
}

/// Does nothing for a while.
struct Sleeper {
    until_ns: u64,
    cpu_ns_before: Option<u64>,
    cpu_ns: Arc<AtomicU64>,
}

impl Task for Sleeper {
    fn turn(&mut self, io: &mut dyn Io) -> Turn {
        let before_ns = *self.cpu_ns_before.get_or_insert_with(sys::thread_cpu_ns);
        if io.clock().monotonic_ns() < self.until_ns {
            return Turn::Idle { wakes_at_ns: Some(self.until_ns) };
        }
        self.cpu_ns.store(sys::thread_cpu_ns() - before_ns, Ordering::Relaxed);
        Turn::Finished
    }
}

#[test]
fn an_idle_core_uses_less_than_a_hundredth_of_its_cpu() {
    let cpu_ns = Arc::new(AtomicU64::new(u64::MAX));
    let until_ns = SystemClock.monotonic_ns() + 800_000_000;
    let used = Arc::clone(&cpu_ns);
    let task = factory(move || Sleeper { until_ns, cpu_ns_before: None, cpu_ns: used });
    check_all_finished(cores(1, Spin::For(Duration::from_micros(50))).start(vec![task]).unwrap());
    let late_ns = SystemClock.monotonic_ns() - until_ns;
    assert!(late_ns < 500_000_000, "woken {late_ns} ns late");
    let cpu_ns = cpu_ns.load(Ordering::Relaxed);
    assert!(cpu_ns < 8_000_000, "{cpu_ns} ns of CPU in 0.8 s");
}

/// Waits for a flag and for nothing else.
struct Waiter {
    flag: Arc<AtomicBool>,
}

impl Task for Waiter {
    fn turn(&mut self, _: &mut dyn Io) -> Turn {
        match self.flag.load(Ordering::Acquire) {
            true => Turn::Finished,
            false => Turn::Idle { wakes_at_ns: None },
        }
    }
}

#[test]
fn other_threads_wake_more_cores_than_there_are_cpus() {
    let cores = cores(5, Spin::For(Duration::from_micros(50)));
    let wakers = cores.wakers();
    let flag = Arc::new(AtomicBool::new(false));
    let tasks = (0..5).map(|_| {
        let flag = Arc::clone(&flag);
        factory(move || Waiter { flag })
    });
    let running = cores.start(tasks.collect()).unwrap();
    sleep(Duration::from_millis(20));
    flag.store(true, Ordering::Release);
    wakers.iter().for_each(|waker| waker.wake());
    check_all_finished(running);
}

struct Panics;

impl Task for Panics {
    fn turn(&mut self, _: &mut dyn Io) -> Turn {
        panic!("as planned");
    }
}

#[test]
fn a_panic_is_reported_by_join() {
    let flag = Arc::new(AtomicBool::new(true));
    let tasks = vec![factory(|| Panics), factory(move || Waiter { flag })];
    let ended = cores(2, Spin::Always).start(tasks).unwrap().join();
    assert_eq!(ended, [Err(CoreFailure::Panicked("as planned".into())), Ok(())]);
}

#[test]
fn a_cpu_that_is_not_there_is_an_error() {
    let cores = Cores::prepare(ReactorOptions { cpus: vec![4_000], spin: Spin::Always }).unwrap();
    let error = cores.start(vec![factory(|| Panics)]).unwrap_err();
    assert!(error.to_string().contains("CPU 4000"), "{error}");
}

/// Sends back what comes, until its one client goes.
struct Echo {
    owner: Option<OwnerId>,
    address: mpsc::Sender<SocketAddr>,
}

impl Task for Echo {
    fn turn(&mut self, io: &mut dyn Io) -> Turn {
        let network = io.network();
        let owner = *self.owner.get_or_insert_with(|| {
            let owner = network.register();
            let any = "127.0.0.1:0".parse().unwrap();
            let (_, address) = network.listen(owner, any).unwrap();
            self.address.send(address).unwrap();
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
                    let copy = network.bytes(&bytes).to_vec();
                    network.release(bytes);
                    network.send(connection, &copy);
                }
                NetEvent::Closed { .. } => return Turn::Finished,
                _ => {}
            }
        }
        turn
    }
}

fn echo_rounds(spin: Spin, mut each: impl FnMut(&mut dyn FnMut())) {
    let (sender, address) = mpsc::channel();
    let task = factory(move || Echo { owner: None, address: sender });
    let running = cores(1, spin).start(vec![task]).unwrap();
    let mut client = TcpStream::connect(address.recv().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    let mut bytes = [7; 64];
    each(&mut || {
        client.write_all(&bytes).unwrap();
        client.read_exact(&mut bytes).unwrap();
    });
    drop(client);
    check_all_finished(running);
}

#[test]
fn the_network_wakes_a_sleeping_core() {
    let mut rng = fastrand::Rng::with_seed(11);
    echo_rounds(Spin::For(Duration::from_micros(20)), |ping| {
        for _ in 0..300 {
            ping();
            sleep(Duration::from_micros(rng.u64(0..400)));
        }
    });
}
