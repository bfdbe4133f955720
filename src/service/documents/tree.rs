//! An ordered map whose clones share all they have in common: a B+ tree with
//! copy-on-write nodes (Rodeh, *B-trees, Shadowing, and Clones*, ACM ToS 2008).
//!
//! A clone costs one counter. While nobody else holds a node it is changed in
//! place; a node that a clone holds too is copied, with the path to it, once.

use std::cmp::Ordering;
use std::sync::Arc;

/// Most entries of a node.
const ENTRIES_MAX: usize = 32;
/// Fewest, beyond which it is joined with a neighbour where both fit into one.
const ENTRIES_MIN: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Tree<K, V> {
    root: Arc<Node<K, V>>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    /// Children, each with a key that none of its own is less than; the first
    /// child's counts as less than all.
    Inner(Vec<(K, Arc<Node<K, V>>)>),
}

impl<K, V> Clone for Tree<K, V> {
    fn clone(&self) -> Self {
        Tree { root: self.root.clone(), len: self.len }
    }
}

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Tree { root: Arc::new(Node::Leaf(Vec::new())), len: 0 }
    }
}

impl<K, V> Node<K, V> {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// The first entry or child's first key that is not before.
    fn partition(&self, before: &impl Fn(&K) -> bool) -> usize {
        match self {
            Node::Leaf(entries) => entries.partition_point(|(key, _)| before(key)),
            Node::Inner(children) => children.partition_point(|(key, _)| before(key)),
        }
    }
}

impl<K: Clone + Ord, V: Clone> Tree<K, V> {
    /// How many entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The value of the key for which `compare` says `Equal`, as it is told the
    /// keys; keys are in its order.
    pub(super) fn get(&self, compare: impl Fn(&K) -> Ordering) -> Option<(&K, &V)> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(key, _)| compare(key)).ok()?;
                    return entries.get(at).map(|(key, value)| (key, value));
                }
                Node::Inner(children) => {
                    let at = node.partition(&|key| compare(key).is_le()).saturating_sub(1);
                    node = &children.get(at)?.1;
                }
            }
        }
    }

    /// Gives the key a value; what it had before.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let mut before = None;
        if let Some((middle, right)) = insert(&mut self.root, key, value, &mut before) {
            let left = std::mem::replace(&mut self.root, Arc::new(Node::Leaf(Vec::new())));
            self.root = Arc::new(Node::Inner(vec![(middle.clone(), left), (middle, right)]));
        }
        self.len += usize::from(before.is_none());
        before
    }

    /// Takes the key out; the value it had.
    pub(super) fn remove(&mut self, compare: impl Fn(&K) -> Ordering) -> Option<V> {
        self.get(&compare)?; // copies nothing for what is not there
        let removed = remove(&mut self.root, &compare);
        self.len -= usize::from(removed.is_some());
        while let Node::Inner(children) = &*self.root
            && let [(_, only)] = &children[..]
        {
            self.root = only.clone();
        }
        removed
    }

    /// Entries from the first on that is not `before`.
    pub(super) fn from(&self, before: impl Fn(&K) -> bool) -> Entries<'_, K, V> {
        let (mut path, mut node) = (Vec::new(), &*self.root);
        loop {
            let at = node.partition(&before);
            match node {
                Node::Leaf(_) => {
                    path.push((node, at));
                    return Entries { path };
                }
                Node::Inner(children) => {
                    let at = at.saturating_sub(1);
                    path.push((node, at + 1));
                    match children.get(at) {
                        Some((_, child)) => node = child,
                        None => return Entries { path },
                    }
                }
            }
        }
    }

    /// All entries.
    pub(super) fn iter(&self) -> Entries<'_, K, V> {
        self.from(|_| false)
    }
}

/// Entries of a tree, in their order.
pub(super) struct Entries<'a, K, V> {
    /// Nodes from the root, and which of their entries is next.
    path: Vec<(&'a Node<K, V>, usize)>,
}

impl<'a, K, V> Iterator for Entries<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (node, at) = self.path.last_mut()?;
            *at += 1;
            match node {
                Node::Leaf(entries) => match entries.get(*at - 1) {
                    Some((key, value)) => return Some((key, value)),
                    None => _ = self.path.pop(),
                },
                Node::Inner(children) => match children.get(*at - 1) {
                    Some((_, child)) => self.path.push((child, 0)),
                    None => _ = self.path.pop(),
                },
            }
        }
    }
}

/// A new right neighbour, and a key that none of its own is less than.
type Split<K, V> = Option<(K, Arc<Node<K, V>>)>;

