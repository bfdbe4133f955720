//! How loaded a node is, as one number: lower is better.
//!
//! `0.5 * cpu% + 0.3 * min(active_tasks / 10, 1) * 100 + 0.2 * memory_used%`

use crate::component::LoadSample;

/// A score's steps in an election: two nodes nearer than this are alike, and the
/// id decides.
pub const BUCKET_POINTS: u16 = 5;

/// The score, from 0 to 100; `None` for a node that is no candidate: a value is
/// not a number, or is no percentage.
///
/// ```
/// use nodewright::component::LoadSample;
/// use nodewright::protocol::election::score::score;
///
/// let idle = LoadSample { cpu_percent: 10.0, memory_percent: 10.0 };
/// assert_eq!(score(&idle, 0), Some(7.0));
/// ```
pub fn score(sample: &LoadSample, active_tasks: u32) -> Option<f64> {
    let LoadSample { cpu_percent: cpu, memory_percent: memory } = *sample;
    let percentage = |value: f64| (0.0..=100.0).contains(&value); // not so for NaN
    let tasks = (f64::from(active_tasks) / 10.0).min(1.0) * 100.0;
    (percentage(cpu) && percentage(memory)).then_some(0.5 * cpu + 0.3 * tasks + 0.2 * memory)
}

/// A score in tenths of a point: what is kept and travels.
pub(crate) fn tenths(score: f64) -> u16 {
    (score * 10.0).round() as u16
}

/// The bucket of a score in tenths.
pub(super) fn bucket(tenths: u16) -> u8 {
    u8::try_from(tenths / (10 * BUCKET_POINTS)).unwrap_or(u8::MAX)
}

/// Whether a score is so much better than another that it is worth a change of
/// leader, if that lasts: by 15 points and by 30 %.
pub(crate) fn has_advantage(mine: u16, other: u16) -> bool {
    mine + 150 <= other && u32::from(mine) * 10 <= u32::from(other) * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cpu: f64, tasks: u32, memory: f64) -> Option<f64> {
        score(&LoadSample { cpu_percent: cpu, memory_percent: memory }, tasks)
    }

    #[test]
    fn the_check_values() {
        assert_eq!(of(20.0, 2, 20.0), Some(20.0));
        assert_eq!(of(40.0, 5, 40.0), Some(43.0));
        assert_eq!(of(10.0, 0, 10.0), Some(7.0));
        assert_eq!(of(100.0, 10, 100.0), Some(100.0));
        assert_eq!(of(100.0, u32::MAX, 100.0), Some(100.0), "ten tasks are as many as any");
    }

    #[test]
    fn what_is_no_percentage_makes_no_candidate() {
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 100.1] {
            assert_eq!(of(wrong, 0, 0.0), None, "{wrong}");
            assert_eq!(of(0.0, 0, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn near_scores_share_a_bucket_and_an_advantage_is_large() {
        assert_eq!(bucket(tenths(20.0)), bucket(tenths(24.9)));
        assert_ne!(bucket(tenths(24.9)), bucket(tenths(25.0)));
        assert!(has_advantage(200, 350) && !has_advantage(200, 340), "15 points");
        assert!(!has_advantage(800, 950), "and 30 %");
    }
}
