//! The JSON dialect, as existing clients speak it.

use super::{PATIENCE, Server, cover};
use nodewright::service::stego::service::Config;
use nodewright::service::stego::service::frame::head;
use nodewright::service::stego::{Format, Payload, Reading, extract};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

struct Client(TcpStream);

impl Client {
    fn connect(server: &Server) -> Self {
        let connection = TcpStream::connect(&server.address).expect("is reached");
        connection.set_read_timeout(Some(PATIENCE)).expect("is set");
        Client(connection)
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.0.write_all(&[&head(body.len())[..], body.as_bytes()].concat()).expect("is written");
    }

    /// The next message, or `None` if the server closes instead.
    fn next(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut body).expect("a whole frame");
        Some(serde_json::from_slice(&body).expect("JSON"))
    }

    fn ask(&mut self, message: &Value) -> Option<Value> {
        self.send(message);
        self.next()
    }
}

fn named(verb: &str, request: u64) -> Value {
    json!({ verb: { "client_name": "Client1", "request_id": request } })
}

fn hidden(image: &[u8]) -> Payload {
    let reading = Reading { format: Some(Format::Raw), ..Reading::default() };
    extract(image, &reading, None).expect("something is hidden").payload
}

fn result(answer: &Value) -> (bool, Vec<u8>, &Value) {
    let told = &answer["TaskResponse"];
    let image = serde_json::from_value(told["encrypted_image_data"].clone()).expect("bytes");
    (told["success"] == true, image, &told["error_message"])
}

#[test]
fn an_existing_client_is_served() {
    let own = cover(7, 100, 80);
    let server = Server::start("json", Config { cover: Some(own.into()), ..Config::default() });
    let mut client = Client::connect(&server);
    assert_eq!(client.ask(&json!("LeaderQuery")), Some(json!({ "LeaderResponse": { "leader_id": 1 } })));
    let place = json!({ "request_id": 5, "assigned_server_id": 1, "assigned_server_address": server.address });
    let assigned = client.ask(&named("TaskAssignmentRequest", 5));
    assert_eq!(assigned, Some(json!({ "TaskAssignmentResponse": place })));
    assert_eq!(client.ask(&named("TaskStatusQuery", 5)), Some(json!({ "TaskStatusResponse": place })));
    // Long enough that a worker reads it.
    let image = cover(1, 200, 100);
    let answer = client.ask(&json!({ "TaskRequest": { "client_name": "Client1", "request_id": 5, "image_data": image,
        "image_name": "a.png", "text_to_embed": "meet at dawn", "assigned_by_leader": 1 } }));
    let answer = answer.expect("is answered");
    let (success, image, error) = result(&answer);
    assert!(success && error.is_null());
    assert_eq!(hidden(&image), Payload::Bytes(b"meet at dawn".to_vec()));
    client.send(&named("TaskAck", 5));
    // The acknowledgement has no answer; that the task is gone is seen by its place.
    let mut again = Client::connect(&server);
    while again.ask(&named("TaskStatusQuery", 5)).is_some() {}
    assert_eq!(server.stats().recorded, 1);
    // The later dialect: a secret into the server's own image.
    let secret = [1u8, 2, 3];
    let answer = client.ask(&json!({ "TaskRequest": { "client_name": "Client1", "request_id": 6,
        "secret_image_data": secret, "assigned_by_leader": 1, "unknown": { "later": true } } }));
    let answer = answer.expect("is answered");
    assert_eq!(hidden(&result(&answer).1), Payload::Bytes(secret.to_vec()));
}

#[test]
fn what_does_not_fit_is_told_as_a_failure() {
    let server = Server::start("json-unfit", Config::default());
    let mut client = Client::connect(&server);
    let answer = client
        .ask(&json!({ "TaskRequest": { "client_name": "C", "request_id": 1, "image_data": cover(1, 4, 4),
        "image_name": "a.png", "text_to_embed": "longer than sixteen pixels", "assigned_by_leader": 1 } }));
    let answer = answer.expect("is answered");
    let (success, image, error) = result(&answer);
    assert!(!success && image.is_empty());
    assert!(error.as_str().is_some_and(|why| why.contains("room for 2")), "{error}");
}

#[test]
fn strangers_words_and_server_verbs_are_refused() {
    let server = Server::start("json-forged", Config::default());
    for forged in [
        json!({ "Coordinator": { "leader_id": 9 } }),
        json!({ "HistoryAdd": { "client_name": "C", "request_id": 1, "assigned_server_id": 9, "timestamp": 1 } }),
        json!({ "Heartbeat": { "from_id": 2, "timestamp": 1, "load": 0.0 } }),
    ] {
        assert_eq!(Client::connect(&server).ask(&forged), None, "the connection is closed");
    }
    let mut client = Client::connect(&server);
    assert!(client.ask(&named("TaskAssignmentRequest", 1)).is_some());
    assert_eq!(Client::connect(&server).ask(&named("HistoryRemove", 1)), None);
    assert!(client.ask(&named("TaskStatusQuery", 1)).is_some(), "a stranger removed nothing");
    assert_eq!(client.ask(&json!("LeaderQuery")), Some(json!({ "LeaderResponse": { "leader_id": 1 } })));
    assert_eq!(server.stats().forged, 4);
    for (junk, says) in [
        (json!({ "Shutdown": {} }), "Shutdown"),
        (json!({ "TaskAck": { "client_name": 7, "request_id": 1 } }), "string"),
        (json!({ "TaskRequest": { "client_name": "C", "request_id": 1, "assigned_by_leader": 1 } }), "image_data"),
    ] {
        let mut client = Client::connect(&server);
        let told = client.ask(&junk).expect("says why");
        assert!(told["Error"]["message"].as_str().is_some_and(|why| why.contains(says)), "{told}");
        assert_eq!(client.next(), None, "and closes");
    }
    let mut unknown = Client::connect(&server);
    assert_eq!(unknown.ask(&named("TaskStatusQuery", 99)), None, "nobody has it: ask another server");
}