fn insert<K: Clone + Ord, V: Clone>(
    node: &mut Arc<Node<K, V>>,
    key: K,
    value: V,
    before: &mut Option<V>,
) -> Split<K, V> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let place = entries.binary_search_by(|(it, _)| it.cmp(&key));
            match place {
                Ok(at) => *before = Some(std::mem::replace(&mut entries[at].1, value)),
                Err(at) => entries.insert(at, (key, value)),
            }
            let right = split(entries, place)?;
            let middle = right.first()?.0.clone();
            Some((middle, Arc::new(Node::Leaf(right))))
        }
        Node::Inner(children) => {
            let at = children.partition_point(|(it, _)| *it <= key).saturating_sub(1);
            let (middle, right) = insert(&mut children.get_mut(at)?.1, key, value, before)?;
            children.insert(at + 1, (middle, right));
            let right = split(children, Err(at + 1))?;
            let middle = right.first()?.0.clone();
            Some((middle, Arc::new(Node::Inner(right))))
        }
    }
}

/// The right part of what is too long; what grows at its end stays full.
fn split<T>(entries: &mut Vec<T>, grew: Result<usize, usize>) -> Option<Vec<T>> {
    if entries.len() <= ENTRIES_MAX {
        return None;
    }
    let at_end = grew == Err(entries.len() - 1);
    let right = entries.split_off(if at_end { entries.len() - 1 } else { entries.len() / 2 });
    entries.shrink_to_fit();
    Some(right)
}

fn remove<K: Clone + Ord, V: Clone>(node: &mut Arc<Node<K, V>>, compare: &impl Fn(&K) -> Ordering) -> Option<V> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let at = entries.binary_search_by(|(key, _)| compare(key)).ok()?;
            Some(entries.remove(at).1)
        }
        Node::Inner(children) => {
            let at = children.partition_point(|(key, _)| compare(key).is_le()).saturating_sub(1);
            let removed = remove(&mut children.get_mut(at)?.1, compare)?;
            let length = children[at].1.len();
            if length == 0 {
                children.remove(at);
            } else if length < ENTRIES_MIN {
                let joined = join(children, at) || at > 0 && join(children, at - 1);
                let _ = joined; // where neither neighbour has room it stays small
            }
            Some(removed)
        }
    }
}

/// Joins a child with the next one where both fit into one.
fn join<K: Clone, V: Clone>(children: &mut Vec<(K, Arc<Node<K, V>>)>, at: usize) -> bool {
    let fits = match (children.get(at), children.get(at + 1)) {
        (Some((_, left)), Some((_, right))) => left.len() + right.len() <= ENTRIES_MAX,
        _ => false,
    };
    if !fits {
        return false;
    }
    let (middle, right) = children.remove(at + 1);
    match (Arc::make_mut(&mut children[at].1), Arc::unwrap_or_clone(right)) {
        (Node::Leaf(left), Node::Leaf(right)) => left.extend(right),
        (Node::Inner(left), Node::Inner(mut right)) => {
            // what counted as less than all no longer does
            if let Some((key, _)) = right.first_mut() {
                *key = middle;
            }
            left.extend(right);
        }
        _ => {} // children of one node are of one kind
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn entries(tree: &Tree<u32, u32>) -> Vec<(u32, u32)> {
        tree.iter().map(|(key, value)| (*key, *value)).collect()
    }

    #[test]
    fn it_is_a_map_and_its_clones_stay_as_they_were() {
        let mut rng = fastrand::Rng::with_seed(7);
        for keys in [20, 400, 5000] {
            let (mut tree, mut map) = (Tree::default(), BTreeMap::new());
            let mut kept: Vec<(Tree<u32, u32>, BTreeMap<u32, u32>)> = Vec::new();
            for step in 0..6000 {
                let key = rng.u32(0..keys);
                // grows, then shrinks to nothing
                if rng.u32(0..6000) > step {
                    assert_eq!(tree.insert(key, step), map.insert(key, step));
                } else {
                    let compare = |it: &u32| it.cmp(&key);
                    assert_eq!(tree.remove(compare), map.remove(&key));
                    assert_eq!(tree.get(compare), None);
                }
                if step % 700 == 0 {
                    kept.push((tree.clone(), map.clone()));
                }
                assert_eq!(tree.len(), map.len());
                let from = rng.u32(0..keys);
                let some: Vec<u32> = tree.from(|it| *it < from).take(5).map(|(key, _)| *key).collect();
                assert_eq!(some, map.range(from..).take(5).map(|(key, _)| *key).collect::<Vec<_>>());
            }
            for (tree, map) in kept {
                assert_eq!(entries(&tree), map.into_iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_grows_at_its_end_fills_its_leaves_and_what_shrinks_gives_them_back() {
        fn leaves(node: &Node<u32, u32>) -> usize {
            match node {
                Node::Leaf(_) => 1,
                Node::Inner(children) => children.iter().map(|(_, child)| leaves(child)).sum(),
            }
        }
        let mut tree = Tree::default();
        (0..10_000).for_each(|n| _ = tree.insert(n, n));
        assert!(leaves(&tree.root) < 10_000 / 30, "{}", leaves(&tree.root));
        for n in (0..10_000).filter(|n| n % 10 > 0) {
            tree.remove(|it| it.cmp(&n));
        }
        assert_eq!(tree.len(), 1000);
        assert!(leaves(&tree.root) < 1000 / 4, "{}", leaves(&tree.root));
    }
}
