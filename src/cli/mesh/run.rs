//! Carries a plan out: start, act, drain, stop, judge.

use super::children::{Children, Event, Order};
use super::plan::{Action, Plan};
use super::tracing::Tracing;
use crate::cli::Failure;
use crate::cli::records::Standing;
use crate::cli::report::{Report, What, seconds};
use crate::cli::terminal::{Paint, Terminal};
use crate::cli::verdict::{Finding, Histories, NodeTotals, Verdict, judge, load};
use crate::id::{Life, NodeId};
use crate::trace;
use crate::transport::keys::ClusterSecret;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the nodes may take to link with one another.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How long they may take to become quiet once they broadcast no more.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);
/// How long they may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How often the state of the mesh is shown.
const SHOW_EVERY: Duration = Duration::from_secs(5);
/// Reports waiting to be read; a full queue makes the readers, and then the
/// nodes' reports, wait.
const EVENTS_MAX: usize = 4096;

/// What a run brought.
pub(crate) struct Outcome {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Per life.
    pub(crate) totals: Vec<NodeTotals>,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
    /// What the lives left behind.
    pub(crate) histories: Histories,
}

/// Carries `plan` out and judges what the nodes left behind.
///
/// # Errors
/// When the nodes cannot be started.
pub(crate) fn run_plan(plan: &Plan, terminal: &Terminal, json: bool) -> Result<Outcome, Failure> {
    let (dir, temporary) = directory(plan)?;
    let secret = dir.join("cluster.secret");
    ClusterSecret::generate().and_then(|made| made.create(&secret)).map_err(Failure::failed)?;
    let (sender, events) = flume::bounded(EVENTS_MAX);
    let interrupt = sender.clone();
    let handled = ctrlc::set_handler(move || {
        // A full queue is being read: the next Ctrl-C finds room.
        let _ = interrupt.try_send(Event::Interrupt);
    });
    if let Err(error) = handled {
        log::warn!("Ctrl-C will not stop the nodes in order: {error}");
    }
    let tracing = plan.trace.as_ref().map(|path| Tracing::new(path, &dir, plan.nodes)).transpose()?;
    let traces = tracing.as_ref().map(Tracing::dir);
    let children = Children::new(plan, &dir, &secret, traces, sender).map_err(|error| cannot("find ports", &error))?;
    let nodes = vec![Seen::default(); plan.nodes];
    let started = Instant::now();
    let mut run = Run {
        plan,
        terminal,
        json,
        children,
        events,
        nodes,
        started,
        findings: Vec::new(),
        interrupted: false,
        tracing,
    };
    run.start()?;
    run.act()?;
    run.drain();
    run.stop();
    let findings = std::mem::take(&mut run.findings);
    let tracing = run.tracing.take();
    drop(run);
    terminal.progress_done();
    if let Some((path, records)) = tracing.map(Tracing::finish).transpose()? {
        log::info!("{}: {records} records", path.display());
        if !json {
            terminal.line(&terminal.paint(Paint::Dim, &format!("trace {}: {records} records", path.display())));
        }
    }
    let histories = load(&dir).map_err(Failure::failed)?;
    let (mut verdict, totals, mut judged) = judge(&histories, Some(plan.nodes));
    if !findings.is_empty() {
        verdict.verdict = "failed";
        judged.splice(0..0, findings);
    }
    if temporary && verdict.ok() {
        if let Err(error) = std::fs::remove_dir_all(&dir) {
            log::warn!("{} stays: {error}", dir.display());
        }
    } else if temporary {
        terminal.complain(&format!("the nodes' records and logs are kept in {}", dir.display()));
    }
    Ok(Outcome { verdict, totals, findings: judged, histories })
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot {what}: {error}"))
}

/// The directory of the run, and whether it is ours to remove.
fn directory(plan: &Plan) -> Result<(PathBuf, bool), Failure> {
    let make =
        |dir: &Path| std::fs::create_dir_all(dir).map_err(|error| cannot(&format!("make {}", dir.display()), &error));
    if let Some(dir) = &plan.dir {
        make(dir)?;
        let used = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
        if used {
            return Err(Failure::usage(format!("{} is not empty: name a new directory", dir.display())));
        }
        return Ok((dir.clone(), false));
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let name = format!("nodewright-mesh-{}-{}", std::process::id(), since.as_millis());
    let dir = std::env::temp_dir().join(name);
    make(&dir)?;
    Ok((dir, true))
}

/// What a node was last seen to be.
#[derive(Clone, Default)]
struct Seen {
    linked: BTreeSet<String>,
    delivered: u64,
    broadcasts: u64,
    quiet: bool,
    stopped: bool,
    paused: bool,
    suspected: u64,
}

struct Run<'a> {
    plan: &'a Plan,
    terminal: &'a Terminal,
    json: bool,
    children: Children,
    events: flume::Receiver<Event>,
    nodes: Vec<Seen>,
    /// Start of the processes, then, once all are linked, of the run.
    started: Instant,
    findings: Vec<Finding>,
    interrupted: bool,
    tracing: Option<Tracing>,
}

