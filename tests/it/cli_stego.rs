//! `nodewright stego` as a person and a script see it; and other programs' images.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nodewright-stego-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("is made");
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A cover of noise.
    fn cover(&self, name: &str, width: u32, height: u32) -> String {
        let mut rng = fastrand::Rng::with_seed(1);
        let pixels = (0..width * height * 3).map(|_| rng.u8(..)).collect();
        let cover = nodewright::service::stego::Cover::rgb8(width, height, pixels);
        let file = cover.write(nodewright::service::stego::Output::Fast).expect("is written");
        std::fs::write(self.path(name), file).expect("is written");
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn stego(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    command.arg("stego").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut pipe = child.stdin.take().expect("is piped");
    let _ = pipe.write_all(input); // one that does not read closes it
    drop(pipe);
    child.wait_with_output().expect("ends")
}

#[track_caller]
fn check(arguments: &[&str], status: i32, says: &str) -> String {
    let output = stego(arguments, b"");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?} does not say {says:?}: {said}");
    said
}

#[test]
fn what_is_embedded_is_extracted_by_files_and_by_pipes() {
    let folder = Folder::new("round");
    let (cover, hidden) = (folder.cover("cover.png", 60, 60), folder.path("hidden.png"));
    check(&["embed", &cover, "--text", "meet at dawn", "--out", &hidden], 0, "bytes used");
    check(&["extract", &hidden], 0, "meet at dawn");
    check(&["probe", &hidden], 0, "boxed");
    check(&["capacity", &cover, "--json"], 0, "\"capacity_bytes\":");
    let picture = std::fs::read(&cover).expect("is there");
    let piped = stego(&["embed", "-", "--text", "by pipe", "--format", "raw"], &picture);
    assert!(piped.status.success() && piped.stdout.starts_with(b"\x89PNG"));
    let found = stego(&["extract", "-", "--format", "raw", "--text"], &piped.stdout);
    assert_eq!(found.stdout, b"by pipe");
    let page = folder.path("report.html");
    check(&["report", &hidden, "--cover", &cover, "--html", &page], 0, "samples changed");
    let page = std::fs::read_to_string(page).expect("is there");
    assert_eq!(page.matches("data:image/png;base64,").count(), 3);
    assert!(!page.contains("http"), "the page needs nothing else");
    assert!(
        std::fs::read_dir(&folder.0)
            .expect("is there")
            .all(|file| { !file.expect("is listed").file_name().to_string_lossy().contains("partial") })
    );
}

#[test]
fn a_password_seals_a_file() {
    let folder = Folder::new("sealed");
    let (cover, hidden) = (folder.cover("cover.png", 60, 60), folder.path("hidden.png"));
    let (password, other) = (folder.path("pw"), folder.path("other"));
    std::fs::write(&password, "open sesame\n").expect("is written");
    std::fs::write(&other, "open barley").expect("is written");
    std::fs::write(folder.path("plans.txt"), "the plans").expect("is written");
    check(
        &["embed", &cover, "--file", &folder.path("plans.txt"), "--password-file", &password, "--out", &hidden],
        0,
        "",
    );
    check(&["extract", &hidden, "--password-file", &password], 0, "the plans");
    check(&["extract", &hidden, "--password-file", &other], 4, "nothing opens with this password");
    check(&["extract", &hidden], 3, "no message found");
}

#[test]
fn statuses_tell_nothing_found_from_damaged_from_wrong_use() {
    let folder = Folder::new("status");
    let (cover, hidden) = (folder.cover("cover.png", 40, 40), folder.path("hidden.png"));
    check(&["extract", &cover], 3, "no message found");
    check(&["extract", &cover, "--json"], 3, "\"status\":\"nothing found\"");
    check(&["embed", &cover, "--text", &"long ".repeat(9).replace(' ', "é"), "--out", &hidden], 0, "");
    let whole = std::fs::read(&hidden).expect("is there");
    std::fs::write(folder.path("cut.png"), &whole[..60]).expect("is written");
    check(&["extract", &folder.path("cut.png")], 4, "damaged");
    let noise: String = {
        let mut rng = fastrand::Rng::with_seed(1);
        (0..2000).map(|_| rng.alphanumeric()).collect()
    };
    check(&["embed", &cover, "--text", &noise, "--out", &folder.path("no.png")], 2, "has room for");
    assert!(!PathBuf::from(folder.path("no.png")).exists());
    check(&["embed", &cover, "--out", &hidden], 2, "--text");
    check(&["embed", &cover, "--text", "x", "--bits", "9", "--out", &hidden], 2, "bits");
    check(&["embed", &folder.path("none.png"), "--text", "x", "--out", &hidden], 1, "no such file");
    check(&["extract", &folder.path("*.webp")], 2, "no file matches");
    std::fs::write(folder.path("text.png"), "no image").expect("is written");
    check(&["extract", &folder.path("text.png")], 2, "no PNG");
}

