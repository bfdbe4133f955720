//! The JSON dialect of existing clients: an externally tagged enum, image bytes as
//! arrays of numbers. Spoken on the same port; always format `raw`.
//!
//! What the dialect has no words for (no leader yet, no such task) is said by
//! closing the connection, which those clients take as "ask another server".

use super::request::{Answer, Refused, Request, Work};
use super::task::TaskId;
use crate::service::stego::Format;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

/// Bodies beyond this are read by a worker.
pub const LONG_BYTES: usize = 16 << 10;

#[derive(Deserialize)]
enum Message {
    LeaderQuery,
    TaskAssignmentRequest(Named),
    TaskRequest(Task),
    TaskAck(Named),
    TaskStatusQuery(Named),
    Election(IgnoredAny),
    Alive(IgnoredAny),
    Coordinator(IgnoredAny),
    Heartbeat(IgnoredAny),
    HistoryAdd(IgnoredAny),
    HistoryRemove(IgnoredAny),
    LeaderResponse(IgnoredAny),
    TaskAssignmentResponse(IgnoredAny),
    TaskResponse(IgnoredAny),
    TaskStatusResponse(IgnoredAny),
}

#[derive(Deserialize)]
struct Named {
    client_name: String,
    request_id: u64,
}

/// Both shapes: an image and a text for it, or a secret for the server's image.
#[derive(Deserialize)]
struct Task {
    client_name: String,
    request_id: u64,
    image_data: Option<Vec<u8>>,
    #[expect(dead_code, reason = "its type is checked")]
    image_name: Option<String>,
    text_to_embed: Option<String>,
    secret_image_data: Option<Vec<u8>>,
    #[expect(dead_code, reason = "its type is checked; any server may be asked")]
    assigned_by_leader: u32,
}

/// In what words the answer is expected.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Words {
    /// `LeaderResponse`.
    Leader,
    /// `TaskAssignmentResponse`, for this request.
    Assignment(u64),
    /// `TaskResponse`.
    Task(u64),
    /// None at all.
    Nothing,
    /// `TaskStatusResponse`.
    Status(u64),
}

impl Named {
    fn task(self) -> TaskId {
        TaskId { client: self.client_name, request: self.request_id }
    }
}

/// Whether a body is of this dialect.
pub fn is_json(body: &[u8]) -> bool {
    matches!(body.first(), Some(b'{' | b'"'))
}

/// A body, and how it is to be answered.
///
/// # Errors
/// Why it is no request: an unknown variant, a field that is missing or of
/// another type.
pub fn decode(body: &[u8]) -> Result<(Request, Words), Refused> {
    let message = serde_json::from_slice(body).map_err(|error| Refused::Bad(error.to_string()))?;
    let verb = |verb| Ok((Request::ServerVerb(verb), Words::Nothing));
    match message {
        Message::LeaderQuery => Ok((Request::Leader, Words::Leader)),
        Message::TaskAssignmentRequest(named) => {
            let words = Words::Assignment(named.request_id);
            Ok((Request::Assign { task: named.task(), image: None, refused: None }, words))
        }
        Message::TaskRequest(task) => asked(task),
        Message::TaskAck(named) => Ok((Request::Ack { task: named.task() }, Words::Nothing)),
        Message::TaskStatusQuery(named) => {
            let words = Words::Status(named.request_id);
            Ok((Request::Where { task: named.task() }, words))
        }
        Message::Election(_) => verb("Election"),
        Message::Alive(_) => verb("Alive"),
        Message::Coordinator(_) => verb("Coordinator"),
        Message::Heartbeat(_) => verb("Heartbeat"),
        Message::HistoryAdd(_) => verb("HistoryAdd"),
        Message::HistoryRemove(_) => verb("HistoryRemove"),
        Message::LeaderResponse(_) => verb("LeaderResponse"),
        Message::TaskAssignmentResponse(_) => verb("TaskAssignmentResponse"),
        Message::TaskResponse(_) => verb("TaskResponse"),
        Message::TaskStatusResponse(_) => verb("TaskStatusResponse"),
    }
}

fn asked(task: Task) -> Result<(Request, Words), Refused> {
    let Task { client_name, request_id, image_data, text_to_embed, secret_image_data, .. } = task;
    let (cover, payload, is_text) = match (image_data, text_to_embed, secret_image_data) {
        (Some(image), Some(text), None) => (Some(Bytes::from(image)), Bytes::from(text), true),
        (None, None, Some(secret)) => (None, Bytes::from(secret), false),
        _ => {
            let why = "a TaskRequest has image_data and text_to_embed, or else secret_image_data";
            return Err(Refused::Bad(why.to_string()));
        }
    };
    let work = Work { cover, payload, is_text, format: Format::Raw };
    let task = TaskId { client: client_name, request: request_id };
    Ok((Request::Submit { task, fence: None, work }, Words::Task(request_id)))
}

