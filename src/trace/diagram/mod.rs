//! The space-time diagram: a lane for each node, time to the right, messages as
//! arrows. After Lamport, *Time, Clocks, and the Ordering of Events*, CACM
//! 21(7), 1978.
//!
//! One HTML file that needs nothing else. The page draws on a canvas, since ten
//! thousand events are more elements than a browser moves smoothly; what can be
//! read by itself (legend with counts, details of the chosen event) is HTML, so
//! that keyboards and screen readers reach it. What comes from the trace goes
//! into the page as JSON without `<`, and from there into texts, never into
//! markup.

mod data;

use super::Trace;
use data::Data;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 4] =
    [include_str!("model.js"), include_str!("paint.js"), include_str!("details.js"), include_str!("page.js")];

/// Draws a trace: the text of an HTML file.
pub fn diagram(trace: &Trace) -> String {
    let data = serde_json::to_string(&Data::of(trace)).unwrap_or_else(|_| "null".into()); // strings and numbers alone
    let data = data.replace('<', "\\u003c");
    let scripts = SCRIPTS.concat();
    // each hole stands once; what is put in is not searched for holes again
    let fill = |(page, rest): (String, &'static str), hole: &str, text: &str| {
        let (before, after) = rest.split_once(hole).unwrap_or((rest, ""));
        (page + before + text, after)
    };
    let page = [("/*style*/", STYLE), ("/*data*/", data.as_str()), ("/*script*/", scripts.as_str())]
        .iter()
        .fold((String::new(), PAGE), |page, (hole, text)| fill(page, hole, text));
    page.0 + page.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Life, NodeId};
    use crate::trace::{Clock, Header, Record, Tail, What};

    #[test]
    fn what_comes_from_a_trace_is_never_markup() {
        let evil = "</script><script>alert(1)</script><!--";
        let life = Life::new(NodeId::from_name("a"), 1);
        let whats = [
            What::Started { name: evil.into(), voter: true },
            What::Broadcast { via: evil.into(), to: None, body: evil.into() },
            What::Failed { why: evil.into() },
        ];
        let records = whats.map(|what| Record { at: 1, life, what }).to_vec();
        let page = diagram(&Trace { header: Header::new(Clock::Virtual, 0, evil), records, tail: Tail::Finished });
        assert!(!page.contains("alert(1)</script>"));
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        for hole in ["/*style*/", "/*data*/", "/*script*/"] {
            assert_eq!(PAGE.matches(hole).count(), 1);
            assert!(!page.contains(hole));
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "it needs no network");
    }
}
