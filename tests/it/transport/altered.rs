//! What the seal is for: over links that alter bytes, nothing but what was
//! said is delivered. The same judge finds altered blocks where links are not
//! sealed.

use super::*;
use crate::proxy::{Alteration, Faults, Proxy, Way};

const BLOCK_BYTES: usize = 1000;
/// Alterations on the way of what is said, before the judge is content.
const ALTERED: u64 = 30;

/// Blocks are said through proxies that alter bytes; what arrives must be
/// these blocks, in order, and all of them once the bytes are left alone.
fn judge(security: impl Fn() -> Security, alteration: Alteration) -> Result<(), String> {
    let (mut a, a_life) = bind(config("alpha", &security()));
    let (mut b, b_life) = bind(config("beta", &security()));
    let (to_a, to_b) = (Proxy::to(a.local_addr(), 1), Proxy::to(b.local_addr(), 2));
    let named = |name: &str, proxy: &Proxy| PeerAddr { name: Some(name.into()), ..proxy.address.into() };
    a.set_peers(vec![named("beta", &to_b)]).expect("one");
    b.set_peers(vec![named("alpha", &to_a)]).expect("one");
    let (a, b) = (start(a, a_life), start(b, b_life));
    a.sink.wait_joined(b.life);
    let set = |alter| {
        // the way of what is said, whoever dialled
        to_b.set(Way::Up, Faults { alter, ..Faults::default() });
        to_a.set(Way::Down, Faults { alter, ..Faults::default() });
    };
    set(Some((alteration, 3000)));
    let flow = (a.life, Lane::Data);
    let deadline = Instant::now() + PATIENCE;
    let (mut said, mut sound) = (0u64, 0u64);
    loop {
        let enough = to_a.done().altered + to_b.done().altered >= ALTERED;
        if enough {
            set(None);
        } else if said < sound + 100 {
            say(&a, To::All, Lane::Data, said.to_le_bytes().repeat(BLOCK_BYTES / 8));
            said += 1;
        } else {
            std::thread::yield_now();
        }
        let new: Vec<Bytes> = {
            let told = b.sink.wait_until("", |_| true);
            told.received.get(&flow).map_or(Vec::new(), |blocks| blocks[sound as usize..].to_vec())
        };
        for block in new {
            if block != sound.to_le_bytes().repeat(BLOCK_BYTES / 8) {
                return Err(format!("block {sound} is another: {:?}", &block[..block.len().min(16)]));
            }
            sound += 1;
        }
        if enough && sound == said {
            let refused = b.links.counters();
            let seen = refused.malformed + refused.refused.values().sum::<u64>();
            return if seen > 0 { Ok(()) } else { Err(format!("nothing was refused: {refused:?}")) };
        }
        if Instant::now() > deadline {
            return Err(format!("{sound} of {said} arrived"));
        }
    }
}

#[test]
fn altered_bytes_are_never_delivered_and_without_the_seal_they_are() {
    for alteration in [Alteration::Flip, Alteration::Drop, Alteration::Repeat] {
        let secret = secret();
        assert_eq!(judge(|| secured(&secret), alteration), Ok(()), "{alteration:?}");
    }
    judge(|| Security::LoopbackOnly, Alteration::Flip).expect_err("nothing notices a flipped byte");
}
