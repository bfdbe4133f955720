//! The handshake: who is there, may it link, under which keys.
//!
//! Noise `XXpsk0` (25519, AES-GCM or ChaCha20-Poly1305, SHA-256) with the
//! cluster secret as pre-shared key: the very first message already proves the
//! secret, so a stranger learns nothing and costs one failed decryption. Both
//! ephemeral keys are fresh, so a replayed recording fails at its second
//! message. Source: the Noise Protocol Framework, revision 34, sections 7 and 9.
//!
//! The order of messages stands in [`super::hello`]. Every read has the
//! handshake's one deadline; nothing is allocated from a declared length.

use super::Security;
use super::hello::{Hello, Refusal, Role, Third, Told, Verdict, WIRE_VERSION};
use super::keys::{PublicKey, resolver};
use super::planted::Mutant;
use super::seal::{Broken, Seal};
use super::wire::Wire;
use serde::{Serialize, de::DeserializeOwned};
use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};
use std::io;
use std::net::TcpStream;
use std::time::Instant;

/// The first bytes of a link's connection.
pub(super) const MAGIC: [u8; 4] = [0xD7, b'N', b'W', b'L'];
const PREAMBLE: usize = MAGIC.len() + 2;
/// The first message is an ephemeral key and a tag.
const FIRST_BYTES_MAX: usize = 128;
const MESSAGE_BYTES_MAX: usize = 60_000;

/// Why there is no session.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    /// The other side refused.
    Refused(Refusal),
    /// This side refuses.
    Refusing(Refusal),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Io(error) => error.fmt(f),
            Failure::Refused(refusal) => write!(f, "refused there: {refusal}"),
            Failure::Refusing(refusal) => write!(f, "refused here: {refusal}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<Broken> for Failure {
    fn from(_: Broken) -> Self {
        Failure::Refusing(Refusal::Garbled)
    }
}

/// What a finished handshake brings.
pub(super) struct Agreed<T> {
    pub(super) seal: Seal,
    pub(super) send_nonce: u64,
    pub(super) receive_nonce: u64,
    /// What the judge made of the other side's hello.
    pub(super) judged: T,
    /// Members that a joiner was told of.
    pub(super) told: Vec<Told>,
}

/// How the dialling side seals, as it stands in the preamble.
#[derive(Copy, Clone, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    Plain = 0,
    AesGcm = 1,
    ChaChaPoly = 2,
}

impl Mode {
    /// AES where the processor computes it in hardware: then it is several
    /// times faster than ChaCha20, else several times slower.
    fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        let hardware = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        let hardware = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let hardware = false;
        if hardware { Mode::AesGcm } else { Mode::ChaChaPoly }
    }

    fn noise(self) -> Option<&'static str> {
        match self {
            Mode::Plain => None,
            Mode::AesGcm => Some("Noise_XXpsk0_25519_AESGCM_SHA256"),
            Mode::ChaChaPoly => Some("Noise_XXpsk0_25519_ChaChaPoly_SHA256"),
        }
    }

    fn from_u8(byte: u8) -> Option<Self> {
        [Mode::Plain, Mode::AesGcm, Mode::ChaChaPoly].into_iter().find(|mode| *mode as u8 == byte)
    }
}

/// What the accepting side says in the clear before anything is sealed.
const GO_ON: u8 = 0;
const OTHER_VERSION: u8 = 1;
const OTHER_MODE: u8 = 2;
const OTHER_SECRET: u8 = 3;

