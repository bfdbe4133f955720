//! A client's bytes become requests and their bodies, however they are cut.

use super::parse::parse;
use super::request::{Refused, Request};
use bytes::{Buf, Bytes};

/// Longest line, its end included, in bytes.
pub const HEADER_BYTES_MAX: usize = 8 << 10;

/// What stood in the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A request. Where it has a body, that follows, and [`Heard::BodyEnds`] even
    /// if it is empty.
    Request(Request),
    /// The next bytes of the body.
    Body(Bytes),
    /// The body is whole.
    BodyEnds,
    /// A line that is refused. What it announced is skipped.
    Refused(Refused),
}

/// Reads one connection. Keeps less than one line.
#[derive(Default)]
pub struct Reader {
    line: Vec<u8>,
    state: State,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Line,
    Body(u64),
    Skip(u64),
    Closed,
}

impl Reader {
    /// Takes from `bytes` what makes one more event; `None` when they are used up.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<Heard> {
        loop {
            match self.state {
                State::Body(0) => {
                    self.state = State::Line;
                    return Some(Heard::BodyEnds);
                }
                State::Skip(0) => self.state = State::Line,
                _ if bytes.is_empty() => return None,
                State::Body(left) => {
                    let body = bytes.split_to(fitting(left, bytes));
                    self.state = State::Body(left - body.len() as u64);
                    return Some(Heard::Body(body));
                }
                State::Skip(left) => {
                    let skipped = fitting(left, bytes);
                    bytes.advance(skipped);
                    self.state = State::Skip(left - skipped as u64);
                }
                State::Closed => bytes.clear(),
                State::Line => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let length = end.map_or(bytes.len(), |end| end + 1);
                    if self.line.len() + length > HEADER_BYTES_MAX {
                        self.line = Vec::new();
                        self.state = State::Closed;
                        let text = format!("the line is longer than {HEADER_BYTES_MAX} bytes");
                        return Some(Heard::Refused(Refused { close: true, ..Refused::line(text) }));
                    }
                    self.line.extend_from_slice(&bytes.split_to(length));
                    if end.is_some() {
                        return Some(self.line_ends());
                    }
                }
            }
        }
    }

    /// No more bytes come. What stands there without its end is a line all the
    /// same.
    pub fn end(&mut self) -> Option<Heard> {
        (self.state == State::Line && !self.line.is_empty()).then(|| self.line_ends())
    }

    /// How many bytes of a body are still to come.
    pub fn body_left(&self) -> Option<u64> {
        match self.state {
            State::Body(left) => Some(left),
            _ => None,
        }
    }

    /// Whether nothing of a line or of a body stands here.
    pub fn is_between_lines(&self) -> bool {
        self.state == State::Line && self.line.is_empty()
    }

    /// The request's body is not wanted: it is skipped, and no end of it is told.
    pub fn skip_body(&mut self) {
        if let State::Body(left) = self.state {
            self.state = State::Skip(left);
        }
    }

    /// How many bytes it keeps.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn kept(&self) -> usize {
        self.line.len()
    }

    fn line_ends(&mut self) -> Heard {
        let mut line = std::mem::take(&mut self.line);
        line.pop_if(|last| *last == b'\n');
        line.pop_if(|last| *last == b'\r');
        match parse(&line) {
            Ok(request) => {
                if matches!(request, Request::Push { .. } | Request::PushIf { .. }) {
                    self.state = State::Body(request.body());
                }
                Heard::Request(request)
            }
            Err(refused) => {
                self.state = if refused.close { State::Closed } else { State::Skip(refused.body) };
                Heard::Refused(refused)
            }
        }
    }
}

fn fitting(left: u64, bytes: &Bytes) -> usize {
    left.min(bytes.len() as u64) as usize
}
