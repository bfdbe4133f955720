//! Clients of the service: each has an errand, and asks as the shipped client does.

use crate::id::Kind;
use crate::scenario::stacks::{NAMES, millis};
use crate::service::stego::service::errand::Pace;
use crate::service::stego::service::{Answer, Call, Errand, NAME, Refused, Request, Step, TaskId, Told, Work};
use crate::service::stego::{Cover, Format, Output, Reading, extract};
use crate::sim::check::Violation;
use crate::sim::{Counts, NodeIndex, Ticket, World};
use crate::time::Time;
use bytes::Bytes;
use std::time::Duration;

/// How long a client waits for a server.
const WITHIN: Duration = Duration::from_millis(2500);
const SIDE: u32 = 12;

enum State {
    /// A server was asked; whether to do the task.
    Asked(Ticket, bool),
    Waits(Time),
    Over,
}

struct Client {
    errand: Errand,
    task: TaskId,
    text: Bytes,
    fits: bool,
    state: State,
    /// To whom it is, as it was told last.
    at: Option<String>,
    /// Why it ended without a result.
    failed: Option<String>,
}

pub(super) struct Clients {
    nodes: usize,
    all: Vec<Client>,
    cover: Bytes,
    /// What came back and hid something else.
    pub(super) wrong: Vec<String>,
    full: u64,
    other_images: u64,
    asked_on: u64,
}

fn ask(world: &mut World, server: usize, request: Request) -> Ticket {
    world.call(NodeIndex(server), Kind::of(NAME), Box::new(Call(request)), WITHIN)
}

fn cover(shade: u8) -> Bytes {
    let pixels = vec![shade; (SIDE * SIDE * 3) as usize];
    Cover::rgb8(SIDE, SIDE, pixels).write(Output::Fast).expect("a small image").into()
}

impl Clients {
    pub(super) fn new(nodes: usize) -> Self {
        Clients { nodes, all: Vec::new(), cover: cover(128), wrong: Vec::new(), full: 0, other_images: 0, asked_on: 0 }
    }

    /// A client begins a task. Numbers are those of others too: names tell them apart.
    pub(super) fn begin(&mut self, world: &mut World) {
        let at = self.all.len() as u64;
        let task = TaskId { client: format!("client{}", at % 3), request: at / 3 };
        let fits = world.rng().u32(0..10) > 0;
        let text = if fits { format!("{task}") } else { "too long ".repeat(20) };
        let text = Bytes::from(text);
        let work = Work { cover: Some(self.cover.clone()), payload: text.clone(), is_text: true, format: Format::Raw };
        let servers = NAMES[..self.nodes].iter().map(ToString::to_string).collect();
        let first = world.rng().usize(0..self.nodes);
        let pace = Pace { poll: millis(300), leaderless: millis(50) };
        let mut errand = Errand::new(task.clone(), work, servers, first, pace);
        let step = errand.begin();
        let mut client = Client { errand, task, text, fits, state: State::Over, at: None, failed: None };
        let mut wrong = Vec::new();
        client.step(step, world, &mut wrong);
        self.all.push(client);
    }

    /// Takes what was answered, and goes on.
    pub(super) fn go_on(&mut self, world: &mut World) {
        for client in &mut self.all {
            let told = match &client.state {
                State::Asked(ticket, ..) => match world.answer::<Answer>(*ticket) {
                    Some(answer) => answer.map_or(Told::Broken, Told::Answer),
                    None => continue,
                },
                State::Waits(until) if *until <= world.now() => Told::Waited,
                State::Waits(_) | State::Over => continue,
            };
            match &told {
                Told::Answer(Answer::Full) => self.full += 1,
                Told::Answer(Answer::Assigned(assignment)) => client.at = Some(assignment.address.clone()),
                Told::Broken => self.asked_on += 1,
                _ => {}
            }
            let step = client.errand.told(told);
            client.step(step, world, &mut self.wrong);
        }
    }

    /// A server that a task rests on at this moment.
    pub(super) fn assigned(&self, world: &World) -> Option<NodeIndex> {
        let mut busy = self.all.iter().filter(|client| matches!(client.state, State::Asked(_, true)));
        busy.find_map(|client| {
            let place = NAMES.iter().position(|name| Some(*name) == client.at.as_deref())?;
            world.is_up(NodeIndex(place)).then_some(NodeIndex(place))
        })
    }

