//! Processes that use a store and are killed: this test program, run with one of the functions
//! here that are ignored otherwise.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use huggate::clock::Clock;
use huggate::store::{FileStore, Revision, SessionStore, Update};

use super::{key, record};

/// Names the file to a child. Without it, its function does nothing.
const FILE: &str = "HUGGATE_TEST_SESSION_FILE";
/// Marks what the function says, among what the harness says.
const MARK: &str = "child: ";

/// A child process, killed when it is dropped.
pub(super) struct Child {
    process: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Child {
    /// Runs `function` of this program with `path`.
    pub(super) fn start(function: &str, path: &Path) -> Self {
        Self::run(Command::new(std::env::current_exe().unwrap()), function, path)
    }

    /// The same with `program`, which gets the arguments.
    pub(super) fn run(mut program: Command, function: &str, path: &Path) -> Self {
        program.args(["--exact", function, "--ignored", "--nocapture", "--test-threads=1"]);
        let mut process = program.env(FILE, path).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// What the function says next; `None` once the process has ended.
    pub(super) fn line(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Whether the function passed.
    pub(super) fn passed(mut self) -> bool {
        self.process.wait().unwrap().success()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One write, so that a line that arrives was said as a whole.
pub(super) fn say(line: &str) {
    std::io::stdout().write_all(format!("{MARK}{line}\n").as_bytes()).unwrap();
}

/// The file, in a child.
pub(super) fn given() -> Option<PathBuf> {
    std::env::var_os(FILE).map(PathBuf::from)
}

#[test]
#[ignore = "a child process of other tests"]
fn open_it() {
    let Some(path) = given() else { return };
    let _store = FileStore::open(path).unwrap();
    say("open");
    loop {
        std::thread::park();
    }
}

/// Begins, updates and ends sessions from the number in the environment on, many at once, and
/// says what was answered.
#[tokio::test]
#[ignore = "a child process of other tests"]
async fn write_until_killed() {
    let Some(path) = given() else { return };
    let round: u64 = path.extension().unwrap().to_str().unwrap().parse().unwrap();
    let store = FileStore::open(path.with_extension("redb")).unwrap();
    say("open");
    let now = Clock::system().now();
    let tasks = (0..24).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in (round * 1_000_000 + task..).step_by(24) {
                store.create(key(number), record(number, 1), now).await.unwrap();
                say(&format!("created {number}"));
                store.touch(key(number), now + 1, now + 3_601, now).await.unwrap();
                let update = store.update(key(number), Revision::FIRST, record(number, 2), now).await;
                assert_eq!(update.unwrap(), Update::Done);
                say(&format!("updated {number}"));
                if number % 3 == 0 {
                    assert!(store.end(key(number)).await.unwrap());
                    say(&format!("ended {number}"));
                }
            }
        })
    });
    futures_util::future::join_all(tasks).await;
}