/// The dialling side. `judge` decides on the other side's hello; `stream` has
/// sent nothing yet.
pub(super) fn dial<T>(
    stream: &TcpStream,
    security: &Security,
    mine: &Hello,
    deadline: Instant,
    judge: impl FnOnce(Hello, Option<PublicKey>) -> Result<T, Refusal>,
) -> Result<Agreed<T>, Failure> {
    let mut wire = Wire { stream, deadline };
    let mode = if matches!(security, Security::Secured(_)) { Mode::fastest() } else { Mode::Plain };
    let preamble = preamble(mode as u8);
    let mut noise = Machine::new(security, mode, &preamble, true)?;
    let mut first = preamble.to_vec();
    put_message(&mut first, &noise.write(&[])?);
    wire.write(&first)?;

    let answer = wire.read_array::<PREAMBLE>()?;
    if answer[..4] != MAGIC {
        return Err(Failure::Refusing(Refusal::Garbled));
    }
    match answer[5] {
        GO_ON if answer[4] == WIRE_VERSION => {}
        OTHER_MODE => return Err(Failure::Refused(Refusal::Mode)),
        OTHER_SECRET => return Err(Failure::Refused(Refusal::WrongSecret)),
        _ => return Err(Failure::Refused(Refusal::Version { theirs: WIRE_VERSION, ours: answer[4] })),
    }
    let theirs: Hello = noise.read(&next_message(&mut wire, MESSAGE_BYTES_MAX)?)?;
    let judged = judge(theirs, noise.remote_key());
    let third = match &judged {
        Ok(_) => Third::Hello(mine.clone()),
        Err(refusal) => Third::Refused(refusal.clone()),
    };
    let mut message = Vec::new();
    put_message(&mut message, &noise.write(&encode(&third))?);
    wire.write(&message)?;
    let judged = judged.map_err(Failure::Refusing)?;

    let seal = noise.finish()?;
    let mut receive_nonce = 0;
    match open_message(&seal, &mut receive_nonce, &next_message(&mut wire, MESSAGE_BYTES_MAX)?)? {
        Verdict::Accepted => Ok(Agreed { seal, send_nonce: 0, receive_nonce, judged, told: Vec::new() }),
        Verdict::Welcome(told) => Ok(Agreed { seal, send_nonce: 0, receive_nonce, judged, told }),
        Verdict::Refused(refusal) => Err(Failure::Refused(refusal)),
    }
}

/// The accepting side. `first` are bytes already read from `stream`; they
/// begin with [`MAGIC`]. The verdict is sent before this returns.
pub(super) fn accept<T>(
    stream: &TcpStream,
    first: &[u8],
    security: &Security,
    mine: &Hello,
    deadline: Instant,
    judge: impl FnOnce(Hello, Option<PublicKey>) -> Result<T, Refusal>,
    members: impl FnOnce() -> Vec<Told>,
) -> Result<Agreed<T>, Failure> {
    let mut wire = Wire { stream, deadline };
    let mut preamble = [0; PREAMBLE];
    let have = first.len().min(PREAMBLE);
    preamble[..have].copy_from_slice(&first[..have]);
    wire.read(&mut preamble[have..])?;
    let refuse = |status, refusal| {
        // told as far as the connection carries it; the refusal stands anyway
        let _ = Wire { stream, deadline }.write(&self::preamble(status));
        Err(Failure::Refusing(refusal))
    };
    if preamble[4] != WIRE_VERSION {
        return refuse(OTHER_VERSION, Refusal::Version { theirs: preamble[4], ours: WIRE_VERSION });
    }
    let secured = matches!(security, Security::Secured(_));
    let admitted = |mode: &Mode| secured == (*mode != Mode::Plain) || is(security, Mutant::UnsealedAdmitted);
    let Some(mode) = Mode::from_u8(preamble[5]).filter(admitted) else {
        return refuse(OTHER_MODE, Refusal::Mode);
    };
    let mut noise = Machine::new(security, mode, &preamble, false)?;
    if noise.read_bytes(&next_message(&mut wire, FIRST_BYTES_MAX)?).is_err() {
        return refuse(OTHER_SECRET, Refusal::WrongSecret);
    }
    let mut second = self::preamble(GO_ON).to_vec();
    put_message(&mut second, &noise.write(&encode(mine))?);
    wire.write(&second)?;

    let theirs = match noise.read(&next_message(&mut wire, MESSAGE_BYTES_MAX)?)? {
        Third::Hello(theirs) => theirs,
        Third::Refused(refusal) => return Err(Failure::Refused(refusal)),
    };
    let joins = theirs.role == Role::Joiner;
    let judged = judge(theirs, noise.remote_key());
    let verdict = match &judged {
        Ok(_) if joins => Verdict::Welcome(members()),
        Ok(_) => Verdict::Accepted,
        Err(refusal) => Verdict::Refused(refusal.clone()),
    };
    let seal = noise.finish()?;
    let mut send_nonce = 0;
    let mut message = Vec::new();
    seal.seal(&mut send_nonce, &encode(&verdict), &mut message)?;
    wire.write(&message)?;
    let judged = judged.map_err(Failure::Refusing)?;
    Ok(Agreed { seal, send_nonce, receive_nonce: 0, judged, told: Vec::new() })
}

