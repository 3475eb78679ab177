//! The real binary under the Functions host, in a folder laid out as the package is.

use super::Stage;
use std::path::{Path, PathBuf};
use world::host::{AzureQueues, Host, HostOptions};

impl Stage {
    /// The host, with the real binary and the folder's queue.
    pub async fn host(&self) -> Host {
        self.host_with(|_| ()).await
    }

    /// The host on a storage account's queues. As always, the binary's environment holds the settings and nothing else.
    pub async fn azure_host(&self, url: &str) -> Host {
        self.host_with(|options| {
            options.queue_dir = None;
            options.queue_account = Some(AzureQueues { world: self.world.clone(), url: url.to_owned() });
        })
        .await
    }

    /// The host without its queue listener: HTTP is answered, and no cycle runs by itself.
    pub async fn host_without_queue(&self) -> Host {
        self.host_with(|options| options.queue_dir = None).await
    }

    async fn host_with(&self, change: impl FnOnce(&mut HostOptions)) -> Host {
        // `cargo xtask package` plays the main job with what it packed; otherwise the build under test is laid out the same way.
        let (app_dir, executable) = match std::env::var_os("PACKAGE_DIR") {
            Some(package) => (PathBuf::from(package), None),
            None => {
                let app_dir = self.folder.path().join("app");
                lay_out(&app_dir);
                (app_dir, Some(env!("CARGO_BIN_EXE_qualys-azure-inventory").into()))
            }
        };
        let mut options = HostOptions {
            executable,
            env: self.settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            queue_dir: Some(self.folder.path().join("queue")),
            ..HostOptions::new(app_dir)
        };
        change(&mut options);
        Host::start(options).await.unwrap()
    }

    /// Waits until the program or the host has written a line that contains `text`. An answer may arrive before the lines that
    /// were written earlier, since those come through a pipe of their own.
    pub async fn wait_for_line(&self, host: &Host, text: &str) {
        let is_there = async || host.lines().iter().any(|line| line.text.contains(text)).then_some(());
        self.wait(&format!("the line `{text}`"), is_there).await;
    }

    /// Once no invocation is open: the host found nothing wrong, and no secret shows in what the program printed, answered or
    /// stored.
    pub async fn assert_clean(&self, host: &Host) {
        host.quiet().await;
        host.assert_clean();
        host.assert_no_secret(&self.world.secrets());
        self.assert_no_secret();
    }
}

fn lay_out(app_dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(app_dir).unwrap();
    std::fs::copy(root.join("host.json"), app_dir.join("host.json")).unwrap();
    for folder in std::fs::read_dir(root.join("function-app")).unwrap() {
        let folder = folder.unwrap().path();
        let there = app_dir.join(folder.file_name().unwrap());
        std::fs::create_dir_all(&there).unwrap();
        std::fs::copy(folder.join("function.json"), there.join("function.json")).unwrap();
    }
}
