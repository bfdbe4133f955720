//! A client: sends images at a rate, verifies what comes back, and counts.

use super::config::{ClientFile, Requests};
use super::files;
use super::tally::Tally;
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::node::{StegoClient, TaskError};
use crate::service::stego::Format;
use crate::service::stego::service::Work;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Most requests of one run under way at a time; the rate waits beyond that.
const UNDER_WAY_MAX: usize = 64;

/// Send images to the servers, verify and keep what comes back
#[derive(clap::Args)]
#[command(after_help = "\
The file is that of existing clients: [client] name, server_addresses; [requests] rate_per_second,
duration_seconds, request_processing_ms, load_per_request. Requests are sent at the rate for the duration, images in
turn, or with --count so many of them. request_processing_ms is the pause after each answer before that sender takes
another request; load_per_request goes into the report, and nowhere else. A server that falls is replaced by
another: the client asks on until there is a result. Each result is verified by extraction before it is kept.

Examples:
  nodewright stego send --config client1.toml --report
  nodewright stego send --config client1.toml --image photo.jpg --text 'meet at dawn' --count 1 --out results")]
pub(super) struct Args {
    /// The client's file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// An image, or a folder of images
    #[arg(long, value_name = "DIR|FILE", default_value = "user-data/uploads")]
    image: PathBuf,
    /// What is hidden; else the client, the request and the image are named
    #[arg(long)]
    text: Option<String>,
    /// Where results go, as <client>-<request>.png
    #[arg(long, value_name = "DIR", default_value = "user-data/outputs")]
    out: PathBuf,
    /// How it lies in the image
    #[arg(long, value_enum, default_value = "boxed")]
    format: SentFormat,
    /// Print a report at the end
    #[arg(long)]
    report: bool,
    /// Write the report here, in JSON
    #[arg(long, value_name = "FILE")]
    metrics_output: Option<PathBuf>,
    /// Put behind the client's name, for several clients of one file
    #[arg(long, value_name = "N")]
    client_id: Option<u64>,
    /// Send so many requests instead of for the duration
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Give up on a request after so long [default: never]
    #[arg(long, value_name = "SECONDS")]
    give_up_after: Option<f64>,
}

/// What travels without a password.
#[derive(Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
enum SentFormat {
    /// As existing programs read it
    Raw,
    /// With a header and a tag
    Boxed,
}

/// A run, as its senders share it.
struct Plan<'a> {
    args: &'a Args,
    name: String,
    servers: Vec<String>,
    requests: &'a Requests,
    images: Vec<(String, Bytes)>,
    /// Request ids follow this one: no two runs of a client share them.
    base: u64,
    begun: Instant,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let file = ClientFile::load(&args.config)?;
    files::folder(&args.out)?;
    let name = match args.client_id {
        Some(id) => format!("{}-{id}", file.client.name),
        None => file.client.name.clone(),
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let plan = Plan {
        args,
        name,
        servers: file.client.server_addresses.clone(),
        requests: &file.requests,
        images: images(&args.image)?,
        base: u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 2),
        begun: Instant::now(),
    };
    let tally = plan.run();
    let report = tally.report(&plan.name, file.requests.load_per_request, plan.begun.elapsed());
    if let Some(path) = &args.metrics_output {
        files::write(path, format!("{report:#}\n").as_bytes())?;
    }
    if args.report {
        tally.lines(&report).iter().for_each(|line| terminal.line(line));
    } else {
        terminal.line(&tally.summary());
    }
    match tally.first_failure() {
        Some(why) => Err(Failure::failed(why)),
        None => Ok(()),
    }
}

/// The images of a folder, or the one.
fn images(path: &Path) -> Result<Vec<(String, Bytes)>, Failure> {
    let mut paths = vec![path.to_path_buf()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        paths = entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        paths.sort();
    }
    if paths.is_empty() {
        return Err(Failure::usage(format!("{} holds no image: give one with --image", path.display())));
    }
    paths.iter().map(|path| Ok((files::shown(path), Bytes::from(files::read(path)?)))).collect()
}

impl Plan<'_> {
    fn total(&self) -> u64 {
        let rate = self.requests.rate_per_second * self.requests.duration_seconds;
        self.args.count.unwrap_or(rate.ceil().max(1.0) as u64)
    }

    /// Senders take numbers as their time comes; a slow answer holds up only its own
    /// sender, up to [`UNDER_WAY_MAX`] of them.
    fn run(&self) -> Tally {
        let total = self.total();
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {elapsed}") {
            bar.set_style(style);
        }
        let senders = usize::try_from(total).unwrap_or(usize::MAX).min(UNDER_WAY_MAX);
        let (numbers, taken) = flume::bounded(0);
        let mut tally = Tally::default();
        std::thread::scope(|scope| {
            let (done, results) = flume::unbounded(); // as many as there are senders
            for sender in 0..senders {
                let (taken, done) = (taken.clone(), done.clone());
                scope.spawn(move || self.send_on(sender, &taken, &done));
            }
            drop((taken, done));
            scope.spawn(move || self.pace(total, &numbers));
            for (number, result) in results {
                tally.add(&self.args.out, number, result);
                bar.inc(1);
                bar.set_message(tally.summary());
            }
        });
        bar.finish_and_clear();
        tally
    }

    /// Hands numbers out as their time comes.
    fn pace(&self, total: u64, numbers: &flume::Sender<u64>) {
        for number in 0..total {
            let at = Duration::from_secs_f64(number as f64 / self.requests.rate_per_second);
            let left = at.saturating_sub(self.begun.elapsed());
            std::thread::sleep(left); // the rate
            if numbers.send(number).is_err() {
                return;
            }
        }
    }

    fn send_on(&self, sender: usize, numbers: &flume::Receiver<u64>, done: &flume::Sender<(u64, super::tally::Sent)>) {
        let mut client = StegoClient::new(&self.name, &self.servers).starting_at(sender);
        for number in numbers {
            let request = self.base.wrapping_add(number);
            let (name, cover) = &self.images[number as usize % self.images.len()];
            let text = self.args.text.clone().unwrap_or_else(|| format!("{} {number} {name}", self.name));
            let format = if self.args.format == SentFormat::Raw { Format::Raw } else { Format::Boxed };
            let work = Work { cover: Some(cover.clone()), payload: text.into(), is_text: true, format };
            let until = self.args.give_up_after.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
            let result = client.embed(request, work, until).and_then(|embedded| self.keep(number, embedded));
            if done.send((number, result)).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(self.requests.request_processing_ms)); // as the file says
        }
    }

    fn keep(&self, number: u64, embedded: crate::node::Embedded) -> super::tally::Sent {
        let place = self.args.out.join(super::serve::file_name(&self.name, number));
        match files::write(&place, &embedded.image) {
            Ok(()) => Ok(embedded),
            Err(failure) => Err(TaskError::Failed(failure.message)),
        }
    }
}
