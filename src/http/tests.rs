//! The front over sockets, before a store that answers at once.

use super::routes::{ROUTES, Route};
use super::store::{Later, Store};
use super::{Limits, Options, Server, Token, openapi};
use crate::id::NodeId;
use crate::protocol::replicated_log::{Key, Level, Status};
use crate::service::documents::{Answer, Command, DocumentError, Done, Got, Question, Receipt, Written};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Says yes to all; knows nothing.
struct Yes;

impl Store for Yes {
    fn commit(&self, command: Command, _: Option<Key>, _: Duration) -> Later<Receipt<Done>> {
        let value = match command {
            Command::Write(steps) => Done::Written(vec![Written::default(); steps.len()]),
            _ => Done::Changed(true),
        };
        Box::pin(async { Ok(Receipt { term: 1, index: 7, synced: 2, value }) })
    }

    fn ask(&self, question: Question, level: Level, _: Duration) -> Later<Option<Got<Answer>>> {
        let value = match question {
            Question::Collections => Answer::Collections(Default::default()),
            Question::Count(..) => Answer::Count(0),
            _ => return Box::pin(async { Err(DocumentError::NotDone("there is no leader".into())) }),
        };
        Box::pin(async move { Ok(Some(Got { applied: 7, level, value })) })
    }

    fn outcome(&self, _: Key, _: Duration) -> Later<Option<Receipt<Done>>> {
        Box::pin(async { Ok(None) })
    }

    fn status(&self) -> Later<Status> {
        Box::pin(async { Ok(Status::default()) })
    }

    fn about(&self) -> Value {
        json!({ "name": "yes" })
    }

    fn name_of(&self, _: NodeId) -> Option<String> {
        None
    }

    fn remove(&self, _: NodeId, _: Duration) -> Later<()> {
        Box::pin(async { Ok(()) })
    }
}

fn serve(options: Options) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    Server::start(listener, options, Arc::new(Yes)).expect("serves")
}

fn limited(change: impl FnOnce(&mut Limits)) -> Server {
    let mut options = Options::default();
    change(&mut options.limits);
    serve(options)
}

/// A request as it is, and all that comes back until the other side closes.
fn raw(to: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let _ = stream.write_all(request.as_bytes()); // it may be refused before all is sent
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer); // or reset
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default())
}

fn ask_with(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    let (status, body) = raw(to, &request);
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn ask(to: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Value) {
    ask_with(to, method, path, "", body)
}

#[track_caller]
fn refused(answer: (u16, Value), status: u16, code: &str) -> String {
    assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{}", answer.1);
    assert_eq!(answer.1["state"], "not_done", "{}", answer.1);
    assert!(answer.1["hint"].is_string() && !answer.1["message"].as_str().unwrap_or_default().is_empty());
    answer.1["message"].as_str().unwrap_or_default().to_string()
}

fn path_of(route: &Route) -> String {
    route.path.replace("{key}", &"a".repeat(32)).replace(['{', '}'], "")
}

#[test]
fn the_description_has_every_route_of_the_router_and_nothing_else() {
    let server = serve(Options::default());
    let described = ask(server.local_addr(), "GET", "/v1/openapi.json", "").1;
    assert_eq!(described, openapi::description(false));
    let mut found = BTreeSet::new();
    for (path, operations) in described["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            found.insert((path.clone(), method.clone()));
        }
    }
    let table = ROUTES.iter().map(|route| (route.path.to_string(), route.method.to_string()));
    assert_eq!(found, table.collect());
    let names: BTreeSet<_> = ROUTES.iter().map(|route| route.name).collect();
    assert_eq!(names.len(), ROUTES.len(), "names are unique");
    // What the router really takes: each path with each method.
    for path in ROUTES.iter().map(path_of).collect::<BTreeSet<_>>() {
        for method in ["get", "put", "post", "patch", "delete"] {
            let described = ROUTES.iter().any(|route| path_of(route) == path && route.method == method);
            if described && path.ends_with("watch") {
                continue; // a stream does not end
            }
            let (status, body) = ask(server.local_addr(), &method.to_uppercase(), &path, "");
            let nothing_there = status == 405 || status == 404 && body["code"] == "route";
            assert_eq!(!nothing_there, described, "{method} {path}: {status} {body}");
        }
    }
    for route in ROUTES.iter().filter(|route| !route.body.is_empty()) {
        assert!(serde_json::from_str::<Value>(route.body).is_ok(), "{} has an example", route.name);
    }
}

