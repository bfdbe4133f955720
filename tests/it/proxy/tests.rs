//! The proxy does what it is told, and nothing else.

use super::{Alteration, Faults, Proxy, Way};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection through a proxy: who dialled, and the target's end of it.
fn through(proxy: &Proxy, target: &TcpListener) -> (TcpStream, TcpStream) {
    let near = TcpStream::connect(proxy.address).expect("the proxy listens");
    let far = target.accept().expect("the proxy dials").0;
    for end in [&near, &far] {
        end.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    }
    (near, far)
}

fn proxied(up: Faults, seed: u64) -> (Proxy, TcpListener) {
    let target = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = Proxy::to(target.local_addr().expect("bound"), seed);
    proxy.set(Way::Up, up);
    (proxy, target)
}

/// What arrives at the target of these bytes when their sender ends.
fn carried(up: Faults, seed: u64, bytes: &[u8]) -> (Vec<u8>, Proxy) {
    let (proxy, target) = proxied(up, seed);
    let (mut near, mut far) = through(&proxy, &target);
    let mut arrived = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = near.write_all(bytes); // it may be cut
            let _ = near.shutdown(Shutdown::Write);
            let _ = near.read(&mut [0]);
        });
        far.read_to_end(&mut arrived).expect("an orderly end");
        drop(far);
    });
    (arrived, proxy)
}

fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn without_faults_bytes_and_ends_pass_both_ways() {
    let (proxy, target) = proxied(Faults::default(), 1);
    let (mut near, mut far) = through(&proxy, &target);
    near.write_all(b"question").expect("written");
    near.shutdown(Shutdown::Write).expect("open");
    let mut text = String::new();
    far.read_to_string(&mut text).expect("its end is passed on");
    assert_eq!(text, "question");
    far.write_all(b"answer").expect("the other way is open");
    drop(far);
    text.clear();
    near.read_to_string(&mut text).expect("and its end");
    assert_eq!((text.as_str(), proxy.done().bytes, proxy.done().altered), ("answer", 14, 0));
    let bytes = numbered(3 << 20);
    assert!(carried(Faults::default(), 1, &bytes).0 == bytes);
}

#[test]
fn latency_and_jitter_delay_and_keep_the_order() {
    let latency = Duration::from_millis(30);
    let begun = Instant::now();
    let bytes = numbered(100_000);
    let (arrived, _) = carried(Faults { latency, jitter: latency, ..Faults::default() }, 2, &bytes);
    assert!(arrived == bytes);
    assert!(begun.elapsed() >= latency);
}

#[test]
fn slices_are_small_and_lose_nothing() {
    let bytes = numbered(5000);
    let (arrived, proxy) = carried(Faults { slice_max: 7, ..Faults::default() }, 3, &bytes);
    assert!(arrived == bytes);
    assert!(proxy.done().writes >= 5000 / 7, "{:?}", proxy.done());
}

/// Whether nothing comes, looked at for a moment.
fn silent(mut end: &TcpStream) -> bool {
    end.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    let nothing =
        end.read(&mut [0]).is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    end.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    nothing
}

#[test]
fn a_stalled_way_is_silent_and_open_and_the_other_flows() {
    let (proxy, target) = proxied(Faults { stalled: true, ..Faults::default() }, 4);
    let (mut near, mut far) = through(&proxy, &target);
    near.write_all(b"held").expect("the proxy's socket takes it");
    near.shutdown(Shutdown::Write).expect("open");
    far.write_all(b"down").expect("written");
    let mut text = [0; 4];
    near.read_exact(&mut text).expect("one-way: down flows");
    assert_eq!(&text, b"down");
    assert!(silent(&far), "neither bytes nor the end pass a stalled way");
    proxy.set(Way::Up, Faults::default());
    let mut rest = String::new();
    far.read_to_string(&mut rest).expect("it flows again");
    assert_eq!(rest, "held");
}

#[test]
fn a_connection_is_cut_after_exactly_so_many_bytes_and_the_next_is_not() {
    for after in [0, 1, 4999] {
        let bytes = numbered(5000);
        let (proxy, target) = proxied(Faults { cut_after: Some(after), ..Faults::default() }, 5);
        let (mut near, mut far) = through(&proxy, &target);
        near.write_all(&bytes).expect("the proxy's socket takes it");
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).expect("cut in order");
        assert!(arrived == bytes[..after as usize], "{} of {after}", arrived.len());
        assert!(near.read(&mut [0]).map_or(true, |read| read == 0), "cut at both ends");
        assert_eq!(proxy.done().cuts, 1);
        let (mut near, mut far) = through(&proxy, &target);
        near.write_all(&bytes).expect("written");
        far.read_exact(&mut vec![0; 5000]).expect("all of it");
    }
}

#[test]
fn alterations_fall_where_the_seed_says_and_as_often_as_asked_for() {
    let bytes = numbered(200_000);
    let altered = |alteration, seed| {
        let (arrived, proxy) = carried(Faults { alter: Some((alteration, 1000)), ..Faults::default() }, seed, &bytes);
        let altered = proxy.done().altered;
        assert!((100..400).contains(&altered), "{altered} of about 200");
        (arrived, altered as usize)
    };
    let (flipped, count) = altered(Alteration::Flip, 6);
    assert_eq!(flipped.iter().zip(&bytes).filter(|(a, b)| a != b).count(), count);
    assert!(flipped == altered(Alteration::Flip, 6).0, "the same seed");
    assert!(flipped != altered(Alteration::Flip, 7).0, "another seed");
    let (dropped, count) = altered(Alteration::Drop, 6);
    assert_eq!(dropped.len(), bytes.len() - count);
    assert!(altered(Alteration::Repeat, 6).0.len() > bytes.len());
    let whole = carried(Faults { alter: Some((Alteration::Repeat, 1)), ..Faults::default() }, 6, b"record").0;
    assert_eq!(whole, b"recordrecord");
}