/// An answer's body; `None` where the dialect has no words for it.
pub fn encode_answer(answer: &Answer, words: Words) -> Option<Bytes> {
    let told = match (answer, words) {
        (Answer::Leader(id, ..), Words::Leader) => json!({ "LeaderResponse": { "leader_id": short(*id) } }),
        (Answer::Assigned(assignment), Words::Assignment(request) | Words::Status(request)) => {
            let name = if matches!(words, Words::Status(_)) { "TaskStatusResponse" } else { "TaskAssignmentResponse" };
            let server = short(assignment.server.node.0);
            let address = &assignment.address;
            json!({ name: { "request_id": request, "assigned_server_id": server, "assigned_server_address": address } })
        }
        (Answer::Image(image), Words::Task(request)) => return Some(result(request, image)),
        (Answer::Failed(why), Words::Task(request)) => failed(request, why),
        (Answer::Refused(why @ (Refused::Bad(_) | Refused::OtherImage)), Words::Task(request)) => {
            failed(request, &why.to_string())
        }
        _ => return None,
    };
    Some(told.to_string().into())
}

fn failed(request: u64, why: &str) -> serde_json::Value {
    json!({ "TaskResponse":
        { "request_id": request, "encrypted_image_data": [], "success": false, "error_message": why } })
}

/// Ids have 32 bits in this dialect; greater ones, made of names, are cut.
fn short(id: u64) -> u32 {
    id as u32
}

/// Written by hand: a value for each byte of an image would take 50 times its size.
fn result(request: u64, image: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(image.len() * 4 + 128);
    out.extend_from_slice(
        format!("{{\"TaskResponse\":{{\"request_id\":{request},\"encrypted_image_data\":[").as_bytes(),
    );
    for (at, byte) in image.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if *byte >= 100 {
            out.push(b'0' + byte / 100);
        }
        if *byte >= 10 {
            out.push(b'0' + byte / 10 % 10);
        }
        out.push(b'0' + byte % 10);
    }
    out.extend_from_slice(b"],\"success\":true,\"error_message\":null}}");
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn refused(text: &str) -> String {
        match decode(text.as_bytes()) {
            Err(Refused::Bad(why)) => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn requests_of_existing_clients_are_understood() {
        let (request, words) = decode(b"\"LeaderQuery\"").expect("a unit variant");
        assert_eq!((request, words), (Request::Leader, Words::Leader));
        let text = r#"{"TaskRequest":{"client_name":"C","request_id":3,"image_data":[137,80],"image_name":"a.png",
            "text_to_embed":"hi","assigned_by_leader":1,"later":{"unknown":[1]}}}"#;
        let task = TaskId { client: "C".into(), request: 3 };
        let work = Work { cover: Some(vec![137, 80].into()), payload: "hi".into(), is_text: true, format: Format::Raw };
        let asked = Request::Submit { task: task.clone(), fence: None, work };
        assert_eq!(decode(text.as_bytes()), Ok((asked, Words::Task(3))));
        let text =
            r#"{"TaskRequest":{"client_name":"C","request_id":3,"secret_image_data":[1],"assigned_by_leader":1}}"#;
        let work = Work { cover: None, payload: vec![1].into(), is_text: false, format: Format::Raw };
        assert_eq!(decode(text.as_bytes()), Ok((Request::Submit { task, fence: None, work }, Words::Task(3))));
    }

    #[test]
    fn an_unknown_variant_and_a_field_of_another_type_are_named() {
        assert!(refused(r#"{"Shutdown":{}}"#).contains("Shutdown"));
        assert!(refused(r#"{"TaskAck":{"client_name":"C","request_id":"3"}}"#).contains("u64"));
        assert!(refused(r#"{"TaskAck":{"client_name":"C"}}"#).contains("request_id"));
        let byte = r#"{"TaskRequest":{"client_name":"C","request_id":1,"image_data":[256],"image_name":"a",
            "text_to_embed":"","assigned_by_leader":1}}"#;
        assert!(refused(byte).contains("256"));
        let both = r#"{"TaskRequest":{"client_name":"C","request_id":1,"assigned_by_leader":1}}"#;
        assert!(refused(both).contains("secret_image_data"));
        assert!(refused("{").contains("EOF"));
    }

    #[test]
    fn what_only_servers_say_is_known_as_such() {
        for (text, name) in [
            (r#"{"Coordinator":{"leader_id":9}}"#, "Coordinator"),
            (r#"{"HistoryRemove":{"client_name":"C","request_id":1}}"#, "HistoryRemove"),
            (r#"{"Election":{"from_id":1,"priority":0.0}}"#, "Election"),
        ] {
            assert_eq!(decode(text.as_bytes()), Ok((Request::ServerVerb(name), Words::Nothing)));
        }
    }

    #[test]
    fn a_result_is_an_array_of_numbers() {
        let image: Vec<u8> = (0..=255).collect();
        let body = encode_answer(&Answer::Image(image.clone().into()), Words::Task(9)).expect("has words");
        let value: Value = serde_json::from_slice(&body).expect("JSON");
        let told = &value["TaskResponse"];
        let bytes: Vec<u8> = serde_json::from_value(told["encrypted_image_data"].clone()).expect("bytes");
        assert_eq!((bytes, &told["success"], &told["request_id"]), (image, &Value::Bool(true), &json!(9)));
        assert!(told["error_message"].is_null());
        assert!(encode_answer(&Answer::Refused(Refused::NoLeader), Words::Assignment(1)).is_none());
    }
}
