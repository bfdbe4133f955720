//! The resolver: every fault with the line that mends it, all at once, and
//! never a dependence on the order of builder calls.

use nodewright::component::{
    Catalogue, Context, Exclusion, Factory, Input, Manifest, NetComponent, Part, Plan, Role, Run, Stack, WhenMissing,
    WiringFault, WiringReport, resolve,
};
use nodewright::error::Fault;
use nodewright::id::Kind;
use std::collections::BTreeMap;
use std::convert::Infallible;

struct Dummy(Manifest);

impl NetComponent for Dummy {
    type Message = ();
    type Call = Infallible;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        self.0.clone()
    }

    fn handle(&mut self, _: Input<'_, Self>, _: &mut Context<'_, Self>) -> Result<(), Fault> {
        Ok(())
    }
}

fn part(call: &str, manifest: Manifest) -> Part {
    Part::new(Factory::new(move || Dummy(manifest.clone())), call)
}

fn manifest(name: &'static str, provides: &[&'static str], requires: &[&'static str]) -> Manifest {
    Manifest { provides: provides.to_vec(), requires: requires.to_vec(), ..Manifest::new(name) }
}

fn membership() -> Part {
    let about = Manifest {
        guarantee: "a life ends only when a majority decides it (f < n/2)",
        memory_ceiling: Some(|peers| 4096 * peers as u64),
        role: Role::Protocol,
        ..manifest("membership", &["membership"], &["failure_detector"])
    };
    part(".has_membership(exclude_after)", about)
}

fn detector(name: &'static str, call: &str) -> Part {
    part(call, manifest(name, &["failure_detector"], &[]))
}

fn catalogue() -> Catalogue {
    BTreeMap::from([
        ("membership", WhenMissing::Add(membership())),
        ("failure_detector", WhenMissing::Add(detector("phi", ".has_phi_detector(8.0)"))),
        (
            "synchrony",
            WhenMissing::Assume {
                assumption: "every message arrives within the timeout",
                mend: ".has_failure_detector(timeout, period).assume_synchrony()".into(),
            },
        ),
    ])
}

fn reliable() -> Part {
    let about = Manifest {
        guarantee: "all correct nodes deliver the same",
        wants: vec!["clock"],
        memory_ceiling: Some(|peers| (4 << 20) * (peers as u64 + 1)),
        role: Role::Protocol,
        run: Run::InPlace,
        ..manifest("reliable", &["delivery.reliable"], &["membership"])
    };
    part(".has_reliable_delivery()", about)
}

fn resolved(parts: Vec<Part>) -> Result<(Stack, Plan), WiringReport> {
    resolve("alpha", parts, &catalogue(), 3)
}

fn faults(parts: Vec<Part>) -> Vec<WiringFault> {
    resolved(parts).expect_err("the composition is faulty").faults
}

fn start_order(stack: &Stack) -> Vec<&'static str> {
    stack.factories.iter().map(|factory| factory.manifest().name).collect()
}

#[test]
fn defaults_are_added_and_the_plan_says_why() {
    let clock = part(".has_lamport_clock()", manifest("zulu_clock", &["clock"], &[]));
    let (stack, plan) = resolved(vec![reliable(), clock]).expect("composes");
    assert_eq!(start_order(&stack), ["phi", "membership", "zulu_clock", "reliable"]);
    let mut text = plan.to_string();
    for component in &plan.components {
        text = text.replace(&format!("{:?}", component.kind), "<kind>"); // a hash says nothing to a reader
    }
    let golden = "\
4 components in start order, memory for 3 peers:
  phi <kind>
    added because membership requires \"failure_detector\"; .has_phi_detector(8.0) would say so
    a thread of its own; a panic restarts it alone; no stated memory ceiling
  membership <kind>
    added because reliable requires \"membership\"; .has_membership(exclude_after) would say so
    guarantee: a life ends only when a majority decides it (f < n/2)
    uses \"failure_detector\" of phi
    a thread of its own; a panic begins a new life of the node; memory at most 12.0 KiB
  zulu_clock <kind>
    asked for by .has_lamport_clock()
    a thread of its own; a panic restarts it alone; no stated memory ceiling
  reliable <kind>
    asked for by .has_reliable_delivery()
    guarantee: all correct nodes deliver the same
    uses \"membership\" of membership and \"clock\" of zulu_clock
    a thread of its own, run in place while idle; a panic begins a new life of the node; memory at most 16.0 MiB
4 component threads, memory at most 16.0 MiB as stated";
    assert_eq!(text, golden);
}