#[test]
fn a_batch_goes_on_after_a_failure_and_one_payload_lies_over_many() {
    let folder = Folder::new("batch");
    std::fs::create_dir(folder.0.join("in")).expect("is made");
    for name in ["in/a.png", "in/b.png", "in/c.png"] {
        folder.cover(name, 50, 40);
    }
    std::fs::write(folder.path("in/bad.png"), "no image").expect("is written");
    let (all, out) = (folder.path("in"), folder.path("out"));
    let said = check(&["embed", &all, "--text", "many", "--out", &out, "--json"], 2, "wrong use");
    assert_eq!(said.matches("\"status\":\"done\"").count(), 3, "{said}");
    let found = check(&["extract", &out, "--json"], 0, "");
    assert_eq!(found.matches("\"text\":\"many\"").count(), 3);
    let (pattern, over) = (folder.path("in/?.png"), folder.path("over"));
    check(
        &["embed", &pattern, "--file", &folder.path("in/a.png"), "--bits", "4", "--over", "--out", &over],
        0,
        "bytes used",
    );
    check(&["extract", &over, "--over", "--out", &folder.path("found/")], 0, "a.png");
    assert_eq!(std::fs::read(folder.path("found/a.png")).ok(), std::fs::read(folder.path("in/a.png")).ok());
}

/// Pillow and numpy read what we write as raw, and write what we read; bit by
/// bit as the rules say, by code that is not ours.
#[test]
fn other_programs_read_and_write_raw() {
    let folder = Folder::new("pillow");
    let script = "import PIL, numpy";
    let python = Command::new("python3").args(["-c", script]).output();
    if !python.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "MISSING CAPABILITY: python3 with Pillow and numpy; raw was NOT compared with another program (pip install pillow numpy)"
        );
        return;
    }
    let script = r#"
import sys, numpy as np
from PIL import Image
do, path, out = sys.argv[1:4]
image = np.array(Image.open(path).convert("RGB"))
flat = image.reshape(-1)
if do == "read":
    length = int.from_bytes(np.packbits(flat[:32] & 1).tobytes(), "big")
    open(out, "wb").write(np.packbits(flat[32:32 + length * 8] & 1).tobytes())
else:
    payload = open(sys.argv[4], "rb").read()
    bits = np.unpackbits(np.frombuffer(len(payload).to_bytes(4, "big") + payload, dtype=np.uint8))
    flat[:bits.size] = (flat[:bits.size] & 0xFE) | bits
    Image.fromarray(image).save(out)
"#;
    let cover = folder.cover("cover.png", 37, 29);
    for length in [0, 1, 2, 3, 5, 100, 397, 398] {
        let payload: Vec<u8> = (0..length).map(|at| (at * 37 % 251) as u8).collect();
        std::fs::write(folder.path("payload"), &payload).expect("is written");
        let (ours, theirs, read) = (folder.path("ours.png"), folder.path("theirs.png"), folder.path("read"));
        check(&["embed", &cover, "--file", &folder.path("payload"), "--format", "raw", "--out", &ours], 0, "");
        let python = |arguments: &[&str]| {
            let output = Command::new("python3").args(["-c", script]).args(arguments).output().expect("starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        python(&["read", &ours, &read]);
        assert!(std::fs::read(&read).expect("is there") == payload, "theirs of ours, {length} bytes");
        python(&["write", &cover, &theirs, &folder.path("payload")]);
        let found = stego(&["extract", &theirs, "--format", "raw", "--out", "-"], b"");
        assert!(found.stdout == payload, "ours of theirs, {length} bytes: {}", String::from_utf8_lossy(&found.stderr));
    }
}

#[test]
fn every_png_passes_pngcheck() {
    if Command::new("pngcheck").arg("-h").output().is_err() {
        eprintln!("MISSING CAPABILITY: pngcheck; the PNGs written were NOT checked by it (apt-get install pngcheck)");
        return;
    }
    let folder = Folder::new("pngcheck");
    let cover = folder.cover("cover.png", 61, 47);
    for output in ["fast", "small", "store"] {
        for format in ["raw", "boxed"] {
            let hidden = folder.path(&format!("{format}-{output}.png"));
            check(
                &["embed", &cover, "--text", "checked", "--format", format, "--output", output, "--out", &hidden],
                0,
                "",
            );
            let judged = Command::new("pngcheck").args(["-q", &hidden]).output().expect("starts");
            assert!(judged.status.success(), "{hidden}: {}", String::from_utf8_lossy(&judged.stdout));
        }
    }
}
