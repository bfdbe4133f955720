//! The machine's load, measured for the components that ask for it in their
//! manifest, and for nobody else: no thread and no measuring without one.

use super::live::Live;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Which components want samples.
fn wanting(live: &Live) -> Vec<usize> {
    let factories = live.node.stack.factories.iter().enumerate();
    factories.filter(|(_, factory)| factory.manifest().wants_load).map(|(index, _)| index).collect()
}

/// Measures until the life is over, on a thread of its own: reading a machine's
/// state may take milliseconds.
#[cfg(feature = "load")]
pub(super) fn start(live: &Arc<Live>) -> io::Result<Option<JoinHandle<()>>> {
    let wanting = wanting(live);
    if wanting.is_empty() {
        return Ok(None);
    }
    let name = format!("nw-{}-load", live.node.options.name);
    let live = live.clone();
    std::thread::Builder::new().name(name).spawn(move || measure(&live, &wanting)).map(Some)
}

/// Without the feature `load` nothing is measured: who wants samples gets none.
#[cfg(not(feature = "load"))]
pub(super) fn start(live: &Arc<Live>) -> io::Result<Option<JoinHandle<()>>> {
    if !wanting(live).is_empty() {
        log::warn!(target: "nodewright::runtime", "load is not measured: this program was built without the feature `load`");
    }
    Ok(None)
}

#[cfg(feature = "load")]
fn measure(live: &Live, wanting: &[usize]) {
    use crate::component::{Item, LoadSample};
    use std::time::Duration;
    use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

    let cpu = CpuRefreshKind::nothing().with_usage();
    let what = RefreshKind::nothing().with_cpu(cpu).with_memory(MemoryRefreshKind::nothing().with_ram());
    let mut system = match System::new_with_specifics(what) {
        Ok(system) => system,
        Err(error) => {
            return log::warn!(target: "nodewright::runtime", "load cannot be measured here: {error}");
        }
    };
    // use of the processor is that between two readings
    live.rest(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
    while !live.is_over() {
        system.refresh_specifics(what);
        let total = system.total_memory();
        let used = if total == 0 { f64::NAN } else { system.used_memory() as f64 / total as f64 };
        let sample = LoadSample { cpu_percent: f64::from(system.global_cpu_usage()), memory_percent: used * 100.0 };
        for at in wanting {
            live.mailboxes[*at].queue(Item::Load(sample));
        }
        live.rest(Duration::from_secs(1));
    }
}