/// The example of each route that writes is taken as it stands.
#[test]
fn the_examples_of_the_description_are_taken() {
    let server = serve(Options::default());
    for route in ROUTES.iter().filter(|route| route.kind == super::routes::RouteKind::Writes) {
        let (status, body) = ask(server.local_addr(), &route.method.to_uppercase(), &path_of(route), route.body);
        assert_eq!(status, route.status, "{}: {body}", route.name);
        assert_eq!(body["receipt"], json!({"term": 1, "index": 7, "synced": 2}), "{}", route.name);
    }
}

#[test]
fn bad_bodies_are_refused_and_say_why() {
    let server = serve(Options::default());
    let to = server.local_addr();
    let add = |body: &str| ask(to, "POST", "/v1/collections/c/documents", body);
    assert!(refused(add("{\"a\":"), 400, "json").contains("no JSON"));
    refused(add("{\"a\": NaN}"), 400, "json");
    refused(add("{\"a\": 1e400}"), 400, "json");
    refused(add(""), 400, "json");
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    refused(add(&format!("{{\"a\":{}}}", deep(1000))), 400, "too_deep");
    refused(add(&format!("{{\"a\":{}}}", deep(70))), 400, "too_deep");
    refused(add("3"), 400, "document");
    refused(add("{\"_id\": 3}"), 400, "document");
    refused(add(&format!("{{\"a\":\"{}\"}}", "x".repeat(600 << 10))), 400, "document");
    let second = ask(to, "POST", "/v1/collections/c/documents", "[{\"a\":1},{\"_id\":\"\"}]");
    assert_eq!(second.1["write"], 1, "{}", second.1);
    for fine in ["{\"a\":-0.0}", "{\"a\":1e308}", "{\"a\":18446744073709551615,\"b\":-9223372036854775808}"] {
        assert_eq!(add(fine).0, 201, "{fine}");
    }
    let find = |body: &str| ask(to, "POST", "/v1/collections/c/find", body);
    assert!(refused(find("{\"filter\":{\"a\":{\"$near\":1}}}"), 400, "query").contains("'$near'"));
    assert!(refused(find("{\"filtre\":{}}"), 400, "request").contains("filtre"));
    refused(find("{\"limit\":-1}"), 400, "request");
    refused(ask(to, "POST", "/v1/collections/c/delete", "{}"), 400, "request");
    refused(ask(to, "POST", "/v1/batch", "{\"writes\":[{\"op\":\"explode\"}]}"), 400, "request");
    refused(ask(to, "PUT", "/v1/collections/c/documents/x", "{\"_id\":\"y\"}"), 400, "id");
    refused(ask(to, "PATCH", "/v1/collections/c/documents/x", "{\"$set\":{\"_id\":\"y\"}}"), 400, "query");
    refused(ask(to, "GET", "/v1/status", "{}"), 400, "body");
}

