use super::*;
use std::collections::BTreeMap;

const NAME: &str = "handler";

fn app() -> App {
    let host = br#"{"customHandler":{"description":{"defaultExecutablePath":"handler"}}}"#;
    let file = |name: &str, content: &[u8]| (name.to_owned(), content.to_vec());
    let files = [file(HOST, host), file("cycle/function.json", b"{}"), file("status/function.json", b"{}")];
    App { executable: NAME.to_owned(), files: BTreeMap::from(files) }
}

fn entries() -> Vec<Entry> {
    zipped::read(&zipped::write(&app(), b"program").unwrap()).unwrap()
}

/// The entries, with one of them changed.
fn changed(name: &str, change: impl FnOnce(&mut Entry)) -> Vec<Entry> {
    let mut entries = entries();
    change(entries.iter_mut().find(|entry| entry.name == name).unwrap());
    entries
}

fn renamed(name: &str, new: &str) -> Vec<Entry> {
    changed(name, |entry| new.clone_into(&mut entry.name))
}

#[test]
fn what_is_written_passes() {
    let (app, entries) = (app(), entries());
    assert_eq!(layout(&entries).unwrap(), "host.json, one file, 2 functions");
    assert_eq!(functions(&app, &entries).unwrap(), "cycle, status");
    assert_eq!(contents(&app, &entries).unwrap(), "3 files are those of the repository");
    assert_eq!(program(&entries).unwrap().content, b"program");
    assert_eq!(modes(&entries).unwrap(), "0755 for `handler`, 0644 for the rest");
}

#[test]
fn the_same_files_make_the_same_zip() {
    let write = || zipped::write(&app(), b"program").unwrap();
    assert_eq!(write(), write());
    let names: Vec<_> = entries().into_iter().map(|entry| entry.name).collect();
    assert!(names.is_sorted());
}

#[test]
fn what_does_not_belong_there_is_named() {
    for name in ["local.settings.json", "cycle/inbox.txt", "app/cycle/function.json", "/function.json"] {
        let mut entries = entries();
        entries.push(Entry { name: name.to_owned(), mode: Some(FILE_MODE), content: vec![] });
        assert!(layout(&entries).unwrap_err().to_string().contains(name), "{name}");
    }
    assert!(layout(&renamed(HOST, "app/host.json")).is_err());
    assert!(layout(&renamed(NAME, "bin/handler")).is_err());
    assert!(layout(&renamed("cycle/function.json", "status/function.json")).is_err());
}

#[test]
fn a_missing_and_a_strange_folder_are_named() {
    let error = functions(&app(), &renamed("cycle/function.json", "circle/function.json")).unwrap_err();
    assert!(error.to_string().ends_with(r#"missing ["cycle"], too many ["circle"]"#), "{error}");
}

#[test]
fn an_old_text_is_seen() {
    assert!(contents(&app(), &changed("cycle/function.json", |entry| entry.content.push(b' '))).is_err());
}

#[test]
fn the_executable_is_the_one_that_host_json_names() {
    assert!(program(&renamed(NAME, "Handler")).is_err());
}

#[test]
fn modes_count_only_if_unix_made_the_zip() {
    assert!(modes(&changed(NAME, |entry| entry.mode = Some(0o644))).is_err());
    assert!(modes(&changed(NAME, |entry| entry.mode = None)).is_err());
    assert!(modes(&changed(HOST, |entry| entry.mode = Some(0o755))).is_err());
}
