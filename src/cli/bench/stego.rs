//! Steganography beside its limits.
//!
//! Kernels touch the carriers of 12 megapixels, as a copy of as many bytes does.
//! Whole images come in as a file, get 100 kB in the default format, and go out as
//! a PNG; their limit is the same without embedding, by the same decoder and
//! encoder. Times of images are those of one core (what the kernel says this
//! thread ran), so a busy machine distorts them less.

use super::figure::median;
use super::rounds::{Measured, Sample};
use crate::lsb::{self, Bits};
use crate::service::stego::{Cover, Limits, Options, Output, Payload, embed, extract};
use image::codecs::jpeg::JpegEncoder;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

const CARRIERS: usize = 36_000_000;
pub(super) const PAYLOAD_BYTES: usize = 100_000;

/// A figure to take.
pub(super) struct What {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    kind: Kind,
}

#[derive(Copy, Clone)]
enum Kind {
    Embed,
    Extract,
    Image { width: u32, height: u32, jpeg: bool },
}

/// All of them, in the order in which they are shown.
pub(super) const FIGURES: [What; 5] = [
    What { name: "stego embed", unit: "B/s", kind: Kind::Embed },
    What { name: "stego extract", unit: "B/s", kind: Kind::Extract },
    What { name: "stego 800x600 jpeg", unit: "ms", kind: Kind::Image { width: 800, height: 600, jpeg: true } },
    What { name: "stego 800x600 png", unit: "ms", kind: Kind::Image { width: 800, height: 600, jpeg: false } },
    What { name: "stego 12MP jpeg", unit: "ms", kind: Kind::Image { width: 4000, height: 3000, jpeg: true } },
];

impl What {
    /// Ours, and its limit.
    pub(super) fn pair(&self) -> io::Result<[Box<dyn Measured>; 2]> {
        let mut carriers = vec![0x5au8; CARRIERS];
        let mut payload = vec![0x3cu8; lsb::capacity(CARRIERS, Bits::ONE)];
        Ok(match self.kind {
            Kind::Embed => [bytes(move || lsb::embed(black_box(&mut carriers), &payload, Bits::ONE)), copy()],
            Kind::Extract => [bytes(move || lsb::extract(&carriers, black_box(&mut payload), Bits::ONE)), copy()],
            Kind::Image { width, height, jpeg } => {
                drop((carriers, payload));
                let cover = cover(width, height, jpeg)?;
                let plain = cover.clone();
                let mut rng = fastrand::Rng::with_seed(2);
                let payload = Payload::Bytes((0..PAYLOAD_BYTES).map(|_| rng.u8(..)).collect());
                let hidden = embed(&cover, &payload, &Options::default(), None, &mut |bytes| bytes.fill(1));
                let image = hidden.map_err(io::Error::other)?.image;
                let found = extract(&image, &Default::default(), None).map_err(io::Error::other)?;
                if found.payload != payload {
                    return Err(io::Error::other("what was embedded did not come back: this is no figure"));
                }
                let ours = move || {
                    let hidden = embed(&cover, &payload, &Options::default(), None, &mut |bytes| bytes.fill(1));
                    black_box(hidden).map(drop).map_err(io::Error::other)
                };
                let limit = move || {
                    let cover = Cover::read(&plain, &Limits::default(), false).map_err(io::Error::other)?;
                    black_box(cover.write(Output::Fast)).map(drop).map_err(io::Error::other)
                };
                [Box::new(Milliseconds(ours)), Box::new(Milliseconds(limit))]
            }
        })
    }
}

fn copy() -> Box<dyn Measured> {
    let (source, mut target) = (vec![0x5au8; CARRIERS], vec![0xa5u8; CARRIERS]);
    bytes(move || black_box(&mut target).copy_from_slice(black_box(&source)))
}

fn bytes(run: impl FnMut() + 'static) -> Box<dyn Measured> {
    Box::new(Bytes(run))
}

/// Bytes of carriers a second; the median of the runs.
struct Bytes<F>(F);

impl<F: FnMut()> Measured for Bytes<F> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        self.0(); // pages are touched
        let (began, mut rates) = (Instant::now(), Vec::new());
        while rates.is_empty() || began.elapsed() < time {
            let one = Instant::now();
            self.0();
            rates.push(CARRIERS as f64 / one.elapsed().as_secs_f64());
        }
        Ok(Sample { value: median(rates), p99_us: None })
    }
}

/// Milliseconds of this thread for one image: the mean of the runs, for some
/// kernels count a thread's time in ticks that are longer than a run.
struct Milliseconds<F>(F);

impl<F: FnMut() -> io::Result<()>> Measured for Milliseconds<F> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        self.0()?;
        let (began, before, mut runs) = (Instant::now(), thread_time()?, 0u32);
        while runs == 0 || began.elapsed() < time || thread_time()? == before {
            self.0()?;
            runs += 1;
        }
        let taken = thread_time()? - before;
        Ok(Sample { value: taken.as_secs_f64() * 1e3 / f64::from(runs), p99_us: None })
    }
}

/// How long this thread has run on a core.
pub(super) fn thread_time() -> io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::Error::other("the kernel does not tell a thread's time"))
}

/// The most memory that this process had.
pub(super) fn resident_bytes_max() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib << 10)
}

/// A picture like a photograph: smooth, with some noise.
pub(super) fn cover(width: u32, height: u32, jpeg: bool) -> io::Result<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (f64::from(x), f64::from(y));
            let light = (x / 97.0).sin() * 40.0 + (y / 61.0).cos() * 40.0 + ((x + y) / 23.0).sin() * 12.0;
            let tint = [0.0, (x / 211.0).cos() * 30.0, (y / 173.0).sin() * 30.0];
            pixels.extend(tint.map(|tint| (128.0 + light + tint + rng.f64() * 8.0 - 4.0) as u8));
        }
    }
    if jpeg {
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut file, 75);
        encoder.encode(&pixels, width, height, image::ExtendedColorType::Rgb8).map_err(io::Error::other)?;
        return Ok(file);
    }
    Cover::rgb8(width, height, pixels).write(Output::Small).map_err(io::Error::other)
}
