//! Random sequences: whatever is asked, the two disks answer the same.

use super::clerk::Step;
use super::{real, simulated};
use bytes::Bytes;
use nodewright::component::DiskOp;
use proptest::prelude::*;

/// Few names, so that they meet: files where directories are, and the reverse.
/// Few names, so that they meet: files where directories are, and the reverse.
const NAMES: [&str; 12] = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "a/b", "x.y", "", "../a", "d/"];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

fn content() -> impl Strategy<Value = Bytes> {
    (prop_oneof![6 => 0usize..20, 1 => 4000usize..9000], any::<u8>())
        .prop_map(|(length, first)| (0..length).map(|at| first.wrapping_add(at as u8)).collect())
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..30, 2 => 4080u64..8200, 1 => prop::sample::select(vec![300_000, 1 << 41, u64::MAX])]
}

fn op() -> impl Strategy<Value = DiskOp> {
    prop_oneof![
        5 => (name(), content()).prop_map(|(name, bytes)| DiskOp::Append { name, bytes }),
        3 => (name(), offset(), content()).prop_map(|(name, offset, bytes)| DiskOp::WriteAt { name, offset, bytes }),
        2 => (name(), 0u64..9000).prop_map(|(name, bytes)| DiskOp::Allocate { name, bytes }),
        1 => name().prop_map(|name| DiskOp::Sync { name }),
        2 => (name(), content()).prop_map(|(name, bytes)| DiskOp::Replace { name, bytes }),
        4 => (name(), name()).prop_map(|(from, to)| DiskOp::Rename { from, to }),
        1 => name().prop_map(|name| DiskOp::SyncDir { name }),
        4 => (name(), offset(), offset()).prop_map(|(name, offset, bytes)| DiskOp::Read { name, offset, bytes }),
        3 => name().prop_map(|name| DiskOp::List { name }),
        2 => name().prop_map(|name| DiskOp::Remove { name }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let stream = (name(), offset(), 0u64..20, prop::collection::vec(op(), 0..4));
    prop_oneof![
        12 => op().prop_map(Step::Op),
        1 => stream.prop_map(|(name, offset, first, meanwhile)| Step::Stream { name, offset, first, meanwhile }),
    ]
}

/// All that can be seen of a directory in the end.
fn look() -> impl Iterator<Item = Step> {
    let whole = |name: &str| DiskOp::Read { name: name.into(), offset: 0, bytes: 20_000 };
    let lists = ["", "d", "d/e", "a", "b"].map(|name| DiskOp::List { name: name.into() });
    lists.into_iter().chain(["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "a/b", "x.y"].map(whole)).map(Step::Op)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn both_disks_answer_the_same(steps in prop::collection::vec(step(), 1..30)) {
        let steps: Vec<Step> = steps.into_iter().chain(look()).collect();
        let answers = simulated(steps.clone()).into_iter().zip(real(steps.clone()));
        for (at, (simulated, real)) in answers.enumerate() {
            prop_assert_eq!(simulated, real, "step {}: {:?}", at, steps[at]);
        }
    }
}