impl Run<'_> {
    /// Starts all nodes and waits until each is linked with all others.
    fn start(&mut self) -> Result<(), Failure> {
        for number in 0..self.plan.nodes {
            self.children.start(number).map_err(|error| cannot("start a node", &error))?;
        }
        let others = self.plan.nodes - 1;
        let deadline = Instant::now() + START_WITHIN;
        self.listen_until(deadline, |run| run.nodes.iter().all(|node| node.linked.len() >= others));
        if self.findings.is_empty() && (self.interrupted || self.nodes.iter().all(|node| node.linked.len() >= others)) {
            self.say("", "all nodes are linked with one another", Paint::Green);
            self.started = Instant::now();
            return Ok(());
        }
        let ended = self.findings.iter().map(|finding| format!("\n  {}", finding.what)).collect::<String>();
        Err(Failure::failed(format!("the nodes did not link with one another{ended}")))
    }

    /// Broadcasts go on; the script is carried out.
    fn act(&mut self) -> Result<(), Failure> {
        let end = self.started + self.plan.run_for;
        let mut script = self.plan.script.iter().peekable();
        let mut cut = self.plan.cut_links.map(|every| self.started + every);
        let mut show = self.started + SHOW_EVERY;
        while !self.interrupted && Instant::now() < end {
            let act = script.peek().map(|(when, _)| self.started + *when);
            let next = [act, cut, Some(show), Some(end)].into_iter().flatten().min().unwrap_or(end);
            self.listen_until(next, |run| run.interrupted);
            let now = Instant::now();
            if let Some((_, action)) = script.next_if(|(when, _)| self.started + *when <= now) {
                self.perform(*action)?;
            }
            if let (Some(at), Some(every)) = (cut, self.plan.cut_links)
                && at <= now
            {
                for number in 0..self.plan.nodes {
                    self.children.order(number, Order::Cut);
                }
                cut = Some(at + every);
            }
            if show <= now {
                self.show();
                show += SHOW_EVERY;
            }
        }
        Ok(())
    }

    /// Broadcasts end; what is on its way arrives.
    fn drain(&mut self) {
        for number in 0..self.plan.nodes {
            if std::mem::take(&mut self.nodes[number].paused) {
                self.mark(number, trace::What::Resumed);
                self.signal(number, Signal::CONT);
            }
            self.children.order(number, Order::Hush);
        }
        self.say("", "broadcasts end; what is on its way arrives", Paint::Dim);
        let all_quiet =
            |run: &Self| (0..run.plan.nodes).all(|number| run.nodes[number].quiet || !run.children.is_up(number));
        self.listen_until(Instant::now() + DRAIN_WITHIN, all_quiet);
        for number in 0..self.plan.nodes {
            if self.children.is_up(number) && !self.nodes[number].quiet {
                let within = DRAIN_WITHIN.as_secs();
                self.find("unquiet", number, format!("its broadcasts did not all arrive within {within} s"));
            }
        }
    }

    /// Stops the nodes.
    fn stop(&mut self) {
        for number in 0..self.plan.nodes {
            self.children.order(number, Order::Stop);
        }
        let down = |run: &Self| (0..run.plan.nodes).all(|number| !run.children.is_up(number));
        self.listen_until(Instant::now() + STOP_WITHIN, down);
        for number in 0..self.plan.nodes {
            if self.children.is_up(number) {
                self.find("crashed", number, format!("it did not stop within {} s", STOP_WITHIN.as_secs()));
            }
        }
    }

    /// Handles what comes in until `deadline` or until `done`.
    fn listen_until(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            match self.events.recv_deadline(deadline) {
                Ok(Event::Report(number, starts, report)) if starts == self.children.nodes[number].starts => {
                    self.report(number, report);
                }
                Ok(Event::Closed(number, starts)) if starts == self.children.nodes[number].starts => {
                    self.closed(number)
                }
                // Of a process that was killed.
                Ok(Event::Report(..) | Event::Closed(..)) => {}
                Ok(Event::Interrupt) if self.interrupted => {
                    self.find("crashed", 0, "interrupted twice: the nodes are killed".to_string());
                    for number in 0..self.plan.nodes {
                        self.kill(number);
                    }
                }
                Ok(Event::Interrupt) => self.interrupted = true,
                Err(_) => return,
            }
        }
    }

    fn report(&mut self, number: usize, mut report: Report) {
        let node = &mut self.nodes[number];
        match &report.what {
            What::Peer { peer, standing: Standing::Joined, .. } => {
                node.linked.insert(peer.clone());
            }
            What::Peer { standing: Standing::Suspected, .. } => node.suspected += 1,
            What::Up { incarnation } => {
                if let Some(tracing) = &mut self.tracing {
                    tracing.lives[number] = Some(Life::new(NodeId::from_name(&report.node), *incarnation));
                }
            }
            What::Peer { .. } | What::Notice { .. } => {}
            What::Status { broadcasts, delivered, .. } => {
                (node.broadcasts, node.delivered) = (*broadcasts, *delivered);
            }
            What::Quiet { .. } => node.quiet = true,
            What::Leader { .. } => {}
            What::Stopped => node.stopped = true,
        }
        report.at_ms = self.elapsed_ms();
        if self.json {
            self.terminal.json(&report);
        } else if !matches!(report.what, What::Status { .. } | What::Quiet { .. }) {
            self.terminal.progress_done();
            self.terminal.line(&report.human(self.terminal));
        }
        self.progress();
    }

    fn closed(&mut self, number: usize) {
        let ended = match self.children.collect(number) {
            Ok(Some(status)) if status.success() && self.nodes[number].stopped => return,
            Ok(Some(status)) => format!("its process ended by itself ({status})"),
            Ok(None) => return,
            Err(error) => format!("its process is lost: {error}"),
        };
        let log = self.children.log_tail(number);
        self.find("crashed", number, format!("{ended}{log}"));
    }

    fn perform(&mut self, action: Action) -> Result<(), Failure> {
        let name = |number: usize| self.children.nodes[number].name.clone();
        match action {
            Action::Kill(number) => {
                self.say(&name(number), "killed (SIGKILL)", Paint::Red);
                self.kill(number);
            }
            Action::Restart(number) => {
                self.say(&name(number), "restarted", Paint::Green);
                self.nodes[number] = Seen::default();
                self.children.start(number).map_err(|error| cannot("restart a node", &error))?;
            }
            Action::Pause(number) => {
                self.say(&name(number), "paused (SIGSTOP)", Paint::Yellow);
                self.nodes[number].paused = true;
                self.signal(number, Signal::STOP);
                self.mark(number, trace::What::Paused);
            }
            Action::Resume(number) => {
                self.say(&name(number), "goes on (SIGCONT)", Paint::Green);
                self.nodes[number].paused = false;
                self.mark(number, trace::What::Resumed);
                self.signal(number, Signal::CONT);
            }
        }
        Ok(())
    }

    fn kill(&mut self, number: usize) {
        match self.children.kill(number) {
            // nothing of it can be later than this
            Ok(()) => self.mark(number, trace::What::Crashed),
            Err(error) => self.find("crashed", number, format!("it cannot be killed: {error}")),
        }
    }

    fn mark(&mut self, number: usize, what: trace::What) {
        if let Some(tracing) = &mut self.tracing {
            tracing.mark(number, what);
        }
    }

    fn signal(&mut self, number: usize, signal: Signal) {
        if let Err(error) = self.children.signal(number, signal) {
            self.find("crashed", number, format!("it cannot be signalled: {error}"));
        }
    }

    fn find(&mut self, finding: &'static str, number: usize, what: String) {
        let node = self.children.nodes[number].name.clone();
        self.findings.push(Finding { finding, node, what });
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Something that this command did.
    fn say(&self, node: &str, text: &str, paint: Paint) {
        if self.json {
            let what = What::Notice { text: text.to_string() };
            self.terminal.json(&Report { node: node.to_string(), at_ms: self.elapsed_ms(), what });
            return;
        }
        self.terminal.progress_done();
        let time = self.terminal.paint(Paint::Dim, &seconds(self.elapsed_ms()));
        self.terminal.line(&format!("{time} {node:<8} {}", self.terminal.paint(paint, text)));
    }

    /// One line on all nodes.
    fn show(&self) {
        if self.json {
            return;
        }
        let of = |(number, node): (usize, &Seen)| {
            let name = &self.children.nodes[number].name;
            match (self.children.is_up(number), node.paused) {
                (false, _) => format!("{name} {}", self.terminal.paint(Paint::Red, "down")),
                (true, true) => format!("{name} {}", self.terminal.paint(Paint::Yellow, "paused")),
                (true, false) => format!("{name} {}", node.delivered),
            }
        };
        let nodes: Vec<_> = self.nodes.iter().enumerate().map(of).collect();
        self.say("", &format!("delivered: {}", nodes.join(", ")), Paint::Dim);
    }

    fn progress(&self) {
        if self.json {
            return;
        }
        let up = (0..self.plan.nodes).filter(|number| self.children.is_up(*number)).count();
        let delivered: u64 = self.nodes.iter().map(|node| node.delivered).sum();
        let suspected: u64 = self.nodes.iter().map(|node| node.suspected).sum();
        self.terminal.progress(&format!(
            "{:.0} of {:.0} s, {up} up, {delivered} delivered, {suspected} suspicions",
            self.started.elapsed().as_secs_f64(),
            self.plan.run_for.as_secs_f64(),
        ));
    }
}
