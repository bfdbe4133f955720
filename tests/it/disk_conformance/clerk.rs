//! The component: does one step after the other and says what came of each.

use bytes::Bytes;
use nodewright::component::{
    Context, DiskDone, DiskOp, Input, Manifest, NetComponent, ReplyTo, StreamId, StreamInput, StreamOp,
};
use nodewright::error::Fault;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::ErrorKind;

/// Something to be done on the disk.
#[derive(Clone, Debug)]
pub enum Step {
    Op(DiskOp),
    /// Streams a file from `offset` to its end: `first` bytes of it, then some
    /// operations, then the rest.
    Stream {
        name: String,
        offset: u64,
        first: u64,
        meanwhile: Vec<DiskOp>,
    },
    /// Opens a file's stream and writes on it.
    WriteOnStream(String),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Done,
    Read(Bytes),
    List(Vec<(String, u64)>),
    Failed(ErrorKind),
    /// All bytes of a stream.
    Streamed(Bytes),
    /// A stream that was cut.
    Reset,
}

/// A stream under way.
struct Streaming {
    id: StreamId,
    first: u64,
    whole: Vec<u8>,
    meanwhile: VecDeque<DiskOp>,
    /// Whether the operations have begun, and whether all are done.
    paused: bool,
    resumed: bool,
    end: Option<Answer>,
}

/// One call at a time.
#[derive(Default)]
pub struct Clerk {
    steps: VecDeque<Step>,
    answers: Vec<Answer>,
    asked: Option<ReplyTo>,
    streaming: Option<Streaming>,
}

impl Clerk {
    fn next(&mut self, cx: &mut Context<'_, Self>) {
        let mut open = |name, offset, first, meanwhile: Vec<DiskOp>| {
            let id = cx.open_stream(StreamOp::OpenFile { name, offset });
            let (whole, meanwhile) = (Vec::new(), meanwhile.into());
            self.streaming = Some(Streaming { id, first, whole, meanwhile, paused: false, resumed: false, end: None });
            id
        };
        match self.steps.pop_front() {
            Some(Step::Op(op)) => {
                cx.disk(op);
            }
            Some(Step::Stream { name, offset, first, meanwhile }) => {
                open(name, offset, first, meanwhile);
            }
            Some(Step::WriteOnStream(name)) => {
                let id = open(name, 0, u64::MAX, Vec::new());
                cx.stream(id, StreamOp::Write(Bytes::from_static(b"no")));
            }
            None => {
                if let Some(asked) = self.asked.take() {
                    cx.reply(asked, std::mem::take(&mut self.answers));
                }
            }
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_, Self>) {
        self.answers.push(answer);
        self.next(cx);
    }
}

impl Streaming {
    fn input(&mut self, input: StreamInput, cx: &mut Context<'_, Clerk>) {
        match input {
            StreamInput::Opened { .. } if self.first > 0 => cx.stream(self.id, StreamOp::Grant(self.first)),
            StreamInput::Opened { .. } => self.pause(cx),
            StreamInput::Chunk(chunk) => {
                self.whole.extend_from_slice(&chunk);
                let got = self.whole.len() as u64;
                assert!(self.resumed || got <= self.first, "more came than was granted");
                if got == self.first {
                    self.pause(cx);
                }
            }
            StreamInput::Finished => {
                self.end = Some(Answer::Streamed(std::mem::take(&mut self.whole).into()));
                self.pause(cx);
            }
            StreamInput::Reset(_) => {
                self.end = Some(Answer::Reset);
                self.pause(cx);
            }
            StreamInput::Writable(_) => {}
        }
    }

    /// The first bytes, or the end, are there: now the operations.
    fn pause(&mut self, cx: &mut Context<'_, Clerk>) {
        if !self.paused {
            self.paused = true;
            self.go_on(cx);
        }
    }

    /// The next operation, then the rest.
    fn go_on(&mut self, cx: &mut Context<'_, Clerk>) {
        match self.meanwhile.pop_front() {
            Some(op) => {
                cx.disk(op);
            }
            None => {
                self.resumed = true;
                cx.stream(self.id, StreamOp::Grant(1 << 40));
            }
        }
    }
}

impl NetComponent for Clerk {
    type Message = ();
    type Call = Vec<Step>;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest::new("clerk")
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match (input, &mut self.streaming) {
            (Input::Call { call, reply_to }, _) => {
                self.steps = call.into();
                self.asked = Some(reply_to);
                self.next(cx);
            }
            (Input::Disk { .. }, Some(streaming)) => streaming.go_on(cx),
            (Input::Disk { result, .. }, None) => {
                let answer = match result {
                    Ok(DiskDone::Ok) => Answer::Done,
                    Ok(DiskDone::Read(bytes)) => Answer::Read(bytes),
                    Ok(DiskDone::List(files)) => Answer::List(files),
                    Err(error) => Answer::Failed(error.kind()),
                };
                self.answer(answer, cx);
            }
            (Input::Stream { id, input }, Some(streaming)) if streaming.id == id => streaming.input(input, cx),
            _ => {}
        }
        if let Some(streaming) = self.streaming.take_if(|streaming| streaming.resumed && streaming.end.is_some()) {
            self.answers.extend(streaming.end);
            self.next(cx);
        }
        Ok(())
    }
}
