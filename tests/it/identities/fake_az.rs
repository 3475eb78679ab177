//! An `az` on the path that gives out the world's tokens, slowly if need be, and notes how it was called.

use crate::stage::{Stage, WorldIdentity};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

pub(super) struct FakeAz {
    folder: tempfile::TempDir,
    hosts: Vec<String>,
    does: String,
}

impl FakeAz {
    /// It has tokens for these hosts.
    pub(super) fn new(hosts: &[&str]) -> Self {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        Self { folder: tempfile::tempdir().unwrap(), hosts, does: String::new() }
    }

    /// It takes this long.
    pub(super) fn slow(mut self, time: Duration) -> Self {
        self.does = format!("sleep {}\n", time.as_secs_f64());
        self
    }

    /// It fails with this on its standard error.
    pub(super) fn failing(mut self, text: &str) -> Self {
        self.does = format!("echo \"{text}\" >&2\nexit 1\n");
        self
    }

    /// Puts it on the stage's path.
    pub(super) async fn on(&self, stage: Stage) -> Stage {
        let identity = WorldIdentity::new(&stage.world);
        for host in &self.hosts {
            let token = identity.token(&format!("https://{host}")).await;
            let answer = serde_json::json!({
                "accessToken": token,
                "expires_on": jiff::Timestamp::now().as_second() + 3600,
                "tokenType": "Bearer",
            });
            fs::write(self.folder.path().join(host), answer.to_string()).unwrap();
        }
        let folder = self.folder.path().display();
        let script = format!(
            "#!/bin/sh\necho \"$AZURE_CLOUD_NAME $*\" >> {folder}/asked\n{}\
             for scope; do :; done\nhost=${{scope#https://}}\ncat {folder}/${{host%/.default}}\n",
            self.does
        );
        let az = self.folder.path().join("az");
        fs::write(&az, script).unwrap();
        fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).unwrap();
        stage.set("AZURE_IDENTITY", "developer-tools").set("PATH", &format!("{folder}:/usr/bin:/bin"))
    }

    /// Each call: the name of the cloud, and the arguments.
    pub(super) fn asked(&self) -> Vec<String> {
        let file: PathBuf = self.folder.path().join("asked");
        fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}
