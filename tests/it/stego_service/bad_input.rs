//! What strangers may write to the clients' port, and what comes of it.

use super::{Folder, PATIENCE, Server, cover, work};
use bytes::Bytes;
use nodewright::service::stego::Format;
use nodewright::service::stego::service::frame::head;
use nodewright::service::stego::service::{Answer, Config, Refused, Request, TaskId, Work};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

fn task(request: u64) -> TaskId {
    TaskId { client: "client".into(), request }
}

fn assign(server: &Server, request: u64, image: Option<[u8; 32]>) -> Answer {
    server.ask(&Request::Assign { task: task(request), image, refused: None })
}

#[test]
fn what_does_not_fit_is_a_final_answer_with_both_numbers() {
    let server = Server::start("unfit", Config::default());
    let mut client = server.client();
    let error = client.embed(1, work(1, &"x".repeat(2000)), None).map(drop);
    let _ = error.as_ref().expect("compressed it fits");
    let mut rng = fastrand::Rng::with_seed(1);
    let noise: Bytes = (0..2000).map(|_| rng.u8(..)).collect::<Vec<u8>>().into();
    let long = Work { payload: noise, is_text: false, ..work(1, "") };
    let error = client.embed(2, long, None).expect_err("48 x 48 pixels hold 864 bytes").to_string();
    assert!(error.contains("takes 2000") && error.contains("room for"), "{error}");
    let empty = client.embed(3, work(1, ""), None).expect("an empty text is a text");
    assert!(!empty.image.is_empty());
    let junk = Work { cover: Some("no image".into()), ..work(1, "x") };
    let error = client.embed(4, junk, None).expect_err("no image").to_string();
    assert!(error.contains("PNG"), "{error}");
    let bare = Work { cover: None, ..work(1, "x") };
    let error = client.embed(5, bare, None).expect_err("the server has no image").to_string();
    assert!(error.contains("cover_image"), "{error}");
    assert_eq!(server.stats().open, 0, "those that failed are over too");
}

#[test]
fn a_request_id_stands_for_one_image() {
    let server = Server::start("ids", Config::default());
    let hash = |seed| Some(*blake3_of(&cover(seed, 48, 48)));
    let Answer::Assigned(first) = assign(&server, 1, hash(1)) else { panic!("is assigned") };
    assert_eq!(assign(&server, 1, hash(1)), Answer::Assigned(first.clone()), "the same until it is acknowledged");
    assert_eq!(assign(&server, 1, hash(2)), Answer::Refused(Refused::OtherImage));
    let other = Request::Submit { task: task(1), fence: Some(first.fence()), work: work(2, "x") };
    assert_eq!(server.ask(&other), Answer::Refused(Refused::OtherImage));
    let right = Request::Submit { task: task(1), fence: Some(first.fence()), work: work(1, "x") };
    assert!(matches!(server.ask(&right), Answer::Image(_)));
}

fn blake3_of(bytes: &[u8]) -> Box<[u8; 32]> {
    Box::new(*blake3::hash(bytes).as_bytes())
}

#[test]
fn what_was_never_assigned_is_neither_done_nor_acknowledged() {
    let server = Server::start("never", Config::default());
    assert_eq!(server.ask(&Request::Ack { task: task(9) }), Answer::Refused(Refused::NoSuchTask));
    let Answer::Assigned(made) = assign(&server, 1, None) else { panic!("is assigned") };
    let submit = |request, fence| Request::Submit { task: task(request), fence: Some(fence), work: work(1, "x") };
    assert_eq!(server.ask(&submit(9, made.fence())), Answer::Refused(Refused::NoSuchTask));
    let Answer::Assigned(anew) = server.ask(&Request::Assign { task: task(1), image: None, refused: Some(1) }) else {
        panic!("is assigned anew")
    };
    assert_eq!(anew.attempt, 2);
    assert_eq!(server.ask(&submit(1, made.fence())), Answer::Assigned(anew.clone()), "the first attempt is over");
    assert!(matches!(server.ask(&submit(1, anew.fence())), Answer::Image(_)));
    assert_eq!(server.ask(&Request::Ack { task: task(1) }), Answer::Acked(true));
    assert_eq!(server.ask(&Request::Ack { task: task(1) }), Answer::Refused(Refused::NoSuchTask), "recorded once");
    let stats = server.stats();
    assert_eq!((stats.recorded, stats.fenced, stats.open), (1, 1, 0));
    let nameless = TaskId { client: String::new(), request: 1 };
    assert!(matches!(server.ask(&Request::Ack { task: nameless }), Answer::Refused(Refused::Bad(_))));
}

fn connect(server: &Server) -> TcpStream {
    let connection = TcpStream::connect(&server.address).expect("is reached");
    connection.set_read_timeout(Some(PATIENCE)).expect("is set");
    connection
}

