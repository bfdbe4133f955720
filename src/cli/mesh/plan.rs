//! What is to happen in a run, checked before anything starts.

use super::Args;
use crate::cli::Failure;
use crate::cli::payload;
use crate::cli::values::show;
use crate::protocol::delivery::Delivery;
use std::path::PathBuf;
use std::time::Duration;

/// Something done to a node, counted from 0.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// SIGKILL.
    Kill(usize),
    /// A new process for a killed node.
    Restart(usize),
    /// SIGSTOP.
    Pause(usize),
    /// SIGCONT.
    Resume(usize),
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How many nodes.
    pub(crate) nodes: usize,
    /// How long they broadcast.
    pub(crate) run_for: Duration,
    /// What is done and when, in time order.
    pub(crate) script: Vec<(Duration, Action)>,
    /// How often connections are cut.
    pub(crate) cut_links: Option<Duration>,
    /// The delivery.
    pub(crate) delivery: Delivery,
    /// Broadcasts a second and node.
    pub(crate) rate: u32,
    /// Bytes of a broadcast.
    pub(crate) size: usize,
    /// Where files go; a temporary directory if `None`.
    pub(crate) dir: Option<PathBuf>,
    /// Where the run's trace goes, if one is wanted.
    pub(crate) trace: Option<PathBuf>,
}

impl Plan {
    pub(super) fn new(args: Args) -> Result<Self, Failure> {
        let mut script = Vec::new();
        script.extend(args.kill.iter().map(|at| (at.when, Action::Kill(at.node - 1))));
        script.extend(args.restart.iter().map(|at| (at.when, Action::Restart(at.node - 1))));
        for span in &args.pause {
            script.push((span.from, Action::Pause(span.node - 1)));
            script.push((span.until, Action::Resume(span.node - 1)));
        }
        let plan = Plan {
            nodes: usize::from(args.nodes),
            run_for: args.run_for,
            script,
            cut_links: args.cut_links,
            delivery: args.delivery,
            rate: args.rate,
            size: args.size,
            dir: args.dir,
            trace: args.trace,
        };
        plan.checked().map_err(Failure::usage)
    }

    /// Puts the script in order and looks for what cannot be done.
    ///
    /// # Errors
    /// The first impossible step, for people.
    pub(crate) fn checked(mut self) -> Result<Self, String> {
        self.script.sort_by_key(|(when, _)| *when);
        if self.size < payload::BYTES_MIN {
            return Err(format!(
                "--size {}: a payload that says whose it is needs {} bytes",
                self.size,
                payload::BYTES_MIN
            ));
        }
        if self.delivery == Delivery::UniformAllAck {
            return Err(
                "--delivery uniform.all_ack rests on synchrony, which killed and paused processes break".to_string()
            );
        }
        if self.cut_links.is_some_and(|every| every < Duration::from_millis(10)) {
            return Err("--cut-links: at most 100 times a second (10ms)".to_string());
        }
        let (mut up, mut paused) = (vec![true; self.nodes], vec![false; self.nodes]);
        for (when, action) in &self.script {
            let (Action::Kill(node) | Action::Restart(node) | Action::Pause(node) | Action::Resume(node)) = *action;
            let said = |what: &str| format!("at {}, node {}: {what}", show(*when), node + 1);
            if node >= self.nodes {
                return Err(said(&format!("there are only {} nodes", self.nodes)));
            }
            if *when >= self.run_for {
                return Err(said(&format!("the run is over at {} (--for)", show(self.run_for))));
            }
            match action {
                Action::Restart(_) if up[node] => return Err(said("cannot restart what was not killed")),
                Action::Kill(_) | Action::Pause(_) | Action::Resume(_) if !up[node] => {
                    return Err(said("it was killed before"));
                }
                Action::Pause(_) if paused[node] => return Err(said("it is paused already")),
                _ => {}
            }
            up[node] = !matches!(action, Action::Kill(_));
            paused[node] = matches!(action, Action::Pause(_));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(script: &[(u64, Action)]) -> Result<Plan, String> {
        Plan {
            nodes: 4,
            run_for: Duration::from_secs(20),
            script: script.iter().map(|(s, action)| (Duration::from_secs(*s), *action)).collect(),
            cut_links: None,
            delivery: Delivery::UniformCausal,
            rate: 100,
            size: 64,
            dir: None,
            trace: None,
        }
        .checked()
    }

    #[test]
    fn a_plan_is_put_in_order_and_what_cannot_be_done_is_refused() {
        let script = plan(&[(10, Action::Restart(1)), (5, Action::Kill(1))]).unwrap().script;
        assert_eq!(script[0].1, Action::Kill(1));
        for (wrong, why) in [
            (vec![(5, Action::Restart(1))], "not killed"),
            (vec![(5, Action::Kill(4))], "only 4 nodes"),
            (vec![(25, Action::Kill(1))], "over at 20s"),
            (vec![(5, Action::Kill(1)), (6, Action::Pause(1)), (7, Action::Resume(1))], "killed before"),
            (vec![(5, Action::Kill(1)), (6, Action::Kill(1))], "killed before"),
        ] {
            let said = plan(&wrong).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
