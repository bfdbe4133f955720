//! The report as one page that needs nothing else: cover, result and changed bits
//! side by side.

use crate::service::stego::{Cover, Detection, Error, Limits, Output, Report, changed_bits};

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:110rem;padding:0 1rem}\
main{display:flex;gap:1rem;flex-wrap:wrap}figure{flex:1 1 20rem;margin:0}\
img{width:100%;image-rendering:pixelated;border:1px solid #8886}figcaption{padding:.3rem 0}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8884}\
th:first-child,td:first-child{text-align:left}";

/// The page.
pub(super) fn page(name: &str, image: &[u8], cover: &[u8], report: &Report, limits: &Limits) -> Result<String, Error> {
    let cover = Cover::read(cover, limits, true)?.write(Output::Fast)?;
    let result = if image.starts_with(b"\x89PNG") {
        image.to_vec()
    } else {
        Cover::read(image, limits, true)?.write(Output::Fast)?
    };
    let changed = changed_bits(image, &cover, limits)?.write(Output::Fast)?;
    let figure = |caption: &str, png: &[u8]| {
        let data = base64(png);
        format!(
            "<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{data}\"><figcaption>{caption}</figcaption></figure>\n"
        )
    };
    let figures =
        [figure("cover", &cover), figure("result", &result), figure("changed samples, each in its colour", &changed)];
    let row = |name: &str, seen: &Detection| {
        let (chi, rs, pairs) = (seen.chi_square, seen.rs * 100.0, seen.sample_pairs * 100.0);
        format!("<tr><td>{name}</td><td>{chi:.3}</td><td>{rs:.1} %</td><td>{pairs:.1} %</td></tr>\n")
    };
    let rows: String =
        report.cover.iter().map(|seen| row("cover", seen)).chain([row("result", &report.image)]).collect();
    let (changed, percent) = (report.changed.unwrap_or(0), report.changed_percent.unwrap_or(0.0));
    let psnr = report.psnr_db.map_or("no difference".into(), |db| format!("PSNR {db:.2} dB"));
    let title = escaped(name);
    let (width, height, samples) = (report.width, report.height, report.samples);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n\
         <p>{width} x {height} pixels; {changed} of {samples} samples changed ({percent:.3} %); {psnr}</p>\n\
         <main>\n{}</main>\n\
         <table><tr><th>what detectors say</th><th>chi-square, p</th><th>replaced, by RS</th><th>by sample pairs</th></tr>\n{rows}</table>\n\
         <p>Estimates, not proofs: a natural image gives small values, a noisy or saturated one any.</p>\n</html>\n",
        figures.concat()
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// RFC 4648, section 4.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { letter.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn base64_is_the_standards() {
        let known =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        known.into_iter().for_each(|(plain, text)| assert_eq!(base64(plain.as_bytes()), text));
    }

    #[test]
    fn names_do_not_become_markup() {
        assert_eq!(escaped("<a b=\"&\">"), "&lt;a b=&quot;&amp;&quot;&gt;");
    }
}
