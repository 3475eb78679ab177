//! Azurite, Microsoft's storage emulator, as a child process that trusts the world's tokens.
//!
//! Guarantees: it listens on 127.0.0.1, on ports that the system chose, with a certificate from the world's authority; it
//! keeps everything in memory; it ends with the handle, and also if this process is killed.

pub(crate) mod account;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::world::World;

/// The account that every Azurite has.
pub const ACCOUNT: &str = "devstoreaccount1";

/// Its program, below the folder with `package.json`.
const MAIN: &str = "node_modules/azurite/dist/src/azurite.js";

/// The oldest Node.js that runs it (3.37.0 asks for 22 and was seen to run on 20).
const NODE: u32 = 20;

/// How long it may take until it listens.
const START: Duration = Duration::from_mins(1);

/// Runs Azurite until its standard input closes, which happens when the process that started it is gone, for whatever
/// reason. Then it removes its folder.
const WRAPPER: &str = "const folder = process.cwd(); \
    const end = () => { require('fs').rmSync(folder, { recursive: true, force: true }); process.exit(0); }; \
    process.stdin.on('end', end).on('error', end).resume(); \
    require(process.argv[1]);";

/// A running Azurite. It stops when this is dropped.
#[derive(Debug)]
pub struct Azurite {
    child: Child,
    /// Kept open, because the wrapper ends when it closes.
    _input: Option<ChildStdin>,
    folder: PathBuf,
    blob: SocketAddr,
    queue: SocketAddr,
    /// Provides the tokens with which the helpers of [`Azurite`] sign in.
    world: World,
}

impl Azurite {
    /// Starts the Azurite that `npm ci` put into the folder `dir` (the one with `package.json`), and routes the account's
    /// host names to it in the world's proxy. Azurite answers when this returns.
    pub fn start(dir: &Path, world: &World) -> anyhow::Result<Self> {
        Self::is_ready(dir)?;
        let main = dir.join(MAIN).canonicalize()?;
        let folder = std::env::temp_dir().join(format!("world-azurite-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let hosts = [blob_host(), queue_host()];
        let leaf = world
            .shared()
            .authority
            .leaf(&["localhost", "127.0.0.1", &hosts[0], &hosts[1]])
            .context("the names are host names")?;
        std::fs::write(folder.join("cert.pem"), leaf.certificate)?;
        std::fs::write(folder.join("key.pem"), leaf.key)?;

        let mut child = Command::new("node")
            .args(["-e", WRAPPER, "--"])
            .arg(&main)
            .args(["--silent", "--inMemoryPersistence", "--disableTelemetry", "--oauth", "basic"])
            .args(["--cert", "cert.pem", "--key", "key.pem"])
            .args(["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"])
            .current_dir(&folder)
            .env_remove("NODE_OPTIONS")
            .env_remove("AZURITE_ACCOUNTS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("node could not be started")?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // From here on, if anything fails, dropping the handle ends the child.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut azurite =
            Self { child, _input: input, folder, blob: unknown, queue: unknown, world: world.clone() };

        let (tell, told) = mpsc::channel();
        read_lines(output.context("its output is piped")?, tell.clone());
        read_lines(errors.context("its errors are piped")?, tell);
        let mut said = Vec::new();
        while azurite.blob.port() == 0 || azurite.queue.port() == 0 {
            let Ok(line) = told.recv_timeout(START) else {
                bail!("Azurite did not start; it said:\n{}", said.join("\n"));
            };
            if let Some(address) = address_in(&line, "Azurite Blob service is successfully listening at ") {
                azurite.blob = address;
            }
            if let Some(address) = address_in(&line, "Azurite Queue service is successfully listening at ") {
                azurite.queue = address;
            }
            said.push(line);
        }
        world.route(&hosts[0], azurite.blob);
        world.route(&hosts[1], azurite.queue);
        Ok(azurite)
    }

    /// Whether Azurite can be started from `dir`. If not, the error says what is missing: Node.js, or `npm ci`.
    pub fn is_ready(dir: &Path) -> anyhow::Result<()> {
        node_is_there()?;
        let main = dir.join(MAIN);
        ensure!(main.is_file(), "{} is not there: run npm ci in {}", main.display(), dir.display());
        Ok(())
    }

    /// The blob service by address, account in the path; a client must trust [`World::ca_pem`].
    pub fn blob_url(&self) -> String {
        format!("https://{}/{ACCOUNT}", self.blob)
    }

    /// The queue service by address, account in the path.
    pub fn queue_url(&self) -> String {
        format!("https://{}/{ACCOUNT}", self.queue)
    }

    /// The address of the blob service, for [`World::route`].
    pub fn blob_address(&self) -> SocketAddr {
        self.blob
    }

    /// The address of the queue service, for [`World::route`].
    pub fn queue_address(&self) -> SocketAddr {
        self.queue
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

/// The real host name of the blob service, which the world's proxy routes here. The service's URL is `https://` and this
/// name.
pub fn blob_host() -> String {
    format!("{ACCOUNT}.blob.core.windows.net")
}

/// The real host name of the queue service.
pub fn queue_host() -> String {
    format!("{ACCOUNT}.queue.core.windows.net")
}

/// Fails unless a Node.js that can run Azurite is on the path.
fn node_is_there() -> anyhow::Result<()> {
    let output = Command::new("node").arg("--version").output().context("Node.js is not on the path")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse::<u32>().ok());
    ensure!(major.is_some_and(|major| major >= NODE), "Node.js {NODE} or newer is needed, not {version:?}");
    Ok(())
}

fn read_lines(from: impl std::io::Read + Send + 'static, tell: mpsc::Sender<String>) {
    // Read to the end, even when nobody listens: a full pipe would stop the process.
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
}

fn address_in(line: &str, before: &str) -> Option<SocketAddr> {
    line.trim().strip_prefix(before)?.strip_prefix("https://")?.parse().ok()
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
