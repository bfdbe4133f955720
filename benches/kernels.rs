//! Kernels: the pure parts that every message or block passes.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nodewright::codec::BatchBuilder;
use nodewright::component::Lane;
use nodewright::id::{Kind, Life, NodeId};
use nodewright::protocol::link::{Accept, BLOCK_BYTES_MAX, Config, FrameHeader, Link, What};
use nodewright::time::Time;
use std::hint::black_box;

const MESSAGES: u64 = 960;

/// A batch of about 62 KiB in messages of 64 bytes.
fn fill(builder: &mut BatchBuilder) {
    let message = [0x5a; 64];
    for _ in 0..MESSAGES {
        builder.push(|out| out.extend_from_slice(&message));
    }
}

fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch of 64 B messages");
    group.throughput(Throughput::Elements(MESSAGES));
    let mut builder = BatchBuilder::default();
    group.bench_function("build", |b| {
        b.iter(|| {
            fill(&mut builder);
            builder.take()
        });
    });
    fill(&mut builder);
    let batch = builder.take().expect("it was filled");
    group.bench_function("iterate", |b| {
        b.iter(|| black_box(&batch).iter().map(|message| u64::from(message[0])).sum::<u64>());
    });
    group.finish();
}

/// Two ends of a link with a session.
fn linked() -> (Link, Link) {
    let [a, b] = [1, 2].map(|node| Life::new(NodeId(node), 1));
    let (mut to_b, mut to_a) = (Link::new(Config::default()), Link::new(Config::default()));
    to_b.session(Time::ZERO, b, 1);
    to_a.session(Time::ZERO, a, 1);
    (to_b, to_a)
}

fn links(c: &mut Criterion) {
    let mut group = c.benchmark_group("link");
    let component = Kind::of("kernel");
    for (name, bytes, blocks) in [("64 KiB blocks", 64 << 10, 64), ("64 B blocks", 64, 1024)] {
        group.throughput(Throughput::Elements(blocks));
        let block = Bytes::from(vec![0x5a; bytes]);
        let (mut to_b, mut to_a) = linked();
        let (mut credits, mut frames) = (Vec::new(), Vec::new());
        group.bench_function(format!("push, transmit, receive, acknowledge {name}"), |bench| {
            bench.iter(|| {
                for _ in 0..blocks {
                    to_b.push(Lane::Data, component, block.clone());
                }
                while to_b.queued_bytes(Lane::Data) > 0 {
                    to_b.transmit(Time::ZERO, 128 << 10, &mut |header, _| frames.push(header.encode()));
                    for frame in frames.drain(..) {
                        let header = FrameHeader::decode(&frame, BLOCK_BYTES_MAX).expect("it was encoded");
                        assert_eq!(to_a.receive(1, &header, Time::ZERO, &mut credits), Accept::Deliver);
                    }
                    let late = Time(1 << 40);
                    to_a.transmit(late, 64 << 10, &mut |header, _| frames.push(header.encode()));
                    for frame in frames.drain(..) {
                        let header = FrameHeader::decode(&frame, BLOCK_BYTES_MAX).expect("it was encoded");
                        to_b.receive(1, &header, Time::ZERO, &mut credits);
                    }
                    credits.clear();
                }
            });
        });
    }
    group.finish();
}

fn frames(c: &mut Criterion) {
    let header = FrameHeader {
        what: What::Block,
        lane: Lane::Data,
        seq: 12_345,
        ack: 12_300,
        component: Kind::of("kernel"),
        block_bytes: 64_000,
    };
    let encoded = header.encode();
    c.bench_function("frame header, decode", |b| {
        b.iter(|| FrameHeader::decode(black_box(&encoded), BLOCK_BYTES_MAX));
    });
}

criterion_group!(kernels, batches, links, frames);
criterion_main!(kernels);