fn is(security: &Security, mutant: Mutant) -> bool {
    matches!(security, Security::Secured(credentials) if credentials.planted().is(mutant))
}

fn preamble(last: u8) -> [u8; PREAMBLE] {
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, WIRE_VERSION, last]
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // hellos and refusals are plain data, which postcard always takes
    postcard::to_stdvec(value).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
    postcard::from_bytes(bytes).map_err(|_| Broken)
}

fn next_message(wire: &mut Wire<'_>, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    wire.read_message(bytes_max)?.ok_or(Failure::Refusing(Refusal::Garbled))
}

fn put_message(out: &mut Vec<u8>, message: &[u8]) {
    // Noise messages are at most 65,535 bytes long
    out.extend_from_slice(&(message.len() as u16).to_le_bytes());
    out.extend_from_slice(message);
}

fn open_message<T: DeserializeOwned>(seal: &Seal, nonce: &mut u64, sealed: &[u8]) -> Result<T, Broken> {
    let mut plain = vec![0; sealed.len()];
    let length = seal.open(nonce, sealed, &mut plain)?;
    decode(&plain[..length])
}

/// The handshake's cryptography, or none.
enum Machine {
    Noise(Box<HandshakeState>),
    Plain,
}

impl Machine {
    fn new(security: &Security, mode: Mode, prologue: &[u8], dialling: bool) -> Result<Self, Broken> {
        let (Security::Secured(credentials), Some(name)) = (security, mode.noise()) else {
            return Ok(Machine::Plain);
        };
        let params: NoiseParams = name.parse().map_err(|_| Broken)?;
        let secret = if is(security, Mutant::SecretNotMixed) { [0; 32] } else { credentials.secret.0 };
        let build = || {
            let builder = Builder::with_resolver(params, Box::new(resolver()))
                .prologue(prologue)?
                .psk(0, &secret)?
                .local_private_key(&credentials.keys.private)?;
            if dialling { builder.build_initiator() } else { builder.build_responder() }
        };
        let state = build().map_err(|_: snow::Error| Broken)?;
        Ok(Machine::Noise(Box::new(state)))
    }

    fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Broken> {
        let Machine::Noise(state) = self else { return Ok(payload.to_vec()) };
        let mut message = vec![0; payload.len() + 256];
        let length = state.write_message(payload, &mut message).map_err(|_| Broken)?;
        message.truncate(length);
        Ok(message)
    }

    fn read_bytes(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let Machine::Noise(state) = self else { return Ok(message.to_vec()) };
        let mut payload = vec![0; message.len()];
        let length = state.read_message(message, &mut payload).map_err(|_| Broken)?;
        payload.truncate(length);
        Ok(payload)
    }

    fn read<T: DeserializeOwned>(&mut self, message: &[u8]) -> Result<T, Broken> {
        decode(&self.read_bytes(message)?)
    }

    fn remote_key(&self) -> Option<PublicKey> {
        let Machine::Noise(state) = self else { return None };
        state.get_remote_static()?.try_into().ok().map(PublicKey)
    }

    fn finish(self) -> Result<Seal, Broken> {
        match self {
            Machine::Noise(state) => Seal::noise(*state),
            Machine::Plain => Ok(Seal::Plain),
        }
    }
}
