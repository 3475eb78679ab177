//! A queue in a directory, with a file for each message: `<visible_at_ms>_<id>_<dequeue_count>.msg`.
//!
//! A message is received by a rename, so only one of several receivers wins. It is never lost: it is written under a
//! temporary name, and removed only when it is finished or was copied to the poison queue.

use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One queue under a queue directory.
#[derive(Clone, Debug)]
pub struct FolderQueue {
    dir: PathBuf,
    name: String,
}

/// A message, as its file shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    /// Unix milliseconds from which it may be received.
    pub visible_at_ms: i64,
    pub dequeue_count: u32,
    pub text: String,
    pub inserted: Timestamp,
}

impl FolderQueue {
    /// The queue of that name; its directory appears with the first message.
    pub fn new(queue_dir: &Path, name: &str) -> Self {
        Self { dir: queue_dir.join(name), name: name.to_owned() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a message that may be received after `delay`.
    pub fn send(&self, text: &str, delay: Duration) -> io::Result<String> {
        std::fs::create_dir_all(&self.dir)?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let temporary = self.dir.join(format!(".{id}"));
        std::fs::write(&temporary, text)?;
        std::fs::rename(&temporary, self.path(&id, after(delay), 0))?;
        Ok(id)
    }

    /// All messages, visible or not, the earliest first.
    pub fn messages(&self) -> io::Result<Vec<Message>> {
        // A file that disappears between listing and reading was received by someone else.
        Ok(self.names(&mut BTreeSet::new())?.iter().filter_map(|name| self.read(name).ok()).collect())
    }

    fn path(&self, id: &str, visible_at_ms: i64, count: u32) -> PathBuf {
        self.dir.join(format!("{visible_at_ms:013}_{id}_{count}.msg"))
    }

    fn names(&self, strange: &mut BTreeSet<String>) -> io::Result<Vec<Name>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry?.file_name().to_string_lossy().into_owned();
            match Name::parse(&file) {
                Some(name) => names.push(name),
                None if file.starts_with('.') => {}
                None => {
                    strange.insert(file);
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &Name) -> io::Result<Message> {
        let path = self.path(&name.id, name.visible_at_ms, name.count);
        let inserted = std::fs::metadata(&path)?.modified()?;
        Ok(Message {
            text: String::from_utf8_lossy(&std::fs::read(&path)?).into_owned(),
            inserted: Timestamp::try_from(inserted).unwrap_or_else(|_| Timestamp::now()),
            id: name.id.clone(),
            visible_at_ms: name.visible_at_ms,
            dequeue_count: name.count,
        })
    }

    /// Takes up to `most` visible messages and hides them for `invisible`. Names that are not those of a message are
    /// added to `strange`.
    pub(super) fn receive(
        &self,
        most: usize,
        invisible: Duration,
        strange: &mut BTreeSet<String>,
    ) -> io::Result<Vec<Message>> {
        let now = after(Duration::ZERO);
        let mut taken = Vec::new();
        for name in self.names(strange)?.into_iter().filter(|name| name.visible_at_ms <= now) {
            if taken.len() == most {
                break;
            }
            let new = Name { visible_at_ms: after(invisible), count: name.count + 1, id: name.id.clone() };
            match self.rename(&name, &new) {
                Ok(()) => taken.push(self.read(&new)?),
                // Another receiver took it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn rename(&self, old: &Name, new: &Name) -> io::Result<()> {
        std::fs::rename(
            self.path(&old.id, old.visible_at_ms, old.count),
            self.path(&new.id, new.visible_at_ms, new.count),
        )
    }

    /// Changes when the message becomes visible; the error `NotFound` means that the message is no longer ours.
    pub(super) fn hide(&self, message: &mut Message, time: Duration) -> io::Result<()> {
        let new = after(time);
        std::fs::rename(
            self.path(&message.id, message.visible_at_ms, message.dequeue_count),
            self.path(&message.id, new, message.dequeue_count),
        )?;
        message.visible_at_ms = new;
        Ok(())
    }

    pub(super) fn finish(&self, message: &Message) -> io::Result<()> {
        std::fs::remove_file(self.path(&message.id, message.visible_at_ms, message.dequeue_count))
    }

    /// Copies the message to `<queue>-poison`, then removes it.
    pub(super) fn poison(&self, message: &Message) -> io::Result<()> {
        let parent = self.dir.parent().unwrap_or(&self.dir);
        FolderQueue::new(parent, &format!("{}-poison", self.name)).send(&message.text, Duration::ZERO)?;
        self.finish(message)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    visible_at_ms: i64,
    id: String,
    count: u32,
}

impl Name {
    fn parse(file: &str) -> Option<Self> {
        let mut parts = file.strip_suffix(".msg")?.split('_');
        let (at, id, count) = (parts.next()?, parts.next()?, parts.next()?);
        let good = parts.next().is_none()
            && at.len() == 13
            && at.bytes().all(|b| b.is_ascii_digit())
            && !id.is_empty()
            && id.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| {
            Some(Self { visible_at_ms: at.parse().ok()?, id: id.to_owned(), count: count.parse().ok()? })
        })?
    }
}

fn after(time: Duration) -> i64 {
    Timestamp::now().as_millisecond().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Dir;
    use super::*;

    fn receive(queue: &FolderQueue, invisible: Duration) -> Vec<Message> {
        queue.receive(32, invisible, &mut BTreeSet::new()).unwrap()
    }

    #[test]
    fn a_received_message_is_hidden_until_its_time_runs_out() {
        let dir = Dir::new();
        let queue = FolderQueue::new(dir.path(), "work");
        queue.send("hello", Duration::ZERO).unwrap();
        queue.send("later", Duration::from_mins(1)).unwrap();
        let first = receive(&queue, Duration::from_mins(1));
        assert_eq!((first.len(), first[0].text.as_str(), first[0].dequeue_count), (1, "hello", 1));
        assert!(receive(&queue, Duration::ZERO).is_empty());
        let mut first = first.into_iter().next().unwrap();
        queue.hide(&mut first, Duration::ZERO).unwrap();
        assert_eq!(receive(&queue, Duration::ZERO)[0].dequeue_count, 2);
    }

    #[test]
    fn of_two_receivers_one_gets_a_message() {
        let dir = Dir::new();
        let queue = FolderQueue::new(dir.path(), "work");
        for at in 0..50 {
            queue.send(&at.to_string(), Duration::ZERO).unwrap();
        }
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                std::thread::spawn(move || receive(&queue, Duration::from_mins(1)).len())
            })
            .collect();
        let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(taken, 50);
    }

    #[test]
    fn strange_files_are_named_and_hidden_ones_ignored() {
        let dir = Dir::new();
        dir.write("work/.tmp", "x");
        dir.write("work/readme.txt", "x");
        dir.write("work/12_ab_0.msg", "x");
        let mut strange = BTreeSet::new();
        assert!(
            FolderQueue::new(dir.path(), "work").receive(9, Duration::ZERO, &mut strange).unwrap().is_empty()
        );
        assert_eq!(strange.into_iter().collect::<Vec<_>>(), ["12_ab_0.msg", "readme.txt"]);
    }
}
