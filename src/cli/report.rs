//! What a node tells: one value for people and for the command that started
//! it.

use super::records::Standing;
use super::terminal::{Paint, Terminal};
use serde::{Deserialize, Serialize};

/// Something that happened at a node; as JSON
/// `{"node":"alpha","at_ms":1200,"event":"suspected","peer":"beta",...}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The node's name.
    pub(crate) node: String,
    /// Since its process started.
    pub(crate) at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum What {
    /// A life began.
    Up {
        /// Which life.
        incarnation: u64,
    },
    /// A peer's standing changed in this node's eyes.
    Peer {
        /// Its name.
        peer: String,
        /// Its life.
        incarnation: u64,
        /// What happened to it.
        standing: Standing,
    },
    /// A leader was elected, where the node has an election.
    Leader {
        /// Its node's id.
        leader: String,
        /// Its life.
        incarnation: u64,
        /// The number of its epoch.
        epoch: u64,
    },
    /// How far it has come.
    Status {
        /// Own broadcasts.
        broadcasts: u64,
        /// Deliveries.
        delivered: u64,
        /// Own broadcasts whose guarantee is not met yet.
        pending: u64,
    },
    /// It broadcasts no more, all its broadcasts were delivered and nothing
    /// has arrived for a while.
    Quiet {
        /// Own broadcasts.
        broadcasts: u64,
        /// Deliveries.
        delivered: u64,
    },
    /// Something that the person should know.
    Notice {
        /// What.
        text: String,
    },
    /// It stopped as it was asked to.
    Stopped,
}

impl Report {
    /// The line for people; the time stands in front of it.
    pub(crate) fn human(&self, terminal: &Terminal) -> String {
        let what = match &self.what {
            What::Up { incarnation } => format!("{} (life {incarnation})", terminal.paint(Paint::Green, "up")),
            What::Peer { peer, incarnation, standing } => {
                let (paint, word) = match standing {
                    Standing::Joined => (Paint::Green, "linked with"),
                    Standing::Suspected => (Paint::Yellow, "suspects"),
                    Standing::Restored => (Paint::Green, "restored"),
                    Standing::Ended => (Paint::Red, "saw the end of"),
                    Standing::Left => (Paint::Dim, "saw the leave of"),
                };
                format!("{} {peer} (life {incarnation})", terminal.paint(paint, word))
            }
            What::Leader { leader, incarnation, epoch } => {
                format!("{} {leader} (life {incarnation}) in epoch {epoch}", terminal.paint(Paint::Green, "led by"))
            }
            What::Status { broadcasts, delivered, pending } => {
                format!("broadcast {broadcasts}, delivered {delivered}, {pending} on their way")
            }
            What::Quiet { broadcasts, delivered } => format!("quiet: broadcast {broadcasts}, delivered {delivered}"),
            What::Notice { text } => text.clone(),
            What::Stopped => "stopped".to_string(),
        };
        format!("{} {:<8} {what}", terminal.paint(Paint::Dim, &seconds(self.at_ms)), self.node)
    }
}

/// A time of a run, right aligned.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{:>7.2} s ", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_flat_object_and_reads_back() {
        let report = Report {
            node: "alpha".to_string(),
            at_ms: 1200,
            what: What::Peer { peer: "beta".to_string(), incarnation: 7, standing: Standing::Suspected },
        };
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(
            text,
            r#"{"node":"alpha","at_ms":1200,"event":"peer","peer":"beta","incarnation":7,"standing":"suspected"}"#
        );
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
