//! Child processes: run as the server's user, ended with the test, never left behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Output};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};

/// The user and the group that run servers: `postgres` when we are root, because PostgreSQL refuses root.
fn server_ids() -> Option<(u32, u32)> {
    static IDS: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *IDS.get_or_init(|| {
        let ours = fs::metadata("/proc/self").expect("Linux").uid();
        (ours == 0).then(|| (id("-u"), id("-g")))
    })
}

fn id(which: &str) -> u32 {
    let output = Command::new("id").args([which, "postgres"]).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("Debian's packages make the user postgres")
}

/// A command of the server's user, in a clean environment: RUST_BACKTRACE would put a backtrace into the DETAIL of
/// errors, and PG* variables would change what clients connect to. The kernel sends it `signal` when we end.
pub fn as_server(program: &Path, signal: &str) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((user, group)) = server_ids() {
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir("/");
    command
}

/// Makes the server's user the owner of a file or directory.
pub fn give_to_server(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the path is ours");
    if let Some((user, group)) = server_ids() {
        chown(path, Some(user), Some(group)).expect("root may give files away");
    }
}

/// Starts a child from a thread that lives as long as the process: the kernel's death signal is bound to the thread
/// that started a child, and a test's own thread ends with the test.
pub fn spawn(command: Command) -> Child {
    type Job = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (answer, child) = channel();
    let program = format!("{command:?}");
    spawner.lock().expect("sending does not panic").send((command, answer)).expect("the thread lives");
    child.recv().expect("the thread answers").unwrap_or_else(|error| panic!("cannot start {program}: {error}"))
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or fails, with what it wrote.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Sends a signal by name (`QUIT`, `KILL`, …) to one process; one that is gone already is no error.
pub fn signal(process: u32, name: &str) {
    let _ = Command::new("sh").args(["-c", &format!("kill -s {name} {process} 2>/dev/null")]).status();
}

/// The processes whose parent is `process`.
pub fn children(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(child) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // The second field is a name in parentheses and may hold anything; the parent is the second one after it.
        let status = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = status.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if parent == Some(process) {
            found.push(child);
        }
    }
    found
}

/// Whether a process is there and not a zombie.
pub fn alive(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The last lines of a log file, for the message of a failed test.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    format!("--- {}\n{}\n---", log.display(), lines[from..].join("\n"))
}

/// How much of a log a failed test shows.
const TAIL_LINES: usize = 60;
