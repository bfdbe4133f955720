//! The space-time diagram shows what is in the trace: counted in the page's
//! data, and where there is a browser in what it makes of them.

use nodewright::scenario::{self, recorded::record};
use nodewright::sim::Setup;
use nodewright::trace::{Trace, What, diagram};
use serde_json::Value;
use std::process::Command;

/// A world with a partition, a crash, suspicions and pauses.
fn eventful() -> Trace {
    let scenario = scenario::find("uniform.causal").expect("a shipped scenario");
    let outcome = scenario.run(&Setup::default().seeded(16), None);
    for what in ["partitions", "crashes", "pauses", "suspicion"] {
        assert!(outcome.counts[what] > 0, "choose another seed: {what}");
    }
    record(&outcome.trace, "an eventful world")
}

fn count(trace: &Trace, of: impl Fn(&What) -> bool) -> usize {
    trace.records.iter().filter(|record| of(&record.what)).count()
}

/// The legend's names and what is counted under them.
fn expected(trace: &Trace) -> Vec<(&'static str, usize)> {
    let lost = |data: &Value| data["frames"].as_array().expect("a list").iter().filter(|it| it["lost"] == true).count();
    vec![
        ("broadcast", count(trace, |what| matches!(what, What::Broadcast { .. }))),
        ("delivery", count(trace, |what| matches!(what, What::Delivered { .. }))),
        ("frame", count(trace, |what| matches!(what, What::Sent(_)))),
        ("lost", lost(&data(&diagram(trace)))),
        ("start", count(trace, |what| matches!(what, What::Started { .. }))),
        ("crash", count(trace, |what| matches!(what, What::Crashed | What::Outlived))),
        ("suspected", count(trace, |what| matches!(what, What::Suspected { .. }))),
        ("restored", count(trace, |what| matches!(what, What::Restored { .. }))),
        ("pause", count(trace, |what| matches!(what, What::Paused))),
    ]
}

fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("type=\"application/json\" id=\"data\">").expect("it holds data");
    let (json, _) = rest.split_once("</script>").expect("which end");
    serde_json::from_str(json).expect("and are JSON")
}

fn length(data: &Value, of: &str) -> usize {
    data[of].as_array().expect("a list").len()
}

#[test]
fn the_data_of_the_page_are_those_of_the_trace() {
    let trace = eventful();
    let data = data(&diagram(&trace));
    let wanted = expected(&trace);
    let wanted = |name: &str| wanted.iter().find(|(it, _)| *it == name).expect("a row").1;
    let deliveries = data["messages"].as_array().expect("a list").iter().map(|message| length(message, "deliveries"));
    assert_eq!(length(&data, "lanes"), 5);
    assert_eq!(length(&data, "messages"), wanted("broadcast"));
    assert_eq!(deliveries.sum::<usize>(), wanted("delivery"));
    assert_eq!(length(&data, "frames"), wanted("frame"));
    assert_eq!(length(&data, "lives"), wanted("start"));
    assert_eq!(length(&data, "pauses"), wanted("pause"));
    let parted = count(&trace, |what| matches!(what, What::Parted { .. }));
    assert!((8..=parted).contains(&length(&data, "parts")), "partitions that overlap are one");
    let lost = count(&trace, |what| matches!(what, What::Lost(_)));
    assert!((1..=lost).contains(&wanted("lost")), "a lost frame whose copy arrives is not lost");
    let ends: Vec<_> = data["lives"].as_array().expect("a list").iter().filter(|life| life["end"] != "up").collect();
    assert_eq!(ends.len(), wanted("crash"));
}

/// A browser that can be run without a screen.
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok_and(|it| it.status.success()))
}

#[test]
fn a_browser_shows_what_is_in_the_trace() {
    let Some(browser) = browser() else {
        println!("NO BROWSER HERE: what a browser makes of the page is not tested, only the page's data are");
        return the_data_of_the_page_are_those_of_the_trace();
    };
    let trace = eventful();
    let dir = std::env::temp_dir().join(format!("nodewright-diagram-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let page = dir.join("page.html");
    std::fs::write(&page, diagram(&trace)).expect("written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,800", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .args(["--dump-dom", &format!("file://{}#from=-1&to=1000", page.display())])
        .output()
        .expect("it starts");
    let dom = String::from_utf8_lossy(&output.stdout);
    _ = std::fs::remove_dir_all(&dir);
    let attribute = |name: &str, from: &str| -> Option<usize> {
        let (_, rest) = from.split_once(&format!("{name}=\""))?;
        rest.split_once('"')?.0.parse().ok()
    };
    for (kind, wanted) in expected(&trace) {
        let (_, entry) = dom.split_once(&format!("data-kind=\"{kind}\"")).unwrap_or_else(|| panic!("no {kind}: {dom}"));
        assert_eq!(attribute("data-count", entry), Some(wanted), "{kind}");
    }
    let (_, partitions) = dom.split_once("data-kind=\"partition\"").expect("an entry");
    assert!(attribute("data-count", partitions).is_some_and(|count| count >= 1));
    // with the whole run in view every delivery has its arrow
    let deliveries = count(&trace, |what| matches!(what, What::Delivered { .. }));
    assert_eq!(attribute("data-arrows", &dom), Some(deliveries));
    assert!(attribute("data-points", &dom).is_some_and(|points| points > deliveries));
}
