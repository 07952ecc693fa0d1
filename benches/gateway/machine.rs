//! What the operating system says of processes. Source: proc(5).

use std::fs;
use std::time::Duration;

/// One tick of `/proc/stat`, as Linux reports it to programs.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that a process has had, its threads together.
pub(crate) fn spent(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanos = threads.flatten().filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// The processor time that children of this process have had that have ended.
pub(crate) fn spent_by_ended_children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    ticks(after_name.split_whitespace().skip(13).take(2))
}

/// The processor time that the machine has spent on anything at all, other guests of its host included.
pub(crate) fn busy() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all: Vec<_> = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8).collect();
    ticks(all.iter().enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, ticks)| *ticks)) // idle, iowait
}

fn ticks<'t>(ticks: impl Iterator<Item = &'t str>) -> Duration {
    ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).map(|ticks| TICK * ticks).sum()
}

/// A line of `/proc/PID/status` in KiB: `VmRSS` is what it has, `VmHWM` the most that it had.
pub(crate) fn memory_kib(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = status.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':'));
    found.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// Forgets the most memory that a process had.
pub(crate) fn reset_peak(pid: u32) {
    // Where the kernel refuses, the peak is that of all cells before as well.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// How many processors there are.
pub(crate) fn processors() -> f64 {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(count).map_or(1.0, f64::from)
}

/// Its processor, for the head of a report.
pub(crate) fn name() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default().trim();
    let kib: u64 = kib.trim_end_matches(" kB").parse().unwrap_or_default();
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    format!("{} x {model}, {} GiB", processors(), kib >> 20)
}
