//! Our own dialect: a byte that no JSON begins with, a compact head, and then bytes
//! as they are. An image is never inside a text.

use super::request::{Answer, Refused, Request, Work};
use super::stats::Stats;
use super::task::{Assignment, Fence, ImageHash, TaskId};
use crate::codec::{put_head, take_head};
use crate::service::stego::Format;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The first byte of a body, with the dialect's version.
pub const VERSION: u8 = 0x01;

#[derive(Serialize, Deserialize)]
enum Asks {
    Leader,
    Assign {
        task: TaskId,
        image: Option<ImageHash>,
        refused: Option<u32>,
    },
    /// The payload follows, and then the cover.
    Submit {
        task: TaskId,
        fence: Option<Fence>,
        payload_bytes: u32,
        is_text: bool,
        boxed: bool,
        own_cover: bool,
    },
    Ack {
        task: TaskId,
    },
    Where {
        task: TaskId,
    },
    Stats,
}

#[derive(Serialize, Deserialize)]
enum Tells {
    Leader(u64, String, u64),
    Assigned(Assignment),
    /// A file follows.
    Image,
    Failed(String),
    Full,
    Acked(bool),
    Stats(Box<Stats>),
    Refused(Refused),
}

/// The head of a request's body; what follows it are `parts`.
pub fn encode(request: &Request) -> (Vec<u8>, Vec<Bytes>) {
    let (head, parts) = match request.clone() {
        Request::Leader => (Asks::Leader, Vec::new()),
        Request::Assign { task, image, refused } => (Asks::Assign { task, image, refused }, Vec::new()),
        Request::Submit { task, fence, work } => {
            let Work { cover, payload, is_text, format } = work;
            let payload_bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            let boxed = format != Format::Raw;
            let head = Asks::Submit { task, fence, payload_bytes, is_text, boxed, own_cover: cover.is_none() };
            (head, [Some(payload), cover].into_iter().flatten().collect())
        }
        Request::Ack { task } => (Asks::Ack { task }, Vec::new()),
        Request::Where { task } => (Asks::Where { task }, Vec::new()),
        Request::Stats | Request::ServerVerb(_) => (Asks::Stats, Vec::new()),
    };
    (with_head(&head), parts)
}

fn with_head<T: Serialize>(head: &T) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_head(&mut out, head);
    out
}

/// A request's body.
///
/// # Errors
/// Why it is none.
pub fn decode(body: &Bytes) -> Result<Request, Refused> {
    let bad = |why: &str| Err(Refused::Bad(why.to_string()));
    match body.first() {
        Some(&VERSION) => {}
        Some(other) => {
            return bad(&format!("a body that begins with {other:#04x} is of no dialect that is spoken here"));
        }
        None => return bad("an empty frame"),
    }
    let Some((head, at)) = take_head::<Asks>(&body[1..]) else { return bad("the head of the frame does not decode") };
    let mut rest = body.slice(1 + at..);
    let request = match head {
        Asks::Leader => Request::Leader,
        Asks::Assign { task, image, refused } => Request::Assign { task, image, refused },
        Asks::Submit { task, fence, payload_bytes, is_text, boxed, own_cover } => {
            if payload_bytes as usize > rest.len() {
                return bad("the payload is longer than the frame");
            }
            let payload = rest.split_to(payload_bytes as usize);
            let cover = (!own_cover).then(|| std::mem::take(&mut rest));
            let format = if boxed { Format::Boxed } else { Format::Raw };
            Request::Submit { task, fence, work: Work { cover, payload, is_text, format } }
        }
        Asks::Ack { task } => Request::Ack { task },
        Asks::Where { task } => Request::Where { task },
        Asks::Stats => Request::Stats,
    };
    if rest.is_empty() { Ok(request) } else { bad("bytes follow that belong to nothing") }
}

/// An answer's body: its head, and what follows.
pub fn encode_answer(answer: Answer) -> (Vec<u8>, Option<Bytes>) {
    let (head, file) = match answer {
        Answer::Leader(id, address, epoch) => (Tells::Leader(id, address, epoch), None),
        Answer::Assigned(assignment) => (Tells::Assigned(assignment), None),
        Answer::Image(image) => (Tells::Image, Some(image)),
        Answer::Failed(why) => (Tells::Failed(why), None),
        Answer::Full => (Tells::Full, None),
        Answer::Acked(recorded) => (Tells::Acked(recorded), None),
        Answer::Stats(stats) => (Tells::Stats(stats), None),
        Answer::Refused(why) => (Tells::Refused(why), None),
    };
    (with_head(&head), file)
}

/// An answer's body, for clients.
pub fn decode_answer(body: &Bytes) -> Option<Answer> {
    let (head, at) = take_head::<Tells>(body.strip_prefix(&[VERSION])?)?;
    let rest = body.slice(1 + at..);
    Some(match head {
        Tells::Leader(id, address, epoch) => Answer::Leader(id, address, epoch),
        Tells::Assigned(assignment) => Answer::Assigned(assignment),
        Tells::Image => Answer::Image(rest),
        Tells::Failed(why) => Answer::Failed(why),
        Tells::Full => Answer::Full,
        Tells::Acked(recorded) => Answer::Acked(recorded),
        Tells::Stats(stats) => Answer::Stats(stats),
        Tells::Refused(why) => Answer::Refused(why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined((head, parts): (Vec<u8>, Vec<Bytes>)) -> Bytes {
        parts.iter().fold(head, |body, part| [&body[..], part].concat()).into()
    }

    fn task() -> TaskId {
        TaskId { client: "Client1".into(), request: 7 }
    }

    #[test]
    fn what_is_asked_arrives() {
        let work = Work { cover: Some("a cover".into()), payload: "text".into(), is_text: true, format: Format::Raw };
        let fence = Some(Fence { epoch: 5, attempt: 2 });
        for request in [
            Request::Leader,
            Request::Stats,
            Request::Assign { task: task(), image: Some([7; 32]), refused: Some(1) },
            Request::Submit { task: task(), fence, work: work.clone() },
            Request::Submit { task: task(), fence: None, work: Work { cover: None, format: Format::Boxed, ..work } },
            Request::Ack { task: task() },
            Request::Where { task: task() },
        ] {
            assert_eq!(decode(&joined(encode(&request))), Ok(request));
        }
    }

    #[test]
    fn junk_is_refused_and_says_why() {
        let good = joined(encode(&Request::Where { task: task() }));
        for length in 0..good.len() {
            assert!(matches!(decode(&good.slice(..length)), Err(Refused::Bad(_))), "cut at {length}");
        }
        let longer = Bytes::from([&good[..], b"x"].concat());
        assert_eq!(decode(&longer), Err(Refused::Bad("bytes follow that belong to nothing".into())));
        assert!(matches!(decode(&Bytes::from_static(b"\x02")), Err(Refused::Bad(why)) if why.contains("0x02")));
        assert!(decode(&Bytes::from_static(b"\x01\xff\xff\xff\xff")).is_err(), "an unknown verb");
    }

    #[test]
    fn a_payload_cannot_be_longer_than_its_frame() {
        let head = Asks::Submit {
            task: task(),
            fence: None,
            payload_bytes: u32::MAX,
            is_text: false,
            boxed: true,
            own_cover: true,
        };
        assert_eq!(decode(&with_head(&head).into()), Err(Refused::Bad("the payload is longer than the frame".into())));
    }
}