#[test]
fn bad_heads_are_refused_and_say_why() {
    let server = serve(Options::default());
    let to = server.local_addr();
    refused(ask(to, "GET", "/v2/collections", ""), 404, "route");
    refused(ask(to, "POST", "/v1/status", ""), 405, "method");
    refused(ask(to, "GET", "/v1/collections?lvel=stale", ""), 400, "query");
    refused(ask(to, "GET", "/v1/collections?level=fresh", ""), 400, "level");
    refused(ask(to, "GET", "/v1/collections?within=1y", ""), 400, "within");
    refused(ask(to, "GET", "/v1/collections?within=0s", ""), 400, "within");
    refused(ask(to, "GET", "/v1/outcome/zz", ""), 400, "idempotency_key");
    let delete = |headers: &str| ask_with(to, "DELETE", "/v1/collections/c/documents/x", headers, "");
    refused(delete("idempotency-key: me\r\n"), 400, "idempotency_key");
    refused(delete("if-match: W/x\r\n"), 400, "revision");
    assert_eq!(delete("idempotency-key: 6fa459ea-ee8a-3ca4-894e-db77e160355e\r\nif-match: \"41\"\r\n").0, 200);
    refused(ask(to, "GET", "/v1/collections/c/documents/x", ""), 503, "unavailable");
    refused(ask_with(to, "GET", "/v1/watch", "last-event-id: x\r\n", ""), 400, "token");
    refused(ask(to, "GET", "/v1/watch?after=8", ""), 400, "token");
    refused(ask(to, "GET", "/v1/collections/c/watch", ""), 404, "no_collection");
    assert_eq!(raw(to, "no http at all\r\n\r\n").0, 400);
    let long = format!("GET /{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "x".repeat(100 << 10));
    assert!([414, 431].contains(&raw(to, &long).0));
}

#[test]
fn strangers_do_not_get_in() {
    let open = serve(Options::default());
    let foreign = "GET /v1/status HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(raw(open.local_addr(), foreign).0, 403);
    refused(ask_with(open.local_addr(), "GET", "/v1/status", "origin: http://evil.example\r\n", ""), 403, "foreign");
    let token = Some(Token::new("0123456789abcdef").expect("one"));
    let secured = serve(Options { token: token.clone(), ..Options::default() });
    let with = |headers: &str| ask_with(secured.local_addr(), "GET", "/v1/status", headers, "");
    refused(with(""), 401, "unauthorized");
    refused(with("authorization: Bearer 0123456789abcdeX\r\n"), 401, "unauthorized");
    assert_eq!(with("authorization: Bearer 0123456789abcdef\r\n").0, 200);
    let everywhere = || TcpListener::bind("0.0.0.0:0").expect("a port");
    let refusal = Server::start(everywhere(), Options::default(), Arc::new(Yes)).expect_err("no token");
    assert!(refusal.to_string().contains("there is no token"), "{refusal}");
    assert!(Server::start(everywhere(), Options { token, ..Options::default() }, Arc::new(Yes)).is_ok());
}

#[test]
fn a_body_has_a_bound_whether_it_is_declared_or_not() {
    let server = limited(|limits| limits.body_bytes = 1000);
    let to = server.local_addr();
    refused(ask(to, "POST", "/v1/batch", &"x".repeat(1001)), 413, "body");
    let head = "POST /v1/batch HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n";
    let (status, _) = raw(to, &format!("{head}content-length: 99999999999999\r\n\r\n"));
    assert_eq!(status, 413, "before it is sent");
    let chunks = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        format!("1f4\r\n{}\r\n", "x".repeat(500)).repeat(3)
    );
    assert_eq!(raw(to, &chunks).0, 413);
}

#[test]
fn who_is_slow_is_closed() {
    let server = limited(|limits| {
        limits.head_within = Duration::from_millis(200);
        limits.body_within = Duration::from_millis(200);
    });
    let to = server.local_addr();
    let (status, _) = raw(to, "GET /v1/status HTTP/1.1\r\nhost:");
    assert!([0, 408].contains(&status), "half a head: {status}");
    let half = "POST /v1/batch HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{";
    let (status, body) = raw(to, half);
    assert_eq!((status, body.contains("\"slow\"")), (408, true), "{body}");
}

#[test]
fn connections_and_requests_have_a_bound() {
    let server = limited(|limits| limits.connections = 2);
    let to = server.local_addr();
    let kept: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(to).expect("listens");
            stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").expect("is sent");
            let mut first = [0; 12];
            stream.read_exact(&mut first).expect("is answered");
            assert_eq!(&first, b"HTTP/1.1 200");
            stream
        })
        .collect();
    let (status, body) = raw(to, "");
    assert_eq!((status, body.contains("2 connections are open already")), (503, true), "{body}");
    drop(kept);
    let few = limited(|limits| limits.requests_per_second = 3);
    let statuses: Vec<u16> = (0..6).map(|_| ask(few.local_addr(), "GET", "/v1/status", "").0).collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
}

#[test]
fn an_address_has_one_rate_however_many_connections_it_asks_on() {
    let (per_second, threads, each) = (5, 8, 5);
    let few = limited(|limits| limits.requests_per_second = per_second);
    let (to, began) = (few.local_addr(), std::time::Instant::now());
    let asked =
        |_| std::thread::spawn(move || (0..each).map(|_| ask(to, "GET", "/v1/status", "").0).collect::<Vec<_>>());
    let threads: Vec<_> = (0..threads).map(asked).collect();
    let statuses: Vec<u16> = threads.into_iter().flat_map(|it| it.join().expect("no panic")).collect();
    // the bucket's content, and what flowed in meanwhile
    let most = f64::from(per_second) * (1.0 + began.elapsed().as_secs_f64());
    let let_in = statuses.iter().filter(|status| **status == 200).count();
    assert!(let_in >= 5 && let_in as f64 <= most, "{let_in} of {}, at most {most}", statuses.len());
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
}

#[test]
fn a_stopped_server_is_gone_and_its_streams_end() {
    let mut server = serve(Options::default());
    let to = server.local_addr();
    let mut stream = TcpStream::connect(to).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    stream.write_all(b"GET /v1/collections HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").expect("is sent");
    let mut some = [0; 12];
    stream.read_exact(&mut some).expect("is answered");
    server.stop();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest); // ends, one way or the other
    assert!(TcpStream::connect(to).is_err());
}
