//! What the product logs on one thread.
//!
//! One subscriber serves the whole test program. A subscriber of each test's own would lose lines: `tracing` remembers of each
//! place that logs whether anyone listens, and a place first reached on another test's thread is remembered as unheard.

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Arc, Mutex, Once};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

static INSTALLED: Once = Once::new();

thread_local! {
    static HERE: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// The lines at level `INFO` and above that this thread logs, from [`Log::of_this_thread`] on.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn of_this_thread() -> Self {
        INSTALLED.call_once(|| {
            let is_heard = dynamic_filter_fn(|_, _| HERE.with_borrow(Option::is_some));
            let lines = tracing_subscriber::fmt::layer().with_writer(ToThread).with_ansi(false);
            let lines = lines.with_filter(is_heard.with_max_level_hint(LevelFilter::INFO));
            tracing_subscriber::registry().with(lines).with(LevelFilter::INFO).init();
        });
        let log = Self(Arc::default());
        HERE.set(Some(log.clone()));
        log
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

struct ToThread;

impl<'a> MakeWriter<'a> for ToThread {
    type Writer = Box<dyn Write>;

    fn make_writer(&'a self) -> Self::Writer {
        match HERE.with_borrow(Clone::clone) {
            Some(log) => Box::new(log),
            None => Box::new(std::io::sink()),
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