    pub(super) fn are_done(&self) -> bool {
        self.all.iter().all(|client| matches!(client.state, State::Over))
    }

    /// What keeps those that are not done.
    pub(super) fn stuck(&self, world: &World, down: NodeIndex) -> Option<Violation> {
        let client = self.all.iter().find(|client| !matches!(client.state, State::Over))?;
        // Assigned and never done is an orphan, whoever is said to have it.
        let at = client.at.as_deref();
        let what = if at.is_some() { "no orphans" } else { "termination" };
        Some(Violation::new(
            what,
            format!("at {:?} {} is not done; {at:?} has it, {down:?} is down", world.now(), client.task),
        ))
    }

    /// With nothing broken and servers idle, a burst is answered: each task is taken or
    /// turned away with a word; and a number stands for one image.
    pub(super) fn calm(&mut self, world: &mut World, down: NodeIndex) -> Result<(), Violation> {
        let server = (0..self.nodes).find(|node| *node != down.0 && world.is_up(NodeIndex(*node))).unwrap_or(0);
        let work = |shade| Work { cover: Some(cover(shade)), payload: "x".into(), is_text: true, format: Format::Raw };
        let task = |request| TaskId { client: "burst".into(), request };
        let burst: Vec<Ticket> = (0..12)
            .map(|n| ask(world, server, Request::Submit { task: task(n), fence: None, work: work(7) }))
            .collect();
        let other = ask(world, server, Request::Submit { task: task(0), fence: None, work: work(8) });
        world.run_for(WITHIN + millis(500));
        for (n, ticket) in burst.into_iter().enumerate() {
            match world.answer::<Answer>(ticket) {
                Some(Ok(Answer::Image(_))) => {}
                Some(Ok(Answer::Full)) => self.full += 1,
                answer => {
                    let why = format!("in calm, task {n} of a burst of 12 came to {answer:?}");
                    return Err(Violation::new("no task dropped silently", why));
                }
            }
        }
        if let Some(Ok(Answer::Refused(Refused::OtherImage))) = world.answer::<Answer>(other) {
            self.other_images += 1;
        }
        Ok(())
    }

    pub(super) fn count(&self, counts: &mut Counts) {
        let over =
            |fits| self.all.iter().filter(|it| it.fits == fits && matches!(it.state, State::Over)).count() as u64;
        counts.insert("tasks done", over(true));
        counts.insert("tasks that do not fit", over(false));
        counts.insert("servers full", self.full);
        counts.insert("asked on", self.asked_on);
        counts.insert("other images refused", self.other_images);
    }

    /// Those that ended otherwise than they should have.
    pub(super) fn misled(&self) -> impl Iterator<Item = String> {
        self.all.iter().filter(|client| matches!(client.state, State::Over)).filter_map(|client| {
            let right = client.failed.is_none() == client.fits;
            (!right).then(|| format!("{}: {:?}", client.task, client.failed))
        })
    }
}

impl Client {
    fn step(&mut self, mut step: Step, world: &mut World, wrong: &mut Vec<String>) {
        loop {
            step = match step {
                Step::Ask { server, request } => {
                    let place = NAMES.iter().position(|name| *name == server).unwrap_or(0);
                    let works = matches!(request, Request::Submit { .. });
                    self.state = State::Asked(ask(world, place, request), works);
                    return;
                }
                Step::Wait(time) => {
                    self.state = State::Waits(world.now() + time);
                    return;
                }
                Step::Look(image) => {
                    let reading = Reading { format: Some(Format::Raw), ..Reading::default() };
                    let found = extract(&image, &reading, None).map(|found| found.payload.bytes().to_vec());
                    if found.as_deref() != Ok(&self.text[..]) {
                        wrong.push(format!("{}: {found:?}", self.task));
                    }
                    self.errand.told(Told::Good)
                }
                Step::Failed(why) => {
                    self.failed = Some(why);
                    self.state = State::Over;
                    return;
                }
                Step::Done => {
                    self.state = State::Over;
                    return;
                }
            };
        }
    }
}
