//! Which node a file is entered at: highest random weight.
//!
//! Everyone who knows the same nodes gets the same order, without a table. When a
//! node goes, only the names that it was the first for move, and they spread evenly
//! over the others.
//!
//! Source: Thaler, Ravishankar, *Using name-based mappings to increase hit rates*,
//! IEEE/ACM Transactions on Networking 6(1), 1998.

/// The nodes in the order in which they are to be tried for `name`.
pub fn ranked<N: AsRef<str>>(name: &[u8], nodes: impl IntoIterator<Item = N>) -> Vec<N> {
    let mut weighed: Vec<(u64, N)> = nodes.into_iter().map(|node| (weight(name, node.as_ref()), node)).collect();
    weighed.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.as_ref().cmp(other.as_ref())));
    weighed.into_iter().map(|(_, node)| node).collect()
}

fn weight(name: &[u8], node: &str) -> u64 {
    let mut hash = blake3::Hasher::new();
    // the length stands between the two, so that no pair reads as another
    hash.update(&(node.len() as u64).to_le_bytes()).update(node.as_bytes()).update(name);
    let bytes = hash.finalize();
    bytes.as_bytes()[..8].iter().fold(0, |weight, byte| weight << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const NODES: [&str; 5] = ["h:7000", "h:7001", "h:7002", "h:7003", "h:7004"];

    #[test]
    fn names_spread_evenly_and_the_order_of_the_nodes_is_of_no_account() {
        let mut counts = BTreeMap::new();
        for n in 0..5000 {
            let name = format!("file-{n}");
            let ranked = ranked(name.as_bytes(), NODES);
            assert_eq!(ranked, super::ranked(name.as_bytes(), NODES.into_iter().rev()));
            *counts.entry(ranked[0]).or_insert(0) += 1;
        }
        assert!(counts.len() == 5 && counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn only_the_names_of_a_node_that_goes_are_moved() {
        for n in 0..1000 {
            let name = format!("file-{n}");
            let with = ranked(name.as_bytes(), NODES);
            let without = ranked(name.as_bytes(), NODES.into_iter().filter(|node| *node != "h:7002"));
            let expected: Vec<_> = with.into_iter().filter(|node| *node != "h:7002").collect();
            assert_eq!(without, expected, "the order of the others stays");
        }
    }

    #[test]
    fn no_node_is_no_node() {
        assert!(ranked(b"a", Vec::<String>::new()).is_empty());
        assert_ne!(weight(b"b", "a"), weight(b"", "ab"));
    }
}
