//! A scope as a model: its properties, how it is checked, what is printed.

use super::is_full;
use super::scope::Scope;
use super::step::Action;
use super::world::{Broken, Msg, Node, Run, World, life_name, name};
use nodewright::protocol::delivery::{Guarantee, Order};
use nodewright::sim::kept;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Instant;

/// A scope, with the properties that are to hold in it.
#[derive(Clone, Debug)]
pub struct Checked {
    pub scope: Scope,
    pub properties: Vec<&'static str>,
}

pub const NO_DUPLICATION: &str = "no duplication";
pub const NO_CREATION: &str = "no creation";
pub const ORDER: &str = "order";
pub const REST: &str = "comes to rest";
pub const VALIDITY: &str = "validity";
pub const AGREEMENT: &str = "agreement";
pub const UNIFORM_AGREEMENT: &str = "uniform agreement";

/// What `rung` promises, by name.
fn promised(scope: &Scope) -> Vec<&'static str> {
    let mut properties = vec![NO_DUPLICATION, NO_CREATION, REST, VALIDITY];
    if scope.rung.order() != Order::None {
        properties.push(ORDER);
    }
    match scope.rung.guarantee() {
        Guarantee::BestEffort => {}
        Guarantee::Reliable => properties.push(AGREEMENT),
        Guarantee::Uniform | Guarantee::UniformAllAck => properties.extend([AGREEMENT, UNIFORM_AGREEMENT]),
    }
    properties
}

impl Checked {
    /// A scope with all that its rung promises.
    pub fn promises(scope: Scope) -> Self {
        Checked { properties: promised(&scope), scope }
    }

    /// A scope with one property, whether it is promised or not.
    pub fn one(scope: Scope, property: &'static str) -> Self {
        let uniform = scope.uniform || property == UNIFORM_AGREEMENT;
        Checked { properties: vec![property], scope: Scope { uniform, ..scope } }
    }

    /// Where a quiet world comes to rest.
    fn rest(&self, world: &World) -> Option<World> {
        if world.is_quiet() { world.settled(&self.scope) } else { None }
    }

    /// At rest, what `owed` picks is delivered by every life that is up.
    fn all_deliver(&self, world: &World, owed: impl Fn(&World) -> BTreeSet<Msg>) -> bool {
        let Some(rest) = self.rest(world) else { return true };
        let has = |node: &Node, msg: &Msg| node.delivered.contains(msg) || node.excused(*msg, &self.scope);
        owed(&rest).iter().all(|msg| rest.up().all(|(_, node)| has(node, msg)))
    }
}

fn correct_senders(rest: &World) -> BTreeSet<Msg> {
    rest.sent.keys().filter(|msg| rest.is_up(msg.0)).copied().collect()
}

fn delivered_by_correct(rest: &World) -> BTreeSet<Msg> {
    rest.up().flat_map(|(_, node)| node.delivered.iter().copied()).collect()
}

impl Model for Checked {
    type State = World;
    type Action = Action;