#[test]
fn the_order_of_calls_does_not_matter() {
    let parts = || vec![reliable(), detector("fixed", ".has_failure_detector(t, p)"), membership()];
    let (_, plan) = resolved(parts()).expect("composes");
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let shuffled = order.iter().map(|&at: &usize| parts()[at].clone()).collect();
        assert_eq!(resolved(shuffled).expect("composes").1, plan);
    }
    assert!(plan.component("phi").is_none(), "the asked-for detector takes the default's place");
}

#[test]
fn a_missing_part_without_a_default_is_named() {
    let odd = part(".has_component(|| Odd)", manifest("odd", &[], &["moon"]));
    let found = faults(vec![odd]);
    let [fault @ WiringFault::Missing { capability: "moon", .. }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(fault.to_string(), "nothing provides \"moon\", which odd (.has_component(|| Odd)) requires");
    assert_eq!(fault.mend(), ".has_component(|| ...) with a component whose manifest provides \"moon\"");
}

#[test]
fn an_assumption_that_nobody_made_is_named() {
    let all_ack = part(".has_uniform_reliable_delivery_all_ack()", manifest("all_ack", &[], &["synchrony"]));
    let found = faults(vec![all_ack, detector("phi", ".has_phi_detector(8.0)")]);
    let [fault @ WiringFault::Assumption { .. }] = found.as_slice() else { panic!("{found:?}") };
    assert!(fault.to_string().contains("nobody assumed that every message arrives within the timeout"));
    assert_eq!(fault.mend(), ".has_failure_detector(timeout, period).assume_synchrony()");
}

#[test]
fn two_providers_of_what_one_is_to_provide_are_named() {
    let fixed = detector("fixed", ".has_failure_detector(t, p)");
    let phi = detector("phi", ".has_phi_detector(8.0)");
    let found = faults(vec![phi.clone(), membership(), fixed.clone()]);
    let [fault @ WiringFault::Ambiguous { .. }] = found.as_slice() else { panic!("{found:?}") };
    assert!(fault.to_string().contains("all provide \"failure_detector\", of which membership needs one"));
    assert_eq!(fault.mend(), "keep one of .has_failure_detector(t, p) and .has_phi_detector(8.0)");
    assert!(resolved(vec![phi, fixed]).is_ok(), "two of what nobody needs stand side by side");
}

#[test]
fn circles_are_named_once_each() {
    let part = |name, provides, requires| part(".has_component(..)", manifest(name, &[provides], &[requires]));
    let found = faults(vec![
        part("a", "a", "b"),
        part("b", "b", "a"),
        part("c", "c", "d"),
        part("d", "d", "c"),
        part("above", "above", "a"),
    ]);
    let circles: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(circles, ["a requires \"b\" of b requires \"a\" of a", "c requires \"d\" of d requires \"c\" of c"]);
}

#[test]
fn wants_order_but_never_make_a_circle() {
    let wanting = |name, provides, wants| {
        part(".has_component(..)", Manifest { wants: vec![wants], ..manifest(name, &[provides], &[]) })
    };
    let (stack, _) = resolved(vec![wanting("a", "a", "b"), wanting("b", "b", "c")]).expect("composes");
    assert_eq!(start_order(&stack), ["b", "a"]);
    assert!(resolved(vec![wanting("a", "a", "b"), wanting("b", "b", "a")]).is_ok());
    let own = part(".has_component(..)", manifest("own", &["own"], &["own"]));
    assert!(resolved(vec![own]).is_ok(), "what a part provides itself it needs of nobody");
}

#[test]
fn exclusions_say_why() {
    let why = "its acknowledgements rest on accuracy";
    let exclusion = Exclusion { capability: "failure_detector", why, mend: "remove .has_phi_detector(8.0)" };
    let hermit = part(".has_hermit()", Manifest { excludes: vec![exclusion], ..manifest("hermit", &[], &[]) });
    let found = faults(vec![hermit, detector("phi", ".has_phi_detector(8.0)")]);
    let [fault @ WiringFault::Excluded { .. }] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        fault
            .to_string()
            .ends_with("which phi (.has_phi_detector(8.0)) provides: its acknowledgements rest on accuracy")
    );
    assert_eq!(fault.mend(), "remove .has_phi_detector(8.0)");
}

