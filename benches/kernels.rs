//! Kernels: the pure parts that every message or block passes.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nodewright::codec::BatchBuilder;
use nodewright::component::{Factory, Lane, Stack};
use nodewright::id::{Kind, Life, NodeId};
use nodewright::lsb::{self, Bits};
use nodewright::protocol::clock::VectorClock;
use nodewright::protocol::delivery::{self, Broadcast, Delivery};
use nodewright::protocol::link::{Accept, BLOCK_BYTES_MAX, Config, FrameHeader, Link, What};
use nodewright::sim::World;
use nodewright::time::Time;
use snow::Builder;
use snow::resolvers::{DefaultResolver, FallbackResolver, RingResolver};
use std::hint::black_box;
use std::time::Duration;

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

/// One full record of the cipher and the provider that links choose first.
fn seals(c: &mut Criterion) {
    const PLAIN: usize = 65_519;
    let builder = || {
        let providers = FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver));
        let noise = "Noise_XX_25519_AESGCM_SHA256".parse().expect("a known pattern");
        Builder::with_resolver(noise, Box::new(providers))
    };
    let keys = [builder(), builder()].map(|builder| builder.generate_keypair().expect("randomness"));
    let (mut a, mut b) = (
        builder().local_private_key(&keys[0].private).and_then(Builder::build_initiator).expect("a side"),
        builder().local_private_key(&keys[1].private).and_then(Builder::build_responder).expect("a side"),
    );
    let (mut wire, mut payload) = ([0; 1024], [0; 1024]);
    for n in 0..3 {
        let (from, to) = if n % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let length = from.write_message(&[], &mut wire).expect("its turn");
        to.read_message(&wire[..length], &mut payload).expect("the other's turn");
    }
    let (a, b) = (a.into_stateless_transport_mode().expect("done"), b.into_stateless_transport_mode().expect("done"));
    let (plain, mut sealed, mut opened) = (vec![0x5a; PLAIN], vec![0; 65_535], vec![0; 65_535]);
    let mut group = c.benchmark_group("64 KiB record");
    group.throughput(Throughput::Bytes(PLAIN as u64));
    group.bench_function("seal", |bench| bench.iter(|| a.write_message(0, &plain, &mut sealed).expect("it fits")));
    group.bench_function("open", |bench| bench.iter(|| b.read_message(0, &sealed, &mut opened).expect("it is whole")));
    group.finish();
}

/// Four lives' vectors, neither before the other.
fn vectors(c: &mut Criterion) {
    let (mut a, mut b) = (VectorClock::default(), VectorClock::default());
    for node in 0..4 {
        a.raise(Life::new(NodeId(node), 1), 10 + node);
        b.raise(Life::new(NodeId(node), 1), 13 - node);
    }
    c.bench_function("vector clocks of 4, compare", |bench| bench.iter(|| black_box(&a).partial_cmp(black_box(&b))));
}

/// A virtual second of three nodes with 100 uniform broadcasts.
fn worlds(c: &mut Criterion) {
    let stack = || {
        let deliver = || Broadcast::new(delivery::Config::new(Delivery::Uniform));
        Stack { factories: vec![Factory::new(deliver)] }
    };
    c.bench_function("simulated second of 3 nodes, 100 uniform broadcasts", |bench| {
        bench.iter(|| {
            let mut world = World::new(1);
            let nodes = ["alpha", "beta", "gamma"].map(|name| world.add_node(name, stack()));
            for n in 0..100u64 {
                world.broadcast(nodes[n as usize % 3], Delivery::Uniform.kind(), n.to_le_bytes());
                world.run_for(Duration::from_millis(10));
            }
            world.trace().hash()
        });
    });
}

/// Carriers of 12 megapixels, and the memory's own speed beside them.
fn pixels(c: &mut Criterion) {
    const CARRIERS: usize = 36_000_000;
    let mut group = c.benchmark_group("carriers of 12 megapixels");
    group.throughput(Throughput::Bytes(CARRIERS as u64)).sample_size(20);
    let (source, mut carriers) = (vec![0x5a; CARRIERS], vec![0xa5u8; CARRIERS]);
    group.bench_function("copy", |b| b.iter(|| black_box(&mut carriers).copy_from_slice(black_box(&source))));
    for bits in [Bits::ONE, Bits::MAX] {
        let mut payload = vec![0x3c; lsb::capacity(CARRIERS, bits)];
        let name = |what: &str| format!("{what}, {} bits", bits.get());
        group.bench_function(name("embed"), |b| b.iter(|| lsb::embed(black_box(&mut carriers), &payload, bits)));
        group.bench_function(name("extract"), |b| b.iter(|| lsb::extract(&carriers, black_box(&mut payload), bits)));
    }
    group.finish();
}

criterion_group!(kernels, batches, links, frames, seals, vectors, worlds, pixels);
criterion_main!(kernels);