    /// All are up, linked and joined, and nothing is on its way.
    fn init_states(&self) -> Vec<World> {
        let mut world = World::empty(&self.scope);
        for n in 0..world.places.len() {
            world.start(n, &self.scope, &mut Run::whole());
        }
        let world = world.settled(&self.scope).expect("comes to rest");
        assert!(world.up().all(|(_, node)| node.joined()));
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(&self.scope, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let next = world.after(action, &self.scope, &mut Run::whole());
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.properties.iter().map(|name| property(name)).collect()
    }
}

fn property(name: &'static str) -> Property<Checked> {
    let condition: fn(&Checked, &World) -> bool = match name {
        NO_DUPLICATION => |_, world| world.broken != Some(Broken::Duplicated),
        NO_CREATION => |_, world| world.broken != Some(Broken::Created),
        ORDER => |_, world| world.broken != Some(Broken::Disordered),
        REST => |model, world| !world.is_quiet() || world.settled(&model.scope).is_some(),
        VALIDITY => |model, world| model.all_deliver(world, correct_senders),
        AGREEMENT => |model, world| model.all_deliver(world, delivered_by_correct),
        UNIFORM_AGREEMENT => |model, world| model.all_deliver(world, |rest| &rest.ghosts | &delivered_by_correct(rest)),
        other => unreachable!("{other} is no property of this list"),
    };
    Property::always(name, condition)
}

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Outcome<A> {
    pub states: usize,
    /// The property that failed, and a way there.
    pub found: Option<(&'static str, Vec<A>)>,
}

/// Looks at every state, the nearest first, until a property fails. The way to
/// a failure is a shortest one if the model has that property alone. Looks no
/// further than `steps`, where that is given.
pub fn check<M>(name: &str, model: &M, steps: Option<usize>) -> Outcome<M::Action>
where
    M: Model<State: Clone + PartialEq + Hash + Send + Sync, Action: Clone + PartialEq> + Clone + Send + Sync + 'static,
{
    let began = Instant::now();
    // One thread: with more, another way might be found first.
    let checker = model.clone().checker().finish_when(HasDiscoveries::Any);
    // Its depth counts states, and it does not look at the last.
    let checker = checker.target_max_depth(steps.map_or(usize::MAX, |steps| steps + 2)).spawn_bfs().join();
    let found = checker.discoveries().into_iter().map(|(name, path)| (name, path.into_actions())).next();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    let seconds = began.elapsed().as_secs_f64();
    let failed = found.as_ref().map_or(String::new(), |(name, way)| format!(": {name} fails in {} steps", way.len()));
    println!("{name}: {states} states, depth {depth}, {seconds:.1} s{failed}");
    Outcome { states, found }
}

/// Everything that a scope's rung promises holds in all its states.
pub fn holds(scope: Scope) {
    let model = Checked::promises(scope);
    let outcome = check(&model.scope.to_string(), &model, model.scope.depth);
    if let Some((property, _)) = outcome.found {
        let one = Checked::one(model.scope, property);
        let shortest =
            check(&one.scope.to_string(), &one, one.scope.depth).found.map(|(_, way)| transcript(&one, &way));
        panic!("{property} fails:\n{}", shortest.unwrap_or_default());
    }
}

/// The small scope, and with `NODEWRIGHT_MODELS=full` the others too.
pub fn hold(small: Scope, full: impl IntoIterator<Item = Scope>) {
    let name = small.rung;
    holds(small);
    let full: Vec<Scope> = full.into_iter().collect();
    if is_full() {
        full.into_iter().for_each(holds);
    } else {
        println!("{name}: the small scope only; NODEWRIGHT_MODELS=full looks at {} larger", full.len());
    }
}

/// A property that is not promised fails; the shortest way there is kept as a
/// text file.
pub fn breaks(scope: Scope, property: &'static str, file: &str) {
    let model = Checked::one(scope, property);
    let outcome = check(&model.scope.to_string(), &model, model.scope.depth);
    let (_, way) = outcome.found.unwrap_or_else(|| panic!("{property} holds in {}", model.scope));
    let head = format!("{}: {property} fails\n\n", model.scope);
    let file = format!("{}/tests/it/transcripts/{file}", env!("CARGO_MANIFEST_DIR"));
    kept(&(head + &transcript(&model, &way)), file).unwrap_or_else(|differs| panic!("{differs}"));
}

/// A counterexample for people.
pub fn transcript(model: &Checked, way: &[Action]) -> String {
    let mut world = model.init_states().remove(0);
    let mut lines = Vec::new();
    for action in way {
        let mut run = Run { crash_after: None, seen: 0, log: Some(&mut lines) };
        world = world.after(*action, &model.scope, &mut run);
    }
    lines.push(String::new());
    let rest = if world.is_quiet() { world.settled(&model.scope).unwrap_or(world) } else { world };
    for (_, node) in rest.up() {
        let delivered: Vec<_> = node.delivered.iter().map(|msg| name(*msg)).collect();
        let said = if delivered.is_empty() { "nothing".into() } else { delivered.join(", ") };
        lines.push(format!("in the end {} has delivered {said}", life_name(node.life)));
    }
    for msg in &rest.ghosts {
        lines.push(format!("a life that crashed had delivered {}", name(*msg)));
    }
    lines.join("\n") + "\n"
}
