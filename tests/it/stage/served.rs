//! `serve` without a Functions host.

use super::{LIMIT, Stage};
use reqwest::Client;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The real binary in the mode `serve`, on a port of its own. It ends when this is dropped.
pub struct Served {
    process: Child,
    pub port: u16,
}

impl Stage {
    /// Serves on this machine, with at most so many open files, and waits for the first answer.
    pub async fn serve(&self, open_files: u32) -> Served {
        self.serve_on("127.0.0.1", open_files).await
    }

    pub async fn serve_on(&self, address: &str, open_files: u32) -> Served {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {open_files}; exec \"$0\" serve")]);
        command.arg(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
        command.env_clear().envs(&self.settings).env("LISTEN", format!("{address}:{port}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let served = Served { process: command.spawn().unwrap(), port };
        self.wait("the first answer", async || served.answers().await.then_some(())).await;
        served
    }
}

impl Served {
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Whether a new connection gets an answer soon.
    pub async fn answers(&self) -> bool {
        let http = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        http.get(self.url("/")).send().await.is_ok_and(|answer| answer.status() == 200)
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A line of a process's status, in KiB: `VmHWM:` is the most memory that it has held.
/// <https://docs.kernel.org/filesystems/proc.html>
pub fn kib(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// What a connection still sends, once it is closed by the other side.
pub async fn until_closed(connection: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(connection, &mut bytes);
    // A reset is an end, too.
    let _ = tokio::time::timeout(LIMIT, read).await.expect("it is closed");
    String::from_utf8_lossy(&bytes).into_owned()
}
