//! The settings file, as the real binary reads it.

use crate::stage::Stage;
use std::path::Path;
use std::process::{Command, Output};

/// Secrets, which a file must not hold, and what only the Azure SDK and the host read.
const ENVIRONMENT: [&str; 5] =
    ["QUALYS_USERNAME", "QUALYS_PASSWORD", "CONNECTOR_CLIENT_SECRET", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"];

fn plan(stage: &Stage, file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
    command.env_clear().env("CONFIG", file).arg("plan");
    command.envs(stage.settings.iter().filter(|(name, _)| ENVIRONMENT.contains(&name.as_str())));
    command.output().unwrap()
}

/// The stage's settings as a file.
fn text(stage: &Stage) -> String {
    let of_a_file = |name: &str| {
        !ENVIRONMENT.contains(&name)
            && name != "SYNC_SCHEDULE"
            && !name.starts_with("AzureWebJobs")
            && !name.contains("JobHost")
    };
    let settings = stage.settings.iter().filter(|(name, _)| of_a_file(name));
    settings.map(|(name, value)| format!("{} = {value:?}\n", name.to_lowercase())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_alone_is_enough_and_secrets_come_from_the_environment() {
    let stage = Stage::new();
    stage.world.subscription("new");
    let file = stage.folder.path().join("settings.toml");
    std::fs::write(&file, text(&stage)).unwrap();
    let output = plan(&stage, &file);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("+ create connector `new "), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_ends_the_program_with_a_clear_error() {
    let stage = Stage::new();
    let file = stage.folder.path().join("settings.toml");
    let whole = text(&stage);
    let key = format!("{whole}qualys_password = \"hunter2\"\nmax_create = 3\nlease = \"2h\"\n");
    let cases: [(Option<&[u8]>, &[&str]); 5] = [
        (None, &["CONFIG: cannot read `", "No such file"]),
        (Some(b"qualys_password = hunter2"), &["is not TOML (line 1, column 19)"]),
        (Some(b"\xff\xfe"), &["is not UTF-8"]),
        (Some(&[b'\n'; 1024 * 1024 + 1]), &["is larger than"]),
        (
            Some(key.as_bytes()),
            &[
                "settings.toml: qualys_password: a secret must not be in this file",
                "settings.toml: unknown setting `max_create` (did you mean `max_creates`?)",
                "settings.toml: lease: must be between 15s and 1m",
            ],
        ),
    ];
    for (content, wanted) in cases {
        let _ = std::fs::remove_file(&file);
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let output = plan(&stage, &file);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        for wanted in wanted {
            assert!(error.contains(wanted), "{wanted} in {error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(stage.world.calls().is_empty(), "nobody was called");
}