/// Two names with one kind: about one pair in 80,000 names.
fn clashing_names() -> (&'static str, &'static str) {
    let mut seen = BTreeMap::new();
    for n in 0.. {
        let name: &'static str = String::leak(format!("c{n}"));
        if let Some(other) = seen.insert(Kind::of(name), name) {
            return (other, name);
        }
    }
    unreachable!("the names do not end")
}

#[test]
fn clashing_kinds_and_double_names_are_named() {
    let (a, b) = clashing_names();
    let found = faults(vec![part(".has_a()", manifest(a, &[], &[])), part(".has_b()", manifest(b, &[], &[]))]);
    assert!(matches!(found.as_slice(), [WiringFault::KindClash { .. }]), "{found:?}");
    let found = faults(vec![reliable(), reliable()]);
    let [fault @ WiringFault::DuplicateName { .. }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(fault.mend(), "keep one of .has_reliable_delivery() and .has_reliable_delivery()");
}

#[test]
fn all_faults_are_reported_together() {
    let why = "both would own the port";
    let exclusion = Exclusion { capability: "delivery.reliable", why, mend: "remove .has_reliable_delivery()" };
    let (one, other) = clashing_names();
    let report = resolved(vec![
        reliable(),
        reliable(),
        detector("fixed", ".has_failure_detector(t, p)"),
        detector("phi", ".has_phi_detector(8.0)"),
        part(".has_odd()", manifest("odd", &[], &["moon", "synchrony"])),
        part(".has_a()", manifest("a", &["a"], &["b"])),
        part(".has_b()", manifest("b", &["b"], &["a"])),
        part(".has_hermit()", Manifest { excludes: vec![exclusion], ..manifest("hermit", &[], &[]) }),
        part(".has_one()", manifest(one, &[], &[])),
        part(".has_other()", manifest(other, &[], &[])),
    ])
    .expect_err("faulty");
    let has = |test: fn(&WiringFault) -> bool| assert!(report.faults.iter().any(test), "{report}");
    has(|fault| matches!(fault, WiringFault::DuplicateName { name: "reliable", .. }));
    has(|fault| matches!(fault, WiringFault::KindClash { .. }));
    has(|fault| matches!(fault, WiringFault::Missing { capability: "moon", .. }));
    has(|fault| matches!(fault, WiringFault::Assumption { capability: "synchrony", .. }));
    has(|fault| matches!(fault, WiringFault::Ambiguous { capability: "failure_detector", .. }));
    has(|fault| matches!(fault, WiringFault::Cyclic { .. }));
    has(|fault| matches!(fault, WiringFault::Excluded { .. }));
    let text = report.to_string();
    assert!(text.contains("faults in the composition of node \"alpha\":\n1. "), "{text}");
    assert_eq!(text.matches("   mend: ").count(), report.faults.len());
}