/// All that is answered until the server closes.
fn rest(mut connection: TcpStream) -> String {
    let mut all = Vec::new();
    match connection.read_to_end(&mut all) {
        Ok(_) => {}
        // Cut in the middle of what we wrote.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn a_frame_over_the_limit_is_refused_before_it_comes() {
    let server = Server::start("long", Config { frame_bytes_max: 1 << 20, ..Config::default() });
    let mut connection = connect(&server);
    connection.write_all(&head((1 << 20) + 1)).expect("is written");
    let said = rest(connection);
    assert!(said.contains("over the limit of 1048576"), "{said}");
    let mut connection = connect(&server);
    connection.write_all(&head(usize::MAX)).expect("is written");
    assert_eq!(rest(connection), "", "no frame of this dialect begins so");
    let mut connection = connect(&server);
    connection.write_all(&[&head(3)[..], b"\x05ab"].concat()).expect("is written");
    let said = rest(connection);
    assert!(said.contains("0x05"), "{said}");
    assert!(server.stats().cut >= 2);
}

#[test]
fn one_who_drips_is_cut_and_delays_nobody() {
    let server = Server::start("drip", Config { frame_within: Duration::from_millis(400), ..Config::default() });
    let mut slow = connect(&server);
    slow.write_all(&head(1 << 20)).expect("is written");
    let begun = Instant::now();
    let done = server.client().embed(1, work(1, "meanwhile"), None).expect("is done");
    assert_eq!(done.wrong, 0);
    let mut dripped = 0;
    while slow.write_all(b"x").is_ok() && begun.elapsed() < PATIENCE {
        dripped += 1;
        std::thread::sleep(Duration::from_millis(20)); // this is what it is about
    }
    assert!(dripped > 0 && begun.elapsed() < PATIENCE, "{dripped} bytes and still there");
    assert!(server.stats().cut >= 1);
}

#[test]
fn connections_have_a_cap() {
    let server = Server::start("cap", Config { clients_max: 3, ..Config::default() });
    let mut kept: Vec<TcpStream> = (0..3).map(|_| connect(&server)).collect();
    let ask = |connection: &mut TcpStream| {
        let body = b"\"LeaderQuery\"";
        connection.write_all(&[&head(body.len())[..], body].concat()).expect("is written");
        let mut answer = [0; 64];
        connection.read(&mut answer).unwrap_or(0)
    };
    assert!(kept.iter_mut().all(|connection| ask(connection) > 0));
    assert_eq!(ask(&mut connect(&server)), 0, "the fourth is let go");
    drop(kept.pop());
    let until = Instant::now() + PATIENCE;
    while ask(&mut connect(&server)) == 0 {
        assert!(Instant::now() < until, "there is room again");
    }
}

#[test]
fn a_full_server_says_so() {
    let server = Server::start("full", Config { workers: 1, queue_max: 0, ..Config::default() });
    let large = Work { cover: Some(cover(1, 1200, 900).into()), format: Format::Raw, ..work(1, "x") };
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked = |n| {
            let (server, work) = (&server, large.clone());
            move || server.ask(&Request::Submit { task: task(n), fence: None, work })
        };
        let running: Vec<_> = (0..6).map(|n| scope.spawn(asked(n))).collect();
        running.into_iter().map(|client| client.join().expect("is answered")).collect()
    });
    let full = answers.iter().filter(|answer| **answer == Answer::Full).count();
    let done = answers.iter().filter(|answer| matches!(answer, Answer::Image(_))).count();
    assert_eq!(full + done, 6, "each is answered");
    assert!(done >= 1 && server.stats().full == full as u64);
}

#[test]
fn keys_that_are_not_known_are_named() {
    let folder = Folder::new("keys");
    let refused = |name: &str, text: &str, arguments: &[&str], says: &str| {
        std::fs::write(folder.path(name), text).expect("is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
        let output = command.arg("stego").args(arguments).args(["--config", &folder.path(name)]).output();
        let output = output.expect("starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}: {said}");
        assert!(said.contains(says), "{text} does not say {says}: {said}");
    };
    let server = "[server]\nid = 1\naddress = \"127.0.0.1:1\"\n";
    let peers = "[peers]\npeers = [{ id = 2, address = \"127.0.0.1:2\" }]\n";
    let serve = |more: &str, says| refused("server.toml", &format!("{server}{more}"), &["serve"], says);
    serve(&format!("colour = 1\n{peers}"), "colour");
    serve(&format!("{peers}[election]\nheartbeat = 1\n"), "heartbeat");
    serve(&format!("{peers}[election]\nfailure_timeout_secs = \"3\"\n"), "failure_timeout_secs");
    serve(&format!("{peers}[election]\nmonitor_interval_secs = 0\n"), "monitor_interval_secs");
    serve(&format!("{peers}[encryption]\nthread_pool_size = 0\n"), "thread_pool_size");
    serve("[peers]\npeers = [{ id = 1, address = \"127.0.0.1:2\" }]\n", "id 1 is given twice");
    serve("", "peers");
    let client = "[client]\nname = \"C\"\nserver_addresses = [\"127.0.0.1:1\"]\n";
    let send = |text: &str, says| refused("client.toml", text, &["send", "--image", &folder.path("client.toml")], says);
    send(&format!("{client}retries = 3\n"), "retries");
    send(&format!("{client}[requests]\nrate_per_second = 0\n"), "rate_per_second");
    send("[client]\nname = \"C\"\nserver_addresses = []\n", "server_addresses");
}
